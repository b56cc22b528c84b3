"""What a pixel is worth: pixels a millimetre along x and y, millimetres a second, millimetres a millivolt.

Nothing is assumed in silence. The scale is measured on the grid, or else on the calibration pulses, or else given;
speed and gain are measured on the pulses, or given, or assumed with a warning and less confidence. The standards that
make a pulse a measure: it is 1 mV high, and by most machines 0.2 s wide.
"""

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from ecg_flare.digitize.measure.pulse import Pulse, find_pulses
from ecg_flare.digitize.measure.scale import GridScale, standard_gain
from ecg_flare.digitize.rectify.normalize import NormalizedPage
from ecg_flare.errors import ConfigError, PageError

Source = Literal["measured", "given", "assumed"]
Method = Literal["grid", "pulse", "given"]

USUAL_SPEED_MM_PER_S, USUAL_GAIN_MM_PER_MV = 25.0, 10.0
_PULSE_S = 0.2
_SPEEDS = (25.0, 50.0)
_WIDTH_TOLERANCE = 0.07
_SPEED_RANGE, _GAIN_RANGE, _SCALE_RANGE = (5.0, 200.0), (1.0, 80.0), (1.0, 100.0)
_UNSURE_MARGIN = 3.0
ASSUMED_CONFIDENCE: Final = 0.7
"""Of a speed or a gain that nothing on the page says: below what counts as confident."""

FEW_PX_PER_MM: Final = 3.5
"""Below this (89 dpi) small waves and narrow peaks are a pixel or two."""


@dataclass(frozen=True)
class Calibration:
    """A page's measures.

    Attributes:
        px_per_mm_x, px_per_mm_y: pixels a millimetre of paper along and down.
        method: where those come from.
        confidence: 0 to 1 for all of this together; assumed values lower it.
        speed_mm_per_s, gain_mm_per_mv: of the paper; with where each comes from.
        warnings: what a reader of the result should know, one sentence each.
    """

    px_per_mm_x: float
    px_per_mm_y: float
    method: Method
    confidence: float
    speed_mm_per_s: float
    speed_source: Source
    gain_mm_per_mv: float
    gain_source: Source
    warnings: tuple[str, ...]

    @property
    def px_per_s(self) -> float:
        """Pixels along x that a second takes."""
        return self.px_per_mm_x * self.speed_mm_per_s

    @property
    def px_per_mv(self) -> float:
        """Pixels down y that a millivolt takes."""
        return self.px_per_mm_y * self.gain_mm_per_mv


@dataclass(frozen=True)
class _Scale:
    x: float
    y: float
    method: Method
    confidence: float
    pulses: tuple[Pulse, ...]
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class _Reading:
    value: float
    source: Source
    confidence: float
    warnings: tuple[str, ...]


def calibrate(
    page: NormalizedPage,
    *,
    speed: float | Literal["auto"] = "auto",
    gain: float | Literal["auto"] = "auto",
    px_per_mm: float | tuple[float, float] | None = None,
) -> Calibration:
    """Measure a page's scale, paper speed and gain.

    Args:
        page: an upright page.
        speed: mm/s, or "auto" to read it off the pulses.
        gain: mm/mV, or "auto" to read it off the pulses.
        px_per_mm: scale where it is known, one number or (x, y); otherwise it is measured.

    Raises:
        PageError: there is neither a grid nor a pulse to measure by, and no scale was given.
        ConfigError: a given number is out of its range.
    """
    known_speed = _checked("speed", speed, _SPEED_RANGE, "mm/s")
    known_gain = _checked("gain", gain, _GAIN_RANGE, "mm/mV")
    scale = _given_scale(page, px_per_mm) if px_per_mm is not None else _measured_scale(page, known_speed, known_gain)
    read_gain = _gain(scale, known_gain)
    read_speed = _speed(scale, known_speed)
    return Calibration(
        px_per_mm_x=scale.x,
        px_per_mm_y=scale.y,
        method=scale.method,
        confidence=round(scale.confidence * read_gain.confidence * read_speed.confidence, 3),
        speed_mm_per_s=read_speed.value,
        speed_source=read_speed.source,
        gain_mm_per_mv=read_gain.value,
        gain_source=read_gain.source,
        warnings=(*scale.warnings, *_resolution_notes(scale), *read_speed.warnings, *read_gain.warnings),
    )


def check_settings(
    speed: float | Literal["auto"], gain: float | Literal["auto"], px_per_mm: float | tuple[float, float] | None
) -> None:
    """Raise ConfigError for a given number that no page can have."""
    _checked("speed", speed, _SPEED_RANGE, "mm/s")
    _checked("gain", gain, _GAIN_RANGE, "mm/mV")
    if px_per_mm is not None:
        _both(px_per_mm)


def _both(px_per_mm: float | tuple[float, float]) -> tuple[float, float]:
    x, y = px_per_mm if isinstance(px_per_mm, tuple) else (px_per_mm, px_per_mm)
    for value in (x, y):
        if not _SCALE_RANGE[0] <= value <= _SCALE_RANGE[1]:
            raise ConfigError(f"px_per_mm is {value}; expected {_SCALE_RANGE[0]:g} to {_SCALE_RANGE[1]:g}")
    return float(x), float(y)


def _checked(name: str, value: float | str, limits: tuple[float, float], unit: str) -> float | None:
    if value == "auto":
        return None
    if isinstance(value, str) or not limits[0] <= value <= limits[1]:
        raise ConfigError(f"{name} is {value}; expected 'auto' or {limits[0]:g} to {limits[1]:g} {unit}")
    return float(value)


