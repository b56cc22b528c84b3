"""The round as a whole: exact sums or clean aborts, whoever falls silent and in whatever order messages come."""

from __future__ import annotations

import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from secure_sum_world import (
    Site,
    World,
    limits_for_tests,
    make_terms,
    make_world,
    run_round,
    signed,
    wired,
)

from ecg_flare.errors import ConfigError, SecureSumError
from ecg_flare.privacy.secure_sum.client import SecureSumClient
from ecg_flare.privacy.secure_sum.limits import SiteLimits
from ecg_flare.privacy.secure_sum.memory import Step
from ecg_flare.privacy.secure_sum.messages import MaskedUpdate, Message, UnmaskRequest
from ecg_flare.privacy.secure_sum.server import SecureSumServer
from secure_sum_certs import Authority


@pytest.mark.parametrize("n", [3, 4, 5, 10])
@pytest.mark.parametrize("ring_bits", [8, 16, 32, 64])
def test_sum_is_exact_without_dropouts(n: int, ring_bits: int) -> None:
    world = make_world(n, ring_bits=ring_bits, dimension=7)
    assert np.array_equal(run_round(world), world.plain_sum(range(1, n + 1)))


@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_orderings_and_replays_never_change_the_sum(data: st.DataObject) -> None:
    """Answers come in any order, some twice, some late; the sum is still exact."""
    n = data.draw(st.integers(3, 5))
    world = make_world(n, dimension=2)
    server = SecureSumServer(world.terms, world.sites[0].verifier)
    clients = {index: site.client() for index, site in enumerate(world.sites, start=1)}
    past: list[tuple[str, int, object]] = []

    def deliver(kind: str, answers: dict[int, object]) -> None:
        for index in data.draw(st.permutations(sorted(answers))):
            getattr(server, f"receive_{kind}")(world.name(index), answers[index])
            past.append((kind, index, answers[index]))
            for old_kind, old_seat, old in data.draw(st.lists(st.sampled_from(past), max_size=2)):
                with pytest.raises(SecureSumError):
                    getattr(server, f"receive_{old_kind}")(world.name(old_seat), old)

    deliver("keys", {index: client.answer_offer(server.offer()) for index, client in clients.items()})
    roster = server.close_keys()
    deliver("shares", {index: client.answer_keys(roster) for index, client in clients.items()})
    sealed_shares = server.close_shares()
    masked = {
        index: client.answer_sealed_shares(
            sealed_shares[world.name(index)], world.vector(index), trained_from=world.terms.model_sha256
        )
        for index, client in clients.items()
    }
    deliver("masked", masked)
    survivors = server.close_masked()
    deliver("consent", {index: client.answer_survivors(survivors) for index, client in clients.items()})
    request = server.close_consent()
    deliver("release", {index: client.answer_unmask(request) for index, client in clients.items()})
    assert np.array_equal(signed(server.unmask()), world.plain_sum(range(1, n + 1)))


@given(
    order=st.lists(st.sampled_from(["offer", "keys", "sealed_shares", "survivors", "unmask"]), min_size=1, max_size=8)
)
@settings(max_examples=60, deadline=None)
def test_a_site_answers_only_the_next_step(order: list[str]) -> None:
    """Whatever sequence of genuine messages a site gets, it answers the longest run in order and nothing after it."""
    names = ["offer", "keys", "sealed_shares", "survivors", "unmask"]
    world = make_world(3, dimension=2)
    server = SecureSumServer(world.terms, world.sites[0].verifier)
    peers = {index: site.client() for index, site in enumerate(world.sites, start=1)}
    site = peers[1]
    answered = 0
    messages: dict[str, object] = {"offer": server.offer()}
    for index, name in enumerate(order):
        in_order = order[: index + 1] == names[: index + 1]
        if not in_order:
            message = messages.get(name, UnmaskRequest(world.terms.digest, ()))
            with pytest.raises(SecureSumError):
                _ask(site, name, message, world)
            assert site.next_step is None
            break
        _advance(name, server, peers, messages, world)
        answered += 1
    assert site.next_step is None or site.next_step == answered


def _ask(client: SecureSumClient, name: str, message: object, world: World) -> object:
    if name == "sealed_shares":
        return client.answer_sealed_shares(message, world.vector(1), trained_from=world.terms.model_sha256)  # type: ignore[arg-type]
    return getattr(client, f"answer_{name}")(message)


