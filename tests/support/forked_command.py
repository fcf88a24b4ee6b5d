"""`batchfill` as a shell finds it, run by a fork server: `forked_command.py ADDRESS WAITS [ARGUMENT …]`.

WAITS: those of a run's Timings, as JSON. Little is imported, since each command of an example starts this.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys


def main() -> None:
    """Run a command in a fork, pass signals on to it, and end as it does."""
    address, waits, *arguments = sys.argv[1:]
    order = {
        "arguments": arguments,
        "folder": os.getcwd(),  # noqa: PTH109 - quick
        "environ": dict(os.environ),
        "waits": json.loads(waits),
    }
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(address)
        socket.send_fds(connection, [json.dumps(order).encode() + b"\n"], [0, 1, 2])
        news = connection.makefile("rb")
        pid = int(news.readline())
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda number, _: os.kill(pid, number))
        sys.exit(int(news.readline()))


if __name__ == "__main__":
    main()
