"""Faint steep strokes are brought up to full ink; rims, specks, paper and level lines stay as they are."""

import cv2
import numpy as np
import pytest
from jaxtyping import Float32

from ecg_flare.digitize.ink.faint_strokes import lift_faint_strokes
from ecg_flare.digitize.trace.runs import RUN_THRESHOLD
from ecg_flare.digitize.units import PxPerMm

SCALE = PxPerMm(8.0, 8.0)
LEVEL, PEAK, LEFT = 200, 100, 150


def line(height: int = 320, width: int = 480) -> Float32[np.ndarray, "h w"]:
    """Return a level line of full ink, 3 px thick, with a blurred rim."""
    ink = np.zeros((height, width), np.float32)
    ink[LEVEL : LEVEL + 3] = 1.0
    ink[[LEVEL - 1, LEVEL + 3]] = 0.3
    return ink


def with_r_wave(share: float, lean: float = 0.15) -> Float32[np.ndarray, "h w"]:
    """Return the line with an R wave whose strokes, 2 px wide, have a share of full ink; its tip is dark."""
    ink = line()
    for y in range(PEAK, LEVEL):
        for side in (-1, 1):
            x = LEFT + round(side * lean * (y - PEAK))
            ink[y, x : x + 2] = np.maximum(ink[y, x : x + 2], 1.0 if y < PEAK + 16 else share)
    return ink


@pytest.mark.parametrize("share", [0.15, 0.25, 0.4])
def test_faint_strokes_become_runs(share: float) -> None:
    faint, full = with_r_wave(share), with_r_wave(1.0)
    lifted = lift_faint_strokes(faint, SCALE)
    stroke = full > 0.9
    assert (faint[stroke] < RUN_THRESHOLD).mean() > (0.1 if share < RUN_THRESHOLD else -1)
    assert (lifted[stroke] >= 2 * RUN_THRESHOLD).mean() > 0.95
    assert np.array_equal(lifted[~stroke], faint[~stroke])


def test_breaks_along_a_stroke_are_lifted_with_it() -> None:
    """Where a dot of the grid was taken off, less is left of the stroke."""
    faint = with_r_wave(0.3)
    faint[PEAK + 20 : LEVEL - 4 : 8] *= 0.5
    lifted = lift_faint_strokes(faint, SCALE)
    y = np.arange(len(faint))
    inked = (faint > 0.1) & ((y > PEAK + 30) & (y < LEVEL - 14))[:, None]
    assert (lifted[inked] > RUN_THRESHOLD).all()


@pytest.mark.parametrize(
    "ink",
    [line(), with_r_wave(1.0), cv2.GaussianBlur(with_r_wave(1.0), (0, 0), 0.5)],
    ids=["level", "full", "blurred"],
)
def test_full_ink_and_its_rims_stay_as_they_are(ink: Float32[np.ndarray, "h w"]) -> None:
    changed = np.abs(lift_faint_strokes(ink, SCALE) - ink)
    assert (changed > 0.1).sum() <= 0.002 * (ink > 0.1).sum()


def test_specks_stains_and_level_grid_lines_are_no_strokes() -> None:
    ink = line()
    ink[100:103, 40::24] = 0.2  # dots above the line
    ink[LEVEL - 10, :] = 0.2  # a grid line beside it
    ink[40:52, 300:340] = 0.2  # a stain
    assert lift_faint_strokes(ink, SCALE) is ink


def test_an_upright_line_that_joins_no_ink_stays_faint() -> None:
    """What is left of an upright line of the grid, between two rows."""
    ink = line()
    ink[20 : LEVEL - 30, 300:302] = 0.2
    assert lift_faint_strokes(ink, SCALE) is ink
    ink[20:LEVEL, 300:302] = 0.2
    assert (lift_faint_strokes(ink, SCALE)[20 : LEVEL - 14, 300] > 0.5).all()


def test_a_page_without_ink_comes_back() -> None:
    ink = np.zeros((60, 60), np.float32)
    assert lift_faint_strokes(ink, SCALE) is ink
