"""One patient's update never ends a site's round, however large, small or broken it is: docs/privacy.md promises so."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ecg_flare.errors import UpdateError
from ecg_flare.federated import patients
from ecg_flare.federated.optimizers import FedAvg
from ecg_flare.federated.patients import PatientEncoding, sum_of_drawn
from ecg_flare.federated.projection import RandomProjection
from ecg_flare.federated.round import contribution
from ecg_flare.federated.terms import JobTerms
from ecg_flare.privacy.adaptive_clipping import AdaptiveClipping
from ecg_flare.privacy.gaussian import ChaChaStream
from flat_terms import flat_terms, round_in_memory

LARGEST = float(np.finfo(np.float32).max)
SIZE = 12
FOLDED = RandomProjection(size=3, seed=0)
RULE = AdaptiveClipping(quantile=0.5, rate=0.2, count_noise=2.0, least=1e-4, most=10.0)


def terms(projection: RandomProjection | None, adaptive: AdaptiveClipping | None = None) -> JobTerms:
    return flat_terms(
        {"a": 1.0, "b": 1.0, "c": 1.0},
        min_sites=3,
        clipping_norm=0.01,
        noise_multiplier=1.0,
        unit="patient",
        patients=12,
        patients_per_site=4,
        projection=projection,
        adaptive_clipping=adaptive,
    )


def encoding(projected: bool, adaptive: bool) -> PatientEncoding:
    return terms(FOLDED if projected else None, RULE if adaptive else None).patient_encoding(SIZE)


def folded_over(sign: int = 1) -> np.ndarray:
    """A finite update whose folding overflows float32: every coordinate goes into its bucket with the same sign."""
    ones = np.ones(SIZE, np.float32)
    signs = np.concatenate([part_signs for _, _, part_signs in FOLDED._columns(SIZE)])
    return (ones * signs * sign * 3e38).astype(np.float32)


def total(encoding: PatientEncoding, first: np.ndarray, others: np.ndarray) -> np.ndarray:
    """A site's integers where all four patients are drawn and the first gives another update."""
    names = ["p0", "p1", "p2", "p3"]
    train = lambda name: first if name == "p0" else others  # noqa: E731
    return sum_of_drawn(names, train, 1.0, encoding, rate=1.0, stream=ChaChaStream())


@pytest.mark.parametrize("adaptive", [False, True])
def test_an_update_that_overflows_when_it_is_folded_counts_as_zero(adaptive: bool) -> None:
    scheme, ordinary = encoding(True, adaptive), np.full(SIZE, 1e-3, np.float32)

    with np.errstate(all="raise"):  # nobody is warned about that one patient either
        summed = total(scheme, folded_over(), ordinary)

    np.testing.assert_array_equal(summed, 3 * scheme.encode(ordinary, 1.0).astype(np.int64))


def test_the_overflow_ends_the_round_without_its_guard(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patients.np, "isfinite", lambda vector: np.ones(vector.shape, bool))

    with pytest.raises(UpdateError, match="norm is inf"):
        total(encoding(True, False), folded_over(), np.full(SIZE, 1e-3, np.float32))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("projected", [False, True])
@pytest.mark.parametrize("adaptive", [False, True])
def test_what_is_not_finite_counts_as_zero_on_every_path(bad: float, projected: bool, adaptive: bool) -> None:
    update = np.full(SIZE, 1e-3, np.float32)
    update[5] = bad
    update[6] = -bad

    assert not encoding(projected, adaptive).encode(update, 1.0).any()


EDGES = st.sampled_from([0.0, -0.0, LARGEST, -LARGEST, 1e30, -1e30, 1e19, 1e-30, 1.4e-45, -1.4e-45])
ANY = st.floats(width=32)
FINITE = st.floats(width=32, allow_nan=False, allow_infinity=False)


@given(arrays(np.float32, SIZE, elements=st.one_of(EDGES, FINITE)), st.booleans(), st.booleans())
def test_every_finite_update_is_encoded_within_the_bound(update: np.ndarray, projected: bool, adaptive: bool) -> None:
    scheme = encoding(projected, adaptive)

    encoded = scheme.encode(update, 1.0)

    squared = sum(int(value) ** 2 for value in encoded)  # whole numbers, so that no rounding flatters
    assert squared <= scheme.fixed.sensitivity**2


@given(arrays(np.float32, SIZE, elements=st.one_of(EDGES, ANY)), st.floats(1e-30, 1e30))
def test_every_update_of_any_kind_is_encoded_at_any_clipping_norm(update: np.ndarray, clipping_norm: float) -> None:
    scheme = flat_terms(
        {"a": 1.0},
        min_sites=1,
        clipping_norm=clipping_norm,
        noise_multiplier=1.0,
        unit="patient",
        patients=1,
        projection=FOLDED,
    ).patient_encoding(SIZE)

    assert sum(int(value) ** 2 for value in scheme.encode(update, 1.0)) <= scheme.fixed.sensitivity**2


def test_a_site_whose_own_update_overflows_is_a_dropout() -> None:
    """Under unit site it is the site that is protected, and that it did not answer is public: refusing is right."""
    config = flat_terms(
        {"a": 1.0, "b": 1.0, "c": 1.0}, min_sites=2, clipping_norm=0.01, noise_multiplier=1.0, projection=FOLDED
    )
    ordinary = np.full(SIZE, 1e-3, np.float32)
    with pytest.raises(UpdateError, match="expected finite values"):
        contribution(folded_over(), 1.0, config, SIZE)

    model = np.zeros(SIZE, np.float32)
    sites = {"a": lambda *_: folded_over(), "b": lambda *_: ordinary, "c": lambda *_: ordinary}
    result = round_in_memory(model, FedAvg().init(SIZE), sites, config, FedAvg())

    assert result.answered == ("b", "c")
    assert "expected finite values" in result.dropped["a"]


def test_a_site_update_of_another_length_is_still_refused() -> None:
    with pytest.raises(UpdateError, match="shape"):
        encoding(False, False).encode(np.full(SIZE + 1, np.nan, np.float32), 1.0)
