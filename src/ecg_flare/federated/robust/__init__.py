"""Robust rules over single updates: what takes the place of the mean where a site may be poisoned."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from ecg_flare.federated.robust.geometric_median import GeometricMedian
from ecg_flare.federated.robust.krum import Krum, MultiKrum
from ecg_flare.federated.robust.median import Median
from ecg_flare.federated.robust.rule import RobustRule
from ecg_flare.federated.robust.trimmed_mean import TrimmedMean

__all__ = ["ROBUST_RULES", "GeometricMedian", "Krum", "Median", "MultiKrum", "RobustRule", "TrimmedMean"]

ROBUST_RULES: Final[Mapping[str, type[RobustRule]]] = MappingProxyType(
    {
        "median": Median,
        "trimmed_mean": TrimmedMean,
        "krum": Krum,
        "multi_krum": MultiKrum,
        "geometric_median": GeometricMedian,
    }
)
"""Name -> rule: those of the package."""
