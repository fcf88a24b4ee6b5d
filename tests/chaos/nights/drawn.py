"""Nights drawn by hypothesis: what can go wrong in one, and how much of it."""

from __future__ import annotations

import random
from dataclasses import replace

from hypothesis import strategies as st

from batchfill.emulator.dialects.dialect import VALUES, Dialect
from tests.chaos.nights.relay import CLOCKS, DATES, LISTS, Relay
from tests.chaos.nights.schedule import HOUR, Death, Outage, Schedule, Trouble

TROUBLES: tuple[tuple[str, str, tuple[tuple[str, object], ...]], ...] = (
    ("create", "reset_before", ()),
    ("create", "reset_after", ()),
    ("create", "cut", ()),
    ("create", "invalid_json", ()),
    ("create", "no_id", ()),
    ("create", "delay", (("seconds", 90.0),)),
    ("create", "taken_late", (("seconds", 90.0),)),
    ("create", "status", (("status", 500),)),
    ("create", "status", (("status", 500), ("late", True))),
    ("create", "status", (("status", 502), ("late", True))),
    ("create", "status", (("status", 429), ("form", "resets"), ("seconds", 30))),
    ("create", "status", (("status", 429), ("form", "bare"))),
    ("create", "fail", (("error", "Director: unexpected error handling prediction (E9243)"),)),
    ("create", "fail", (("error", "CUDA out of memory"),)),
    ("create", "nsfw", ()),
    ("create", "aborted", ()),
    ("create", "stuck", ()),
    ("create", "never_starts", ()),
    ("create", "fewer", ()),
    ("get", "reset_before", ()),
    ("get", "cut", ()),
    ("get", "invalid_json", ()),
    ("get", "status", (("status", 404),)),
    ("get", "status", (("status", 500),)),
    ("get", "status", (("status", 429), ("form", "retry_after"), ("seconds", 5))),
    ("get", "delay", (("seconds", 90.0),)),
    ("list", "lagging", (("seconds", 20.0),)),
    ("list", "empty", ()),
    ("list", "without_inputs", ()),
    ("list", "strangers", (("count", 3),)),
    ("list", "status", (("status", 500),)),
    ("list", "cut", ()),
    ("cancel", "status", (("status", 500),)),
    ("cancel", "reset_after", ()),
    ("cancel", "loses", ()),
    ("output", "reset_before", ()),
    ("output", "cut", ()),
    ("output", "garbage", ()),
    ("output", "html", ()),
    ("output", "wrong_length", ()),
    ("output", "slow", (("seconds", 20.0),)),
    ("output", "status", (("status", 404),)),
    ("output", "status", (("status", 500),)),
)
"""Call, kind and options of faults that a service really has."""

_moments = st.floats(0, 30, width=32) | st.floats(0, 900, width=32) | st.floats(0, 4 * HOUR, width=32)

troubles = st.builds(
    # What the provider hardly ever tells or serves is lost whatever anybody does.
    lambda which, p: Trouble(
        which[0], which[1], min(p, 0.3 if which[0] in ("get", "output") else 1), which[2]
    ),
    st.sampled_from(TROUBLES),
    st.sampled_from((0.02, 0.1, 0.3, 0.9)),
)
deaths = st.builds(Death, _moments, st.integers(0, 60), st.sampled_from((1.0, 30.0, 400.0, 2 * HOUR)))
outages = st.builds(Outage, _moments, st.sampled_from((2.0, 90.0, HOUR, 2.5 * HOUR)))
paces = st.tuples(_moments, st.sampled_from((6.0, 60.0, 300.0, 1200.0)))


@st.composite
def schedules(draw: st.DrawFn, most_rows: int = 40) -> Schedule:
    """Draw one night of at most so many rows."""
    rows = draw(st.integers(1, most_rows))
    return Schedule(
        seed=draw(st.integers(0, 2**32 - 1)),
        rows=rows,
        concurrency=draw(st.sampled_from((1, 2, 8, 32))),
        rate=draw(st.sampled_from((60.0, 600.0, 6000.0))),
        run_time=draw(st.sampled_from((0.5, 10.0, 60.0, 400.0))),
        allowed=tuple(sorted(draw(st.lists(paces, max_size=3)))),
        deaths=tuple(sorted(draw(st.lists(deaths, max_size=5)), key=lambda death: death.at)),
        outages=tuple(sorted(draw(st.lists(outages, max_size=2)), key=lambda outage: outage.at)),
        troubles=tuple(draw(st.lists(troubles, max_size=4))),
        stops=tuple(draw(st.lists(_moments, max_size=2))),
        consents=draw(st.booleans()),
        edits=tuple(draw(st.lists(st.integers(0, 999), max_size=3))),
        offers_list=draw(st.booleans()),
        skew=draw(st.sampled_from((0.0, -240.0, 240.0))),
        max_cost=draw(st.none() | st.integers(1, rows)),
        until=draw(st.none() | st.sampled_from((600.0, 2 * HOUR, 8 * HOUR))),
    )


hours = st.sampled_from((-14, -8, -5, -1, 1, 5, 8, 14)).map(lambda hour: hour * HOUR)

