"""The picture of Bland and Altman: the difference of two measurements over their mean.

Bland and Altman 1986, "Statistical methods for assessing agreement between two methods of clinical measurement",
Lancet 327:307.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from benchmarks.intervals.errors import differences
from benchmarks.intervals.pairs import Pair
from ecg_flare.digitize.confidence import CONFIDENT
from ecg_flare.ecg.intervals.intervals import QUANTITIES

SHOWN: Final = ("heart_rate_bpm", "pr_ms", "qrs_ms", "qt_ms", "qtc_fridericia_ms", "axis_deg")
WITHIN: Final = 1.96
"""Standard deviations: 95 % of normal differences."""


def draw(pairs: Sequence[Pair], path: Path) -> None:
    """Draw a panel an interval, of the pages that were read with confidence; a colour a row."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    matplotlib.rcParams["svg.hashsalt"] = "bland-altman"
    sure = [pair for pair in pairs if pair.confidence >= CONFIDENT]
    figure, axes = plt.subplots(2, 3, figsize=(11, 6), layout="constrained")
    for panel, name in zip(axes.flat, SHOWN, strict=True):
        title, unit = QUANTITIES[name]
        for row in dict.fromkeys(pair.task.row for pair in sure):
            true, apart = differences([pair for pair in sure if pair.task.row == row], name)
            panel.scatter(true + apart / 2, apart, s=12, alpha=0.6, label=row)
        _, apart = differences(sure, name)
        if len(apart) > 1:
            mean, spread = float(apart.mean()), float(apart.std(ddof=1))
            panel.axhline(mean, color="black", lw=1)
            for edge in (mean - WITHIN * spread, mean + WITHIN * spread):
                panel.axhline(edge, color="grey", lw=0.8, ls="--")
        panel.set(title=title, xlabel=f"mean of page and recording, {unit}", ylabel=f"page - recording, {unit}")
    axes.flat[0].legend(fontsize=8)
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