# --- pixels a millimetre ------------------------------------------------------------------------------------------


def _given_scale(page: NormalizedPage, px_per_mm: float | tuple[float, float]) -> _Scale:
    x, y = _both(px_per_mm)
    return _Scale(x, y, "given", 1.0, find_pulses(page.image, y), ())


def _measured_scale(page: NormalizedPage, speed: float | None, gain: float | None) -> _Scale:
    if page.scale.grid is not None:
        return _grid_scale(page.scale.grid, page.scale.pulses)
    if page.scale.pulses:
        return _pulse_scale(page.scale.pulses, speed, gain)
    raise PageError(
        "no millimetre grid and no calibration pulse was found, so lengths on this page have no measure; "
        "if its scale is known, give it with --px-per-mm (a 200 dpi scan has 7.87)"
    )


def _resolution_notes(scale: _Scale) -> tuple[str, ...]:
    coarsest = min(scale.x, scale.y)
    if coarsest >= FEW_PX_PER_MM:
        return ()
    return (f"the page has {coarsest:.1f} pixels a millimetre: small waves and the tips of narrow peaks may be lost",)


def _grid_scale(grid: GridScale, pulses: tuple[Pulse, ...]) -> _Scale:
    confidence = min(1.0, 0.55 + 0.1 * grid.margin) * min(1.0, 0.6 + grid.squares)
    warnings = []
    if grid.margin < _UNSURE_MARGIN:
        warnings.append(
            f"the grid can be read in more than one way; taken for {grid.px_per_mm_y:.2f} pixels a millimetre"
        )
        confidence = min(confidence, 0.6)
    return _Scale(grid.px_per_mm_x, grid.px_per_mm_y, "grid", min(confidence, 0.99), pulses, tuple(warnings))


def _pulse_scale(pulses: tuple[Pulse, ...], speed: float | None, gain: float | None) -> _Scale:
    """Scale from the pulses alone: their height in mm is the gain, their width a fifth of the speed."""
    height = float(np.median([pulse.height_px for pulse in pulses]))
    width = float(np.median([pulse.width_px for pulse in pulses]))
    y = height / (gain or USUAL_GAIN_MM_PER_MV)
    x = width / (_PULSE_S * (speed or USUAL_SPEED_MM_PER_S))
    note = "no grid was found: the scale comes from the calibration pulses"
    if 0.85 < x / y < 1.18:
        return _Scale(x, y, "pulse", 0.7, pulses, (f"{note}, taken as 1 mV high and 0.2 s wide",))
    # A pulse that is not 0.2 s wide measures millivolts still; paper is taken to have one scale both ways.
    return _Scale(y, y, "pulse", 0.45, pulses, (f"{note}; their width is not 0.2 s, so times are unsure",))


# --- speed and gain -----------------------------------------------------------------------------------------------


def _gain(scale: _Scale, known: float | None) -> _Reading:
    measured = standard_gain(scale.pulses, scale.y) if scale.method != "pulse" else None
    if known is not None:
        if measured is not None and measured != known:
            note = f"the gain was given as {known:g} mm/mV, but the pulses are {measured:g} mm high"
            return _Reading(known, "given", 0.6, (note,))
        return _Reading(known, "given", 1.0, ())
    if measured is not None:
        lone = len(scale.pulses) < 2
        notes = ("the gain was read from a single calibration pulse",) if lone else ()
        return _Reading(measured, "measured", 0.85 if lone else 1.0, notes)
    if scale.pulses and scale.method != "pulse":
        height = float(np.median([pulse.height_px for pulse in scale.pulses])) / scale.y
        odd = f" (what looks like a pulse is {height:.1f} mm high, which is no usual gain)"
    else:
        odd = ""
    note = f"gain assumed to be {USUAL_GAIN_MM_PER_MV:g} mm/mV: no calibration pulse was read{odd}"
    if scale.method == "pulse":
        note = f"gain assumed to be {USUAL_GAIN_MM_PER_MV:g} mm/mV; millivolts come from the pulses and do not need it"
    return _Reading(USUAL_GAIN_MM_PER_MV, "assumed", ASSUMED_CONFIDENCE, (note,))


def _speed(scale: _Scale, known: float | None) -> _Reading:
    measured = _pulse_speed(scale) if scale.method != "pulse" else None
    if known is not None:
        if measured is not None and measured != known:
            note = f"the speed was given as {known:g} mm/s, but the pulses are {_PULSE_S * measured:g} mm wide"
            return _Reading(known, "given", 0.7, (note,))
        return _Reading(known, "given", 1.0, ())
    if measured is not None:
        return _Reading(measured, "measured", 1.0, ())
    note = assumed_speed_note(USUAL_SPEED_MM_PER_S)
    return _Reading(USUAL_SPEED_MM_PER_S, "assumed", ASSUMED_CONFIDENCE, (note,))


def assumed_speed_note(speed_mm_per_s: float) -> str:
    """The warning of a speed that no pulse says."""
    return f"speed assumed to be {speed_mm_per_s:g} mm/s: no calibration pulse of 0.2 s was read"


def _pulse_speed(scale: _Scale) -> float | None:
    """Speed at which the pulses are 0.2 s wide; None when they are of no known width (some machines print 0.1 s)."""
    if len(scale.pulses) < 2 or standard_gain(scale.pulses, scale.y) is None:
        return None
    width = float(np.median([pulse.width_px for pulse in scale.pulses])) / scale.x
    for speed in _SPEEDS:
        if abs(width / (_PULSE_S * speed) - 1.0) <= _WIDTH_TOLERANCE:
            return speed
    return None
