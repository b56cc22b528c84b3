"""Options check themselves before a page is opened."""

import pytest

from ecg_flare.digitize import ReadingOptions
from ecg_flare.digitize.ink.classical import classical_segmenter
from ecg_flare.errors import ConfigError, LayoutError


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"fs_hz": 49.0}, "fs_hz is 49.0; expected 50 to 5000"),
        ({"speed": 3.0}, "speed is 3.0"),
        ({"gain": 100.0}, "gain is 100.0"),
        ({"px_per_mm": (8.0, 0.5)}, "px_per_mm is 0.5"),
        ({"segmenter": ()}, "segmenter is empty"),
    ],
)
def test_a_value_that_is_wrong_for_every_page_is_named(wrong: dict[str, object], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        ReadingOptions(**wrong)  # type: ignore[arg-type]


def test_an_unknown_layout_or_segmenter_is_named() -> None:
    with pytest.raises(LayoutError, match="5x5"):
        ReadingOptions(layout="5x5")
    with pytest.raises(ConfigError, match="guess"):
        ReadingOptions(segmenter="guess").segmenters()


def test_one_segmenter_or_several_come_as_a_tuple() -> None:
    assert ReadingOptions(segmenter="classical").segmenters() == (classical_segmenter,)
    assert ReadingOptions(segmenter=classical_segmenter).segmenters() == (classical_segmenter,)
    assert ReadingOptions(segmenter=[classical_segmenter] * 2).segmenters() == (classical_segmenter,) * 2
