"""Random values as data: the small grammar in which site profiles say what varies and how much.

25                          always 25
{uniform: [20, 30]}         evenly between 20 and 30
{choice: {25: 0.9, 50: 0.1}}    one of the values, by weight
{chance: 0.3}               true in 3 of 10
[250, {uniform: [0, 9]}]    a tuple, each part drawn by itself
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from ecg_flare.documents import short
from ecg_flare.errors import LayoutError

_LARGEST: Final = 1e9
"""No parameter of a page comes near it."""


class Distribution(ABC):
    """Something to draw a value from."""

    @abstractmethod
    def draw(self, rng: np.random.Generator) -> Any:
        """Draw one value."""


@dataclass(frozen=True)
class Fixed(Distribution):
    """Always the same value."""

    value: Any

    def draw(self, rng: np.random.Generator) -> Any:
        """Return the value; nothing is drawn."""
        return self.value


@dataclass(frozen=True)
class Uniform(Distribution):
    """Evenly from `low` to `high`."""

    low: float
    high: float

    def draw(self, rng: np.random.Generator) -> float:
        """Draw a number."""
        return float(rng.uniform(self.low, self.high))


@dataclass(frozen=True)
class Choice(Distribution):
    """One of `values`, each with its probability."""

    values: tuple[Any, ...]
    probabilities: tuple[float, ...]

    def draw(self, rng: np.random.Generator) -> Any:
        """Draw a value."""
        return self.values[int(rng.choice(len(self.values), p=self.probabilities))]


@dataclass(frozen=True)
class Each(Distribution):
    """A tuple, each part of which is drawn by itself."""

    parts: tuple[Distribution, ...]

    def draw(self, rng: np.random.Generator) -> tuple[Any, ...]:
        """Draw a tuple."""
        return tuple(part.draw(rng) for part in self.parts)


def parse_distribution(value: Any, where: str) -> Distribution:
    """Read a distribution from what YAML gave; raises LayoutError naming `where` and the value."""
    if isinstance(value, list):
        return Each(tuple(parse_distribution(part, where) for part in value))
    if not isinstance(value, dict):
        return Fixed(value)
    if len(value) == 1:
        ((kind, argument),) = value.items()
        if kind == "uniform":
            return _uniform(argument, where)
        if kind == "choice":
            return _choice(argument, where)
        if kind == "chance" and _is_number(argument) and 0 <= argument <= 1:
            return Choice((True, False), (float(argument), 1.0 - argument))
    raise LayoutError(
        f"{where}: expected a value, {{uniform: [low, high]}}, {{choice: {{value: weight}}}} or {{chance: p}}; "
        f"found {short(value)}."
    )


def _uniform(argument: Any, where: str) -> Uniform:
    if not (isinstance(argument, list) and len(argument) == 2 and all(map(_is_number, argument))):
        raise LayoutError(f"{where}: uniform needs two numbers, [low, high]; found {short(argument)}.")
    low, high = argument
    if not low <= high:
        raise LayoutError(f"{where}: uniform needs low <= high, found {low} and {high}.")
    return Uniform(float(low), float(high))


def _choice(argument: Any, where: str) -> Choice:
    if not isinstance(argument, Mapping) or not argument:
        raise LayoutError(f"{where}: choice needs {{value: weight, ...}}, found {short(argument)}.")
    weights = list(argument.values())
    if not all(_is_number(weight) and weight >= 0 for weight in weights) or not sum(weights) > 0:
        raise LayoutError(
            f"{where}: weights of a choice must be numbers of at least 0, not all 0; found {short(weights)}."
        )
    total = float(sum(weights))
    return Choice(tuple(argument), tuple(weight / total for weight in weights))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= _LARGEST  # NaN is not
