"""What one sum of secure aggregation is about: its public terms and their digest.

`ctx = SHA-256(terms)` enters every key, sealed share, mask and signature, so that two sites who were told
different terms can't complete a sum together (Bonawitz et al. 2017, "Practical Secure Aggregation", section 6.2: the
active server).
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np

from ecg_flare.errors import ConfigError
from ecg_flare.privacy.secure_sum.narrow import NARROW_BITS
from ecg_flare.privacy.secure_sum.wire import Reader, Writer

MIN_SITES = 3
MIN_THRESHOLD_FRACTION = Fraction(2, 3)
MAX_SITES = 1000
RING_BITS = (*NARROW_BITS, 32, 64)
# ChaCha20 counts 64-byte blocks in 32 bits (RFC 8439, section 2.3): one stream ends after 2^38 bytes.
MAX_STREAM_BYTES = 1 << 38
_TAG = b"ecg_flare secure sum 1: context"


def min_threshold(sites: int, fraction: Fraction = MIN_THRESHOLD_FRACTION) -> int:
    """Fewest sites whose sum may be recovered: max(3, floor(fraction * n) + 1).

    With t > 2n/3 a server needs more than a third of the sites as accomplices to have two different survivor lists
    signed by t sites each.

    >>> [min_threshold(n) for n in (3, 4, 5, 10, 50)]
    [3, 3, 4, 7, 34]
    """
    return max(MIN_SITES, math.floor(fraction * sites) + 1)


@dataclass(frozen=True)
class Member:
    """A site of the roster: its name and the SHA-256 (32 bytes) of its certificate."""

    name: str
    fingerprint: bytes


@dataclass(frozen=True)
class SumContext:
    """The public terms of one attempt at one round; the same bytes for every site.

    `roster` is sorted by name; a site's *client index* is its place in it, counted from 1. `dimension` counts every
    coordinate of the sum, extra ones included. `weights` holds a weight for each client, or is None when one more
    coordinate carries hidden weights. `dp` is the canonical text of the differential privacy in force, empty for
    none. `layout_digest` and `model_sha256` are 32-byte SHA-256 values. Raises `ConfigError` when the fields
    contradict each other.
    """

    job: str
    round: int
    attempt: int
    roster: tuple[Member, ...]
    threshold: int
    ring_bits: int
    dimension: int
    scale: float
    clipping_norm: float
    weights: tuple[float, ...] | None
    dp: str
    layout_digest: bytes
    model_sha256: bytes
    test_mode: bool = False

    def __post_init__(self) -> None:
        _check_roster(self.roster)
        _check_numbers(self)
        _check_weights(self)

    @property
    def sites(self) -> int:
        """Number n of sites in the roster."""
        return len(self.roster)

    @property
    def word(self) -> np.dtype[Any]:
        """Unsigned little-endian numpy type of the ring Z_2^ring_bits."""
        return np.dtype(f"<u{self.ring_bits // 8}")

    def index_of(self, name: str) -> int:
        """Client index of the site called `name`; `ConfigError` when it is not in the roster."""
        for index, member in enumerate(self.roster, start=1):
            if member.name == name:
                return index
        raise ConfigError(f"site {name!r} is not in the roster {[m.name for m in self.roster]}: add it to the cohort")

    def member(self, index: int) -> Member:
        """The site at `index` (1..n)."""
        return self.roster[index - 1]

    @cached_property
    def digest(self) -> bytes:
        """ctx: 32 bytes that name these terms and no others."""
        return hashlib.sha256(_TAG + self.to_bytes()).digest()

    def to_bytes(self) -> bytes:
        """Canonical bytes."""
        writer = Writer().text(self.job).integer(self.round, 8).integer(self.attempt, 8).integer(self.sites, 2)
        for member in self.roster:
            writer.text(member.name).fixed(member.fingerprint)
        writer.integer(self.threshold, 2).integer(self.ring_bits, 1).integer(self.dimension, 8)
        writer.real(self.scale).real(self.clipping_norm)
        weights = self.weights or ()
        writer.integer(len(weights), 2)
        for weight in weights:
            writer.real(weight)
        writer.text(self.dp).fixed(self.layout_digest).fixed(self.model_sha256)
        return writer.flag(self.test_mode).done()

    @classmethod
    def from_bytes(cls, data: bytes) -> SumContext:
        """Read canonical bytes; `SecureSumError` when cut or overlong, `ConfigError` when contradictory."""
        reader = Reader(data)
        job, number, attempt, sites = reader.text(), reader.integer(8), reader.integer(8), reader.integer(2)
        roster = tuple(Member(reader.text(), reader.fixed(32)) for _ in range(sites))
        threshold, ring_bits, dimension = reader.integer(2), reader.integer(1), reader.integer(8)
        scale, clipping_norm = reader.real(), reader.real()
        weights = tuple(reader.real() for _ in range(reader.integer(2)))
        dp, layout_digest, model_sha256 = reader.text(), reader.fixed(32), reader.fixed(32)
        test_mode = reader.flag()
        reader.finish()
        return cls(
            job=job,
            round=number,
            attempt=attempt,
            roster=roster,
            threshold=threshold,
            ring_bits=ring_bits,
            dimension=dimension,
            scale=scale,
            clipping_norm=clipping_norm,
            weights=weights or None,
            dp=dp,
            layout_digest=layout_digest,
            model_sha256=model_sha256,
            test_mode=test_mode,
        )


def require_safe(terms: SumContext) -> None:
    """Refuse, with `ConfigError`, terms under which a sum could show one site's update.

    A server calls this before it offers; sites check their own limits besides.
    """
    require_threshold(terms.sites, terms.threshold)


def require_threshold(sites: int, threshold: int) -> None:
    """Refuse, with `ConfigError`, a secure aggregation over too few sites or with too low a threshold.

    This is the least-sites rule of every sum that hides updates.
    """
    if sites < MIN_SITES:
        raise ConfigError(
            f"a sum that hides updates was asked for over {sites} sites, expected at least {MIN_SITES}: with two, each "
            "site subtracts its own update and has the other's; add sites"
        )
    least = min_threshold(sites)
    if threshold < least:
        raise ConfigError(
            f"the threshold (min_sites) is {threshold} of {sites} sites, expected at least {least} = "
            "max(3, floor(2n/3) + 1) for a sum that hides updates: below it a lying server could recover two sums; "
            "raise it"
        )


def _check_roster(roster: tuple[Member, ...]) -> None:
    names = [member.name for member in roster]
    if names != sorted(set(names)):
        raise ConfigError(f"roster {names} is not sorted or repeats a name: sort it, one entry a site")
    if len({member.fingerprint for member in roster}) != len(roster):
        raise ConfigError(f"roster {names} holds one certificate under two names: give each site its own")
    if not 1 <= len(roster) <= MAX_SITES:
        raise ConfigError(f"roster holds {len(roster)} sites, expected 3 to {MAX_SITES}: choose another cohort")
    if any(len(member.fingerprint) != 32 for member in roster):
        raise ConfigError("a fingerprint in the roster is not 32 bytes of SHA-256: take keys.fingerprint(certificate)")


def _check_numbers(terms: SumContext) -> None:
    if min(terms.round, terms.attempt) < 0 or not 1 <= terms.threshold <= terms.sites:
        raise ConfigError(
            f"round {terms.round}, attempt {terms.attempt}, threshold {terms.threshold} of {terms.sites} sites: "
            "expected non-negative numbers and a threshold of 1 to n; correct the job"
        )
    if terms.ring_bits not in RING_BITS:
        raise ConfigError(
            f"ring Z_2^{terms.ring_bits} is unknown, expected {', '.join(map(str, RING_BITS))} bits: take 32 where it "
            "suffices"
        )
    if not 1 <= terms.dimension * terms.ring_bits // 8 <= MAX_STREAM_BYTES:
        raise ConfigError(f"dimension {terms.dimension} is outside one ChaCha20 stream: sum fewer coordinates at once")
    if not all(math.isfinite(value) and value > 0 for value in (terms.scale, terms.clipping_norm)):
        raise ConfigError(
            f"scale {terms.scale} and clipping norm {terms.clipping_norm} must be positive and finite: correct the job"
        )
    if len(terms.layout_digest) != 32 or len(terms.model_sha256) != 32:
        raise ConfigError("layout digest and model hash must be 32 bytes of SHA-256: pass bytes.fromhex(digest)")


def _check_weights(terms: SumContext) -> None:
    if terms.weights is None:
        if terms.dp:
            raise ConfigError(
                f"hidden weights together with differential privacy {terms.dp!r}: weights that depend on data change "
                "the sensitivity; publish them or drop the privacy claim"
            )
        return
    if len(terms.weights) != terms.sites or not all(math.isfinite(w) and w > 0 for w in terms.weights):
        raise ConfigError(
            f"weights {terms.weights} for {terms.sites} sites: expected a finite positive one a site, in the "
            "roster's order"
        )
