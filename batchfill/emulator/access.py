"""Who may call a provider that wants no token: this machine's programs, and no page of another site."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from batchfill.emulator.input_sources import upload_id
from batchfill.emulator.responses import Refused, problem_response
from batchfill.settings.addresses import is_loopback

if TYPE_CHECKING:
    from aiohttp import web

    from batchfill.catalog.model import Model

ANOTHER_SITE = (
    "This provider was started without a token, so it answers neither pages of other sites nor requests to "
    "another name than this machine's own. Start it with --token to use it from elsewhere."
)
NOT_JSON = "Send a prediction as JSON, with the header Content-Type: application/json"
NOT_YOURS = (
    "This provider was started without a token, so it reads addresses of its own machine only for programs "
    "on it. Start it with --token to use it from elsewhere."
)


def refuse_strangers(request: web.Request) -> None:
    """Raise Refused for what a page of another site, or one that took this machine's name, may send."""
    if _is_from_elsewhere(request):
        raise Refused(problem_response(403, detail=ANOTHER_SITE))


def refuse_other_types(request: web.Request) -> None:
    """Raise Refused for a create that is not sent as JSON, as a page can send it to any other site."""
    if request.content_type != "application/json":
        raise Refused(problem_response(415, title="Unsupported media type", detail=NOT_JSON))


def refuse_errands(request: web.Request, model: Model, inputs: dict[str, object]) -> None:
    """Raise Refused for inputs at addresses of this machine, asked for by a caller on another one."""
    if is_loopback(request.remote or ""):
        return
    addresses = [str(inputs.get(name, "")) for name in model.file_fields]
    if any(is_loopback(_host(address)) and upload_id(address) is None for address in addresses):
        raise Refused(problem_response(403, detail=NOT_YOURS))


def sender_of(request: web.Request) -> str:
    """Return what tells the rows of one run from those of another: its machine and its program's name."""
    told = f"{request.remote} {request.headers.get('User-Agent', '')}"
    return sha256(told.encode("utf-8", "surrogateescape")).hexdigest()[:12]


def _is_from_elsewhere(request: web.Request) -> bool:
    host = request.headers.get("Host", "")
    # A name that resolves to this machine may be anybody's; an address can be no other machine's.
    if not (is_loopback(_host(f"//{host}")) or _host(f"//{host}") == _own_address(request)):
        return True
    if request.headers.get("Origin", f"http://{host}") != f"http://{host}":
        return True
    return request.headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin")


def _own_address(request: web.Request) -> str | None:
    """Return the address of this machine that the connection was made to."""
    place = request.transport and request.transport.get_extra_info("sockname")
    return str(place[0]) if place else None


def _host(address: str) -> str:
    try:
        return urlsplit(address).hostname or ""
    except ValueError:
        return ""
