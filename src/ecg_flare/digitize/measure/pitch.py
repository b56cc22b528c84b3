"""How many pixels a millimetre of the grid is, along one axis of an upright page.

The autocorrelation of the grid along the axis tells every period that it has. Lines at each millimetre repeat at 1, 2,
3 ... mm; heavier lines at every fifth make the correlation at 5, 10 ... mm higher still. Which of the periods is the
millimetre is decided by evidence, each piece worth some log-odds:

- a hierarchy of one in five (or dots inside squares) says which is which;
- a grid on which only one kind of line is left says nothing by itself: then the size of a page decides, since paper
  ECGs are 10 to 30 cm wide, not 5 cm or 1.5 m;
- the calibration pulse, where there is one, is 5, 10 or 20 mm high (scale.py).

The pitch itself then comes from all repetitions together, out to the far end of the page, so its error is that of one
line's place divided by the number of lines.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from ecg_flare.digitize.measure.correlation import UPSAMPLE, Correlation

_MIN_MM_PX, _MAX_MM_PX = 1.8, 60.0
_MIN_CORRELATION: Final = 0.03
_PAGE_MM: Final = (110.0, 330.0)  # the usual length of a page's longer side
_PAGE_SPREAD: Final = 0.3  # how unusual others are: standard deviation of the logarithm beyond those


@dataclass(frozen=True)
class Pitch:
    """One reading of the grid along an axis.

    Attributes:
        px_per_mm: pixels a millimetre.
        squares: correlation at 5 and 10 mm: how surely the grid repeats there.
        fine: how much correlation at 1, 2, 3 and 4 mm rises over the lags between: whether 1 mm lines are seen.
        hierarchy: how much the correlation at 5 mm rises over that at 1 to 4 mm: whether every fifth line is heavier.
        reach: part of the page over which the repetition was followed; on curved paper it is lost early.
        score: log-odds of this reading against others, up to a constant.
    """

    px_per_mm: float
    squares: float
    fine: float
    hierarchy: float
    reach: float
    score: float


def readings(correlation: Correlation, page_px: float) -> list[Pitch]:
    """All plausible readings of the millimetre, best first; empty when nothing repeats.

    Args:
        page_px: length of the page's longer side, for the plausibility of its size in millimetres.
    """
    lags = _peak_lags(correlation)
    candidates: list[float] = []
    # The strongest period is a harmonic of the 5 mm lines, or else a repetition that the correlation shows.
    of_harmonics = [correlation.period_px * harmonic / 5.0 for harmonic in range(1, 11)]
    for pitch in (*of_harmonics, *lags, *(lag / 5.0 for lag in lags)):
        known = any(abs(np.log(pitch / other)) < 0.02 for other in candidates)
        if _MIN_MM_PX <= pitch <= _MAX_MM_PX and not known:
            candidates.append(pitch)
    highest = max((correlation.peak_near(lag, 0.5)[1] for lag in lags), default=0.0)
    read = [_judge(correlation, pitch, page_px, highest) for pitch in candidates]
    return sorted((pitch for pitch in read if pitch is not None), key=lambda pitch: -pitch.score)


def _peak_lags(correlation: Correlation, most: int = 24) -> list[float]:
    values = correlation.values[: int(5.5 * _MAX_MM_PX * UPSAMPLE)].astype(np.float32)
    around = cv2.dilate(values.reshape(1, -1), np.ones((1, UPSAMPLE * 2 - 1), np.uint8))[0]
    first = int(_MIN_MM_PX * UPSAMPLE)
    peaks = np.nonzero((values >= around) & (values > _MIN_CORRELATION))[0]
    peaks = peaks[peaks >= first]
    order = peaks[np.argsort(-values[peaks])][:most]
    return [correlation.peak_near(lag / UPSAMPLE, 0.5)[0] for lag in order]


def _judge(correlation: Correlation, pitch: float, page_px: float, highest: float) -> Pitch | None:
    pitch, reach = _track(correlation, pitch)
    fives = [correlation.peak_near(5 * pitch * n, 0.3 * pitch)[1] for n in (1, 2)]
    squares = float(np.nanmean(fives)) if not np.isnan(fives).all() else 0.0
    if squares < _MIN_CORRELATION:
        return None
    lines = float(np.mean([correlation.at(n * pitch) for n in (1, 2, 3, 4)]))
    between = float(np.mean([correlation.at((n + 0.5) * pitch) for n in (1, 2, 3)]))
    fine = lines - between
    hierarchy = squares - lines
    # A true reading explains the strongest repetition (1 mm taken for 5 explains less of it), and leaves no
    # repetition between its lines (2 or 3 mm taken for 1 does).
    score = 6.0 * min(1.0, squares / max(highest, 1e-6))
    score -= 4.0 * max(0.0, _off_lattice(correlation, pitch) - max(0.0, between)) / squares
    score += 3.5 * _ramp(fine / highest, 0.03, 0.12) * _ramp(hierarchy / highest, 0.02, 0.12)
    score += _harmonic_log_odds(5 * pitch / correlation.period_px)
    score += size_log_odds(page_px / pitch)
    return Pitch(pitch, squares=squares, fine=fine, hierarchy=hierarchy, reach=reach, score=score)


def _track(correlation: Correlation, pitch: float) -> tuple[float, float]:
    """Sharpen a pitch with ever longer lags: the peak at n periods tells the period n times more finely.

    Returns the pitch, and how far it was followed as a part of the page's length.
    """
    estimate = pitch
    start = correlation.peak_near(5 * pitch, 0.35 * pitch)[1]
    if np.isnan(start):
        return pitch, 0.0
    total, weight, longest = 0.0, 0.0, 0.0
    count = 5
    while count * estimate < len(correlation.values) / UPSAMPLE:
        lag, height = correlation.peak_near(count * estimate, 0.3 * estimate)
        if np.isnan(height) or height < 0.3 * start:
            break
        total += height * count * lag
        weight += height * count * count
        estimate, longest = total / weight, lag
        count += 5
    return estimate, longest / correlation.length_px


def _off_lattice(correlation: Correlation, pitch: float) -> float:
    """The highest repetition below 5 mm that falls on no whole millimetre."""
    lags = np.arange(int(1.2 * pitch * UPSAMPLE), min(int(4.8 * pitch * UPSAMPLE), len(correlation.values)))
    millimetres = lags / (UPSAMPLE * pitch)
    off = np.abs(millimetres - np.round(millimetres)) > 0.22
    inside = correlation.values[lags[off]] if off.any() else np.zeros(1)
    return float(inside.max())


def _ramp(value: float, low: float, high: float) -> float:
    return min(1.0, max(0.0, (value - low) / (high - low)))


def _harmonic_log_odds(harmonic: float) -> float:
    """Log-odds that the grid's strongest component is this harmonic of the 5 mm lines; 5 is that of the 1 mm lines."""
    nearest = round(harmonic)
    if nearest < 1 or abs(harmonic / nearest - 1.0) > 0.02 or nearest > 10:
        return -4.0
    return 0.0 if nearest <= 5 else -2.5


def size_log_odds(length_mm: float) -> float:
    """Log-odds that a page's longer side is this long: 0 for usual sizes, falling with the logarithm beyond."""
    low, high = _PAGE_MM
    beyond = max(0.0, np.log(low / length_mm), np.log(length_mm / high))
    return -0.5 * float(beyond / _PAGE_SPREAD) ** 2
