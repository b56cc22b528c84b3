"""The sampler of the noise: its stream, its exactness, and its distribution on small and large grids."""

import math

import mpmath
import numpy as np
import pytest
from scipy import stats

from ecg_flare.errors import ConfigError, EncodingError
from ecg_flare.privacy import gaussian
from ecg_flare.privacy.gaussian import ChaChaStream, add_noise, gaussian_noise
from ecg_flare.privacy.secure_sum.encoding import NOISE_TAIL, FixedPoint

TEST_KEY = bytes(range(32))
LARGE = 5 * 2**24


def draw(size: int, standard_deviation: int, key: bytes = TEST_KEY) -> np.ndarray:
    return gaussian_noise(size, standard_deviation, ChaChaStream(key))


def test_stream_is_chacha20() -> None:
    # the published keystream of the zero key and zero nonce (RFC 8439, appendix A.1, vector 1)
    expected = bytes.fromhex("76b8e0ada0f13d90405d6ae55386bd28bdd219b8a08ded1aa836efcc8b770dc7")
    assert ChaChaStream(bytes(32)).words(4).tobytes() == expected


def test_stream_goes_on_where_it_stopped() -> None:
    parts = ChaChaStream(TEST_KEY)
    whole = ChaChaStream(TEST_KEY).words(10)
    assert np.array_equal(np.concatenate([parts.words(3), parts.words(7)]), whole)


def test_every_stream_has_its_own_key() -> None:
    assert not np.array_equal(ChaChaStream().words(4), ChaChaStream().words(4))


def test_large_grid_is_normal() -> None:
    noise = draw(400_000, LARGE) / LARGE
    assert stats.kstest(noise, "norm").pvalue > 1e-3
    assert abs(noise.mean()) < 4 / math.sqrt(noise.size)
    assert abs(noise.var() - 1) < 4 * math.sqrt(2 / noise.size)


@pytest.mark.parametrize("standard_deviation", [1, 2, 7])
def test_small_grid_follows_the_rounded_gaussian(standard_deviation: int) -> None:
    noise = draw(300_000, standard_deviation)
    reach = 3 * standard_deviation
    edges = np.array([-np.inf, *(np.arange(-reach, reach) + 0.5), np.inf])
    expected = noise.size * np.diff(stats.norm.cdf(edges / standard_deviation))
    observed = np.bincount(np.clip(noise, -reach, reach) + reach, minlength=2 * reach + 1)
    assert stats.chisquare(observed, expected).pvalue > 1e-3


@pytest.mark.parametrize("far", [1.0, 2.0, 3.0, 4.0])
def test_both_tails_hold_their_share(far: float) -> None:
    noise = draw(2_000_000, LARGE) / LARGE
    for tail in (np.count_nonzero(noise > far), np.count_nonzero(noise < -far)):
        assert stats.binomtest(tail, noise.size, stats.norm.sf(far)).pvalue > 1e-3


def test_low_bits_are_uniform() -> None:
    low = draw(200_000, LARGE) & 0xFF
    assert stats.chisquare(np.bincount(low, minlength=256)).pvalue > 1e-3


def test_neighbours_are_independent() -> None:
    noise = draw(200_000, LARGE).astype(np.float64)
    assert abs(np.corrcoef(noise[:-1], noise[1:])[0, 1]) < 4 / math.sqrt(noise.size)


def test_halved_noise_would_be_noticed() -> None:
    assert stats.kstest(draw(400_000, LARGE // 2) / LARGE, "norm").pvalue < 1e-12


def test_table_of_whole_parts_matches_mpmath() -> None:
    mpmath.mp.dps = 40
    total = mpmath.nsum(lambda k: mpmath.exp(-(k**2) / 2), [0, mpmath.inf])
    below = mpmath.mpf(0)
    for k, threshold in enumerate(gaussian._WHOLE_TABLE):
        below += mpmath.exp(-(mpmath.mpf(k) ** 2) / 2)
        assert abs(int(threshold) - below / total * 2**64) < 2


def test_close_decisions_are_made_exactly() -> None:
    mpmath.mp.dps = 40
    s, k, j, fraction = LARGE, 1, LARGE // 3, 2**61 + 12345
    x = (j + mpmath.mpf(fraction) / 2**62) / s
    threshold = int(mpmath.floor(mpmath.exp(-x * (2 * k + x) / 2) * 2**64))

    def accepted(word: int) -> bool:
        numbers = (np.array([k]), *(np.array([value], np.uint64) for value in (j, fraction, word)))
        return bool(gaussian._accept(*numbers, s)[0])

    assert [accepted(threshold + step) for step in (-2000, -1, 0, 1, 2, 2000)] == [
        True,
        True,
        True,
        False,
        False,
        False,
    ]


def test_largest_words_stay_within_the_tail() -> None:
    class Extreme:
        """Every word at its top except the threshold, which accepts all."""

        def words(self, n: int) -> np.ndarray:
            words = np.full((4, n // 4), 2**64 - 1, dtype=np.uint64)
            words[1] = 2**64 - 1 - 2**24  # the last cell: 2^24 - 1
            words[3] = 0
            return words.ravel()

    assert gaussian_noise(3, 2**24, Extreme()).tolist() == [-NOISE_TAIL * 2**24] * 3


def test_no_noise_is_zero_and_bad_deviations_are_refused() -> None:
    assert draw(5, 0).tolist() == [0] * 5
    for bad in (-1, 2**62):
        with pytest.raises(ConfigError, match=f"standard deviation is {bad}"):
            draw(5, bad)


def fixed_point(sigma: float, dimension: int) -> FixedPoint:
    return FixedPoint.derive(clipping_norm=1.0, weights=(0.5, 0.25), dimension=dimension, noise_multiplier=sigma)


def test_noise_is_measured_against_the_largest_weight() -> None:
    fixed = fixed_point(2.0, 200_000)
    noise = add_noise(np.zeros(200_000, np.int64), fixed, stream=ChaChaStream(TEST_KEY))
    assert fixed.noise_sd == 2.0 * 0.5 * fixed.scale
    assert noise.std() / fixed.noise_sd == pytest.approx(1, abs=4 / math.sqrt(2 * noise.size))


def test_noise_is_added_to_the_sum_and_differs_each_time() -> None:
    fixed = fixed_point(1.0, 1000)
    total = np.arange(1000, dtype=np.int64)
    noise = draw(1000, fixed.noise_sd)
    assert np.array_equal(add_noise(total, fixed, stream=ChaChaStream(TEST_KEY)), total + noise)
    assert not np.array_equal(add_noise(total, fixed), add_noise(total, fixed))


def test_a_sum_out_of_bounds_gets_no_noise() -> None:
    fixed = fixed_point(1.0, 10)
    with pytest.raises(EncodingError, match="above the bound"):
        add_noise(np.full(10, fixed.sum_bound + 1), fixed)
