"""Every manner of the dialect is one that a run copes with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from batchfill.emulator.dialects.dialect import VALUES, Dialect, check_manner
from batchfill.emulator.faults.fault_plan import read_plan
from batchfill.emulator.quirks import Quirks
from batchfill.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

ONE_BY_ONE = [{name: value} for name, values in VALUES.items() for value in values[1:]] + [{"signed": 60}]


@pytest.mark.parametrize("manner", ONE_BY_ONE, ids=str)
async def test_a_batch_is_done_and_billed_once_in_every_manner(
    service: Any, batch: Any, states: Any, manner: dict[str, Any]
) -> None:
    provider = await service(quirks=Quirks(dialect=Dialect(**manner)))
    night = batch(provider, 2)
    summary = await night.run()
    assert (summary.exit_code, provider.billed) == (0, 2), [row.error for row in night.results()]
    assert set(states(night).values()) == {"done"}


def test_a_plan_holds_a_dialect_and_what_is_offered(tmp_path: Path) -> None:
    plan = tmp_path / "gateway.yaml"
    plan.write_text("offers: [cancel]\ndialect: {envelope: data, words: synonyms, signed: 5}\n")
    quirks = read_plan(plan).quirks
    assert quirks.offers == {"cancel"}
    assert quirks.dialect == Dialect(envelope="data", words="synonyms", signed=5)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("dialect: {envelop: data}", "unknown manner 'envelop'; did you mean envelope?"),
        ("dialect: {words: shouted}", "words must be one of replicate, capitals, synonyms, not 'shouted'"),
        ("dialect: {signed: -1}", "signed must be a number of seconds, not -1"),
        ("dialect: data", "dialect must be names and values"),
        ("offers: list", "offers must be a list of"),
        ("offers: [lists]", "offers must be a list of"),
    ],
)
def test_a_manner_that_is_none_is_told(tmp_path: Path, line: str, said: str) -> None:
    plan = tmp_path / "gateway.yaml"
    plan.write_text(line + "\n")
    with pytest.raises(UsageError, match=r"gateway\.yaml: ") as caught:
        read_plan(plan)
    assert said in str(caught.value)


def test_the_usual_manner_is_the_first_of_each() -> None:
    for name, values in VALUES.items():
        check_manner(name, values[0])
        assert getattr(Dialect(), name) == values[0]
