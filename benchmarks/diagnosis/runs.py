"""Training of the superclasses over sites: federated, secure, private, alone and centralized.

Rounds are those of `federated.round` in memory: a masked sum gives exactly the integers that it adds. The private run
hides patients, starts from a network trained on synthetic recordings, and trains some of its tensors alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from jaxtyping import Float32

from benchmarks.diagnosis.cases import POOL, PUBLIC, SITES, Cases
from ecg_flare.errors import UpdateError
from ecg_flare.federated.optimizers import FedAdam, FedAvg, ServerOptimizer
from ecg_flare.federated.parts import Clipping, Privacy, Roster, Sampling, TrainedModel
from ecg_flare.federated.patients import poisson_sample
from ecg_flare.federated.round import OpenRound, gaussian_noise, run_round
from ecg_flare.federated.subset import EVERY_TENSOR, TrainableSubset
from ecg_flare.federated.terms import JobTerms
from ecg_flare.nnunet.kinds import learnt
from ecg_flare.nnunet.patients import cases_by_patient
from ecg_flare.nnunet.trainer import TrainOptions
from ecg_flare.privacy.accountant import noise_multiplier_for
from ecg_flare.privacy.gaussian import ChaChaStream
from ecg_flare.privacy.planning import noise_to_signal
from ecg_flare.task.modules.dataset import PreparedExamples
from ecg_flare.task.modules.plan import ModulePlan
from ecg_flare.task.modules.trainer import ModuleTrainer

Vector = Float32[np.ndarray, " d"]
_NEXT_TO_NONE: Final = 1e-3
"""Noise multiplier of a run that shows what clipping patient by patient costs; it promises nothing."""

HEAD: Final = ("head.*",)
LAST_STAGE: Final = ("stages.3.*", "head.*")


@dataclass(frozen=True)
class Method:
    """How a model is trained.

    Attributes:
        name: for people.
        start: 'random', or 'public': trained on synthetic recordings.
        optimizer: of the server, 'fedavg' or 'fedadam', with its rate and, for FedAdam, tau.
        clipping_norm: C, where updates are clipped.
        summation: of the sites' updates.
        epsilon: of the whole run, for each patient; None adds no noise that counts.
        trained: patterns of the trained tensors.
        site: who trains alone; '' where the sites train together.
        trains: whether anything is trained after the start.
    """

    name: str
    start: str = "random"
    optimizer: str = "fedavg"
    server_rate: float = 1.0
    server_tau: float = 1e-3
    clipping_norm: float | None = None
    summation: str = "plain"
    epsilon: float | None = None
    trained: tuple[str, ...] = EVERY_TENSOR
    site: str = ""
    trains: bool = True


METHODS: Final = {
    method.name: method
    for method in (
        Method("public-start", start="public", trains=False),
        *(Method(f"local-{site}", site=site) for site in SITES),
        Method("centralized", site=POOL),
        Method("fedavg"),
        Method("fedadam", optimizer="fedadam", server_rate=0.01),
        Method("secure", optimizer="fedadam", server_rate=0.01, clipping_norm=5.0, summation="masked"),
        *(
            Method(
                f"private-{name}-eps{epsilon:g}" if epsilon else f"clipped-{name}",
                start="public",
                optimizer="fedadam",
                server_rate=rate,
                server_tau=1e-5,
                clipping_norm=norm,
                summation="masked",
                epsilon=epsilon,
                trained=trained,
            )
            for name, trained, norm, rate in (("head", HEAD, 0.05, 0.03), ("stage", LAST_STAGE, 0.1, 0.003))
            for epsilon in (None, 8.0, 2.0)
        ),
    )
}


@dataclass(frozen=True)
class Budget:
    """How long and at which rate is trained; `patient_steps` are those on each patient of a private round."""

    rounds: int = 15
    steps: int = 15
    learning_rate: float = 0.05
    momentum: float = 0.9
    patient_steps: int = 2
    sampling_rate: float = 0.5
    delta: float = 1e-3
    public_steps: int = 300


@dataclass(frozen=True)
class Promise:
    """What a private run promises: sigma, the values that are trained, and sigma * sqrt(d) / (q * N)."""

    sigma: float = 0.0
    trained: int = 0
    noise_to_signal: float = 0.0


@dataclass
class Bench:
    """The recordings, and a trainer for each who trains.

    Attributes:
        plan: of the network.
        cases: of the benchmark.
        budget: of all runs.
        public: seed -> the model trained on synthetic recordings, of those that are known.
    """

    plan: ModulePlan
    cases: Cases
    budget: Budget
    public: dict[int, Vector] = field(default_factory=dict)
    _trainers: dict[str, ModuleTrainer] = field(default_factory=dict)

    def run(self, method: Method, seed: int, on_round: Callable[[], object] = lambda: None) -> tuple[Vector, Promise]:
        """Train by a method; the model, and what was promised about patients."""
        start = self._start(method, seed)
        if not method.trains:
            return start, Promise()
        if method.site:
            return self._alone(method.site, start, seed, on_round), Promise()
        terms = self._terms(method)
        subset = TrainableSubset.matching(self.plan.layout, method.trained)
        optimizer = _optimizer(method)
        part, state = subset.take(start), optimizer.init(subset.dimension)
        stream = ChaChaStream(hashlib.sha256(f"noise of seed {seed}".encode()).digest())

        def whole(model: Vector) -> Vector:
            return subset.put(start, model)

        for index in range(self.budget.rounds):
            training = {site: self._training(site, method, subset, whole, seed) for site in SITES}
            noise = gaussian_noise(terms, part.size, stream=stream) if terms.private else None
            opened = OpenRound(terms, part, state, optimizer)
            result = run_round(opened, training, round_index=index, noise=noise)
            part, state = result.model, result.state
            on_round()
        return whole(part), self._promise(terms, subset.dimension)

    def _start(self, method: Method, seed: int) -> Vector:
        start: Vector = learnt(self.plan).initial_model(seed)
        if method.start == "random":
            return start
        if seed not in self.public:
            options = TrainOptions(
                self.budget.public_steps, self.budget.learning_rate, "poly", momentum=self.budget.momentum, seed=seed
            )
            self.public[seed] = start + self._trainer(PUBLIC).train(start, options).update
        return self.public[seed]

    def _alone(self, site: str, start: Vector, seed: int, on_round: Callable[[], object]) -> Vector:
        many = len(SITES) if site == POOL else 1
        model = start
        for index in range(self.budget.rounds):
            model = model + self._trainer(site).train(model, self._options(index, seed, site, many)).update
            on_round()
        return model

    def _training(
        self, site: str, method: Method, subset: TrainableSubset, whole: Callable[[Vector], Vector], seed: int
    ) -> Callable[[Vector, int], np.ndarray]:
        trainer = self._trainer(site)
        if method.epsilon is None and method.start == "random":
            return lambda model, index: trainer.train(whole(model), self._options(index, seed, site)).update
        patients = cases_by_patient(self.cases.train[site], hashlib.sha256(site.encode()).digest())

        def drawn(model: Vector, index: int) -> np.ndarray:
            stream = ChaChaStream(hashlib.sha256(f"{seed}/{site}/{index}".encode()).digest())
            chosen = poisson_sample(list(patients), self.budget.sampling_rate, stream)
            rows = [self._patient(trainer, patients[one], whole(model), subset, index) for one in chosen]
            return np.stack(rows) if rows else np.zeros((0, subset.dimension), np.float32)

        return drawn

    def _patient(
        self, trainer: ModuleTrainer, cases: list[str], model: Vector, subset: TrainableSubset, index: int
    ) -> Vector:
        options = TrainOptions(
            self.budget.patient_steps, self.budget.learning_rate, momentum=0.0, seed=index, trained=subset.names
        )
        try:
            return subset.take(trainer.train(model, options, cases=cases).update)
        except UpdateError:
            return np.full(subset.dimension, np.nan, np.float32)

    def _options(self, index: int, seed: int, site: str, many: int = 1) -> TrainOptions:
        steps = self.budget.steps * many
        return TrainOptions(
            steps=steps,
            learning_rate=self.budget.learning_rate,
            schedule="poly",
            momentum=self.budget.momentum,
            first_step=index * steps,
            total_steps=self.budget.rounds * steps,
            seed=1000 * seed + (*SITES, POOL).index(site),
        )

    def _trainer(self, who: str) -> ModuleTrainer:
        if who not in self._trainers:
            examples: Mapping[str, PreparedExamples] = {**self.cases.train, PUBLIC: self.cases.public}
            self._trainers[who] = ModuleTrainer(self.plan, examples[who])
        return self._trainers[who]

    def _terms(self, method: Method) -> JobTerms:
        patients = {site: self.cases.train[site].n_patients for site in SITES}
        by_patient = method.start == "public"
        sigma = _NEXT_TO_NONE if by_patient else None
        if method.epsilon:
            sigma = noise_multiplier_for(
                method.epsilon, self.budget.delta, sampling_rate=self.budget.sampling_rate, rounds=self.budget.rounds
            )
        weights = dict.fromkeys(SITES, 1.0) if by_patient else {site: float(patients[site]) for site in SITES}
        return JobTerms(
            Roster(weights, min_sites=len(SITES)),
            rounds=self.budget.rounds,
            model=TrainedModel(self.plan.name, method.trained, self.plan.document),
            clipping=None if method.clipping_norm is None else Clipping(method.clipping_norm),
            privacy=Privacy(sigma, delta=self.budget.delta) if sigma else None,
            sampling=Sampling(self.budget.sampling_rate, sum(patients.values()), max(patients.values()))
            if by_patient
            else None,
            summation=method.summation,
        )

    def _promise(self, terms: JobTerms, dimension: int) -> Promise:
        if terms.privacy is None:
            return Promise(trained=dimension)
        sigma = terms.privacy.noise_multiplier
        assert terms.sampling is not None, "a private run draws patients"
        ratio = noise_to_signal(
            sigma, parameters=dimension, units=terms.sampling.patients, sampling_rate=terms.sampling_rate
        )
        return Promise(sigma, dimension, ratio)


def _optimizer(method: Method) -> ServerOptimizer:
    if method.optimizer == "fedadam":
        return FedAdam(method.server_rate, tau=method.server_tau)
    return FedAvg(method.server_rate)
