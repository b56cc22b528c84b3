"""Light on a page: what each channel sees, by pixels whose darkness is known from the numbers drawn."""

import numpy as np
import pytest

from ecg_flare.digitize.rectify.light import flatten_light, grid_darkness, ink_darkness, line_depth, over_paper

PAPER, RED, INK = (240, 240, 240), (240, 120, 120), (24, 24, 24)


def ruled() -> np.ndarray:
    """A page of 8 px/mm: paper, a red line 20 mm below the top, a black one 40 mm below, each 2 pixels wide."""
    image = np.full((800, 1200, 3), PAPER, np.uint8)
    image[160:162], image[320:322] = RED, INK
    return image


def test_a_coloured_grid_is_dark_in_the_darkest_channel_and_absent_in_the_brightest() -> None:
    grid, ink = grid_darkness(ruled()), ink_darkness(ruled(), 8.0)

    assert grid[160, 100] == pytest.approx(1 - 120 / 240, abs=0.02)
    assert ink[160, 100] == pytest.approx(0.0, abs=1e-6)
    for dark in (grid, ink):
        assert dark[321, 100] == pytest.approx(1 - 24 / 240, abs=0.02)
        assert dark[600, 100] == pytest.approx(0.0, abs=0.02)


def test_a_thin_line_is_deep_and_a_dark_area_is_not() -> None:
    image = ruled()
    image[500:700] = 60  # a shadow with no line in it

    depth = line_depth(image, 8.0)

    assert depth[320:322, 100].max() > 0.7
    assert depth[160:162, 100].max() < 0.01
    assert depth[540:660, 100].max() == pytest.approx(0.0, abs=1e-6)


def test_colours_over_the_paper_do_not_know_its_tint() -> None:
    tinted = (ruled() * np.array([1.0, 0.9, 0.8])).astype(np.uint8)

    np.testing.assert_allclose(over_paper(tinted)[600, 100], 1.0, atol=0.01)
    np.testing.assert_allclose(over_paper(tinted)[320, 100], 0.1, atol=0.02)


def test_uneven_light_is_flattened_and_even_light_is_not_touched() -> None:
    paper = np.full((300, 500, 3), 240, np.uint8)
    paper[::10] = 180
    falloff = np.linspace(1.0, 0.5, 500)[None, :, None]
    dim = (paper * falloff).astype(np.uint8)

    lit, changed = flatten_light(dim)

    assert changed
    between = lit[5::10, 20:-20].astype(float)
    assert between.std() / between.mean() < 0.03
    same, changed = flatten_light(paper)
    assert same is paper
    assert not changed
