"""The delta of a promise against the number of those it hides.

A mechanism that gives away one unit of N, whole and drawn at random, has epsilon 0 at ``delta = 1 / N``: at such a
delta and above, a promise of any epsilon allows to publish somebody's data (Dwork & Roth 2014, "The Algorithmic
Foundations of Differential Privacy", section 2.3).
"""

from __future__ import annotations

from ecg_flare.errors import ConfigError
from ecg_flare.privacy.events import Unit


def check_delta(delta: float, unit: Unit, units: int) -> None:
    """Raise ConfigError unless ``0 < delta < 1 / units``.

    >>> check_delta(1e-5, "patient", 19_000)
    """
    if not (type(delta) in (int, float) and 0 < delta < 1):
        raise ConfigError(f"delta is {delta!r}, expected it between 0 and 1")
    if not promises(delta, units):
        raise ConfigError(
            f"delta is {delta:g} for {units} {unit}s, expected it below 1 / {units} = {1 / units:.3g}: such a delta "
            f"allows to publish one {unit}'s data whole; take {largest_power(units):g}"
        )


def promises(delta: float, units: int) -> bool:
    """Whether a promise at `delta` hides each of so many units."""
    return delta * units < 1


def largest_power(units: int) -> float:
    """The largest power of ten below ``1 / units``."""
    return float(f"1e-{len(str(units))}")
