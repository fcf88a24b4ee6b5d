"""A process that works on pictures for another: tasks come in by stdin, answers go out by stdout."""

from __future__ import annotations

import os
import pickle
import sys
from typing import IO, Any

from batchfill.errors import BadPicture

LENGTH = 8
"""Bytes in front of each message that say how long it is."""

NICE = 5
"""How much the process that talks to the service goes before this one."""

KEPT_MEMORY = {"MALLOC_TRIM_THRESHOLD_": str(1 << 30), "MALLOC_MMAP_THRESHOLD_": str(32 << 20)}
"""What has glibc keep the memory of a picture for the next one: else a tenth of a worker's time goes into
getting it from the system again, page by page."""


def send(stream: IO[bytes], message: Any) -> None:
    """Write *message*, pickled. Raises BrokenPipeError when the reader has ended."""
    content = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
    stream.write(len(content).to_bytes(LENGTH))
    stream.write(content)
    stream.flush()


def receive(stream: IO[bytes]) -> Any:
    """Return the next message. Raises EOFError when the writer has ended."""
    head = stream.read(LENGTH)
    content = stream.read(int.from_bytes(head))
    if len(head) < LENGTH or len(content) < int.from_bytes(head):
        raise EOFError("the other process has ended")
    return pickle.loads(content)  # noqa: S301  (from a process that this one started, or that started it)


def main() -> None:
    """Do one task after the other until the other process has ended, however it ended."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints must not get among the answers
    if hasattr(os, "nice"):
        os.nice(NICE)
    while True:
        try:
            send(answers, _answer(sys.stdin.buffer))
        except (EOFError, BrokenPipeError):
            os._exit(0)  # nothing is left to flush, and no reader for a complaint


def _answer(questions: IO[bytes]) -> tuple[bool, Any]:
    """Read a task and do it; see `do_task`."""
    try:
        work, task = receive(questions)
    except ImportError as error:  # about this installation, and not about a picture
        return False, error
    return do_task(work, task)


def do_task(work: Any, task: Any) -> tuple[bool, Any]:
    """Return whether it was done, and the answer or the error."""
    try:
        return True, work(task)
    except Exception as error:  # whatever it is, it belongs to the one who asked
        return False, error


def answer_of(done: bool, answer: Any) -> Any:
    """Return the answer of work that was *done*; raise what it raised."""
    if done:
        return answer
    if isinstance(answer, MemoryError):
        raise BadPicture("too much for this machine: there is not enough memory") from answer
    raise answer


if __name__ == "__main__":
    main()
