"""The lengths that a column can have: layouts are printed whole, or shortened where the paper is too narrow."""

from collections.abc import Sequence
from typing import Final

TWENTIETHS: Final = (20,)
"""A layout, or a column of one, is shortened by a multiple of 1/20: 10 s to 9.5."""

WITH_EIGHTHS: Final = (20, 8)
"""Or of 1/8: 10 s to 8.75. Only where ends are known well: between both, hardly a length is left."""


def nearest_time_step(length: float, whole: float, parts: Sequence[int] = TWENTIETHS) -> float:
    """Return the multiple of `whole` / part, for any of the parts, that is nearest to a length in the same unit."""
    multiples = (round(length * part / whole) * whole / part for part in parts)
    return min(multiples, key=lambda multiple: abs(multiple - length))
