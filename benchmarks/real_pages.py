"""What is found on 17 real pages without truth: a table, and a sheet of all overlays for the eye.

    python -m benchmarks.real_pages [-o docs/images]

The pages are the scans and phone photographs of ecg-image-kit (Alphanumerics Lab, sample-data/ecg-images), sought as
real_pages/ below the folder that ECG_FLARE_DATA names, else in ../shared/data. They are read by the bundled model with
nothing given. Seconds are of this process's CPU, model load apart; the last line is the greatest memory it took.
"""

from __future__ import annotations

import os
import resource
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click
import cv2
import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFont
from tqdm import tqdm

from ecg_flare.digitize import Digitization, digitize
from ecg_flare.digitize.overlay import draw_overlay
from ecg_flare.digitize.reader import list_pages, read_page
from ecg_flare.digitize.segment import load_segmenter
from ecg_flare.errors import PageError

TILE_PX: Final = (620, 400)
COLUMNS: Final = 3
TITLE_PX: Final = 24
GAP_PX: Final = 10
TILES_A_SHEET: Final = 9
JPEG_QUALITY: Final = 80

Picture = UInt8[np.ndarray, "h w 3"]


@dataclass(frozen=True, eq=False)
class Found:
    """What became of one page: its reading and overlay, or why it was refused; CPU seconds."""

    name: str
    result: Digitization | None
    overlay: Picture | None
    refusal: str
    seconds: float


def read_all(folder: Path) -> list[Found]:
    """Read every page of the folder."""
    segmenter = load_segmenter("bundled")
    found = []
    for page in tqdm(list_pages([folder]), unit="page", disable=None):
        image = read_page(page).image
        begun = time.process_time()
        try:
            result = digitize(image, segmenter=segmenter)
        except PageError as error:
            found.append(Found(page.name, None, None, str(error), time.process_time() - begun))
            continue
        seconds = time.process_time() - begun
        found.append(Found(page.name, result, draw_overlay(result), "", seconds))
    return found


def table(found: list[Found]) -> str:
    """A row of Markdown a page."""
    head = (
        "page",
        "layout",
        "speed mm/s",
        "gain mm/mV",
        "confidence",
        "II, aV, R",
        "broken leads",
        "warnings",
        "CPU s",
    )
    rows = [head, tuple("---" for _ in head), *(_row(one) for one in found)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _row(found: Found) -> tuple[str, ...]:
    result = found.result
    if result is None:
        return found.name, "refused", "", "", "", "", "", found.refusal, f"{found.seconds:.1f}"
    calibration, checks = result.calibration, result.checks
    numbers = (checks.einthoven, checks.goldberger, checks.rhythm_correlation)
    return (
        found.name,
        result.layout,
        f"{calibration.speed_mm_per_s:g} {calibration.speed_source}",
        f"{calibration.gain_mm_per_mv:g} {calibration.gain_source}",
        f"{result.confidence:.2f}",
        ", ".join("-" if number is None else f"{number:.2f}" for number in numbers),
        f"{sum(holes > 0 for holes in result.holes)} of {len(result.holes)}",
        str(len(result.warnings)),
        f"{found.seconds:.1f}",
    )


def sheet(found: list[Found]) -> Picture:
    """All overlays in COLUMNS columns, each under its name."""
    width, height = TILE_PX
    n_rows = -(-len(found) // COLUMNS)
    across, down = width + GAP_PX, height + TITLE_PX + GAP_PX
    picture = Image.new("RGB", (COLUMNS * across + GAP_PX, n_rows * down + GAP_PX), "white")
    draw = ImageDraw.Draw(picture)
    font = ImageFont.load_default(17)
    for index, one in enumerate(found):
        left, top = GAP_PX + index % COLUMNS * across, GAP_PX + index // COLUMNS * down
        sure = f", {one.result.confidence:.0%} sure" if one.result is not None else ": refused"
        draw.text((left, top), one.name + sure, fill="black", font=font)
        if one.overlay is not None:
            picture.paste(Image.fromarray(_fitted(one.overlay, TILE_PX)), (left, top + TITLE_PX))
    return np.asarray(picture)


def _fitted(image: Picture, size: tuple[int, int]) -> Picture:
    scale = min(size[0] / image.shape[1], size[1] / image.shape[0])
    smaller: Picture = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return smaller


def _data_root() -> Path:
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    return Path(os.environ.get("ECG_FLARE_DATA", default))


@click.command()
@click.option("-o", "--output", type=click.Path(file_okay=False, path_type=Path), help="Write the picture sheets here.")
def main(output: Path | None) -> None:
    """Read the real pages."""
    found = read_all(_data_root() / "real_pages")
    click.echo(table(found))
    seconds = [one.seconds for one in found]
    click.echo(f"CPU seconds: median {np.median(seconds):.2f}, worst {max(seconds):.2f}")
    click.echo(f"peak memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.2f} GB")
    if output is None:
        return
    output.mkdir(parents=True, exist_ok=True)
    for number, first in enumerate(range(0, len(found), TILES_A_SHEET), 1):
        picture = Image.fromarray(sheet(found[first : first + TILES_A_SHEET]))
        picture.save(output / f"real-pages-{number}.jpg", quality=JPEG_QUALITY, optimize=True)


if __name__ == "__main__":
    main()
