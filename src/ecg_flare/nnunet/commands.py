"""What the owner of a training process asks of it: messages that are whole, so that no part has a default of its own.

Each is a value here, `to_params()` as JSON on the way to the process (`service.Service`), and a value there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ecg_flare.documents import Fields
from ecg_flare.errors import ConfigError
from ecg_flare.federated.promise import check_promise
from ecg_flare.federated.terms import JobTerms
from ecg_flare.nnunet.kinds import admit, carried_document, check_source, verified_plan
from ecg_flare.nnunet.learnt import AgreedPlan, SiteCases
from ecg_flare.nnunet.settings import (
    ALL_FOR_TRAINING,
    DEFAULT_SETTINGS,
    SOME_HELD_OUT,
    PrepareSettings,
    TrainingSettings,
    names,
)
from ecg_flare.nnunet.sources import build_source, source_params

if TYPE_CHECKING:
    from ecg_flare.nnunet.trainer import TrainOptions

Params = Mapping[str, Any]

_MANY: Final = 10**9
_MAX_SEED: Final = 2**256


@dataclass(frozen=True)
class PrepareCommand:
    """Prepare a site's cases (`dataset.prepare`), and keep them for the commands that follow.

    Attributes:
        cases: whose, where from, for which plan, and where they are kept.
        settings: how they are split, and how far they are prepared.
        patients_per_site: under unit patient, the most patients that the terms allow; cases of nobody are refused then.
    """

    cases: SiteCases
    settings: PrepareSettings
    patients_per_site: int | None = None

    def to_params(self) -> dict[str, Any]:
        """The command as JSON values."""
        return {
            **_cases_params(self.cases),
            **asdict(self.settings),
            "patients_per_site": self.patients_per_site,
        }

    @classmethod
    def from_params(cls, params: Params) -> PrepareCommand:
        """Read what `to_params` gave; raises ConfigError naming what is missing, unknown or wrong."""
        found = _whole(params, "prepare", (*_CASES, *names(PrepareSettings), "patients_per_site"))
        settings = PrepareSettings(
            validation_fraction=found.number("validation_fraction", 0, 1),
            min_patients=found.whole("min_patients", 0, _MANY),
            preprocess=found.flag("preprocess"),
            alone=found.flag("alone"),
        )
        return cls(_cases(found), settings, found.whole("patients_per_site", 1, _MANY, default=None))


def prepare_command(
    cases: SiteCases, unit: str, patients_per_site: int | None, *, held_out: bool = False
) -> PrepareCommand:
    """How cases are prepared for a job: under unit patient of patients that it bounds, all of them for training.

    Where such a job counts on held-out cases (`held_out`) some patients are left for that, each by itself.
    """
    if unit == "patient":
        return PrepareCommand(cases, SOME_HELD_OUT if held_out else ALL_FOR_TRAINING, patients_per_site)
    return PrepareCommand(cases, DEFAULT_SETTINGS)


@dataclass(frozen=True)
class EvaluateCommand:
    """Measure a model on each case of a site; `measures` asks for what its task measures beside Dice, too."""

    cases: SiteCases
    measures: bool = False

    def to_params(self) -> dict[str, Any]:
        """The command as JSON values."""
        return {**_cases_params(self.cases), "measures": self.measures}

    @classmethod
    def from_params(cls, params: Params) -> EvaluateCommand:
        """Read what `to_params` gave; raises ConfigError naming what is missing, unknown or wrong."""
        found = _whole(params, "evaluate", (*_CASES, "measures"))
        return cls(_cases(found), found.flag("measures"))


@dataclass(frozen=True)
class TrainCommand:
    """Train one round of a job from its global model.

    Attributes:
        settings: of the training.
        round_index: of the round, from 0.
        rounds: of the whole job.
        seed: of the job, or a secret one; each site draws its own from it.
        trained: shell patterns of the tensors that are trained.
    """

    settings: TrainingSettings
    round_index: int
    rounds: int
    seed: int
    trained: tuple[str, ...]

    def options(self, site: str) -> TrainOptions:
        """What the trainer of `site` does in that round."""
        from ecg_flare.nnunet.trainer import TrainOptions

        return TrainOptions(
            **asdict(self.settings),
            first_step=self.round_index * self.settings.steps,
            total_steps=self.rounds * self.settings.steps,
            seed=site_seed(self.seed, site),
            trained=self.trained,
        )

    def to_params(self) -> dict[str, Any]:
        """The command as JSON values."""
        return {
            **asdict(self.settings),
            "round": self.round_index,
            "rounds": self.rounds,
            "seed": self.seed,
            "trained": list(self.trained),
        }

    @classmethod
    def from_params(cls, params: Params) -> TrainCommand:
        """Read what `to_params` gave; raises ConfigError naming what is missing, unknown or wrong."""
        found = _whole(params, "train", (*names(TrainingSettings), *_ROUND))
        settings = {name: params[name] for name in names(TrainingSettings)}
        return cls(
            settings=TrainingSettings.from_json(settings, "the command 'train'"),
            round_index=found.whole("round", 0, _MANY),
            rounds=found.whole("rounds", 1, _MANY),
            seed=found.whole("seed", 0, _MAX_SEED),
            trained=found.texts("trained"),
        )


@dataclass(frozen=True)
class TrainPatientsCommand:
    """Train one round of a job under unit patient: `terms` say how patients are drawn, clipped and counted."""

    training: TrainCommand
    terms: JobTerms

    def to_params(self) -> dict[str, Any]:
        """The command as JSON values."""
        return {**self.training.to_params(), "terms": asdict(self.terms)}

    @classmethod
    def from_params(cls, params: Params) -> TrainPatientsCommand:
        """Read what `to_params` gave; raises ConfigError naming what is missing, unknown or wrong."""
        training = {name: value for name, value in params.items() if name != "terms"}
        if "terms" not in params:
            raise ConfigError(f"the command 'train_patients' lacks terms; it has {', '.join(params)}")
        return cls(TrainCommand.from_params(training), check_promise(JobTerms(**params["terms"])))


@dataclass(frozen=True)
class CountCommand:
    """Count a site's cases, where a task counts: `terms` say how patients are drawn and counts are bounded."""

    cases: SiteCases
    terms: JobTerms

    def to_params(self) -> dict[str, Any]:
        """The command as JSON values."""
        return {**_cases_params(self.cases), "terms": asdict(self.terms)}

    @classmethod
    def from_params(cls, params: Params) -> CountCommand:
        """Read what `to_params` gave; raises ConfigError naming what is missing, unknown or wrong."""
        found = _whole(params, "count", (*_CASES, "terms"))
        return cls(_cases(found), check_promise(JobTerms(**found.mapping("terms"))))


