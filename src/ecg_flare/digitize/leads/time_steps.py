"""The lengths that a column can have: layouts are printed whole, or shortened where the paper is too narrow."""

from typing import Final

TIME_STEPS: Final = (20, 8)
"""A layout, or a column of one, is shortened by a multiple of 1/20 or of 1/8: 10 s to 9.5 or to 8.75."""


def nearest_time_step(length: float, whole: float) -> float:
    """Return the multiple of `whole` / 20 or `whole` / 8 that is nearest to a length in the same unit."""
    multiples = (round(length * steps / whole) * whole / steps for steps in TIME_STEPS)
    return min(multiples, key=lambda multiple: abs(multiple - length))
