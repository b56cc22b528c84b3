"""A round of training: the specification that every deployment runs.

    global model -> local training -> update -> clip -> encode -> sum -> noise -> server optimizer -> global model

`OpenRound` starts one, its `add` takes what a site sent, and `close` gives the next model. Plain, updates are averaged.
Clipped, none is longer than C. In fixed point they are summed as integers, which is what masks and ciphertexts carry
(masks cancel in the sum, so there is nothing else to say about them here). Private, Gaussian noise is added once to
that integer sum, the denominator is public, and a round cannot close without its noise.

`run_round` is a whole round in memory, sites included. The FLARE workflow opens and closes the same round.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64, Int64, Integer, Shaped

from ecg_flare.errors import ConfigError, EcgFlareError, PrivacyError, RoundError, UpdateError
from ecg_flare.federated.clipping import clip
from ecg_flare.federated.optimizers import ServerOptimizer, ServerState
from ecg_flare.federated.promise import check_promise
from ecg_flare.federated.robust.rule import RobustRule
from ecg_flare.federated.running_sum import RunningSum
from ecg_flare.federated.single_updates import SingleUpdates
from ecg_flare.federated.terms import JobTerms
from ecg_flare.federated.update import Vector, check_update
from ecg_flare.privacy.gaussian import Stream, add_noise

SiteUpdate = Float32[np.ndarray, "..."]
"""A site's update, shape (d,); under unit patient (patients, d), a row for each sampled patient."""

LocalTraining = Callable[[Vector, int], SiteUpdate]
"""(global model, round index) -> the site's update."""

AddNoise = Callable[[Int64[np.ndarray, " summed"]], Int64[np.ndarray, " summed"]]
"""The exact sum -> the sum with the round's noise, which is paid for before it is drawn."""


@dataclass(frozen=True, eq=False)
class RoundResult:
    """What a round gives. Under differential privacy only `model` (and what follows from it) may be released.

    summed: the sum that the model was moved by, with its noise: int64 in fixed point, float64 in the clear. Of a round
        by a robust rule it is the rule's mean, as there is no sum.
    answered: the sites in it.
    share: under adaptive clipping the noised share of updates within C, for `JobTerms.after`.
    dropped: of a round in memory, site -> why its update is not in the sum.
    """

    model: Vector
    state: ServerState
    mean_update: Float64[np.ndarray, " d"]
    summed: Shaped[np.ndarray, " summed"]
    answered: tuple[str, ...]
    share: float | None
    dropped: Mapping[str, str]


class OpenRound:
    """A round between its request and its close: the updates so far, and the model and optimizer that they will move.

    terms, model: of the round; the model is shared, never written to.
    rule: makes the mean of single updates; None adds them up.

    Raises ConfigError for a rule where updates are hidden or noised, or with too few sites, and for a delta that hides
    nobody.
    """

    def __init__(
        self,
        terms: JobTerms,
        model: Vector,
        state: ServerState,
        optimizer: ServerOptimizer,
        rule: RobustRule | None = None,
    ) -> None:
        self.terms, self.model = check_promise(terms), model
        self._state, self._optimizer = state, optimizer
        self._updates: RunningSum | SingleUpdates
        if rule is None:
            self._updates = RunningSum(
                terms.sum_size(model.size),
                terms.weights,
                terms.fixed_encoding(model.size),
                implausible=terms.implausible,
            )
        else:
            check_rule(rule, terms)
            self._updates = SingleUpdates(model.size, terms.weights, rule, clipping_norm=terms.clipping_norm)
        self._noised = False
        self._closed = False

    @property
    def answered(self) -> tuple[str, ...]:
        """The sites in the sum, in sorted order."""
        return self._updates.sites

    def add(self, site: str, contribution: Shaped[np.ndarray, " summed"]) -> None:
        """Add what a site sent; raises UpdateError, with the sum as it was, as `RunningSum.add`."""
        self._check_open()
        self._updates.add(site, contribution)

    def add_total(
        self,
        sites: Iterable[str],
        total: Int64[np.ndarray, " summed"],
        *,
        noised: bool = False,
        weight: float | None = None,
    ) -> None:
        """Add the sum of several sites' integers; `noised` says that it has the round's noise already.

        Raises UpdateError, with the sum as it was, as `RunningSum.add_total`, and PrivacyError for noise twice.
        """
        self._check_open()
        if isinstance(self._updates, SingleUpdates):
            raise UpdateError(f"a total of {sorted(sites)} cannot be added: the round's rule needs each update")
        if noised and (self._noised or not self.terms.private):
            raise PrivacyError("the total has noise, expected none: the round's terms add noise once, or not at all")
        self._updates.add_total(sites, total, noised=noised, weight=weight)
        self._noised = self._noised or noised

    def close(self, noise: AddNoise | None = None, *, dropped: Mapping[str, str] | None = None) -> RoundResult:
        """Put the noise on the sum and move the model by its mean.

        Raises RoundError where fewer than min_sites answered: nothing was drawn, and the model stays. Raises
        PrivacyError where the terms promise noise and there is none, or would be noise twice.
        """
        self._check_open()
        terms = self.terms
        if len(self.answered) < terms.min_sites:
            raise RoundError(
                f"updates of {len(self.answered)} sites arrived, expected at least {terms.min_sites}; dropped: "
                f"{dict(dropped or {}) or 'none'}. The model stays as it was."
            )
        if (noise is not None) != (terms.private and not self._noised):
            raise PrivacyError(
                f"a round with noise_multiplier={terms.noise_multiplier} closes with its noise once, or with none "
                f"where there is no promise: {'two' if noise is not None else 'no'} noise was given"
            )
        self._closed = True
        summed, mean = self._summed(noise)
        state, model = self._optimizer.step(self._state, self.model, mean)
        return RoundResult(model, state, mean, summed, self.answered, terms.share(summed), dict(dropped or {}))

    def _summed(self, noise: AddNoise | None) -> tuple[Shaped[np.ndarray, " summed"], Float64[np.ndarray, " d"]]:
        if isinstance(self._updates, SingleUpdates):
            mean = self._updates.mean()
            return mean, mean
        summed = self._updates.total if noise is None else noise(self._updates.total)
        over = self._updates.mean(summed, self.terms.public_denominator)
        return summed, self.terms.mean_update(over, self.model.size)

    def _check_open(self) -> None:
        if self._closed:
            raise RoundError("the round is closed: open another")


