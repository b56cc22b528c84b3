"""Print that leans on its grid: found, stood upright, and not seen where it stands upright."""

import numpy as np
import pytest

from ecg_flare.digitize.curl.print_lean import print_lean
from ecg_flare.ecg.synthetic import synthesize
from ecg_flare.page.render import render_page
from ecg_flare.page.style import GridStyle, PageStyle

DPI = 110


def sheared(slope: float, colour: str = "red") -> np.ndarray:
    """A page whose print leans by `slope` on an upright grid."""
    rng = np.random.default_rng(5)
    recording = synthesize(rng)
    grid = GridStyle(colour=colour)  # type: ignore[arg-type]
    blank = render_page(recording, PageStyle(dpi=DPI, grid=grid), np.random.default_rng(6)).image
    bare = render_page(recording, PageStyle(dpi=DPI, grid=GridStyle(kind="none")), np.random.default_rng(6)).image
    only_grid = np.where(bare.min(axis=2, keepdims=True) < 250, 255, blank)
    height = bare.shape[0]
    leaning = np.full_like(bare, 255)
    for row in range(height):
        shift = round(slope * (row - height / 2))
        leaning[row] = np.roll(bare[row], shift, axis=0)
    return np.minimum(leaning, only_grid)


@pytest.mark.parametrize("slope", [-0.012, -0.005, 0.004, 0.009])
def test_the_slope_of_the_print_is_found(slope: float) -> None:
    found = print_lean(sheared(slope), DPI / 25.4)
    assert found.slope == pytest.approx(slope, abs=0.0015)
    assert found.strength > 1.5


@pytest.mark.parametrize("colour", ["red", "grey", "blue"])
def test_print_that_stands_upright_does_not_lean(colour: str) -> None:
    assert print_lean(sheared(0.0, colour), DPI / 25.4).slope == pytest.approx(0.0, abs=0.0008)
