"""Faults that tests of many subjects ask a provider for.

A *lost* create is made and its answer does not come. One *never taken* does not reach the provider.
"""

from __future__ import annotations

from batchfill.emulator.faults.rules import Fault

LOST = Fault("create", "reset_after", times=1)
NEVER_TAKEN = Fault("create", "reset_before", times=1)
