"""Lines too long for a trace, at 4 px/mm."""

import numpy as np

from ecg_flare.digitize.ink.long_lines import long_lines, upright_runs


def test_runs_of_a_length_are_kept_whole_and_shorter_ones_are_not() -> None:
    binary = np.zeros((60, 5), np.uint8)
    binary[5:25, 1] = binary[30:49, 3] = 1

    found = upright_runs(binary, 20.0)

    assert found[:, 1].sum() == 20
    assert found[:, 3].sum() == 0


def test_a_frame_is_a_long_line_and_a_tall_wave_is_not() -> None:
    mask = np.zeros((900, 900), bool)
    mask[50:850, 100:102] = True  # 200 mm
    mask[50:250, 400:402] = True  # 50 mm, the tallest R wave
    mask[600:602, 150:800] = True  # 162 mm, level

    found = long_lines(mask, 4.0)

    assert found[60:840, 100:102].all()
    assert not found[50:250, 400:402].any()
    assert found[600:602, 160:790].all()


def test_a_long_line_whose_edges_sway_is_no_frame() -> None:
    """QRS complexes of rows one above the other: the ink beside them comes and goes."""
    mask = np.zeros((900, 900), bool)
    mask[50:850, 400:402] = True
    for level in range(60, 850, 40):
        mask[level : level + 20, 390:412] = True

    assert not long_lines(mask, 4.0)[:, 400:402].any()
