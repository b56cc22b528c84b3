"""The secure sum's messages as FLARE tasks: bytes in, bytes out; only a masked vector travels as an array."""

from typing import Final, Protocol, TypeVar

import numpy as np
from nvflare.apis.dxo import DXO, from_shareable
from nvflare.apis.shareable import Shareable

from ecg_flare.documents import short
from ecg_flare.errors import SecureSumError
from ecg_flare.flare.job.messages import check_answered
from ecg_flare.privacy.secure_sum.messages import MaskedUpdate

IDENTIFY: Final = "sum_identify"
KEYS: Final = "sum_keys"
SHARES: Final = "sum_shares"
CONSENT: Final = "sum_consent"
UNMASK: Final = "sum_unmask"
CONTROL_TASKS: Final = (IDENTIFY, KEYS, SHARES, CONSENT, UNMASK)
"""The steps beside training; the masked update is the result of the task 'train'."""

SECURE_SUM: Final = "ECG_FLARE_SECURE_SUM"
"""DXO data kind of a message of the secure sum."""
MASKED_UPDATE: Final = "ECG_FLARE_MASKED_UPDATE"
"""DXO data kind of a masked update: an array of the ring, the context and the sender's index."""


class Encoded(Protocol):
    """A message with one encoding."""

    def to_bytes(self) -> bytes: ...


class _Decodable(Protocol):
    @classmethod
    def from_bytes(cls, data: bytes) -> "_Decodable": ...


M = TypeVar("M", bound=_Decodable)


def pack_bytes(data: bytes) -> Shareable:
    """Wrap bytes for FLARE."""
    return DXO(SECURE_SUM, data={"message": data}).to_shareable()


def pack(message: Encoded) -> Shareable:
    """Wrap a message for FLARE."""
    return pack_bytes(message.to_bytes())


def unpack_bytes(shareable: Shareable) -> bytes:
    """The bytes that `pack_bytes` wrapped; raises SecureSumError for anything else, an error reply included."""
    dxo = _dxo(shareable)
    data = dxo.data.get("message") if isinstance(dxo.data, dict) else None
    if dxo.data_kind != SECURE_SUM or not isinstance(data, bytes):
        raise SecureSumError(f"got {short(dxo.data_kind)}, expected a {SECURE_SUM} message of bytes")
    return data


def unpack(shareable: Shareable, kind: type[M]) -> M:
    """The message that `pack` wrapped."""
    return kind.from_bytes(unpack_bytes(shareable))  # type: ignore[return-value]


def pack_masked(update: MaskedUpdate) -> Shareable:
    """Wrap a masked update without copying its vector."""
    data = {"vector": update.vector}
    return DXO(MASKED_UPDATE, data=data, meta={"context": update.context, "sender": update.sender}).to_shareable()


def unpack_masked(shareable: Shareable) -> MaskedUpdate:
    """The masked update that `pack_masked` wrapped; raises SecureSumError for anything else."""
    dxo = _dxo(shareable)
    vector = dxo.data.get("vector") if isinstance(dxo.data, dict) else None
    if dxo.data_kind != MASKED_UPDATE or not isinstance(vector, np.ndarray):
        raise SecureSumError(f"got {short(dxo.data_kind)}, expected a {MASKED_UPDATE} with its vector")
    meta = dxo.meta or {}
    context, sender = meta.get("context"), meta.get("sender")
    if not isinstance(context, bytes) or not isinstance(sender, int):
        raise SecureSumError("the masked update lacks its context or its sender's index")
    return MaskedUpdate(context, sender, vector)


def _dxo(shareable: Shareable) -> DXO:
    check_answered(shareable, "a message of the secure sum", SecureSumError)
    try:
        return from_shareable(shareable)
    except (ValueError, TypeError) as error:
        raise SecureSumError(f"the message holds no data exchange object: {error}") from error
