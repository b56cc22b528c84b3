"""The messages of secure aggregation as FLARE tasks: bytes in, bytes out; only a masked vector travels as an array."""

from typing import Final, Protocol, TypeVar

import numpy as np
from nvflare.apis.dxo import DXO
from nvflare.apis.shareable import Shareable

from ecg_flare.documents import short
from ecg_flare.errors import SecureSumError
from ecg_flare.flare.job.messages import check_answered, field_of, read_dxo
from ecg_flare.flare.summation.masked import SUMMATION
from ecg_flare.privacy.secure_sum.messages import MaskedUpdate

IDENTIFY, KEYS, SHARES, CONSENT, UNMASK = SUMMATION.site.tasks

SECURE_SUM: Final = "ECG_FLARE_SECURE_SUM"
"""DXO data kind of a message of secure aggregation."""
MASKED_UPDATE: Final = "ECG_FLARE_MASKED_UPDATE"
"""DXO data kind of a masked update, the answer to 'train': an array of the ring, the context and the sender's index."""

TEST_MODE: Final = (
    "secure aggregation in TEST MODE: there is no startup kit, so throw-away keys sign and prove no identity"
)
"""What a party without a startup kit says in its log."""


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
    message: bytes = field_of(_read(shareable, SECURE_SUM).data, "message", bytes, SecureSumError)
    return message


def unpack(shareable: Shareable, kind: type[M]) -> M:
    """The message that `pack` wrapped."""
    return kind.from_bytes(unpack_bytes(shareable))  # type: ignore[return-value]


def pack_masked(update: MaskedUpdate) -> Shareable:
    """Wrap a masked update without copying its vector."""
    data = {"vector": update.vector}
    return DXO(MASKED_UPDATE, data=data, meta={"context": update.context, "sender": update.sender}).to_shareable()


def unpack_masked(shareable: Shareable) -> MaskedUpdate:
    """The masked update that `pack_masked` wrapped; raises SecureSumError for anything else."""
    dxo = _read(shareable, MASKED_UPDATE)
    return MaskedUpdate(
        context=field_of(dxo.meta, "context", bytes, SecureSumError),
        sender=field_of(dxo.meta, "sender", int, SecureSumError),
        vector=field_of(dxo.data, "vector", np.ndarray, SecureSumError),
    )


def _read(shareable: Shareable, kind: str) -> DXO:
    check_answered(shareable, "a message of secure aggregation", SecureSumError)
    dxo = read_dxo(shareable, SecureSumError)
    if dxo.data_kind != kind:
        raise SecureSumError(f"got {short(dxo.data_kind)}, expected {kind}")
    return dxo
