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
from dataclasses import dataclass, replace
from typing import Any, get_args

import numpy as np
from jaxtyping import Float32, Float64, Integer, Shaped

from ecg_flare.errors import ConfigError, EcgFlareError, RoundError, UpdateError
from ecg_flare.federated.clipping import clip
from ecg_flare.federated.optimizers import ServerOptimizer, ServerState
from ecg_flare.federated.patients import PatientEncoding
from ecg_flare.federated.projection import RandomProjection
from ecg_flare.federated.running_sum import RunningSum
from ecg_flare.federated.update import Vector, check_update
from ecg_flare.privacy.adaptive_clipping import AdaptiveClipping
from ecg_flare.privacy.events import GaussianEvent, Unit, round_events
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
    adaptive: how C follows the patients' updates from round to round (unit patient); None leaves it as it is.
    projection: folds each update before it is clipped, and unfolds the mean; None sums updates as they are.

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
    adaptive: AdaptiveClipping | None = None
    projection: RandomProjection | None = None

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
        if self.projection is not None and not self.encoded:
            raise ConfigError("projection is for sums in fixed point, expected noise or a sum that hides updates")
        self._check_unit()
        if self.adaptive is not None:
            self._check_adaptive(self.adaptive)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> RoundConfig:
        """The terms that `asdict` and JSON made a document of."""
        adaptive, projection = values.get("adaptive"), values.get("projection")
        return cls(
            **{
                **values,
                "adaptive": None if adaptive is None else AdaptiveClipping(**adaptive),
                "projection": None if projection is None else RandomProjection(**projection),
            }
        )

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

    def _check_adaptive(self, adaptive: AdaptiveClipping) -> None:
        if self.unit != "patient" or self.clipping_norm is None or self.noise_multiplier is None:
            raise ConfigError("adaptive clipping counts patients, expected unit patient: sites are too few to hide one")
        if len(set(self.weights.values())) != 1:
            raise ConfigError(
                f"adaptive clipping counts all patients alike, but the sites' weights differ: {dict(self.weights)}"
            )
        adaptive.check(self.clipping_norm, self.noise_multiplier)

    @property
    def private(self) -> bool:
        """Whether noise makes the released model differentially private."""
        return self.noise_multiplier is not None

    @property
    def encoded(self) -> bool:
        """Whether updates are summed as integers."""
        return self.fixed_point or self.private

    @property
    def events(self) -> tuple[GaussianEvent, ...]:
        """What a round does to a unit under differential privacy; nothing that counts without it."""
        if self.noise_multiplier is None:
            return ()
        return round_events(
            self.noise_multiplier, self.sampling_rate, self.weights.values(), shared=self.shared_patients
        )

    @property
    def vector_norm(self) -> float | None:
        """The largest norm of what is summed: C, or a little more where a patient's bit stands behind the update."""
        if self.clipping_norm is None or self.adaptive is None or self.noise_multiplier is None:
            return self.clipping_norm
        return self.clipping_norm * self.adaptive.stretch(self.noise_multiplier)

    @property
    def sensitivity(self) -> float | None:
        """By how much the weighted sum may change when one unit comes or goes: a vector times its weight."""
        if self.vector_norm is None:
            return None
        weights = self.weights.values()
        return self.vector_norm * (math.fsum(weights) if self.shared_patients else max(weights))

    @property
    def public_denominator(self) -> float | None:
        """The denominator of unit patient, ``sampling_rate * patients``; None where the weights give it."""
        return None if self.patients is None else self.sampling_rate * self.patients

    def sum_size(self, dimension: int) -> int:
        """Length of what is summed, for updates of length `dimension`."""
        return (dimension if self.projection is None else self.projection.size) + (self.adaptive is not None)

    def fixed_encoding(self, dimension: int) -> FixedPoint | None:
        """How what is summed becomes integers, for updates of length `dimension`; None in the clear."""
        return self.sum_encoding(self.sum_size(dimension))

    def sum_encoding(self, size: int) -> FixedPoint | None:
        """The same, for sums of length `size`."""
        if not self.encoded or self.vector_norm is None or self.sensitivity is None:
            return None
        # The encoding measures noise in the longest single vector, of which a shared patient may have several.
        vectors = self.sensitivity / (self.vector_norm * max(self.weights.values()))
        return FixedPoint.derive(
            clipping_norm=self.vector_norm,
            weights=[self.weights[site] for site in sorted(self.weights)],
            dimension=size,
            vectors_per_site=self.patients_per_site,
            noise_multiplier=(self.noise_multiplier or 0.0) * vectors,
            sampling_rate=self.sampling_rate,
        )

    def patient_encoding(self, dimension: int) -> PatientEncoding:
        """How a patient's update of length `dimension` becomes integers; raises ConfigError under unit site."""
        fixed = self.fixed_encoding(dimension)
        if self.unit != "patient" or fixed is None or self.clipping_norm is None:
            raise ConfigError(f"unit is {self.unit!r}, expected 'patient': a site's update is encoded as a whole")
        return PatientEncoding(dimension, self.clipping_norm, fixed, self._bit, self.projection)

    def mean_update(self, mean: Float64[np.ndarray, " summed"], dimension: int) -> Float64[np.ndarray, " d"]:
        """The mean update of length `dimension` in a mean over what was summed."""
        updates = mean if self.adaptive is None else mean[:-1]
        return updates if self.projection is None else self.projection.transpose(updates, dimension)

    def share(self, summed: Shaped[np.ndarray, " summed"]) -> float | None:
        """The share of the drawn patients whose updates were within C, in a noised sum; None where C is fixed.

        Cut to [0, 1], which is after the noise. Where fewer answered than the denominator says, it lies nearer to 1/2.
        """
        fixed = self.sum_encoding(summed.size)
        if self._bit is None or fixed is None or self.public_denominator is None:
            return None
        counted = int(summed[-1]) * fixed.clipping_norm / (fixed.scale * max(self.weights.values()) * 2 * self._bit)
        return min(max(counted / self.public_denominator + 0.5, 0.0), 1.0)

    def after(self, share: float | None) -> RoundConfig:
        """The terms of the next round: C follows the share where it is adaptive."""
        if self.adaptive is None or self.clipping_norm is None or share is None:
            return self
        return replace(self, clipping_norm=self.adaptive.next_norm(self.clipping_norm, share))

    @property
    def _bit(self) -> float | None:
        if self.adaptive is None or self.clipping_norm is None or self.noise_multiplier is None:
            return None
        return self.adaptive.bit(self.clipping_norm, self.noise_multiplier)


