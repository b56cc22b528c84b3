"""Attacks on secure aggregation by a server, site or thief of the test's own.

Each function plays one attack with honest sites and says whether the adversary got what it wanted. The adversary
uses the protocol's primitives and what it was sent, never a site's private fields.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

import numpy as np
from secure_sum_liar import VICTIM, LyingServer, refused
from secure_sum_world import LAYOUT, MODEL, Site, World, limits_for_tests, make_terms, make_world, signed

from ecg_flare.errors import EcgFlareError
from ecg_flare.privacy.secure_sum import keys, masking, shares
from ecg_flare.privacy.secure_sum.limits import SiteLimits
from ecg_flare.privacy.secure_sum.masking import Mask
from ecg_flare.privacy.secure_sum.messages import (
    KeyRoster,
    MaskedUpdate,
    Offer,
    PeerShares,
    Survivors,
    UnmaskRequest,
)
from ecg_flare.privacy.secure_sum.server import SecureSumServer
from secure_sum_certs import Authority


def colluding(n: int, accomplices: int) -> bool:
    """The server and k sites who sign two lists and hand out both kinds of share; the rest are split between them.

    Not among the attacks that always fail: it succeeds from k = 2t - n on, the collusion bound.
    """

    @refused
    def attempt() -> bool:
        world = make_world(n)
        server = LyingServer(world)
        server.collect_masked()
        everyone = tuple(server.clients)
        without = tuple(index for index in everyone if index != VICTIM)
        others, colluders = without[: n - 1 - accomplices], without[n - 1 - accomplices :]
        twins = {index: world.sites[index - 1].fork(server.clients[index])[1] for index in colluders}
        needed = max(0, world.terms.threshold - accomplices - 1)
        told_all = (VICTIM, *others[:needed], *colluders)
        told_less = (*others[needed:], *colluders)
        first = server.consents(dict.fromkeys(told_all, everyone))
        seeds = server.releases(dict.fromkeys(told_all, first))
        server.clients |= twins
        second = server.consents(dict.fromkeys(told_less, without))
        private_keys = server.releases(dict.fromkeys(told_less, second))
        seed = server.secret({r.sender: dict(r.seed_shares).get(VICTIM) for r in seeds})
        private = server.secret({r.sender: dict(r.key_shares).get(VICTIM) for r in private_keys})
        return seed is not None and private is not None and _is_victims(world, server.recover_victim(seed, private))

    return attempt()


def _is_victims(world: World, found: np.ndarray | None) -> bool:
    return found is not None and np.array_equal(found, world.sites[VICTIM - 1].plain)


@refused
def overlapping_lists() -> bool:
    """A victim counted as active and as dropped: both its secrets recover its update (Flower's SecAgg+, see docs)."""
    world = make_world(4)
    server = LyingServer(world)
    server.collect_masked()
    everyone = tuple(server.clients)
    releases = server.releases(dict.fromkeys(everyone, server.consents(dict.fromkeys(everyone, everyone))))
    seed = server.secret({r.sender: dict(r.seed_shares).get(VICTIM) for r in releases})
    private = server.secret({r.sender: dict(r.key_shares).get(VICTIM) for r in releases})
    return seed is not None and private is not None and _is_victims(world, server.recover_victim(seed, private))


@refused
def listed_twice() -> bool:
    """A list of survivors that repeats one site to reach the threshold."""
    world = make_world(4)
    server = LyingServer(world)
    server.collect_masked()
    server.consents({VICTIM: (VICTIM, VICTIM, 2)})
    return True


@refused
def second_unmask_request() -> bool:
    """The same sites are asked a second time, now with the victim among the dropped."""
    world = make_world(4)
    server = LyingServer(world)
    server.collect_masked()
    everyone, others = (1, 2, 3, 4), (2, 3, 4)
    first = server.releases(dict.fromkeys(everyone, server.consents(dict.fromkeys(everyone, everyone))))
    total = server.recover_group(everyone, first)
    second = server.releases(dict.fromkeys(others, server.consents(dict.fromkeys(others, others))))
    rest = server.recover_group(others, second)
    return total is not None and rest is not None and _is_victims(world, total - rest)


@refused
def two_survivor_lists() -> bool:
    """Every site gets a list of its own, so that the sum of 6 of 10 is recovered although the threshold is 7."""
    world = make_world(10)
    server = LyingServer(world)
    server.collect_masked()
    group, outsiders = range(1, 7), range(7, 11)
    kept = {index: index if index in outsiders else 7 + index % 4 for index in server.clients}
    lists = {index: tuple(sorted({*group, kept[index]})) for index in server.clients}
    consents = server.consents(lists)
    requests = {index: {peer: consents[peer] for peer in lists[index]} for index in lists}
    found = server.recover_group(group, server.releases(requests))
    return found is not None and np.array_equal(found, world.plain_sum(group))


@refused
def replayed_round() -> bool:
    """The answered round is run again without one site: the two sums differ by its update."""
    world = make_world(4)
    first = _recover_honestly(world)
    rest = world.sites[1:]
    smaller = World(replace(make_terms(rest, 4), attempt=1), rest)
    return _is_victims(world, first - _recover_honestly(smaller))


@refused
def round_run_three_times() -> bool:
    """The round is run over all, then over two halves of the others: no two of the three sums show the victim."""
    world = make_world(7)
    left = _recover_honestly(world)
    for attempt, half in ((1, world.sites[1:4]), (2, world.sites[4:])):
        left = left - _recover_honestly(World(replace(make_terms(half, 4), attempt=attempt), half))
    return _is_victims(world, left)


@refused
def two_jobs_from_one_model() -> bool:
    """Another signed job starts from the same model and leaves the victim out."""
    world = make_world(4)
    first = _recover_honestly(world)
    rest = world.sites[1:]
    return _is_victims(world, first - _recover_honestly(World(make_terms(rest, 4, job="another"), rest)))


@refused
def averaged_recoveries() -> bool:
    """A sum is asked for as if it were lost, again and again, until what is drawn anew each time is averaged out."""
    world = make_world(4)
    for attempt in range(10):
        _recover_honestly(World(replace(world.terms, attempt=attempt), world.sites))
    return True


@refused
def round_from_two_models() -> bool:
    """A round is run again from a model that differs a little, so that a job has sums from more models than rounds."""
    world = make_world(4)
    _recover_honestly(world)
    for site in world.sites:
        site.limits = replace(site.limits, expected_model_sha256=None)
    other = World(replace(world.terms, attempt=1, model_sha256=bytes(32)), world.sites)
    return len(_recover_honestly(other)) == 4


def _recover_honestly(world: World) -> np.ndarray:
    server = LyingServer(world)
    server.collect_masked()
    everyone = tuple(server.clients)
    releases = server.releases(dict.fromkeys(everyone, server.consents(dict.fromkeys(everyone, everyone))))
    total = server.recover_group(everyone, releases)
    assert total is not None
    return total


def recover_list(world: World, survivors: Sequence[int], asked: Sequence[int]) -> np.ndarray | None:
    """A round in which all mask, `survivors` are listed, and the `asked` among them are asked for their shares.

    Not an attack: the sum, or None where too few sites did what they were asked to.
    """
    server = LyingServer(world)
    server.collect_masked()
    consents, releases = {}, []
    for index in survivors:
        with suppress(EcgFlareError):
            consents |= server.consents({index: survivors})
    for index in asked:
        with suppress(EcgFlareError):
            releases += server.releases({index: consents})
    return server.recover_group(survivors, releases)


@refused
def rolled_back_site() -> bool:
    """A site's saved state is put back after it signed, to have a second list signed."""
    world = make_world(4)
    server = LyingServer(world)
    server.collect_masked()
    stale = server.clients[VICTIM].export_secrets()
    server.clients[VICTIM].answer_survivors(Survivors(server.ctx, (1, 2, 3, 4)))
    again = world.sites[VICTIM - 1].client()
    again.restore(stale)
    again.answer_survivors(Survivors(server.ctx, (1, 2, 3)))
    return True


@refused
def swapped_keys() -> bool:
    """The server puts keys of its own under the peers' names and so reads every share and mask of the victim."""
    world = make_world(3)
    terms, ctx = world.terms, world.terms.digest
    victim = world.sites[VICTIM - 1].client()
    adverts = {VICTIM: victim.answer_offer(Offer(terms))}
    mine = {index: (bytes(keys.fresh_secret()), bytes(keys.fresh_secret())) for index in (2, 3)}
    for index, (sealed, mask) in mine.items():
        honest = world.sites[index - 1].client().answer_offer(Offer(terms))
        adverts[index] = replace(honest, sealing_public=keys.public_key(sealed), mask_public=keys.public_key(mask))
    sent = dict(victim.answer_keys(KeyRoster(ctx, tuple(adverts.values()))).sealed_shares)
    sealing_public = adverts[VICTIM].sealing_public
    unsealed = {s: keys.unseal(sealed, sealing_public, ctx, VICTIM, s, sent[s]) for s, (sealed, _) in mine.items()}
    # Two sealed_shares hold two of three shares; the third comes as the victim's own release of the self-mask seed.
    forged = [(s, keys.seal(sealed, sealing_public, ctx, s, VICTIM, unsealed[s])) for s, (sealed, _) in mine.items()]
    y = victim.answer_sealed_shares(
        PeerShares(ctx, VICTIM, tuple(forged)), world.vector(VICTIM), trained_from=MODEL
    ).vector
    mask_public = adverts[VICTIM].mask_public
    for index, (_, private) in mine.items():
        key = keys.pair_mask_key(private, mask_public, ctx, VICTIM, index)
        masking.add_masks(y, [Mask(key, -masking.pair_sign(VICTIM, index))])
    honest_signatures = {VICTIM: victim.answer_survivors(Survivors(ctx, (1, 2, 3))).signature, 2: b"", 3: b""}
    release = victim.answer_unmask(UnmaskRequest(ctx, tuple(sorted(honest_signatures.items()))))
    seed_shares = {VICTIM: dict(release.seed_shares)[VICTIM]} | {s: part[:33] for s, part in unsealed.items()}
    seed = shares.combine(seed_shares, 3, lambda _: True)
    masking.add_masks(y, [Mask(keys.self_mask_key(seed, ctx, VICTIM), -1)])
    return _is_victims(world, signed(y))


@refused
def lowered_threshold() -> bool:
    """With t = 1 the server lists the victim as the only survivor and recovers its update."""
    world = make_world(3, threshold=1)
    server = LyingServer(world)
    server.collect_masked()
    consents = server.consents({VICTIM: (VICTIM,)})
    return _is_victims(world, server.recover_group([VICTIM], server.releases({VICTIM: consents})))


@refused
def altered_model_hash() -> bool:
    """All sites are offered a doctored model in the place of the released one."""
    doctored = bytes(32)
    world = make_world(3, model_sha256=doctored)
    server = LyingServer(world)
    server.collect_masked()
    return len(server.masked) == 3


@refused
def another_model_for_the_victim() -> bool:
    """The terms name the released model, but the victim is given another one to train from."""
    world = make_world(3)
    server = LyingServer(world)
    server.adverts = {index: client.answer_offer(Offer(world.terms)) for index, client in server.clients.items()}
    roster = KeyRoster(server.ctx, tuple(server.adverts.values()))
    server.sealed_shares = {index: client.answer_keys(roster) for index, client in server.clients.items()}
    server.clients[VICTIM].answer_sealed_shares(
        server.sealed_shares_for(VICTIM), world.vector(VICTIM), trained_from=bytes(32)
    )
    return True


def _surrounded(authority: Authority, forger: Authority, pin_forged: bool) -> bool:
    """A victim with a genuine certificate among sites that the adversary made up with certificates of `forger`."""
    rng = np.random.default_rng(3)
    names = ("site-001", "site-002", "site-003")
    signers = {name: (authority if name == names[0] else forger).signer(name) for name in names}
    genuine = {name: authority.signer(name) for name in names}
    drafts = [Site(name, rng.integers(-99, 99, size=4), limits_for_tests(), signers[name]) for name in names]
    terms = make_terms(drafts, 4)
    known = signers if pin_forged else {**genuine, names[0]: signers[names[0]]}
    pinned = {m.name: m.fingerprint for m in make_terms([replace(s, signer=known[s.name]) for s in drafts], 4).roster}
    victim = replace(drafts[0], limits=_certificate_limits(pinned), verifier=authority.verifier())
    own = {member.name: member.fingerprint for member in terms.roster}
    accomplices = [replace(site, limits=_certificate_limits(own), verifier=_BelievesAll()) for site in drafts[1:]]
    world = World(terms, [victim, *accomplices])
    total = _recover_honestly(world)
    return _is_victims(world, total - accomplices[0].plain - accomplices[1].plain)


class _BelievesAll:
    """What an accomplice verifies by."""

    test_mode = False

    def verify(self, name: str, certificate: bytes, message: bytes, signature: bytes) -> None:
        return


def _certificate_limits(pinned: Mapping[str, bytes]) -> SiteLimits:
    return SiteLimits(LAYOUT, MODEL, 1.0, pinned)


@refused
def forged_certificates() -> bool:
    """Made-up sites show certificates of a CA of the adversary's; the victim's pins came from the adversary too."""
    return _surrounded(Authority(), Authority("forger"), pin_forged=True)


@refused
def minted_certificates() -> bool:
    """Whoever holds the project's CA mints certificates for made-up sites under the names of real ones."""
    return _surrounded(Authority(), Authority(), pin_forged=False)


def _with_corrupt_release(dropped: bool) -> bool:
    """Site 2 releases shares that it altered; does the server release a wrong sum?"""
    world = make_world(4)
    server = SecureSumServer(world.terms, world.sites[0].verifier)
    clients = {index: site.client() for index, site in enumerate(world.sites, start=1)}
    for index, client in clients.items():
        server.receive_keys(world.name(index), client.answer_offer(server.offer()))
    roster = server.close_keys()
    for index, client in clients.items():
        server.receive_shares(world.name(index), client.answer_keys(roster))
    sealed_shares = server.close_shares()
    senders = (1, 2, 3)
    for index in senders:
        sealed = sealed_shares[world.name(index)]
        server.receive_masked(
            world.name(index), clients[index].answer_sealed_shares(sealed, world.vector(index), trained_from=MODEL)
        )
    survivors = server.close_masked()
    for index in senders:
        server.receive_consent(world.name(index), clients[index].answer_survivors(survivors))
    request = server.close_consent()
    for index in senders:
        release = clients[index].answer_unmask(request)
        if index == 2:
            kind = "key_shares" if dropped else "seed_shares"
            corrupt = tuple((peer, share[:-1] + bytes([share[-1] ^ 1])) for peer, share in getattr(release, kind))
            release = replace(release, **{kind: corrupt})
        server.receive_release(world.name(index), release)
    return not np.array_equal(signed(server.unmask()), world.plain_sum(senders))


@refused
def corrupt_seed_share() -> bool:
    """A site corrupts its shares of the survivors' seeds."""
    return _with_corrupt_release(dropped=False)


@refused
def corrupt_key_share() -> bool:
    """A site corrupts its shares of the dropped site's mask key."""
    return _with_corrupt_release(dropped=True)


@refused
def predictable_masks() -> bool:
    """The server guesses: it tries every secret that a weak generator with ten bits of state could have made."""
    world = make_world(3)
    server = LyingServer(world)
    server.collect_masked()
    guesses = [bytes(30) + number.to_bytes(2, "big") for number in range(1 << 10)]
    by_public = {keys.public_key(guess): guess for guess in guesses}
    seeds = {keys.commitment(guess, server.ctx, VICTIM): guess for guess in guesses}
    private = by_public.get(server.adverts[VICTIM].mask_public)
    seed = seeds.get(server.sealed_shares[VICTIM].seed_commitment)
    if private is None or seed is None:
        return False
    return _is_victims(world, server.recover_victim(seed, private))


@refused
def reused_masks() -> bool:
    """Two rounds with the same masks: the masked updates differ by what the plain ones do."""
    first, second = make_world(3, seed=1), make_world(3, seed=2)
    second = World(
        replace(first.terms, round=1),
        [replace(site, plain=later.plain) for site, later in zip(first.sites, second.sites, strict=True)],
    )
    servers = [LyingServer(first), LyingServer(second)]
    for server in servers:
        server.collect_masked()
    seen = signed(servers[1].masked[VICTIM] - servers[0].masked[VICTIM])
    wanted = signed(second.vector(VICTIM) - first.vector(VICTIM))
    return np.array_equal(seen, wanted)


@refused
def single_contributor() -> bool:
    """Weights so small for all but the victim that nobody else's coordinates are left in the sum."""
    world = make_world(3, weights=(1.0, 1e-30, 1e-30))
    for site, weight in zip(world.sites, world.terms.weights or (), strict=True):
        site.plain = np.trunc(site.plain * weight).astype(np.int64)
    return _is_victims(world, _recover_honestly(world))


@refused
def different_lengths() -> bool:
    """The victim is told of one coordinate more than its peers, which then carries its value alone."""
    world = make_world(3)
    longer = replace(world.terms, dimension=5)
    clients = [site.client() for site in world.sites]
    adverts = [c.answer_offer(Offer(t)) for c, t in zip(clients, (longer, world.terms, world.terms), strict=True)]
    disguised = tuple(replace(advert, context=longer.digest) for advert in adverts)
    clients[0].answer_keys(KeyRoster(longer.digest, disguised))
    return True


@refused
def two_peer_lists() -> bool:
    """Sites are shown different sets U2 and still sign off one another's survivors."""
    world = make_world(5)
    server = LyingServer(world)
    for index, client in server.clients.items():
        server.adverts[index] = client.answer_offer(Offer(world.terms))
    roster = KeyRoster(server.ctx, tuple(server.adverts.values()))
    server.sealed_shares = {index: client.answer_keys(roster) for index, client in server.clients.items()}
    survivors = (1, 2, 3, 4)
    for index in survivors:
        sealed_shares = server.sealed_shares_for(index)
        shown = (
            sealed_shares if index == VICTIM else replace(sealed_shares, sealed_shares=sealed_shares.sealed_shares[:-1])
        )
        server.clients[index].answer_sealed_shares(shown, world.vector(index), trained_from=MODEL)
    consents = server.consents(dict.fromkeys(survivors, survivors))
    server.releases({VICTIM: consents})
    return True


@refused
def impostor() -> bool:
    """A site sends a masked update in another's name."""
    world = make_world(3)
    server = SecureSumServer(world.terms, world.sites[0].verifier)
    clients = [site.client() for site in world.sites]
    for index, client in enumerate(clients, start=1):
        server.receive_keys(world.name(index), client.answer_offer(server.offer()))
    roster = server.close_keys()
    for index, client in enumerate(clients, start=1):
        server.receive_shares(world.name(index), client.answer_keys(roster))
    server.close_shares()
    server.receive_masked(world.name(3), MaskedUpdate(world.terms.digest, VICTIM, world.vector(3)))
    return server.survivors == (world.name(VICTIM),)


@refused
def altered_sealed_share() -> bool:
    """A sealed is altered on its way; the victim takes it and goes on."""
    world = make_world(3)
    server = LyingServer(world)
    for index, client in server.clients.items():
        server.adverts[index] = client.answer_offer(Offer(world.terms))
    roster = KeyRoster(server.ctx, tuple(server.adverts.values()))
    server.sealed_shares = {index: client.answer_keys(roster) for index, client in server.clients.items()}
    sealed_shares = server.sealed_shares_for(VICTIM)
    (peer, sealed), rest = sealed_shares.sealed_shares[0], sealed_shares.sealed_shares[1:]
    altered = replace(sealed_shares, sealed_shares=((peer, bytes([sealed[0] ^ 1]) + sealed[1:]), *rest))
    server.clients[VICTIM].answer_sealed_shares(altered, world.vector(VICTIM), trained_from=MODEL)
    return True


@refused
def two_of_two() -> bool:
    """A cohort of two, where each site would learn the other's update from the sum."""
    world = make_world(2, threshold=2)
    for site in world.sites:
        site.client().answer_offer(Offer(world.terms))
    return True


@refused
def throw_away_keys() -> bool:
    """A server calls a real round a test, to have throw-away keys accepted."""
    world = make_world(3)
    production = SiteLimits(LAYOUT, MODEL, 1.0, {m.name: m.fingerprint for m in world.terms.roster})
    replace(world.sites[0], limits=production).client().answer_offer(Offer(world.terms))
    return True


@refused
def higher_clipping_norm() -> bool:
    """A server raises C above what the site gives."""
    world = make_world(3, clipping_norm=100.0)
    world.sites[0].client().answer_offer(Offer(world.terms))
    return True


@refused
def dropped_noise() -> bool:
    """A server leaves out the differential privacy that the site was promised."""
    world = make_world(3, dp="")
    site = world.sites[0]
    replace(site, limits=replace(site.limits, dp="sigma=2")).client().answer_offer(Offer(world.terms))
    return True


@refused
def hidden_weights_unasked() -> bool:
    """A server hides the weights from a site that wants them public."""
    world = make_world(3, weights=None)
    world.sites[0].client().answer_offer(Offer(world.terms))
    return True
