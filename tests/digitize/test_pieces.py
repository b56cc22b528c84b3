"""Pieces of ink named by their size and shape, drawn at 4 px/mm."""

import numpy as np
import pytest

from ecg_flare.digitize.ink.pieces import name_pieces, spread_names
from ecg_flare.page.raster import Label

PX_PER_MM = 4.0


def named(*rectangles: tuple[slice, slice]) -> np.ndarray:
    mask = np.zeros((200, 400), bool)
    for rows, columns in rectangles:
        mask[rows, columns] = True
    return name_pieces(mask, PX_PER_MM)


@pytest.mark.parametrize(
    ("rows", "columns", "label"),
    [
        (slice(100, 102), slice(40, 100), Label.TRACE),  # a thread, 15 mm
        (slice(100, 102), slice(40, 60), Label.TRACE),  # a piece of a thread: half a millimetre of ink a column
        (slice(100, 112), slice(40, 48), Label.PRINT),  # a letter, 2 x 3 mm
        (slice(100, 116), slice(40, 100), Label.PRINT),  # 15 mm wide, but it fills its box
        (slice(100, 116), slice(40, 44), Label.PRINT),  # an upright stroke
        (slice(100, 101), slice(40, 42), Label.BACKGROUND),  # a speck, 0.125 mm2
    ],
)
def test_a_piece_is_named_by_its_shape(rows: slice, columns: slice, label: Label) -> None:
    found = named((rows, columns))
    assert (found[rows, columns] == label).all()
    assert (found == label).sum() == found[rows, columns].size or label == Label.BACKGROUND


def test_a_small_piece_beside_a_trace_continues_it_and_one_above_does_not() -> None:
    line, beside, above = (
        (slice(100, 102), slice(40, 100)),
        (slice(99, 103), slice(102, 106)),
        (slice(60, 64), slice(60, 64)),
    )
    found = named(line, beside, above)
    assert (found[beside] == Label.TRACE).all()
    assert (found[above] == Label.PRINT).all()


def test_the_rim_shares_the_name_of_its_core_and_trace_wins() -> None:
    core = np.zeros((5, 7), np.int32)
    core[2, 1], core[2, 4] = Label.TRACE, Label.PRINT
    spread = spread_names(core)
    assert spread[2].tolist() == [Label.TRACE] * 3 + [Label.PRINT] * 3 + [Label.BACKGROUND]
    assert (spread[1] == spread[2]).all()