@dataclass(frozen=True, eq=False)
class RoundResult:
    """What a round gives. Under differential privacy only `model` (and what follows from it) may be released.

    summed: the sum that the model was moved by, with its noise: int64 in fixed point, float64 in the clear.
    dropped: site -> why its update is not in the sum.
    share: under adaptive clipping the noised share of updates within C, for `RoundConfig.after`.
    """

    model: Vector
    state: ServerState
    mean_update: Float64[np.ndarray, " d"]
    summed: Shaped[np.ndarray, " summed"]
    answered: tuple[str, ...]
    dropped: Mapping[str, str]
    share: float | None = None


def run_round(
    model: Vector,
    state: ServerState,
    sites: Mapping[str, LocalTraining],
    config: RoundConfig,
    optimizer: ServerOptimizer,
    *,
    round_index: int = 0,
    before_noise: Callable[[tuple[GaussianEvent, ...]], object] | None = None,
    stream: Stream | None = None,
) -> RoundResult:
    """Run one round.

    A site whose training or update raises an error of ours is a dropout. `before_noise` is called with what is about
    to happen, before any noise is drawn; what it raises ends the round with nothing released. `stream` is the source
    of noise in tests.

    Raises ConfigError for a site that is not on the roster and RoundError where fewer than min_sites answered.
    """
    if unknown := sorted(set(sites) - set(config.weights)):
        raise ConfigError(f"{', '.join(unknown)} is not on the roster {sorted(config.weights)}")
    fixed = config.fixed_encoding(model.size)
    total = RunningSum(config.sum_size(model.size), config.weights, fixed)
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
    if fixed is not None and config.private:
        if before_noise is not None:
            before_noise(config.events)
        summed = add_noise(summed, fixed, stream=stream)
    mean = config.mean_update(total.mean(summed, config.public_denominator), model.size)
    state, model = optimizer.step(state, model, mean)
    return RoundResult(model, state, mean, summed, total.sites, dropped, config.share(summed))


def contribution(
    update: SiteUpdate, weight: float, config: RoundConfig, dimension: int
) -> Float32[np.ndarray, " d"] | Integer[np.ndarray, " summed"]:
    """What a site sends for its update: the update, projected, clipped and encoded as the round asks.

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
    if config.unit == "patient":
        encoding = config.patient_encoding(dimension)
        encoded = np.zeros(encoding.fixed.dimension, dtype=np.int64)
        for row in update:
            encoded += encoding.encode(row, weight)
        return encoded
    if config.clipping_norm is None:
        return update
    projected = update if config.projection is None else config.projection.project(update)
    clipped = clip(projected, config.clipping_norm).vector
    fixed = config.fixed_encoding(dimension)
    return clipped if fixed is None else fixed.encode(clipped, weight)
