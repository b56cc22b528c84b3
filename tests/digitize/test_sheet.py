"""The sheet of paper before a dark table."""

import cv2
import numpy as np

from ecg_flare.digitize.rectify.sheet import find_sheet


def test_corners_are_found_clockwise_from_the_top_left() -> None:
    picture = np.full((900, 1200, 3), 30, np.uint8)
    cv2.rectangle(picture, (100, 80), (1099, 819), (240, 240, 240), cv2.FILLED)

    sheet = find_sheet(picture)

    assert sheet is not None
    assert sheet.corners is not None
    cell_px = 5
    corners = [[100, 80], [1100, 80], [1100, 820], [100, 820]]
    np.testing.assert_allclose(sheet.corners, corners, atol=cell_px + 1)


def test_paper_that_fills_the_picture_is_no_sheet_before_a_table() -> None:
    page = np.full((900, 1200, 3), 240, np.uint8)
    page[100:800:40] = 20  # print is dark, too, but thin

    assert find_sheet(page) is None


def test_the_sheets_rim_is_not_read_as_a_row() -> None:
    """A sheet lies askew: no dark pixel of the table may stay within its mask, not along a slanting edge either."""
    picture = np.full((900, 1200, 3), 30, np.uint8)
    corners = np.array([[60, 40], [1150, 95], [1120, 870], [45, 820]])
    cv2.fillPoly(picture, [corners], (240, 240, 240))
    sheet = find_sheet(picture)
    assert sheet is not None
    mask = sheet.mask((900, 1200))
    assert (picture[mask] == 240).all()
    assert mask.sum() > 0.96 * (picture[:, :, 0] == 240).sum()
