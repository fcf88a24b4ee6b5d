"""The fixtures of all tests, and hypothesis' settings."""

from __future__ import annotations

import os
import sys

from hypothesis import HealthCheck, settings

from tests.support.memory import use_memory

# Each after those that it imports: pytest rewrites the assertions of a plugin before its first import.
pytest_plugins = (
    "tests.support.environment",
    "tests.support.collection",
    "tests.support.timings",
    "tests.support.kept_workers",
    "tests.support.made_before",
    "tests.support.ports",
    "tests.support.other_disk",
    "tests.support.models",
    "tests.support.providers",
    "tests.support.cogs",
    "tests.support.desk",
    "tests.support.batches",
    "tests.support.gateways",
    "tests.support.raw_gateway",
    "tests.support.wire",
    "tests.support.listeners",
    "tests.support.buckets",
    "tests.support.real_buckets",
    "tests.support.crash",
    "tests.support.programs",
    "tests.support.real_cogs",
    "tests.support.terminal",
)

# As in the Makefile: else each worker compiles all tests again, and each process the package.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

use_memory()

settings.register_profile(
    "tests",
    # What a few dozen do not find, thousands may: `make soak` draws them.
    max_examples=100 if os.environ.get("BATCHFILL_FUZZ") else 40,
    # A machine that is busy with something else for a moment is no failure.
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    # The same examples each time; other ones are looked for on purpose.
    derandomize=not os.environ.get("BATCHFILL_FUZZ"),
    database=None,
)
settings.load_profile("tests")
