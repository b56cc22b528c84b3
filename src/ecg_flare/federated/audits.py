"""The audits of privacy/audit, run on the round of this package: the real clipping, fixed point, sum and noise."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Int64

from ecg_flare.errors import ConfigError, UpdateError
from ecg_flare.federated.optimizers import FedAvg, ServerOptimizer
from ecg_flare.federated.parts import Clipping, Privacy, Roster, Sampling
from ecg_flare.federated.round import (
    LocalTraining,
    OpenRound,
    SiteUpdate,
    contribution,
    gaussian_noise,
    run_round,
)
from ecg_flare.federated.terms import JobTerms
from ecg_flare.privacy.audit import (
    AuditResult,
    Released,
    brute_force_sensitivity,
    gradient_inversion,
    many_trial_canary,
    membership_inference,
    one_shot_canaries,
)
from ecg_flare.privacy.audit.path import Model, Rows, RowsOf
from ecg_flare.privacy.audit.sensitivity import trying_updates
from ecg_flare.privacy.events import Unit
from ecg_flare.privacy.gaussian import Stream
from ecg_flare.privacy.secure_sum.encoding import FixedPoint

_SMALL = 16  # dimensions of a trial, where more would only cost time
_PIXELS = 4096
_OUTPUTS = 8
_TOY_ROUNDS = 5


@dataclass(frozen=True)
class AuditedRound:
    """`run_round` in the form that the audits drive; satisfies privacy.audit's `RoundPath`."""

    terms: JobTerms
    dimension: int
    optimizer: ServerOptimizer = field(default_factory=FedAvg)

    @property
    def sites(self) -> tuple[str, ...]:
        """The roster."""
        return self.terms.roster

    @property
    def unit(self) -> Unit:
        """Whose presence is claimed to be hidden."""
        return self.terms.unit

    @property
    def fixed(self) -> FixedPoint:
        """The claimed encoding; raises ConfigError for a round that promises nothing."""
        fixed = self.terms.fixed_encoding(self.dimension)
        if fixed is None or not self.terms.private:
            raise ConfigError("noise_multiplier is None, expected a private round: without noise there is no claim")
        return fixed

    @property
    def denominator(self) -> float:
        """The public denominator of the mean."""
        return self.terms.denominator

    def contribution(self, rows: Rows) -> Int64[np.ndarray, " d"]:
        """The integers that the first site sends."""
        site = self.sites[0]
        return contribution(self._site_update(rows), self.terms.weights[site], self.terms, self.dimension)

    def release(self, model: Model, rows: Mapping[str, RowsOf], *, stream: Stream | None = None) -> Released:
        """Run a round; raises UpdateError where an update was refused, which would pass for privacy."""
        trainings = {site: self._training(rows_of) for site, rows_of in rows.items()}
        opened = OpenRound(self.terms, model, self.optimizer.init(model.size), self.optimizer)
        noise = gaussian_noise(self.terms, model.size, stream=stream) if self.terms.private else None
        result = run_round(opened, trainings, noise=noise)
        if result.dropped:
            raise UpdateError(f"the audit's own updates were refused: {dict(result.dropped)}")
        return Released(result.summed, result.mean_update, result.model)

    def _training(self, rows_of: RowsOf) -> LocalTraining:
        return lambda model, round_index: self._site_update(rows_of(model))

    def _site_update(self, rows: Rows) -> SiteUpdate:
        return rows if self.terms.unit == "patient" else rows[0]


def audited_round(
    unit: Unit, *, units: int, dimension: int, noise_multiplier: float, clipping_norm: float = 1.0, sites: int = 5
) -> AuditedRound:
    """A round over `units` units: each a site of its own, or patients spread over `sites` sites."""
    names = [f"site-{number}" for number in range(units if unit == "site" else sites)]
    terms = JobTerms(
        sites=Roster(dict.fromkeys(names, 1.0), min_sites=1),
        clipping=Clipping(clipping_norm),
        privacy=Privacy(noise_multiplier),
        sampling=None if unit == "site" else Sampling(rate=1.0, patients=units, patients_per_site=units),
    )
    return AuditedRound(terms, dimension)


def run_audits(
    unit: Unit,
    *,
    noise_multiplier: float,
    delta: float,
    dimension: int,
    canaries: int,
    trials: int,
    candidates: int,
    seed: int,
    stream: Stream | None = None,
) -> Iterator[AuditResult]:
    """Every audit of a unit, one after the other; `seed` fixes their own randomness, not the mechanism's noise.

    All but sensitivity and inversion test the same claim, one round at `noise_multiplier`. The toy model of the
    membership attack takes five rounds, each with so much more noise that they cost as much as that one.

    Raises ConfigError for an impossible setting.
    """
    rngs = np.random.default_rng(seed).spawn(5)
    wide = audited_round(unit, units=canaries, dimension=dimension, noise_multiplier=noise_multiplier)
    yield one_shot_canaries(wide, canaries=canaries, delta=delta, rng=rngs[0], stream=stream)
    narrow = audited_round(unit, units=2, dimension=_SMALL, noise_multiplier=noise_multiplier, sites=2)
    yield many_trial_canary(narrow, trials=trials, rng=rngs[1], stream=stream)
    yield audit_sensitivity(unit, noise_multiplier=noise_multiplier, rng=rngs[2])
    layer = audited_round(unit, units=2, dimension=_OUTPUTS * (_PIXELS + 1), noise_multiplier=noise_multiplier)
    yield gradient_inversion(layer, pixels=_PIXELS, rng=rngs[3])
    if unit == "patient":
        toy = toy_training(noise_multiplier=noise_multiplier, candidates=candidates)
        yield membership_inference(toy, candidates=candidates, rounds=_TOY_ROUNDS, rng=rngs[4], stream=stream)


def audit_sensitivity(unit: Unit, *, noise_multiplier: float, rng: np.random.Generator) -> AuditResult:
    """Take out, one by one, units whose updates lie at the edges of clipping and rounding."""
    dimension, clipping_norm = 200, 0.3
    tried = trying_updates(rng, dimension, clipping_norm=clipping_norm)
    path = audited_round(
        unit, units=len(tried), dimension=dimension, noise_multiplier=noise_multiplier, clipping_norm=clipping_norm
    )
    shares = {site: slice(start, None, len(path.sites)) for start, site in enumerate(path.sites)}
    names = [f"unit {number}" for number in range(len(tried))]
    rows = {site: tried[share] for site, share in shares.items()}
    return brute_force_sensitivity(path, rows, {site: names[share] for site, share in shares.items()}, rng=rng)


def toy_training(*, noise_multiplier: float, candidates: int) -> AuditedRound:
    """The path of the membership attack: five rounds that together cost one at `noise_multiplier`.

    The server's step makes up for the mean over the patients, so that a patient moves the own margin by up to C.
    """
    path = audited_round(
        "patient",
        units=candidates // 2,
        dimension=4 * candidates,  # random directions of so many patients hardly overlap
        noise_multiplier=noise_multiplier * math.sqrt(_TOY_ROUNDS),
    )
    return replace(path, optimizer=FedAvg(learning_rate=path.denominator / _TOY_ROUNDS))
