"""The server's side of secure aggregation: collects each step, keeps one running sum, recovers it above the threshold.

Bonawitz et al. 2017, figure 4. A bad message is refused with `SecureSumError` and leaves the round as it was, so that
its sender counts as dropped; a step that ends below the threshold aborts the round, and nothing is recovered.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np

from ecg_flare.errors import ConfigError, SecureSumError
from ecg_flare.privacy.secure_sum import checks, keys, masking, shares
from ecg_flare.privacy.secure_sum.context import SumContext, require_safe
from ecg_flare.privacy.secure_sum.encoding import Ring
from ecg_flare.privacy.secure_sum.masking import Mask
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
    consent_part,
)
from ecg_flare.privacy.secure_sum.signing import Verifier


class SecureSumServer:
    """One attempt at one round.

    Each step is `receive_…` for every answer, then `close_…`, which gives the messages of the next step. `peer` is
    always the site's name as the transport authenticated it. Memory: one vector and a few kilobytes a site, whatever
    their number. Raises `ConfigError` for unsafe terms.
    """

    def __init__(self, terms: SumContext, verifier: Verifier) -> None:
        require_safe(terms)
        if terms.test_mode != verifier.test_mode:
            raise ConfigError("terms and verifier disagree about the test mode: use the verifier of the sites' keys")
        self.terms = terms
        self._verifier = verifier
        self._step: Step | None = Step.KEYS
        self._awaited: frozenset[int] = frozenset(range(1, terms.sites + 1))
        self._adverts: dict[int, KeyAdvert] = {}
        self._sealed_shares: dict[int, SealedShares] = {}
        self._survivors: set[int] = set()
        self._consents: dict[int, bytes] = {}
        self._releases: dict[int, dict[int, bytes]] = {}
        self._total: Ring | None = None

    @property
    def step(self) -> Step | None:
        """The step under way, or None once the round was recovered or aborted."""
        return self._step

    @property
    def awaited(self) -> tuple[str, ...]:
        """Names of the sites that have not yet answered the step under way."""
        return tuple(self.terms.member(index).name for index in sorted(self._awaited))

    def offer(self) -> Offer:
        """Step 0: what to send to every site of the roster."""
        return Offer(self.terms)

    def receive_keys(self, peer: str, advert: KeyAdvert) -> None:
        """Take a site's keys."""
        self._check_answer(Step.KEYS, peer, advert.sender, advert.context)
        checks.check_advert(advert, self.terms, self._verifier)
        checks.check_unique_keys([*self._adverts.values(), advert])
        self._adverts[advert.sender] = advert
        self._awaited -= {advert.sender}

    def close_keys(self) -> KeyRoster:
        """Fix U1 and give the roster of keys to send to each of its sites."""
        self._close(Step.KEYS, self._adverts, "keys")
        return self._roster()

    def receive_shares(self, peer: str, sealed_shares: SealedShares) -> None:
        """Take a site's sealed shares."""
        self._check_answer(Step.SHARES, peer, sealed_shares.sender, sealed_shares.context)
        checks.check_sealed_shares(sealed_shares.sealed_shares, sealed_shares.sender, self._roster())
        self._sealed_shares[sealed_shares.sender] = sealed_shares
        self._awaited -= {sealed_shares.sender}

    def close_shares(self) -> dict[str, PeerShares]:
        """Fix U2 and give the sealed shares to send to each of its sites, by name."""
        self._close(Step.SHARES, self._sealed_shares, "shares")
        self._total = np.zeros(self.terms.dimension, dtype=self.terms.word)
        return {self.terms.member(index).name: self._sealed_shares_for(index) for index in sorted(self._sealed_shares)}

    def receive_masked(self, peer: str, update: MaskedUpdate) -> None:
        """Add a site's masked vector to the running sum; the vector is not kept."""
        self._check_answer(Step.MASKED, peer, update.sender, update.context)
        checks.check_vector(update.vector, self.terms)
        total = self._running_total()
        np.add(total, update.vector, out=total)
        self._survivors.add(update.sender)
        self._awaited -= {update.sender}

    def close_masked(self) -> Survivors:
        """Fix U3 and give the list to send to each of its sites."""
        self._close(Step.MASKED, self._survivors, "masked updates")
        return Survivors(self.terms.digest, tuple(sorted(self._survivors)))

    def receive_consent(self, peer: str, consent: Consent) -> None:
        """Take a site's signature over the survivors."""
        self._check_answer(Step.CONSENT, peer, consent.sender, consent.context)
        agreed = consent_part(self._roster(), sorted(self._sealed_shares), sorted(self._survivors))
        self._verifier.verify(peer, self._adverts[consent.sender].certificate, agreed, consent.signature)
        self._consents[consent.sender] = consent.signature
        self._awaited -= {consent.sender}

    def close_consent(self) -> UnmaskRequest:
        """Give the request, with everybody's signatures, to send to each site that consented."""
        self._close(Step.CONSENT, self._consents, "consents")
        return UnmaskRequest(self.terms.digest, tuple(sorted(self._consents.items())))

    def receive_release(self, peer: str, release: ShareRelease) -> None:
        """Take a site's shares."""
        self._check_answer(Step.UNMASK, peer, release.sender, release.context)
        seed_of = [index for index, _ in release.seed_shares]
        key_of = [index for index, _ in release.key_shares]
        checks.check_released(seed_of, key_of, sorted(self._sealed_shares), sorted(self._survivors), release.sender)
        self._releases[release.sender] = dict(release.seed_shares + release.key_shares)
        self._awaited -= {release.sender}

    def unmask(self) -> Ring:
        """The sum over the survivors, exact in the ring; the round is then over.

        Raises `SecureSumError`, with nothing recovered, when too few shares arrived or they give a wrong secret.
        """
        self._close(Step.UNMASK, self._releases, "released shares")
        try:
            masks = self._masks_left()
        except SecureSumError:
            self.abort()
            raise
        total = self._running_total()
        masking.add_masks(total, masks)
        self.abort()
        return total

    @property
    def survivors(self) -> tuple[str, ...]:
        """Names of the sites whose masked updates are in the running sum."""
        return tuple(self.terms.member(index).name for index in sorted(self._survivors))

    def abort(self) -> None:
        """End the round: the running sum is dropped and no message is taken any more."""
        self._step = None
        self._awaited = frozenset()
        self._total = None
        self._releases.clear()

    def _check_answer(self, step: Step, peer: str, sender: int, context: bytes) -> None:
        checks.check_step(self._step, step)
        checks.check_context(context, self.terms)
        checks.check_sender(peer, sender, self.terms)
        if sender not in self._awaited:
            raise SecureSumError(f"site {peer!r} answered step {step.name} twice or unasked: drop the answer")

    def _close(self, step: Step, answered: Collection[int], what: str) -> None:
        checks.check_step(self._step, step)
        try:
            checks.check_enough(answered, self.terms.threshold, what)
        except SecureSumError:
            self.abort()
            raise
        self._awaited = frozenset(answered)
        self._step = Step(step + 1) if step is not Step.UNMASK else None

    def _roster(self) -> KeyRoster:
        return KeyRoster(self.terms.digest, tuple(self._adverts[index] for index in sorted(self._adverts)))

    def _sealed_shares_for(self, recipient: int) -> PeerShares:
        senders = [index for index in sorted(self._sealed_shares) if index != recipient]
        return PeerShares(
            self.terms.digest,
            recipient,
            tuple((index, dict(self._sealed_shares[index].sealed_shares)[recipient]) for index in senders),
        )

    def _running_total(self) -> Ring:
        if self._total is None:
            raise SecureSumError("the round holds no sum: it was aborted or has not come so far")
        return self._total

    def _masks_left(self) -> list[Mask]:
        """The masks still in the sum, with the signs that take them out."""
        ctx, survivors = self.terms.digest, sorted(self._survivors)
        masks = [Mask(keys.self_mask_key(self._seed_of(index), ctx, index), -1) for index in survivors]
        for dropped in sorted(set(self._sealed_shares) - self._survivors):
            private = self._mask_key_of(dropped)
            for index in survivors:
                key = keys.pair_mask_key(private, self._adverts[index].mask_public, ctx, index, dropped)
                masks.append(Mask(key, -masking.pair_sign(index, dropped)))
        return masks

    def _seed_of(self, index: int) -> bytes:
        committed = self._sealed_shares[index].seed_commitment
        return shares.combine(
            self._released_of(index),
            self.terms.threshold,
            lambda seed: checks.is_seed(seed, committed, self.terms, index),
        )

    def _mask_key_of(self, index: int) -> bytes:
        public = self._adverts[index].mask_public
        return shares.combine(
            self._released_of(index), self.terms.threshold, lambda key: checks.is_mask_key(key, public)
        )

    def _released_of(self, index: int) -> Mapping[int, bytes]:
        return {sender: released[index] for sender, released in self._releases.items()}
