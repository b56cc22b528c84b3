"""What sites count of a model on held-out cases, so that a sum over cases and sites tells how good it is.

Of each case and label three numbers are summed, whose L2 norm is at most 1: tp, fp and fn, as shares of the case.
Voxels would be no good count: they are millions in one case and hundreds in the next, and a bound for the first would
leave nothing of the second.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float64, Integer

from ecg_flare.federated.update import ParameterLayout

SHARES: Final = ("found", "wrong", "missed")
"""Names of a label's three shares: of tp, fp and fn."""
_CERTAIN: Final = 3.0


@dataclass(frozen=True)
class LabelSums:
    """How counts of a task's labels are summed, and what the sums say.

    Attributes:
        names: of the labels that are looked for.
        places: of these labels among all that are counted.
        by_case: whether each case has a figure of its own, its Dice, of which the sums give the mean, as nnU-Net
            reports it. Otherwise a case says of each label whether it was found, found wrongly or missed, and the sums
            give the F1 over all cases.
    """

    names: tuple[str, ...]
    places: tuple[int, ...]
    by_case: bool = True

    @property
    def layout(self) -> ParameterLayout:
        """Names and lengths of what is summed: three shares for each label."""
        return tuple((f"{share}.{name}", (1,)) for name in self.names for share in SHARES)

    @property
    def size(self) -> int:
        """How many numbers are summed."""
        return len(SHARES) * len(self.names)

    @property
    def norm(self) -> float:
        """The most that the L2 norm of a case's shares can be: 1 for each label."""
        return math.sqrt(len(self.names))

    def shares(self, counts: Integer[np.ndarray, "3 labels"]) -> Float64[np.ndarray, " d"]:
        """The shares of a case, of its tp, fp and fn by label; zeros for a label that it has none of.

        By case they are ``(2 tp, fp, fn) / (2 tp + fp + fn)``, whose first is the Dice, else ``(tp, fp, fn) /
        (tp + fp + fn)``. The shares of a label add up to one, so that their L2 norm is at most 1.
        """
        weight = 2 if self.by_case else 1
        parts = []
        for place in self.places:
            tp, fp, fn = (int(each) for each in counts[:, place])
            size = weight * tp + fp + fn
            parts += [weight * tp / size, fp / size, fn / size] if size else [0.0, 0.0, 0.0]
        return np.array(parts)

    def figures(self, summed: Float64[np.ndarray, " d"], *, noise_sd: float = 0.0) -> dict[str, float]:
        """Of each label the mean Dice over cases, or the F1 over all of them; NaN for a label that no case has.

        Noise of the standard deviation `noise_sd` on each sum may take them beyond what shares can give: the figure is
        cut to 0 to 1. Where the number of cases with the label is not three times its own noise the figure would be
        noise, and is NaN.
        """
        weight = 1 if self.by_case else 2
        found = {}
        least = _CERTAIN * noise_sd * math.sqrt(len(SHARES))
        for name, (right, wrong, missed) in zip(self.names, summed.reshape(-1, len(SHARES)).tolist(), strict=True):
            cases, size = right + wrong + missed, weight * right + wrong + missed
            certain = cases > least and size > 0
            found[name] = min(max(weight * right / size, 0.0), 1.0) if certain else float("nan")
        return found