def _advance(
    name: str,
    server: SecureSumServer,
    peers: dict[int, SecureSumClient],
    messages: dict[str, object],
    world: World,
) -> None:
    kind, close, following = {
        "offer": ("keys", "close_keys", "keys"),
        "keys": ("shares", "close_shares", "sealed_shares"),
        "sealed_shares": ("masked", "close_masked", "survivors"),
        "survivors": ("consent", "close_consent", "unmask"),
        "unmask": ("release", "unmask", "done"),
    }[name]
    for index, client in peers.items():
        message = messages[name][world.name(index)] if name == "sealed_shares" else messages[name]  # type: ignore[index]
        answer = (
            client.answer_sealed_shares(message, world.vector(index), trained_from=world.terms.model_sha256)  # type: ignore[arg-type]
            if name == "sealed_shares"
            else getattr(client, f"answer_{name}")(message)
        )
        getattr(server, f"receive_{kind}")(world.name(index), answer)
    messages[following] = getattr(server, close)()


def test_swapped_out_between_all_steps() -> None:
    world = make_world(4, dimension=5)
    server = SecureSumServer(world.terms, world.sites[0].verifier)
    clients = {index: site.client() for index, site in enumerate(world.sites, start=1)}

    def swapped(index: int) -> SecureSumClient:
        secrets = clients[index].export_secrets()
        clients[index].close()
        clients[index] = world.sites[index - 1].client()
        clients[index].restore(secrets)
        return clients[index]

    for index in clients:
        server.receive_keys(world.name(index), clients[index].answer_offer(server.offer()))
    roster = server.close_keys()
    for index in clients:
        server.receive_shares(world.name(index), swapped(index).answer_keys(roster))
    sealed_shares = server.close_shares()
    for index in (1, 2, 4):
        masked = swapped(index).answer_sealed_shares(
            sealed_shares[world.name(index)], world.vector(index), trained_from=world.terms.model_sha256
        )
        server.receive_masked(world.name(index), masked)
    survivors = server.close_masked()
    for index in (1, 2, 4):
        server.receive_consent(world.name(index), swapped(index).answer_survivors(survivors))
    request = server.close_consent()
    for index in (1, 2, 4):
        server.receive_release(world.name(index), swapped(index).answer_unmask(request))
    assert np.array_equal(signed(server.unmask()), world.plain_sum([1, 2, 4]))


def test_a_saved_round_is_taken_up_by_its_own_site_only() -> None:
    world = make_world(3)
    client = world.sites[0].client()
    client.answer_offer(SecureSumServer(world.terms, world.sites[0].verifier).offer())
    with pytest.raises(SecureSumError, match="belongs to client 1"):
        world.sites[1].client().restore(client.export_secrets())


def test_secrets_are_overwritten_at_the_end_and_after_a_lie() -> None:
    world = make_world(3)
    client = world.sites[0].client()
    client.answer_offer(SecureSumServer(world.terms, world.sites[0].verifier).offer())
    state = client._state
    assert state is not None
    assert any(state.mask_private)
    with pytest.raises(SecureSumError):
        client.answer_unmask(UnmaskRequest(world.terms.digest, ()))
    assert not any(state.mask_private + state.sealing_private + state.seed)
    assert state.held == {}
    with pytest.raises(SecureSumError, match="no round is under way"):
        client.export_secrets()


def test_masking_happens_in_the_vector_that_was_passed() -> None:
    """No plain copy of the encoded update stays behind at the site."""
    world = make_world(3, dimension=64)
    server = SecureSumServer(world.terms, world.sites[0].verifier)
    clients = {index: site.client() for index, site in enumerate(world.sites, start=1)}
    for index, client in clients.items():
        server.receive_keys(world.name(index), client.answer_offer(server.offer()))
    roster = server.close_keys()
    for index, client in clients.items():
        server.receive_shares(world.name(index), client.answer_keys(roster))
    vector = world.vector(1)
    masked = clients[1].answer_sealed_shares(
        server.close_shares()[world.name(1)], vector, trained_from=world.terms.model_sha256
    )
    assert masked.vector is vector
    assert not np.any(vector == world.vector(1))


