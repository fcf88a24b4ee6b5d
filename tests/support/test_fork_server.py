"""Of the fork server itself: who dies as it gives an order keeps no other command from starting."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.support.fork_server import ForkServer


@pytest.mark.parametrize("sent", [b"", b'{"arguments": null, "fol'])
async def test_an_order_that_breaks_off_is_no_order(
    batchfill: Any, fork_server: ForkServer, sent: bytes
) -> None:
    with socket.socket(socket.AF_UNIX) as dying:
        dying.connect(fork_server.address)
        if sent:
            stream = os.open(os.devnull, os.O_RDONLY)
            socket.send_fds(dying, [sent], [stream] * 3)
            os.close(stream)
    assert (await batchfill("--version")).out.startswith("batchfill, version ")
