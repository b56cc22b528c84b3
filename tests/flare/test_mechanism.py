import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from nvflare.apis.dxo import DXO, from_shareable
from nvflare.apis.shareable import Shareable

from ecg_flare.errors import BudgetError, ConfigError, LedgerError, PrivacyError
from ecg_flare.flare.job.messages import SUM, model_sha256
from ecg_flare.flare.job.terms import RoundTerms
from ecg_flare.flare.server.mechanism import GaussianMechanism
from ecg_flare.flare.server.policy import LEDGER_FILE, ServerPolicy
from ecg_flare.privacy.ledger import verify

WEIGHTS = {"site-1": 1.0, "site-2": 1.0, "site-3": 1.0}
TERMS = RoundTerms(WEIGHTS, rounds=9, min_sites=1, clipping_norm=1.0, noise_multiplier=1.0, epsilon_budget=9.1)
D = 5000


def summed(dtype: type = np.int64) -> Shareable:
    return DXO(SUM, data={"sum": np.zeros(D, dtype)}, meta={"denominator": 3.0}).to_shareable()


@pytest.fixture
def mechanism(tmp_path: Path) -> Any:
    one = GaussianMechanism()
    one.open(TERMS, D, tmp_path)
    yield one
    one.close()


def test_noise_has_the_promised_deviation_and_is_paid_for_first(
    mechanism: GaussianMechanism, context: Callable[..., Any], tmp_path: Path
) -> None:
    mechanism.begin(0)
    noised = from_shareable(mechanism.process(summed(), context())).data["sum"]
    assert noised.dtype == np.int64
    sd = noised.std() / 2**24  # sigma * W * S with S = 2^24
    assert sd == pytest.approx(1.0, abs=5 / np.sqrt(2 * D))
    report = verify(tmp_path / LEDGER_FILE)
    assert not report.rounds[0].released
    assert report.spent.epsilon_rdp == pytest.approx(4.7285, abs=1e-4)
    model = np.ones(D, np.float32)
    mechanism.release(model)
    released = verify(tmp_path / LEDGER_FILE).rounds[0]
    assert released.released
    assert released.model_sha256 == model_sha256(model).hex()


def test_a_round_that_would_pass_the_budget_does_not_begin(
    mechanism: GaussianMechanism, context: Callable[..., Any]
) -> None:
    for index in range(3):  # epsilon 4.73, 7.08, 9.01; the fourth would be 10.73
        mechanism.begin(index)
        mechanism.process(summed(), context())
        mechanism.release(np.zeros(D, np.float32))
    with pytest.raises(BudgetError, match=r"9\.1"):
        mechanism.begin(3)
    assert mechanism.spent.epsilon_rdp == pytest.approx(9.01, abs=0.005)


def test_noise_goes_once_on_an_integer_sum_of_a_begun_round(
    mechanism: GaussianMechanism, context: Callable[..., Any]
) -> None:
    with pytest.raises(PrivacyError, match="not begun"):
        mechanism.process(summed(), context())
    mechanism.begin(0)
    with pytest.raises(PrivacyError, match="integer"):
        mechanism.process(summed(np.float64), context())
    with pytest.raises(PrivacyError, match="noise was not added"):
        mechanism.release(np.zeros(D, np.float32))
    mechanism.process(summed(), context())
    with pytest.raises(PrivacyError, match="once"):
        mechanism.process(summed(), context())


def test_a_later_job_of_the_cohort_goes_on_with_its_ledger(tmp_path: Path, context: Callable[..., Any]) -> None:
    path, policy = tmp_path / "cohort" / "ledger.jsonl", ServerPolicy(ledger="cohort/ledger.jsonl", cohort="north")
    for _ in range(2):
        one = GaussianMechanism()
        one.open(TERMS, D, tmp_path, policy=policy)
        one.begin(0)
        one.process(summed(), context())
        one.close()
    assert verify(path).spent.epsilon_rdp == pytest.approx(7.08, abs=0.005)
    other = replace(TERMS, weights={**WEIGHTS, "site-4": 1.0})
    joined = GaussianMechanism()
    joined.open(other, D, tmp_path, policy=policy)
    assert joined.spent == verify(path).spent  # a site joins: what was spent stays spent
    joined.close()
    assert verify(path).cohort.roster == (*TERMS.roster, "site-4")
    with pytest.raises(LedgerError, match="epsilon"):
        GaussianMechanism().open(replace(other, epsilon_budget=90.0), D, tmp_path, policy=policy)


def test_it_needs_an_open_ledger_and_a_budget(tmp_path: Path, context: Callable[..., Any]) -> None:
    with pytest.raises(PrivacyError, match="not open"):
        GaussianMechanism().begin(0)
    with pytest.raises(ConfigError, match="epsilon_budget"):
        GaussianMechanism().open(RoundTerms(WEIGHTS, 1, 1, clipping_norm=1.0), D, tmp_path)


def test_a_job_does_not_go_on_with_another_ledger_than_it_wrote(tmp_path: Path, context: Callable[..., Any]) -> None:
    first = GaussianMechanism()
    first.open(TERMS, D, tmp_path)
    first.begin(0)
    first.process(summed(), context())
    head = first.head
    first.close()
    again = GaussianMechanism()
    again.open(TERMS, D, tmp_path)
    again.require(head)
    again.close()
    shutil.rmtree((tmp_path / LEDGER_FILE).parent)
    fresh = GaussianMechanism()
    fresh.open(TERMS, D, tmp_path)
    with pytest.raises(LedgerError):
        fresh.require(head)
    fresh.close()
