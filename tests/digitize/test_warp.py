"""Pictures moved by homographies known by hand."""

import numpy as np

from ecg_flare.digitize.rectify.sheet import Sheet
from ecg_flare.digitize.rectify.warp import cover_surroundings, warp


def picture() -> np.ndarray:
    image = np.full((200, 300, 3), 230, np.uint8)
    image[40:60, 50:90] = 20
    return image


def test_a_shift_is_taken_back_into_view() -> None:
    shift = np.array([[1.0, 0.0, 70.0], [0.0, 1.0, -30.0], [0.0, 0.0, 1.0]])

    moved, homography = warp(picture(), shift)

    np.testing.assert_array_equal(moved, picture())
    np.testing.assert_allclose(homography, np.eye(3))


def test_a_box_cuts_a_part_out_and_the_homography_says_where() -> None:
    moved, homography = warp(picture(), np.eye(3), np.array([[50.0, 40.0], [89.0, 59.0]]))

    assert moved.shape == (20, 40, 3)
    assert (moved == 20).all()
    np.testing.assert_allclose(homography @ [50.0, 40.0, 1.0], [0.0, 0.0, 1.0])


def test_paper_lies_where_the_picture_does_not_reach() -> None:
    turn = np.array([[0.8, -0.6, 0.0], [0.6, 0.8, 0.0], [0.0, 0.0, 1.0]])

    moved, _ = warp(picture(), turn)

    np.testing.assert_allclose(moved.shape[:2], (300 * 0.6 + 200 * 0.8, 300 * 0.8 + 200 * 0.6), atol=2)
    assert (moved[0, 0] == 230).all()


def test_what_runs_away_is_cut_at_nearly_twice_the_picture() -> None:
    moved, _ = warp(picture(), np.diag([10.0, 10.0, 1.0]))

    assert max(moved.shape[:2]) <= 1.8 * 300 + 2


def test_the_table_around_a_sheet_is_painted_as_paper() -> None:
    image = picture()
    image[:, 250:] = 30
    inside = np.ones((40, 60), bool)
    inside[:, 48:] = False

    covered = cover_surroundings(image, Sheet(inside, None))

    assert (covered[:, 250:] == 230).all()
    np.testing.assert_array_equal(covered[:, :230], image[:, :230])
    assert cover_surroundings(image, None) is image
