"""Whoever falls silent at whatever step: the exact sum of those who did not, or nothing."""

from __future__ import annotations

import copy
import itertools

import numpy as np
import pytest
from secure_sum_world import NEVER, Site, World, make_world, run_round, signed

from ecg_flare.errors import SecureSumError
from ecg_flare.privacy.secure_sum.client import SecureSumClient
from ecg_flare.privacy.secure_sum.memory import Step
from ecg_flare.privacy.secure_sum.server import SecureSumServer

pytestmark = pytest.mark.usefixtures("every_ring")


class Exploration:
    """Walks every subset of answers at every step, and counts how the rounds end."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.recovered = 0
        self.aborted = 0

    def run(self) -> None:
        server = SecureSumServer(self.world.terms, self.world.sites[0].verifier)
        sites = {index: (site, site.client()) for index, site in enumerate(self.world.sites, start=1)}
        offers = {index: server.offer() for index in sites}
        self._step(Step.KEYS, server, sites, offers)

    def _step(
        self,
        step: Step,
        server: SecureSumServer,
        sites: dict[int, tuple[Site, SecureSumClient]],
        asked: dict[int, object],
    ) -> None:
        answers = {index: self._answer(step, client, index, asked[index]) for index, (_, client) in sites.items()}
        for size in range(len(sites) + 1):
            for alive in itertools.combinations(sites, size):
                fork = copy.deepcopy(server)
                for index in alive:
                    self._deliver(step, fork, index, answers[index])
                if size < self.world.terms.threshold:
                    self._expect_abort(step, fork)
                    continue
                if step is Step.UNMASK:
                    self._expect_sum(fork)
                    continue
                following = self._close(step, fork, alive)
                self._step(
                    Step(step + 1), fork, {index: sites[index][0].fork(sites[index][1]) for index in alive}, following
                )

    def _answer(self, step: Step, client: SecureSumClient, index: int, message: object) -> object:
        if step is Step.MASKED:
            vector = self.world.vector(index)
            return client.answer_sealed_shares(message, vector, trained_from=self.world.terms.model_sha256)  # type: ignore[arg-type]
        names = {Step.KEYS: "offer", Step.SHARES: "keys", Step.CONSENT: "survivors", Step.UNMASK: "unmask"}
        return getattr(client, f"answer_{names[step]}")(message)

    def _deliver(self, step: Step, server: SecureSumServer, index: int, answer: object) -> None:
        names = ("keys", "shares", "masked", "consent", "release")
        getattr(server, f"receive_{names[step]}")(self.world.name(index), answer)

    def _close(self, step: Step, server: SecureSumServer, alive: tuple[int, ...]) -> dict[int, object]:
        if step is Step.SHARES:
            sealed_shares = server.close_shares()
            return {index: sealed_shares[self.world.name(index)] for index in alive}
        message = getattr(server, f"close_{('keys', '', 'masked', 'consent')[step]}")()
        return dict.fromkeys(alive, message)

    def _expect_abort(self, step: Step, server: SecureSumServer) -> None:
        close = (
            server.unmask
            if step is Step.UNMASK
            else getattr(server, ("close_keys", "close_shares", "close_masked", "close_consent")[step])
        )
        with pytest.raises(SecureSumError, match="recovers nothing"):
            close()
        assert server.step is None
        self.aborted += 1

    def _expect_sum(self, server: SecureSumServer) -> None:
        survivors = [self.world.terms.index_of(name) for name in server.survivors]
        assert np.array_equal(signed(server.unmask()), self.world.plain_sum(survivors))
        self.recovered += 1


def _chains(sites: int, threshold: int, steps: int) -> int:
    """Number of shrinking chains of `steps` sets that each keep at least `threshold` of `sites`."""
    if steps == 0:
        return 1
    subsets = (set(c) for k in range(threshold, sites + 1) for c in itertools.combinations(range(sites), k))
    return sum(_chains(len(subset), threshold, steps - 1) for subset in subsets)


@pytest.mark.parametrize(("n", "threshold"), [(3, 3), (4, 3), (4, 4), (5, 4), (5, 5)])
def test_every_subset_of_dropouts_at_every_step(n: int, threshold: int) -> None:
    exploration = Exploration(make_world(n, threshold=threshold, dimension=3))
    exploration.run()
    assert exploration.recovered == _chains(n, threshold, 5)
    assert exploration.aborted > exploration.recovered


@pytest.mark.parametrize(("n", "rounds"), [(10, 8), (50, 2)])
def test_random_dropouts_in_larger_cohorts(n: int, rounds: int) -> None:
    rng = np.random.default_rng(n)
    for number in range(rounds):
        world = make_world(n, seed=number)
        gone = rng.choice(n, size=n - world.terms.threshold + number % 2, replace=False) + 1
        drops = {int(index): int(rng.integers(0, 5)) for index in gone}
        if len(drops) > n - world.terms.threshold:
            with pytest.raises(SecureSumError, match="recovers nothing"):
                run_round(world, drops)
            continue
        recovered = [index for index in range(1, n + 1) if drops.get(index, NEVER) > Step.MASKED]
        assert np.array_equal(run_round(world, drops), world.plain_sum(recovered))
