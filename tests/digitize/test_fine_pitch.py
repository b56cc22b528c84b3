"""A pitch that is nearly right is made exact, also where half of the grid is gone."""

import numpy as np
import pytest
from drawn_grids import grid_signal_of

from ecg_flare.digitize.measure.fine_pitch import refine_pitch


@pytest.mark.parametrize("truth", [3.3, 5.0, 8.7])
@pytest.mark.parametrize("error", [0.985, 1.0, 1.015])
def test_a_pitch_within_two_per_cent_becomes_exact(truth: float, error: float) -> None:
    signal = grid_signal_of(truth, truth)

    assert refine_pitch(signal, truth * error) == pytest.approx(truth, rel=1e-3)


def test_a_torn_grid_has_the_pitch_of_what_is_left() -> None:
    signal = grid_signal_of(6.0, 6.0)
    signal[:, 300:600] = 0.0

    assert refine_pitch(signal, 6.05) == pytest.approx(6.0, rel=1e-3)


def test_a_page_of_too_few_tiles_keeps_its_pitch() -> None:
    assert refine_pitch(np.zeros((40, 60), np.float32), 6.0) == 6.0
