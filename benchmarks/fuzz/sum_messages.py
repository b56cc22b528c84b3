"""Every message of the masked and the encrypted sum and of a round: bytes, FLARE's shareables, and ciphertexts."""

import io
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
from nvflare.apis.shareable import Shareable

from benchmarks.fuzz.mutation import change_bytes, change_tree
from benchmarks.fuzz.runs import Parser
from ecg_flare.flare.job.messages import Counts, TrainRequest, TrainResult
from ecg_flare.flare.summation.encrypted.messages import (
    SumRequest,
    pack_ciphertexts,
    pack_consent,
    pack_total,
    unpack_ciphertexts,
    unpack_consent,
    unpack_total,
)
from ecg_flare.flare.summation.masked.messages import pack, pack_masked, unpack_bytes, unpack_masked
from ecg_flare.nnunet.frames import Frame, read_frame, write_frame
from ecg_flare.privacy.homomorphic import EncryptedTotal, SecretContext, keyless_context, new_context
from ecg_flare.privacy.secure_sum.context import Member, SumContext
from ecg_flare.privacy.secure_sum.memory import Step
from ecg_flare.privacy.secure_sum.messages import (
    Consent,
    KeyAdvert,
    KeyRoster,
    MaskedUpdate,
    Offer,
    PeerShares,
    SealedShares,
    ShareRelease,
    Survivors,
    UnmaskRequest,
)
from ecg_flare.privacy.secure_sum.shares import SHARE_BYTES
from ecg_flare.privacy.secure_sum.state import ClientState

_CONTEXT: Final = b"c" * 32
_PAIRS: Final = ((1, b"x" * SHARE_BYTES), (2, b"y" * SHARE_BYTES))


def _terms() -> SumContext:
    roster = tuple(Member(name, bytes([index]) * 32) for index, name in enumerate(("a", "b", "c")))
    weights = (1.0, 2.0, 1.0)
    numbers: dict[str, Any] = {"round": 0, "attempt": 0, "threshold": 3, "ring_bits": 32, "dimension": 5, "scale": 1024}
    return SumContext(
        job="j",
        roster=roster,
        clipping_norm=1.0,
        weights=weights,
        dp="sigma=1",
        layout_digest=b"l" * 32,
        model_sha256=b"m" * 32,
        **numbers,
    )


def _advert(sender: int) -> KeyAdvert:
    return KeyAdvert(_CONTEXT, sender, b"b" * 32, b"m" * 32, b"certificate", b"signature")


def _roster() -> KeyRoster:
    return KeyRoster(_CONTEXT, (_advert(1), _advert(2)))


def _state() -> ClientState:
    sealing, mask, seed = (bytearray(b"k" * 32) for _ in range(3))
    held = {2: bytearray(b"s" * 66)}
    return ClientState(
        _terms(), 1, Step.CONSENT, _advert(1), sealing, mask, seed, _roster(), peers=(1, 2), survivors=(1, 2), held=held
    )


@cache
def _messages() -> dict[str, tuple[bytes, Any]]:
    messages = (
        Offer(_terms()),
        _advert(1),
        _roster(),
        SealedShares(_CONTEXT, 1, b"h" * 32, _PAIRS),
        PeerShares(_CONTEXT, 1, _PAIRS),
        MaskedUpdate(_CONTEXT, 1, np.arange(5, dtype=np.uint32)),
        Survivors(_CONTEXT, (1, 2, 3)),
        Consent(_CONTEXT, 1, b"signature"),
        UnmaskRequest(_CONTEXT, _PAIRS),
        ShareRelease(_CONTEXT, 1, _PAIRS[:1], _PAIRS[1:]),
        _state(),
    )
    return {type(each).__name__: (each.to_bytes(), type(each)) for each in messages}


def _bytes_parser(name: str) -> Parser:
    def read(data: bytes, _: Path) -> None:
        _messages()[name][1].from_bytes(data).to_bytes()

    return Parser(f"bytes {name}", lambda: [_messages()[name][0]], change_bytes, read)


@cache
def _shareables() -> dict[str, tuple[Shareable, Callable[[Shareable], object]]]:
    model = np.linspace(-1, 1, 7, dtype=np.float32)
    request = TrainRequest(model, 0, "a" * 32, "l", "p", "t", sealed_shares=b"sealed", clipping_norm=0.5, shares=(0.5,))
    reply = TrainResult(model, 0, "a" * 32, "l", metrics={"loss": 0.5}, weight=1, clipping_norm=0.5)
    encoded = TrainResult(np.arange(7, dtype=np.int32), 0, "a" * 32, "l")
    asked = SumRequest("e" * 64, 0, b"d" * 32, ("a", "b"), {"a": b"c"}, [b"one", b"two"])
    masked = MaskedUpdate(_CONTEXT, 1, np.arange(5, dtype=np.uint32))
    return {
        "TrainRequest": (request.to_shareable(), TrainRequest.from_shareable),
        "TrainResult": (reply.to_shareable(), TrainResult.from_shareable),
        "TrainResult encoded": (encoded.to_shareable(), TrainResult.from_shareable),
        "Counts": (Counts(1, 2, 3, 0, "a").to_shareable(), Counts.from_shareable),
        "SumRequest": (asked.to_shareable(), SumRequest.from_shareable),
        "ciphertexts": (pack_ciphertexts([b"one", b"two"]), unpack_ciphertexts),
        "consent": (pack_consent(b"c"), unpack_consent),
        "total": (pack_total(np.arange(5)), unpack_total),
        "bytes": (pack(_roster()), unpack_bytes),
        "masked": (pack_masked(masked), unpack_masked),
    }


def _shareable_parser(name: str) -> Parser:
    def read(shareable: Shareable, _: Path) -> None:
        message = _shareables()[name][1](shareable)
        if hasattr(message, "to_shareable"):
            message.to_shareable()

    return Parser(f"shareable {name}", lambda: [_shareables()[name][0]], _change_shareable, read)


def _change_shareable(rng: np.random.Generator, shareable: Shareable) -> Any:
    changed = change_tree(rng, shareable)
    return changed if isinstance(changed, Shareable) else shareable


@cache
def _ciphertexts() -> tuple[bytes, ...]:
    site = SecretContext(new_context())
    return tuple(site.encrypt(np.arange(5, dtype=np.int64), np.zeros((1, 4), np.int64)))


@cache
def _server_context() -> bytes:
    return keyless_context()


def _add(data: bytes, _: Path) -> None:
    EncryptedTotal(5, _server_context()).add([data])


@cache
def _frames() -> tuple[bytes, ...]:
    file = io.BytesIO()
    write_frame(file, Frame("reply", "train", {"loss": 0.5}, {"update": np.zeros(5, np.float32)}))
    return (file.getvalue(),)


MESSAGES: Final = (
    *(_bytes_parser(name) for name in _messages()),
    *(_shareable_parser(name) for name in _shareables()),
    Parser("ciphertext", _ciphertexts, change_bytes, _add),
    Parser("worker frame", _frames, change_bytes, lambda data, _: read_frame(io.BytesIO(data))),
)
