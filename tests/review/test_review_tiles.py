"""Pages of a hundred million pixels, in parts that a browser can show."""

import cv2
import numpy as np
import pytest

from ecg_flare.errors import ConfigError
from ecg_flare.review.tiles import TILE_PX, tile


def decoded(data: bytes) -> np.ndarray:
    return cv2.cvtColor(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


def test_a_page_of_a_hundred_million_pixels_comes_in_small_tiles() -> None:
    page = np.zeros((10_000, 10_000, 3), np.uint8)
    page[5120:5632, 1024:1536] = (200, 100, 50)
    whole = tile(page, 5, 0, 0)
    assert decoded(whole).shape == (10_000 >> 5, 10_000 >> 5, 3)
    assert len(whole) < 100_000
    one = decoded(tile(page, 0, 2, 10))
    assert one.shape == (TILE_PX, TILE_PX, 3)
    assert np.abs(one.reshape(-1, 3).mean(axis=0) - (200, 100, 50)).max() < 3
    assert decoded(tile(page, 0, 19, 19)).shape == (10_000 - 19 * TILE_PX, 10_000 - 19 * TILE_PX, 3)


@pytest.mark.parametrize("at", [(0, 20, 0), (0, 0, 20), (7, 0, 0), (-1, 0, 0), (0, -1, 0), (0, 0, -1)])
def test_a_tile_that_is_not_there_is_refused(at: tuple[int, int, int]) -> None:
    with pytest.raises(ConfigError, match="no tile"):
        tile(np.zeros((9_000, 9_000, 3), np.uint8), *at)
