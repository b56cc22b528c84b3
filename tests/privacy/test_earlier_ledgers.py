"""Ledgers as earlier versions wrote them: no unit in a charge, and a PRV figure in each line."""

from pathlib import Path
from typing import Any

import pytest

from ecg_flare.errors import LedgerError
from ecg_flare.privacy.accountant import spent
from ecg_flare.privacy.chain import ChainWriter
from ecg_flare.privacy.cohort import Cohort, Mechanism
from ecg_flare.privacy.events import GaussianEvent
from ecg_flare.privacy.ledger import Ledger, verify

COHORT = Cohort("consortium", "patient", ("site-1", "site-2"), delta=1e-5, epsilon_budget=8.0)
WEIGHTS = {"site-1": 1.0, "site-2": 1.0}
# Epsilon of 1 to 4 rounds at sigma 2 and rate 0.3, written by version 0.1 with opacus 1.6.0
PRV = (0.9592, 1.2283, 1.4382, 1.6177)


def write(path: Path, *, told: tuple[float | None, ...] = PRV) -> Path:
    with ChainWriter(path) as chain:
        cohort = {"name": "consortium", "unit": "patient", "roster": list(COHORT.roster), "delta": 1e-5}
        chain.append({**cohort, "epsilon_budget": 8.0, "adjacency": "add-remove", "kind": "cohort", "time": "then"})
        for number, prv in enumerate(told):
            rdp = spent([GaussianEvent(2.0, 0.3, number + 1)], 1e-5).epsilon_rdp
            charge: dict[str, Any] = {"job": "job", "round": number, "clipping_norm": 0.5, "noise_multiplier": 2.0}
            charge |= {"weights": WEIGHTS, "denominator": 6.0, "sampling_rate": 0.3, "sampling": "poisson"}
            charge |= {"patients": 20, "shared_patients": False, "adaptation": None, "sensitivity": 0.5}
            charge["spent"] = {"delta": 1e-5, "epsilon_rdp": rdp, "epsilon_prv": prv}
            chain.append({**charge, "kind": "charge", "time": "then"})
    return path


def test_it_holds_and_later_jobs_go_on(tmp_path: Path) -> None:
    path = write(tmp_path / "ledger.jsonl")
    told = verify(path)
    assert [one.mechanism.unit for one in told.rounds] == ["patient"] * 4
    assert [one.spent.epsilon_prv for one in told.rounds] == list(PRV)
    assert told.spent.epsilon_prv == pytest.approx(PRV[-1], abs=5e-4)
    with Ledger(path, COHORT) as ledger:
        mechanism = told.rounds[0].mechanism
        charged = ledger.charge(mechanism)
        assert charged.spent.epsilon_prv is None  # with sampling it is told of all lines together
        both = Mechanism("job", 5, 0.5, 20.0, WEIGHTS, 2.0, unit="site")
        ledger.charge(both)
    assert len(verify(path).rounds) == 6


@pytest.mark.parametrize(
    ("told", "named"),
    [
        ((*PRV[:3], 1.45), "line 5: .*recomputing gives a PRV of 1.61"),
        ((*PRV[:3], 1.75), "line 5: .*recomputing gives a PRV of 1.61"),
        ((PRV[0], 0.5, *PRV[2:]), "line 3: claims"),  # it fell
        ((PRV[0], 2.0, *PRV[2:]), "line 3: claims"),  # it passed the guarantee
        ((*PRV[:2], 1.0, None), "line 4: claims"),
    ],
)
def test_a_forged_prv_figure_is_found(tmp_path: Path, told: tuple[float | None, ...], named: str) -> None:
    with pytest.raises(LedgerError, match=named):
        verify(write(tmp_path / "ledger.jsonl", told=told))


def test_a_line_without_one_needs_none(tmp_path: Path) -> None:
    assert verify(write(tmp_path / "ledger.jsonl", told=(*PRV[:2], None, None))).spent.epsilon_prv is not None


@pytest.mark.parametrize(
    "entry",
    [
        ["charge"],
        {"kind": "charge"},
        {"kind": "charge", "spent": None, "sensitivity": 1},
        {"kind": "charge", "spent": {"delta": 1e-5, "epsilon_rdp": "1", "epsilon_prv": None}, "sensitivity": 1},
        {"kind": ["charge"]},
        {"kind": "release", "charge": []},
        {"kind": "roster", "from": 1, "to": 2},
    ],
)
def test_an_entry_of_any_other_form_is_named_by_its_line(tmp_path: Path, entry: Any) -> None:
    path = write(tmp_path / "ledger.jsonl", told=PRV[:1])
    with ChainWriter(path) as chain:
        chain.append(entry)
    with pytest.raises(LedgerError, match="line 3: "):
        verify(path)


@pytest.mark.parametrize("changes", [{"weights": [1.0]}, {"noise_multiplier": 1e-200}, {"patients": "20"}])
def test_a_charge_of_impossible_values_is_named_by_its_line(tmp_path: Path, changes: dict[str, Any]) -> None:
    path = write(tmp_path / "ledger.jsonl", told=PRV[:1])
    with ChainWriter(path) as chain:
        chain.append({**dict(chain.lines[1].entry), **changes})
    with pytest.raises(LedgerError, match="line 3: "):
        verify(path)
