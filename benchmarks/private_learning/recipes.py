"""What is run: the private recipe at each epsilon, what it is compared with, and the recipe with one lever undone."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from benchmarks.private_learning.runs import EVERYTHING, Recipe
from benchmarks.private_learning.steps import LocalSteps

LAST_STAGE: Final = ("decoder.transpconvs.2.*", "decoder.stages.2.*", "decoder.seg_layers.2.*")
"""The last stage of the decoder and the head at full size: 2,308 of the plan tiny's 121,348 parameters."""

REFERENCE: Final = "FedAdam without noise"

_PRIVATE: Final = Recipe("", LAST_STAGE)

START: Final = replace(_PRIVATE, name="public start", rounds=0)
PLAIN: Final = Recipe(REFERENCE, EVERYTHING, clipping_norm=None, server_rate=0.003)

MAIN: Final = (
    START,
    PLAIN,
    replace(_PRIVATE, name="epsilon infinity"),
    *(replace(_PRIVATE, name=f"epsilon {epsilon:g}", epsilon=epsilon) for epsilon in (8.0, 4.0, 2.0)),
)

_EIGHT: Final = replace(_PRIVATE, name="epsilon 8", epsilon=8.0)

LOOSER: Final = replace(_EIGHT, name="epsilon 8, clipped at three times", clipping_norm=0.03)
"""A lever that is run at every seed: what is chosen for whole pages."""

ABLATION: Final = (
    replace(_EIGHT, name="epsilon 8, average of the iterates", average=0.7),
    replace(_EIGHT, name="epsilon 8, a tenth of the patients in a round", sampling_rate=0.1),
    replace(_EIGHT, name="epsilon 8, head alone", trained=("decoder.seg_layers.2.*",)),
    replace(_EIGHT, name="epsilon 8, clipped at a third", clipping_norm=0.0033),
    LOOSER,
    replace(_EIGHT, name="epsilon 8, half the rounds", rounds=10),
    replace(_EIGHT, name="epsilon 8, C follows the median, from three times", clipping_norm=0.03, quantile=0.5),
    replace(_EIGHT, name="epsilon 8, folded into 577", folded=577),
)
"""The private recipe with one lever moved."""

_MANY: Final = 19_000


def _projected(one: Recipe) -> Recipe:
    """As if there were so many patients; delta is below one over their number."""
    return replace(one, name=f"{one.name}, as if {_MANY:,} patients", delta=1e-5, cohort=_MANY)


PROJECTION: Final = (_projected(_EIGHT), _projected(replace(_EIGHT, name="epsilon 2", epsilon=2.0)))

_ALL_TENSORS: Final = replace(
    _EIGHT, name="epsilon 8, all tensors", trained=EVERYTHING, clipping_norm=0.03, server_rate=PLAIN.server_rate
)

COSTLY: Final = (
    replace(_EIGHT, name="epsilon 8, three steps a patient", local=LocalSteps(steps=3)),
    _ALL_TENSORS,
    _projected(_ALL_TENSORS),
)
"""Further levers, some times as long: they come last."""

WIDER: Final = (
    replace(
        _EIGHT,
        name="epsilon 8, last two stages",
        trained=("decoder.transpconvs.1.*", "decoder.stages.1.*", *LAST_STAGE),
    ),
    replace(_EIGHT, name="epsilon 8, 40 rounds", rounds=40),
    replace(_EIGHT, name="epsilon 8, the decoder's norms, too", trained=("decoder.stages.*.norm.*", *LAST_STAGE)),
    replace(_EIGHT, name="epsilon 8, all norms, too", trained=("*.norm.*", *LAST_STAGE)),
    _ALL_TENSORS,
    replace(_ALL_TENSORS, name="epsilon 8, all tensors, average of the iterates", average=0.7),
)
"""What was tried to gain more on whole pages."""
