"""The pen's width from the extents of the ink."""

import numpy as np
import pytest

from ecg_flare.digitize.trace.pen import pen_width_px


def test_the_pen_is_as_wide_as_the_thinnest_columns_of_the_middle_row() -> None:
    """0 to 4 in steps of 1: a quarter of the way is 1; of three rows the middle one counts."""
    extents = [np.arange(5.0) + first for first in (3.0, 2.0, 9.0)]

    assert pen_width_px(extents) == 4.0
    assert pen_width_px(extents, percentile=50) == 5.0


def test_columns_without_ink_say_nothing() -> None:
    assert pen_width_px([np.array([np.nan, 2.0, np.nan, 4.0])], percentile=50) == pytest.approx(3.0)
