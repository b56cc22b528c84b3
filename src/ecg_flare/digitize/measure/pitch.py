"""How many pixels a millimetre of the grid is, along one axis of an upright page.

The autocorrelation of the grid along the axis tells every period that it has. Lines at each millimetre repeat at 1, 2,
3 ... mm; heavier lines at every fifth make the correlation at 5, 10 ... mm higher still. Which of the periods is the
millimetre is decided by evidence, each piece worth some log-odds:

- a hierarchy of one in five (or dots inside squares) says which is which;
- a grid on which only one kind of line is left says nothing by itself: then the size of a page decides, since paper
  ECGs are 10 to 30 cm wide, not 5 cm or 1.5 m;
- the calibration pulse, where there is one, is 5, 10 or 20 mm high (calibrate.py).

The pitch itself then comes from all repetitions together, out to the far end of the page, so its error is that of one
line's place divided by the number of lines.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Complex64, Float32, Float64

_UPSAMPLE = 8  # lags are read to an eighth of a pixel before the parabola
_TILE_PERIODS = 10
_MIN_MM_PX, _MAX_MM_PX = 1.8, 60.0
_MIN_CORRELATION = 0.03
_LINE_PERIODS = 1.5  # what is narrower than this, in periods, is a line; the rest is shade, ink or table
_PAGE_MM = (110.0, 330.0)  # the usual length of a page's longer side
_PAGE_SPREAD = 0.3  # how unusual others are: standard deviation of the logarithm beyond those


@dataclass(frozen=True, eq=False)
class Correlation:
    """Autocorrelation of the grid's lines along one axis; lags in pixels.

    `period_px` is the strongest period of the grid, from the lattice's spectrum.
    """

    values: Float64[np.ndarray, " n"]
    length_px: int
    period_px: float

    def at(self, lag_px: float) -> float:
        """Correlation at a lag; NaN beyond the longest one measured."""
        position = lag_px * _UPSAMPLE
        low = int(position)
        if low + 1 >= len(self.values):
            return float("nan")
        part = position - low
        return float((1 - part) * self.values[low] + part * self.values[low + 1])

    def peak_near(self, lag_px: float, within_px: float) -> tuple[float, float]:
        """Lag and height of the highest correlation within a distance of a lag."""
        low = max(1, int((lag_px - within_px) * _UPSAMPLE))
        high = min(len(self.values) - 1, int((lag_px + within_px) * _UPSAMPLE) + 2)
        if high - low < 3:
            return lag_px, float("nan")
        best = low + int(np.argmax(self.values[low:high]))
        if best in (low, high - 1):
            return lag_px, self.at(lag_px)
        left, middle, right = self.values[best - 1 : best + 2]
        curve = left - 2 * middle + right
        offset = 0.0 if curve >= 0 else float((left - right) / (2 * curve))
        return (best + offset) / _UPSAMPLE, float(middle)


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


def correlate(signal: Float32[np.ndarray, "h w"], period_px: float) -> Correlation:
    """Autocorrelation along x of the grid's darkness, averaged over bands of rows.

    Bands, not the whole height, since curved paper moves the lines sideways from top to bottom.

    Args:
        signal: darkness of the grid (lattice.grid_signal); transpose it to measure along y.
        period_px: strongest period of the grid; it sets the bands' height, and how narrow a line is.
    """
    height, width = signal.shape
    count = max(1, height // int(max(24, 6 * period_px)))
    rows = height // count
    bands = signal[: count * rows].reshape(count, rows, width).mean(axis=1)
    # A top hat keeps what is narrow and dark: subtracting a mean instead would leave troughs beside strong lines,
    # and with them correlations that are not the grid's.
    narrow = np.ones((1, max(3, round(_LINE_PERIODS * period_px))), np.uint8)
    bands = cv2.morphologyEx(np.ascontiguousarray(bands), cv2.MORPH_TOPHAT, narrow)
    bands = np.minimum(bands, np.quantile(bands, 0.985, axis=1, keepdims=True))
    bands = bands - bands.mean(axis=1, keepdims=True)
    deviation = np.sqrt((bands**2).mean(axis=1, keepdims=True))
    bands = bands / np.maximum(deviation, 1e-6)
    points = 2 << (width - 1).bit_length()
    power = (np.abs(np.fft.rfft(bands, points, axis=1)) ** 2).mean(axis=0)
    padded = np.zeros(_UPSAMPLE * points // 2 + 1)
    padded[: len(power)] = power
    count_lags = int(0.7 * width * _UPSAMPLE)
    values = np.fft.irfft(padded)[:count_lags] * _UPSAMPLE
    values /= width - np.arange(count_lags) / _UPSAMPLE  # fewer samples overlap at longer lags
    return Correlation(values / max(float(values[0]), 1e-12), width, period_px)


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
    values = correlation.values[: int(5.5 * _MAX_MM_PX * _UPSAMPLE)].astype(np.float32)
    around = cv2.dilate(values.reshape(1, -1), np.ones((1, _UPSAMPLE * 2 - 1), np.uint8))[0]
    first = int(_MIN_MM_PX * _UPSAMPLE)
    peaks = np.nonzero((values >= around) & (values > _MIN_CORRELATION))[0]
    peaks = peaks[peaks >= first]
    order = peaks[np.argsort(-values[peaks])][:most]
    return [correlation.peak_near(lag / _UPSAMPLE, 0.5)[0] for lag in order]


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


def _ramp(value: float, low: float, high: float) -> float:
    return min(1.0, max(0.0, (value - low) / (high - low)))


def _harmonic_log_odds(harmonic: float) -> float:
    """Log-odds that the grid's strongest component is this harmonic of the 5 mm lines; 5 is that of the 1 mm lines."""
    nearest = round(harmonic)
    if nearest < 1 or abs(harmonic / nearest - 1.0) > 0.02 or nearest > 10:
        return -4.0
    return 0.0 if nearest <= 5 else -2.5