def check_rule(rule: RobustRule, terms: JobTerms) -> None:
    """Refuse a rule that compares single updates where these are hidden, or where a sum's noise is promised.

    Raises ConfigError.
    """
    if terms.encoded:
        raise ConfigError(
            f"{type(rule).__name__} compares single updates, which summation={terms.summation!r} with "
            f"noise_multiplier={terms.noise_multiplier} hides from the server: take another aggregator, or a plain sum "
            "without noise"
        )
    rule.check(len(terms.weights))
    rule.check(terms.min_sites)


def run_round(
    opened: OpenRound,
    sites: Mapping[str, LocalTraining],
    *,
    round_index: int = 0,
    noise: AddNoise | None = None,
) -> RoundResult:
    """Run an open round in memory, sites included, and close it.

    A site whose training or update raises an error of ours is a dropout. `noise` is by default that of the terms; what
    it raises ends the round with nothing released.

    Raises ConfigError for a site that is not on the roster and RoundError where fewer than min_sites answered.
    """
    terms, model = opened.terms, opened.model
    if unknown := sorted(set(sites) - set(terms.weights)):
        raise ConfigError(f"{', '.join(unknown)} is not on the roster {sorted(terms.weights)}")
    dropped: dict[str, str] = {}
    for site in sorted(sites):
        try:
            update = sites[site](model, round_index)
            opened.add(site, contribution(update, terms.weights[site], terms, model.size))
        except EcgFlareError as error:
            dropped[site] = str(error)
    if noise is None and terms.private:
        noise = gaussian_noise(terms, model.size)
    return opened.close(noise, dropped=dropped)


def gaussian_noise(terms: JobTerms, dimension: int, *, stream: Stream | None = None) -> AddNoise:
    """The noise of private terms for updates of length `dimension`; `stream` is its source in tests.

    Raises ConfigError for terms that promise nothing.
    """
    fixed = terms.fixed_encoding(dimension)
    if fixed is None or not terms.private:
        raise ConfigError("privacy is None, expected terms that add noise")
    return lambda total: add_noise(total, fixed, stream=stream)


def contribution(
    update: SiteUpdate, weight: float, terms: JobTerms, dimension: int
) -> Float32[np.ndarray, " d"] | Integer[np.ndarray, " summed"]:
    """What a site sends for its update: the update, projected, clipped and encoded as the round asks.

    Under unit patient `update` has a row for each sampled patient, and the integers of all rows are added up.

    Raises UpdateError for an update of another form, or with more patients than the round allows.
    """
    if terms.unit == "site":
        check_update(update, size=dimension)
    elif update.ndim != 2 or len(update) > terms.patients_per_site:
        raise UpdateError(
            f"the update has shape {update.shape}, expected ({dimension},) for each of at most "
            f"{terms.patients_per_site} patients"
        )
    if terms.unit == "patient":
        encoding = terms.patient_encoding(dimension)
        encoded = np.zeros(encoding.fixed.dimension, dtype=np.int64)
        for row in update:
            encoded += encoding.encode(row, weight)
        return encoded
    if terms.clipping_norm is None:
        return update
    projected = update if terms.projection is None else terms.projection.project(update)
    clipped = clip(projected, terms.clipping_norm).vector
    fixed = terms.fixed_encoding(dimension)
    return clipped if fixed is None else fixed.encode(clipped, weight)