relays = st.builds(
    Relay,
    clock=st.sampled_from(CLOCKS),
    date=st.sampled_from(DATES),
    # Mostly a list that could prove what the clocks make doubtful.
    lists=st.just("whole") | st.sampled_from(LISTS),
    off=hours | st.sampled_from((-240.0, 90.0, 400.0, -40 * 24 * HOUR)),
    many=st.integers(1, 40),
)

LOSSES = ("reset_before", "reset_after", "cut", "invalid_json", "no_id")
"""What becomes of a create whose answer is lost, or cannot be used."""

early = st.builds(
    Death, st.floats(0, 40, width=32), st.integers(0, 60), st.sampled_from((1.0, 30.0, 2 * HOUR))
)


@st.composite
def clock_nights(draw: st.DrawFn, most_rows: int = 30) -> Schedule:
    """Draw a night whose answers are lost, and whose relay has clocks and lists of its own."""
    lost = st.builds(Trouble, st.just("create"), st.sampled_from(LOSSES), st.sampled_from((0.05, 0.3)))
    return Schedule(
        seed=draw(st.integers(0, 2**32 - 1)),
        rows=draw(st.integers(1, most_rows)),
        concurrency=draw(st.sampled_from((1, 4, 32))),
        run_time=draw(st.sampled_from((0.5, 10.0, 60.0))),
        deaths=tuple(sorted(draw(st.lists(early, min_size=1, max_size=4)), key=lambda death: death.at)),
        troubles=tuple(draw(st.lists(lost, min_size=1, max_size=2))),
        skew=draw(st.sampled_from((0.0, -7200.0, 240.0))),
        relay=draw(relays),
    )


dialects = st.builds(
    Dialect,
    **{name: st.sampled_from(values) for name, values in VALUES.items()},
    signed=st.none() | st.sampled_from((5.0, 600.0)),
)


@st.composite
def dressed_nights(draw: st.DrawFn) -> Schedule:
    """Draw a night at a gateway with manners of its own, whose answers are right but for their form."""
    return Schedule(
        seed=draw(st.integers(0, 2**32 - 1)),
        rows=draw(st.integers(1, 12)),
        concurrency=draw(st.sampled_from((1, 4, 32))),
        run_time=draw(st.sampled_from((0.5, 10.0, 60.0))),
        offers_list=draw(st.booleans()),
        dialect=draw(dialects),
    )


SILENT = (
    ("reset_before", ()),
    ("reset_after", ()),
    ("delay", (("seconds", 90.0),)),
    ("taken_late", (("seconds", 90.0),)),
    ("status", (("status", 500), ("late", True))),
    ("status", (("status", 429), ("form", "resets"), ("seconds", 30))),
)
"""What becomes of a create whose answer, if one comes, does not say that it was made."""


@st.composite
def keyed_nights(draw: st.DrawFn, most_rows: int = 30) -> Schedule:
    """Draw a night of lost answers, deaths and outages at a provider that honours the keys of creates."""
    lost = st.builds(
        lambda which, p: Trouble("create", which[0], p, which[1]),
        st.sampled_from(SILENT),
        st.sampled_from((0.05, 0.2)),
    )
    return Schedule(
        seed=draw(st.integers(0, 2**32 - 1)),
        rows=draw(st.integers(1, most_rows)),
        concurrency=draw(st.sampled_from((1, 4, 32))),
        run_time=draw(st.sampled_from((0.5, 10.0, 60.0))),
        deaths=tuple(sorted(draw(st.lists(early, max_size=4)), key=lambda death: death.at)),
        outages=tuple(draw(st.lists(outages.filter(lambda outage: outage.lasts < HOUR), max_size=1))),
        troubles=tuple(draw(st.lists(lost, min_size=1, max_size=3))),
        offers_list=draw(st.booleans()),
        keys=True,
    )


@st.composite
def damaged_nights(draw: st.DrawFn) -> Schedule:
    """Draw a night in which answers arrive damaged, at a gateway with manners of its own."""
    return replace(draw(dressed_nights()), damage=draw(st.sampled_from((0.02, 0.1, 0.4))), starts=3)


def long_night(seed: int, rows: int = 10_000) -> Schedule:
    """Return a whole night of eight hours: changing paces, an hour without network, deaths, edits."""
    chance = random.Random(seed)
    hours = [hour + chance.random() for hour in range(7)]
    paces = (20.0, 12.0, 40.0, 6.0, 30.0, 60.0, 600.0)
    return Schedule(
        seed=seed,
        rows=rows,
        concurrency=32,
        run_time=15.0,
        allowed=tuple((hour * HOUR, pace * rows / 10_000) for hour, pace in zip(hours, paces, strict=True)),
        deaths=tuple(
            Death(hour * HOUR, chance.randrange(200), chance.choice((20.0, 300.0, 1200.0)))
            for hour in (0.2, 1.5, 2.5, 3.1, 5.5, 6.5)
        ),
        outages=(Outage(2.2 * HOUR, 60.0), Outage(4 * HOUR, HOUR)),
        troubles=tuple(
            Trouble(call, kind, 0.01, options) for call, kind, options in chance.sample(TROUBLES, 6)
        ),
        edits=tuple(chance.randrange(1000) for _ in range(3)),
        skew=chance.uniform(-120, 120),
    )
