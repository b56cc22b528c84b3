"""Speed, gain and scale where they are given."""

import pytest

from ecg_flare.digitize.measure.given import GivenMeasures, given_measures
from ecg_flare.digitize.units import PxPerMm
from ecg_flare.errors import ConfigError


def test_what_is_auto_is_left_to_be_measured() -> None:
    assert given_measures("auto", "auto", None) == GivenMeasures(None, None, None)


@pytest.mark.parametrize("px_per_mm", [PxPerMm(8.0, 8.0), 8, 8.0, (8.0, 8.0)])
def test_a_scale_is_one_number_or_two(px_per_mm: PxPerMm | float | tuple[float, float]) -> None:
    assert given_measures(50, 20.0, px_per_mm) == GivenMeasures(50.0, 20.0, PxPerMm(8.0, 8.0))


@pytest.mark.parametrize(
    ("speed", "gain", "px_per_mm", "message"),
    [
        (4.9, "auto", None, "speed is 4.9; expected 'auto' or 5 to 200 mm/s"),
        ("fast", "auto", None, "speed is fast"),
        ("auto", 81.0, None, "gain is 81.0; expected 'auto' or 1 to 80 mm/mV"),
        (float("nan"), "auto", None, "speed is nan"),
        ("auto", "auto", 0.9, "px_per_mm is 0.9; expected 1 to 100"),
        ("auto", "auto", (8.0, 101.0), "px_per_mm is 101.0"),
        ("auto", "auto", PxPerMm(8.0, 0.5), "px_per_mm is 0.5"),
    ],
)
def test_what_no_page_can_have_is_refused(speed: object, gain: object, px_per_mm: object, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        given_measures(speed, gain, px_per_mm)  # type: ignore[arg-type]
