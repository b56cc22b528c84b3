"""Fit the constants of the signal's confidence, and check them on other pages.

    python -m benchmarks.signal_confidence --results noise.jsonl [--pages 100] [--seed 779]
    python -m benchmarks.signal_confidence --results noise.jsonl --draw docs/images/digitization/confidence.png

Pages of `mixed`, clean-200, scan and photo are read with nothing given. Those of even index choose the constants, those
of odd index check them: the pages whose confidence would be above 0.95 or 0.75, and how many of them have 15 dB (Kaggle
2025, pooled over the page). --draw draws the curve of the confidences as they are. Use a seed other than that of the
published figures.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import click
import numpy as np
from tqdm import tqdm

from benchmarks.digitization.rows import MIXED
from benchmarks.real_data import data_root
from benchmarks.signal_confidence.fit import Model, fit
from benchmarks.signal_confidence.pages import NoisyReading, readings
from benchmarks.signal_confidence.picture import draw, is_good, table
from ecg_flare.digitize.confidence import CONFIDENT

ROWS: Final = (MIXED, "clean-200", "scan", "photo")
HIGH: Final = 0.95
FITTED_ABOVE: Final = 0.3
"""Of the confidence but for the signal's: a page of another layout has other noise."""


def _report(model: Model, checked: Sequence[NoisyReading]) -> str:
    constants = "\n".join(f'    "{source}": {weight:.4f},' for source, weight in model.weights.items())
    expected = [model.expected_db(reading.noise) for reading in checked]
    error = np.array([value - reading.snr_db for value, reading in zip(expected, checked, strict=True)])
    sure = 1 / (1 + np.exp(-(np.array(expected) - model.at_half_db) / model.spread_db))
    lines = [
        f"{constants}\nfloor {model.floor:.5f}, at half {model.at_half_db:.2f} dB, spread {model.spread_db:.2f} dB",
        f"{len(checked)} other pages: expected minus true {np.median(error):+.1f} dB, spread {error.std():.1f} dB",
    ]
    for least in (HIGH, CONFIDENT):
        above = [
            reading for reading, value in zip(checked, sure, strict=True) if min(value, reading.but_for_signal) >= least
        ]
        lines.append(f"{sum(map(is_good, above))} of {len(above)} pages at {least:g} or above have 15 dB")
    return "\n".join(lines)


@click.command()
@click.option("--pages", default=100, show_default=True, type=click.IntRange(2), help="Pages a row.")
@click.option("--only", multiple=True, type=click.Choice(ROWS), help="This row alone; may be repeated.")
@click.option("--seed", default=779, show_default=True, type=click.IntRange(0), help="Of the rendered pages.")
@click.option("--results", type=click.Path(dir_okay=False, path_type=Path), help="Keep readings here, and go on.")
@click.option("--draw", "picture", type=click.Path(dir_okay=False, path_type=Path), help="Draw the curve here.")
def main(pages: int, only: tuple[str, ...], seed: int, results: Path | None, picture: Path | None) -> None:
    """Fit and check the confidence of signals."""
    found = [
        reading
        for row in only or ROWS
        for reading in tqdm(readings(row, seed, pages, data_root(), results), total=pages, desc=row, disable=None)
    ]
    usable = [reading for reading in found if reading.right and reading.but_for_signal > FITTED_ABOVE]
    model = fit([reading for reading in usable if reading.index % 2 == 0])
    click.echo(_report(model, [reading for reading in usable if reading.index % 2]))
    click.echo(table(found))
    if picture is not None:
        draw(found, picture)


if __name__ == "__main__":
    main()
