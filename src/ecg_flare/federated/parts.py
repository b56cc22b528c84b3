"""The parts of a job's terms: public numbers that belong together, each of which checks itself.

`federated.terms.JobTerms` is composed of them. A part that holds another takes it as a mapping, too, as JSON gives it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from ecg_flare.documents import short
from ecg_flare.errors import ConfigError
from ecg_flare.federated.subset import EVERY_TENSOR
from ecg_flare.privacy.adaptive_clipping import AdaptiveClipping

P = TypeVar("P")


@dataclass(frozen=True)
class HiddenWeights:
    """Sites weigh by their training pages, and a masked sum carries the weights as one more coordinate.

    max_weight: the largest weight; a site weighs at least 1.
    pages_per_weight: training pages that make a weight of 1.

    >>> HiddenWeights(max_weight=100, pages_per_weight=4).of(pages=41)
    10
    """

    max_weight: int
    pages_per_weight: int = 1

    def __post_init__(self) -> None:
        check_whole("max_weight", self.max_weight)
        check_whole("pages_per_weight", self.pages_per_weight)

    def of(self, pages: int) -> int:
        """The weight of a site with so many training pages."""
        return max(1, min(self.max_weight, round(pages / self.pages_per_weight)))


@dataclass(frozen=True)
class Roster:
    """Who takes part, fixed before the first round: anything else would change the sensitivity.

    weights: site -> its public weight, above 0.
    min_sites: fewest sites whose updates make a round; where the sum hides updates, the threshold below which nothing
        is recovered.
    hidden: hides the sites' weights; None takes the public ones.
    """

    weights: Mapping[str, float]
    min_sites: int
    hidden: HiddenWeights | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.weights, Mapping):
            raise ConfigError(f"weights is {self.weights!r}, expected a weight for each site by name")
        for site, weight in self.weights.items():
            if not isinstance(site, str):
                raise ConfigError(f"weights name the site {site!r}, expected a text")
            check_positive(f"the weight of {site}", weight)
        check_whole("min_sites", self.min_sites)
        if self.min_sites > len(self.weights):
            raise ConfigError(f"min_sites is {self.min_sites}, expected 1 to the {len(self.weights)} sites")
        object.__setattr__(self, "hidden", built(HiddenWeights, "hidden", self.hidden))
        if self.hidden is not None:
            self._check_hidden(self.hidden)

    def _check_hidden(self, hidden: HiddenWeights) -> None:
        if set(self.weights.values()) != {1.0}:
            raise ConfigError(
                f"max_weight={hidden.max_weight} with weights {dict(self.weights)}: expected a weight of 1 for every "
                "site, since the sites give their own"
            )
        if self.min_sites != len(self.weights):
            raise ConfigError(
                f"max_weight={hidden.max_weight} with min_sites={self.min_sites} of {len(self.weights)} sites: totals "
                "of weights over two sets of sites show the weight of a site that is in one of them; ask for every site"
            )

    @property
    def max_weight(self) -> int | None:
        """The largest hidden weight; None where weights are public."""
        return None if self.hidden is None else self.hidden.max_weight

    @property
    def names(self) -> tuple[str, ...]:
        """The sites, in sorted order."""
        return tuple(sorted(self.weights))


@dataclass(frozen=True)
class TrainedModel:
    """What is trained.

    plan: name of the nnU-Net plan.
    document: the plan itself as JSON text (`nnunet.plan.Plan.document`); '' for a preset, which is known by its name.
    trained: shell patterns of the tensors that are trained, such as `decoder.stages.2.*`. The others stay as they are
        at the start, exactly: they have no update and no noise, and d does not count them.
    counted: whether sites count their cases instead (`federated.counts`): an update is then their counts.
    local: shell patterns of tensors that each site trains and keeps, such as `*.norm.*` (FedBN, arXiv 2102.07623). No
        update has them, whatever `trained` says; in the global model they stay as they are at the start.
    """

    plan: str = "tiny"
    trained: Sequence[str] = EVERY_TENSOR
    document: str = ""
    counted: bool = False
    local: Sequence[str] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.plan, str):
            raise ConfigError(f"plan is {self.plan!r}, expected the name of a plan")
        if not isinstance(self.document, str):
            raise ConfigError(f"document is {short(self.document)}, expected a plan as JSON text")
        if not isinstance(self.counted, bool):
            raise ConfigError(f"counted is {self.counted!r}, expected true or false")
        for name in ("trained", "local"):
            object.__setattr__(self, name, _patterns(name, getattr(self, name)))
        if not self.trained:
            raise ConfigError("trained is empty, expected patterns of tensors' names")
        if self.local and self.counted:
            raise ConfigError(f"local is {list(self.local)}, but this job counts, and trains no tensor")


@dataclass(frozen=True)
class Clipping:
    """The bound on each vector.

    norm: C, the largest L2 norm; of the first round, where it is adaptive.
    adaptive: how C follows the patients' updates from round to round; None leaves it as it is.
    """

    norm: float
    adaptive: AdaptiveClipping | None = None

    def __post_init__(self) -> None:
        check_positive("clipping_norm", self.norm)
        object.__setattr__(self, "adaptive", built(AdaptiveClipping, "adaptive", self.adaptive))

    @property
    def max_norm(self) -> float:
        """The largest C that a round may have."""
        return self.norm if self.adaptive is None else self.adaptive.most


@dataclass(frozen=True)
class Privacy:
    """Gaussian noise on each sum, and what is promised.

    noise_multiplier: sigma, the noise's standard deviation over the sensitivity.
    epsilon_budget: the job stops before the ledger passes it; None, for a round in memory, has no bound.
    delta: of (epsilon, delta)-differential privacy.
    """

    noise_multiplier: float
    epsilon_budget: float | None = None
    delta: float = 1e-5

    def __post_init__(self) -> None:
        check_positive("noise_multiplier", self.noise_multiplier)
        if self.epsilon_budget is not None:
            check_positive("epsilon_budget", self.epsilon_budget)
        if not (type(self.delta) in (int, float) and 0 < self.delta < 1):
            raise ConfigError(f"delta is {self.delta!r}, expected it between 0 and 1")


@dataclass(frozen=True)
class Sampling:
    """The secret draw of patients, whose presence the noise hides; without it the unit is a site as a whole.

    rate: q, the chance of a patient to be drawn in a round.
    patients: N, public number of patients of the cohort; what is released is a mean over q * N.
    patients_per_site: public bound on a site's patients; one with more takes no part.
    shared_patients: whether a patient may have pages at several sites: their vectors add up, and the sensitivity is C
        times the sum of the weights instead of C times the largest.
    """

    rate: float
    patients: int
    patients_per_site: int
    shared_patients: bool = False

    def __post_init__(self) -> None:
        if not (type(self.rate) in (int, float) and 0 < self.rate <= 1):
            raise ConfigError(f"sampling_rate is {self.rate!r}, expected it in (0, 1]")
        check_whole("patients", self.patients)
        check_whole("patients_per_site", self.patients_per_site)
        if not isinstance(self.shared_patients, bool):
            raise ConfigError(f"shared_patients is {self.shared_patients!r}, expected true or false")


@dataclass(frozen=True)
class Evaluation:
    """Counts of what the global model finds on the sites' held-out cases, summed as the job sums updates.

    every: rounds from one count to the next.
    norm: the clipping norm of the counts: what those of a site's cases, or of one patient's, cannot pass.
    noise_multiplier: sigma of the counts, where the job is private: each count is a release of its own.
    """

    every: int
    norm: float
    noise_multiplier: float | None = None

    def __post_init__(self) -> None:
        check_whole("evaluation: every", self.every)
        check_positive("evaluation: norm", self.norm)
        if self.noise_multiplier is not None:
            check_positive("evaluation: noise_multiplier", self.noise_multiplier)

    def due(self, round_index: int) -> bool:
        """Whether the model of that round, counted from 0, is measured."""
        return (round_index + 1) % self.every == 0


def built(kind: type[P], name: str, value: Any) -> Any:
    """`value` where it is a `kind` or None, and a `kind` of the arguments in it where it is a mapping.

    Raises ConfigError for arguments that `kind` does not know or lacks, and for any other value.
    """
    if value is None or isinstance(value, kind):
        return value
    if not isinstance(value, Mapping):
        raise ConfigError(f"{name} is {value!r}, expected the fields of {kind.__name__}")
    try:
        return kind(**value)
    except TypeError as error:
        raise ConfigError(f"{name} is {dict(value)!r}: {error}") from error


def check_positive(name: str, value: Any) -> None:
    """Raise ConfigError unless `value` is a finite number above 0."""
    if not (type(value) in (int, float) and math.isfinite(value) and value > 0):
        raise ConfigError(f"{name} is {value!r}, expected a positive number")


def check_whole(name: str, value: Any) -> None:
    """Raise ConfigError unless `value` is a whole number, 1 or more."""
    if type(value) is not int or value < 1:
        raise ConfigError(f"{name} is {value!r}, expected a whole number, at least 1")


def _patterns(name: str, value: Any) -> tuple[str, ...]:
    if isinstance(value, str) or not isinstance(value, Sequence) or not all(isinstance(each, str) for each in value):
        raise ConfigError(f"{name} is {short(value)}, expected a list of patterns of tensors' names")
    return tuple(value)
