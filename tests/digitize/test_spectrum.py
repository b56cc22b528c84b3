"""Frequencies of two families of waves, drawn at known directions."""

import numpy as np
import pytest

from ecg_flare.digitize.rectify.spectrum import spectral_gradients

HALF_A_BIN = 0.5 / 256  # of a tile's spectrum


def waves(frequency: float, turn_deg: float) -> np.ndarray:
    """Two crossing families of waves, the first along x turned by an angle, 600 x 900 pixels."""
    y, x = np.mgrid[:600, :900].astype(np.float64)
    cosine, sine = np.cos(np.radians(turn_deg)), np.sin(np.radians(turn_deg))
    along, across = x * cosine + y * sine, -x * sine + y * cosine
    lines = np.maximum(np.cos(2 * np.pi * frequency * along), np.cos(2 * np.pi * frequency * across))
    return lines.astype(np.float32)


@pytest.mark.parametrize("turn_deg", [0.0, 7.0, -30.0])
def test_both_families_are_measured_in_every_tile(turn_deg: float) -> None:
    found = spectral_gradients(waves(0.11, turn_deg))

    assert found is not None
    u, v, both = found
    cosine, sine = np.cos(np.radians(turn_deg)), np.sin(np.radians(turn_deg))
    np.testing.assert_allclose(u.value, np.tile([0.11 * cosine, 0.11 * sine], (len(u.at), 1)), atol=HALF_A_BIN)
    np.testing.assert_allclose(v.value, np.tile([-0.11 * sine, 0.11 * cosine], (len(v.at), 1)), atol=HALF_A_BIN)
    assert both > 0.9


def test_a_blank_page_has_no_frequencies() -> None:
    assert spectral_gradients(np.zeros((600, 900), np.float32)) is None
