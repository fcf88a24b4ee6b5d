"""The *collection* of tests: it makes objects that live to the end, in which no garbage is looked for."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Collect tests without the garbage collector, and let it pass over what they are made of."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()
