"""Columns that are not equal on the paper: where the labels stand, and what borders follow."""

import pytest

from ecg_flare.digitize.leads.columns import LabelPosition, uneven_borders

COLUMN_PX = 500.0  # 50 mm of 10 pixels


def labels(lefts: dict[int, float]) -> list[LabelPosition]:
    return [LabelPosition(column, left) for column, left in lefts.items()]


def test_a_page_cut_at_its_right_ends_within_its_last_column() -> None:
    places = labels({1: 515.0, 2: 1015.0, 3: 1515.0})
    assert uneven_borders(places, 4, 0.0, 1800.0, COLUMN_PX, 10.0) == pytest.approx((0, 500, 1000, 1500, 1800))


def test_a_page_cut_at_its_left_begins_within_its_first_column() -> None:
    """The labels stand 1.5 mm behind their columns' beginnings: the second column begins at 300."""
    places = labels({1: 315.0, 2: 815.0, 3: 1315.0})
    assert uneven_borders(places, 4, 0.0, 1800.0, COLUMN_PX, 10.0) == pytest.approx((0, 300, 800, 1300, 1800))


@pytest.mark.parametrize(
    "lefts",
    [
        {1: 515.0},  # the label of one column says nothing of a pitch
        {1: 465.0, 2: 915.0, 3: 1365.0},  # a pitch of 450, which all four columns have
        {1: 515.0, 2: 1045.0, 3: 1515.0},  # labels that stand on no line
        {1: 515.0, 2: 1002.0, 3: 1489.0},  # a pitch of 487, in the middle between 0.95 and 1 of the layout's
    ],
    ids=["one label", "equal columns", "no line", "no possible length"],
)
def test_labels_that_say_nothing_leave_the_columns_equal(lefts: dict[int, float]) -> None:
    assert uneven_borders(labels(lefts), 4, 0.0, 1800.0, COLUMN_PX, 10.0) is None


def test_equal_columns_stay_and_a_cut_one_is_seen() -> None:
    def at_pitch(pitch: float, offset: float) -> list[LabelPosition]:
        return [LabelPosition(column, offset + column * pitch) for column in (1, 2, 3) for _ in range(3)]

    assert uneven_borders(at_pitch(500.0, 10.0), 4, 0.0, 2000.0, 500.0, 8.0) is None
    cut_right = uneven_borders(at_pitch(500.0, 10.0), 4, 0.0, 1850.0, 500.0, 8.0)
    assert cut_right == pytest.approx((0.0, 500.0, 1000.0, 1500.0, 1850.0))
    cut_left = uneven_borders(at_pitch(500.0, -138.0), 4, 0.0, 1850.0, 500.0, 8.0)
    assert cut_left == pytest.approx((0.0, 350.0, 850.0, 1350.0, 1850.0))
    assert uneven_borders(at_pitch(437.5, 10.0), 4, 0.0, 2000.0, 500.0, 8.0) is None
