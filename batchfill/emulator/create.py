"""Reading a request to create a prediction: its model, its inputs, what it asks of the answer."""

from __future__ import annotations

import json
import re
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from batchfill.emulator.faults.failures import text_of
from batchfill.emulator.faults.kinds import FATES
from batchfill.emulator.input_sources import upload_id
from batchfill.emulator.journal import PredictionRecord
from batchfill.emulator.responses import Refused, invalid_response, problem_response

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiohttp import web

    from batchfill.catalog.model import Model
    from batchfill.emulator.faults.rules import Fault
    from batchfill.emulator.files import UploadedFiles
    from batchfill.emulator.input_sources import Contents
    from batchfill.emulator.schema import Fault as InputFault

_DURATION = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s?)?")
_SHORTEST, _LONGEST = 5, 24 * 3600


def read_body(content: bytes) -> dict[str, Any]:
    """Return the body of a create, whose `input` is an object. Raises Refused."""
    try:
        body = json.loads(content)
    except (ValueError, RecursionError):
        raise Refused(
            problem_response(400, title="Bad request", detail="The request body is not valid JSON")
        ) from None
    if not isinstance(body, dict) or not isinstance(body.get("input"), dict):
        raise Refused(invalid_response([("required", "input", "input is required")]))
    return body


def read_wait(header: str | None) -> float | None:
    """Return how many seconds `Prefer` asks to wait; None when it does not."""
    match = re.fullmatch(r"wait(?:=([1-9]|[1-5][0-9]|60))?", (header or "").strip())
    return float(match[1] or 60) if match else None


def read_lifetime(header: str | None) -> float | None:
    """Return the seconds of `Cancel-After`, `30`, `5m` or `1h30m`; None without it. Raises Refused."""
    if header is None:
        return None
    match = _DURATION.fullmatch(header.strip())
    hours, minutes, seconds = (int(part or 0) for part in match.groups()) if match else (0, 0, 0)
    total = hours * 3600 + minutes * 60 + seconds
    if not _SHORTEST <= total <= _LONGEST:
        detail = f"Cancel-After must be between 5s and 24h, not {header!r}"
        raise Refused(problem_response(422, title="Invalid header", detail=detail))
    return float(total)


def request_digest(path: str, body: Mapping[str, Any]) -> str:
    """Return what tells a create from every other."""
    text = json.dumps([path, body], sort_keys=True)
    return sha256(text.encode()).hexdigest()


def other_request_response() -> web.Response:
    """Return the answer to a create whose key was sent with another create before."""
    detail = "This Idempotency-Key was sent with another request before"
    return problem_response(422, title="Idempotency key reused", detail=detail)


def new_record(
    model: Model,
    inputs: Mapping[str, Any],
    *,
    faults: list[InputFault],
    id_: str,
    contents: Contents,
    files: UploadedFiles,
    now: float,
    hits: tuple[Fault, ...] = (),
    deployment: str | None = None,
    sender: str = "",
    lifetime: float | None = None,
) -> PredictionRecord:
    """Return a prediction that is ready to be made. Raises Refused for *faults* of its inputs."""
    if faults:
        raise Refused(invalid_response(faults))
    held = _keep_contents(model, inputs, contents)
    fate = next((hit for hit in hits if hit.kind in FATES), None)
    return PredictionRecord(
        id=id_,
        model=model.name,
        input={name: value for name, value in inputs.items() if name not in held},
        contents=held,
        digest=_row_digest(model, inputs, held, files),
        # What is told has milliseconds; a list that starts at a told time must show this prediction.
        created_at=int(now * 1000) / 1000,
        deployment=deployment,
        sender=sender,
        cancel_at=now + lifetime if lifetime is not None else None,
        fate=fate.kind if fate else None,
        fate_option=_fate_option(fate) if fate else None,
        seed=inputs.get(model.seed_field) if model.seed_field else None,
    )


def _fate_option(fate: Fault) -> str | int | None:
    """Return what a prediction fails with, or how many of its outputs are left out."""
    if fate.kind in ("fail", "nsfw"):
        return text_of(fate.option("error", "nsfw" if fate.kind == "nsfw" else "E9828"))
    return fate.option("count", 1) if fate.kind == "fewer" else None


def _keep_contents(model: Model, inputs: Mapping[str, Any], contents: Contents) -> dict[str, str]:
    """Put the data URLs among *inputs* on disk; return their hashes by input name."""
    held = {}
    for name in model.file_fields:
        url = inputs.get(name)
        if isinstance(url, str) and url.startswith("data:"):
            try:
                held[name] = contents.keep(url)
            except ValueError as error:
                raise Refused(invalid_response([("format", f"input.{name}", f"{name} is {error}")])) from None
    return held


def _row_digest(
    model: Model, inputs: Mapping[str, Any], held: Mapping[str, str], files: UploadedFiles
) -> str:
    told = {name: value for name, value in inputs.items() if name != model.seed_field}
    for name in model.file_fields:
        upload = upload_id(str(told.get(name)))
        content = held.get(name) or (files.sha256(upload) if upload else None)
        if content:
            told[name] = {"sha256": content}
    text = json.dumps({"model": model.name, "input": told}, sort_keys=True, ensure_ascii=False)
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
