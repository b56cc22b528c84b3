"""Surfaces fitted through wrapped phases."""

import numpy as np
import pytest

from ecg_flare.digitize.curl.surface import unwrapped, wrap

ROWS, COLUMNS = np.mgrid[:40, :60].astype(float)
HILL = 9.0 * np.exp(-((ROWS - 20) ** 2 + (COLUMNS - 30) ** 2) / 300.0) + 0.05 * COLUMNS


def test_whole_turns_are_found_again() -> None:
    found = unwrapped(wrap(HILL), np.ones_like(HILL), 0.3)
    turns = np.round((HILL - found).mean() / (2 * np.pi)) * 2 * np.pi
    assert np.abs(found + turns - HILL).max() < 0.2


def test_what_is_not_seen_is_bridged_smoothly() -> None:
    weight = np.ones_like(HILL)
    weight[15:25, 5:15] = 0.0
    phase = wrap(HILL)
    phase[15:25, 5:15] = 2.0
    found = unwrapped(phase, weight, 0.3)
    turns = np.round((HILL - found).mean() / (2 * np.pi)) * 2 * np.pi
    assert np.abs(found + turns - HILL)[15:25, 5:15].max() < 0.6


def test_noise_and_single_wrong_nodes_pull_little() -> None:
    rng = np.random.default_rng(2)
    phase = wrap(HILL + rng.normal(0, 0.2, HILL.shape))
    wrong = rng.random(HILL.shape) < 0.03
    phase[wrong] = rng.uniform(-np.pi, np.pi, int(wrong.sum()))
    found = unwrapped(phase, np.ones_like(HILL), 0.3)
    turns = np.round((HILL - found).mean() / (2 * np.pi)) * 2 * np.pi
    assert np.sqrt(np.mean((found + turns - HILL) ** 2)) < 0.12


@pytest.mark.parametrize("angle", [-7.0, -np.pi, 0.0, 3.0, 100.0])
def test_angles_are_brought_to_half_a_turn(angle: float) -> None:
    brought = float(wrap(np.array([[angle]]))[0, 0])
    assert -np.pi <= brought <= np.pi
    assert np.exp(1j * brought) == pytest.approx(np.exp(1j * angle))
