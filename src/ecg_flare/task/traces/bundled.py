"""The models that come with the package, as recipes: `python -m ecg_flare.task.traces.bundled NAME` trains one again.

`start` is where the federated jobs begin: a network that has only seen pages straight from the printer, so that a
federation has something to learn. `segmenter` reads pages of any hospital: the digitizer's default.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import ecg_flare
from ecg_flare.nnunet.environment import limit_threads
from ecg_flare.nnunet.export import save_model
from ecg_flare.nnunet.kinds import plan_preset
from ecg_flare.nnunet.learnt import SiteCases
from ecg_flare.nnunet.plan import Plan
from ecg_flare.nnunet.pretrain import Pretrained, pretrain, pretraining
from ecg_flare.nnunet.settings import TrainingSettings
from ecg_flare.task.traces.sources import SyntheticPages

TRAINED_ON: Final = "2026-11-20"
_EVALUATION_SEED: Final = 990_001
_EVALUATION_PAGES: Final = 12


@dataclass(frozen=True)
class Recipe:
    """How a bundled model came about: one thread, so the same versions give the same bits.

    Attributes:
        plan: name of the plan preset.
        profile: site profile of the rendered pages.
        pages: how many, two of each synthetic person.
        steps: optimizer steps, at nnU-Net's learning rate and schedule.
        seed: of the pages, the initialization and the training.
        learning_rate: of SGD, at the schedule's start.
    """

    plan: str
    profile: str
    pages: int
    steps: int
    seed: int
    learning_rate: float = TrainingSettings.learning_rate


RECIPES: Final = {
    "start": Recipe(plan="tiny", profile="plain", pages=60, steps=150, seed=20_261_120),
    "segmenter": Recipe(plan="tiny", profile="broad", pages=400, steps=5000, seed=20_261_121),
}


def build(name: str, folder: Path, cache: Path) -> Path:
    """Train the bundled model `name` by its recipe, measure it on every profile, and write it to `folder`."""
    recipe = RECIPES[name]
    plan = plan_preset(recipe.plan)
    source = SyntheticPages({recipe.profile: recipe.profile}, pages_per_site=recipe.pages, seed=recipe.seed)
    trained = pretrain(
        SiteCases(source, recipe.profile, plan, cache),
        pretraining(recipe.steps, learning_rate=recipe.learning_rate, seed=recipe.seed),
        log=_log,
    )
    return save_model(folder / f"{name}.npz", trained.vector, plan, _provenance(name, plan, trained))


def dice_by_profile(plan: Plan, trained: Pretrained) -> dict[str, float]:
    """Mean trace Dice on pages of each profile, from seeds that no training uses."""
    from ecg_flare.page.site_profile import profile_names
    from ecg_flare.task.traces.evaluate import evaluate_pages
    from ecg_flare.task.traces.predictor import NetworkSegmenter

    segmenter = NetworkSegmenter(plan, trained.vector)
    dice = {}
    for profile in profile_names():
        pages = SyntheticPages({"held-out": profile}, _EVALUATION_PAGES, pages_per_patient=1, seed=_EVALUATION_SEED)
        dice[profile] = round(evaluate_pages(segmenter, pages.cases("held-out")).mean_dice, 4)
        _log(f"Dice on {profile}: {dice[profile]:.3f}")
    return dice


def _provenance(name: str, plan: Plan, trained: Pretrained) -> dict[str, Any]:
    import torch

    return {
        "command": f"python -m ecg_flare.task.traces.bundled {name}",
        "recipe": asdict(RECIPES[name]),
        "trained_on": TRAINED_ON,
        "versions": {"ecg_flare": ecg_flare.__version__, "torch": torch.__version__},
        "reproducible": "bit by bit on one CPU thread with the same versions and processor features",
        "dice_by_profile": dice_by_profile(plan, trained),
        "validation_dice": round(trained.validation_dice, 4),
        "loss": [[point.step, round(point.loss, 4)] for point in trained.history],
    }


def _log(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


def main() -> None:
    """Train the bundled models that are named on the command line."""
    parser = argparse.ArgumentParser(prog="python -m ecg_flare.task.traces.bundled", description=__doc__)
    parser.add_argument("names", nargs="+", choices=sorted(RECIPES))
    parser.add_argument("-o", "--output", type=Path, default=Path(ecg_flare.__file__).parent / "models")
    parser.add_argument("--cache", type=Path, default=Path("~/.cache/ecg_flare").expanduser())
    arguments = parser.parse_args()
    limit_threads(1)
    for name in arguments.names:
        _log(f"wrote {build(name, arguments.output, arguments.cache)}")


if __name__ == "__main__":
    main()
