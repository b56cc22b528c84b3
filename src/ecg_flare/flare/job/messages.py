"""What the server and a site say to each other in a round, as frozen dataclasses.

FLARE carries `Shareable` objects. Whoever reads one goes through `read_dxo` and `field_of`, so that every check of a
message stands in one place. Arrays travel as numpy arrays in FLARE's own encoding, which never unpickles.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from jaxtyping import Float32, Integer, Shaped
from nvflare.apis.dxo import DXO, DataKind, from_shareable
from nvflare.apis.fl_constant import ReturnCode
from nvflare.apis.shareable import Shareable, make_reply

from ecg_flare.documents import short
from ecg_flare.errors import EcgFlareError, PolicyError, UpdateError
from ecg_flare.federated.update import check_update

TRAIN: Final = "train"
VALIDATE: Final = "validate"

_MODEL: Final = "model"
_VECTOR: Final = "update"
ENCODED_UPDATE: Final = "ECG_FLARE_ENCODED_UPDATE"
"""DXO data kind of an update in fixed point; a plain float32 update is `DataKind.WEIGHT_DIFF`."""
COUNTS: Final = "ECG_FLARE_COUNTS"
"""DXO data kind of a validation result: true positives, false positives and false negatives by class."""


MAX_METRIC: Final = 1e12
"""Largest figure that a site may report: what the server writes down must be readable for those who draw reports."""

_MAX_METRICS: Final = 32
_MAX_METRIC_NAME: Final = 100

ERROR_HEADER: Final = "ecg_flare_error"


@dataclass(frozen=True, eq=False)
class TrainRequest:
    """The server's request of one round: what to start from, and under which public terms.

    Attributes:
        model: the global model, one flat float32 vector.
        round_index: counted from 0.
        attempt: random hex of this attempt at the round; a reply must repeat it.
        layout_digest: gives the vector its meaning.
        plan_hash: hash of the nnU-Net plan that the server trains.
        terms_digest: hash of the job's public terms.
        sealed_shares: where the sum is masked, what peers sealed for this site (`secure_sum.messages.PeerShares`).
        clipping_norm: C of this round where it is adaptive, else None.
        shares: the noised shares of updates within C that earlier rounds released, from which C follows.
        counts: whether counts are asked for in the place of an update.
    """

    model: Float32[np.ndarray, " d"]
    round_index: int
    attempt: str
    layout_digest: str
    plan_hash: str
    terms_digest: str
    sealed_shares: bytes = b""
    clipping_norm: float | None = None
    shares: tuple[float, ...] = ()
    counts: bool = False

    def to_shareable(self) -> Shareable:
        meta = {
            "round": self.round_index,
            "attempt": self.attempt,
            "layout_digest": self.layout_digest,
            "plan_hash": self.plan_hash,
            "terms_digest": self.terms_digest,
            "clipping_norm": self.clipping_norm,
            "shares": list(self.shares),
            "sealed_shares": self.sealed_shares,
            "counts": self.counts,
        }
        return DXO(DataKind.WEIGHTS, data={_MODEL: self.model}, meta=meta).to_shareable()

    @property
    def model_sha256(self) -> bytes:
        """What a sum is known by that starts from this model, 32 bytes: the SHA-256 of its little-endian float32 bytes.

        Counts and updates from one model cannot be subtracted from each other, so that of counts is another. Counts
        that start from nothing but zeros have one and the same, whatever its length: so a site which helped to sum its
        counts knows the next agreement, of other bins, for one that could be subtracted from it.
        """
        if not self.counts:
            return model_sha256(self.model)
        return hashlib.sha256(b"counts" + (model_sha256(self.model) if self.model.any() else b"")).digest()

    @classmethod
    def from_shareable(cls, shareable: Shareable) -> "TrainRequest":
        """Read a request; raises UpdateError where a field is missing or the model is not finite."""
        dxo = read_dxo(shareable)
        if dxo.data_kind != DataKind.WEIGHTS or not isinstance(dxo.data, dict) or set(dxo.data) != {_MODEL}:
            raise UpdateError(f"A request must be {DataKind.WEIGHTS} with '{_MODEL}' alone. Found {_summary(dxo)}.")
        if not isinstance(dxo.data[_MODEL], np.ndarray) or dxo.data[_MODEL].ndim != 1:
            raise UpdateError(f"A request's model must be a flat vector. Found {type(dxo.data[_MODEL]).__name__}.")
        request = cls(
            model=dxo.data[_MODEL],
            round_index=_meta(dxo, "round", int),
            attempt=_meta(dxo, "attempt", str),
            layout_digest=_meta(dxo, "layout_digest", str),
            plan_hash=_meta(dxo, "plan_hash", str),
            terms_digest=_meta(dxo, "terms_digest", str),
            clipping_norm=_clipping_norm(dxo),
            shares=_shares(dxo),
            sealed_shares=_meta(dxo, "sealed_shares", bytes),
            counts=_meta(dxo, "counts", bool),
        )
        check_update(request.model, size=len(request.model))
        return request


@dataclass(frozen=True, eq=False)
class TrainResult:
    """A site's answer: its update, in the clear as float32 or in fixed point as integers.

    Attributes:
        vector: local minus global model, shape (d,).
        round_index, attempt, layout_digest: repeated from the request.
        metrics: what the site reports about its training; empty under differential privacy.
        weight: where weights are hidden, this site's, for the filter that masks; no message carries it in the clear.
        clipping_norm, counts: repeated from the request.
    """

    vector: Shaped[np.ndarray, " d"]
    round_index: int
    attempt: str
    layout_digest: str
    metrics: Mapping[str, float] = field(default_factory=dict)
    weight: int = 0
    clipping_norm: float | None = None
    counts: bool = False

    @property
    def encoded(self) -> bool:
        """Whether the vector is in fixed point."""
        return bool(np.issubdtype(self.vector.dtype, np.integer))

    def to_shareable(self) -> Shareable:
        meta = {
            "round": self.round_index,
            "attempt": self.attempt,
            "layout_digest": self.layout_digest,
            "metrics": dict(self.metrics),
            "weight": self.weight,
            "clipping_norm": self.clipping_norm,
            "counts": self.counts,
        }
        kind = ENCODED_UPDATE if self.encoded else DataKind.WEIGHT_DIFF
        return DXO(kind, data={_VECTOR: self.vector}, meta=meta).to_shareable()

    @classmethod
    def from_shareable(cls, shareable: Shareable) -> "TrainResult":
        """Read a result; raises UpdateError where a field is missing, of the wrong type, or the code is not OK."""
        check_answered(shareable, "an update", UpdateError)
        dxo = read_dxo(shareable)
        kinds = {DataKind.WEIGHT_DIFF: (np.float32,), ENCODED_UPDATE: (np.int32, np.int64)}
        vector = dxo.data.get(_VECTOR) if isinstance(dxo.data, dict) else None
        if (
            not isinstance(dxo.data_kind, str)
            or dxo.data_kind not in kinds
            or set(dxo.data) != {_VECTOR}
            or not isinstance(vector, np.ndarray)
        ):
            raise UpdateError(
                f"An update must be one of {sorted(kinds)} with '{_VECTOR}' alone. Found {_summary(dxo)}."
            )
        if vector.dtype not in kinds[dxo.data_kind] or vector.ndim != 1:
            expected = " or ".join(kind.__name__ for kind in kinds[dxo.data_kind])
            raise UpdateError(
                f"An update of kind {dxo.data_kind} must be a flat vector of {expected}. "
                f"Found {vector.dtype} of shape {vector.shape}."
            )
        return cls(
            vector=vector,
            round_index=_meta(dxo, "round", int),
            attempt=_meta(dxo, "attempt", str),
            layout_digest=_meta(dxo, "layout_digest", str),
            metrics=_metrics(dxo),
            weight=_meta(dxo, "weight", int),
            clipping_norm=_clipping_norm(dxo),
            counts=_meta(dxo, "counts", bool),
        )


@dataclass(frozen=True)
class Counts:
    """A site's validation counts of the trace class, which can be summed over sites.

    Attributes:
        tp, fp, fn: pixels of the trace class found rightly, found wrongly, and missed.
    """

    tp: int
    fp: int
    fn: int
    round_index: int
    attempt: str

    def to_shareable(self) -> Shareable:
        data = {"tp": self.tp, "fp": self.fp, "fn": self.fn}
        return DXO(COUNTS, data=data, meta={"round": self.round_index, "attempt": self.attempt}).to_shareable()

    @classmethod
    def from_shareable(cls, shareable: Shareable) -> "Counts":
        """Read the counts; raises UpdateError where one is missing or negative."""
        dxo = read_dxo(shareable)
        if dxo.data_kind != COUNTS or not isinstance(dxo.data, dict) or set(dxo.data) != {"tp", "fp", "fn"}:
            raise UpdateError(f"A validation result must be {COUNTS} with tp, fp and fn. Found {_summary(dxo)}.")
        if any(not isinstance(v, int) or v < 0 for v in dxo.data.values()):
            raise UpdateError(f"Validation counts must be integers of at least 0. Found {short(dxo.data)}.")
        return cls(**dxo.data, round_index=_meta(dxo, "round", int), attempt=_meta(dxo, "attempt", str))


def model_sha256(model: Float32[np.ndarray, " d"]) -> bytes:
    """SHA-256 (32 bytes) of a model's little-endian float32 bytes: how ledger and secure aggregation name it."""
    return hashlib.sha256(np.ascontiguousarray(model, "<f4").data).digest()


