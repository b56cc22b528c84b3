"""The messages of secure aggregation: frozen, plain, with one encoding each.

Steps as in Bonawitz et al. 2017, figure 4, with the client's answer after the server's message:

    0 keys     Offer         -> KeyAdvert
    1 shares   KeyRoster     -> SealedShares
    2 masked   PeerShares    -> MaskedUpdate
    3 consent  Survivors     -> Consent
    4 unmask   UnmaskRequest -> ShareRelease

`context` is the digest of the round's terms: a message of another round, attempt or cohort is known by it. Sites are
named by their index in the roster.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ecg_flare.errors import SecureSumError
from ecg_flare.privacy.secure_sum.context import RING_BITS, SumContext
from ecg_flare.privacy.secure_sum.encoding import Ring
from ecg_flare.privacy.secure_sum.shares import SHARE_BYTES
from ecg_flare.privacy.secure_sum.wire import Reader, Writer

_TAG = b"ecg_flare secure sum 1: "


@dataclass(frozen=True)
class Offer:
    """Server to site: the terms of a round."""

    terms: SumContext

    def to_bytes(self) -> bytes:
        """Canonical bytes."""
        return self.terms.to_bytes()

    @classmethod
    def from_bytes(cls, data: bytes) -> Offer:
        """Inverse of `to_bytes`."""
        return cls(SumContext.from_bytes(data))


@dataclass(frozen=True)
class KeyAdvert:
    """Site to server: two X25519 public keys of this round (32 bytes each), signed over the context."""

    context: bytes
    sender: int
    sealing_public: bytes
    mask_public: bytes
    certificate: bytes
    signature: bytes

    def signed_part(self) -> bytes:
        """What `signature` is over."""
        return (
            Writer()
            .fixed(_TAG + b"keys")
            .fixed(self.context)
            .integer(self.sender, 2)
            .fixed(self.sealing_public)
            .fixed(self.mask_public)
            .done()
        )

    def to_bytes(self) -> bytes:
        """Canonical bytes."""
        writer = Writer().fixed(self.context).integer(self.sender, 2).fixed(self.sealing_public).fixed(self.mask_public)
        return writer.blob(self.certificate).blob(self.signature).done()

    @classmethod
    def from_bytes(cls, data: bytes) -> KeyAdvert:
        """Inverse of `to_bytes`; `SecureSumError` when cut or overlong."""
        reader = Reader(data)
        advert = cls(
            reader.fixed(32), reader.integer(2), reader.fixed(32), reader.fixed(32), reader.blob(), reader.blob()
        )
        reader.finish()
        return advert


@dataclass(frozen=True)
class KeyRoster:
    """Server to site: the adverts of all who answered (the set U1), by index."""

    context: bytes
    adverts: tuple[KeyAdvert, ...]

    def to_bytes(self) -> bytes:
        """Canonical bytes."""
        writer = Writer().fixed(self.context).integer(len(self.adverts), 2)
        for advert in self.adverts:
            writer.blob(advert.to_bytes())
        return writer.done()

    @classmethod
    def from_bytes(cls, data: bytes) -> KeyRoster:
        """Inverse of `to_bytes`; `SecureSumError` when cut or overlong."""
        reader = Reader(data)
        context, count = reader.fixed(32), reader.integer(2)
        roster = cls(context, tuple(KeyAdvert.from_bytes(reader.blob()) for _ in range(count)))
        reader.finish()
        return roster


@dataclass(frozen=True)
class SealedShares:
    """Site to server: H(b_u) and the sealed shares for each peer, as (recipient, sealed)."""

    context: bytes
    sender: int
    seed_commitment: bytes
    sealed_shares: tuple[tuple[int, bytes], ...]

    def to_bytes(self) -> bytes:
        """Canonical bytes."""
        writer = Writer().fixed(self.context).integer(self.sender, 2).fixed(self.seed_commitment)
        return _write_pairs(writer, self.sealed_shares).done()

    @classmethod
    def from_bytes(cls, data: bytes) -> SealedShares:
        """Inverse of `to_bytes`; `SecureSumError` when cut or overlong."""
        reader = Reader(data)
        sealed_shares = cls(reader.fixed(32), reader.integer(2), reader.fixed(32), _read_pairs(reader))
        reader.finish()
        return sealed_shares


@dataclass(frozen=True)
class PeerShares:
    """Server to site: the shares that peers sealed for it, as (sender, sealed); they and itself are the set U2."""

    context: bytes
    recipient: int
    sealed_shares: tuple[tuple[int, bytes], ...]

    def to_bytes(self) -> bytes:
        """Canonical bytes."""
        return _write_pairs(Writer().fixed(self.context).integer(self.recipient, 2), self.sealed_shares).done()

    @classmethod
    def from_bytes(cls, data: bytes) -> PeerShares:
        """Inverse of `to_bytes`; `SecureSumError` when cut or overlong."""
        reader = Reader(data)
        sealed_shares = cls(reader.fixed(32), reader.integer(2), _read_pairs(reader))
        reader.finish()
        return sealed_shares


@dataclass(frozen=True, eq=False)
class MaskedUpdate:
    """Site to server: the masked vector, little-endian words of the ring."""

    context: bytes
    sender: int
    vector: Ring

    def to_bytes(self) -> bytes:
        """Canonical bytes: 35 bytes of header, then the words."""
        header = Writer().fixed(self.context).integer(self.sender, 2).integer(self.vector.dtype.itemsize, 1).done()
        return b"".join((header, np.ascontiguousarray(self.vector, dtype=self.vector.dtype.newbyteorder("<")).data))

    @classmethod
    def from_bytes(cls, data: bytes) -> MaskedUpdate:
        """Inverse of `to_bytes` without a copy of the words; `SecureSumError` when cut or of an unknown width."""
        reader = Reader(data)
        context, sender, width = reader.fixed(32), reader.integer(2), reader.integer(1)
        words = reader.view(len(data) - 35)
        if 8 * width not in RING_BITS or len(words) % width:
            raise SecureSumError(
                f"{len(words)} bytes of {width}-byte words, expected whole ones of 1, 2, 4 or 8 bytes: drop the sender"
            )
        return cls(context, sender, np.frombuffer(words, dtype=f"<u{width}"))


@dataclass(frozen=True)
class Survivors:
    """Server to site: whose masked updates arrived (the set U3), by index."""

    context: bytes
    indices: tuple[int, ...]

    def to_bytes(self) -> bytes:
        """Canonical bytes."""
        return _write_indices(Writer().fixed(self.context), self.indices).done()

    @classmethod
    def from_bytes(cls, data: bytes) -> Survivors:
        """Inverse of `to_bytes`; `SecureSumError` when cut or overlong."""
        reader = Reader(data)
        survivors = cls(reader.fixed(32), _read_indices(reader))
        reader.finish()
        return survivors


@dataclass(frozen=True)
class Consent:
    """Site to server: its signature over the round as it saw it (`consent_part`)."""

    context: bytes
    sender: int
    signature: bytes

    def to_bytes(self) -> bytes:
        """Canonical bytes."""
        return Writer().fixed(self.context).integer(self.sender, 2).blob(self.signature).done()

    @classmethod
    def from_bytes(cls, data: bytes) -> Consent:
        """Inverse of `to_bytes`; `SecureSumError` when cut or overlong."""
        reader = Reader(data)
        consent = cls(reader.fixed(32), reader.integer(2), reader.blob())
        reader.finish()
        return consent


def consent_part(roster: KeyRoster, peers: Sequence[int], survivors: Sequence[int]) -> bytes:
    """What a consent signs: the context, all adverts (U1), U2 and U3.

    Bonawitz et al. sign U3 alone; with U1 and U2 in it, sites who were shown different keys or peers do not recover a
    sum together either.
    """
    writer = Writer().fixed(_TAG + b"consent").blob(roster.to_bytes())
    return _write_indices(_write_indices(writer, peers), survivors).done()


@dataclass(frozen=True)
class UnmaskRequest:
    """Server to site: the consents of at least t survivors, as (index, signature).

    It names no survivors: a site judges the signatures, and picks the shares, by the list that it signed itself.
    """

    context: bytes
    consents: tuple[tuple[int, bytes], ...]

    def to_bytes(self) -> bytes:
        """Canonical bytes."""
        return _write_pairs(Writer().fixed(self.context), self.consents).done()

    @classmethod
    def from_bytes(cls, data: bytes) -> UnmaskRequest:
        """Inverse of `to_bytes`; `SecureSumError` when cut or overlong."""
        reader = Reader(data)
        request = cls(reader.fixed(32), _read_pairs(reader))
        reader.finish()
        return request


@dataclass(frozen=True)
class ShareRelease:
    """Site to server: for each peer one share, of its seed b (survivors) or of its mask key s (dropped)."""

    context: bytes
    sender: int
    seed_shares: tuple[tuple[int, bytes], ...]
    key_shares: tuple[tuple[int, bytes], ...]

    def to_bytes(self) -> bytes:
        """Canonical bytes."""
        writer = Writer().fixed(self.context).integer(self.sender, 2)
        return _write_pairs(_write_pairs(writer, self.seed_shares), self.key_shares).done()

    @classmethod
    def from_bytes(cls, data: bytes) -> ShareRelease:
        """Inverse of `to_bytes`; `SecureSumError` when cut, overlong or with shares of a wrong length."""
        reader = Reader(data)
        release = cls(reader.fixed(32), reader.integer(2), _read_pairs(reader), _read_pairs(reader))
        reader.finish()
        if any(len(share) != SHARE_BYTES for _, share in release.seed_shares + release.key_shares):
            raise SecureSumError(f"a released share is not {SHARE_BYTES} bytes long: drop the sender")
        return release


Message = (
    Offer
    | KeyAdvert
    | KeyRoster
    | SealedShares
    | PeerShares
    | MaskedUpdate
    | Survivors
    | Consent
    | UnmaskRequest
    | ShareRelease
)


def _write_pairs(writer: Writer, pairs: Sequence[tuple[int, bytes]]) -> Writer:
    writer.integer(len(pairs), 2)
    for index, data in pairs:
        writer.integer(index, 2).blob(data)
    return writer


def _read_pairs(reader: Reader) -> tuple[tuple[int, bytes], ...]:
    pairs = tuple((reader.integer(2), reader.blob()) for _ in range(reader.integer(2)))
    _check_ascending([index for index, _ in pairs])
    return pairs


def _write_indices(writer: Writer, indices: Sequence[int]) -> Writer:
    writer.integer(len(indices), 2)
    for index in indices:
        writer.integer(index, 2)
    return writer


def _read_indices(reader: Reader) -> tuple[int, ...]:
    indices = tuple(reader.integer(2) for _ in range(reader.integer(2)))
    _check_ascending(indices)
    return indices


def _check_ascending(indices: Sequence[int]) -> None:
    if list(indices) != sorted(set(indices)):
        raise SecureSumError(
            f"indices {list(indices)} repeat or are out of order: the message is not canonical, drop it"
        )
