import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from ecg_flare.errors import ConfigError, PlanMismatchError, PrivacyError
from ecg_flare.federated.promise import mechanism_of, privacy_text
from ecg_flare.federated.terms import JobTerms
from ecg_flare.flare.job.messages import TrainRequest
from ecg_flare.flare.job.terms import check_job, check_request, fresh_nonce, in_request, put, subset, take, update_size
from ecg_flare.privacy.adaptive_clipping import AdaptiveClipping
from ecg_flare.privacy.cohort import Adaptation
from flat_terms import flat_terms

WEIGHTS = {"site-1": 1.0, "site-2": 1.0, "site-3": 0.5}


PATIENTS = {
    "unit": "patient",
    "patients": 20,
    "patients_per_site": 8,
    "sampling_rate": 0.5,
    "clipping_norm": 1.0,
    "noise_multiplier": 2.0,
    "epsilon_budget": 8.0,
}


def terms(**changes: Any) -> JobTerms:
    return flat_terms(**{"weights": WEIGHTS, "rounds": 3, "min_sites": 2, **changes})


MANY = {f"site-{index}": 1.0 for index in range(30)}


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"min_sites": 4}, "min_sites is 4"),
        ({"min_sites": 0}, "min_sites is 0"),
        ({"rounds": 0}, "rounds is 0"),
        ({"weights": {"a": 1.0, "b": -1.0}}, "weight of b is -1.0"),
        ({"weights": {}, "min_sites": 1}, "min_sites is 1"),
        ({"clipping_norm": 0.0}, "clipping_norm is 0.0"),
        ({"clipping_norm": float("nan")}, "clipping_norm is nan"),
        ({"clipping_norm": 1.0, "noise_multiplier": -1.0, "epsilon_budget": 8.0}, "noise_multiplier is -1.0"),
        ({"noise_multiplier": 1.0, "epsilon_budget": 8.0}, "clipping is None"),
        ({"clipping_norm": 1.0, "noise_multiplier": 1.0}, "needs an epsilon_budget"),
        ({"clipping_norm": 1.0, "noise_multiplier": 1.0, "delta": 1.0}, "delta is 1.0"),
        (PATIENTS | {"delta": 0.05}, "delta is 0.05 for 20 patients, expected it below 1 / 20"),
        ({"nonce": "ab" * 15}, "nonce is 'abab"),
        ({"nonce": "x" * 32}, "nonce is 'xx"),
        ({"nonce": None}, "nonce is None"),
        ({"clipping_norm": 1.0, "noise_multiplier": 1.0, "epsilon_budget": -1.0}, "epsilon_budget is -1.0"),
        ({"patients": 3, "clipping_norm": 1.0}, "privacy is None"),
        (PATIENTS | {"sampling_rate": 0.0}, "sampling_rate is 0.0"),
        (PATIENTS | {"patients_per_site": 0}, "patients_per_site is 0"),
        (PATIENTS | {"patients": 25}, "patients is 25, but 3 sites of at most patients_per_site=8"),
        ({"summation": "hidden"}, "summation is 'hidden'"),
        ({"summation": "masked", "min_sites": 3}, "clipping is None"),
        ({"summation": "masked", "min_sites": 2, "clipping_norm": 1.0}, "expected at least 3"),
        (
            {"summation": "masked", "clipping_norm": 1.0, "ring_bits": 8, "weights": MANY, "min_sites": 30},
            "words of 8 bits let each of 30 vectors",
        ),
        (
            {"summation": "masked", "clipping_norm": 1.0, "weights": {"a": 1.0, "b": 1.0}, "min_sites": 2},
            "over 2 sites, expected at least 3",
        ),
    ],
)
def test_impossible_terms_are_refused_by_name(changes: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigError, match=named.replace("(", r"\(")):
        check_job(terms(**changes))


@pytest.mark.parametrize(("sites", "least"), [(4, 3), (5, 4), (10, 7)])
def test_masked_threshold_is_two_thirds_and_one(sites: int, least: int) -> None:
    weights = {f"site-{i}": 1.0 for i in range(sites)}
    terms(weights=weights, summation="masked", clipping_norm=1.0, min_sites=least)
    with pytest.raises(ConfigError, match=f"expected at least {least}"):
        terms(weights=weights, summation="masked", clipping_norm=1.0, min_sites=least - 1)


def test_digest_changes_with_every_term() -> None:
    base = terms(clipping_norm=1.0)
    changed = [
        terms(clipping_norm=1.0, rounds=4),
        terms(clipping_norm=2.0),
        terms(clipping_norm=1.0, weights={**WEIGHTS, "site-3": 0.25}),
        terms(clipping_norm=1.0, noise_multiplier=1.0, epsilon_budget=8.0, delta=1e-6),
        terms(clipping_norm=1.0, plan="small"),
        terms(clipping_norm=1.0, nonce=fresh_nonce()),
        terms(clipping_norm=1.0, nonce=fresh_nonce()),
        terms(clipping_norm=1.0, nonce="0" * 32),
        terms(clipping_norm=1.0, noise_multiplier=1.0, epsilon_budget=8.0),
    ]
    assert len({base.digest, *(one.digest for one in changed)}) == 10
    assert terms(clipping_norm=1.0).digest == base.digest


def test_denominator_is_the_whole_roster() -> None:
    assert terms().denominator == 2.5
    assert terms().roster == ("site-1", "site-2", "site-3")


def test_under_unit_patient_the_promise_names_rate_denominator_and_sensitivity() -> None:
    hidden = terms(**PATIENTS)
    assert hidden.denominator == 10.0
    assert privacy_text(hidden) == ("sigma=2.0 delta=1e-05 unit=patient rate=0.5 denominator=10.0 sensitivity=1.0")
    assert privacy_text(terms(**PATIENTS, shared_patients=True)).endswith("sensitivity=2.5")
    told = mechanism_of(hidden, "job-1", 2)
    assert (told.sampling, told.sampling_rate, told.patients, told.denominator) == ("poisson", 0.5, 20, 10.0)
    assert told.events == hidden.events


