"""Speed, gain and scale where they are given and not measured, each checked against what a page can have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from ecg_flare.digitize.units import PxPerMm
from ecg_flare.errors import ConfigError

_SPEED_RANGE: Final = (5.0, 200.0)
_GAIN_RANGE: Final = (1.0, 80.0)
_SCALE_RANGE: Final = (1.0, 100.0)


@dataclass(frozen=True)
class GivenMeasures:
    """What is known of a page beforehand; None is measured.

    Attributes:
        speed_mm_per_s, gain_mm_per_mv: of the paper.
        chest_gain_mm_per_mv: of V1 to V6, where it may be another.
        px_per_mm: the scale.
    """

    speed_mm_per_s: float | None
    gain_mm_per_mv: float | None
    px_per_mm: PxPerMm | None
    chest_gain_mm_per_mv: float | None = None


def given_measures(
    speed: float | Literal["auto"],
    gain: float | Literal["auto"],
    px_per_mm: PxPerMm | float | tuple[float, float] | None,
    chest_gain: float | Literal["auto"] = "auto",
) -> GivenMeasures:
    """Return what is given by these options of `digitize`.

    Raises ConfigError for a number that no page can have: 5 to 200 mm/s, 1 to 80 mm/mV, 1 to 100 px/mm are possible.
    """
    return GivenMeasures(
        speed_mm_per_s=_checked("speed", speed, _SPEED_RANGE, "mm/s"),
        gain_mm_per_mv=_checked("gain", gain, _GAIN_RANGE, "mm/mV"),
        px_per_mm=None if px_per_mm is None else _unit(px_per_mm),
        chest_gain_mm_per_mv=_checked("chest_gain", chest_gain, _GAIN_RANGE, "mm/mV"),
    )


def _checked(name: str, value: float | str, limits: tuple[float, float], unit: str) -> float | None:
    if value == "auto":
        return None
    if isinstance(value, str) or not limits[0] <= value <= limits[1]:
        raise ConfigError(f"{name} is {value}; expected 'auto' or {limits[0]:g} to {limits[1]:g} {unit}")
    return float(value)


def _unit(px_per_mm: PxPerMm | float | tuple[float, float]) -> PxPerMm:
    """The unit of one number for both axes, or of one each."""
    if isinstance(px_per_mm, PxPerMm):
        x, y = px_per_mm.x, px_per_mm.y
    else:
        x, y = px_per_mm if isinstance(px_per_mm, tuple) else (px_per_mm, px_per_mm)
    for value in (x, y):
        if not _SCALE_RANGE[0] <= value <= _SCALE_RANGE[1]:
            raise ConfigError(f"px_per_mm is {value}; expected {_SCALE_RANGE[0]:g} to {_SCALE_RANGE[1]:g}")
    return PxPerMm(float(x), float(y))
