"""Attack: a site leaves or joins, and the cohort's budget begins anew. A cohort is its patients, not its roster."""

import contextlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ecg_flare.errors import BudgetError, LedgerError
from ecg_flare.privacy.chain import ChainWriter, read_chain
from ecg_flare.privacy.cohort import Cohort, Mechanism
from ecg_flare.privacy.ledger import Ledger, verify

COHORT = Cohort("cohort", "patient", ("a", "b", "c", "d"), 1e-5, 8.0)


def drawn(cohort: Cohort, round_index: int = 0) -> Mechanism:
    weights = dict.fromkeys(cohort.roster, 1.0)
    return Mechanism("job", round_index, 0.01, 1.0, weights, 24.0, 0.5, "poisson", 48, unit="patient")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "ledger.jsonl"
    with Ledger(path, COHORT) as ledger:
        ledger.charge(drawn(COHORT))
    return path


@pytest.mark.parametrize("roster", [("a", "b", "c"), ("a", "b", "c", "d", "e"), ("a", "b", "e")])
def test_what_was_spent_stays_spent_when_sites_come_and_go(path: Path, roster: tuple[str, ...]) -> None:
    before = verify(path).spent
    changed = replace(COHORT, roster=roster)
    with Ledger(path, changed) as ledger:
        assert ledger.spent() == before
        assert ledger.cohort == changed
    with Ledger(path, COHORT) as ledger:  # and back
        assert ledger.spent() == before
        ledger.charge(drawn(COHORT, 1))
        with pytest.raises(BudgetError, match="2 rounds are charged"):
            ledger.check_budget(drawn(COHORT), rounds=20)
    told = verify(path)
    assert told.rosters == {1: COHORT.roster, 3: roster, 4: COHORT.roster}
    assert told.spent.epsilon_rdp > before.epsilon_rdp


def test_a_budget_is_spent_once_whatever_the_roster(tmp_path: Path) -> None:
    """The attack: each change of the roster had a budget of its own."""
    rosters = [COHORT.roster[:number] for number in (4, 3, 4, 3, 4, 3)]
    together = rounds_charged(rosters, lambda number: tmp_path / "ledger.jsonl")
    assert sum(together) == rounds_charged(rosters[:1], lambda number: tmp_path / "one.jsonl")[0]
    without_guard = rounds_charged(rosters, lambda number: tmp_path / f"{number}.jsonl")  # as it was: start anew
    assert sum(without_guard) == 6 * sum(together)


def rounds_charged(rosters: list[tuple[str, ...]], path: Callable[[int], Path]) -> list[int]:
    """How many rounds each roster is allowed."""
    charged = []
    for number, roster in enumerate(rosters):
        cohort = replace(COHORT, roster=roster)
        with Ledger(path(number), cohort) as ledger:
            before = len(ledger.rounds)
            with contextlib.suppress(BudgetError):
                while True:
                    ledger.charge(drawn(cohort))
            charged.append(len(ledger.rounds) - before)
    return charged


def test_the_same_sites_in_another_order_are_no_change(path: Path) -> None:
    Ledger(path, replace(COHORT, roster=("d", "c", "b", "a"))).close()
    assert verify(path).rosters == {1: COHORT.roster}


@pytest.mark.parametrize("change", [{"epsilon_budget": 9.0}, {"delta": 1e-6}, {"unit": "site"}, {"name": "other"}])
def test_nothing_else_of_a_cohort_changes_with_its_roster(path: Path, change: dict[str, Any]) -> None:
    written = path.read_bytes()
    with pytest.raises(LedgerError, match=f"a cohort with {next(iter(change))} .*use the cohort's own values"):
        Ledger(path, replace(COHORT, roster=("a", "b", "c"), **change))
    assert path.read_bytes() == written


def test_a_round_belongs_to_the_roster_in_force_at_its_line(path: Path) -> None:
    smaller = replace(COHORT, roster=("a", "b", "c"))
    with Ledger(path, smaller) as ledger:
        with pytest.raises(LedgerError, match="d is not on the roster"):
            ledger.charge(drawn(COHORT, 1))
        ledger.charge(drawn(smaller, 1))
    entries = [json.loads(json.dumps(dict(line.entry))) for line in read_chain(path).lines]
    assert [entry["kind"] for entry in entries] == ["cohort", "charge", "roster", "charge"]
    for forged, named in (
        ({"to": ["a", "b"]}, "line 4: c is not on the roster"),
        ({"from": ["a", "b", "c"]}, "line 3: changes the roster from"),
        ({"to": ["d", "c", "b", "a"]}, "line 3: changes the roster from"),
        ({"to": ["a", "a"]}, "line 3: the roster is"),
        ({"to": []}, "line 3: the roster is"),
        ({"extra": 1}, "line 3: changes the roster"),
    ):
        lines = [*entries[:2], {**entries[2], **forged}, entries[3]]
        target = path.with_name("forged.jsonl")
        for file in path.parent.glob("forged*"):
            file.unlink()
        with ChainWriter(target) as chain:
            for entry in lines:
                chain.append(entry)
        with pytest.raises(LedgerError, match=named):
            verify(target)
