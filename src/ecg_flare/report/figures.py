"""Numbers as people read them, and the round values that an axis is marked with."""

import math
import re
from collections.abc import Mapping
from typing import Final

_SUPERSCRIPT: Final = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_SMALLEST_SPAN: Final = 1e-9
"""What an axis can show apart, of its figures or of 1."""
_BYTES: Final = ("B", "kB", "MB", "GB", "TB")


def bytes_text(count: float) -> str:
    """Bytes with a decimal prefix and three digits: 1234567 -> '1.23 MB'."""
    power = 0
    while round(count, 2) >= 1000 and power < len(_BYTES) - 1:
        count, power = count / 1000, power + 1
    return f"{significant(count)} {_BYTES[power]}"


def dice_text(dice: float, digits: int = 4) -> str:
    """A Dice; a dash where the server had no public data to measure it on (-1)."""
    return f"{dice:.{digits}f}" if dice >= 0 else "–"


def measure_text(measures: Mapping[str, float], name: str) -> str:
    """A measure of a round; a dash where it was not taken."""
    return f"{measures[name]:.4g}" if name in measures else "–"


def seconds_text(seconds: float) -> str:
    """Seconds as '8.2 s', '3 min 20 s' or '2 h 5 min'."""
    if seconds < 60:
        return f"{significant(seconds)} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def significant(value: float, digits: int = 3) -> str:
    """A number with so many significant digits, never in powers of ten between 0.001 and a million."""
    if value == 0:
        return "0"
    if not math.isfinite(value):
        return "∞" if value > 0 else "–"
    magnitude = math.floor(math.log10(abs(value)))
    if not -4 < magnitude < 6:
        return f"{value:.{digits - 1}e}"
    return f"{value:.{max(0, digits - 1 - magnitude)}f}"


def scientific(value: float) -> str:
    """A number as people write it: 0.00001 -> '10⁻⁵', 0.00002 -> '2×10⁻⁵', 0.01 -> '0.01'."""
    mantissa, _, exponent = f"{value:g}".partition("e")
    if not exponent:
        return mantissa
    power = "10" + str(int(exponent)).translate(_SUPERSCRIPT)
    return power if mantissa == "1" else f"{mantissa}×{power}"


def natural_key(name: str) -> tuple[tuple[str, int, str], ...]:
    """Sort key by which site-2 stands before site-10; of numbers of any length, which `int` does not read."""
    parts = [(text, digits.lstrip("0")) for text, digits in re.findall(r"(\D*)(\d*)", name)]
    return tuple((text, len(digits), digits) for text, digits in parts)


def ticks(low: float, high: float, count: int = 5) -> tuple[float, ...]:
    """About `count` round values (steps of 1, 2 or 5 times a power of ten) whose first and last embrace low to high."""
    if not high - low > _SMALLEST_SPAN * max(1.0, abs(low), abs(high)):
        span = abs(low) if abs(low) > _SMALLEST_SPAN else 1.0
        low, high = low - span / 2, high + span / 2
    step = _round_step((high - low) / max(1, count - 1))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return tuple(round(index * step, 12) for index in range(first, last + 1))


def whole_ticks(low: int, high: int, count: int = 8) -> tuple[int, ...]:
    """At most `count` round whole numbers (and one more) from `low` to `high`, not beyond: for rounds."""
    step = math.ceil(_round_step((high - low) / count)) if high > low else 1
    return tuple(range(math.ceil(low / step) * step, high + 1, step)) or (low,)


def _round_step(least: float) -> float:
    """The smallest of 1, 2, 5 times a power of ten that is at least `least`."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= least * (1 - 1e-9))
