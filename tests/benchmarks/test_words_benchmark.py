"""What was read of print is right, wrong or missed by what stands on the page."""

import sys
from pathlib import Path

# before the installed distribution that ships a package of the same name
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.printed_words import Judged, judged

PAGE = {"speed": 25.0, "gain": 10.0, "low_pass_hz": 40.0}


def test_each_value_is_right_wrong_or_missed() -> None:
    found = judged([("speed", 25.0), ("gain", 5.0), ("speed", 25.0)], PAGE)
    assert found == Judged(("speed 25",), ("gain 5",), ("low_pass_hz 40",))


def test_a_value_of_a_page_that_prints_none_is_wrong() -> None:
    assert judged([("speed", 50.0)], {}) == Judged((), ("speed 50",), ())
    assert judged([], {}) == Judged((), (), ())
