"""Bends of a grid that are known, found again; and paper that is flat, left as it is."""

import cv2
import numpy as np
import pytest
from drawn_grids import grid_signal_of

from ecg_flare.digitize.curl.field import measure_field
from ecg_flare.digitize.units import PxPerMm
from ecg_flare.page.displacement import Displacement, Nodes

UNIT = PxPerMm(4.4, 4.6)
SHAPE = (800, 1200)


def paper(seed: int = 0) -> np.ndarray:
    """A red grid with black strokes across it, a little noisy."""
    rng = np.random.default_rng(seed)
    lines = grid_signal_of(UNIT.x, UNIT.y, SHAPE)
    image = 245.0 - lines[..., None] * np.array([20.0, 110.0, 110.0])
    image += rng.normal(0, 3, image.shape)
    picture = np.clip(image, 0, 255).astype(np.uint8)
    for row in range(4):
        x = np.arange(SHAPE[1])
        y = 120 + 180 * row + 60 * np.exp(-(((x % 90) - 40) ** 2) / 12) * (-1) ** row
        cv2.polylines(picture, [np.stack([x, y], axis=1).astype(np.int32)], isClosed=False, color=(30, 30, 30))
    return picture


def bends(amplitude_mm: float) -> Displacement:
    """A page that is bent both ways over some centimetres."""
    nodes = Nodes.over(SHAPE, 11)
    rows, columns = np.mgrid[: nodes.rows, : nodes.columns] * 11.0
    x = amplitude_mm * UNIT.x * np.sin(columns / 190 + rows / 260)
    y = amplitude_mm * UNIT.y * np.cos(columns / 230 - rows / 210)
    return Displacement(x, y, nodes)


def without_plane(values: np.ndarray) -> np.ndarray:
    rows, columns = np.indices(values.shape)
    design = np.stack([np.ones(values.size), rows.ravel(), columns.ravel()], axis=1)
    fitted, *_ = np.linalg.lstsq(design, values.ravel(), rcond=None)
    return values - (design @ fitted).reshape(values.shape)


@pytest.mark.parametrize("amplitude_mm", [0.6, 1.5, 3.0])
def test_the_field_takes_a_bent_page_back(amplitude_mm: float) -> None:
    bent = bends(amplitude_mm)
    image = bent.applied(paper(), border=cv2.BORDER_REPLICATE)

    field = measure_field(image, UNIT)

    there_and_back = bent.then(_on(bent.nodes, field.moved))
    for left, unit in ((there_and_back.x, UNIT.x), (there_and_back.y, UNIT.y)):
        inside = without_plane(left)[4:-4, 4:-4] / unit
        assert np.median(np.abs(inside)) < 0.05
        assert np.quantile(np.abs(inside), 0.95) < 0.15
    assert field.bend_mm == pytest.approx(amplitude_mm, rel=0.45)
    assert field.contrast > 0.1


def _on(nodes: Nodes, moved: Displacement) -> Displacement:
    rows, columns = np.mgrid[: nodes.rows, : nodes.columns]
    places = np.stack([columns.ravel(), rows.ravel()], axis=1) * nodes.step_px + nodes.first_px
    shift = (moved.at(places) - places).reshape(nodes.rows, nodes.columns, 2)
    return Displacement(shift[..., 0], shift[..., 1], nodes)


def test_flat_paper_has_no_bend() -> None:
    field = measure_field(paper(), UNIT)
    assert field.bend_mm < 0.1
    assert field.slope < 0.01


def test_tall_strokes_in_one_corner_of_flat_paper_move_its_grid_nowhere() -> None:
    image = paper()
    for row in range(3):
        for x in (960, 1003, 1032, 1075, 1118):
            cv2.line(image, (x, 110 + 160 * row), (x, 190 + 160 * row), (30, 30, 30), 3)
    moved = measure_field(cv2.GaussianBlur(image, (0, 0), 0.8), UNIT).moved
    for offset, unit in ((moved.x, UNIT.x), (moved.y, UNIT.y)):
        assert np.abs(without_plane(offset)[8:-8, 8:-8] / unit).max() < 0.12


def test_a_pitch_that_is_a_little_wrong_is_no_bend() -> None:
    assert measure_field(paper(), UNIT.scaled(1.01, 0.99)).bend_mm < 0.1


def test_a_stain_that_hides_the_grid_bends_nothing() -> None:
    image = paper()
    cv2.circle(image, (700, 420), 110, (235, 225, 190), -1)
    cv2.circle(image, (700, 420), 110, (190, 150, 90), 9)
    assert measure_field(image, UNIT).bend_mm < 0.15


def test_bare_paper_has_no_contrast() -> None:
    rng = np.random.default_rng(4)
    noise = np.clip(rng.normal(235, 4, (*SHAPE, 3)), 0, 255).astype(np.uint8)
    assert measure_field(noise, UNIT).contrast < 0.1


def test_a_displacement_is_taken_backwards() -> None:
    bent = bends(1.5)
    back = bent.then(bent.inverted())
    assert np.abs(back.x[2:-2, 2:-2]).max() < 0.05
    assert np.abs(back.y[2:-2, 2:-2]).max() < 0.05
