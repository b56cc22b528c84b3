"""The secure sum over FLARE's messages, without FLARE's processes."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from masked_sites import PLAN, TERMS, D, Site
from nvflare.apis.shareable import Shareable

from ecg_flare.errors import ConfigError, RoundError
from ecg_flare.flare.aggregators import FedAvg
from ecg_flare.flare.masked_collection import MaskedCollection
from ecg_flare.flare.messages import TRAIN, Order
from ecg_flare.flare.secure_messages import UNMASK, pack_masked, unpack_masked
from ecg_flare.flare.terms import RoundTerms
from ecg_flare.privacy.secure_sum.messages import MaskedUpdate

Change = Callable[[str, str, Shareable], Shareable]


def unchanged(task: str, site: str, answer: Shareable) -> Shareable:
    return answer


class Asking:
    """Asks the sites in turn; `change` may alter an answer on its way."""

    def __init__(self, context: Callable[..., Any], change: Change = unchanged) -> None:
        self.sites = {name: Site(name, context) for name in TERMS.roster}
        self.secrets_on_disk: dict[str, int] = {}
        self._change = change

    def __call__(
        self, task_name: str, messages: Mapping[str, Shareable], receive: Callable[..., None], *, enough: int
    ) -> tuple[str, ...]:
        for site, message in messages.items():
            receive(site, self._change(task_name, site, self.sites[site].answer(task_name, message)))
        files = [path for one in self.sites.values() for path in one.root.rglob("*secrets*")]
        assert all(path.stat().st_mode & 0o777 == 0o600 for path in files)
        self.secrets_on_disk[task_name] = len(files)
        return tuple(messages)


def collect(asking: Asking, terms: RoundTerms = TERMS) -> FedAvg:
    order = Order(np.zeros(D, np.float32), 0, "a" * 32, PLAN.layout_digest, PLAN.hash, terms.digest)
    workspace = next(iter(asking.sites.values())).fl_ctx.get_engine().get_workspace()
    aggregator = FedAvg()
    MaskedCollection(workspace, "job-1", lambda line: None).collect(order, terms, aggregator, asking)
    return aggregator


def test_the_sum_is_exact_and_no_secret_outlives_its_round(context: Callable[..., Any]) -> None:
    asking = Asking(context)
    summed = collect(asking).aggregate(SimpleNamespace())
    coordinate = int(0.5 / np.sqrt(D) * 2**24)
    assert summed["DXO"]["data"]["sum"] == pytest.approx(np.full(D, 3 * coordinate), abs=3)
    assert asking.secrets_on_disk["sum_keys"] == 3
    assert asking.secrets_on_disk[UNMASK] == 0


def test_a_sum_that_its_sites_cannot_have_given_loses_the_round_not_the_job(context: Callable[..., Any]) -> None:
    """A faulty site's numbers outgrow the bound behind the masks, where only the opened sum shows it."""

    def too_much(task: str, site: str, answer: Shareable) -> Shareable:
        if (task, site) != (TRAIN, "site-2"):
            return answer
        masked = unpack_masked(answer)
        return pack_masked(MaskedUpdate(masked.context, masked.sender, masked.vector + np.uint32(2**30)))

    with pytest.raises(RoundError, match="its sum is not used"):
        collect(Asking(context, too_much))


HIDDEN = replace(TERMS, most_weight=40)
PAGES = {"site-1": 5, "site-2": 40, "site-3": 12}
SCALES = {"site-1": 1.0, "site-2": -0.25, "site-3": 0.5}


def hidden(context: Callable[..., Any], pages: Mapping[str, int] = PAGES, change: Change = unchanged) -> FedAvg:
    asking = Asking(context, change)
    asking.sites = {s: Site(s, context, terms=HIDDEN, pages=pages[s], scale=SCALES[s]) for s in HIDDEN.roster}
    return collect(asking, HIDDEN)


def test_hidden_weights_give_the_weighted_mean_and_only_their_total_is_opened(context: Callable[..., Any]) -> None:
    """FedAvg's own weights (McMahan et al. 2017), n_k / n, with n_k behind the masks."""
    aggregator = hidden(context)
    summed = aggregator.aggregate(SimpleNamespace())
    assert summed["DXO"]["meta"]["denominator"] == sum(PAGES.values()) / 40
    model, _ = aggregator.step(np.zeros(D, np.float32), summed, aggregator.initial_state(D))
    expected = sum(PAGES[site] * SCALES[site] for site in PAGES) / sum(PAGES.values()) / np.sqrt(D)
    assert model == pytest.approx(np.full(D, expected), abs=4 * 2.0**-24)


@pytest.mark.parametrize("pages", [0, 41])
def test_a_site_beyond_the_public_bound_masks_nothing(context: Callable[..., Any], pages: int) -> None:
    with pytest.raises(ConfigError, match=f"{pages} training pages"):
        hidden(context, {**PAGES, "site-1": pages})


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
        ({"summation": "plain"}, "needs summation 'masked'"),
        ({"summation": "encrypted"}, "needs summation 'masked'"),
        ({"most_weight": 0}, "most_weight=0"),
        ({"weights": {**TERMS.weights, "site-1": 2.0}}, "weight of 1"),
    ],
)
def test_hidden_weights_are_refused_where_they_would_break_a_promise(changes: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        replace(HIDDEN, **changes)
