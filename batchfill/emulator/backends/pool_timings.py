"""The waits of a container pool, in one value that tests shorten."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolTimings:
    """Waits of a pool, all in seconds. Users cannot set them."""

    watch: float = 3.0
    """Between two looks at a container that works."""
    first_look: float = 0.05
    """Before a container that was busy is looked at again; it doubles with each look."""
    longest_look: float = 2.0
    """Between two looks at a container that does not work, at most."""
    look_timeout: float = 4.0
    """For which a look waits for an answer."""
    silence: float = 60.0
    """Without a look that finds a container at work, after which its runs are lost.

    Also for which one may be busy with a run that is not ours before that is told.
    """
    rest: float = 15.0
    """For which a container with trouble of its own gets no run; it doubles with each one that fails."""
    longest_rest: float = 600.0
    hold: float = 8.0
    """For which a create waits for a container."""
    grace: float = 2.0
    """For which a pool may be without a container that works before it says so."""
    slots_look: float = 2.0
    """For which a container whose slots are all in use must say READY to be given one run more."""
    report: float = 60.0
    """Between two lines about the pool."""
    file_look: float = 2.0
    """Between two looks at the file of addresses."""
    goodbye: float = 3.0
    """For which an end waits until containers have heard that their runs are canceled."""


DEFAULT = PoolTimings()
