"""Pixels a millimetre, along x and down y."""

import pytest

from ecg_flare.digitize.units import PxPerMm
from ecg_flare.errors import ConfigError


def test_a_unit_knows_its_finer_axis_and_follows_a_resized_picture() -> None:
    unit = PxPerMm(8.0, 10.0)

    assert (unit.finer, unit.coarser) == (10.0, 8.0)
    assert unit.scaled(0.5, 0.25) == PxPerMm(4.0, 2.5)


@pytest.mark.parametrize(("x", "y", "axis"), [(0.0, 8.0, "x"), (8.0, -1.0, "y"), (8.0, float("nan"), "y")])
def test_a_unit_that_no_page_can_have_is_refused_by_axis(x: float, y: float, axis: str) -> None:
    with pytest.raises(ConfigError, match=f"along {axis}"):
        PxPerMm(x, y)
