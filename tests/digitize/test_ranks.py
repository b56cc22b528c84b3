"""Rows by rank: how many there are, where they rest, and what is another row's."""

import numpy as np
import pytest

from ecg_flare.digitize.trace.ranks import foreign_by_rank, rank_levels, rank_rows
from ecg_flare.digitize.trace.runs import Runs, find_runs

WIDTH = 200


def runs_at(*levels: float, without: dict[int, slice] | None = None) -> Runs:
    """Level lines two pixels thick; `without` blanks a line in some columns."""
    ink = np.zeros((200, WIDTH), np.float32)
    for number, level in enumerate(levels):
        blank = (without or {}).get(number, slice(0, 0))
        line = np.ones(WIDTH, np.float32)
        line[blank] = 0.0
        ink[round(level) : round(level) + 2] = line
    return find_runs(ink)


def test_most_columns_say_how_many_rows_there_are() -> None:
    ranks = rank_rows(runs_at(40, 90, 140, without={1: slice(0, 60)}))
    assert ranks is not None
    assert ranks.n_rows == 3
    assert list(ranks.column) == list(range(60, WIDTH))


def test_columns_that_do_not_agree_say_nothing() -> None:
    assert rank_rows(runs_at(40, 90, without={1: slice(0, 100)})) is None
    assert rank_rows(find_runs(np.zeros((20, 20), np.float32))) is None


def test_levels_are_those_of_the_anchors_all_along_the_page() -> None:
    runs = runs_at(40, 90, without={1: slice(0, 60)})
    ranks = rank_rows(runs)
    assert ranks is not None
    levels = rank_levels(runs, ranks, reach_px=20.0)
    assert levels is not None
    np.testing.assert_allclose(levels, np.repeat([[40.5], [90.5]], WIDTH, axis=1))


def test_rows_that_leap_are_not_the_same_ones() -> None:
    """Two lines everywhere: first the upper two of three, then the lower two."""
    runs = runs_at(40, 90, 140, without={0: slice(105, WIDTH), 2: slice(0, 105)})
    ranks = rank_rows(runs)
    assert ranks is not None
    assert rank_levels(runs, ranks, reach_px=20.0) is None


def test_an_anchor_is_foreign_to_every_other_row() -> None:
    runs = runs_at(40, 90)
    ranks = rank_rows(runs)
    assert ranks is not None
    foreign = foreign_by_rank(runs, ranks)
    lower = runs.centre > 60
    assert (foreign[0] == lower).all()
    assert (foreign[1] == ~lower).all()
    assert foreign.sum() == pytest.approx(2 * WIDTH)
