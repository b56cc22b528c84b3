"""How far one site can push a private masked round: no further than the patients that are plausibly drawn."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecg_flare.errors import UpdateError
from ecg_flare.federated.patients import IMPLAUSIBLE, max_drawn_weight, sum_of_drawn
from ecg_flare.federated.running_sum import RunningSum
from ecg_flare.federated.terms import JobTerms
from ecg_flare.flare.job.bundled import BUNDLED
from ecg_flare.flare.job.terms import subset
from ecg_flare.privacy.gaussian import ChaChaStream, gaussian_noise
from ecg_flare.privacy.secure_sum.encoding import FixedPoint
from flat_terms import flat_terms, varied

TERMS = BUNDLED["fedadam_dp"].terms
LARGE = varied(
    TERMS, patients=19_200, patients_per_site=6_400, sampling_rate=0.05, delta=1e-6, rounds=100, noise_multiplier=2.0
)


def encoding(terms: JobTerms) -> FixedPoint:
    fixed = terms.fixed_encoding(subset(terms).dimension)
    assert fixed is not None
    return fixed


def running_sum(terms: JobTerms, implausible: float | None = None) -> RunningSum:
    return RunningSum(
        subset(terms).dimension,
        terms.weights,
        encoding(terms),
        implausible=terms.implausible if implausible is None else implausible,
    )


def long_vector(terms: JobTerms, norm: float) -> np.ndarray:
    """All coordinates alike, together as long as `norm` clipping norms: what a site may put in that does not clip."""
    d = subset(terms).dimension
    return np.full(d, int(norm * encoding(terms).scale / math.sqrt(d)), np.int64)


def attack(terms: JobTerms, implausible: float | None = None) -> None:
    """One site puts in as much as all slots of all sites could hold: the triangle inequality's bound."""
    slots = terms.patients_per_site * len(terms.weights)
    running_sum(terms, implausible).add_total(terms.roster, long_vector(terms, slots))


@pytest.mark.parametrize("terms", [TERMS, LARGE])
def test_a_sum_of_more_patients_than_are_drawn_is_refused(terms: JobTerms) -> None:
    with pytest.raises(UpdateError, match=r"the sum's norm is \d+, above the bound \d+ of vectors that weigh"):
        attack(terms)


@pytest.mark.parametrize("terms", [TERMS, LARGE])
def test_without_the_guard_the_attack_goes_through(terms: JobTerms) -> None:
    attack(terms, implausible=0.0)  # the bound is all slots then, as it was before


@pytest.mark.parametrize("terms", [TERMS, LARGE])
def test_honest_sums_up_to_the_bound_pass_and_the_next_do_not(terms: JobTerms) -> None:
    most = max_drawn_weight(
        terms.weights.values(), terms.patients_per_site, terms.sampling_rate, chance=terms.implausible
    )
    running_sum(terms).add_total(terms.roster, long_vector(terms, most))
    with pytest.raises(UpdateError, match="above the bound"):
        running_sum(terms).add_total(terms.roster, long_vector(terms, most * 1.001))


def test_a_sum_knows_the_rate_of_the_draw_by_its_encoding() -> None:
    """Whoever makes a sum cannot forget to say it."""
    total = RunningSum(subset(TERMS).dimension, TERMS.weights, encoding(TERMS))
    with pytest.raises(UpdateError, match=r"above the bound .* of vectors that weigh 46 together"):
        total.add_total(TERMS.roster, long_vector(TERMS, 47))


def test_a_site_in_the_clear_is_held_to_its_own_draw() -> None:
    terms = varied(LARGE, summation="plain")
    most = max_drawn_weight([1.0], terms.patients_per_site, terms.sampling_rate, chance=terms.implausible)
    assert most < 0.1 * terms.patients_per_site
    running_sum(terms).add("site-1", long_vector(terms, most))
    with pytest.raises(UpdateError, match="site-1: the sum's norm"):
        running_sum(terms).add("site-1", long_vector(terms, most * 1.001))