@dataclass(frozen=True)
class ConcludeCommand:
    """Conclude from the mean of what was counted under `terms`, and write what follows into a folder."""

    plan: AgreedPlan
    terms: JobTerms
    folder: Path

    def to_params(self) -> dict[str, Any]:
        """The command as JSON values."""
        return {**_plan_params(self.plan), "terms": asdict(self.terms), "folder": str(self.folder)}

    @classmethod
    def from_params(cls, params: Params) -> ConcludeCommand:
        """Read what `to_params` gave; raises ConfigError naming what is missing, unknown or wrong."""
        found = _whole(params, "conclude", (*_PLAN, "terms", "folder"))
        return cls(_plan(found), check_promise(JobTerms(**found.mapping("terms"))), Path(found.text("folder")))


@dataclass(frozen=True)
class InitializeCommand:
    """Initialize a plan's network, from a seed."""

    plan: AgreedPlan
    seed: int

    def to_params(self) -> dict[str, Any]:
        """The command as JSON values."""
        return {**_plan_params(self.plan), "seed": self.seed}

    @classmethod
    def from_params(cls, params: Params) -> InitializeCommand:
        """Read what `to_params` gave; raises ConfigError naming what is missing, unknown or wrong."""
        found = _whole(params, "initialize", (*_PLAN, "seed"))
        return cls(_plan(found), found.whole("seed", 0, _MAX_SEED))


@dataclass(frozen=True)
class ExportCommand:
    """Write a model for use elsewhere: of nnU-Net, the folder that stock nnU-Net loads."""

    plan: AgreedPlan
    folder: Path

    def to_params(self) -> dict[str, Any]:
        """The command as JSON values."""
        return {**_plan_params(self.plan), "folder": str(self.folder)}

    @classmethod
    def from_params(cls, params: Params) -> ExportCommand:
        """Read what `to_params` gave; raises ConfigError naming what is missing, unknown or wrong."""
        found = _whole(params, "export", (*_PLAN, "folder"))
        return cls(_plan(found), Path(found.text("folder")))


def site_seed(seed: int, site: str) -> int:
    """A site's own training seed, from the job's and the site's name."""
    # Sites of one job share its seed, and must not draw the same patches and augmentations.
    return int.from_bytes(hashlib.sha256(f"{seed}/{site}".encode()).digest()[:8], "big")


_PLAN: Final = ("plan", "plan_hash", "document", "admitted")
_CASES: Final = ("source", "own_class", "site", *_PLAN, "cache")
_ROUND: Final = ("round", "rounds", "seed", "trained")


def _whole(params: Params, command: str, expected: tuple[str, ...]) -> Fields:
    where = f"the command {command!r}"
    if missing := [name for name in expected if name not in params]:
        raise ConfigError(f"{where} lacks {', '.join(missing)}; it has {', '.join(params) or 'nothing'}")
    return Fields(params, where, ConfigError).only(expected)


def _plan_params(plan: AgreedPlan) -> dict[str, Any]:
    document = carried_document(plan)
    return {"plan": plan.name, "plan_hash": plan.hash, "document": document, "admitted": plan.admitted}


def _plan(found: Fields) -> AgreedPlan:
    plan = verified_plan(found.text("plan"), found.text("plan_hash"), found.text("document"))
    if found.flag("admitted"):
        admit(plan)
    return plan


def _cases_params(cases: SiteCases) -> dict[str, Any]:
    return {
        "own_class": "",
        **source_params(cases.source),
        "site": cases.site,
        **_plan_params(cases.plan),
        "cache": str(cases.cache),
    }


def _cases(found: Fields) -> SiteCases:
    source, plan = build_source(found.mapping("source"), own_class=found.text("own_class")), _plan(found)
    check_source(source, plan)
    return SiteCases(source, found.text("site"), plan, Path(found.text("cache")))
