"""How wide the pen was: the extent of the ink in the thinnest columns, where the line is level."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from jaxtyping import Float64

LEVEL_PERCENTILE: Final = 25
"""A quarter of a row's columns show a level line."""


def pen_width_px(extents: Sequence[Float64[np.ndarray, " n"]], percentile: float = LEVEL_PERCENTILE) -> float:
    """Return the pen's width in pixels: the percentile of each row's extents (NaN without ink), the middle of all rows.

    Few columns of a noisy row are level, so that its own extents would make the pen too wide.
    """
    return float(np.median([np.nanpercentile(extent, percentile) for extent in extents]))
