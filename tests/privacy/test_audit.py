"""Audits of the real path: a right mechanism passes all of them, each of four faults is caught, and by which."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np
import pytest

from ecg_flare.errors import ConfigError, UpdateError
from ecg_flare.federated import audits as wiring
from ecg_flare.federated import round as federated_round
from ecg_flare.federated.audits import AuditedRound, audit_sensitivity, audited_round, run_audits, toy_training
from ecg_flare.federated.round import SiteUpdate
from ecg_flare.privacy.audit import (
    AuditResult,
    brute_force_sensitivity,
    gradient_inversion,
    inversion,
    many_trial_canary,
    membership_inference,
    one_shot_canaries,
)
from ecg_flare.privacy.audit.membership import area_under_curve, membership_scores
from ecg_flare.privacy.audit.one_shot import canary_scores
from ecg_flare.privacy.gaussian import ChaChaStream, Stream
from ecg_flare.privacy.secure_sum.encoding import FixedPoint
from flat_terms import flat_terms, varied

KEY = bytes(range(32))
ONE_SHOT, MANY, SENSITIVITY, INVERSION, MEMBERSHIP = (
    "one-shot canaries",
    "many-trial canary",
    "sensitivity",
    "gradient inversion",
    "membership inference",
)

Patch = pytest.MonkeyPatch


def audit(seed: int = 5) -> dict[str, AuditResult]:
    found = run_audits(
        "patient",
        noise_multiplier=1.0,
        delta=1e-5,
        dimension=10_000,
        canaries=200,
        trials=1000,
        candidates=1000,
        seed=seed,
        stream=ChaChaStream(seed.to_bytes(32)),
    )
    return {result.name: result for result in found}


def failed(found: dict[str, AuditResult]) -> set[str]:
    return {name for name, result in found.items() if not result.passed}


def halve_noise(patch: Patch) -> None:
    honest = federated_round.add_noise

    def halved(total: np.ndarray, fixed: FixedPoint, *, stream: Stream | None = None) -> np.ndarray:
        noise: np.ndarray = honest(total, fixed, stream=stream) - total
        return total + noise // 2

    patch.setattr(federated_round, "add_noise", halved)


def replace_contribution(patch: Patch, faulty: Callable[..., np.ndarray]) -> None:
    patch.setattr(federated_round, "contribution", faulty)
    patch.setattr(wiring, "contribution", faulty)


def clip_at_twice_the_norm(patch: Patch) -> None:
    honest = federated_round.contribution

    def faulty(update: SiteUpdate, *terms: object) -> np.ndarray:
        return 2 * honest(update / 2, *terms)  # type: ignore[arg-type]

    replace_contribution(patch, faulty)


def count_each_patient_twice(patch: Patch) -> None:
    honest = federated_round.contribution

    def faulty(update: SiteUpdate, *terms: object) -> np.ndarray:
        return 2 * honest(update, *terms)  # type: ignore[arg-type]

    replace_contribution(patch, faulty)


def leave_masks_out(patch: Patch) -> None:
    patch.setattr(inversion, "add_masks", lambda vector, masks: None)


def divide_by_those_who_came(patch: Patch) -> None:
    """The mean is over the sites in the sum, not over the roster."""
    honest = federated_round.RunningSum.mean

    def faulty(self: federated_round.RunningSum, total: np.ndarray, denominator: float | None = None) -> np.ndarray:
        return honest(self, total, float(len(self.sites)))

    patch.setattr(federated_round.RunningSum, "mean", faulty)


def test_the_right_mechanism_passes_every_audit() -> None:
    found = audit()
    assert set(found) == {ONE_SHOT, MANY, SENSITIVITY, INVERSION, MEMBERSHIP}
    assert failed(found) == set()
    # the claim of one release at noise multiplier 1, by the Gaussian mechanism's closed form
    assert found[ONE_SHOT].bound == pytest.approx(4.377, abs=1e-3)
    assert found[MEMBERSHIP].bound >= math.erf(0.5 / math.sqrt(2))  # no bound can be below the total variation


@pytest.mark.parametrize(
    ("break_it", "caught_by"),
    [
        (halve_noise, {ONE_SHOT, MANY}),
        (clip_at_twice_the_norm, {ONE_SHOT, MANY, SENSITIVITY}),
        (count_each_patient_twice, {ONE_SHOT, MANY, SENSITIVITY}),
        (leave_masks_out, {INVERSION}),
    ],
)
def test_a_fault_is_caught(break_it: Callable[[Patch], None], caught_by: set[str], monkeypatch: Patch) -> None:
    """The membership attack is weaker: it may see the first three or not."""
    break_it(monkeypatch)
    assert failed(audit()) - {MEMBERSHIP} == caught_by


def test_unit_site_passes_too() -> None:
    found = run_audits(
        "site", noise_multiplier=1.0, delta=1e-5, dimension=2000, canaries=40, trials=200, candidates=2, seed=6
    )
    results = {result.name: result for result in found}
    assert set(results) == {ONE_SHOT, MANY, SENSITIVITY, INVERSION}
    assert failed(results) == set()


def test_a_denominator_that_follows_the_answers_is_caught(monkeypatch: Patch) -> None:
    rng = np.random.default_rng(3)
    assert audit_sensitivity("site", noise_multiplier=1.0, rng=rng).passed
    divide_by_those_who_came(monkeypatch)
    assert not audit_sensitivity("site", noise_multiplier=1.0, rng=rng).passed


def sensitivity_of(units: dict[str, Iterable[str]]) -> AuditResult:
    path = audited_round("patient", units=3, dimension=50, noise_multiplier=1.0, sites=2)
    direction = np.full((1, 50), 5.0, np.float32)
    rows = {site: np.repeat(direction, len(list(held)), axis=0) for site, held in units.items()}
    return brute_force_sensitivity(
        path, rows, {site: list(held) for site, held in units.items()}, rng=np.random.default_rng(1)
    )


def test_a_patient_of_two_sites_is_caught() -> None:
    """No code is at fault here: the config promises what these data do not keep."""
    kept = sensitivity_of({"site-0": ("anna",), "site-1": ("bert",)})
    broken = sensitivity_of({"site-0": ("anna",), "site-1": ("bert", "anna")})
    assert kept.estimate == pytest.approx(kept.bound, rel=1e-5)
    assert kept.passed
    assert broken.estimate == pytest.approx(2 * broken.bound, rel=1e-5)
    assert not broken.passed


def test_a_patient_in_two_rows_of_a_site_is_caught() -> None:
    assert not sensitivity_of({"site-0": ("anna", "anna"), "site-1": ("bert",)}).passed


def test_the_canaries_shift_is_that_of_theory() -> None:
    """Andrew et al. 2023: the cosine's mean is 1 / sqrt(sigma^2 d + m), here over 20 runs of 100 canaries."""
    canaries, dimension, sigma = 100, 4000, 2.0
    path = audited_round("patient", units=canaries, dimension=dimension, noise_multiplier=sigma)
    stream, rng = ChaChaStream(KEY), np.random.default_rng(8)
    shifts = []
    for _ in range(20):
        shifts.append(canary_scores(path, canaries=canaries, rng=rng, stream=stream).mean())
    expected = math.sqrt(dimension) / math.sqrt(sigma**2 * dimension + canaries)
    assert np.mean(shifts) == pytest.approx(expected, abs=4 / math.sqrt(20 * canaries))