def to_wire(integers: Integer[np.ndarray, " d"]) -> Integer[np.ndarray, " d"]:
    """The integers as int32 where all of them fit, which is float32's size; as they are otherwise."""
    fits = integers.size == 0 or max(abs(int(integers.min())), abs(int(integers.max()))) < 2**31
    return integers.astype(np.int32, copy=False) if fits else integers


def error_reply(error: EcgFlareError) -> Shareable:
    """The reply of a site that could not do the task: its code and the error's class.

    Its text stays at home, since it may name cases, but for a site's own limit, whose text is public.
    """
    reply = make_reply(ReturnCode.EXECUTION_EXCEPTION)
    told = f"its own limit {error}" if isinstance(error, PolicyError) else type(error).__name__
    reply.set_header(ERROR_HEADER, told)
    return reply


def check_answered(shareable: Shareable, expected: str, error: type[EcgFlareError]) -> None:
    """Raise `error`, with the reason that the site gave, where a message says that its task failed."""
    try:
        code = shareable.get_return_code(ReturnCode.OK)
        reason = shareable.get_header(ERROR_HEADER, "no reason given")
    except ValueError as problem:  # headers that are none
        raise error(f"The message cannot be read: {problem}.") from problem
    if code != ReturnCode.OK:
        raise error(f"the site answered {str(code)[:60]} ({str(reason)[:500]}), not {expected}")


