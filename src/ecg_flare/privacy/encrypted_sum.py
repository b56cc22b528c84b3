"""A site's rules in a homomorphic sum: what it encrypts, what it agrees to, and the one sum a model that it decrypts.

Every site holds the secret key, so the server needs a site to decrypt anything, and a site must tell a sum from a
single update that the server calls one. Three rules, none of which asks the server's word:

*Tags.* Each ciphertext carries numbers that follow from the secret key, the round and the site's name. In a sum of
named contributors the tags are the sum of theirs. The server cannot make them, and it cannot take single tags out of
a ciphertext without multiplying, which shows in the ciphertext's level.

*Consent.* A site authenticates, under a key that follows from the secret key, one list of contributors a round. It
decrypts a sum only with consents of `threshold` sites to the same list. With a threshold above 2n/3 there are no two
such lists, whose sums could be subtracted.

*Once.* Steps are answered once, also after a restart, and an attempt at a round is never encrypted again. Of each model
a site consents to one list of contributors, whatever attempt, round or deployment asks (`secure_sum.recovered_sums`,
with consents in the place of releases: whoever has t of them needs one site more to decrypt the sum).

All of it rests on the secret key: a server that works together with one site, or with a site's machine, reads every
update (docs/homomorphic.md).
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from jaxtyping import Int64

from ecg_flare.errors import SecureSumError
from ecg_flare.privacy.homomorphic import TAG_BITS, TAG_SLOTS, SecretContext, Tags, block_count, check_exact
from ecg_flare.privacy.secure_sum import recovered_sums
from ecg_flare.privacy.secure_sum.context import Member
from ecg_flare.privacy.secure_sum.encoding import FixedPoint
from ecg_flare.privacy.secure_sum.memory import Progress, RoundMemory, Step, counted
from ecg_flare.privacy.secure_sum.recovered_sums import HiddenSum, ModelMemory, OncePerModel

DECRYPTERS: Final = 2
"""How many sites decrypt a round's sum and must agree."""

_TAG_WORD: Final = np.dtype("<u4")


@dataclass(frozen=True)
class EncryptedRound:
    """What a sum is about: the digest of the job's terms, the round's index, and the SHA-256 of all that is public."""

    job: str
    index: int
    digest: bytes

    @property
    def attempt(self) -> int:
        """The digest as the number by which a site's memory tells attempts at a round apart."""
        return int.from_bytes(self.digest, "big")


@dataclass(frozen=True)
class CohortMember:
    """A site and its cohort: its name, all sites sorted, and the fewest of them whose sum it decrypts."""

    site: str
    roster: tuple[str, ...]
    threshold: int


@dataclass(frozen=True)
class EncryptedSum:
    """A sum that a site is asked to decrypt.

    Attributes:
        about: the round.
        contributors: whose updates are in it, sorted.
        consents: site -> its consent to this list.
        ciphertexts: of the sum, noise included.
    """

    about: EncryptedRound
    contributors: Sequence[str]
    consents: Mapping[str, bytes]
    ciphertexts: Sequence[bytes]


