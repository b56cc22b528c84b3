"""Messages: one encoding each, nothing cut, nothing appended, nothing but plain fields."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from secure_sum_world import make_world, run_round

from ecg_flare.errors import EcgFlareError, SecureSumError
from ecg_flare.privacy.secure_sum.messages import (
    Consent,
    KeyAdvert,
    KeyRoster,
    MaskedUpdate,
    Message,
    Offer,
    PeerShares,
    SealedShares,
    ShareRelease,
    Survivors,
    UnmaskRequest,
)

KINDS = (
    Offer,
    KeyAdvert,
    KeyRoster,
    SealedShares,
    PeerShares,
    MaskedUpdate,
    Survivors,
    Consent,
    UnmaskRequest,
    ShareRelease,
)


@pytest.fixture(scope="module")
def sent() -> dict[type, Message]:
    """One message of each kind, from a real round with a dropout."""
    messages: list[Message] = []
    run_round(make_world(4), {4: 2}, on_wire=messages.append)
    return {type(message): message for message in messages}


def test_a_round_sends_every_kind(sent: dict[type, Message]) -> None:
    assert set(sent) == set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_bytes_round_trip(kind: type[Message], sent: dict[type, Message]) -> None:
    data = sent[kind].to_bytes()
    assert kind.from_bytes(data).to_bytes() == data
    if kind is not MaskedUpdate:
        assert kind.from_bytes(data) == sent[kind]


@pytest.mark.parametrize("kind", KINDS)
def test_cut_and_overlong_bytes_are_refused(kind: type[Message], sent: dict[type, Message]) -> None:
    data = sent[kind].to_bytes()
    for broken in _broken(data, words=kind is MaskedUpdate):
        with pytest.raises(SecureSumError):
            kind.from_bytes(broken)


def _broken(data: bytes, words: bool) -> Iterator[bytes]:
    yield data + b"\x00"
    yield from (data[:length] for length in range(len(data)) if not words or length < 35 or (length - 35) % 4)


@pytest.mark.parametrize("kind", KINDS)
@given(noise=st.binary(max_size=200))
def test_noise_is_refused_or_canonical(kind: type[Message], noise: bytes) -> None:
    """Any bytes either raise one of our errors or encode back to themselves."""
    try:
        message = kind.from_bytes(noise)
    except EcgFlareError:
        return
    assert message.to_bytes() == noise


@pytest.mark.parametrize("indices", [(2, 1), (1, 1), (1, 2, 2, 3)])
def test_unordered_and_repeated_indices_are_refused(indices: tuple[int, ...]) -> None:
    with pytest.raises(SecureSumError, match="not canonical"):
        Survivors.from_bytes(Survivors(bytes(32), indices).to_bytes())


def test_masked_words_are_four_bytes_each() -> None:
    vector = np.frombuffer(secrets.token_bytes(4000), dtype=np.uint32)
    data = MaskedUpdate(bytes(32), 1, vector).to_bytes()
    assert len(data) == 4000 + 35
    assert np.array_equal(MaskedUpdate.from_bytes(data).vector, vector)


def test_shares_of_a_wrong_length_are_refused() -> None:
    release = ShareRelease(bytes(32), 1, ((1, bytes(32)),), ())
    with pytest.raises(SecureSumError, match="33 bytes"):
        ShareRelease.from_bytes(release.to_bytes())


def test_a_flag_is_zero_or_one() -> None:
    data = Offer(make_world(3).terms).to_bytes()
    with pytest.raises(SecureSumError, match="expected 0 or 1"):
        Offer.from_bytes(data[:-1] + b"\x02")
