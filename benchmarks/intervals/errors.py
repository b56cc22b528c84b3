"""Errors of intervals: the page's value less the recording's, over pages, and what Bland and Altman draw of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from benchmarks.intervals.pairs import Pair
from benchmarks.markdown import row
from ecg_flare.digitize.confidence import CONFIDENT
from ecg_flare.ecg.intervals.intervals import QUANTITIES


@dataclass(frozen=True)
class Errors:
    """How an interval differs between pages and recordings; NaN where no page has both.

    `both` pages have it on both sides, `missed` only the recording does, `invented` only the page does. `read_sd` is
    the spread against what the pages print of the recordings: what the reading alone adds.
    """

    both: int
    missed: int
    invented: int
    mean: float
    sd: float
    median: float
    p95: float
    read_sd: float


def differences(pairs: Sequence[Pair], name: str, *, printed: bool = False) -> Float64[np.ndarray, "2 pages"]:
    """Return the recordings' values, and the pages' less those, of the pages that have both; angles in -180 to 180.

    `printed`: of the recordings only what the pages print of them.
    """
    sides = [(pair.printed if printed else pair.whole, pair.page) for pair in pairs]
    both = [(true[name], page[name]) for true, page in sides if true[name] is not None and page[name] is not None]
    true, found = np.array(both, np.float64).reshape(-1, 2).T
    apart = found - true
    return np.stack([true, (apart + 180) % 360 - 180 if name == "axis_deg" else apart])


def errors(pairs: Sequence[Pair], name: str) -> Errors:
    """Return the errors of one interval."""
    _, apart = differences(pairs, name)
    on_page = np.array([pair.page[name] is not None for pair in pairs], bool)
    on_record = np.array([pair.whole[name] is not None for pair in pairs], bool)
    counts = int((on_page & on_record).sum()), int((~on_page & on_record).sum()), int((on_page & ~on_record).sum())
    if not len(apart):
        return Errors(*counts, *[float("nan")] * 5)
    middle, high = (float(np.percentile(np.abs(apart), at)) for at in (50, 95))
    read_sd = _spread(differences(pairs, name, printed=True)[1])
    return Errors(*counts, float(apart.mean()), _spread(apart), middle, high, read_sd)


def _spread(apart: Float64[np.ndarray, " pages"]) -> float:
    return float(apart.std(ddof=1)) if len(apart) > 1 else float("nan")


def table(pairs: Sequence[Pair]) -> str:
    """Return the errors by row and interval of the pages that were read with confidence, as a Markdown table."""
    head = (
        "row",
        "interval",
        "pages",
        "mean",
        "sd",
        "median abs.",
        "95 % abs.",
        "sd of the reading alone",
        "not on the page",
        "on the page alone",
    )
    lines = [row(*head), row(*["---"] * len(head))]
    for name_of_row in dict.fromkeys(pair.task.row for pair in pairs):
        sure = [pair for pair in pairs if pair.task.row == name_of_row and pair.confidence >= CONFIDENT]
        for name, (title, unit) in QUANTITIES.items():
            found = errors(sure, name)
            shown = (f"{value:.1f}" for value in (found.mean, found.sd, found.median, found.p95, found.read_sd))
            lines.append(row(name_of_row, f"{title}, {unit}", found.both, *shown, found.missed, found.invented))
    return "\n".join(lines)
