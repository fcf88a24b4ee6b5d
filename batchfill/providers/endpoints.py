"""Where things are at a provider: addresses built from the base and names, never taken from an answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import quote

from batchfill.domain.predictions import is_own_id
from batchfill.errors import NotFound
from batchfill.providers.parsing import check_prediction_id

if TYPE_CHECKING:
    import httpx

Origin: TypeAlias = "tuple[str, str, int | None]"
ACCOUNT = "/account"
FILES = "/files"
PREDICTIONS = "/predictions"


def model_path(model: str) -> str:
    """Return the path of *model*, OWNER/NAME, whatever its version."""
    name, _, _ = model.partition(":")
    return "/models/" + "/".join(quote(part, safe="") for part in name.split("/"))


def create_path(model: str) -> str:
    """Return the path of a create of *model*, OWNER/NAME."""
    return f"{model_path(model)}/predictions"


def prediction_path(prediction_id: str) -> str:
    """Return the path of a prediction. Raises NotFound for an id that no service gave."""
    if is_own_id(prediction_id):
        raise NotFound("the service gave this prediction no id, so it cannot be asked for it")
    try:
        return f"{PREDICTIONS}/{quote(check_prediction_id(prediction_id), safe='')}"
    except ValueError as error:
        raise NotFound(f"{prediction_id[:60]!r} is no prediction id") from error


def origin_of(place: httpx.URL) -> Origin:
    """Return what has to be equal for two addresses to belong to one service."""
    return place.scheme, place.host, place.port
