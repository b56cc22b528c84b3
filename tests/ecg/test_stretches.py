"""Stretches of True, against a walk along the mask."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ecg_flare.ecg.stretches import unbroken


@given(st.lists(st.booleans(), max_size=40))
def test_each_stretch_is_whole_and_none_is_left_out(known: list[bool]) -> None:
    found, expected = unbroken(np.array(known, bool)), []
    for index, value in enumerate(known):
        if value and (index == 0 or not known[index - 1]):
            expected.append((index, next((k for k in range(index, len(known)) if not known[k]), len(known))))
    assert found == expected
