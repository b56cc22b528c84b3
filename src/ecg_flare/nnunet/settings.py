"""How a site trains. The defaults of jobs, of the training process and of pretraining stand here, and nowhere else."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Final, Literal, get_args

from ecg_flare.documents import Fields, short
from ecg_flare.errors import ConfigError

Schedule = Literal["poly", "constant"]

_SCHEDULES: Final = get_args(Schedule)
_MAX_STEPS: Final = 10**9
_MAX: Final = 1e300


@dataclass(frozen=True)
class TrainingSettings:
    """What a round of local training does with nnU-Net's SGD.

    Attributes:
        steps: optimizer steps of a round; under unit patient those on each patient.
        learning_rate: at the schedule's start.
        schedule: 'constant', or 'poly', nnU-Net's own, which falls over all rounds of the job.
        proximal_mu: FedProx's mu (Li et al. 2020, equation 2); 0 trains plainly, bit for bit.
        momentum: Nesterov's; it starts empty in each round.

    Raises ConfigError for an impossible value.
    """

    steps: int = 15
    learning_rate: float = 0.01
    schedule: Schedule = "constant"
    proximal_mu: float = 0.0
    momentum: float = 0.99

    def __post_init__(self) -> None:
        check(
            ("steps", self.steps, self.steps >= 1, "at least 1"),
            ("learning_rate", self.learning_rate, 0 < self.learning_rate < math.inf, "above 0"),
            ("schedule", self.schedule, self.schedule in _SCHEDULES, "'poly' or 'constant'"),
            ("proximal_mu", self.proximal_mu, 0 <= self.proximal_mu < math.inf, "at least 0"),
            ("momentum", self.momentum, 0 <= self.momentum < 1, "at least 0 and below 1"),
        )

    @classmethod
    def from_json(cls, values: object, where: str) -> TrainingSettings:
        """Read what `asdict` gives; raises ConfigError, saying `where`, for what is missing, unknown or wrong."""
        found = Fields(values, where, ConfigError).only(names(cls))
        return cls(
            steps=found.whole("steps", 1, _MAX_STEPS),
            learning_rate=found.number("learning_rate", 0, _MAX),
            schedule=found.text("schedule"),
            proximal_mu=found.number("proximal_mu", 0, _MAX),
            momentum=found.number("momentum", 0, 1),
        )

    @classmethod
    def of_job(cls, values: Mapping[str, Any] | None, where: str) -> TrainingSettings:
        """The settings that a job gives, and the defaults of those that it leaves out; raises as `from_json`."""
        if not isinstance(values, Mapping | None):
            raise ConfigError(f"{where}: expected an object, found {short(values)}.")
        return cls.from_json({**asdict(TrainingSettings()), **(values or {})}, where)


@dataclass(frozen=True)
class Compute:
    """What a training process runs on: CPU threads, and the torch device."""

    threads: int = 1
    device: str = "cpu"

    def __post_init__(self) -> None:
        check(("threads", self.threads, self.threads >= 1, "at least 1"))

    @classmethod
    def of_job(cls, values: Mapping[str, Any] | None, where: str) -> Compute:
        """What a job gives, and the defaults of what it leaves out; raises ConfigError for anything else."""
        found = Fields({} if values is None else values, where, ConfigError).only(names(cls))
        return cls(found.whole("threads", 1, 1024, default=cls.threads), found.text("device", default=cls.device))


def check(*rules: tuple[str, object, bool, str]) -> None:
    """Raise ConfigError for the first rule, (name, value, whether it holds, what is expected), that does not hold."""
    for name, value, holds, expected in rules:
        if not holds:
            raise ConfigError(f"{name} must be {expected}. Found {value!r}.")


def names(owner: type[Any]) -> tuple[str, ...]:
    """Names of a dataclass's fields."""
    return tuple(field.name for field in fields(owner))


@dataclass(frozen=True)
class PrepareSettings:
    """How a site's cases are prepared.

    Attributes:
        validation_fraction: of the patients that are not trained on, 0 to 1.
        min_patients: fewer are refused.
        preprocess: False writes the raw dataset only, which is all that evaluation needs.
        alone: whether a patient's side of the split follows from that patient alone, as a promise to patients needs.
    """

    validation_fraction: float = 0.2
    min_patients: int = 2
    preprocess: bool = True
    alone: bool = False


ALL_FOR_TRAINING: Final = PrepareSettings(validation_fraction=0, min_patients=1)
"""No patient is left out of training."""

SOME_HELD_OUT: Final = PrepareSettings(min_patients=1, alone=True)
"""Some patients are left out of training, and no patient decides about another."""

TO_EVALUATE: Final = PrepareSettings(min_patients=1, preprocess=False)
"""Cases that nothing is trained on."""

DEFAULT_SETTINGS: Final = PrepareSettings()
