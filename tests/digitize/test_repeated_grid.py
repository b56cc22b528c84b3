"""Grids taken off by what repeats: lines and dots vanish, ink over them stays."""

import numpy as np
import pytest
from drawn_grids import grid_signal_of

from ecg_flare.digitize.ink.repeated_grid import repeated_grid, without_grid
from ecg_flare.digitize.units import PxPerMm

UNIT = PxPerMm(7.87, 7.91)
SHAPE = (700, 1000)


def page(darkness: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Shade, share of ink, and where the paper is bare."""
    rng = np.random.default_rng(1)
    grid = darkness * grid_signal_of(UNIT.x, UNIT.y, SHAPE)
    ink = np.zeros(SHAPE, np.float32)
    columns = np.arange(SHAPE[1])
    for row in (150, 400, 550):
        at = row + np.round(40 * np.exp(-(((columns % 130) - 60) ** 2) / 40)).astype(int)
        for below in range(3):
            ink[at + below, columns] = 1.0
    shade = ink + (1 - ink) * grid + rng.normal(0, 0.01, SHAPE)
    return shade.astype(np.float32), ink, ink == 0


@pytest.mark.parametrize("darkness", [0.1, 0.3, 0.5])
def test_the_grid_vanishes_and_the_ink_stays(darkness: float) -> None:
    shade, ink, bare = page(darkness)
    found = without_grid(shade, bare, UNIT)
    assert np.quantile(np.abs(found[bare]), 0.97) < 0.05 + 0.25 * darkness
    assert np.median(found[ink == 1]) == pytest.approx(1.0, abs=0.02)
    assert np.quantile(found[ink == 1], 0.02) > 0.9


def test_a_pitch_that_is_a_little_wrong_does_no_harm() -> None:
    shade, ink, bare = page(0.3)
    found = without_grid(shade, bare, UNIT.scaled(1.003, 0.997))
    assert np.quantile(np.abs(found[bare]), 0.9) < 0.1
    assert np.median(found[ink == 1]) == pytest.approx(1.0, abs=0.03)


def test_bare_paper_has_no_pattern() -> None:
    shade = np.random.default_rng(0).normal(0, 0.03, SHAPE).astype(np.float32)
    assert np.abs(repeated_grid(shade, np.ones(SHAPE, bool), UNIT)).max() < 0.04


def test_a_region_that_is_all_print_keeps_its_ink() -> None:
    shade = np.ones(SHAPE, np.float32)
    np.testing.assert_array_equal(without_grid(shade, np.zeros(SHAPE, bool), UNIT), shade)
