"""What bars between the columns cost: the same pages without bars and with bars of each width, dB beside dB.

    python -m benchmarks.bars [--pages 3] [--kind bars]... [--dpi 200]... [--segmenter auto] [--results FILE]

A page prints a PTB-XL recording of a fold that trains nothing on letter paper, as ecg-image-kit does, whose bars are
0.79 mm wide and 6.3 mm long and cross the trace ("bars"). The table has the SNR of the pages without bars, then what
each width adds to it: median and worst page. --results keeps each reading, and the same command goes on where it was
ended. A file of other code is refused.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import click
import numpy as np
from tqdm import tqdm

from benchmarks.digitization.pages import held_out, printed
from benchmarks.kept_readings import KeptReadings
from benchmarks.markdown import row
from benchmarks.real_data import data_root
from ecg_flare.digitize import digitize
from ecg_flare.digitize.ink.candidates import load_segmenters
from ecg_flare.digitize.options import ReadingOptions
from ecg_flare.ecg.metrics import evaluate_recording
from ecg_flare.ecg.ptbxl import load_record
from ecg_flare.errors import EcgFlareError
from ecg_flare.page.render import render_page
from ecg_flare.page.style import PageStyle, PrintStyle

SEED: Final = 79
WIDTHS_MM: Final = (0.3, 0.5, 0.76, 1.0, 1.5)
RESOLUTIONS: Final = (100, 150, 200, 300)
LAYOUTS: Final = ("3x4+1R", "6x2", "3x4+3R", "3x4")


@dataclass(frozen=True)
class Bars:
    """Page `page` at `dpi`, with separators of a kind and width; kind "none" is the page without."""

    page: int
    dpi: int
    kind: str
    width_mm: float
    segmenter: str


@dataclass(frozen=True)
class Result:
    """SNR and confidence of one reading; a page that was refused has 0 of both."""

    bars: Bars
    snr_db: float
    confidence: float


def read(bars: Bars) -> Result:
    """Print one page, read it, and score it."""
    ptbxl = data_root() / "ptbxl"
    entries = held_out(ptbxl)
    rng = np.random.default_rng([SEED, bars.page])
    recording = load_record(ptbxl, entries[int(rng.integers(len(entries)))])
    style = PageStyle(layout=LAYOUTS[bars.page % len(LAYOUTS)], paper="letter", dpi=bars.dpi)
    text = PrintStyle(separator=bars.kind, separator_mm=bars.width_mm)  # type: ignore[arg-type]
    page = render_page(recording, replace(style, text=text), rng)
    try:
        found = digitize(page.image, ReadingOptions(words="off"), segmenter=load_segmenters(bars.segmenter))
    except EcgFlareError:
        return Result(bars, 0.0, 0.0)
    score = evaluate_recording(found.recording, printed(recording, page.truth))
    return Result(bars, score.snr_db_kaggle2025, found.confidence)


def tasks(pages: int, dpis: Iterable[int], kinds: Iterable[str], segmenter: str) -> list[Bars]:
    """Every page without bars and with each kind and width of them."""
    found = []
    for dpi in dpis:
        for page in range(pages):
            found.append(Bars(page, dpi, "none", WIDTHS_MM[0], segmenter))
            found += [Bars(page, dpi, kind, width_mm, segmenter) for kind in kinds for width_mm in WIDTHS_MM]
    return found


def table(results: Iterable[Result]) -> str:
    """A row for each resolution and kind: dB without bars, and the change with bars of each width."""
    found = {result.bars: result.snr_db for result in results}
    lines = [
        row("dpi", "kind", "pages", "without bars, dB", *(f"{width:g} mm" for width in WIDTHS_MM)),
        row(*["---"] * (4 + len(WIDTHS_MM))),
    ]
    for dpi, kind in dict.fromkeys((bars.dpi, bars.kind) for bars in found if bars.kind != "none"):
        without = [bars for bars in found if bars.dpi == dpi and bars.kind == "none"]
        cells = []
        for width_mm in WIDTHS_MM:
            change = [found[replace(bars, kind=kind, width_mm=width_mm)] - found[bars] for bars in without]
            cells.append(f"{np.median(change):+.2f}, worst {min(change):+.2f}")
        lines.append(row(dpi, kind, len(without), f"{np.median([found[bars] for bars in without]):.1f}", *cells))
    return "\n".join(lines)


def _from_json(raw: dict[str, Any]) -> Result:
    return Result(**{**raw, "bars": Bars(**raw["bars"])})


@click.command()
@click.option("--pages", default=3, show_default=True, type=click.IntRange(1), help="Pages a resolution.")
@click.option("--kind", "kinds", multiple=True, default=("bars",), show_default=True, help="Kind of separator.")
@click.option("--dpi", "dpis", multiple=True, type=int, default=RESOLUTIONS, show_default=True, help="Resolution.")
@click.option("--segmenter", default="auto", show_default=True)
@click.option("--results", type=click.Path(dir_okay=False, path_type=Path), help="Keep readings here, and go on.")
def main(pages: int, kinds: tuple[str, ...], dpis: tuple[int, ...], segmenter: str, results: Path | None) -> None:
    """Measure what bars between the columns cost."""
    kept: KeptReadings[Bars, Result] = KeptReadings(results, lambda result: result.bars, _from_json)
    wanted = tasks(pages, dpis, kinds, segmenter)
    for bars in tqdm(wanted, leave=False, disable=None):
        if bars not in kept:
            kept.add(read(bars))
    click.echo(table(kept[bars] for bars in wanted))


if __name__ == "__main__":
    main()
