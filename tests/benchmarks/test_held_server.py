"""The server of `benchmarks.faults` stands still where it is told to, with the ledger as docs/faults.md says."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from benchmarks.faults.app import faulty_site
from benchmarks.faults.app.faulty_site import HeldMechanism

from ecg_flare.federated.optimizers import FedAvg
from ecg_flare.federated.round import OpenRound
from ecg_flare.flare.server.mechanism import CohortLedger
from ecg_flare.flare.server.policy import LEDGER_FILE
from ecg_flare.privacy.ledger import verify
from flat_terms import flat_terms

D = 10
TERMS = flat_terms(
    {"site-1": 1.0, "site-2": 1.0, "site-3": 1.0},
    rounds=3,
    min_sites=1,
    clipping_norm=1.0,
    noise_multiplier=1.0,
    epsilon_budget=100.0,
)


@pytest.fixture
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[CohortLedger]:
    monkeypatch.setenv("FAULTS", str(tmp_path))
    (tmp_path / "go").touch()
    one = HeldMechanism().open(TERMS, D, tmp_path)
    yield one
    one.close()


def run(ledger: CohortLedger, index: int) -> None:
    opened = OpenRound(TERMS, np.zeros(D, np.float32), FedAvg().init(D), FedAvg())
    opened.add("site-1", np.zeros(D, np.int32))
    charged = ledger.begin("job", index).charge()
    result = opened.close(lambda total: total + charged.noise)
    charged.release(result.model, result)


@pytest.mark.parametrize(("phase", "charged", "released"), [("noise", 1, 1), ("release", 2, 2)])
def test_the_server_stands_still_before_the_charge_and_after_the_release(
    phase: str, charged: int, released: int, ledger: CohortLedger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def look(name: str) -> None:
        rounds = verify(tmp_path / LEDGER_FILE).rounds
        seen.append((name, len(rounds), sum(each.released for each in rounds)))

    monkeypatch.setattr(faulty_site, "mark", look)
    (tmp_path / "hold.json").write_text(json.dumps({"party": "server", "phase": phase, "round": 1}))
    run(ledger, 0)
    assert seen == []
    run(ledger, 1)
    assert seen == [("reached", charged, released)]
