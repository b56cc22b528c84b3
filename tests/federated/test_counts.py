"""Counts are summed exactly, and no patient moves the sum by more than the sensitivity that the noise is for."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecg_flare.errors import SiteDataError, UpdateError
from ecg_flare.federated.counts import CaseCounts, counts_of_cases, counts_of_patients, exact_bound
from ecg_flare.federated.round import contribution
from ecg_flare.federated.terms import JobTerms
from ecg_flare.privacy.gaussian import ChaChaStream
from flat_terms import flat_terms

D = 7
BOUND = 2.0
WEIGHTS = dict.fromkeys(("a", "b", "c"), 1.0)
MASKED = flat_terms(WEIGHTS, min_sites=3, clipping_norm=exact_bound(BOUND, 100), summation="masked")


def private(**changes: object) -> JobTerms:
    return flat_terms(
        WEIGHTS,
        min_sites=3,
        summation="masked",
        **{"clipping_norm": BOUND, "noise_multiplier": 1.0, "patients": 30, "patients_per_site": 10, **changes},
    )


def cases(vectors: list[list[float]], patients: list[str] | None = None) -> list[CaseCounts]:
    named = patients or [f"p{index}" for index in range(len(vectors))]
    return [CaseCounts(f"c{i}", p, np.array(v, float)) for i, (p, v) in enumerate(zip(named, vectors, strict=True))]


WHOLE = st.lists(st.lists(st.integers(0, 1), min_size=D, max_size=D), min_size=2, max_size=30)


@given(WHOLE)
def test_whole_counts_come_through_fixed_point_exactly(counted: list[list[int]]) -> None:
    update = counts_of_cases(cases(counted), MASKED, D)
    fixed = MASKED.fixed_encoding(D)
    assert fixed is not None
    integers = contribution(update, 1.0, MASKED, D).astype(np.int64)
    np.testing.assert_array_equal(fixed.decode(integers, 1.0), np.sum(counted, axis=0))


@given(st.integers(2, 40), st.integers(0, 2**31))
def test_fractions_lose_no_more_than_a_unit_of_any_running_sum(count: int, seed: int) -> None:
    vectors = np.random.default_rng(seed).dirichlet(np.ones(D), count)
    fixed = MASKED.fixed_encoding(D)
    assert fixed is not None
    unit = fixed.clipping_norm / fixed.scale
    update = counts_of_cases(cases(vectors.tolist()), MASKED, D)
    integers = contribution(update, 1.0, MASKED, D).astype(np.int64)
    off = np.cumsum(fixed.decode(integers, 1.0)) - np.cumsum(vectors.sum(0))
    assert np.abs(off).max() <= unit * (0.5 + 1e-6)


def test_the_bound_is_a_power_of_two_that_all_cases_fit_under() -> None:
    assert exact_bound(math.sqrt(11), 1000) == 4096
    assert exact_bound(1.0, 64) == 64
    vectors = [[BOUND, *[0] * (D - 1)]] * 128
    counts_of_cases(cases(vectors), MASKED, D)
    with pytest.raises(SiteDataError, match=r"129 cases have the norm 258, the job allows 256.*--max-cases"):
        counts_of_cases(cases([*vectors, vectors[0]]), MASKED, D)


def test_the_sum_of_all_sites_cannot_wrap_in_the_ring() -> None:
    """All sites at the bound in one coordinate: the largest sum there can be."""
    fixed = MASKED.fixed_encoding(D)
    assert fixed is not None
    update = counts_of_cases(cases([[BOUND, *[0] * (D - 1)]] * 128), MASKED, D)
    rings = [fixed.to_ring(contribution(update, 1.0, MASKED, D)) for _ in WEIGHTS]
    total = fixed.from_ring(np.sum(rings, axis=0, dtype=fixed.ring_dtype))
    assert fixed.decode(total, 1.0)[0] == pytest.approx(3 * 256, abs=3 * fixed.clipping_norm / fixed.scale)
    assert int(total[0]) <= fixed.sum_bound < 2 ** (fixed.ring_bits - 1)


def test_counts_of_one_patient_stay_at_home() -> None:
    with pytest.raises(SiteDataError, match=r"cases of 1 patient\(s\), at least 2"):
        counts_of_cases(cases([[1.0] * D] * 3, ["p"] * 3), MASKED, D, min_patients=2)


def test_without_fixed_point_the_sum_is_sent_as_it_is() -> None:
    plain = flat_terms(WEIGHTS, min_sites=2)
    update = counts_of_cases(cases([[0.1] * D, [0.7] * D]), plain, D)
    assert update.dtype == np.float32
    np.testing.assert_allclose(update, 0.8, rtol=1e-7)


@given(
    st.lists(st.lists(st.floats(0, 3), min_size=D, max_size=D), min_size=2, max_size=9),
    st.lists(st.sampled_from("pqr"), min_size=9, max_size=9),
)
def test_removing_a_patient_moves_the_sum_by_the_sensitivity_at_most(vectors: list[list[float]], whose: str) -> None:
    """Brute force over every patient; a patient may have several cases, and any length before clipping."""
    terms = private()
    fixed = terms.fixed_encoding(D)
    assert fixed is not None
    all_cases = cases(vectors, list(whose[: len(vectors)]))
    names = {one.patient for one in all_cases}
    whole = counts_of_patients(all_cases, terms, D, site="a", stream=ChaChaStream())
    for gone in names if len(names) > 1 else ():
        left = [one for one in all_cases if one.patient != gone]
        rest = counts_of_patients(left, terms, D, site="a", stream=ChaChaStream())
        assert np.linalg.norm(whole - rest) <= fixed.sensitivity


def test_a_patient_counts_as_one_however_many_cases() -> None:
    terms = private()
    fixed = terms.fixed_encoding(D)
    assert fixed is not None
    once = counts_of_patients(cases([[1.0] + [0.0] * 6, [0.0] * 6 + [1.0]]), terms, D, site="a", stream=ChaChaStream())
    often = cases([[1.0] + [0.0] * 6] * 5 + [[0.0] * 6 + [1.0]], ["p"] * 5 + ["q"])
    np.testing.assert_array_equal(counts_of_patients(often, terms, D, site="a", stream=ChaChaStream()), once)
    assert fixed.decode(once, 1.0).tolist() == [1.0, *[0.0] * 5, 1.0]


def test_a_site_without_patients_sends_zeros_like_any_other() -> None:
    counted = counts_of_patients([], private(), D, site="a", stream=ChaChaStream())
    assert (counted.dtype, counted.tolist()) == (np.int64, [0] * D)


def test_a_site_of_too_many_patients_is_refused() -> None:
    with pytest.raises(UpdateError, match="has 3 patients, the terms allow 1 to 2"):
        counts_of_patients(
            cases([[1.0] * D] * 3), private(patients_per_site=2, patients=6), D, site="a", stream=ChaChaStream()
        )