def _off_lattice(correlation: Correlation, pitch: float) -> float:
    """The highest repetition below 5 mm that falls on no whole millimetre."""
    lags = np.arange(int(1.2 * pitch * _UPSAMPLE), min(int(4.8 * pitch * _UPSAMPLE), len(correlation.values)))
    millimetres = lags / (_UPSAMPLE * pitch)
    off = np.abs(millimetres - np.round(millimetres)) > 0.22
    inside = correlation.values[lags[off]] if off.any() else np.zeros(1)
    return float(inside.max())


def size_log_odds(length_mm: float) -> float:
    """Log-odds that a page's longer side is this long: 0 for usual sizes, falling with the logarithm beyond."""
    low, high = _PAGE_MM
    beyond = max(0.0, np.log(low / length_mm), np.log(length_mm / high))
    return -0.5 * float(beyond / _PAGE_SPREAD) ** 2


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
    while count * estimate < len(correlation.values) / _UPSAMPLE:
        lag, height = correlation.peak_near(count * estimate, 0.3 * estimate)
        if np.isnan(height) or height < 0.3 * start:
            break
        total += height * count * lag
        weight += height * count * count
        estimate, longest = total / weight, lag
        count += 5
    return estimate, longest / correlation.length_px


def refine(signal: Float32[np.ndarray, "h w"], px_per_mm: float) -> float:
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


def tile_amplitudes(
    signal: Float32[np.ndarray, "h w"], period_px: float, side_px: int
) -> Complex64[np.ndarray, "rows columns"]:
    """Amplitude and phase of the lines that repeat along x at a period, in each square tile of a page."""
    rows, columns = signal.shape[0] // side_px, signal.shape[1] // side_px
    area = signal[: rows * side_px, : columns * side_px]
    profile = area.reshape(rows, side_px, columns, side_px).mean(axis=1)
    profile = profile - profile.mean(axis=2, keepdims=True)
    turning = np.exp(-2j * np.pi * np.arange(columns * side_px) / period_px).astype(np.complex64)
    window = np.hanning(side_px + 2)[1:-1].astype(np.float32)
    amplitudes: Complex64[np.ndarray, "rows columns"] = (profile * turning.reshape(columns, side_px) * window).mean(
        axis=2
    )
    return amplitudes


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
