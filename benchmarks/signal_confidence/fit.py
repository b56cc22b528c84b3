"""The fit: weights of the sources of noise, then the curve from expected decibels to how often a page has 15."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float64

from benchmarks.signal_confidence.pages import NoisyReading
from ecg_flare.digitize.confidence import GOOD_DB
from ecg_flare.digitize.leads.signal_evidence import SOURCES

START: Final = {
    "pixels": 0.01,
    "columns": 1.0,
    "limb_leads": 1.0,
    "shared_ink": 0.03,
    "unread_ink": 0.5,
    "swapped_tips": 1.6,
    "unread_lines": 1.0,
    "foreign_ink": 0.02,
    "odd_beats": 0.02,
    "spikes": 0.5,
    "lost": 1.0,
    "hidden_ends": 1.0,
    "missing_ends": 1.0,
    "bent_paper": 0.03,
}
FLOOR: Final = 1e-3
PULL: Final = 0.02  # towards the start, for each e-fold squared: what no page shows stays where it is
STEADY_DB: Final = 3.0  # beyond it an error counts as its size, not as its square (Huber 1964)
OPTIMISTIC: Final = 2.0  # a page that is worse than expected costs more than one that is better
LEAST_SPREAD_DB: Final = 0.7


@dataclass(frozen=True)
class Model:
    """The constants of confidence.py."""

    weights: Mapping[str, float]
    floor: float
    at_half_db: float
    spread_db: float

    def expected_db(self, noise: Mapping[str, float]) -> float:
        """The decibels that a page of this noise has in the mean."""
        return float(-10 * np.log10(sum(self.weights[source] * noise[source] for source in SOURCES) + self.floor))


def fit(readings: Sequence[NoisyReading]) -> Model:
    """Return the model of readings whose layout, speed and gain are right."""
    from scipy.optimize import minimize

    noise = np.array([[reading.noise[source] for source in SOURCES] for reading in readings])
    snr_db = np.array([reading.snr_db for reading in readings])
    start = np.log(np.array([*(START[source] for source in SOURCES), FLOOR]))

    def cost(logs: Float64[np.ndarray, " sources"]) -> float:
        error = np.abs(_expected_db(logs, noise) - snr_db)
        steady = np.where(error < STEADY_DB, error**2 / 2, STEADY_DB * (error - STEADY_DB / 2))
        weight = np.where(_expected_db(logs, noise) > snr_db, OPTIMISTIC, 1.0) * np.where(
            snr_db < GOOD_DB + 3, 2.0, 1.0
        )
        return float((steady * weight).mean() + PULL * ((logs - start) ** 2).mean())

    options = {"maxiter": 40_000, "maxfev": 40_000, "xatol": 1e-3, "fatol": 1e-5}
    logs = minimize(cost, start, method="Nelder-Mead", options=options).x
    expected = _expected_db(logs, noise)
    at_half, spread = _curve(expected, snr_db >= GOOD_DB)
    weights: dict[str, float] = {source: float(np.exp(log)) for source, log in zip(SOURCES, logs[:-1], strict=True)}
    return Model(weights, float(np.exp(logs[-1])), at_half, spread)


def _expected_db(
    logs: Float64[np.ndarray, " sources"], noise: Float64[np.ndarray, "pages sources"]
) -> Float64[np.ndarray, " pages"]:
    return np.asarray(-10 * np.log10(noise @ np.exp(logs[:-1]) + np.exp(logs[-1])))


def _curve(expected_db: Float64[np.ndarray, " pages"], good: np.ndarray) -> tuple[float, float]:
    """Return the logistic curve of the greatest likelihood: its middle and its spread, in dB."""
    from scipy.optimize import minimize

    def cost(values: Float64[np.ndarray, 2]) -> float:
        odds = (expected_db - values[0]) / (LEAST_SPREAD_DB + np.exp(values[1]))
        return float(np.logaddexp(0.0, np.where(good, -odds, odds)).mean())

    best = minimize(cost, np.array([GOOD_DB, 0.0]), method="Nelder-Mead").x
    return float(best[0]), float(LEAST_SPREAD_DB + np.exp(best[1]))
