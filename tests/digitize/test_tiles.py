"""Amplitude and phase of a cosine, tile by tile, against the closed form."""

import numpy as np
import pytest

from ecg_flare.digitize.rectify.tiles import tile_amplitudes


def test_a_cosine_has_its_amplitude_and_phase_in_every_tile() -> None:
    """A cos(2 pi (x - x0) / p) turned by exp(-2 pi i x / p) leaves A/2 exp(-2 pi i x0 / p), by the window's mean."""
    period, side, amplitude, start = 6.0, 60, 0.8, 1.5
    x = np.arange(300)
    signal = np.tile(amplitude * np.cos(2 * np.pi * (x - start) / period), (120, 1)).astype(np.float32)

    found = tile_amplitudes(signal, period, side)

    assert found.shape == (2, 5)
    window_mean = (side + 1) / (2 * side)  # a Hann window of n + 2 points sums to (n + 1) / 2
    np.testing.assert_allclose(np.abs(found), amplitude / 2 * window_mean, rtol=2e-3)
    np.testing.assert_allclose(np.angle(found), -2 * np.pi * start / period, atol=2e-3)


def test_another_period_and_level_lines_leave_nothing() -> None:
    x = np.arange(300)
    other = np.tile(np.cos(2 * np.pi * x / 10.0), (120, 1)).astype(np.float32)

    assert np.abs(tile_amplitudes(other, 6.0, 60)).max() < 0.01
    assert np.abs(tile_amplitudes(np.ascontiguousarray(other[:120, :120].T), 6.0, 60)).max() == pytest.approx(
        0, abs=1e-6
    )
