"""A degradation of one's own in a site profile of one's own."""

from collections.abc import Callable

import cv2
import numpy as np
import pytest
from extending_recipes import Recipe

from ecg_flare.errors import LayoutError
from ecg_flare.page import load_profile


def test_pages_are_yellow_and_their_truth_is_as_it_was(recipe: Callable[[str], Recipe]) -> None:
    own = recipe("A degradation")
    own.write()
    assert "2 pages" in own.run()
    first, _ = sorted((own.folder / "pages").glob("*[0-9].png"))
    paper = np.median(cv2.imread(str(first)).reshape(-1, 3), axis=0)  # blue, green, red
    assert paper[0] == pytest.approx(0.7 * paper[2], abs=3)
    assert len(list((own.folder / "pages").glob("*.mask.png"))) == 2


def test_the_profile_is_refused_where_nobody_listed_the_module(recipe: Callable[[str], Recipe]) -> None:
    recipe("A degradation").write()
    with pytest.raises(LayoutError, match="expected a degradation with kind, one of pen, "):
        load_profile("old_paper.yaml")
