"""The five diagnostic superclasses of PTB-XL as a task: copy this file and its neighbours for a task of your own.

    resnet1d.py           the network
    ptbxl_diagnosis.py    what sites train together: the network, its loss, how it is judged
    ptbxl_recordings.py   where a site's cases come from

A job carries the folder (`ecg-flare jobs export fedavg --custom custom/diagnosis ...`), or each site installs it and
lists `ptbxl_diagnosis` among its extensions. docs/diagnosis.md has both, and what it came to.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ecg_flare.task.modules import multilabel_counts, register_task

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor, nn


@register_task
@dataclass(frozen=True)
class Superclasses:
    """Which of the superclasses a recording shows: none, one or several.

    `head_only` has jobs that hide patients train the last layer alone; noise grows with what is trained.
    """

    width: int = 24
    batch_size: int = 32
    head_only: bool = False

    labels = ("NORM", "MI", "STTC", "CD", "HYP")

    @property
    def last_part(self) -> tuple[str, ...]:
        """Tensors that a job trains which hides patients."""
        return ("head.*",) if self.head_only else ("*",)

    def module(self) -> nn.Module:
        """A residual network over time; torch is imported here, in the training process."""
        from resnet1d import ResNet1d

        return ResNet1d(len(self.labels), self.width)

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Binary cross-entropy of each superclass."""
        from torch.nn.functional import binary_cross_entropy_with_logits

        return binary_cross_entropy_with_logits(outputs, targets)

    def counts(self, outputs: Tensor, targets: Tensor) -> np.ndarray:
        """What is found at a probability above one half."""
        return multilabel_counts(outputs, targets)
