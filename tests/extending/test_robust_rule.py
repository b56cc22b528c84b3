"""A robust rule of one's own holds a poisoned site off."""

from collections.abc import Callable

import numpy as np
import pytest
from extending_recipes import Recipe

pytest.importorskip("ecg_flare.federated.robust")


def test_the_mean_is_the_formulas_and_the_poisoned_site_moves_it_by_a_radius(
    recipe: Callable[[str], Recipe],
) -> None:
    own = recipe("A robust rule")
    own.write()
    # The median is (1.2, 0). Berlin is 0.2 from it and stays; porto is drawn to 0.3 in its direction.
    porto = np.array([998.8, -1000.0])
    expected = np.array([1.2, 0.0]) + (np.array([-0.2, 0.0]) + 0.3 * porto / np.linalg.norm(porto)) / 3
    said = own.run().strip().strip("[]").split()
    assert [float(value) for value in said] == pytest.approx(expected.tolist(), abs=1e-6)
