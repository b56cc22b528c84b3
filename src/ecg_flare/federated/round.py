"""A whole round of training in memory: the specification that every deployment must agree with.

    global model -> local training -> update -> clip -> encode -> sum -> noise -> server optimizer -> global model

Plain, the updates are averaged. Clipped, none is longer than C. In fixed point they are summed as integers, which is
what masks and ciphertexts carry (masks cancel in the sum, so there is nothing else to say about them here). Private,
Gaussian noise is added once to that integer sum, the denominator is public, and the caller is told before any noise
is drawn so that the ledger can be charged.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import get_args

import numpy as np
from jaxtyping import Float32, Float64, Integer, Shaped

from ecg_flare.errors import ConfigError, EcgFlareError, RoundError, UpdateError
from ecg_flare.federated.clipping import clip
from ecg_flare.federated.optimizers import ServerOptimizer, ServerState
from ecg_flare.federated.patients import encode_patient
from ecg_flare.federated.running_sum import RunningSum
from ecg_flare.federated.update import Vector, check_update
from ecg_flare.privacy.events import GaussianEvent, Unit
from ecg_flare.privacy.gaussian import Stream, add_noise
from ecg_flare.privacy.secure_sum.encoding import FixedPoint

SiteUpdate = Float32[np.ndarray, "..."]
"""A site's update, shape (d,); under unit patient (patients, d), a row for each sampled patient."""

LocalTraining = Callable[[Vector, int], SiteUpdate]
"""(global model, round index) -> the site's update."""


@dataclass(frozen=True)
class RoundConfig:
    """The public terms of a round.

    weights: site -> its public weight; the keys are the roster.
    min_sites: fewest sites whose updates make a round.
    clipping_norm: C, the largest L2 norm of a vector; None leaves updates as they are.
    noise_multiplier: sigma, the noise's standard deviation over the sensitivity; None adds no noise.
    fixed_point: whether updates are summed as integers; noise implies it.
    unit: whose presence the noise hides. Under `patient` each patient's vector is clipped and encoded on its own.
    patients_per_site: the most patients of a site in a round (unit patient).
    sampling_rate: probability with which a patient takes part (unit patient).
    patients: public number of patients of the cohort; the mean is over sampling_rate * patients (unit patient).
    shared_patients: whether a patient may have pages at several sites (unit patient). Their vectors then add up, and
        the sensitivity is C times the sum of the weights instead of C times the largest.

    Raises ConfigError naming an impossible value.
    """

    weights: Mapping[str, float]
    min_sites: int
    clipping_norm: float | None = None
    noise_multiplier: float | None = None
    fixed_point: bool = False
    unit: Unit = "site"
    patients_per_site: int = 1
    sampling_rate: float = 1.0
    patients: int | None = None
    shared_patients: bool = False

    def __post_init__(self) -> None:
        for site, weight in self.weights.items():
            if not (math.isfinite(weight) and weight > 0):
                raise ConfigError(f"the weight of {site} is {weight}, expected a positive number")
        if not 1 <= self.min_sites <= len(self.weights):
            raise ConfigError(f"min_sites is {self.min_sites}, expected 1 to the {len(self.weights)} sites")
        for name in ("clipping_norm", "noise_multiplier"):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value > 0):
                raise ConfigError(f"{name} is {value}, expected a positive number, or None to go without")
        if (self.encoded or self.unit == "patient") and self.clipping_norm is None:
            raise ConfigError("clipping_norm is None, but noise and fixed point need a bound on each vector")
        self._check_unit()

    def _check_unit(self) -> None:
        if self.unit not in get_args(Unit):
            raise ConfigError(f"unit is {self.unit!r}, expected one of {get_args(Unit)}")
        if not 0 < self.sampling_rate <= 1:
            raise ConfigError(f"sampling_rate is {self.sampling_rate}, expected it in (0, 1]")
        if self.unit == "patient" and not (self.private and self.patients_per_site >= 1 and (self.patients or 0) >= 1):
            raise ConfigError(
                f"unit patient with noise_multiplier {self.noise_multiplier}, patients_per_site "
                f"{self.patients_per_site} and patients {self.patients}: expected each to be positive"
            )
        said = (self.patients_per_site, self.sampling_rate, self.patients, self.shared_patients)
        if self.unit == "site" and said != (1, 1.0, None, False):
            raise ConfigError(
                f"patients_per_site {self.patients_per_site}, sampling_rate {self.sampling_rate}, patients "
                f"{self.patients} and shared_patients {self.shared_patients} have no meaning under unit site: leave "
                "them out"
            )

    @property
    def private(self) -> bool:
        """Whether noise makes the released model differentially private."""
        return self.noise_multiplier is not None

    @property
    def encoded(self) -> bool:
        """Whether updates are summed as integers."""
        return self.fixed_point or self.private

    @property
    def event(self) -> GaussianEvent | None:
        """What a round does to the data under differential privacy."""
        return None if self.noise_multiplier is None else GaussianEvent(self.noise_multiplier, self.sampling_rate)

    @property
    def sensitivity(self) -> float | None:
        """By how much the weighted sum may change when one unit comes or goes: C times the weight it can have."""
        if self.clipping_norm is None:
            return None
        weights = self.weights.values()
        return self.clipping_norm * (math.fsum(weights) if self.shared_patients else max(weights))

    @property
    def public_denominator(self) -> float | None:
        """The denominator of unit patient, ``sampling_rate * patients``; None where the weights give it."""
        return None if self.patients is None else self.sampling_rate * self.patients

    def fixed_encoding(self, dimension: int) -> FixedPoint | None:
        """How a vector of this round becomes integers; None in the clear."""
        if not self.encoded or self.clipping_norm is None or self.sensitivity is None:
            return None
        # The encoding measures noise in the longest single vector, of which a shared patient may have several.
        vectors = self.sensitivity / (self.clipping_norm * max(self.weights.values()))
        return FixedPoint.derive(
            clipping_norm=self.clipping_norm,
            weights=[self.weights[site] for site in sorted(self.weights)],
            dimension=dimension,
            vectors_per_site=self.patients_per_site,
            noise_multiplier=(self.noise_multiplier or 0.0) * vectors,
        )


