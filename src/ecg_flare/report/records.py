"""What a run wrote down, record by record: its terms, and the figures of its rounds."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from ecg_flare.documents import Fields
from ecg_flare.errors import ConfigError
from ecg_flare.federated.subset import EVERY_TENSOR, TrainableSubset
from ecg_flare.privacy.adaptive_clipping import AdaptiveClipping
from ecg_flare.report.figures import natural_key

MAX_FIGURE: Final = 1e12
"""No norm, loss, weight, time or epsilon of a run comes near it; far above it sums of figures overflow."""

MAX_ROUNDS: Final = 1_000_000
_MAX_BYTES: Final = 10**18
_LEAST: Final = 1e-12
"""Of what figures are divided by."""


@dataclass(frozen=True)
class Round:
    """The figures of one round; round 0 is the start. Fields as in `flare.telemetry.RoundFigures`."""

    index: int
    dice: float
    sites_dice: float | None = None
    lost: str = ""
    update_norm: float = 0.0
    answered: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    bytes_down: int = 0
    bytes_up: int = 0
    epsilon_rdp: float | None = None
    epsilon_prv: float | None = None
    seconds_by_step: Mapping[str, float] = field(default_factory=dict)
    site_metrics: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        """Wall seconds of the whole round."""
        return math.fsum(self.seconds_by_step.values())

    @property
    def trained(self) -> bool:
        """Whether the model took a step in it: it is neither the start nor lost."""
        return self.index > 0 and not self.lost

    @property
    def clipped_fraction(self) -> float | None:
        """Share of the answering sites whose update was clipped; None where no site told."""
        told = [metrics["clipped"] for metrics in self.site_metrics.values() if "clipped" in metrics]
        return sum(told) / len(told) if told else None


@dataclass(frozen=True)
class Terms:
    """The public terms of the job, as `flare.terms.RoundTerms` wrote them."""

    weights: Mapping[str, float]
    rounds: int
    min_sites: int
    plan: str
    clipping_norm: float | None = None
    noise_multiplier: float | None = None
    delta: float = 1e-5
    epsilon_budget: float | None = None
    unit: str = "site"
    sampling_rate: float = 1.0
    patients: int | None = None
    adaptive_clipping: Mapping[str, float] | None = None
    projection: Mapping[str, int] | None = None
    trained: Sequence[str] = EVERY_TENSOR
    summation: str = "plain"

    @property
    def sites(self) -> tuple[str, ...]:
        """The roster, in the order that people number it."""
        return tuple(sorted(self.weights, key=natural_key))

    @property
    def trained_parameters(self) -> int | None:
        """d where only some tensors are trained; None where all are."""
        if tuple(self.trained) == EVERY_TENSOR:
            return None
        from ecg_flare.nnunet.plan import parameter_layout, plan_preset

        return TrainableSubset.matching(parameter_layout(plan_preset(self.plan)), self.trained).dimension

    @property
    def noise_on_updates(self) -> float | None:
        """The noise on a coordinate of the sum over C: the multiplier, a little more where C is adaptive."""
        if self.noise_multiplier is None or self.adaptive_clipping is None:
            return self.noise_multiplier
        return AdaptiveClipping(**self.adaptive_clipping).update_noise_multiplier(self.noise_multiplier)

    @property
    def clipping_text(self) -> str:
        """C in words."""
        if self.clipping_norm is None:
            return "none"
        if self.adaptive_clipping is None:
            return f"{self.clipping_norm:g}"
        quantile = self.adaptive_clipping["quantile"]
        return f"{self.clipping_norm:g} at first, then following the {quantile:g} quantile of the patients' updates"

    @property
    def private(self) -> bool:
        """Whether noise was added to every sum."""
        return self.noise_multiplier is not None


def read_round(fields: Fields) -> Round:
    """The figures of a line of metrics.jsonl; raises the fields' error naming what is of another kind or absurd."""
    return Round(
        index=fields.whole("round", 0, MAX_ROUNDS),
        dice=fields.number("dice", -1, 1),
        sites_dice=fields.number("sites_dice", -1, 1, None),
        lost=fields.text("lost", ""),
        update_norm=fields.number("update_norm", 0, MAX_FIGURE, 0.0),
        answered=fields.texts("answered", ()),
        missing=fields.texts("missing", ()),
        bytes_down=fields.whole("bytes_down", 0, _MAX_BYTES, 0),
        bytes_up=fields.whole("bytes_up", 0, _MAX_BYTES, 0),
        epsilon_rdp=fields.number("epsilon_rdp", 0, MAX_FIGURE, None),
        epsilon_prv=fields.number("epsilon_prv", 0, MAX_FIGURE, None),
        seconds_by_step=fields.numbers("seconds_by_step", 0, MAX_FIGURE, {}),
        site_metrics={
            site: metrics.all_numbers(-MAX_FIGURE, MAX_FIGURE)
            for site, metrics in fields.within("site_metrics").items()
        },
    )


def read_terms(fields: Fields) -> Terms:
    """The terms of a run.json; raises the fields' error naming what is of another kind or absurd."""
    weights = fields.numbers("weights", _LEAST, MAX_FIGURE)
    if not weights:
        fields.refuse("weights", weights, "numbers by site")
    terms = Terms(
        weights=weights,
        rounds=fields.whole("rounds", 1, MAX_ROUNDS),
        min_sites=fields.whole("min_sites", 1, MAX_ROUNDS),
        plan=fields.text("plan"),
        clipping_norm=fields.number("clipping_norm", _LEAST, MAX_FIGURE, None),
        noise_multiplier=fields.number("noise_multiplier", _LEAST, MAX_FIGURE, None),
        delta=fields.number("delta", 0, 1, 1e-5),
        epsilon_budget=fields.number("epsilon_budget", 0, MAX_FIGURE, None),
        unit=fields.text("unit", "site"),
        sampling_rate=fields.number("sampling_rate", _LEAST, 1, 1.0),
        patients=fields.whole("patients", 1, _MAX_BYTES, None),
        adaptive_clipping=fields.numbers("adaptive_clipping", 0, MAX_FIGURE, None),
        projection=_projection(fields.inner("projection")),
        trained=fields.texts("trained", EVERY_TENSOR),
        summation=fields.text("summation", "plain"),
    )
    if terms.adaptive_clipping is not None:
        _check_adaptive(terms, fields)
    return terms


def _projection(fields: Fields | None) -> dict[str, int] | None:
    if fields is None:
        return None
    return {"size": fields.whole("size", 1, 2**63), "seed": fields.whole("seed", 0, 2**64 - 1)}


def _check_adaptive(terms: Terms, fields: Fields) -> None:
    try:
        AdaptiveClipping(**terms.adaptive_clipping or {}).check(
            terms.clipping_norm or 0.0, terms.noise_multiplier or 0.0
        )
    except (TypeError, ConfigError) as error:
        fields.refuse("adaptive_clipping", terms.adaptive_clipping, f"a rule that the other terms fit ({error})")
