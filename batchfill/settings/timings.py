"""The waits of a run that suit a service far away, in one value that tests shorten."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Timings:
    """Waits of a run, all in seconds. Users cannot set them."""

    first_poll: float = 1.0
    """Between acceptance and the first poll, while no run time is known."""
    longest_poll_gap: float = 20.0
    """Between two polls of a prediction, at most."""
    refused_poll_gap: float = 20.0
    """Between two polls while the service refuses them."""
    overdue_grace: float = 60.0
    """After --prediction-timeout, in which a prediction is to end; then its row is in doubt."""
    longest_refusal: float = 600.0
    """Of nothing but refused reads, at least, before a run gives up what the hour of it is over."""
    outputs_kept: float | None = None
    """After a prediction was accepted: it is asked for at least so long, whatever single reads answer.

    None: for as long as the provider's facts say.
    """
    refused_create: float = 30.0
    """Before a row whose create was refused is asked once more."""
    long_pause: float = 60.0
    """A pause above this is said on the terminal."""
    list_lag: float = 3.0
    """Time that the provider's list may need to show a prediction."""
    first_pause: float = 5.0
    """Of the circuit breaker; it doubles while creates fail."""
    upload_retry: float = 5.0
    """After a failed upload; it doubles with each failure."""
    attempt_retry: float = 10.0
    """Before a failed row's second attempt; it grows with each attempt."""
    download_retry: float = 2.0
    """After a failed download; it doubles with each failure."""
    late_outputs: float = 300.0
    """For which a prediction that succeeded may name no output yet."""
    storage_retries: tuple[float, ...] = (2.0, 5.0, 15.0, 30.0)
    """Between tries while the batch folder takes no finished file; the last one repeats."""
    disk_look: float = 3.0
    """Between two looks at a full disk."""
    disk_patience: float = 3600.0
    """Without room on the disk, after which a run ends, so that the user learns of it."""
    ledger_look: float = 0.5
    """Between two looks whether the ledger is still in its place."""
    question_retries: tuple[float, ...] = (1.0, 3.0, 10.0)
    """Before each further try of a free question, where the service names no time."""
    token_command: float = 60.0
    """For which the command that prints the token may run: a user may have to unlock something."""
    progress: float = 0.25
    """Between two reports of progress."""
    mirror_lease: float = 10.0
    """After an entry of a mirror was begun, for which the batch counts as the run's own.

    A create that is not on its way by then is held back, and a take-over waits as long.
    """
    cluster_look: float = 2.0
    """Between two looks at who works in a cluster."""
    cluster_question: float = 10.0
    """For which a scheduler may take to answer, after which it counts as away."""
    cluster_patience: float = 10.0
    """Without any worker of the cluster, after which that is said and nothing more is submitted."""
    cluster_silence: float = 600.0
    """For which a task may go without an answer while there are workers; then it is given out once more."""
    cluster_fetch: float = 300.0
    """For which a worker may take to fetch an output, its turn included; then this machine fetches it."""
    cluster_fetch_pause: float = 300.0
    """After a worker could not fetch what this machine could, in which this machine fetches all outputs."""
    inbox_look: float = 0.5
    """Between two looks for requests of other processes."""


DEFAULT = Timings()
