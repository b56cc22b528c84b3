"""Checks of the protocol's messages, one function each: what stops a lying server, site or network.

Every function raises `SecureSumError`. The client and the server call them through this module, so that a test can
take a single one away and watch its attack succeed.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from ecg_flare.errors import SecureSumError
from ecg_flare.privacy.secure_sum import keys
from ecg_flare.privacy.secure_sum.context import SumContext
from ecg_flare.privacy.secure_sum.encoding import Ring
from ecg_flare.privacy.secure_sum.memory import Step
from ecg_flare.privacy.secure_sum.messages import KeyAdvert, KeyRoster
from ecg_flare.privacy.secure_sum.signing import Verifier, fingerprint


def check_step(expected: Step | None, asked: Step) -> None:
    """Refuse a step out of order, or any after the round's end."""
    if asked != expected:
        due = "nothing, the round is over" if expected is None else f"step {expected.name}"
        raise SecureSumError(f"step {asked.name} arrived, expected {due}: start a new round")


def check_context(context: bytes, terms: SumContext) -> None:
    """Refuse a message of another round, attempt or cohort."""
    if context != terms.digest:
        raise SecureSumError(
            f"the message belongs to context {context.hex()[:16]}…, expected {terms.digest.hex()[:16]}… (round "
            f"{terms.round}, attempt {terms.attempt}): drop it"
        )


def check_sender(peer: str, sender: int, terms: SumContext) -> None:
    """Refuse a message in another site's name; `peer` is the name that the transport authenticated."""
    if not 1 <= sender <= terms.sites or terms.member(sender).name != peer:
        raise SecureSumError(f"site {peer!r} speaks for index {sender}, which is not its own: drop it")


def own_index(terms: SumContext, name: str, certificate: bytes) -> int:
    """The site's own index; refuses a roster that lacks it or holds another certificate under its name."""
    index = terms.index_of(name)
    if terms.member(index).fingerprint != fingerprint(certificate):
        raise SecureSumError(f"the roster holds another certificate under this site's name {name!r}: correct it")
    return index


def check_roster(roster: KeyRoster, terms: SumContext, verifier: Verifier, own: KeyAdvert) -> None:
    """Refuse adverts that are too few, repeated, unsigned, of unknown, or that change this site's own."""
    check_context(roster.context, terms)
    senders = [advert.sender for advert in roster.adverts]
    check_indices(senders, range(1, terms.sites + 1), "adverts")
    check_enough(senders, terms.threshold, "adverts")
    check_unique_keys(roster.adverts)
    for advert in roster.adverts:
        check_advert(advert, terms, verifier)
    if own not in roster.adverts:
        raise SecureSumError("the server's adverts lack this site's own, or changed it: leave the round")


def check_advert(advert: KeyAdvert, terms: SumContext, verifier: Verifier) -> None:
    """Refuse keys that the roster's member of that index did not sign for this context."""
    check_context(advert.context, terms)
    check_certificate(advert, terms)
    verifier.verify(terms.member(advert.sender).name, advert.certificate, advert.signed_part(), advert.signature)


def check_certificate(advert: KeyAdvert, terms: SumContext) -> None:
    """Refuse a certificate other than the roster's for that index."""
    member = terms.member(advert.sender)
    if fingerprint(advert.certificate) != member.fingerprint:
        raise SecureSumError(f"site {member.name!r} shows a certificate other than the roster's: drop it")


def check_unique_keys(adverts: Sequence[KeyAdvert]) -> None:
    """Refuse a public key that appears twice: its masks would cancel or repeat."""
    publics = [public for advert in adverts for public in (advert.sealing_public, advert.mask_public)]
    if len(set(publics)) != len(publics):
        raise SecureSumError(f"{len(publics)} public keys hold {len(set(publics))} different ones: leave the round")


def check_indices(indices: Sequence[int], allowed: Collection[int], what: str) -> None:
    """Refuse indices that repeat, are out of order or do not belong to `allowed`."""
    if list(indices) != sorted(set(indices)) or not set(indices) <= set(allowed):
        raise SecureSumError(
            f"the {what} are of indices {list(indices)}, expected each once, in order, out of {sorted(allowed)}: "
            "leave the round"
        )


