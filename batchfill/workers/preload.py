"""What a worker of a cluster loads before its first task: `--preload batchfill.workers.preload`."""

from __future__ import annotations

import os
import tempfile
from typing import Any

from batchfill.settings.credentials import without_secrets
from batchfill.workers.software import software_here
from batchfill.workers.worker import NICE


def dask_setup(worker: Any) -> None:
    """Make a process of dask a worker of ours; called by dask before it tells its scheduler of *worker*.

    It forgets tokens, lets other processes of its machine go first, keeps temporary files in its own folder,
    and tells which software it works with: a run gives tasks only to those that have what it has itself.
    """
    for name in os.environ.keys() - without_secrets(os.environ).keys():
        del os.environ[name]
    if hasattr(os, "nice"):
        os.nice(NICE)
    # Dask removes it, whatever a worker died of.
    tempfile.tempdir = worker.local_directory
    for told in (worker.state.total_resources, worker.state.available_resources):
        # As many as are asked for at once: it keeps tasks from others, and limits none.
        told[software_here()] = float(worker.state.nthreads)
