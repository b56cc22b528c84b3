"""A site's side of secure aggregation: a state machine that answers each step of one round once, or not at all.

Bonawitz et al. 2017, figure 4, against an active server. Whatever fails a check ends the round for this site: its
secrets are overwritten and it answers nothing more.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from ecg_flare.errors import ConfigError, SecureSumError
from ecg_flare.privacy.secure_sum import checks, keys, limits, masking, memory, recovered_sums, shares
from ecg_flare.privacy.secure_sum.context import SumContext
from ecg_flare.privacy.secure_sum.encoding import Ring
from ecg_flare.privacy.secure_sum.limits import SiteLimits
from ecg_flare.privacy.secure_sum.masking import Mask
from ecg_flare.privacy.secure_sum.memory import Progress, RoundMemory, Step
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
from ecg_flare.privacy.secure_sum.recovered_sums import HiddenSum, ModelMemory
from ecg_flare.privacy.secure_sum.signing import Signer, Verifier
from ecg_flare.privacy.secure_sum.state import ClientState

_SEED_SHARE = slice(0, shares.SHARE_BYTES)
_KEY_SHARE = slice(shares.SHARE_BYTES, 2 * shares.SHARE_BYTES)


class SecureSumClient:
    """One attempt at one round at the site `name`.

    `site_limits` are the site's own; `round_memory` and `model_memory`, which all jobs of the site share, must outlive
    the process wherever the site may be restarted. Every `answer_…` raises `SecureSumError` for a lie, `PolicyError`
    for a sum that could be subtracted from another and `ConfigError` for impossible terms, and closes the round.
    """

    def __init__(
        self,
        name: str,
        site_limits: SiteLimits,
        signer: Signer,
        verifier: Verifier,
        round_memory: RoundMemory,
        model_memory: ModelMemory,
    ) -> None:
        if signer.test_mode != verifier.test_mode:
            raise ConfigError("one of signer and verifier is for tests, the other is not: use the two of one kind")
        self._name = name
        self._limits = site_limits
        self._signer = signer
        self._verifier = verifier
        self._memory = round_memory
        self._models = model_memory
        self._next: Step | None = Step.KEYS
        self._state: ClientState | None = None

    @property
    def next_step(self) -> Step | None:
        """The step that the site would answer, or None once its round is over."""
        return self._next

    @property
    def round(self) -> int:
        """The round under way; raises `SecureSumError` where none is."""
        return self._under_way().terms.round

    @property
    def clipping_norm(self) -> float:
        """C of the round under way; raises `SecureSumError` where none is."""
        return self._under_way().terms.clipping_norm

    def answer_offer(self, offer: Offer) -> KeyAdvert:
        """Step 0: check the terms against the site's limits and advertise two fresh keys."""
        with self._answering(Step.KEYS):
            terms = offer.terms
            limits.check_site_limits(terms, self._limits)
            self._check_signing(terms)
            recovered_sums.check_job(
                self._models,
                terms.model_sha256,
                terms.job,
                noised=bool(terms.dp),
                once=self._limits.once_per_model,
            )
            index = checks.own_index(terms, self._name, self._signer.certificate)
            self._record(terms, Step.KEYS)
            sealing_private, mask_private = keys.fresh_secret(), keys.fresh_secret()
            publics = keys.public_key(sealing_private), keys.public_key(mask_private)
            unsigned = KeyAdvert(terms.digest, index, *publics, self._signer.certificate, b"")
            signature = self._signer.sign(unsigned.signed_part())
            advert = KeyAdvert(terms.digest, index, *publics, self._signer.certificate, signature)
            self._state = ClientState(
                terms, index, Step.SHARES, advert, sealing_private, mask_private, seed=keys.fresh_secret()
            )
            return advert

    def answer_keys(self, roster: KeyRoster) -> SealedShares:
        """Step 1: check everybody's keys, share the seed and the mask key, and seal their shares for each peer."""
        with self._answering(Step.SHARES):
            state = self._under_way()
            terms = state.terms
            checks.check_roster(roster, terms, self._verifier, state.advert)
            self._record(terms, Step.SHARES)
            state.roster = roster
            sealed_shares = self._share(state, roster)
            commitment = keys.commitment(state.seed, terms.digest, state.index)
            return SealedShares(terms.digest, state.index, commitment, sealed_shares)

    def answer_sealed_shares(self, sealed_shares: PeerShares, vector: Ring, *, trained_from: bytes) -> MaskedUpdate:
        """Step 2: unseal the peers' shares and mask the encoded update.

        `vector` (dimension words of the ring) is masked where it lies, so that no plain copy stays; `trained_from` is
        the SHA-256 of the model that the update was really trained from.
        """
        with self._answering(Step.MASKED):
            state = self._under_way()
            terms = state.terms
            checks.check_trained_from(trained_from, terms)
            checks.check_vector(vector, terms)
            self._accept_sealed_shares(state, sealed_shares)
            self._record(terms, Step.MASKED)
            recovered_sums.note_update(self._models, terms.model_sha256)
            masking.add_masks(vector, self._masks(state))
            state.wipe_keys()
            return MaskedUpdate(terms.digest, state.index, vector)

    def answer_survivors(self, survivors: Survivors) -> Consent:
        """Step 3: sign the list of survivors, if it is one that this site may help to recover."""
        with self._answering(Step.CONSENT):
            state = self._under_way()
            checks.check_context(survivors.context, state.terms)
            checks.check_survivors(survivors.indices, state.peers, state.index, state.terms)
            asked = _hidden_sum(state.terms, survivors.indices)
            recovered_sums.check_may_recover(self._models, state.terms.model_sha256, asked, self._limits.once_per_model)
            self._record(state.terms, Step.CONSENT)
            state.survivors = survivors.indices
            return Consent(state.terms.digest, state.index, self._signer.sign(_agreed(state)))

    def answer_unmask(self, request: UnmaskRequest) -> ShareRelease:
        """Step 4: once t sites signed the same list, release one share a peer; the round is then over."""
        with self._answering(Step.UNMASK):
            state = self._under_way()
            terms = state.terms
            checks.check_context(request.context, terms)
            checks.check_consents(
                request.consents, state.survivors, _agreed(state), _roster(state), terms, self._verifier
            )
            self._record(terms, Step.UNMASK)
            asked = _hidden_sum(terms, state.survivors)
            recovered_sums.record_recovery(self._models, terms.model_sha256, asked, self._limits.once_per_model)
            seed_of, key_of = checks.shares_to_release(state.peers, state.survivors)
            return ShareRelease(
                terms.digest,
                state.index,
                tuple((index, bytes(state.held[index][_SEED_SHARE])) for index in seed_of),
                tuple((index, bytes(state.held[index][_KEY_SHARE])) for index in key_of),
            )

    def close(self) -> None:
        """End the round at this site and overwrite its secrets; safe to call at any time."""
        self._next = None
        if self._state is not None:
            self._state.wipe()
            self._state = None

    def export_secrets(self) -> bytes:
        """The round's state for a process about to be swapped out: store it 0600, remove it at the round's end.

        Raises `SecureSumError` when no round is under way.
        """
        return self._under_way().to_bytes()

    def restore(self, secrets: bytes) -> None:
        """Take up the round of `export_secrets` in a new process.

        A stale copy answers nothing: the round memory knows which steps were answered.
        """
        checks.check_step(self._next, Step.KEYS)
        state = ClientState.from_bytes(secrets)
        if checks.own_index(state.terms, self._name, self._signer.certificate) != state.index:
            raise SecureSumError(
                f"the saved round belongs to client {state.index}, not to {self._name!r}: remove the file"
            )
        self._state = state
        self._next = state.next_step

    @contextmanager
    def _answering(self, step: Step) -> Iterator[None]:
        answered = False
        try:
            checks.check_step(self._next, step)
            yield
            answered = True
        finally:
            if not answered or step is Step.UNMASK:
                self.close()
        if step is not Step.UNMASK:
            self._next = self._under_way().next_step = Step(step + 1)

    def _under_way(self) -> ClientState:
        if self._state is None:
            raise SecureSumError("no round is under way at this site: wait for the server's next offer")
        return self._state

    def _check_signing(self, terms: SumContext) -> None:
        if terms.test_mode != self._signer.test_mode:
            raise SecureSumError(
                f"the round says test mode {terms.test_mode}, this site's keys say {self._signer.test_mode}: "
                "provision all sites, or none"
            )

    def _record(self, terms: SumContext, step: Step) -> None:
        progress = Progress(terms.round, terms.attempt, step, terms.model_sha256.hex())
        memory.advance(self._memory, terms.job, progress)

    def _share(self, state: ClientState, roster: KeyRoster) -> tuple[tuple[int, bytes], ...]:
        terms, index = state.terms, state.index
        seed_shares = shares.split(state.seed, terms.threshold, terms.sites)
        key_shares = shares.split(state.mask_private, terms.threshold, terms.sites)
        both = {peer: seed_shares[peer] + key_shares[peer] for peer in seed_shares}
        state.held[index] = bytearray(both[index])
        return tuple(
            (
                peer.sender,
                keys.seal(
                    state.sealing_private, peer.sealing_public, terms.digest, index, peer.sender, both[peer.sender]
                ),
            )
            for peer in roster.adverts
            if peer.sender != index
        )

    def _accept_sealed_shares(self, state: ClientState, sealed_shares: PeerShares) -> None:
        checks.check_context(sealed_shares.context, state.terms)
        senders = [sender for sender, _ in sealed_shares.sealed_shares]
        state.peers = tuple(sorted([*senders, state.index] if sealed_shares.recipient == state.index else senders))
        checks.check_peers(state.peers, _roster(state), state.index, state.terms)
        publics = {advert.sender: advert.sealing_public for advert in _roster(state).adverts}
        for sender, sealed in sealed_shares.sealed_shares:
            unsealed = keys.unseal(
                state.sealing_private, publics[sender], state.terms.digest, sender, state.index, sealed
            )
            if len(unsealed) != 2 * shares.SHARE_BYTES:
                raise SecureSumError(
                    f"client {sender} sealed {len(unsealed)} bytes, expected two shares: leave the round"
                )
            state.held[sender] = bytearray(unsealed)

    def _masks(self, state: ClientState) -> list[Mask]:
        ctx, index = state.terms.digest, state.index
        publics = {advert.sender: advert.mask_public for advert in _roster(state).adverts}
        return [Mask(keys.self_mask_key(state.seed, ctx, index), 1)] + [
            Mask(
                keys.pair_mask_key(state.mask_private, publics[peer], ctx, index, peer), masking.pair_sign(index, peer)
            )
            for peer in state.peers
            if peer != index
        ]


def _hidden_sum(terms: SumContext, survivors: Sequence[int]) -> HiddenSum:
    members = tuple(terms.member(index) for index in survivors)
    return HiddenSum(terms.job, members, terms.clipping_norm, noised=bool(terms.dp))


def _roster(state: ClientState) -> KeyRoster:
    if state.roster is None:
        raise SecureSumError("this site has seen no keys yet: wait for step SHARES")
    return state.roster


def _agreed(state: ClientState) -> bytes:
    return consent_part(_roster(state), state.peers, state.survivors)
