"""The audit of the deployed path: it passes an honest job, and sees faults in the processes that FLARE starts."""

import itertools
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from benchmarks.audit.planted import PLANTED

from ecg_flare.errors import ConfigError, PrivacyError
from ecg_flare.flare.deploy.deployed_audit import Design, Directions, audit_deployed, canary_directions, observe
from ecg_flare.privacy.accountant import epsilon_prv
from ecg_flare.privacy.audit.path import AuditResult
from ecg_flare.privacy.events import GaussianEvent

DESIGN = Design(seed=7)  # 11, 11 and 12 canaries are in: twice as many fit into the terms' bound of 24

CLAIMED = epsilon_prv([GaussianEvent(DESIGN.noise_multiplier, DESIGN.sampling_rate, DESIGN.rounds)], DESIGN.delta)


@pytest.fixture(scope="module")
def directions(tmp_path_factory: pytest.TempPathFactory) -> Directions:
    """Of the canaries from the first model, the same in all runs."""
    from ecg_flare.nnunet.kinds import plan_preset
    from ecg_flare.nnunet.plan import initial_vector

    return canary_directions(tmp_path_factory.mktemp("auditor"), initial_vector(plan_preset("tiny"), 0), DESIGN)


def audit(folder: Path, design: Design, directions: Directions) -> dict[str, AuditResult]:
    results = audit_deployed(folder, design, app=PLANTED, directions=directions)
    return {result.name.removeprefix("one-run "): result for result in results}


def failed(results: dict[str, AuditResult]) -> set[str]:
    return {name for name, result in results.items() if not result.passed}


@pytest.mark.slow
def test_an_honest_job_passes_and_runs_what_jobs_run(
    tmp_path: Path, directions: Directions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With each of these functions made to raise, the job would end with an error: nothing of ours catches it."""
    calls = tmp_path / "calls"
    monkeypatch.setenv("AUDIT_FAULT", "count")
    monkeypatch.setenv("AUDIT_CALLS", str(calls))
    results = audit(tmp_path, DESIGN, directions)
    assert failed(results) == set()
    assert results["contribution"].estimate > 0.1  # the audit has eyes: it finds some of the 0.8
    assert results["noise"].estimate > 0.95
    assert results["epsilon"].bound == pytest.approx(CLAIMED, rel=1e-6)
    each, sites = DESIGN.rounds, DESIGN.rounds * 3
    assert Counter(calls.read_text().split()) == {
        "train_drawn_patients": sites,
        "sum_of_drawn": sites,
        "poisson_sample": sites,
        "charge_round": sites,
        "SecureSumClient.answer_sealed_shares": sites,
        "MaskedCollection.collect": each,
        "AdmittedRound.charge": each,
        "add_noise": each,
    }
    _what_is_missing_is_never_passed(tmp_path, directions)


def _what_is_missing_is_never_passed(folder: Path, directions: Directions) -> None:
    """On the honest run's own files: a model that the ledger does not know, and a release that is gone."""
    model = folder / "models" / "model-2.npy"
    kept = model.read_bytes()
    np.save(model, np.load(model) + np.float32(1e-3))
    with pytest.raises(PrivacyError, match="the ledger tells of the releases"):
        observe(folder, DESIGN, directions)
    model.unlink()
    with pytest.raises(PrivacyError, match=r"released no model-2\.npy: expected 6 rounds"):
        observe(folder, DESIGN, directions)
    model.write_bytes(kept)
    with pytest.raises(PrivacyError, match=r"released no model-7\.npy: expected 7 rounds"):
        observe(folder, replace(DESIGN, rounds=7), directions)


@pytest.mark.slow
def test_noise_halved_in_the_mechanism_is_caught(
    tmp_path: Path, directions: Directions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUDIT_FAULT", "half_noise")
    results = audit(tmp_path, replace(DESIGN, rounds=2), directions)
    assert "noise" in failed(results)
    assert "contribution" not in failed(results)
    assert results["noise"].estimate == pytest.approx(2.0, abs=0.1)


@pytest.mark.slow
def test_a_patient_who_is_drawn_under_two_names_is_caught(
    tmp_path: Path, directions: Directions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUDIT_FAULT", "two_names")
    results = audit(tmp_path, DESIGN, directions)
    assert "contribution" in failed(results)
    assert "noise" not in failed(results)


@pytest.mark.slow
def test_a_job_that_fails_is_never_passed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUDIT_FAULT", "raise:MaskedCollection.collect")
    with pytest.raises(PrivacyError, match="nothing was audited"):
        audit_deployed(tmp_path, DESIGN, app=PLANTED)


def test_the_coins_are_the_auditors_and_fair() -> None:
    coins = np.stack([Design(canaries=64, seed=seed).coins for seed in range(50)])
    assert coins.mean() == pytest.approx(0.5, abs=0.02)
    assert abs(np.corrcoef(coins[:-1].ravel(), coins[1:].ravel())[0, 1]) < 0.05
    assert sorted(itertools.chain.from_iterable(DESIGN.patients.values())) == np.flatnonzero(DESIGN.coins).tolist()


@pytest.mark.parametrize("change", [{"canaries": 3}, {"canaries": 4, "seed": 2}])
def test_a_design_that_tells_nothing_is_refused(change: dict[str, int]) -> None:
    with pytest.raises(ConfigError):
        replace(DESIGN, **change)
