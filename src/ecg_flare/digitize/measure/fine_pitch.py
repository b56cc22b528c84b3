"""A pitch made exact: the phase of the grid's strongest harmonic, followed over the whole page."""

from __future__ import annotations

from typing import Final

import numpy as np
from jaxtyping import Float32, Float64

from ecg_flare.digitize.rectify.tiles import tile_amplitudes

_TILE_PERIODS: Final = 10


def refine_pitch(signal: Float32[np.ndarray, "h w"], px_per_mm: float) -> float:
    """Pixels a millimetre along x, from the phase of the grid's strongest harmonic all over the page.

    The phase is followed from tile to tile, so lines missing in places, and paper that is stretched here and pressed
    there, average out: what comes back is the mean pitch. Starts from a pitch that is right to about 2 %.
    """
    for _ in range(2):  # the nearer the start, the less the tiles' windows shift the phases
        px_per_mm = _refined_once(signal, px_per_mm)
    return px_per_mm


def _refined_once(signal: Float32[np.ndarray, "h w"], px_per_mm: float) -> float:
    period = _strongest_period(signal, px_per_mm)
    side = round(_TILE_PERIODS * period)
    rows, columns = signal.shape[0] // side, signal.shape[1] // side
    if rows < 1 or columns < 3:
        return px_per_mm
    amplitude = tile_amplitudes(signal, period, side)
    steps = amplitude[:, 1:] * np.conj(amplitude[:, :-1])
    weight = np.abs(steps)
    turned = np.angle(steps) / (2 * np.pi)
    # Tiles full of print or without grid have small or random phases: weight by amplitude, then by nearness.
    centre = _weighted_median(turned.ravel(), weight.ravel())
    spread = max(1.4826 * _weighted_median(np.abs(turned - centre).ravel(), weight.ravel()), 1e-4)
    weight = weight / (1.0 + ((turned - centre) / (2.5 * spread)) ** 2)
    drift = float((weight * turned).sum() / weight.sum())
    return px_per_mm / (1.0 + drift * period / side)


def _strongest_period(signal: Float32[np.ndarray, "h w"], px_per_mm: float) -> float:
    """The period among 5/1, 5/2 ... 5/5 mm whose lines stand out most, at least 2.5 pixels long."""
    periods = [5 * px_per_mm / harmonic for harmonic in (1, 2, 3, 4, 5) if 5 * px_per_mm / harmonic >= 2.5]

    def strength(period: float) -> float:
        side = round(_TILE_PERIODS * period)
        if min(signal.shape[0], signal.shape[1] // 3) < side:
            return 0.0
        # A finer period fixes the pitch more finely at the same strength.
        return float(np.median(np.abs(tile_amplitudes(signal, period, side)))) / float(np.sqrt(period))

    return max(periods, key=strength)


def _weighted_median(values: Float64[np.ndarray, " n"], weights: Float64[np.ndarray, " n"]) -> float:
    order = np.argsort(values)
    cumulative = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(cumulative, 0.5 * cumulative[-1])])
