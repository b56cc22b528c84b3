from typing import Any

import numpy as np
import pytest

from ecg_flare.errors import LayoutError
from ecg_flare.page.distribution import parse_distribution


def draws(value: Any, n: int = 2000) -> list[Any]:
    distribution = parse_distribution(value, "here")
    rng = np.random.default_rng(5)
    return [distribution.draw(rng) for _ in range(n)]


def test_a_value_is_itself() -> None:
    assert set(draws("red", 5)) == {"red"}


def test_uniform_fills_its_range() -> None:
    values = np.array(draws({"uniform": [2, 4]}))
    assert values.min() >= 2
    assert values.max() <= 4
    assert values.mean() == pytest.approx(3, abs=0.05)
    assert values.std() == pytest.approx(2 / 12**0.5, rel=0.05)


def test_choice_follows_its_weights() -> None:
    values = draws({"choice": {"a": 3, "b": 1, "c": 0}})
    assert values.count("a") / len(values) == pytest.approx(0.75, abs=0.03)
    assert "c" not in values


def test_chance_is_true_as_often_as_it_says() -> None:
    assert np.mean(draws({"chance": 0.2})) == pytest.approx(0.2, abs=0.03)


def test_a_list_is_a_tuple_of_draws() -> None:
    first, second = draws([250, {"uniform": [0, 1]}], 1)[0]
    assert first == 250
    assert 0 <= second <= 1


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"normal": [0, 1]},
        {"uniform": [1]},
        {"uniform": [2, 1]},
        {"uniform": ["a", "b"]},
        {"uniform": [0, float("inf")]},
        {"choice": []},
        {"choice": {}},
        {"choice": {"a": -1, "b": 2}},
        {"choice": {"a": 0}},
        {"chance": 1.5},
        {"chance": True},
        {"uniform": [0, 1], "choice": {"a": 1}},
        [1, {"chance": 2}],
    ],
)
def test_nonsense_is_refused_with_its_place(value: Any) -> None:
    with pytest.raises(LayoutError, match="here: "):
        parse_distribution(value, "here")
