"""The curve: how many of the pages at a confidence really have 15 dB."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks.signal_confidence.pages import NoisyReading
from ecg_flare.digitize.confidence import CONFIDENT, GOOD_DB

EDGES: Final = (0.0, 0.25, 0.5, CONFIDENT, 0.9, 0.95, 1.0)


def table(readings: Sequence[NoisyReading]) -> str:
    """Confidence, pages, and how many have 15 dB with the right layout, speed and gain; as a Markdown table."""
    lines = [f"| confidence | pages | right, with {GOOD_DB:g} dB | median dB | least dB |", "|---|---|---|---|---|"]
    for low, high in itertools.pairwise(EDGES):
        here = [reading for reading in readings if low <= reading.confidence < high]
        if here:
            good = sum(is_good(reading) for reading in here)
            snr = [reading.snr_db for reading in here]
            share = f"{good} ({good / len(here):.0%})"
            lines.append(f"| {low:.2f} to {high:.2f} | {len(here)} | {share} | {np.median(snr):.1f} | {min(snr):.1f} |")
    return "\n".join(lines)


def is_good(reading: NoisyReading) -> bool:
    """Whether the page keeps what a confidence promises."""
    return reading.right and reading.snr_db >= GOOD_DB


def draw(readings: Sequence[NoisyReading], path: Path) -> None:
    """Draw confidence against decibels, and the share of good pages by confidence."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, (cloud, curve) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    for right, colour, name in ((True, "tab:blue", "right"), (False, "tab:red", "layout, speed or gain wrong")):
        points = [(reading.confidence, reading.snr_db) for reading in readings if reading.right == right]
        if points:
            cloud.scatter(*zip(*points, strict=True), s=9, color=colour, label=name, alpha=0.6)
    cloud.axhline(GOOD_DB, color="grey", lw=0.8)
    cloud.axvline(CONFIDENT, color="grey", lw=0.8)
    cloud.set(xlabel="confidence", ylabel="SNR of the page, dB", xlim=(0, 1), ylim=(-5, 40))
    cloud.legend(loc="upper left", fontsize=8)
    middles, shares = [], []
    for low, high in itertools.pairwise(EDGES):
        here = [reading for reading in readings if low <= reading.confidence < high]
        if here:
            middles.append(float(np.mean([reading.confidence for reading in here])))
            shares.append(sum(map(is_good, here)) / len(here))
    curve.plot([0, 1], [0, 1], color="grey", lw=0.8)
    curve.plot(middles, shares, "o-", color="tab:blue")
    curve.set(xlabel="confidence", ylabel=f"share of pages right, with {GOOD_DB:g} dB", xlim=(0, 1), ylim=(0, 1.03))
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    plt.close(figure)
