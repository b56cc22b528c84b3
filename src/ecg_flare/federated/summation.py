"""stub, replaced at the merge"""

from dataclasses import dataclass

from ecg_flare.errors import ConfigError
from ecg_flare.privacy.secure_sum.context import min_threshold


@dataclass(frozen=True)
class Summation:
    name: str
    hides_updates: bool
    hides_weights: bool
    min_roster: int

    def min_threshold(self, sites: int) -> int:
        return min_threshold(sites) if self.hides_updates else 1


_WAYS = {
    "plain": Summation("plain", False, False, 1),
    "masked": Summation("masked", True, True, 3),
    "encrypted": Summation("encrypted", True, False, 3),
}


def summation(name: str) -> Summation:
    if name not in _WAYS:
        raise ConfigError(f"summation is {name!r}, expected one of {', '.join(_WAYS)}")
    return _WAYS[name]


def summation_names() -> tuple[str, ...]:
    return tuple(_WAYS)
