"""A site's rules in a homomorphic sum: what it encrypts, what it agrees to, and the one sum a round that it opens.

Every site holds the secret key, so the server needs a site to open anything, and a site must tell a sum from a single
update that the server calls one. Three rules, none of which asks the server's word:

*Tags.* Each ciphertext carries numbers that follow from the secret key, the round and the site's name. In a sum of
named contributors the tags are the sum of theirs. The server cannot make them, and it cannot take single tags out of
a ciphertext without multiplying, which shows in the ciphertext's level.

*Consent.* A site authenticates, under a key that follows from the secret key, one list of contributors a round, and
opens a sum only with consents of `threshold` sites to the same list. With a threshold above 2n/3 there are no two such
lists, whose sums could be subtracted.

*Once.* A round whose update left is never encrypted again, and its sum is opened once, also after a restart.

All of it rests on the secret key: a server that works together with one site, or with a site's machine, reads every
update (docs/homomorphic.md).
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Int64

from ecg_flare.errors import SecureSumError
from ecg_flare.privacy.homomorphic import TAG_BITS, TAG_SLOTS, SecretContext, Tags, block_count, check_exact
from ecg_flare.privacy.secure_sum.encoding import FixedPoint
from ecg_flare.privacy.secure_sum.memory import Progress, RoundMemory, Step

OPENERS: Final = 2
"""How many sites decrypt a round's sum and must agree."""

_TAG_WORD: Final = np.dtype("<u4")


@dataclass(frozen=True)
class Round:
    """What a sum is about: the job, the round's index, and the SHA-256 of all that is public about it."""

    job: str
    index: int
    digest: bytes

    @property
    def attempt(self) -> int:
        """The digest as the number by which a site's memory tells attempts at a round apart."""
        return int.from_bytes(self.digest, "big")


class EncryptedSumSite:
    """One site of a homomorphic sum.

    Args:
        site: this site's name.
        roster: all sites, sorted; threshold: fewest of them whose sum this site opens.
        context: the cohort's secret context.
        memory: of what this site answered before.
    """

    def __init__(
        self, site: str, roster: tuple[str, ...], threshold: int, context: SecretContext, memory: RoundMemory
    ) -> None:
        self._site = site
        self._roster = roster
        self._threshold = threshold
        self._context = context
        self._memory = memory
        self._key = hmac.digest(context.secret(), b"ecg_flare homomorphic sum 1", "sha256")

    def encrypt(self, about: Round, vector: Int64[np.ndarray, " d"], fixed: FixedPoint) -> list[bytes]:
        """The update's ciphertexts; raises SecureSumError where an update of this round left before."""
        check_exact(fixed)
        fixed.check_contribution(vector)
        last = self._memory.load(about.job)
        if last is not None and last.round >= about.index:
            raise SecureSumError(
                f"asked for an update of round {about.index}, but one of round {last.round} left this site: the same "
                "update in two cohorts shows their difference; start a new round"
            )
        self._memory.store(about.job, Progress(about.index, about.attempt, Step.MASKED))
        return self._context.encrypt(vector, self._tags(about, self._site, block_count(len(vector))))

    def consent(self, about: Round, contributors: Sequence[str]) -> bytes:
        """This site's consent to one list of contributors; raises SecureSumError for a list that it must not open."""
        self._check_contributors(contributors)
        self._advance(about, Step.MASKED, Step.CONSENT)
        return self._consent(about, contributors, self._site)

    def open(
        self,
        about: Round,
        contributors: Sequence[str],
        consents: Mapping[str, bytes],
        ciphertexts: Sequence[bytes],
        fixed: FixedPoint,
    ) -> Int64[np.ndarray, " d"]:
        """The sum of the contributors' updates, noise included, as integers.

        Raises:
            SecureSumError: too few contributors or consents, asked before or out of turn, or the ciphertexts are not
                the sum of exactly these contributors.
            EncodingError: the sum is larger than these sites and the noise can have given.
        """
        self._check_contributors(contributors)
        self._check_consents(about, contributors, consents)
        self._advance(about, Step.CONSENT, Step.UNMASK)
        total, tags = self._context.decrypt(ciphertexts, fixed.dimension)
        self._check_tags(about, contributors, tags)
        fixed.check_sum(total, noised=fixed.noise_sd > 0)
        return total

    def _check_contributors(self, contributors: Sequence[str]) -> None:
        names = list(contributors)
        if names != sorted(set(names) & set(self._roster)) or self._site not in names:
            raise SecureSumError(
                f"the contributors {names} must be sites of the roster {list(self._roster)}, each once and sorted, "
                f"{self._site} among them"
            )
        if len(names) < self._threshold:
            raise SecureSumError(
                f"asked for the sum of {len(names)} sites, {self._site} opens sums of {self._threshold} at least"
            )

    def _check_consents(self, about: Round, contributors: Sequence[str], consents: Mapping[str, bytes]) -> None:
        valid = [
            name
            for name in contributors
            if hmac.compare_digest(consents.get(name, b""), self._consent(about, contributors, name))
        ]
        if len(valid) < self._threshold or self._site not in valid:
            raise SecureSumError(
                f"the contributors {list(contributors)} have the consent of {valid}, expected that of "
                f"{self._threshold} sites, {self._site} among them"
            )

    def _check_tags(self, about: Round, contributors: Sequence[str], tags: Tags) -> None:
        expected = sum(self._tags(about, name, len(tags)) for name in contributors)
        if not np.array_equal(tags, expected):
            raise SecureSumError(
                f"the ciphertexts of round {about.index} are not the sum of {list(contributors)}: nothing is returned"
            )

    def _advance(self, about: Round, before: Step, after: Step) -> None:
        last = self._memory.load(about.job)
        if last != Progress(about.index, about.attempt, before):
            raise SecureSumError(
                f"asked for step {after.name} of round {about.index}, but the last answer was "
                f"{last and (last.round, last.step.name)}: steps are answered in turn and once"
            )
        self._memory.store(about.job, Progress(about.index, about.attempt, after))

    def _consent(self, about: Round, contributors: Sequence[str], site: str) -> bytes:
        text = json.dumps(["consent", about.job, about.index, about.digest.hex(), list(contributors), site])
        return hmac.digest(self._key, text.encode(), "sha256")

    def _tags(self, about: Round, site: str, blocks: int) -> Tags:
        """The site's tags of a round, below 2^TAG_BITS each."""
        text = json.dumps(["tags", about.job, about.index, about.digest.hex(), site])
        seed = hmac.digest(self._key, text.encode(), "sha256")
        words = np.frombuffer(hashlib.shake_256(seed).digest(_TAG_WORD.itemsize * TAG_SLOTS * blocks), dtype=_TAG_WORD)
        tags: Tags = (words.astype(np.int64) & (2**TAG_BITS - 1)).reshape(blocks, TAG_SLOTS)
        return tags