def test_rounds_compose_in_canaries_and_in_the_claim() -> None:
    once = audited_round("patient", units=200, dimension=5000, noise_multiplier=1.0)
    often = replace(once, terms=varied(once.terms, noise_multiplier=3.0))
    stream = ChaChaStream(KEY)
    one, nine = (
        one_shot_canaries(path, canaries=200, delta=1e-5, rounds=rounds, rng=np.random.default_rng(2), stream=stream)
        for path, rounds in ((once, 1), (often, 9))
    )
    assert nine.bound == pytest.approx(one.bound, rel=1e-9)  # nine releases at 3 sigma cost what one costs at sigma
    assert nine.estimate == pytest.approx(one.estimate, abs=1.5)
    assert nine.passed
    narrow = audited_round("patient", units=2, dimension=4, noise_multiplier=3.0, sites=2)
    assert many_trial_canary(narrow, trials=60, rounds=3, rng=np.random.default_rng(2), stream=stream).passed


def test_inversion_reads_the_plain_update_and_not_the_masked_one() -> None:
    path = audited_round("patient", units=2, dimension=5 * 901, noise_multiplier=1.0)
    plain = gradient_inversion(path, pixels=900, rng=np.random.default_rng(4), masked=False)
    masked = gradient_inversion(path, pixels=900, rng=np.random.default_rng(4))
    assert plain.estimate > 0.999
    assert not plain.passed
    assert masked.passed
    assert masked.bound == 5 / 30


def test_members_show_without_noise() -> None:
    path = toy_training(noise_multiplier=0.01, candidates=400)
    scores = membership_scores(path, candidates=400, rounds=5, rng=np.random.default_rng(4), stream=ChaChaStream(KEY))
    assert area_under_curve(*scores) > 0.95


def test_members_show_as_much_as_the_noise_allows() -> None:
    """Under noise multiplier 1 the best test's area is Phi(1 / sqrt(2)) = 0.760; others' data cost the attack some."""
    path = toy_training(noise_multiplier=1.0, candidates=1000)
    scores = membership_scores(path, candidates=1000, rounds=5, rng=np.random.default_rng(4), stream=ChaChaStream(KEY))
    assert 0.70 < area_under_curve(*scores) < 0.79


def test_a_refused_update_does_not_pass_for_privacy() -> None:
    path = audited_round("patient", units=1, dimension=10, noise_multiplier=1.0, sites=2)
    one, two = np.ones((1, 10), np.float32), np.ones((2, 10), np.float32)  # two are more than the round allows
    rows = {"site-0": lambda model: one, "site-1": lambda model: two}
    with pytest.raises(UpdateError, match="were refused"):
        path.release(np.zeros(10, np.float32), rows)


def test_audits_of_what_claims_nothing_are_refused() -> None:
    plain = AuditedRound(flat_terms({"a": 1.0}, 1), 10)
    with pytest.raises(ConfigError, match="without noise there is no claim"):
        _ = plain.fixed
    site = audited_round("site", units=2, dimension=100, noise_multiplier=1.0)
    with pytest.raises(ConfigError, match="audit unit patient"):
        membership_inference(site, candidates=10, rounds=1, rng=np.random.default_rng(0))
    for canaries in (1, 3, 6):  # too few, not even, too many
        with pytest.raises(ConfigError, match=f"{canaries} canaries over 2 sites"):
            one_shot_canaries(site, canaries=canaries, delta=1e-5, rng=np.random.default_rng(0))


def test_no_number_is_no_pass() -> None:
    assert not AuditResult("audit", math.nan, 1.0, 0.0, "").passed
