"""Dice by round as a picture: the mean over seeds of each method, with the lowest and the highest seed as a band."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from benchmarks.federation.methods import ALONE
from benchmarks.federation.table import Run, by_method
from ecg_flare.report.charts import Axes, Span, line_drawing
from ecg_flare.report.compare.convergence import mean_series
from ecg_flare.report.figure_file import figure

_LABEL: Final = "trace Dice on held-out patients"


def draw_curves(runs: Sequence[Run]) -> str:
    """The SVG file of all methods but the sites alone."""
    methods = by_method(run for run in runs if run.order.method.name != ALONE)
    at = [point.round for point in runs[0].points]
    series = [
        mean_series(at, name, [{point.round: point.dice for point in run.points} for run in some], slot)
        for slot, (name, some) in enumerate(methods.items(), start=1)
    ]
    seeds = len({run.order.seed for run in runs})
    ends = "; ".join(f"{each.name} ends at {each.values[-1]:.4f}" for each in series)
    drawing = line_drawing(at, series, axes=Axes(_LABEL), span=Span(ceiling=1.0))
    return figure(drawing, series, f"{_LABEL}, from round 0 to {at[-1]}, {seeds} seeds. {ends}.")
