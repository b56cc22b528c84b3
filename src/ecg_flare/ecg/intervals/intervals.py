"""The intervals of an electrocardiogram as a cardiologist asks for them, and the rate-corrected QT.

    QTc Bazett      QT / sqrt(RR)    Bazett 1920, "An analysis of the time-relations of electrocardiograms", Heart 7:353
    QTc Fridericia  QT / cbrt(RR)    Fridericia 1920, "Die Systolendauer im Elektrokardiogramm bei normalen Menschen
                                     und bei Herzkranken", Acta Medica Scandinavica 53:469

with RR in seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

QUANTITIES: Final[Mapping[str, tuple[str, str]]] = {
    "heart_rate_bpm": ("Heart rate", "/min"),
    "pr_ms": ("PR", "ms"),
    "qrs_ms": ("QRS", "ms"),
    "qt_ms": ("QT", "ms"),
    "qtc_bazett_ms": ("QTc Bazett", "ms"),
    "qtc_fridericia_ms": ("QTc Fridericia", "ms"),
    "axis_deg": ("QRS axis", "°"),
}
"""Field -> its name for people, and its unit."""


def with_unit(value: float, unit: str) -> str:
    """Return a value in whole units as people write it.

    >>> with_unit(88.2, "ms"), with_unit(-44.0, "°")
    ('88 ms', '-44°')
    """
    return f"{value:.0f}{unit}" if unit == "°" else f"{value:.0f} {unit}"


@dataclass(frozen=True)
class Intervals:
    """What was measured on a recording; None where it could not be, and `not_measured` says why, by field.

    `beats` is how many heartbeats were found.
    """

    heart_rate_bpm: float | None = None
    pr_ms: float | None = None
    qrs_ms: float | None = None
    qt_ms: float | None = None
    qtc_bazett_ms: float | None = None
    qtc_fridericia_ms: float | None = None
    axis_deg: float | None = None
    beats: int = 0
    not_measured: Mapping[str, str] = field(default_factory=dict)

    @property
    def values(self) -> Mapping[str, float | None]:
        """The measured values by field, in the order of QUANTITIES."""
        return {name: getattr(self, name) for name in QUANTITIES}

    def to_json(self) -> dict[str, Any]:
        """The values as JSON holds them, in whole units, as no page gives more."""
        rounded = {name: None if value is None else round(value) for name, value in self.values.items()}
        return {**rounded, "beats": self.beats, "not_measured": dict(self.not_measured)}

    def to_text(self) -> str:
        """One line for a person."""
        shown = (
            f"{name} {'not measured' if value is None else with_unit(value, unit)}"
            for (name, unit), value in zip(QUANTITIES.values(), self.values.values(), strict=True)
        )
        return ", ".join(shown)


def qtc_bazett_ms(qt_ms: float, rr_s: float) -> float:
    """Return QT corrected for the heart rate by Bazett.

    >>> qtc_bazett_ms(400.0, 1.0)
    400.0
    """
    return float(qt_ms / rr_s**0.5)


def qtc_fridericia_ms(qt_ms: float, rr_s: float) -> float:
    """Return QT corrected for the heart rate by Fridericia.

    >>> qtc_fridericia_ms(400.0, 1.0)
    400.0
    """
    return float(qt_ms / rr_s ** (1 / 3))
