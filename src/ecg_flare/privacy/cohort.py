"""Whose data a ledger protects, what they were promised, and how a round's sum is made private."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal, get_args

from ecg_flare.errors import ConfigError, LedgerError
from ecg_flare.privacy.adaptive_clipping import FOLLOWS_WITHIN, AdaptiveClipping
from ecg_flare.privacy.events import GaussianEvent, Unit, round_events, sum_sensitivity

Released = Literal["model", "counts"]
SamplingKind = Literal["all", "poisson"]
"""Who of the units takes part in a round: all of them, or each by a secret draw of its own."""

Adjacency = Literal["add-remove", "zero-out"]
"""How two data sets differ that a release may not tell apart."""

_ADJACENCY: Final[Mapping[Unit, Adjacency]] = {"patient": "add-remove", "site": "zero-out"}


@dataclass(frozen=True)
class Cohort:
    """Whose data a ledger is about, and what they were promised.

    unit: whom the promise protects. Jobs of unit site cost patients, too, so a ledger of unit patient takes charges of
        both units; one of unit site promises patients nothing, and takes those of unit site alone.
    roster: the sites whose patients they are; it may change, and what was spent stays spent.
    delta and epsilon_budget: bound everything that is ever released. A site's own ledger has no budget: its limit
        stands in the site's policy, and may change.
    adjacency: follows from the unit. A patient is added or removed ('add-remove'). A site stays on the public roster,
        and is among those who answered; what its pages say is replaced by an update of zero ('zero-out').

    Raises ConfigError for an impossible promise.
    """

    name: str
    unit: Unit
    roster: tuple[str, ...]
    delta: float
    epsilon_budget: float | None
    adjacency: Adjacency = field(init=False)

    def __post_init__(self) -> None:
        if self.unit not in get_args(Unit):
            raise ConfigError(f"privacy unit is {self.unit!r}, expected one of {get_args(Unit)}")
        object.__setattr__(self, "adjacency", _ADJACENCY[self.unit])
        if not self.roster or len(set(self.roster)) != len(self.roster):
            raise ConfigError(f"the roster is {self.roster}, expected the distinct names of the cohort's sites")
        if not 0 < self.delta < 1:
            raise ConfigError(f"delta is {self.delta}, expected it in (0, 1)")
        if self.epsilon_budget is not None and not (math.isfinite(self.epsilon_budget) and self.epsilon_budget > 0):
            raise ConfigError(f"epsilon_budget is {self.epsilon_budget}, expected a positive number")

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Cohort:
        """What `asdict` and JSON made a document of; raises ConfigError where its adjacency is not the unit's."""
        said = {name: value for name, value in values.items() if name != "adjacency"}
        cohort = cls(**{**said, "roster": tuple(values["roster"])})
        if values["adjacency"] != cohort.adjacency:
            raise ConfigError(
                f"adjacency is {values['adjacency']!r} under unit {cohort.unit}, expected {cohort.adjacency!r}"
            )
        return cohort


@dataclass(frozen=True)
class Adaptation:
    """Where a round's C is from, where it follows the updates.

    rule: by which it does.
    start: C of the first round.
    line: of the release whose share it follows; None where it is the start.
    """

    rule: AdaptiveClipping
    start: float
    line: int | None = None

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Adaptation:
        """What `asdict` and JSON made a document of."""
        return cls(**{**values, "rule": AdaptiveClipping(**values["rule"])})

    def check(self, clipping_norm: float, before: tuple[float, float] | None) -> None:
        """Refuse a C that does not follow from the round `before`, its C and its share; None where it is the start.

        Raises LedgerError.
        """
        expected = self.start if before is None else self.rule.next_norm(*before)
        if not math.isclose(clipping_norm, expected, rel_tol=FOLLOWS_WITHIN):
            since = "it is the start" if before is None else f"it follows C {before[0]} and the share {before[1]}"
            raise LedgerError(f"clipping_norm is {clipping_norm}, expected {expected}: {since}")


