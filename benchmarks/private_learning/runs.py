"""One run: a recipe, a seed, and what the released model then finds on patients held out.

A round is `federated.round.run_round` over the trained coordinates alone (`federated.subset`), with unit patient: each
site draws its patients, trains each from the global model, and sends the sum of the clipped and encoded updates; noise
goes once on the sum of all. The noise is that of the deployed mechanism, from a stream with a known key so that a run
can be repeated.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

import numpy as np

from benchmarks.private_learning.averaging import Average, IterateAverage
from benchmarks.private_learning.patients import Patient
from benchmarks.private_learning.steps import LocalSteps, Part, PatientTrainer
from ecg_flare.federated.clipping import clip
from ecg_flare.federated.optimizers import FedAdam
from ecg_flare.federated.parts import Clipping, Privacy, Roster, Sampling
from ecg_flare.federated.projection import RandomProjection
from ecg_flare.federated.round import LocalTraining, OpenRound, gaussian_noise, run_round
from ecg_flare.federated.subset import TrainableSubset
from ecg_flare.federated.terms import JobTerms
from ecg_flare.federated.update import Vector
from ecg_flare.nnunet.plan import Plan, parameter_layout
from ecg_flare.privacy.accountant import noise_multiplier_for
from ecg_flare.privacy.adaptive_clipping import suggested
from ecg_flare.privacy.gaussian import ChaChaStream
from ecg_flare.privacy.planning import noise_to_signal
from ecg_flare.task.traces.evaluate import trace_dice

EVERYTHING: Final = ("*",)
"""Patterns of all tensors."""

DELTA: Final = 1e-4


@dataclass(frozen=True)
class Recipe:
    """How a run trains.

    Attributes:
        name: for people.
        trained: patterns of the trained tensors' names.
        epsilon: of the whole run at `delta`; None adds no noise.
        delta: of the whole run.
        cohort: number of patients that the noise is scaled for; None for those who are there. With another number the
            run is a simulation of a larger cohort, and promises nothing.
        rounds: T.
        sampling_rate: q.
        clipping_norm: C, public and the same in all rounds; None leaves updates as they are, where there is no
            noise.
        local: a patient's steps in a round.
        server_rate: of FedAdam.
        server_tau: of FedAdam.
        average: decay of the average of iterates; 0 releases the last model.
        quantile: lets C follow this quantile of the updates from `clipping_norm` on, with the paper's settings; None
            keeps it.
        folded: number of coordinates that updates are folded into by a public random projection; None for all.
    """

    name: str
    trained: tuple[str, ...]
    epsilon: float | None = None
    delta: float = DELTA
    cohort: int | None = None
    rounds: int = 20
    sampling_rate: float = 0.5
    clipping_norm: float | None = 0.01
    local: LocalSteps = field(default_factory=LocalSteps)
    server_rate: float = 0.006
    server_tau: float = 1e-5
    average: float = 0.0
    quantile: float | None = None
    folded: int | None = None

    @property
    def sigma(self) -> float | None:
        """Noise multiplier that the promise takes, by Rényi accounting."""
        return None if self.epsilon is None else _sigma(self.epsilon, self.delta, self.sampling_rate, self.rounds)

    def noise_multiplier(self, patients: int) -> float | None:
        """The same where the sum is over `patients` but the noise is as of the cohort."""
        return None if self.sigma is None else self.sigma * patients / (self.cohort or patients)


@functools.cache  # seconds each, and every round asks
def _sigma(epsilon: float, delta: float, sampling_rate: float, rounds: int) -> float:
    return noise_multiplier_for(epsilon, delta, sampling_rate=sampling_rate, rounds=rounds)


@dataclass(frozen=True)
class Outcome:
    """What a run gave.

    Attributes:
        dice: mean trace Dice of the released model over the patients held out.
        by_site: the same by site.
        parameters: d, the trained coordinates.
        patients: N, who could be drawn.
        sigma: noise multiplier, 0 without noise.
        noise_to_signal: sigma * sqrt(d) / (q * N).
    """

    dice: float
    by_site: Mapping[str, float]
    parameters: int
    patients: int
    sigma: float
    noise_to_signal: float


class Bench:
    """The patients who train, and others to measure on; all runs share them."""

    def __init__(self, plan: Plan, start: Vector, patients: Sequence[Patient], measured: Sequence[Patient]) -> None:
        self._plan = plan
        self._start = start
        self._patients = patients
        self._measured = measured
        self._trainers: dict[TrainableSubset, PatientTrainer] = {}

    @cached_property
    def digest(self) -> str:
        """SHA-256 (hex) of the start and of all windows, trained and measured on."""
        digest = hashlib.sha256(self._start.tobytes())
        for patient in (*self._patients, *self._measured):
            digest.update(f"{patient.site}/{patient.name}".encode())
            digest.update(patient.images.tobytes() + patient.masks.tobytes())
        return digest.hexdigest()

    def train(self, recipe: Recipe, seed: int, *, on_round: Callable[[int], object] = lambda done: None) -> Vector:
        """The model that would be released; without rounds the start itself."""
        subset = self._subset(recipe)
        optimizer = FedAdam(recipe.server_rate, tau=recipe.server_tau)
        averaging = IterateAverage(recipe.average)
        part, state = subset.take(self._start), optimizer.init(subset.dimension)
        average: Average | None = None
        sites = {site: self._training(site, recipe, subset, seed) for site in self._sites}
        stream = ChaChaStream(hashlib.sha256(f"noise of seed {seed}".encode()).digest())
        agreed = terms = self._terms(recipe, seed)
        shares: list[float] = []
        for index in range(recipe.rounds):
            noise = gaussian_noise(terms, part.size, stream=stream) if terms.private else None
            result = run_round(OpenRound(terms, part, state, optimizer), sites, round_index=index, noise=noise)
            if result.dropped:
                raise RuntimeError(f"round {index} lost sites, which would be another experiment: {result.dropped}")
            part, state = result.model, result.state
            if result.share is not None:
                shares.append(result.share)
                terms = agreed.after(shares)
            average = averaging.step(average, part)
            on_round(index + 1)
        return subset.put(self._start, part if average is None else average.model)

    def measure(self, recipe: Recipe, model: Vector) -> Outcome:
        """What the model that the recipe gave finds on the patients held out."""
        subset = self._subset(recipe)
        trainer, part = self._trainer(subset), subset.take(model)
        dice: dict[str, list[float]] = {}
        for patient in self._measured:
            width = patient.masks.shape[-1]
            found = trainer.predict(part, patient).reshape(-1, width)
            dice.setdefault(patient.site, []).append(trace_dice(found, patient.masks.reshape(-1, width)))
        sigma = recipe.sigma or 0.0
        ratio = noise_to_signal(
            sigma,
            parameters=recipe.folded or subset.dimension,
            units=recipe.cohort or len(self._patients),
            sampling_rate=recipe.sampling_rate,
        )
        return Outcome(
            float(np.nanmean(np.concatenate(list(dice.values())))),
            {site: float(np.nanmean(values)) for site, values in dice.items()},
            subset.dimension,
            len(self._patients),
            sigma,
            ratio,
        )

    @cached_property
    def _sites(self) -> Mapping[str, list[Patient]]:
        sites: dict[str, list[Patient]] = {}
        for patient in self._patients:
            sites.setdefault(patient.site, []).append(patient)
        return sites

    def _terms(self, recipe: Recipe, seed: int) -> JobTerms:
        """Without noise a site sends the mean over its patients: the mean of all is the same as of their sum."""
        count = {site: len(patients) for site, patients in self._sites.items()}
        if recipe.epsilon is None:
            return JobTerms(Roster({site: float(number) for site, number in count.items()}, min_sites=len(count)))
        sigma = recipe.noise_multiplier(len(self._patients))
        adaptive = None
        if recipe.quantile is not None and recipe.clipping_norm is not None and sigma is not None:
            expected = recipe.sampling_rate * len(self._patients)
            adaptive = suggested(
                recipe.quantile,
                clipping_norm=recipe.clipping_norm,
                noise_multiplier=sigma,
                expected_patients=expected,
            )
        return JobTerms(
            Roster(dict.fromkeys(count, 1.0), min_sites=len(count)),
            clipping=None if recipe.clipping_norm is None else Clipping(recipe.clipping_norm, adaptive),
            privacy=None if sigma is None else Privacy(sigma),
            sampling=Sampling(recipe.sampling_rate, len(self._patients), max(count.values())),
            projection=None if recipe.folded is None else RandomProjection(recipe.folded, seed),
        )

    def _training(self, site: str, recipe: Recipe, subset: TrainableSubset, seed: int) -> LocalTraining:
        trainer = self._trainer(subset)
        number = sorted(self._sites).index(site)

        def train(part: Part, round_index: int) -> np.ndarray:
            rng = np.random.default_rng([seed, number, round_index])
            drawn = [patient for patient in self._sites[site] if rng.random() < recipe.sampling_rate]
            rows = np.zeros((len(drawn), subset.dimension), np.float32)
            for row, patient in zip(rows, drawn, strict=True):
                row[:] = trainer.update(part, patient, recipe.local, rng)
            if recipe.epsilon is not None:
                return rows  # `run_round` clips and encodes each
            if recipe.clipping_norm is not None:
                rows = np.array([clip(row, recipe.clipping_norm).vector for row in rows]).reshape(rows.shape)
            expected = recipe.sampling_rate * len(self._sites[site])
            return np.asarray(rows.sum(0, dtype=np.float64) / expected, np.float32)

        return train

    def _subset(self, recipe: Recipe) -> TrainableSubset:
        return TrainableSubset.matching(parameter_layout(self._plan), recipe.trained)

    def _trainer(self, subset: TrainableSubset) -> PatientTrainer:
        if subset not in self._trainers:
            self._trainers[subset] = PatientTrainer(self._plan, self._start, subset)
        return self._trainers[subset]
