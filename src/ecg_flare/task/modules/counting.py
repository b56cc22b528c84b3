"""Counts of what a classifier finds, which can be summed over cases and sites."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Integer

if TYPE_CHECKING:
    from torch import Tensor


def multilabel_counts(outputs: Tensor, targets: Tensor, *, threshold: float = 0.0) -> Integer[np.ndarray, "3 labels"]:
    """tp, fp and fn of each label, where outputs of shape (cases, labels) above the threshold say that it is there.

    >>> import torch
    >>> multilabel_counts(torch.tensor([[2.0, -1.0], [1.0, 3.0]]), torch.tensor([[1.0, 1.0], [0.0, 1.0]])).tolist()
    [[1, 1], [1, 0], [0, 1]]
    """
    found, there = (outputs > threshold).cpu().numpy(), (targets > 0.5).cpu().numpy()
    return np.array([(found & there).sum(0), (found & ~there).sum(0), (there & ~found).sum(0)], np.int64)