class EncryptedSumSite:
    """One site of a homomorphic sum.

    Args:
        member: this site and its cohort.
        context: the cohort's secret context.
        memory: of what this site answered before.
        models: memory of the sums that it consented to, over all its jobs.
        once: of which sums a model is used for one job alone.
    """

    def __init__(
        self,
        member: CohortMember,
        context: SecretContext,
        memory: RoundMemory,
        models: ModelMemory,
        once: OncePerModel = "unnoised",
    ) -> None:
        self._site = member.site
        self._roster = member.roster
        self._threshold = member.threshold
        self._context = context
        self._memory = memory
        self._models = models
        self._once = once
        self._key = hmac.digest(context.secret(), b"ecg_flare homomorphic sum 1", "sha256")

    def encrypt(
        self, about: EncryptedRound, vector: Int64[np.ndarray, " d"], fixed: FixedPoint, *, trained_from: bytes
    ) -> list[bytes]:
        """The update's ciphertexts; `trained_from` is the SHA-256 of the model that it was trained from.

        Raises SecureSumError for a round before the last one, a second time for one attempt, or another model in a
        round whose update left, and PolicyError where another job had a sum from the model.
        """
        check_exact(fixed)
        fixed.check_contribution(vector)
        recovered_sums.check_job(self._models, trained_from, about.job, noised=fixed.noise_sd > 0, once=self._once)

        def follow(last: Progress | None) -> Progress:
            check_new_attempt(last, about, trained_from.hex())
            again = last is not None and last.round == about.index
            earlier = (*last.earlier, last.attempt) if last is not None and again else ()
            return counted(last, Progress(about.index, about.attempt, Step.MASKED, trained_from.hex(), earlier))

        self._memory.update(about.job, follow)
        recovered_sums.note_update(self._models, trained_from)
        return self._context.encrypt(vector, self._tags(about, self._site, block_count(len(vector))))

    def consent(self, about: EncryptedRound, contributors: Sequence[str], fixed: FixedPoint) -> bytes:
        """This site's consent to one list of contributors.

        Raises SecureSumError for a list whose sum it must not decrypt, and PolicyError where a sum over other sites may
        have been decrypted from the model.
        """
        self._check_contributors(contributors)
        model = bytes.fromhex(self._advance(about, Step.MASKED, Step.CONSENT).model)
        members = tuple(Member(name, b"") for name in contributors)
        asked = HiddenSum(about.job, members, fixed.clipping_norm, noised=fixed.noise_sd > 0)
        recovered_sums.record_recovery(self._models, model, asked, self._once)
        return self._consent(about, contributors, self._site)

    def decrypt(self, asked: EncryptedSum, fixed: FixedPoint) -> Int64[np.ndarray, " d"]:
        """The sum of the contributors' updates, noise included, as integers.

        Raises:
            SecureSumError: too few contributors or consents, asked before or out of turn, or the ciphertexts are not
                the sum of exactly these contributors.
            EncodingError: the sum is larger than these sites and the noise can have given.
        """
        about, contributors = asked.about, asked.contributors
        self._check_contributors(contributors)
        self._check_consents(about, contributors, asked.consents)
        self._advance(about, Step.CONSENT, Step.UNMASK)
        total, tags = self._context.decrypt(asked.ciphertexts, fixed.dimension)
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
                f"asked for the sum of {len(names)} sites, {self._site} decrypts sums of {self._threshold} at least"
            )

    def _check_consents(
        self, about: EncryptedRound, contributors: Sequence[str], consents: Mapping[str, bytes]
    ) -> None:
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

    def _check_tags(self, about: EncryptedRound, contributors: Sequence[str], tags: Tags) -> None:
        expected = sum(self._tags(about, name, len(tags)) for name in contributors)
        if not np.array_equal(tags, expected):
            raise SecureSumError(
                f"the ciphertexts of round {about.index} are not the sum of {list(contributors)}: nothing is returned"
            )

    def _advance(self, about: EncryptedRound, before: Step, after: Step) -> Progress:
        def follow(last: Progress | None) -> Progress:
            if last is None or (last.round, last.attempt, last.step) != (about.index, about.attempt, before):
                raise SecureSumError(
                    f"asked for step {after.name} of round {about.index}, but the last answer was "
                    f"{last and (last.round, last.step.name)}: steps are answered in turn and once"
                )
            return replace(last, step=after)

        return self._memory.update(about.job, follow)

    def _consent(self, about: EncryptedRound, contributors: Sequence[str], site: str) -> bytes:
        text = json.dumps(["consent", about.job, about.index, about.digest.hex(), list(contributors), site])
        return hmac.digest(self._key, text.encode(), "sha256")

    def _tags(self, about: EncryptedRound, site: str, blocks: int) -> Tags:
        """The site's tags of a round, below 2^TAG_BITS each."""
        text = json.dumps(["tags", about.job, about.index, about.digest.hex(), site])
        seed = hmac.digest(self._key, text.encode(), "sha256")
        words = np.frombuffer(hashlib.shake_256(seed).digest(_TAG_WORD.itemsize * TAG_SLOTS * blocks), dtype=_TAG_WORD)
        tags: Tags = (words.astype(np.int64) & (2**TAG_BITS - 1)).reshape(blocks, TAG_SLOTS)
        return tags


def check_new_attempt(last: Progress | None, about: EncryptedRound, model: str) -> None:
    """Refuse a round before the last one, an attempt that was encrypted before, and another model in the last round.

    A second upload of one attempt could be decrypted in the place of the first, beside the same uploads of the others:
    the two sums would differ by this site's alone. Raises SecureSumError.
    """
    if last is None or about.index > last.round:
        return
    if about.index < last.round or about.attempt in (*last.earlier, last.attempt) or model != last.model:
        raise SecureSumError(
            f"asked for an update of round {about.index}, but one of round {last.round} left this site: one attempt at "
            "a round is encrypted once, and another one from the same model alone; start a new round"
        )
