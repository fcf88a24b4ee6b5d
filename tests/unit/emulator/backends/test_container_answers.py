"""What a container says is read as it is meant, in the words of both generations of Cog."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from batchfill.emulator.backends.cog_backend import read_model
from batchfill.emulator.backends.container_answers import (
    AnswerKind,
    ContainerState,
    read_answer,
    read_health,
)

WORDS = (
    "status",
    "setup",
    "version",
    "output",
    "error",
    "detail",
    "loc",
    "logs",
    "components",
    "schemas",
    "Input",
    "Output",
    "properties",
    "type",
    "required",
    "allOf",
    "$ref",
    "enum",
    "default",
    "minimum",
)
PICTURE = "data:image/png;base64,AAAA"
NGINX = b"<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body></body>\r\n</html>"


def failed(error: object) -> dict[str, Any]:
    return {"id": "p1", "status": "failed", "error": error, "logs": "", "output": None}


ANSWERS: dict[str, tuple[int, Any, AnswerKind, str]] = {
    "made, a list": (200, {"status": "succeeded", "output": [PICTURE]}, AnswerKind.MADE, ""),
    "made, one picture": (200, {"status": "succeeded", "output": PICTURE}, AnswerKind.MADE, ""),
    "made, nothing": (
        200,
        {"status": "succeeded", "output": []},
        AnswerKind.FAILED,
        "the model returned nothing",
    ),
    "made, null": (
        200,
        {"status": "succeeded", "output": None},
        AnswerKind.FAILED,
        "the model returned nothing",
    ),
    "made, a text": (
        200,
        {"status": "succeeded", "output": "a vase"},
        AnswerKind.FAILED,
        "the model returned 'a vase' instead of a picture",
    ),
    "made, one of two is an address": (
        200,
        {"status": "succeeded", "output": [PICTURE, "https://a.example/b.png"]},
        AnswerKind.FAILED,
        "the model returned 'https://a.example/b.png' instead of a picture",
    ),
    "the model's failure, cog 0.16": (200, failed("no face found"), AnswerKind.FAILED, "no face found"),
    "the model's failure, coglet": (
        200,
        failed("Prediction failed: Prediction failed: ValueError: no face found"),
        AnswerKind.FAILED,
        "ValueError: no face found",
    ),
    "a failure without a word": (200, failed(None), AnswerKind.FAILED, "the model failed without a word"),
    "busy, cog 0.16": (409, {"detail": "Already running a prediction"}, AnswerKind.TAKEN, ""),
    "busy, coglet": (409, {"error": "At capacity", "status": "failed"}, AnswerKind.TAKEN, ""),
    "it runs this one": (202, {"id": "p1", "status": "processing"}, AnswerKind.RUNNING, ""),
    "a crash, cog 0.16": (
        500,
        b"Internal Server Error",
        AnswerKind.LOST,
        "the container answered 500: Internal Server Error",
    ),
    "a crash, coglet": (200, failed("Worker crashed"), AnswerKind.LOST, "Worker crashed"),
    "no memory on the GPU": (
        200,
        failed("CUDA out of memory. Tried to allocate 2 GiB"),
        AnswerKind.LOST,
        "CUDA out of memory. Tried to allocate 2 GiB",
    ),
    "canceled by another client": (
        200,
        {"status": "canceled"},
        AnswerKind.LOST,
        "the run ended as canceled",
    ),
    "a proxy's page": (
        502,
        NGINX,
        AnswerKind.LOST,
        "the container answered 502 with a web page (502 Bad Gateway)",
    ),
    "a page under 200": (
        200,
        NGINX,
        AnswerKind.LOST,
        "the container answered 200 with a web page (502 Bad Gateway)",
    ),
    "half an answer": (
        200,
        b'{"status": "succ',
        AnswerKind.LOST,
        'the container answered 200: {"status": "succ',
    ),
    "a list": (200, [], AnswerKind.LOST, "the container answered 200: []"),
    "nothing": (503, b"", AnswerKind.LOST, "the container answered 503 and nothing else"),
    "no such path": (
        404,
        {"detail": "Not Found"},
        AnswerKind.LOST,
        'the container answered 404: {"detail": "Not Found"}',
    ),
    "no room": (
        200,
        failed("[Errno 28] No space left on device: '/tmp/out.png'"),
        AnswerKind.TROUBLE,
        "its disk is full ([Errno 28] No space left on device: '/tmp/out.png')",
    ),
    "no room, told by the server": (
        500,
        {"detail": "OSError: [Errno 28] No space left on device"},
        AnswerKind.TROUBLE,
        "its disk is full",
    ),
    "a quota": (200, failed("[Errno 122] Disk quota exceeded"), AnswerKind.TROUBLE, "its disk is full"),
    "read-only": (
        200,
        failed("Read-only file system: '/src'"),
        AnswerKind.TROUBLE,
        "its disk cannot be written",
    ),
    "no room of its own, coglet": (
        200,
        failed("Failed to create output dir: Permission denied (os error 13)"),
        AnswerKind.TROUBLE,
        "its disk cannot be written",
    ),
    "a broken disk": (200, failed("[Errno 5] Input/output error"), AnswerKind.TROUBLE, "its disk fails"),
    "a broken GPU": (
        200,
        failed("CUDA error: an illegal memory access was encountered"),
        AnswerKind.TROUBLE,
        "its GPU fails",
    ),
    "an ECC error": (
        200,
        failed("CUDA driver error: uncorrectable ECC error"),
        AnswerKind.TROUBLE,
        "its GPU fails",
    ),
    "inputs, cog 0.16": (
        422,
        {"detail": [{"type": "enum", "loc": ["body", "input", "format"], "msg": "Input should be 'png'"}]},
        AnswerKind.FAILED,
        "the model does not take these inputs: format: Input should be 'png'",
    ),
    "inputs, coglet": (
        422,
        {
            "detail": [
                {
                    "loc": ["body", "input", "seed"],
                    "msg": '"x" is not of type "integer"',
                    "type": "value_error",
                },
                {"loc": ["body", "input"], "msg": "mask is missing", "type": "value_error"},
            ]
        },
        AnswerKind.FAILED,
        'the model does not take these inputs: seed: "x" is not of type "integer"; input: mask is missing',
    ),
    "inputs, in another form": (
        422,
        {"detail": "bad"},
        AnswerKind.FAILED,
        "the model does not take these inputs: bad",
    ),
}


@pytest.mark.parametrize("case", ANSWERS)
def test_an_answer_is_read_as_it_is_meant(case: str) -> None:
    status, body, kind, words = ANSWERS[case]
    answer = read_answer(status, body if isinstance(body, bytes) else json.dumps(body).encode())
    assert answer.kind is kind
    assert answer.words.startswith(words) if kind is AnswerKind.TROUBLE else answer.words == words


SETUP = {"started_at": "2026-11-30T08:08:06+00:00", "status": "succeeded", "logs": "one\nno weights.bin\n"}

HEALTH: dict[str, tuple[int, Any, ContainerState, str]] = {
    "ready, cog 0.16": (200, {"status": "READY", "setup": SETUP}, ContainerState.READY, ""),
    "busy": (200, {"status": "BUSY", "setup": SETUP}, ContainerState.BUSY, ""),
    "loading": (200, {"status": "STARTING", "setup": None}, ContainerState.STARTING, ""),
    "a word to come": (200, {"status": "WARMING", "setup": None}, ContainerState.STARTING, ""),
    "not loaded": (
        200,
        {"status": "SETUP_FAILED", "setup": SETUP},
        ContainerState.ENDED,
        "its model could not be loaded (no weights.bin): see its logs, restart it",
    ),
    "dead, cog 0.16": (
        200,
        {"status": "DEFUNCT", "setup": SETUP},
        ContainerState.ENDED,
        "its model's process has ended; it says DEFUNCT: restart it",
    ),
    "dead, coglet": (
        200,
        {"status": "UNHEALTHY", "setup": SETUP, "user_healthcheck_error": "no worker"},
        ContainerState.ENDED,
        "its model's process has ended; it says UNHEALTHY (no worker): restart it",
    ),
    "a web page": (
        200,
        NGINX,
        ContainerState.STRANGE,
        "is no Cog container: 200 with a web page (502 Bad Gateway)",
    ),
    "another API": (
        200,
        {"status": "ok"},
        ContainerState.STRANGE,
        'is no Cog container: 200: {"status": "ok"}',
    ),
    "a word that is none": (
        200,
        {"status": ["READY"], "setup": {}},
        ContainerState.STRANGE,
        'is no Cog container: 200: {"status": ["READY"], "setup": {}}',
    ),
    "this very server": (
        404,
        {"detail": "Not found", "status": 404},
        ContainerState.STRANGE,
        'is no Cog container: 404: {"detail": "Not found", "status": 404}',
    ),
}


@pytest.mark.parametrize("case", HEALTH)
def test_health_is_read_as_it_is_meant(case: str) -> None:
    status, body, state, words = HEALTH[case]
    health = read_health(status, body if isinstance(body, bytes) else json.dumps(body).encode())
    assert (health.state, health.words) == (state, words)


def test_a_start_of_a_container_is_told_from_the_next_one_and_coglet_from_the_old_server() -> None:
    old = read_health(200, json.dumps({"status": "READY", "setup": SETUP}).encode())
    told = {"status": "READY", "setup": SETUP, "version": {"coglet": "0.23.1"}}
    assert (old.incarnation, old.many) == (SETUP["started_at"], False)
    assert read_health(200, json.dumps(told).encode()).many


def test_words_of_many_lines_are_one_line_of_the_pool_and_long_ones_are_cut() -> None:
    told = failed("OSError:\n\x20 [Errno 28] No space left on device\n" + "x" * 1000)
    answer = read_answer(200, json.dumps(told).encode())
    assert answer.words == "its disk is full (OSError: [Errno 28] No space left on device " + "x" * 256 + "…)"
    long = read_answer(200, json.dumps(failed("x" * 100_000) | {"logs": "y" * 100_000 + "end"}).encode())
    assert (len(long.words), len(long.logs), long.logs[-4:]) == (20_000, 20_000, "yend")


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=5)
    | st.sampled_from(["READY", "succeeded", PICTURE]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=4),
    max_leaves=12,
)


@example({"components": [], "properties": {"prompt": {"type": "string"}}}, 200)
@given(VALUES, st.sampled_from([200, 202, 307, 409, 422, 500]))
def test_whatever_a_server_answers_is_read(value: object, status: int) -> None:
    body = json.dumps(value).encode()
    read_health(status, body)
    read_answer(status, body)
    with suppress(ValueError):
        read_model("own/model", value)
