"""A server on loopback that answers as a test says, without the environment's proxies."""

from __future__ import annotations

from tests.unit.providers.conftest import listen

__all__ = ["listen"]
