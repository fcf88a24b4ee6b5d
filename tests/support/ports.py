"""*Free ports* of loopback."""

from __future__ import annotations

import socket

import pytest


def find_free_port() -> int:
    """Return a port of loopback at which no program listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@pytest.fixture
def free_port() -> int:
    return find_free_port()
