"""Training of a model over sites: federated, secure, private, alone and centralized.

Rounds are those of `federated.round` in memory: a masked sum gives exactly the integers that it adds. A private run
hides patients, starts from a model trained on public cases, and may train some of the tensors alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from jaxtyping import Float32

from benchmarks.learning.methods import Budget, Method, Promise
from ecg_flare.errors import UpdateError
from ecg_flare.federated.parts import Clipping, Privacy, Roster, Sampling, TrainedModel
from ecg_flare.federated.patients import poisson_sample
from ecg_flare.federated.round import OpenRound, gaussian_noise, run_round
from ecg_flare.federated.subset import TrainableSubset
from ecg_flare.federated.terms import JobTerms
from ecg_flare.nnunet.kinds import learnt
from ecg_flare.nnunet.learnt import AgreedPlan, PreparedCases, SiteTrainer
from ecg_flare.nnunet.patients import cases_by_patient
from ecg_flare.nnunet.trainer import TrainOptions
from ecg_flare.privacy.accountant import noise_multiplier_for
from ecg_flare.privacy.gaussian import ChaChaStream
from ecg_flare.privacy.planning import noise_to_signal

Vector = Float32[np.ndarray, " d"]
POOL: Final = "pool"
PUBLIC: Final = "public"
_NEXT_TO_NONE: Final = 1e-3
"""Noise multiplier of a run that shows what clipping patient by patient costs; it promises nothing."""


@dataclass
class Bench:
    """The cases, and a trainer for each who trains.

    Attributes:
        plan: of the network.
        train: who -> the cases that they train on: each site, `pool` for all sites' together, and `public`.
        budget: of all runs.
        public: seed -> the model trained on public cases, of those that are known.
    """

    plan: AgreedPlan
    train: Mapping[str, PreparedCases]
    budget: Budget
    public: dict[int, Vector] = field(default_factory=dict)
    _trainers: dict[str, SiteTrainer] = field(default_factory=dict)

    @property
    def sites(self) -> list[str]:
        """Who trains together."""
        return [who for who in self.train if who not in (POOL, PUBLIC)]

    def run(self, method: Method, seed: int, on_round: Callable[[], object] = lambda: None) -> tuple[Vector, Promise]:
        """Train by a method; the model, and what was promised about patients."""
        start = self._start(method, seed)
        if not method.trains:
            return start, Promise()
        if method.site:
            return self._alone(method.site, start, seed, on_round), Promise()
        terms = self._terms(method)
        subset = TrainableSubset.matching(self.plan.layout, method.trained)
        optimizer = method.server()
        part, state = subset.take(start), optimizer.init(subset.dimension)
        stream = ChaChaStream(hashlib.sha256(f"noise of seed {seed}".encode()).digest())

        def whole(model: Vector) -> Vector:
            return subset.put(start, model)

        for index in range(self.budget.rounds):
            training = {site: self._training(site, method, subset, whole, seed) for site in self.sites}
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

    def _alone(self, who: str, start: Vector, seed: int, on_round: Callable[[], object]) -> Vector:
        many = len(self.sites) if who == POOL else 1
        model = start
        for index in range(self.budget.rounds):
            model = model + self._trainer(who).train(model, self._options(index, seed, who, many=many)).update
            on_round()
        return model

    def _training(
        self, site: str, method: Method, subset: TrainableSubset, whole: Callable[[Vector], Vector], seed: int
    ) -> Callable[[Vector, int], np.ndarray]:
        trainer = self._trainer(site)
        if not method.by_patient:

            def trained(model: Vector, index: int) -> np.ndarray:
                return trainer.train(whole(model), self._options(index, seed, site, mu=method.proximal_mu)).update

            return trained
        patients = cases_by_patient(self.train[site], hashlib.sha256(site.encode()).digest())

        def drawn(model: Vector, index: int) -> np.ndarray:
            stream = ChaChaStream(hashlib.sha256(f"{seed}/{site}/{index}".encode()).digest())
            chosen = poisson_sample(list(patients), self.budget.sampling_rate, stream)
            rows = [self._patient(trainer, patients[one], whole(model), subset, index) for one in chosen]
            return np.stack(rows) if rows else np.zeros((0, subset.dimension), np.float32)

        return drawn

    def _patient(
        self, trainer: SiteTrainer, cases: list[str], model: Vector, subset: TrainableSubset, index: int
    ) -> Vector:
        options = TrainOptions(
            self.budget.patient_steps, self.budget.learning_rate, momentum=0.0, seed=index, trained=subset.names
        )
        try:
            return subset.take(trainer.train(model, options, cases=cases).update)
        except UpdateError:
            return np.full(subset.dimension, np.nan, np.float32)

    def _options(self, index: int, seed: int, who: str, *, many: int = 1, mu: float = 0.0) -> TrainOptions:
        steps = self.budget.steps * many
        return TrainOptions(
            steps=steps,
            learning_rate=self.budget.learning_rate,
            schedule="poly",
            momentum=self.budget.momentum,
            first_step=index * steps,
            total_steps=self.budget.rounds * steps,
            proximal_mu=mu,
            seed=1000 * seed + list(self.train).index(who),
        )

    def _trainer(self, who: str) -> SiteTrainer:
        if who not in self._trainers:
            self._trainers[who] = learnt(self.plan).site_trainer(self.train[who], 1, "cpu")
        return self._trainers[who]

    def _terms(self, method: Method) -> JobTerms:
        patients = {site: self.train[site].n_patients for site in self.sites}
        sigma = _NEXT_TO_NONE if method.by_patient else None
        if method.epsilon:
            sigma = noise_multiplier_for(
                method.epsilon, self.budget.delta, sampling_rate=self.budget.sampling_rate, rounds=self.budget.rounds
            )
        weights = {site: 1.0 if method.by_patient else float(count) for site, count in patients.items()}
        return JobTerms(
            Roster(weights, min_sites=len(weights)),
            rounds=self.budget.rounds,
            model=TrainedModel(self.plan.name, method.trained, self.plan.document),
            clipping=None if method.clipping_norm is None else Clipping(method.clipping_norm),
            privacy=Privacy(sigma, delta=self.budget.delta) if sigma else None,
            sampling=Sampling(self.budget.sampling_rate, sum(patients.values()), max(patients.values()))
            if method.by_patient
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
