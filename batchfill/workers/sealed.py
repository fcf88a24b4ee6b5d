"""Tasks on their way through a cluster: its state, its pages and its logs show nothing of them."""

from __future__ import annotations

import pickle
from typing import Any

from batchfill.workers.worker import do_task


class Sealed:
    """A message between a run and a worker. Those in between keep it, and cannot show what it holds."""

    __slots__ = ("_content",)

    def __init__(self, message: Any) -> None:
        self._content = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self._content)} bytes)"

    def unseal(self) -> Any:
        """Return the message. Raises ImportError where it is about a module that this process lacks."""
        return pickle.loads(self._content)  # noqa: S301  (from the run whose cluster it is, or from its worker)


def do_sealed(message: Sealed) -> Sealed:
    """Do the work of *message*; return whether it was done, and the answer or the error.

    Nothing is raised: a cluster would write down what the work was about.
    """
    try:
        work, task = message.unseal()
    except ImportError as error:  # about the installation of this worker, and not about a picture
        return Sealed((False, error))
    return Sealed(do_task(work, task))