def read_dxo(shareable: Shareable, error: type[EcgFlareError] = UpdateError) -> DXO:
    """The data exchange object of a message; raises `error` where it holds none."""
    try:
        return from_shareable(shareable)
    except (ValueError, TypeError) as problem:
        raise error(f"The message holds no data exchange object: {problem}.") from problem


def field_of(values: object, key: str, kind: type, error: type[EcgFlareError] = UpdateError) -> Any:
    """A field of a message's data, or of what goes with it; raises `error` where it is missing or of another type."""
    value = values.get(key) if isinstance(values, Mapping) else None
    if not isinstance(value, kind):
        raise error(f"The message's '{key}' must be {kind.__name__}. Found {short(value)}.")
    return value


def _meta(dxo: DXO, key: str, kind: type) -> Any:
    return field_of(dxo.meta, key, kind)


def _clipping_norm(dxo: DXO) -> float | None:
    return None if (dxo.meta or {}).get("clipping_norm") is None else _meta(dxo, "clipping_norm", float)


def _shares(dxo: DXO) -> tuple[float, ...]:
    shares = _meta(dxo, "shares", list)
    if any(not isinstance(share, float) for share in shares):
        raise UpdateError(f"The message's shares must be numbers. Found {short(shares)}.")
    return tuple(shares)


def _metrics(dxo: DXO) -> dict[str, float]:
    metrics = _meta(dxo, "metrics", dict)
    told = len(metrics) <= _MAX_METRICS and all(
        isinstance(name, str)
        and len(name) <= _MAX_METRIC_NAME
        and isinstance(value, int | float)
        and abs(value) <= MAX_METRIC  # NaN is not
        for name, value in metrics.items()
    )
    if not told:
        raise UpdateError(f"The message's metrics must be finite numbers by name. Found {short(metrics)}.")
    return {name: float(value) for name, value in metrics.items()}


def _summary(dxo: DXO) -> str:
    keys = sorted(map(str, dxo.data)) if isinstance(dxo.data, dict) else type(dxo.data).__name__
    return f"{short(dxo.data_kind)} with {short(keys)}"
