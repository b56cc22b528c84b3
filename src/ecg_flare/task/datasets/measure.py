"""How a model is measured on cases of a data set: the mean over its labels of the Dice on each case."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32

from ecg_flare.nnunet.dataset import PreparedDataset
from ecg_flare.nnunet.kinds import task_of
from ecg_flare.nnunet.plan import Plan, network, unflatten_into
from ecg_flare.nnunet.sliding_window import segment_prepared
from ecg_flare.nnunet.task import DiceEvaluation, LabelCounts, count_labels


def dice_on_cases(
    plan: Plan, model: Float32[np.ndarray, " d"], dataset: PreparedDataset, device: str
) -> DiceEvaluation:
    """A model's Dice on every case: the mean over the labels that the truth or the prediction has."""
    task = task_of(plan)
    module = network(plan)
    unflatten_into(module, model)
    module.eval().to(device)
    dice = {}
    for entry in dataset.entries:
        tp, fp, fn = count_labels(task, *segment_prepared(plan, module, dataset, entry)).tolist()
        counts = LabelCounts(tuple(tp), tuple(fp), tuple(fn))
        by_label = [counts.dice(place) for place in task.foreground_places]
        known = [value for value in by_label if not np.isnan(value)]
        dice[entry.name] = float(np.mean(known)) if known else float("nan")
    return DiceEvaluation(dice)
