"""Attack: a ledger of many different sigmas, which takes hours to charge and to verify."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ecg_flare.privacy import accountant
from ecg_flare.privacy.cohort import Cohort, Mechanism
from ecg_flare.privacy.events import GaussianEvent
from ecg_flare.privacy.ledger import Ledger, verify

COHORT = Cohort("c", "patient", ("a", "b", "c"), 1e-5, None)


def drawn(number: int, sigma: float, rate: float = 0.5) -> Mechanism:
    weights = dict.fromkeys(COHORT.roster, 1.0)
    return Mechanism("job", number, 0.01, sigma, weights, rate * 48, rate, "poisson", 48, unit="patient")


class Calls:
    """Counts what is computed anew."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.renyi = self.prv = 0
        divergence, losses = accountant.gaussian_divergence, accountant.epsilon_of_losses

        def count_renyi(*given: Any) -> Any:
            self.renyi += 1
            return divergence(*given)

        def count_prv(*given: Any, **named: Any) -> Any:
            self.prv += 1
            return losses(*given, **named)

        monkeypatch.setattr(accountant, "gaussian_divergence", count_renyi)
        monkeypatch.setattr(accountant, "epsilon_of_losses", count_prv)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Iterator[Calls]:
    forget()
    yield Calls(monkeypatch)
    forget()


def forget() -> None:
    accountant._one_divergence.cache_clear()
    accountant._epsilon_of_losses.cache_clear()


@pytest.mark.parametrize("number", [20, 40])
def test_each_kind_of_round_is_computed_once_and_prv_at_the_end(tmp_path: Path, calls: Calls, number: int) -> None:
    path = tmp_path / "ledger.jsonl"
    with Ledger(path, COHORT) as ledger:
        for index in range(2 * number):
            ledger.charge(drawn(index, 2.0 + index % number * 1e-3))
    assert (calls.renyi, calls.prv) == (number, 0)
    with Ledger(path, COHORT) as ledger:
        ledger.check_budget(drawn(0, 2.0), rounds=1000)
    assert (calls.renyi, calls.prv) == (number, 0)  # a job that goes on
    forget()
    calls.renyi = 0
    verify(path)
    assert (calls.renyi, calls.prv) == (number, 1)


def test_a_ledger_of_a_thousand_rounds_and_forty_sigmas_verifies_within_thirty_seconds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.fsync", lambda fd: None)  # the disk is not what is measured
    forget()
    path, started = tmp_path / "ledger.jsonl", time.process_time()
    with Ledger(path, COHORT) as ledger:
        for index in range(1000):
            ledger.charge(drawn(index, 2.0 + index % 40 * 1e-3, rate=0.1))
    assert time.process_time() - started < 30
    forget()
    started = time.process_time()
    told = verify(path)
    assert time.process_time() - started < 30
    assert told.spent.epsilon_prv is not None
    assert 0.9 * told.spent.epsilon_rdp < told.spent.epsilon_prv < told.spent.epsilon_rdp


def test_prv_is_withheld_where_it_would_take_minutes(calls: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    events = [GaussianEvent(2.0 + number * 1e-3, 0.5, 100) for number in range(5)]
    monkeypatch.setattr(accountant, "PRV_MAX_CELLS", 1_000_000)
    assert accountant.epsilon_prv(events[:1], 1e-5) is not None
    assert accountant.epsilon_prv(events, 1e-5) is None
    assert calls.prv == 1
