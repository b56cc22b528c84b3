"""A small federation in memory: sites with throw-away keys, a server, and messages that pass as bytes."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

import numpy as np

from ecg_flare.privacy.secure_sum.client import SecureSumClient
from ecg_flare.privacy.secure_sum.context import Member, SumContext, min_threshold
from ecg_flare.privacy.secure_sum.limits import SiteLimits
from ecg_flare.privacy.secure_sum.memory import Step, VolatileRoundMemory
from ecg_flare.privacy.secure_sum.messages import Message
from ecg_flare.privacy.secure_sum.recovered_sums import VolatileModelMemory
from ecg_flare.privacy.secure_sum.server import SecureSumServer
from ecg_flare.privacy.secure_sum.signing import Signer, TestSigner, TestVerifier, Verifier, fingerprint

MODEL = bytes(range(32))
LAYOUT = bytes(range(32, 64))
NEVER = 5
RING_BITS = 32
"""Of the worlds whose terms say nothing else; the fixture `every_ring` puts each width in its place."""

M = TypeVar("M", bound=Message)


@dataclass
class Site:
    """A site of the federation: its identity, its memory and the integers that it would send."""

    name: str
    plain: np.ndarray
    limits: SiteLimits
    signer: Signer = field(default_factory=TestSigner)
    verifier: Verifier = field(default_factory=TestVerifier)
    memory: VolatileRoundMemory = field(default_factory=VolatileRoundMemory)
    models: VolatileModelMemory = field(default_factory=VolatileModelMemory)

    def client(self) -> SecureSumClient:
        return SecureSumClient(self.name, self.limits, self.signer, self.verifier, self.memory, self.models)

    def fork(self, client: SecureSumClient) -> tuple[Site, SecureSumClient]:
        """The same site a second time, with its own copy of memory and secrets."""
        site = replace(self, memory=copy.deepcopy(self.memory), models=copy.deepcopy(self.models))
        twin = site.client()
        if client.next_step is not None:
            twin.restore(client.export_secrets())
        return site, twin


@dataclass
class World:
    """Terms and the sites that they name, in the order of the indices."""

    terms: SumContext
    sites: list[Site]

    def vector(self, index: int) -> np.ndarray:
        return self.sites[index - 1].plain.astype(self.terms.word)

    def name(self, index: int) -> str:
        return self.terms.member(index).name

    def plain_sum(self, indices: Sequence[int]) -> np.ndarray:
        return np.sum([self.sites[index - 1].plain for index in indices], axis=0)


def limits_for_tests(**changes: object) -> SiteLimits:
    settings: dict[str, object] = {
        "layout_digest": LAYOUT,
        "expected_model_sha256": MODEL,
        "max_clipping_norm": 1.0,
        "pinned": None,
        "allow_test_mode": True,
    }
    return SiteLimits(**{**settings, **changes})  # type: ignore[arg-type]


def make_terms(sites: Sequence[Site], dimension: int, **changes: object) -> SumContext:
    settings: dict[str, object] = {
        "job": "job",
        "round": 0,
        "attempt": 0,
        "roster": tuple(Member(site.name, fingerprint(site.signer.certificate)) for site in sites),
        "threshold": min_threshold(len(sites)),
        "ring_bits": RING_BITS,
        "dimension": dimension,
        "scale": 1 << 20,
        "clipping_norm": 1.0,
        "weights": (1.0,) * len(sites),
        "dp": "",
        "layout_digest": LAYOUT,
        "model_sha256": MODEL,
        "test_mode": sites[0].signer.test_mode,
    }
    return SumContext(**{**settings, **changes})  # type: ignore[arg-type]


def make_world(n: int, *, dimension: int = 4, seed: int = 0, **terms: object) -> World:
    rng = np.random.default_rng(seed)
    top = 1 << (int(terms.get("ring_bits", RING_BITS)) - 1)  # type: ignore[call-overload]
    sites = [
        Site(f"site-{index:03d}", rng.integers(-top // n, top // n, size=dimension), limits_for_tests())
        for index in range(1, n + 1)
    ]
    return World(make_terms(sites, dimension, **terms), sites)


def wired(message: M, on_wire: Callable[[Message], None] | None = None) -> M:
    """The message as it arrives: through its bytes and back."""
    if on_wire is not None:
        on_wire(message)
    return type(message).from_bytes(message.to_bytes())  # type: ignore[return-value]


def signed(total: np.ndarray) -> np.ndarray:
    """Ring elements as the integers that they stand for."""
    return total.view(np.dtype(f"<i{total.dtype.itemsize}")).astype(np.int64)


def run_round(
    world: World, drops: Mapping[int, int] | None = None, on_wire: Callable[[Message], None] | None = None
) -> np.ndarray:
    """A whole round; index s falls silent from step drops[s] on. Gives the recovered integers."""
    until = dict.fromkeys(range(1, world.terms.sites + 1), NEVER) | dict(drops or {})
    server = SecureSumServer(world.terms, world.sites[0].verifier)
    clients = {index: world.sites[index - 1].client() for index in until}

    def pass_on(message: M) -> M:
        return wired(message, on_wire)

    def alive(step: Step) -> list[int]:
        return [index for index in until if until[index] > step]

    for index in alive(Step.KEYS):
        server.receive_keys(world.name(index), pass_on(clients[index].answer_offer(pass_on(server.offer()))))
    roster = server.close_keys()
    for index in alive(Step.SHARES):
        server.receive_shares(world.name(index), pass_on(clients[index].answer_keys(pass_on(roster))))
    sealed_shares = server.close_shares()
    for index in alive(Step.MASKED):
        sealed = pass_on(sealed_shares[world.name(index)])
        masked = clients[index].answer_sealed_shares(sealed, world.vector(index), trained_from=world.terms.model_sha256)
        server.receive_masked(world.name(index), pass_on(masked))
    survivors = server.close_masked()
    for index in alive(Step.CONSENT):
        server.receive_consent(world.name(index), pass_on(clients[index].answer_survivors(pass_on(survivors))))
    request = server.close_consent()
    for index in alive(Step.UNMASK):
        server.receive_release(world.name(index), pass_on(clients[index].answer_unmask(pass_on(request))))
    return signed(server.unmask())
