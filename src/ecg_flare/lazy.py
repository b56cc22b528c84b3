"""Faces of packages: names that a package offers and loads when they are asked for (PEP 562).

    _NAMES = {"round": ("RoundConfig", "run_round"), ...}      # module below the package -> what it offers of it
    if TYPE_CHECKING:
        from ecg_flare.federated.round import RoundConfig, run_round
    else:
        __getattr__, __dir__ = face(__name__, _NAMES)

So `from ecg_flare.flare import FedECGRecipe` loads FLARE, and `import ecg_flare.flare.summation.masked` does not.
"""

import importlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any


def face(package: str, names: Mapping[str, Sequence[str]]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """`__getattr__` and `__dir__` of a package that offers `names`: module below it -> names of that module."""
    homes = {name: f"{package}.{module}" for module, offered in names.items() for name in offered}

    def get(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(importlib.import_module(homes[name]), name)

    def names_of() -> list[str]:
        return sorted(homes)

    return get, names_of
