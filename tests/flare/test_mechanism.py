import inspect
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from ecg_flare.errors import BudgetError, ConfigError, LedgerError, PrivacyError
from ecg_flare.federated.optimizers import FedAvg
from ecg_flare.federated.round import OpenRound, RoundResult
from ecg_flare.flare.job.messages import model_sha256
from ecg_flare.flare.server.mechanism import AdmittedRound, ChargedRound, CohortLedger, GaussianMechanism
from ecg_flare.flare.server.policy import LEDGER_FILE, ServerPolicy
from ecg_flare.privacy.ledger import verify
from flat_terms import flat_terms, varied

WEIGHTS = {"site-1": 1.0, "site-2": 1.0, "site-3": 1.0}
TERMS = flat_terms(WEIGHTS, rounds=9, min_sites=1, clipping_norm=1.0, noise_multiplier=1.0, epsilon_budget=9.1)
D = 5000


def opened(root: Path, terms=TERMS, **options) -> CohortLedger:
    return GaussianMechanism().open(terms, D, root, **options)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[CohortLedger]:
    one = opened(tmp_path)
    yield one
    one.close()


def closed(charged: ChargedRound) -> RoundResult:
    """A round in which one site sent zeros."""
    model = np.zeros(D, np.float32)
    one = OpenRound(TERMS, model, FedAvg().init(D), FedAvg())
    one.add("site-1", np.zeros(D, np.int32))
    return one.close(lambda total: total + charged.noise)


def test_noise_has_the_promised_deviation_and_is_paid_for_first(ledger: CohortLedger, tmp_path: Path) -> None:
    charged = ledger.begin("job", 0).charge()
    assert charged.noise.dtype == np.int64
    sd = charged.noise.std() / 2**24  # sigma * W * S with S = 2^24
    assert sd == pytest.approx(1.0, abs=5 / np.sqrt(2 * D))
    report = verify(tmp_path / LEDGER_FILE)
    assert not report.rounds[0].released
    assert report.spent.epsilon_rdp == pytest.approx(4.7285, abs=1e-4)
    model = np.ones(D, np.float32)
    charged.release(model, closed(charged))
    released = verify(tmp_path / LEDGER_FILE).rounds[0]
    assert released.released
    assert released.model_sha256 == model_sha256(model).hex()


def test_the_noise_is_on_disk_as_a_charge_before_it_is_drawn(
    ledger: CohortLedger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_noise(*args: object) -> None:
        assert len(verify(tmp_path / LEDGER_FILE).rounds) == 1
        raise MemoryError

    admitted = ledger.begin("job", 0)
    assert not verify(tmp_path / LEDGER_FILE).rounds
    monkeypatch.setattr("ecg_flare.flare.server.mechanism.add_noise", no_noise)
    with pytest.raises(MemoryError):
        admitted.charge()
    with pytest.raises(PrivacyError, match="charged already"):
        admitted.charge()


def test_a_round_that_would_pass_the_budget_does_not_begin(ledger: CohortLedger) -> None:
    for index in range(3):  # epsilon 4.73, 7.08, 9.01; the fourth would be 10.73
        charged = ledger.begin("job", index).charge()
        charged.release(np.zeros(D, np.float32), closed(charged))
    with pytest.raises(BudgetError, match=r"9\.1"):
        ledger.begin("job", 3)
    assert ledger.spent.epsilon_rdp == pytest.approx(9.01, abs=0.005)


def test_each_step_is_had_from_the_one_before_it_alone(ledger: CohortLedger) -> None:
    assert inspect.signature(CohortLedger.begin, eval_str=False).return_annotation == "AdmittedRound"
    admitted = ledger.begin("job", 0)
    assert not hasattr(admitted, "release")
    assert not hasattr(admitted, "noise")
    assert not hasattr(ledger, "charge")
    assert isinstance(admitted, AdmittedRound)
    admitted.charge()
    with pytest.raises(PrivacyError, match="once"):
        admitted.charge()


def test_a_later_job_of_the_cohort_goes_on_with_its_ledger(tmp_path: Path) -> None:
    path, policy = tmp_path / "cohort" / "ledger.jsonl", ServerPolicy(ledger="cohort/ledger.jsonl", cohort="north")
    for _ in range(2):
        one = opened(tmp_path, policy=policy)
        one.begin("job", 0).charge()
        one.close()
    assert verify(path).spent.epsilon_rdp == pytest.approx(7.08, abs=0.005)
    other = varied(TERMS, weights={**WEIGHTS, "site-4": 1.0})
    joined = opened(tmp_path, other, policy=policy)
    assert joined.spent == verify(path).spent  # a site joins: what was spent stays spent
    joined.close()
    assert verify(path).cohort.roster == (*TERMS.roster, "site-4")
    with pytest.raises(LedgerError, match="epsilon"):
        opened(tmp_path, varied(other, epsilon_budget=90.0), policy=policy)


def test_it_needs_noise_and_a_budget(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="privacy None"):
        opened(tmp_path, flat_terms(WEIGHTS, 1, 1, clipping_norm=1.0))
    with pytest.raises(ConfigError, match="epsilon_budget"):
        opened(tmp_path, flat_terms(WEIGHTS, 1, 1, clipping_norm=1.0, noise_multiplier=1.0))


def test_a_job_does_not_go_on_with_another_ledger_than_it_wrote(tmp_path: Path) -> None:
    first = opened(tmp_path)
    first.begin("job", 0).charge()
    head = first.head
    first.close()
    again = opened(tmp_path)
    again.require(head)
    again.close()
    shutil.rmtree((tmp_path / LEDGER_FILE).parent)
    fresh = opened(tmp_path)
    with pytest.raises(LedgerError):
        fresh.require(head)
    fresh.close()
