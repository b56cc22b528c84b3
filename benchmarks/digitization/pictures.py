"""The worst pages of a row as a sheet: the page as it was handed in, beside what was read drawn over it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from benchmarks.digitization.pages import make_page
from benchmarks.digitization.readings import Reading
from benchmarks.digitization.table import worst
from benchmarks.sheets import Tile, write_sheet
from ecg_flare.digitize.files.overlay import draw_overlay
from ecg_flare.digitize.ink.candidates import load_segmenters
from ecg_flare.digitize.pipeline import digitize
from ecg_flare.errors import EcgFlareError

TILE_PX: Final = (620, 450)


def write_worst(readings: Sequence[Reading], data: Path, folder: Path) -> Path:
    """Draw the worst pages of one row and segmenter again, read them again, and write worst-ROW-SEGMENTER.jpg."""
    task = readings[0].task
    tiles = [tile for reading in worst(readings) for tile in _tiles(reading, data)]
    path = folder / f"worst-{task.row}-{task.segmenter}.jpg"
    write_sheet(tiles, path, columns=2, tile_px=TILE_PX)
    return path


def _tiles(reading: Reading, data: Path) -> tuple[Tile, Tile]:
    task = reading.task
    image = make_page(task.row, task.seed, task.index, data).image
    page = Tile(f"{reading.name}, {reading.true.layout}: {reading.snr_db:.1f} dB", image)
    try:
        result = digitize(image, task.options, segmenter=load_segmenters(task.segmenter))
    except EcgFlareError as error:
        return page, Tile(f"refused: {error}"[:90], None)
    return page, Tile(f"read as {result.layout}, {result.confidence:.0%} sure", draw_overlay(result))