@dataclass(frozen=True, eq=False)
class RoundResult:
    """What a round gives. Under differential privacy only `model` (and what follows from it) may be released.

    summed: the sum that the model was moved by, with its noise: int64 in fixed point, float64 in the clear.
    dropped: site -> why its update is not in the sum.
    """

    model: Vector
    state: ServerState
    mean_update: Float64[np.ndarray, " d"]
    summed: Shaped[np.ndarray, " d"]
    answered: tuple[str, ...]
    dropped: Mapping[str, str]


def run_round(
    model: Vector,
    state: ServerState,
    sites: Mapping[str, LocalTraining],
    config: RoundConfig,
    optimizer: ServerOptimizer,
    *,
    round_index: int = 0,
    before_noise: Callable[[GaussianEvent], object] | None = None,
    stream: Stream | None = None,
) -> RoundResult:
    """Run one round.

    A site whose training or update raises an error of ours is a dropout. `before_noise` is called with what is about
    to happen, before any noise is drawn; what it raises ends the round with nothing released. `stream` is the source
    of noise in tests.

    Raises ConfigError for a site that is not on the roster and RoundError where fewer than min_sites answered.
    """
    if strangers := sorted(set(sites) - set(config.weights)):
        raise ConfigError(f"{', '.join(strangers)} is not on the roster {sorted(config.weights)}")
    fixed = config.fixed_encoding(model.size)
    total = RunningSum(model.size, config.weights, fixed)
    dropped: dict[str, str] = {}
    for site in sorted(sites):
        try:
            update = sites[site](model, round_index)
            total.add(site, contribution(update, config.weights[site], config, model.size))
        except EcgFlareError as error:
            dropped[site] = str(error)
    if len(total.sites) < config.min_sites:
        raise RoundError(
            f"round {round_index} has updates of {len(total.sites)} sites, expected at least {config.min_sites}; "
            f"dropped: {dropped or 'none'}. The model stays as it was."
        )
    summed = total.total
    if fixed is not None and config.event is not None:
        if before_noise is not None:
            before_noise(config.event)
        summed = add_noise(summed, fixed, stream=stream)
    mean = total.mean(summed, config.public_denominator)
    state, model = optimizer.step(state, model, mean)
    return RoundResult(model, state, mean, summed, total.sites, dropped)


def contribution(
    update: SiteUpdate, weight: float, config: RoundConfig, dimension: int
) -> Float32[np.ndarray, " d"] | Integer[np.ndarray, " d"]:
    """What a site sends for its update: the update, clipped and encoded as the round asks.

    Under unit patient `update` has a row for each sampled patient, and the integers of all rows are added up.

    Raises UpdateError for an update of another form, or with more patients than the round allows.
    """
    if config.unit == "site":
        check_update(update, size=dimension)
    elif update.ndim != 2 or len(update) > config.patients_per_site:
        raise UpdateError(
            f"the update has shape {update.shape}, expected ({dimension},) for each of at most "
            f"{config.patients_per_site} patients"
        )
    fixed = config.fixed_encoding(dimension)
    if config.clipping_norm is None:
        return update
    if fixed is None:
        return clip(update, config.clipping_norm).vector
    if config.unit == "site":
        return fixed.encode(clip(update, config.clipping_norm).vector, weight)
    encoded = np.zeros(dimension, dtype=np.int64)
    for row in update:
        encoded += encode_patient(row, weight, fixed)
    return encoded
