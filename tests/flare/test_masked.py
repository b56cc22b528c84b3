"""Secure aggregation over FLARE's messages, without FLARE's processes."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from masked_sites import PLAN, TERMS, D, Site
from memory_ask import MemoryAsk, unchanged
from nvflare.apis.fl_constant import ReturnCode
from nvflare.apis.shareable import Shareable, make_reply

from ecg_flare.errors import ConfigError, PolicyError, RoundError
from ecg_flare.federated.round import RoundResult
from ecg_flare.federated.terms import JobTerms
from ecg_flare.flare.job.messages import TRAIN, TrainRequest
from ecg_flare.flare.job.terms import check_job, hidden_weight
from ecg_flare.flare.server.aggregators import FedAvg
from ecg_flare.flare.site.policy import POLICY_FILE, SitePolicy
from ecg_flare.flare.summation.collection import CollectionSetup
from ecg_flare.flare.summation.masked.messages import SHARES, UNMASK, pack_masked, unpack_masked
from ecg_flare.flare.summation.masked.server import MaskedCollection
from ecg_flare.privacy.secure_sum.messages import MaskedUpdate
from flat_terms import varied

Change = Callable[[str, str, Shareable], Shareable]


class Asking(MemoryAsk):
    """Asks the sites in turn and counts, after each step, the secrets on their disks."""

    def __init__(self, context: Callable[..., Any], change: Change = unchanged) -> None:
        super().__init__({name: Site(name, context) for name in TERMS.roster}, change, strict=True)
        self.secrets_on_disk: dict[str, int] = {}

    def __call__(
        self,
        task_name: str,
        messages: Mapping[str, Shareable],
        receive: Callable[[str, Shareable], None],
        **how_long: object,
    ) -> tuple[str, ...]:
        counted = super().__call__(task_name, messages, receive)
        files = [path for one in self.sites.values() for path in one.root.rglob("*secrets*")]
        assert all(path.stat().st_mode & 0o777 == 0o600 for path in files)
        self.secrets_on_disk[task_name] = len(files)
        return counted


def collect(asking: Asking, terms: JobTerms = TERMS) -> RoundResult:
    request = TrainRequest(np.zeros(D, np.float32), 0, "a" * 32, PLAN.layout_digest, PLAN.hash, terms.digest)
    workspace = next(iter(asking.sites.values())).fl_ctx.get_engine().get_workspace()
    open_round = FedAvg().open(request, terms)
    MaskedCollection(CollectionSetup(workspace, terms, print, print)).collect(request, terms, open_round, asking)
    return open_round.close()


def test_the_sum_is_exact_and_no_secret_outlives_its_round(context: Callable[..., Any]) -> None:
    asking = Asking(context)
    coordinate = int(0.5 / np.sqrt(D) * 2**24)
    assert collect(asking).summed == pytest.approx(np.full(D, 3 * coordinate), abs=3)
    assert asking.secrets_on_disk["sum_keys"] == 3
    assert asking.secrets_on_disk[UNMASK] == 0


@pytest.mark.parametrize(("ring_bits", "near"), [(8, 0.05), (16, 3e-4)])
def test_narrow_words_bring_the_same_mean_in_fewer_bytes(
    context: Callable[..., Any], ring_bits: int, near: float
) -> None:
    terms, sizes = varied(TERMS, ring_bits=ring_bits), []

    def weighed(task: str, site: str, answer: Shareable) -> Shareable:
        if task == TRAIN:
            sizes.append(unpack_masked(answer).vector.nbytes)
        return answer

    asking = Asking(context, weighed)
    asking.sites = {site: Site(site, context, terms=terms) for site in terms.roster}
    model = collect(asking, terms).model
    assert np.linalg.norm(model - 0.5 / np.sqrt(D)) < near
    assert sizes == [D * ring_bits // 8] * 3
    assert asking.secrets_on_disk[UNMASK] == 0


def test_a_sum_that_its_sites_cannot_have_given_loses_the_round_not_the_job(context: Callable[..., Any]) -> None:
    """A faulty site's numbers outgrow the bound behind the masks, where only the unmasked sum shows it."""

    def too_much(task: str, site: str, answer: Shareable) -> Shareable:
        if (task, site) != (TRAIN, "site-2"):
            return answer
        masked = unpack_masked(answer)
        return pack_masked(MaskedUpdate(masked.context, masked.sender, masked.vector + np.uint32(2**30)))

    with pytest.raises(RoundError, match="its sum is not used"):
        collect(Asking(context, too_much))