def request(**changes: Any) -> TrainRequest:
    return replace(TrainRequest(np.zeros(2, np.float32), 0, "a" * 32, "layout", "plan", terms().digest), **changes)


@pytest.mark.parametrize(
    ("changes", "error", "named"),
    [
        ({"terms_digest": "f" * 64}, PrivacyError, "ffffffffffff"),
        ({"plan_hash": "other"}, PlanMismatchError, "plan other"),
        ({"layout_digest": "other"}, PlanMismatchError, "layout other"),
        ({"round_index": 3}, PrivacyError, "round 3"),
        ({"round_index": -1}, PrivacyError, "round -1"),
    ],
)
def test_a_site_refuses_what_it_did_not_agree_to(changes: dict[str, Any], error: type, named: str) -> None:
    check_request(terms(), request(), plan_hash="plan", layout_digest="layout")
    with pytest.raises(error, match=named):
        check_request(terms(), request(**changes), plan_hash="plan", layout_digest="layout")


FOLLOWING = {"quantile": 0.5, "rate": 0.2, "count_noise": 4.0, "least": 0.1, "most": 3.0}
ADAPTIVE = PATIENTS | {"weights": dict.fromkeys(WEIGHTS, 1.0), "adaptive_clipping": FOLLOWING}


def test_the_norm_of_a_round_follows_from_the_terms_and_the_shares_told_so_far() -> None:
    hidden = terms(**ADAPTIVE)
    assert hidden.max_clipping_norm == 3.0
    start = in_request(hidden, request(clipping_norm=1.0))
    assert start == hidden
    third = in_request(hidden, request(clipping_norm=math.exp(-0.05), shares=(1.0, 0.25), round_index=2))
    assert third.clipping_norm == math.exp(-0.05)
    assert third.events == hidden.events
    stretch = 1 / math.sqrt(1 - (2 / 8) ** 2)  # sigma 2, count noise 4
    assert third.sensitivity == pytest.approx(math.exp(-0.05) * stretch)
    assert privacy_text(third.after(())) != privacy_text(hidden)
    told = mechanism_of(hidden, "job-1", 2, clipping_norm=math.exp(-0.05), follows=9)
    assert told.adaptation == Adaptation(AdaptiveClipping(**FOLLOWING), 1.0, 9)
    assert told.sensitivity == third.sensitivity
    assert in_request(terms(**PATIENTS), request()) == terms(**PATIENTS)


@pytest.mark.parametrize(
    "changes",
    [
        {"clipping_norm": None},
        {"clipping_norm": 1.1},
        {"clipping_norm": 1.0, "shares": (1.0,), "round_index": 1},
        {"clipping_norm": math.exp(-0.1), "shares": (1.0,), "round_index": 0},
        {"clipping_norm": math.exp(-0.3), "shares": (2.0,), "round_index": 1},
        {"clipping_norm": math.nan},
    ],
)
def test_a_site_refuses_a_norm_that_the_server_chose(changes: dict[str, Any]) -> None:
    with pytest.raises(PrivacyError):
        in_request(terms(**ADAPTIVE), request(**changes))


def test_a_site_refuses_an_adaptive_norm_that_nobody_agreed_on() -> None:
    with pytest.raises(PrivacyError, match=r"clips to 1\.0; .* lead to None"):
        in_request(terms(**PATIENTS), request(clipping_norm=1.0))


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"adaptive_clipping": {"quantile": 0.5}}, "adaptive is"),
        ({"projection": {"size": 10}}, "projection is"),
        ({"projection": {"size": 0, "seed": 1}}, "size is 0"),
        ({"projection": {"size": 121_349, "seed": 1}}, "size is 121349, above the 121348 trained"),
        ({"adaptive_clipping": FOLLOWING | {"most": 0.5}}, "clipping_norm is 1.0, expected it within"),
        ({"adaptive_clipping": FOLLOWING | {"count_noise": 1.0}}, "count_noise is 1.0"),
        ({"weights": WEIGHTS}, "weights differ"),
    ],
)
def test_impossible_adaptive_terms_are_refused_by_name(changes: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        check_job(terms(**(ADAPTIVE | changes)))


def test_weight_of_a_stranger_is_refused() -> None:
    with pytest.raises(ConfigError, match="site-9"):
        terms().weight_of("site-9")


def test_an_update_is_of_the_trained_tensors_alone() -> None:
    terms = flat_terms({"site-1": 1.0}, 1, 1, trained=["decoder.seg_layers.2.*"])
    everything = flat_terms({"site-1": 1.0}, 1, 1)
    model = np.arange(subset(everything).dimension, dtype=np.float32)
    part = take(terms, model)
    assert update_size(terms, len(model)) == len(part) < 100
    moved = put(terms, model, part + 1)
    assert np.array_equal(take(terms, moved), part + 1)
    assert np.count_nonzero(moved != model) == len(part)
    assert terms == flat_terms({"site-1": 1.0}, 1, 1, trained=("decoder.seg_layers.2.*",))
    assert terms.digest != everything.digest
    assert take(everything, model) is model


@pytest.mark.parametrize("wrong", ["decoder.*", [], ["encoder.stages.9.*"]])
def test_patterns_of_no_tensor_are_refused(wrong: Any) -> None:
    with pytest.raises(ConfigError, match=r"encoder\.stages\.9|trained"):
        check_job(flat_terms({"site-1": 1.0}, 1, 1, trained=wrong))
