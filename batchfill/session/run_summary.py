"""What a run came to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from batchfill.domain.reports import Summary
from batchfill.run.shutdown import exit_code
from batchfill.systems import here

if TYPE_CHECKING:
    from pathlib import Path

    from batchfill.domain.reports import Status
    from batchfill.session.session import Session


def make_summary(session: Session, status: Status, folder: Path) -> Summary:
    """Return what *session* came to, now that its run has ended with *status*."""
    ended = session.ended
    assert ended is not None
    return Summary(
        exit_code=exit_code(
            status.counts, status.gone, session.stopping, skipped=session.skipped, left=ended.left
        ),
        counts=status.counts,
        gone=status.gone,
        cost=status.cost,
        reasons=status.reasons,
        doubts=status.doubts,
        stopped_because=session.stopping.because,
        folder=str(folder),
        submitted_now=ended.submitted,
        finished_now=ended.finished,
        elapsed=ended.elapsed,
        requests=session.requests,
        throttled=ended.throttled,
        held=ended.held,
        peak_memory=here().peak_memory(),
        failed_made=status.failed_made,
        skipped=session.skipped,
        root=session.settings.outputs,
    )
