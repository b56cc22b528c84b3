"""The row `mixed` has every kind of page, and the usual ones keep their shares among themselves."""

import sys
from pathlib import Path

import numpy as np
import pytest

# before the installed distribution that ships a package of the same name
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.digitization.mixed import mixed_kinds
from benchmarks.digitization.rows import MIXED, rows

from ecg_flare.page.distribution import Choice
from ecg_flare.page.style import PageStyle

KINDS = {kind.profile.name: kind for kind in mixed_kinds()}


def styles(name: str, count: int = 40) -> list[PageStyle]:
    rng = np.random.default_rng(1)
    return [KINDS[name].profile.draw_style(rng) for _ in range(count)]


def test_shares_sum_to_one_and_most_pages_are_usual() -> None:
    assert sum(kind.share for kind in KINDS.values()) == pytest.approx(1)
    assert KINDS["usual"].share > 0.5


def test_kinds_are_drawn_by_their_shares() -> None:
    rng = np.random.default_rng(0)
    drawn = [rows()[MIXED].draw_kind(rng).profile.name for _ in range(4000)]
    for name, kind in KINDS.items():
        assert drawn.count(name) / 4000 == pytest.approx(kind.share, abs=0.025)


def test_a_row_of_one_kind_draws_nothing_for_it() -> None:
    rng = np.random.default_rng(5)
    rows()["scan"].draw_kind(rng)
    assert rng.random() == np.random.default_rng(5).random()


def test_usual_pages_have_the_earlier_layouts_alone() -> None:
    layouts = KINDS["usual"].profile.style["layout"]
    assert isinstance(layouts, Choice)
    shares = dict(zip(layouts.values, np.array(layouts.probabilities) * 14, strict=True))
    assert shares == pytest.approx(
        {"3x4": 2, "3x4+1R": 4, "3x4+2R": 1, "3x4+3R": 1.5, "3x4-cabrera": 0.5, "3x4-cabrera+1R": 0.5, "6x2": 1.5,
         "6x2+1R": 1, "12x1": 2}
    )  # fmt: skip


def test_each_kind_prints_what_it_says() -> None:
    bars = styles("bars")
    assert all(style.text.separator != "none" and 0.1 <= style.text.separator_mm <= 1.5 for style in bars)
    assert all((style.gain_mm_per_mv, style.chest_gain) == (10, 5) for style in styles("split gain"))
    assert all((style.gain_mm_per_mv, style.chest_gain) == (20, 10) for style in styles("split double gain"))
    assert all(style.pulse == "columns" for style in styles("pulses in columns"))
    assert 0.0 in {style.pulse_gap_mm for style in styles("pulses in columns")}
    assert all(style.grid.boxes for style in styles("boxes"))
    assert all(style.text.label_colour != "ink" for style in styles("viewer"))
    assert "invert" in {each.kind for each in KINDS["dark"].profile.degradations}
    assert all(len(set(style.rhythm_leads)) == 3 for style in styles("three strips"))
