"""Who is drawn, and what of them leaves: against binomial figures, brute force, and by hand."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import binom, chisquare

from ecg_flare.errors import UpdateError
from ecg_flare.federated.patients import OVERRUN, PatientEncoding, poisson_sample, slot_count, sum_of_drawn
from ecg_flare.privacy.gaussian import ChaChaStream
from ecg_flare.privacy.secure_sum.encoding import FixedPoint

KEY = bytes(range(32))
PATIENTS = [f"patient {number}" for number in range(6)]
FIXED = FixedPoint.derive(clipping_norm=2.0, weights=[1.0, 0.5], dimension=3, vectors_per_site=6, noise_multiplier=1.0)
ENCODING = PatientEncoding(3, 2.0, FIXED)


class Words:
    """A stream of given words."""

    def __init__(self, *words: int) -> None:
        self._words = words

    def words(self, n: int) -> np.ndarray:
        return np.array(self._words[:n], np.uint64)


def test_a_word_below_the_rate_draws_its_patient() -> None:
    quarter = 2**62
    stream = Words(quarter - 1, quarter, 0, 2**64 - 1, 5, quarter + 1)
    assert poisson_sample(PATIENTS, 0.25, stream) == ("patient 0", "patient 2", "patient 4")
    assert poisson_sample(PATIENTS, 1.0, stream) == tuple(PATIENTS)


def test_sample_sizes_are_binomial_and_patients_independent() -> None:
    stream, draws, rate = ChaChaStream(KEY), 4000, 0.3
    drawn = np.array([[one in sample for one in PATIENTS] for sample in _samples(stream, draws, rate)])
    sizes = np.bincount(drawn.sum(axis=1), minlength=7)
    assert chisquare(sizes, draws * binom.pmf(range(7), 6, rate)).pvalue > 1e-3
    assert drawn.mean(axis=0) == pytest.approx(np.full(6, rate), abs=5 * math.sqrt(rate * (1 - rate) / draws))
    between = np.corrcoef(drawn.T)[~np.eye(6, dtype=bool)]
    assert np.abs(between).max() < 5 / math.sqrt(draws)


def _samples(stream: ChaChaStream, draws: int, rate: float) -> list[tuple[str, ...]]:
    return [poisson_sample(PATIENTS, rate, stream) for _ in range(draws)]


@pytest.mark.parametrize(("most", "rate"), [(1, 1.0), (16, 0.5), (100, 0.1), (4750, 0.05)])
def test_slots_are_the_fewest_that_a_sample_hardly_ever_passes(most: int, rate: float) -> None:
    slots = slot_count(most, rate)
    assert binom.sf(slots, most, rate) <= OVERRUN < binom.sf(slots - 1, most, rate)


def test_a_patients_integers_are_clipped_weighted_and_cut_toward_zero() -> None:
    scale = FIXED.scale
    assert ENCODING.encode(np.array([0.6, -0.8, 0.0], np.float32), 0.5) == pytest.approx(
        [0.15 * scale, -0.2 * scale, 0], abs=1
    )
    long = ENCODING.encode(np.array([0.0, 0.0, 500.0], np.float32), 1.0)
    assert 0.999 * scale < long[2] <= scale


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_diverged_is_zero(bad: float) -> None:
    assert not ENCODING.encode(np.array([1.0, bad, 0.0], np.float32), 1.0).any()


def training(asked: list[str]) -> Callable[[str], np.ndarray]:
    def train(patient: str) -> np.ndarray:
        asked.append(patient)
        return np.array([1.0, float(patient.split()[1]), 0.0], np.float32)

    return train


def test_the_sum_is_of_those_drawn_and_the_work_that_of_all_slots() -> None:
    half = 2**63
    for words, drawn in (((0, half, 0, half, half, half), (0, 2)), ((half,) * 6, ()), ((0,) * 6, range(6))):
        asked: list[str] = []
        total = sum_of_drawn(PATIENTS, training(asked), 1.0, ENCODING, rate=0.5, stream=Words(*words))
        alone = training([])
        expected = sum((ENCODING.encode(alone(PATIENTS[one]), 1.0) for one in drawn), np.zeros(3, np.int64))
        assert np.array_equal(total, expected)
        assert len(asked) == slot_count(6, 0.5) == 6
        assert asked[: len(drawn)] == [PATIENTS[one] for one in drawn]


def test_more_patients_than_agreed_are_refused_before_any_is_drawn() -> None:
    with pytest.raises(UpdateError, match=r"7 patients, the terms allow 1 to 6 \(patients_per_site\)"):
        sum_of_drawn([*PATIENTS, "one more"], training([]), 1.0, ENCODING, rate=0.5, stream=Words())


FOUR = FixedPoint.derive(clipping_norm=2.0, weights=[1.0, 0.5], dimension=4, vectors_per_site=6, noise_multiplier=1.0)
BIT = math.sqrt(2.0**2 - 1.5**2)
WITH_BIT = PatientEncoding(3, 1.5, FOUR, bit=BIT)


@pytest.mark.parametrize(("length", "sign"), [(0.0, 1), (0.75, 1), (1.5, 1), (1.5000002, -1), (90.0, -1)])
def test_the_bit_says_whether_an_update_was_within_the_norm(length: float, sign: int) -> None:
    integers = WITH_BIT.encode(np.array([0.0, -length, 0.0], np.float32), 0.5)
    scale = 0.5 * FOUR.scale / 2.0
    assert integers[3] == pytest.approx(sign * BIT * scale, abs=2)
    assert integers[1] == pytest.approx(-min(length, 1.5) * scale, abs=2)


@given(
    arrays(np.float32, 3, elements=st.floats(-4, 4, width=32)),
    st.sampled_from([1e-30, 1e-3, 1.0, 1e6]),
    st.sampled_from([0.5, 1.0]),
)
def test_a_patient_with_the_bit_never_moves_the_sum_further_than_stated(
    update: np.ndarray, length: float, weight: float
) -> None:
    integers = WITH_BIT.encode(update * np.float32(length), weight).astype(object)
    assert sum(integers**2) <= (weight * FOUR.scale) ** 2


def test_what_diverged_says_no_bit_either() -> None:
    assert not WITH_BIT.encode(np.array([1.0, np.nan, 0.0], np.float32), 1.0).any()
