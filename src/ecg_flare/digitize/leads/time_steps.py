"""The lengths that a column can have: layouts are printed whole, or shortened where the paper is too narrow."""

from typing import Final

TIME_STEPS: Final = 20
"""A layout, or a column of one, is shortened by a multiple of 1/20."""


def nearest_time_step(length: float, whole: float) -> float:
    """Return the multiple of `whole` / TIME_STEPS that is nearest to a length in the same unit."""
    step = whole / TIME_STEPS
    return round(length / step) * step
