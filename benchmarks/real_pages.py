"""What is found on 17 real pages without truth: a table, and a sheet of all overlays for the eye.

    python -m benchmarks.real_pages [-o FOLDER [--over-pages]]

The pages are the scans and phone photographs of ecg-image-kit (Alphanumerics Lab, sample-data/ecg-images), sought as
real_pages/ below the folder that ECG_FLARE_DATA names, else in ../shared/data. They are read with nothing given.
"II, aV, R, r" are the residuals of Einthoven and Goldberger, the rhythm strip's correlation with its short lead, and
the correlation of II with I + III.
Seconds are of this process's CPU; the last line is the greatest memory it took.
The sheets show what was read on white, since the pages are not the project's to spread; --over-pages draws it over the
pages themselves, for the eye that checks.
"""

from __future__ import annotations

import resource
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import click
import numpy as np
from tqdm import tqdm

from benchmarks.markdown import row
from benchmarks.real_data import data_root
from benchmarks.sheets import Picture, Tile, write_sheet
from ecg_flare.digitize import Digitization, digitize
from ecg_flare.digitize.files.overlay import draw_overlay
from ecg_flare.digitize.ink.candidates import load_segmenters
from ecg_flare.digitize.ink.segmenters import AUTO
from ecg_flare.digitize.options import ReadingOptions
from ecg_flare.errors import PageError
from ecg_flare.page.reader import list_pages, read_page

SHORTEST_S: Final = 0.5
PASSED: Final = 0.9
TILE_PX: Final = (620, 400)
COLUMNS: Final = 3
TILES_A_SHEET: Final = 9


@dataclass(frozen=True, eq=False)
class Found:
    """What became of one page: its reading and overlay, or why it was refused; CPU seconds."""

    name: str
    result: Digitization | None
    overlay: Picture | None
    refusal: str
    seconds: float


def read_all(folder: Path, *, over_pages: bool, words: bool = False) -> list[Found]:
    """Read every page of the folder."""
    segmenters = load_segmenters(AUTO)
    found = []
    for page in tqdm(list_pages([folder]).pages, unit="page", disable=None):
        image = read_page(page).image
        begun = time.process_time()
        try:
            result = digitize(image, ReadingOptions(words="on" if words else "off"), segmenter=segmenters)
        except PageError as error:
            found.append(Found(page.name, None, None, str(error), time.process_time() - begun))
            continue
        seconds = time.process_time() - begun
        overlay = draw_overlay(result if over_pages else _without_page(result))
        found.append(Found(page.name, result, overlay, "", seconds))
    return found


def table(found: list[Found]) -> str:
    """A row of Markdown a page."""
    head = (
        "page",
        "layout",
        "speed mm/s",
        "gain mm/mV",
        "confidence",
        "II, aV, R, r",
        "broken leads",
        "warnings",
        "CPU s",
    )
    rows = [head, tuple("---" for _ in head), *(_row(one) for one in found)]
    return "\n".join(row(*cells) for cells in rows)


def _row(found: Found) -> tuple[str, ...]:
    result = found.result
    if result is None:
        return found.name, "refused", "", "", "", "", "", found.refusal, f"{found.seconds:.1f}"
    calibration, checks = result.calibration, result.checks
    numbers = (checks.einthoven, checks.goldberger, checks.rhythm_correlation, limb_correlation(result))
    return (
        found.name,
        result.layout,
        f"{calibration.speed_mm_per_s:g} {calibration.speed_source}",
        f"{calibration.gain_mm_per_mv:g} {calibration.gain_source}",
        f"{result.confidence:.2f}",
        ", ".join("-" if number is None else f"{number:.2f}" for number in numbers),
        f"{sum(lead.gaps > 0 for lead in result.leads)} of {len(result.leads)}",
        str(len(result.warnings)),
        f"{found.seconds:.1f}",
    )


def limb_correlation(result: Digitization) -> float | None:
    """Return the correlation of II with I + III where all three were read; None for less than SHORTEST_S of them."""
    one, two, three = (result.recording.lead(name) for name in ("I", "II", "III"))
    known = np.isfinite(one) & np.isfinite(two) & np.isfinite(three)
    if known.sum() < SHORTEST_S * result.recording.fs_hz:
        return None
    return float(np.corrcoef(two[known], one[known] + three[known])[0, 1])


def tile(found: Found) -> Tile:
    """The page's overlay under its name."""
    result = found.result
    return Tile(found.name + (f", {result.confidence:.0%} sure" if result is not None else ": refused"), found.overlay)


def _without_page(result: Digitization) -> Digitization:
    white = np.full_like(result.page.image, 255)
    return replace(result, page=replace(result.page, image=white))


@click.command()
@click.option("-o", "--output", type=click.Path(file_okay=False, path_type=Path), help="Write the picture sheets here.")
@click.option("--over-pages", is_flag=True, help="Draw over the pages' own pixels.")
@click.option("--words", is_flag=True, help="Read printed speeds and gains, too (the extra `words`).")
def main(output: Path | None, over_pages: bool, words: bool) -> None:
    """Read the real pages."""
    found = read_all(data_root() / "real_pages", over_pages=over_pages, words=words)
    click.echo(table(found))
    for one in found:
        if one.result is not None:
            click.echo(f"{one.name}: {'; '.join(one.result.warnings) or 'no warning'}")
    limbs = [value for one in found if one.result and (value := limb_correlation(one.result)) is not None]
    passed = sum(value > PASSED for value in limbs)
    click.echo(f"II with I + III above {PASSED}: {passed} of {len(limbs)} pages, median {np.median(limbs):.3f}")
    seconds = [one.seconds for one in found]
    click.echo(f"CPU seconds: median {np.median(seconds):.2f}, worst {max(seconds):.2f}")
    click.echo(f"peak memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.2f} GB")
    if output is None:
        return
    for number, first in enumerate(range(0, len(found), TILES_A_SHEET), 1):
        tiles = [tile(one) for one in found[first : first + TILES_A_SHEET]]
        write_sheet(tiles, output / f"real-pages-{number}.jpg", columns=COLUMNS, tile_px=TILE_PX)


if __name__ == "__main__":
    main()
