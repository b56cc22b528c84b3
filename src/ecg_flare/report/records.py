"""What a run wrote down, record by record: its terms, and the figures of its rounds."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from ecg_flare.documents import Fields
from ecg_flare.errors import ConfigError
from ecg_flare.federated.parts import Clipping, Evaluation, HiddenWeights, Privacy, Roster, Sampling, TrainedModel
from ecg_flare.federated.projection import RandomProjection
from ecg_flare.federated.terms import JobTerms
from ecg_flare.privacy.secure_sum.narrow import NARROW_BITS

MAX_FIGURE: Final = 1e12
"""No norm, loss, weight, time or epsilon of a run comes near it; far above it sums of figures overflow."""

MAX_ROUNDS: Final = 1_000_000
_MAX_BYTES: Final = 10**18
_MIN_DIVISOR: Final = 1e-12
"""Of what figures are divided by."""


@dataclass(frozen=True)
class RoundRecord:
    """The figures of one round; round 0 is the start. Fields as in `flare.server.telemetry.RoundFigures`."""

    index: int
    dice: float
    pages: str = ""
    sites_dice: float | None = None
    dice_by_label: Mapping[str, float] = field(default_factory=dict)
    measures: Mapping[str, float] = field(default_factory=dict)
    failure: str = ""
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
        return self.index > 0 and not self.failure

    @property
    def clipped_fraction(self) -> float | None:
        """Share of the answering sites whose update was clipped; None where no site told."""
        told = [metrics["clipped"] for metrics in self.site_metrics.values() if "clipped" in metrics]
        return sum(told) / len(told) if told else None


def read_round(fields: Fields) -> RoundRecord:
    """The figures of a line of metrics.jsonl; raises the fields' error naming what is of another kind or absurd."""
    return RoundRecord(
        index=fields.whole("round", 0, MAX_ROUNDS),
        dice=fields.number("dice", -1, 1),
        pages=fields.text("pages", ""),
        sites_dice=fields.number("sites_dice", -1, 1, None),
        dice_by_label=fields.numbers("dice_by_label", 0, 1, {}),
        measures=fields.numbers("measures", -MAX_FIGURE, MAX_FIGURE, {}),
        failure=fields.text("failure", ""),
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


def read_terms(fields: Fields) -> JobTerms:
    """The terms of a run.json; raises the fields' error naming what is of another kind or absurd."""
    sites, model, clipping, privacy, sampling = (
        fields.inner(part) for part in ("sites", "model", "clipping", "privacy", "sampling")
    )
    if sites is None or model is None:
        fields.refuse("sites and model", None, "objects")
    try:
        return JobTerms(
            sites=_roster(sites),
            rounds=fields.whole("rounds", 1, MAX_ROUNDS),
            model=_model(model),
            clipping=None if clipping is None else _clipping(clipping),
            projection=_projection(fields.inner("projection")),
            privacy=None if privacy is None else _privacy(privacy),
            sampling=None if sampling is None else _sampling(sampling),
            summation=fields.text("summation", "plain"),
            evaluation=_evaluation(fields.inner("evaluation")),
            ring_bits=fields.whole("ring_bits", min(NARROW_BITS), max(NARROW_BITS), None),
            nonce=fields.text("nonce", ""),
        )
    except ConfigError as error:
        fields.contradict(error)


def _model(fields: Fields) -> TrainedModel:
    counted = fields.flag("counted", default=False)
    return TrainedModel(
        fields.text("plan"), fields.texts("trained"), fields.text("document", ""), counted, fields.texts("local", ())
    )


def _evaluation(fields: Fields | None) -> Evaluation | None:
    if fields is None:
        return None
    return Evaluation(
        fields.whole("every", 1, MAX_ROUNDS),
        fields.number("norm", 0, MAX_FIGURE),
        fields.number("noise_multiplier", 0, MAX_FIGURE, None),
    )


def _roster(fields: Fields) -> Roster:
    weights = fields.numbers("weights", _MIN_DIVISOR, MAX_FIGURE)
    if not weights:
        fields.refuse("weights", weights, "numbers by site")
    hidden = fields.inner("hidden")
    return Roster(
        weights,
        fields.whole("min_sites", 1, MAX_ROUNDS),
        None
        if hidden is None
        else HiddenWeights(hidden.whole("max_weight", 1, 2**32), hidden.whole("pages_per_weight", 1, 2**32)),
    )


def _clipping(fields: Fields) -> Clipping:
    adaptive = fields.numbers("adaptive", 0, MAX_FIGURE, None)
    return Clipping(fields.number("norm", _MIN_DIVISOR, MAX_FIGURE), adaptive)


def _privacy(fields: Fields) -> Privacy:
    return Privacy(
        fields.number("noise_multiplier", _MIN_DIVISOR, MAX_FIGURE),
        fields.number("epsilon_budget", 0, MAX_FIGURE, None),
        fields.number("delta", 0, 1),
    )


def _sampling(fields: Fields) -> Sampling:
    return Sampling(
        fields.number("rate", _MIN_DIVISOR, 1),
        fields.whole("patients", 1, _MAX_BYTES),
        fields.whole("patients_per_site", 1, _MAX_BYTES),
        fields.flag("shared_patients"),
    )


def _projection(fields: Fields | None) -> RandomProjection | None:
    if fields is None:
        return None
    return RandomProjection(fields.whole("size", 1, 2**63), fields.whole("seed", 0, 2**64 - 1))
