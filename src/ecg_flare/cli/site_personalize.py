"""What `ecg-flare site personalize` does and prints."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ecg_flare.cli.screen import tell

if TYPE_CHECKING:
    from ecg_flare.nnunet.personal import Personal
    from ecg_flare.nnunet.settings import Compute, TrainingSettings


@dataclass(frozen=True)
class Wanted:
    """What the command was asked.

    Attributes:
        workspace: the site's kit.
        name: of the site; None for the kit's.
        part: of the network that is trained.
        training: how; None for not at all.
        seed: of the training.
        kept: first digits of the job whose kept tensors it begins with; '' for the model's own job, None for none.
        output: the model file; None for the kit's.
    """

    workspace: Path
    name: str | None
    part: str
    training: "TrainingSettings | None"
    seed: int
    kept: str | None
    output: Path | None


@dataclass(frozen=True)
class Made:
    """A site's own model, and the file that has it."""

    site: str
    wanted: Wanted
    model: "Personal"
    file: Path

    def to_json(self) -> dict[str, Any]:
        return {
            "site": self.site,
            "model": str(self.file),
            "part": self.wanted.part,
            "share": self.model.share,
            "released_dice": self.model.released_dice,
            "dice": self.model.dice,
            "dice_by_share": {str(share): dice for share, dice in self.model.dice_by_share.items()},
            "train": self.model.train,
            "held_out": self.model.held_out,
        }

    def lines(self) -> Iterator[str]:
        made = self.model
        yield f"site      {self.site}"
        yield f"cases     {made.train} trained on, {made.held_out} held out"
        for share, dice in made.dice_by_share.items():
            mark = "  <- taken" if share == made.share else ""
            yield f"share {share:4.2f}  Dice {dice:.3f} on the held-out cases{mark}"
        if made.share == 0:
            yield "Nothing is better here than the released model: the file holds that."
        yield f"model     {self.file}"
        yield "It has learnt from the site's patients without noise: keep it at the site."


def personal_of_kit(model: str, wanted: Wanted, compute: "Compute", *, best: bool) -> Made:
    """Make the released model of that name a kit's own; raises as `site.personal` and `model_named`."""
    from ecg_flare.cli.model import model_named
    from ecg_flare.flare.job.extensions import load_kits_extensions
    from ecg_flare.nnunet.environment import check_device, limit_threads
    from ecg_flare.site.kit import Kit
    from ecg_flare.site.own_tensors import own_tensors_of
    from ecg_flare.site.personal import PERSONAL_FILE, Tuning, kit_cases, make_personal

    limit_threads(compute.threads)
    check_device(compute.device)
    kit = Kit(wanted.workspace)
    site = wanted.name or kit.site
    load_kits_extensions(wanted.workspace, site)
    released = model_named(model, best=best)
    file = wanted.output or kit.local / PERSONAL_FILE
    cases, kept = kit_cases(kit, site, released), None
    if wanted.kept is not None:
        job = wanted.kept or str(released.provenance.get("terms_digest", ""))
        kept = own_tensors_of(wanted.workspace, released.plan, job)
        values = f"{len(kept.subset.names)} tensors, {kept.subset.dimension:,} values"
        tell(f"this site kept {values} in the job {kept.path.stem[:12]}")
    tuning = Tuning(wanted.part, wanted.training, wanted.seed, kept)
    made = make_personal(cases, released, tuning, file, compute=compute, log=tell)
    return Made(site, wanted, made, file)