@dataclass(frozen=True)
class Mechanism:
    """How one round's sum is made private: all that a third party needs to recompute its cost.

    `unit` is that of the round's job, whatever the ledger's. The noise's standard deviation is
    `noise_multiplier * sensitivity`. Under unit patient `sampling` is 'poisson': each patient takes part with chance
    `sampling_rate`, `patients` is their public number N, and the denominator q * N. `adaptation` says where
    C is from; None where it is the same in all rounds of the job. `releases` says what leaves with the noise: the
    model that updates move, or counts of cases; both cost alike.

    Raises ConfigError for an impossible value.
    """

    job: str
    round: int
    clipping_norm: float
    noise_multiplier: float
    weights: Mapping[str, float]
    denominator: float
    sampling_rate: float = 1.0
    sampling: SamplingKind = "all"
    patients: int | None = None
    shared_patients: bool = False
    adaptation: Adaptation | None = None
    releases: Released = "model"
    unit: Unit = field(kw_only=True)

    def __post_init__(self) -> None:
        if self.unit not in get_args(Unit):
            raise ConfigError(f"unit is {self.unit!r}, expected one of {get_args(Unit)}")
        if self.releases not in get_args(Released):
            raise ConfigError(f"releases is {self.releases!r}, expected one of {get_args(Released)}")
        for name in ("clipping_norm", "denominator"):
            if not (math.isfinite(getattr(self, name)) and getattr(self, name) > 0):
                raise ConfigError(f"{name} is {getattr(self, name)}, expected a positive number")
        if not self.weights or not all(math.isfinite(weight) and weight > 0 for weight in self.weights.values()):
            raise ConfigError(f"weights are {dict(self.weights)}, expected a positive number for each site")
        _ = self.events  # checks sigma and the rate
        if self.sampling not in get_args(SamplingKind) or (self.sampling == "all" and self.sampling_rate != 1):
            raise ConfigError(f"sampling is {self.sampling!r} at rate {self.sampling_rate}, expected 'poisson' below 1")
        if self.adaptation is not None:
            self.adaptation.rule.check(self.clipping_norm, self.noise_multiplier)

    @property
    def sensitivity(self) -> float:
        """By how much one unit can change the sum: C times the largest weight, or all of them where sites share it.

        Where C is adaptive a patient's bit stands behind the update, and both together are a little longer than C.
        """
        stretch = 1.0 if self.adaptation is None else self.adaptation.rule.stretch(self.noise_multiplier)
        return sum_sensitivity(self.clipping_norm * stretch, self.weights.values(), shared=self._shared)

    @property
    def events(self) -> tuple[GaussianEvent, ...]:
        """What the round does to one unit of its own job."""
        return round_events(self.noise_multiplier, self.sampling_rate, self.weights.values(), shared=self._shared)

    @property
    def _shared(self) -> bool:
        return self.shared_patients and self.unit == "patient"

    def events_for(self, unit: Unit) -> tuple[GaussianEvent, ...]:
        """What the round does to one `unit`, which need not be that of its job.

        A patient in a round of unit site: whoever takes a patient's pages away changes the site's update, and both are
        clipped to C. Two vectors in a ball of radius C are up to 2 C apart, so the sum, where the update has weight w,
        moves by up to ``2 C w <= 2 sensitivity``: the same Gaussian mechanism at half the noise multiplier. It has rate
        1, since all see which sites answer. A patient with pages at several sites changes the updates of all of these,
        which together have the weights' sum in the place of the largest.

        A site in a round of unit patient: nothing, as such a round promises a site nothing.
        """
        if unit == self.unit:
            return self.events
        if unit == "site":
            return ()
        weights = self.weights.values()
        reach = 2 * (math.fsum(weights) / max(weights) if self.shared_patients else 1.0)
        return tuple(replace(event, noise_multiplier=event.noise_multiplier / reach) for event in self.events)


def check_belongs(mechanism: Mechanism, cohort: Cohort) -> None:
    """Refuse a round that is not the cohort's; raises LedgerError."""
    if unknown := sorted(set(mechanism.weights) - set(cohort.roster)):
        raise LedgerError(f"{', '.join(unknown)} is not on the roster of cohort {cohort.name!r}: {cohort.roster}")
    if cohort.unit == "site" and mechanism.unit != "site":
        raise LedgerError(
            f"the charge is of unit {mechanism.unit} and cohort {cohort.name!r} of unit site, which promises patients "
            "nothing: keep what patients lose in a ledger of unit patient"
        )
    by_patient = mechanism.sampling, mechanism.patients is not None
    shared = mechanism.shared_patients and cohort.unit == "site"
    if mechanism.unit == "site" and (by_patient != ("all", False) or shared):
        raise LedgerError(
            f"sampling is {mechanism.sampling!r} at rate {mechanism.sampling_rate}, patients {mechanism.patients} "
            "under unit site, expected all sites and no patients: everyone sees which sites answer"
        )
    if mechanism.unit == "patient" and by_patient != ("poisson", True):
        raise LedgerError(
            f"sampling is {mechanism.sampling!r} and patients {mechanism.patients} under unit patient, expected "
            "'poisson' and their public number"
        )
    if mechanism.unit == "site" and mechanism.adaptation is not None:
        raise LedgerError("the clipping norm is adaptive under unit site, expected a fixed one")
    if mechanism.patients is not None and mechanism.denominator != mechanism.sampling_rate * mechanism.patients:
        raise LedgerError(
            f"denominator is {mechanism.denominator}, expected the public {mechanism.sampling_rate} * "
            f"{mechanism.patients} patients"
        )
