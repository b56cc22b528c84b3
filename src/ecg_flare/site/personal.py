"""A site's own model in its kit: made from a released one and the cases that the kit names, and kept beside them.

The file lies in `local/` and is readable by its owner alone: it has learnt from the site's patients without any noise.
No job reads it, and no message carries it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ecg_flare.errors import ConfigError
from ecg_flare.nnunet.export import StoredModel, save_model
from ecg_flare.nnunet.kinds import check_source
from ecg_flare.nnunet.learnt import SiteCases
from ecg_flare.nnunet.personal import Personal, part_patterns, personalize
from ecg_flare.nnunet.settings import Compute, TrainingSettings
from ecg_flare.site.kit import Kit
from ecg_flare.site.own_pages import CACHE_FOLDER, OWN_PAGES_FILE, read_own_pages
from ecg_flare.site.own_tensors import OwnTensors
from ecg_flare.storage import check_writable

if TYPE_CHECKING:
    from ecg_flare.nnunet.trainer import TrainOptions

PERSONAL_FILE: Final = "ecg_flare_personal.npz"


@dataclass(frozen=True)
class Tuning:
    """How a released model is fine-tuned.

    Attributes:
        part: of the network, one of `nnunet.personal.PARTS`.
        training: steps, rate, momentum, and mu of the pull towards the model that it begins with; None for none.
        seed: of what training draws.
        kept: tensors that the site kept in a job (`own_tensors`), to begin with; None for the released model's.
    """

    part: str
    training: TrainingSettings | None
    seed: int = 0
    kept: OwnTensors | None = None

    def options(self, released: StoredModel) -> TrainOptions | None:
        """Of the training; None for none. Raises ConfigError where the network has no such part."""
        from ecg_flare.nnunet.trainer import TrainOptions

        trained = part_patterns(released.plan, self.part)
        return None if self.training is None else TrainOptions(**vars(self.training), seed=self.seed, trained=trained)


def kit_cases(kit: Kit, site: str, released: StoredModel) -> SiteCases:
    """The cases that the kit names, for the released model's plan.

    Raises ConfigError where the kit names none, or cases of another kind of task.
    """
    own = read_own_pages(kit.local)
    if own is None:
        raise ConfigError(f"{kit.local / OWN_PAGES_FILE} is missing: run `ecg-flare site prepare --workspace` first")
    check_source(own.source, released.plan)
    return SiteCases(own.source, site, released.plan, Path(own.cache) if own.cache else kit.folder / CACHE_FOLDER)


def make_personal(
    cases: SiteCases,
    released: StoredModel,
    tuning: Tuning,
    output: Path,
    *,
    compute: Compute,
    log: Callable[[str], None],
) -> Personal:
    """Fine-tune the released model on the cases, and write the site's own (`nnunet.personal`) to `output`.

    Raises:
        ConfigError: the network has no such part, or nothing is to be done.
        SiteDataError: as `personalize`.
        StorageError: the file cannot be written, or the kept tensors cannot be read.
    """
    if tuning.training is None and tuning.kept is None:
        raise ConfigError("steps is 0 and no kept tensors are put in: nothing would change; give steps, or --kept")
    check_writable(output)
    begin = None if tuning.kept is None else tuning.kept.into(released.vector)
    options = tuning.options(released)
    made = personalize(cases, released.vector, options, begin=begin, compute=compute, log=log)
    provenance: dict[str, Any] = {
        "personal": cases.site,
        "released": hashlib.sha256(released.vector.tobytes()).hexdigest(),
        "part": None if tuning.training is None else tuning.part,
        "training": None if tuning.training is None else vars(tuning.training),
        "kept": None if tuning.kept is None else tuning.kept.path.stem,
        "seed": tuning.seed,
        "share": made.share,
        "dice_by_share": {str(share): dice for share, dice in made.dice_by_share.items()},
    }
    save_model(output, made.vector, released.plan, provenance, mode=0o600)
    return made
