"""Rows drawn by hand on the raster that layouts are tried on."""

import numpy as np

from ecg_flare.digitize.leads.labels import Word
from ecg_flare.digitize.trace.page_span import PageSpan
from ecg_flare.digitize.trace.raster import RASTER_MM, RowRaster
from ecg_flare.digitize.units import PxPerMm
from ecg_flare.ecg.leads import ALL_LEADS

SCALE = PxPerMm(10.0, 10.0)
ROW_PX = 200.0


def raster(y_mm: np.ndarray, left_px: float = 0.0, width_px: float | None = None) -> RowRaster:
    """Rows at 10 px/mm, 200 pixels apart, the first at 100; `y_mm` has a sample every 0.1 mm from `left_px` on."""
    x_px = left_px + np.arange(y_mm.shape[1]) * RASTER_MM * SCALE.x
    right_px = left_px + y_mm.shape[1] * RASTER_MM * SCALE.x
    levels = 100.0 + ROW_PX * np.arange(len(y_mm))
    return RowRaster(x_px, y_mm, levels, PageSpan(left_px, right_px, "none"), SCALE, width_px or right_px + 100.0)


def noise(rows: int, samples: int, seed: int = 0) -> np.ndarray:
    """Rows of unlike signals: random walks."""
    return np.cumsum(np.random.default_rng(seed).normal(size=(rows, samples)), axis=1)


def word(name: str, left: float, row: int, fit: float = 0.95, n_letters: int | None = None) -> Word:
    """A lead's name, 30 pixels high, above the level of a row; every other name fits by 0.2."""
    fits = np.where(np.array(ALL_LEADS) == name, fit, 0.2).astype(np.float32)
    top = 100.0 + ROW_PX * row - 60.0
    return Word(left, top, left + 40.0, top + 30.0, len(name) if n_letters is None else n_letters, fits)
