"""How a model tells the superclasses apart: the area under the ROC curve of each, over recordings."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float32, Float64

from benchmarks.diagnosis.example import printed_3x4
from ecg_flare.nnunet.plan import unflatten_into
from ecg_flare.task.modules.network import network_of
from ecg_flare.task.modules.plan import ModulePlan

_AT_ONCE = 64


def logits(
    plan: ModulePlan, model: Float32[np.ndarray, " d"], inputs: Float32[np.ndarray, "cases 12 samples"]
) -> Float32[np.ndarray, "cases classes"]:
    """What the network says of each recording."""
    import torch

    module = network_of(plan)
    unflatten_into(module, model)
    module.eval()
    with torch.inference_mode():
        parts = [module(torch.from_numpy(inputs[at : at + _AT_ONCE])) for at in range(0, len(inputs), _AT_ONCE)]
        return torch.cat(parts).numpy()


def as_printed(inputs: Float32[np.ndarray, "cases 12 samples"]) -> Float32[np.ndarray, "cases 12 samples"]:
    """The recordings cut to what a page of 3x4 leads and a rhythm strip prints of them."""
    import torch

    cut: Float32[np.ndarray, "cases 12 samples"] = printed_3x4(
        torch.from_numpy(inputs), torch.ones(len(inputs), dtype=torch.bool)
    ).numpy()
    return cut


def auc(scores: Float64[np.ndarray, " cases"], there: Bool[np.ndarray, " cases"]) -> float:
    """Chance that a case with the finding scores above one without it; ties count half, NaN without either kind.

    Mann and Whitney 1947: the rank sum of the positives.

    >>> auc(np.array([0.1, 0.4, 0.35, 0.8]), np.array([False, False, True, True]))
    0.75
    """
    from scipy.stats import rankdata

    positives = int(there.sum())
    negatives = len(there) - positives
    if not positives or not negatives:
        return float("nan")
    ranks = rankdata(scores)
    return float((ranks[there].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def aucs(scores: Float32[np.ndarray, "cases classes"], targets: Float32[np.ndarray, "cases classes"]) -> list[float]:
    """The area of each class."""
    return [auc(scores[:, place], targets[:, place] > 0.5) for place in range(scores.shape[1])]


def interval(
    pair: tuple[Float32[np.ndarray, "cases classes"], Float32[np.ndarray, "cases classes"]],
    targets: Float32[np.ndarray, "cases classes"],
    patients: Sequence[str],
    *,
    draws: int = 1000,
) -> tuple[float, float]:
    """95 % interval of the difference of two mean areas over classes: patients are drawn anew (bootstrap)."""
    rng = np.random.default_rng(0)
    owners = sorted(set(patients))
    rows = {owner: [place for place, patient in enumerate(patients) if patient == owner] for owner in owners}
    found = []
    for _ in range(draws):
        drawn = [place for owner in rng.choice(owners, len(owners)) for place in rows[owner]]
        first, second = (np.mean(aucs(scores[drawn], targets[drawn])) for scores in pair)
        found.append(first - second)
    low, high = np.nanpercentile(found, [2.5, 97.5])
    return float(low), float(high)