@pytest.mark.parametrize("n", [3, 8])
def test_memory_is_one_vector_at_the_server_and_none_more_at_a_site(n: int) -> None:
    """Peaks in vectors, on top of what was handed in: the encoded update at a site, one message at the server."""
    dimension = 1_000_000
    world = make_world(n, dimension=dimension, ring_bits=32)
    server = SecureSumServer(world.terms, world.sites[0].verifier)
    clients = {index: site.client() for index, site in enumerate(world.sites, start=1)}
    for index, client in clients.items():
        server.receive_keys(world.name(index), client.answer_offer(server.offer()))
    roster = server.close_keys()
    for index, client in clients.items():
        server.receive_shares(world.name(index), client.answer_keys(roster))
    at_sites, at_server = 0.0, 0.0
    with peak_in_vectors(dimension) as peak:
        sealed_shares = server.close_shares()
    at_server = max(at_server, peak[0])
    for index, client in clients.items():
        vector, message = world.vector(index), sealed_shares[world.name(index)]
        with peak_in_vectors(dimension) as peak:
            masked = client.answer_sealed_shares(message, vector, trained_from=world.terms.model_sha256)
        at_sites = max(at_sites, peak[0])
        with peak_in_vectors(dimension) as peak:
            server.receive_masked(world.name(index), masked)
        at_server = max(at_server, 1 + peak[0])
    survivors = server.close_masked()
    for index, client in clients.items():
        server.receive_consent(world.name(index), client.answer_survivors(survivors))
    request = server.close_consent()
    for index, client in clients.items():
        server.receive_release(world.name(index), client.answer_unmask(request))
    with peak_in_vectors(dimension) as peak:
        total = server.unmask()
    at_server = max(at_server, 1 + peak[0])
    assert np.array_equal(signed(total), world.plain_sum(range(1, n + 1)))
    assert at_sites < 0.1
    assert at_server < 1.1


@contextmanager
def peak_in_vectors(dimension: int) -> Iterator[list[float]]:
    """What Python and numpy allocate at most inside the block, in vectors of 32-bit words."""
    peak = [0.0]
    tracemalloc.start()
    try:
        yield peak
        peak[0] = tracemalloc.get_traced_memory()[1] / (4 * dimension)
    finally:
        tracemalloc.stop()


def test_a_site_may_not_speak_for_another() -> None:
    world = make_world(3)
    server = SecureSumServer(world.terms, world.sites[0].verifier)
    advert = world.sites[0].client().answer_offer(server.offer())
    with pytest.raises(SecureSumError, match="not its own"):
        server.receive_keys(world.name(2), advert)
    with pytest.raises(SecureSumError, match="not its own"):
        server.receive_keys("stranger", advert)
    assert server.awaited == ("site-001", "site-002", "site-003")


def test_messages_of_another_attempt_are_refused() -> None:
    world = make_world(3)
    late = world.sites[0].client().answer_offer(wired(SecureSumServer(world.terms, world.sites[0].verifier).offer()))
    again = make_world(3, attempt=1)
    with pytest.raises(SecureSumError, match="context"):
        SecureSumServer(again.terms, again.sites[0].verifier).receive_keys("site-001", late)


@pytest.mark.parametrize(("n", "threshold"), [(2, 2), (1, 1), (3, 2), (4, 2), (5, 3), (10, 6), (50, 33)])
def test_server_refuses_small_cohorts_and_low_thresholds(n: int, threshold: int) -> None:
    world = make_world(n, threshold=threshold)
    with pytest.raises(ConfigError, match="expected at least"):
        SecureSumServer(world.terms, world.sites[0].verifier)


def test_control_messages_stay_under_100_kb_a_client_at_50_sites() -> None:
    """Measured with X.509 certificates and RSA-2048 signatures; the masked vector itself is not counted."""
    authority = Authority()
    drafts = [
        Site(
            f"site-{index:03d}",
            np.arange(2),
            limits_for_tests(),
            authority.signer(f"site-{index:03d}", key_label="one"),
        )
        for index in range(1, 51)
    ]
    terms = make_terms(drafts, 2)
    pinned = {member.name: member.fingerprint for member in terms.roster}
    limits = SiteLimits(terms.layout_digest, terms.model_sha256, 1.0, pinned)
    verifier = authority.verifier()
    world = World(terms, [replace(site, limits=limits, verifier=verifier) for site in drafts])
    traffic = Traffic()
    assert np.array_equal(run_round(world, {50: Step.MASKED}, on_wire=traffic), world.plain_sum(range(1, 50)))
    assert traffic.control / 50 < 100_000


class Traffic:
    """Adds up the bytes of all messages but the masked vectors."""

    def __init__(self) -> None:
        self.control = 0

    def __call__(self, message: Message) -> None:
        self.control += 0 if isinstance(message, MaskedUpdate) else len(message.to_bytes())


def test_importing_the_protocol_loads_no_heavy_library() -> None:
    code = (
        "import sys; import ecg_flare.privacy.secure_sum.client, ecg_flare.privacy.secure_sum.server; "
        "heavy = ('torch', 'scipy', 'nvflare', 'nnunetv2', 'monai', 'tenseal', 'opacus', 'cv2'); "
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
