"""Charts are well-formed SVG whose marks stand where the numbers say."""

import xml.etree.ElementTree as ElementTree

import pytest

from ecg_flare.report.charts import HEIGHT, Reference, Series, Span, line_chart, presence_matrix, stacked_bars


def _marks(svg: str, tag: str, kind: str) -> list[ElementTree.Element]:
    return [each for each in ElementTree.fromstring(svg).iter(tag) if kind in each.get("class", "").split()]


def _points(svg: str) -> list[list[tuple[float, float]]]:
    lines = _marks(svg, "polyline", "line")
    return [[(float(x), float(y)) for x, y in (p.split(",") for p in line.get("points", "").split())] for line in lines]


def test_equal_steps_in_value_are_equal_steps_in_height() -> None:
    (points,) = _points(line_chart([0, 1, 2], [Series("Dice", [0.0, 0.25, 0.5], 1)], y_label="Dice"))
    (x0, y0), (x1, y1), (x2, y2) = points
    assert x2 - x1 == pytest.approx(x1 - x0, abs=0.11)
    assert y0 - y1 == pytest.approx(y1 - y2, abs=0.11)
    assert y2 < y0 < HEIGHT


def test_a_reference_lies_at_its_value() -> None:
    svg = line_chart([1, 2], [Series("a", [0.0, 1.0], 1)], y_label="a", references=[Reference("half", 0.5)])
    (line,) = _marks(svg, "line", "reference")
    ((_, bottom), (_, top)) = _points(svg)[0]
    assert float(line.get("y1", "nan")) == pytest.approx((top + bottom) / 2, abs=0.1)


def test_missing_values_are_left_out_of_the_line() -> None:
    (points,) = _points(line_chart([1, 2, 3], [Series("a", [1.0, None, 2.0], 1)], y_label="a"))
    assert len(points) == 2


def test_the_axis_does_not_pass_its_ceiling() -> None:
    svg = line_chart([0, 1], [Series("Dice", [0.2, 0.99], 1)], y_label="Dice", span=Span(ceiling=1.0))
    texts = [text.text for text in ElementTree.fromstring(svg).iter("text")]
    assert "1" in texts
    assert "1.2" not in texts


def test_noise_is_not_drawn_as_a_trend() -> None:
    svg = line_chart([0, 1], [Series("Dice", [0.57955, 0.57958], 1)], y_label="Dice", span=Span(least=0.04))
    ((_, first), (_, second)) = _points(svg)[0]
    assert abs(first - second) < 1
    assert max(len(text.text or "") for text in ElementTree.fromstring(svg).iter("text")) <= 5


def test_the_parts_of_a_bar_are_as_high_as_their_share() -> None:
    svg = stacked_bars([1], [Series("a", [10.0], 1), Series("b", [30.0], 2)], y_label="s", unit="s")
    (a,), (b,) = _marks(svg, "rect", "s1"), _marks(svg, "rect", "s2")
    seam = 1
    assert (float(b.get("height", 0)) + seam) / (float(a.get("height", 0)) + seam) == pytest.approx(3, abs=0.01)
    assert float(b.get("y", 0)) + float(b.get("height", 0)) + seam == pytest.approx(float(a.get("y", 0)), abs=0.11)


def test_each_absence_is_one_crossed_cell() -> None:
    svg = presence_matrix([1, 2, 3], [("site-1", [True, True, False]), ("site-2", [True, False, True])])
    assert len(_marks(svg, "rect", "s1")) == 4
    assert len(_marks(svg, "path", "cross")) == 2


def test_names_cannot_break_out_of_the_drawing() -> None:
    svg = presence_matrix([1], [("</svg><script>", [True])])
    assert "<script>" not in svg
    assert next(text.text for text in ElementTree.fromstring(svg).iter("text")) == "</svg><script>"


def test_a_chart_of_which_no_value_was_told_has_its_axes_alone() -> None:
    drawn = line_chart([0, 1], [Series("loss", [None, None], 1)], y_label="loss")
    assert drawn.startswith("<svg")
    assert "loss by round" in drawn


def test_rounds_that_were_not_recorded_leave_no_cell_and_no_mark() -> None:
    svg = presence_matrix([1, 2, 1000], [("site-1", [True, True, True])])
    assert len(_marks(svg, "rect", "s1")) == 3
    texts = [text.text for text in ElementTree.fromstring(svg).iter("text")]
    assert "500" not in texts