def check_enough(indices: Collection[int], threshold: int, what: str) -> None:
    """Refuse fewer sites than the threshold."""
    if len(indices) < threshold:
        raise SecureSumError(
            f"{what} of {len(indices)} sites arrived, expected at least {threshold}: the round is aborted and recovers "
            "nothing; run it again as a new round once more sites answer"
        )


def check_peers(peers: Sequence[int], roster: KeyRoster, index: int, terms: SumContext) -> None:
    """Refuse a set U2 that is too small, leaves U1 or lacks the site itself."""
    check_indices(peers, [advert.sender for advert in roster.adverts], "sealed shares")
    check_enough(peers, terms.threshold, "sealed shares")
    if index not in peers:
        raise SecureSumError(f"the sealed shares were not sent for client {index}: leave the round")


def check_trained_from(model_sha256: bytes, terms: SumContext) -> None:
    """Refuse to mask an update that was trained from another model than the terms name."""
    if model_sha256 != terms.model_sha256:
        raise SecureSumError(
            f"the update was trained from model {model_sha256.hex()}, the round is about {terms.model_sha256.hex()}: "
            "the server sent this site another model than the one all agreed on; leave the round"
        )


def check_vector(vector: Ring, terms: SumContext) -> None:
    """Refuse a vector whose length or ring is not the round's."""
    if vector.shape != (terms.dimension,) or vector.dtype != terms.word:
        raise SecureSumError(
            f"got {vector.dtype} words of shape {vector.shape}, expected {terms.dimension} of {terms.word}: encode "
            "the update by the round's layout and ring"
        )


def check_survivors(survivors: Sequence[int], peers: Sequence[int], index: int, terms: SumContext) -> None:
    """Refuse a set U3 that is too small, leaves U2 or lacks the site itself."""
    check_indices(survivors, peers, "survivors")
    check_enough(survivors, terms.threshold, "masked updates")
    if index not in survivors:
        raise SecureSumError(f"client {index} sent its update but is not among the survivors: leave the round")


def check_consents(
    consents: Sequence[tuple[int, bytes]],
    survivors: Sequence[int],
    agreed: bytes,
    roster: KeyRoster,
    terms: SumContext,
    verifier: Verifier,
) -> None:
    """Refuse to unmask until t survivors have signed the very view of the round that this site signed."""
    indices = [index for index, _ in consents]
    check_indices(indices, survivors, "consents")
    check_enough(indices, terms.threshold, "consents")
    certificates = {advert.sender: advert.certificate for advert in roster.adverts}
    for index, signature in consents:
        verifier.verify(terms.member(index).name, certificates[index], agreed, signature)


def shares_to_release(peers: Sequence[int], survivors: Sequence[int]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Of whom the seed share is released and of whom the key share: exactly one for each peer, never both."""
    dropped = tuple(index for index in peers if index not in set(survivors))
    return tuple(survivors), dropped


def check_sealed_shares(sealed_shares: Sequence[tuple[int, bytes]], sender: int, roster: KeyRoster) -> None:
    """Refuse sealed shares that are not one for every other member of U1."""
    recipients = [index for index, _ in sealed_shares]
    expected = [advert.sender for advert in roster.adverts if advert.sender != sender]
    if recipients != expected:
        raise SecureSumError(f"client {sender} sent sealed shares for {recipients}, expected {expected}: drop it")


def check_released(
    seed_of: Sequence[int], key_of: Sequence[int], peers: Sequence[int], survivors: Sequence[int], sender: int
) -> None:
    """Refuse a release that is not exactly what the survivors' list asks for."""
    if (tuple(seed_of), tuple(key_of)) != shares_to_release(peers, survivors):
        raise SecureSumError(f"client {sender} released shares of {seed_of} and {key_of}, not what was asked: drop it")


def is_seed(candidate: bytes, commitment: bytes, terms: SumContext, index: int) -> bool:
    """Whether a reconstructed self-mask seed is the one that `index` committed to."""
    return keys.commitment(candidate, terms.digest, index) == commitment


def is_mask_key(candidate: bytes, public: bytes) -> bool:
    """Whether a reconstructed mask key belongs to the advertised public key."""
    return keys.public_key(candidate) == public
