"""Each check of a message, met by a message that only it refuses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from secure_sum_liar import LyingServer
from secure_sum_world import MODEL, World, make_world

from ecg_flare.errors import SecureSumError
from ecg_flare.privacy.secure_sum import keys
from ecg_flare.privacy.secure_sum.client import SecureSumClient
from ecg_flare.privacy.secure_sum.memory import Step
from ecg_flare.privacy.secure_sum.messages import (
    KeyAdvert,
    KeyRoster,
    MaskedUpdate,
    Offer,
    PeerShares,
    Survivors,
    UnmaskRequest,
    consent_part,
)
from ecg_flare.privacy.secure_sum.server import SecureSumServer
from ecg_flare.privacy.secure_sum.signing import TestSigner


@pytest.fixture
def world() -> World:
    return make_world(4)


@pytest.fixture
def server(world: World) -> LyingServer:
    """Stopped before the adverts are sent out."""
    lying = LyingServer(world)
    lying.adverts = {index: client.answer_offer(Offer(world.terms)) for index, client in lying.clients.items()}
    return lying


def share(server: LyingServer) -> None:
    roster = KeyRoster(server.ctx, tuple(server.adverts.values()))
    server.sealed_shares = {index: client.answer_keys(roster) for index, client in server.clients.items()}


def mask(server: LyingServer) -> None:
    share(server)
    for index, client in server.clients.items():
        client.answer_sealed_shares(server.sealed_shares_for(index), server.world.vector(index), trained_from=MODEL)


def by_site_2(server: LyingServer, **changes: object) -> KeyAdvert:
    """An advert that site 2, turned malicious, signs itself."""
    unsigned = replace(server.adverts[2], **changes)  # type: ignore[arg-type]
    return replace(unsigned, signature=server.world.sites[1].signer.sign(unsigned.signed_part()))


ROSTERS: dict[str, tuple[Callable[[LyingServer], list[KeyAdvert]], str]] = {
    "too few": (lambda s: [s.adverts[1], s.adverts[2]], "recovers nothing"),
    "own one missing": (lambda s: [s.adverts[2], s.adverts[3], s.adverts[4]], "own"),
    "out of order": (lambda s: list(s.adverts.values())[::-1], "each once, in order"),
    "one twice": (lambda s: [s.adverts[1], *s.adverts.values()], "each once, in order"),
    "unknown index": (lambda s: [*s.adverts.values(), replace(s.adverts[4], sender=5)], "each once, in order"),
    "another's key": (
        lambda s: [s.adverts[1], by_site_2(s, mask_public=s.adverts[1].mask_public), s.adverts[3], s.adverts[4]],
        "public keys hold",
    ),
    "one key for both uses": (
        lambda s: [s.adverts[1], by_site_2(s, mask_public=s.adverts[2].sealing_public), s.adverts[3], s.adverts[4]],
        "public keys hold",
    ),
    "another round's advert": (
        lambda s: [s.adverts[1], by_site_2(s, context=bytes(32)), s.adverts[3], s.adverts[4]],
        "context",
    ),
    "another certificate": (lambda s: [s.adverts[1], stranger(s), s.adverts[3], s.adverts[4]], "other than the roster"),
}


def stranger(server: LyingServer) -> KeyAdvert:
    signer = TestSigner()
    unsigned = replace(server.adverts[2], certificate=signer.certificate)
    return replace(unsigned, signature=signer.sign(unsigned.signed_part()))


@pytest.mark.parametrize("name", ROSTERS)
def test_bad_rosters_are_refused(name: str, server: LyingServer) -> None:
    make, match = ROSTERS[name]
    refuses(server.clients[1], match, lambda c: c.answer_keys(KeyRoster(server.ctx, tuple(make(server)))))


def refuses(client: SecureSumClient, match: str, ask: Callable[[SecureSumClient], object]) -> None:
    with pytest.raises(SecureSumError, match=match):
        ask(client)
    assert client.next_step is None


SEALED: dict[str, tuple[Callable[[PeerShares], PeerShares], str]] = {
    "too few": (lambda b: replace(b, sealed_shares=b.sealed_shares[:1]), "recovers nothing"),
    "not addressed to it": (lambda b: replace(b, recipient=2), "not sent for client 1"),
    "from itself": (
        lambda b: replace(b, sealed_shares=((1, b.sealed_shares[0][1]), *b.sealed_shares[1:])),
        "each once",
    ),
    "from a stranger": (
        lambda b: replace(b, sealed_shares=(*b.sealed_shares[:2], (5, b.sealed_shares[2][1]))),
        "each once",
    ),
    "under another name": (
        lambda b: replace(
            b, sealed_shares=((2, b.sealed_shares[1][1]), (3, b.sealed_shares[0][1]), b.sealed_shares[2])
        ),
        "do not authenticate",
    ),
    "of another round": (lambda b: replace(b, context=bytes(32)), "context"),
}


@pytest.mark.parametrize("name", SEALED)
def test_bad_sealed_shares_are_refused(name: str, server: LyingServer) -> None:
    share(server)
    change, match = SEALED[name]
    message = change(server.sealed_shares_for(1))
    refuses(
        server.clients[1], match, lambda c: c.answer_sealed_shares(message, server.world.vector(1), trained_from=MODEL)
    )


def test_a_sealed_share_with_too_little_in_it_is_refused(server: LyingServer) -> None:
    """Site 2 seals one share in the place of two."""
    sealing_private = keys.fresh_secret()
    server.adverts[2] = by_site_2(server, sealing_public=keys.public_key(sealing_private))
    roster = KeyRoster(server.ctx, tuple(server.adverts.values()))
    server.sealed_shares = {index: server.clients[index].answer_keys(roster) for index in (1, 3, 4)}
    short = keys.seal(sealing_private, server.adverts[1].sealing_public, server.ctx, 2, 1, bytes(33))
    honest = server.sealed_shares_for(1)
    message = replace(honest, sealed_shares=((2, short), *honest.sealed_shares))
    ask = server.world.vector(1)
    refuses(
        server.clients[1], "expected two shares", lambda c: c.answer_sealed_shares(message, ask, trained_from=MODEL)
    )


@pytest.mark.parametrize("vector", [np.zeros(5, np.uint32), np.zeros(4, np.uint64), np.zeros((2, 2), np.uint32)])
def test_vectors_of_another_shape_or_ring_are_refused(vector: np.ndarray, server: LyingServer) -> None:
    share(server)
    message = server.sealed_shares_for(1)
    refuses(server.clients[1], "expected 4 of", lambda c: c.answer_sealed_shares(message, vector, trained_from=MODEL))


@pytest.mark.parametrize(
    ("indices", "match"),
    [
        ((1, 2), "recovers nothing"),
        ((2, 3, 4), "not among the survivors"),
        ((1, 2, 5), "each once"),
        ((), "recovers nothing"),
    ],
)
def test_bad_survivors_are_refused(indices: tuple[int, ...], match: str, server: LyingServer) -> None:
    mask(server)
    refuses(server.clients[1], match, lambda c: c.answer_survivors(Survivors(server.ctx, indices)))


def test_survivors_of_another_round_are_refused(server: LyingServer) -> None:
    mask(server)
    refuses(server.clients[1], "context", lambda c: c.answer_survivors(Survivors(bytes(32), (1, 2, 3))))


@pytest.mark.parametrize("case", ["too few", "not a survivor", "over another list", "another round", "twice"])
def test_bad_consents_are_refused(case: str, server: LyingServer) -> None:
    mask(server)
    survivors = (1, 2, 3)
    good = server.consents(dict.fromkeys(survivors, survivors))
    roster = KeyRoster(server.ctx, tuple(server.adverts.values()))
    other = server.world.sites[2].signer.sign(consent_part(roster, (1, 2, 3, 4), (1, 2, 3, 4)))
    pairs, match = {
        "too few": (((1, good[1]), (2, good[2])), "recovers nothing"),
        "not a survivor": (((1, good[1]), (2, good[2]), (4, good[3])), "each once"),
        "over another list": (((1, good[1]), (2, good[2]), (3, other)), "does not match"),
        "another round": (tuple(good.items()), "context"),
        "twice": (((1, good[1]), (1, good[1]), (2, good[2])), "each once"),
    }[case]
    ctx = bytes(32) if case == "another round" else server.ctx
    refuses(server.clients[1], match, lambda c: c.answer_unmask(UnmaskRequest(ctx, pairs)))


def test_the_server_refuses_what_a_lying_site_sends(world: World) -> None:
    """Each refusal leaves the round as it was, so that the others still get their sum."""
    server = SecureSumServer(world.terms, world.sites[0].verifier)
    clients = {index: site.client() for index, site in enumerate(world.sites, start=1)}

    def refused(match: str, take: Callable[[], None]) -> None:
        awaited, step = server.awaited, server.step
        with pytest.raises(SecureSumError, match=match):
            take()
        assert (server.awaited, server.step) == (awaited, step)

    adverts = {index: client.answer_offer(server.offer()) for index, client in clients.items()}
    for index in (1, 2, 3):
        server.receive_keys(world.name(index), adverts[index])
    site_4 = world.sites[3].signer
    copied = replace(adverts[4], mask_public=adverts[1].mask_public)
    copied = replace(copied, signature=site_4.sign(copied.signed_part()))
    refused("public keys hold", lambda: server.receive_keys(world.name(4), copied))
    refused("does not match", lambda: server.receive_keys(world.name(4), replace(adverts[4], sealing_public=bytes(32))))
    refused("twice or unasked", lambda: server.receive_keys(world.name(1), adverts[1]))
    server.receive_keys(world.name(4), adverts[4])
    roster = server.close_keys()

    shares = {index: client.answer_keys(roster) for index, client in clients.items()}
    fewer = replace(shares[4], sealed_shares=shares[4].sealed_shares[:2])
    refused("sent sealed shares for", lambda: server.receive_shares(world.name(4), fewer))
    for index, message in shares.items():
        server.receive_shares(world.name(index), message)
    sealed_shares = server.close_shares()

    for index in (1, 2, 3):
        answer = clients[index].answer_sealed_shares(
            sealed_shares[world.name(index)], world.vector(index), trained_from=MODEL
        )
        server.receive_masked(world.name(index), answer)
    longer = MaskedUpdate(world.terms.digest, 4, np.zeros(5, np.uint32))
    refused("expected 4 of", lambda: server.receive_masked(world.name(4), longer))
    late = MaskedUpdate(bytes(32), 4, np.zeros(4, np.uint32))
    refused("context", lambda: server.receive_masked(world.name(4), late))
    survivors = server.close_masked()

    consents = {index: clients[index].answer_survivors(survivors) for index in (1, 2, 3)}
    refused("does not match", lambda: server.receive_consent(world.name(1), replace(consents[1], signature=b"")))
    for index, consent in consents.items():
        server.receive_consent(world.name(index), consent)
    request = server.close_consent()

    releases = {index: clients[index].answer_unmask(request) for index in (1, 2, 3)}
    swapped = replace(releases[1], seed_shares=releases[1].key_shares, key_shares=releases[1].seed_shares)
    refused("not what was asked", lambda: server.receive_release(world.name(1), swapped))
    for index, release in releases.items():
        server.receive_release(world.name(index), release)
    assert server.step is Step.UNMASK
    assert np.array_equal(server.unmask().view(np.int32), world.plain_sum([1, 2, 3]))
    refused("round is over", lambda: server.receive_release(world.name(1), releases[1]))
