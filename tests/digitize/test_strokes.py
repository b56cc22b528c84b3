"""Two upright strokes: a pulse, a frame or nothing."""

import numpy as np
import pytest

from ecg_flare.digitize.measure.strokes import pulse_between, upright_strokes

PX_PER_MM = 6.0


def two_strokes(*bars: int) -> np.ndarray:
    """Strokes at x = 40 and 70 from y = 40 to 100, and level bars between them."""
    ink = np.zeros((160, 140), bool)
    ink[40:102, [40, 41, 70, 71]] = True
    for bar in bars:
        ink[bar : bar + 2, 40:72] = True
    return ink


def test_strokes_are_found_from_left_to_right_and_short_ones_are_not() -> None:
    ink = two_strokes()
    ink[40:60, 100:102] = True  # 3.3 mm

    found = upright_strokes(ink, PX_PER_MM)

    assert [stroke.x for stroke in found] == pytest.approx([40.5, 70.5])
    assert [(stroke.top, stroke.bottom) for stroke in found] == [(40, 101), (40, 101)]


@pytest.mark.parametrize(
    ("bars", "bar_px", "upright"),
    [((40,), 40.5, True), ((100,), 100.5, False), ((40, 100), None, None), ((), None, None)],
)
def test_a_bar_at_one_end_makes_a_pulse(bars: tuple[int, ...], bar_px: float | None, upright: bool | None) -> None:
    ink = two_strokes(*bars)
    left, right = upright_strokes(ink, PX_PER_MM)

    found = pulse_between(ink, left, right, PX_PER_MM)

    assert (found is not None) is (bar_px is not None)
    if found is not None:
        assert (found.bar_px, found.upright, found.width_px) == (bar_px, upright, 30.0)
        assert found.height_px == pytest.approx(60.0)


def test_a_bar_that_runs_on_is_a_grid_line() -> None:
    ink = two_strokes(40)
    ink[40:42, 72:140] = True
    left, right = upright_strokes(ink, PX_PER_MM)

    assert pulse_between(ink, left, right, PX_PER_MM) is None