def test_a_sum_that_is_opened_with_its_noise_is_held_to_the_noises_length_too() -> None:
    fixed, d = encoding(LARGE), subset(LARGE).dimension
    noise = gaussian_noise(d, fixed.noise_sd, ChaChaStream(bytes(32)))
    most = max_drawn_weight(
        LARGE.weights.values(), LARGE.patients_per_site, LARGE.sampling_rate, chance=LARGE.implausible
    )
    running_sum(LARGE).add_total(LARGE.roster, long_vector(LARGE, most) + noise, noised=True)
    with pytest.raises(UpdateError, match="above the bound"):
        running_sum(LARGE).add_total(LARGE.roster, long_vector(LARGE, 1.1 * most + 200) + noise, noised=True)


def test_the_hardest_honest_round_passes_however_it_is_drawn() -> None:
    """All patients ask for the same, as long as they may; the real draw, many times."""
    config = flat_terms(
        {"a": 1.0, "b": 0.5},
        2,
        clipping_norm=1.0,
        noise_multiplier=1.0,
        patients=40,
        patients_per_site=20,
        sampling_rate=0.3,
    )
    fixed, patients = config.patient_encoding(8), [f"{number}" for number in range(20)]
    for key in range(200):
        total = RunningSum(8, config.weights, fixed.fixed)
        for site, weight in config.weights.items():
            stream = ChaChaStream(bytes([*key.to_bytes(2, "big"), ord(site)] + [0] * 29))
            update = np.full(8, 9.0, np.float32)
            total.add(site, sum_of_drawn(patients, lambda _, u=update: u, weight, fixed, rate=0.3, stream=stream))


@given(
    st.lists(st.sampled_from([0.25, 0.5, 1.0, 3.0]), min_size=1, max_size=4),
    st.integers(1, 3),
    st.sampled_from([0.05, 0.3, 0.5, 0.9, 1.0]),
    st.sampled_from([0.2, 1e-2, 1e-4, IMPLAUSIBLE]),
)
def test_no_draw_weighs_more_but_for_the_chance(weights: list[float], slots: int, rate: float, chance: float) -> None:
    """Against every draw there is."""
    most = max_drawn_weight(weights, slots, rate, chance=chance)
    above = 0.0
    for drawn in itertools.product(range(slots + 1), repeat=len(weights)):
        if math.fsum(weight * count for weight, count in zip(weights, drawn, strict=True)) > most + 1e-9:
            above += math.prod(math.comb(slots, n) * rate**n * (1 - rate) ** (slots - n) for n in drawn)
    assert above <= chance * (1 + 1e-9)


def test_what_refusing_adds_to_delta_is_a_thousandth_of_it() -> None:
    assert TERMS.implausible == IMPLAUSIBLE
    assert LARGE.implausible < IMPLAUSIBLE
    for terms in (TERMS, LARGE, varied(LARGE, epsilon_budget=20.0)):
        assert terms.epsilon_budget is not None
        sums = terms.rounds * len(terms.weights)
        assert (1 + math.exp(terms.epsilon_budget)) * sums * terms.implausible <= 1.0000001e-3 * terms.delta
    assert varied(LARGE, epsilon_budget=1000.0).implausible == 0  # nothing is refused for a promise of nothing


@pytest.mark.parametrize(
    ("patients", "rate", "epsilon", "rounds", "delta", "most"),
    [
        (48, 0.5, 8.0, 3, 1e-4, 46),
        (300, 0.5, 8.0, 20, 1e-4, 212),
        (1_000, 0.1, 8.0, 100, 1e-5, 181),
        (19_000, 0.05, 8.0, 100, 1e-6, 1_202),
        (19_000, 0.5, 8.0, 20, 1e-6, 10_043),
    ],
)
def test_the_table_of_the_threat_model(
    patients: int, rate: float, epsilon: float, rounds: int, delta: float, most: int
) -> None:
    sites = 3 if patients == 48 else 10
    terms = varied(
        TERMS,
        weights={f"site-{number}": 1.0 for number in range(sites)},
        min_sites=sites,
        patients=patients,
        patients_per_site=patients // sites,
        sampling_rate=rate,
        epsilon_budget=epsilon,
        rounds=rounds,
        delta=delta,
    )
    assert max_drawn_weight(terms.weights.values(), patients // sites, rate, chance=terms.implausible) == most
