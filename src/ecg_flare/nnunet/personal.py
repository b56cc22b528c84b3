"""A released model made a site's own: fine-tuned on the site's cases, and kept as far as that helps there.

The model that training begins with is, with mu above 0, the anchor of a proximal term: then this is the personal half
of Ditto (Li et al. 2021, arXiv 2012.04221, algorithm 1), whose other half is the federation itself. Training the norm
layers alone gives a site its own scale and shift of each feature, as FedBN does (Li et al. 2021, arXiv 2102.07623) in
networks that normalize by the batch.

Fine-tuning can lose what many sites know. So the line between both models is measured on held-out patients,
``released + share * (tuned - released)`` (Wortsman et al. 2022, arXiv 2109.01903), and its best point is taken: the
released model itself where nothing is better.

Nothing of it reaches a job. The released model was made without it, so that what its release promises stays as it is,
whatever a site does with it afterwards (post-processing).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import numpy as np
from jaxtyping import Float32

from ecg_flare.errors import ConfigError, SiteDataError
from ecg_flare.federated.subset import EVERY_TENSOR, TrainableSubset
from ecg_flare.nnunet.kinds import learnt
from ecg_flare.nnunet.learnt import AgreedPlan, SiteCases, Vector
from ecg_flare.nnunet.settings import DEFAULT_SETTINGS, Compute

if TYPE_CHECKING:
    from ecg_flare.nnunet.trainer import TrainOptions

SHARES: Final = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Points of the line that are measured; 0 is the released model, 1 the fine-tuned one."""

PARTS: Final = ("all", "norm", "head")
"""What of the network is a site's own: every tensor, the norm layers, or the part that a small job trains."""

_NORM: Final = ("*.norm.*",)
_ONE_THREAD: Final = Compute()


@dataclass(frozen=True, eq=False)
class Personal:
    """A site's own model.

    Attributes:
        vector: its parameters, in the plan's order.
        share: of the way from the released model to the fine-tuned one.
        dice_by_share: Dice of the task's foreground on held-out cases, at each point of the line.
        train: cases that were trained on.
        held_out: cases that decided.
    """

    vector: Float32[np.ndarray, " d"]
    share: float
    dice_by_share: Mapping[float, float]
    train: int
    held_out: int

    @property
    def released_dice(self) -> float:
        """Dice of the released model on the held-out cases."""
        return self.dice_by_share[0.0]

    @property
    def dice(self) -> float:
        """Dice of this model on them; the choice was made there, so that it flatters a little."""
        return self.dice_by_share[self.share]


def part_patterns(plan: AgreedPlan, part: str) -> tuple[str, ...]:
    """Shell patterns of the tensors of a part; raises ConfigError where the network has none, or for another part."""
    if part not in PARTS:
        raise ConfigError(f"unknown part {part!r}: choose one of {', '.join(PARTS)}")
    patterns = {"all": EVERY_TENSOR, "norm": _NORM, "head": plan.last_part}[part]
    TrainableSubset.matching(plan.layout, patterns)
    return patterns


def personalize(
    cases: SiteCases,
    released: Vector,
    options: TrainOptions | None,
    *,
    begin: Vector | None = None,
    compute: Compute = _ONE_THREAD,
    log: Callable[[str], None] = print,
) -> Personal:
    """Fine-tune a released model on a site's cases, and take the best point of the line between both.

    On one CPU thread the result depends on the arguments alone, bit by bit. Between equal points the one nearest to the
    released model is taken.

    Args:
        cases: the site's.
        released: parameters of the released model.
        options: of the training; None trains nothing, where `begin` is the site's own already.
        begin: what is trained, in the place of the released model.
        compute: threads and device.
        log: takes the progress.

    Raises:
        SiteDataError: the site has no cases, or of one patient only, so that nothing could be held out; or nothing
            is to be found in those that are held out.
        UpdateError: training diverged.
    """
    task = learnt(cases.plan)
    prepared = task.prepare(cases, DEFAULT_SETTINGS, log)
    trainer = task.site_trainer(prepared, compute.threads, compute.device)
    tuned = released if begin is None else begin
    if options is not None:
        trained = trainer.train(tuned, options)
        tuned = tuned + trained.update
        log(f"{options.steps} steps in {trained.seconds:.0f} s, mean loss {trained.loss:.3f}")

    def at(share: float) -> Vector:
        return tuned if share == 1 else released + np.float32(share) * (tuned - released)

    def dice_at(share: float) -> float:
        counts = trainer.validate(at(share))
        tp, _, fn = counts.of(task.foreground_places)
        if tp + fn == 0:
            raise SiteDataError(
                f"none of the {len(prepared.names('val'))} held-out cases has anything that the task looks for: no "
                "Dice says which model is better here",
                "give more cases",
            )
        return counts.dice(*task.foreground_places)

    found = {share: dice_at(share) for share in SHARES}
    best = max(SHARES, key=lambda share: (found[share], -share))
    train, held_out = len(prepared.names("train")), len(prepared.names("val"))
    return Personal(at(best), best, MappingProxyType(found), train, held_out)