@pytest.mark.parametrize("ring_bits", [8, 16])
def test_what_a_site_changes_in_narrow_words_is_refused_or_no_longer_than_all_updates(
    context: Callable[..., Any], ring_bits: int
) -> None:
    """The sum's coordinates fill a narrow ring nearly, so that its norm must tell a wrong sum from a right one."""
    terms = varied(TERMS, ring_bits=ring_bits)

    def summed(change: Callable[[np.ndarray], np.ndarray]) -> RoundResult:
        def changed(task: str, site: str, answer: Shareable) -> Shareable:
            if (task, site) != (TRAIN, "site-2"):
                return answer
            masked = unpack_masked(answer)
            return pack_masked(MaskedUpdate(masked.context, masked.sender, change(masked.vector)))

        asking = Asking(context, changed)
        asking.sites = {site: Site(site, context, terms=terms) for site in terms.roster}
        return collect(asking, terms)

    rng = np.random.default_rng(5)

    def nudged(vector: np.ndarray) -> np.ndarray:
        """Few coordinates, by what no coordinate of a sum of clipped updates shows."""
        few = np.zeros_like(vector)
        few[rng.choice(D, 12, replace=False)] = 2 ** (ring_bits - 1) // 4
        return vector + few

    def garbage(vector: np.ndarray) -> np.ndarray:
        return rng.integers(0, 2**ring_bits, D).astype(vector.dtype)

    model = summed(nudged).model
    assert np.linalg.norm(model) <= 1.0
    assert np.linalg.norm(model - 0.5 / np.sqrt(D)) > 0.001
    with pytest.raises(RoundError, match="its sum is not used"):
        summed(garbage)


HIDDEN = varied(TERMS, max_weight=40)
PAGES = {"site-1": 5, "site-2": 40, "site-3": 12}
SCALES = {"site-1": 1.0, "site-2": -0.25, "site-3": 0.5}


def hidden(
    context: Callable[..., Any],
    pages: Mapping[str, int] = PAGES,
    change: Change = unchanged,
    scales: Mapping[str, float] = SCALES,
) -> RoundResult:
    asking = Asking(context, change)
    for site in HIDDEN.roster:
        root = asking.sites[site].root
        (root / "local" / POLICY_FILE).write_text('{"hidden_weights": true}', encoding="utf-8")
    asking.sites = {s: Site(s, context, terms=HIDDEN, pages=pages[s], scale=scales[s]) for s in HIDDEN.roster}
    return collect(asking, HIDDEN)


def test_hidden_weights_give_the_weighted_mean_and_only_their_total_is_recovered(context: Callable[..., Any]) -> None:
    """FedAvg's own weights (McMahan et al. 2017), n_k / n, with n_k behind the masks."""
    model = hidden(context).model
    expected = sum(PAGES[site] * SCALES[site] for site in PAGES) / sum(PAGES.values()) / np.sqrt(D)
    assert model == pytest.approx(np.full(D, expected), abs=4 * 2.0**-24)


def test_pages_become_a_weight_within_the_public_bound_and_nothing_is_said_of_them() -> None:
    coarse = varied(HIDDEN, pages_per_weight=50)
    assert [hidden_weight(coarse, pages) for pages in (1, 50, 120, 2000, 90_000)] == [1, 1, 2, 40, 40]
    assert hidden_weight(TERMS, 50) == 0


def test_a_site_that_claims_less_weight_than_it_used_is_found_out(context: Callable[..., Any]) -> None:
    """Hidden in the total, its claim would shrink the denominator of everybody's mean."""

    def lighter(task: str, site: str, answer: Shareable) -> Shareable:
        if (task, site) != (TRAIN, "site-2"):
            return answer
        masked = unpack_masked(answer)
        masked.vector[-1] -= np.uint32(39)
        return pack_masked(masked)

    with pytest.raises(RoundError, match="above the bound"):
        hidden(context, dict.fromkeys(PAGES, 40), change=lighter, scales=dict.fromkeys(PAGES, 1.0))


def test_a_site_takes_part_in_hidden_weights_only_where_its_policy_says_so(context: Callable[..., Any]) -> None:
    with pytest.raises(PolicyError, match="hidden_weights=False"):
        SitePolicy().check(HIDDEN)
    SitePolicy(hidden_weights=True).check(HIDDEN)


def test_an_aborted_round_leaves_no_secret(context: Callable[..., Any]) -> None:
    def silent(task: str, site: str, answer: Shareable) -> Shareable:
        return answer if (task, site) != (SHARES, "site-2") else make_reply(ReturnCode.EXECUTION_EXCEPTION)

    asking = Asking(context, silent)
    asking.strict = False
    with pytest.raises(RoundError, match="nothing was recovered"):
        collect(asking)
    assert asking.secrets_on_disk[SHARES] > 0
    assert asking.secrets_on_disk[UNMASK] == 0


def test_weights_that_no_sites_can_have_lose_the_round(context: Callable[..., Any]) -> None:
    def heavier(task: str, site: str, answer: Shareable) -> Shareable:
        if (task, site) != (TRAIN, "site-2"):
            return answer
        masked = unpack_masked(answer)
        masked.vector[-1] += np.uint32(200)
        return pack_masked(masked)

    with pytest.raises(RoundError, match="weights of 3 sites add up to 257"):
        hidden(context, change=heavier)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"noise_multiplier": 1.0, "epsilon_budget": 8.0}, "promises privacy"),
        ({"summation": "plain"}, "cannot hide weights"),
        ({"summation": "encrypted"}, "cannot hide weights"),
        ({"max_weight": 0}, "max_weight is 0"),
        ({"max_weight": 189}, "expected at most 188"),
        ({"pages_per_weight": 0}, "pages_per_weight is 0"),
        ({"weights": dict.fromkeys("abcd", 1.0)}, "two sets of sites"),
        ({"weights": {**TERMS.weights, "site-1": 2.0}}, "weight of 1"),
    ],
)
def test_hidden_weights_are_refused_where_they_would_break_a_promise(changes: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        check_job(varied(HIDDEN, **changes))
