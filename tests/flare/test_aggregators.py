"""The adapters give the numbers of the round in memory, whatever the order of arrival."""

from collections.abc import Callable
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from nvflare.apis.dxo import from_shareable
from nvflare.apis.fl_constant import ReturnCode
from nvflare.apis.shareable import make_reply

from ecg_flare.errors import ConfigError, PrivacyError, UpdateError
from ecg_flare.federated import optimizers, robust
from ecg_flare.federated.round import contribution
from ecg_flare.federated.terms import JobTerms
from ecg_flare.flare.job.messages import TrainRequest, TrainResult
from ecg_flare.flare.server import aggregators
from ecg_flare.flare.server import robust as robust_aggregators
from ecg_flare.flare.server.aggregators import UpdateAggregator
from ecg_flare.flare.server.mechanism import GaussianMechanism
from ecg_flare.flare.server.policy import LEDGER_FILE
from ecg_flare.privacy.ledger import verify
from flat_terms import flat_terms, round_in_memory

WEIGHTS = {"site-1": 1.0, "site-2": 0.5, "site-3": 2.0}
D = 200
PAIRS = [
    (aggregators.FedAvg(), optimizers.FedAvg()),
    (aggregators.FedProx(0.5), optimizers.FedAvg(0.5)),
    (aggregators.FedAvgM(0.5), optimizers.FedAvgM(0.5)),
    (aggregators.FedAdam(0.1), optimizers.FedAdam(0.1)),
    (aggregators.FedYogi(0.1), optimizers.FedYogi(0.1)),
    (aggregators.FedAdagrad(0.1), optimizers.FedAdagrad(learning_rate=0.1)),
]


def update(site: str, round_index: int) -> np.ndarray:
    rng = np.random.default_rng([int(site[-1]), round_index])
    return rng.standard_normal(D).astype(np.float32)


def request(model: np.ndarray, round_index: int) -> TrainRequest:
    return TrainRequest(model, round_index, "ab" * 16, "layout", "plan", "terms")


def answer(site: str, terms: JobTerms, round_index: int, /, **changes: Any) -> TrainResult:
    vector = contribution(update(site, round_index), terms.weights[site], terms, D)
    return TrainResult(
        **{"vector": vector, "round_index": round_index, "attempt": "ab" * 16, "layout_digest": "layout"} | changes
    )


def play(aggregator: UpdateAggregator, terms: JobTerms, arrivals: list[tuple[str, ...]]) -> np.ndarray:
    model = np.ones(D, np.float32)
    state = aggregator.initial_state(D)
    for index, sites in enumerate(arrivals):
        opened = aggregator.open(request(model, index), terms, state)
        for site in sites:
            opened.add(site, answer(site, terms, index))
        result = opened.close()
        model, state = result.model, result.state.to_arrays()
    return model


@pytest.mark.parametrize(("adapter", "step"), PAIRS)
@pytest.mark.parametrize("clipping_norm", [None, 3.0])
def test_two_rounds_equal_the_round_in_memory(
    adapter: UpdateAggregator, step: Any, clipping_norm: float | None
) -> None:
    terms = flat_terms(WEIGHTS, rounds=2, min_sites=1, clipping_norm=clipping_norm)
    model, state = np.ones(D, np.float32), step.init(D)
    for index in range(2):
        sites = {site: lambda model, i, site=site: update(site, i) for site in WEIGHTS}
        result = round_in_memory(model, state, sites, terms, step, round_index=index)
        model, state = result.model, result.state
    for arrival in permutations(WEIGHTS):
        assert play(adapter, terms, [arrival, arrival[::-1]]) == pytest.approx(model, rel=1e-6)


def test_who_does_not_answer_is_left_out_of_the_mean() -> None:
    terms = flat_terms(WEIGHTS, rounds=1, min_sites=1)
    moved = play(aggregators.FedAvg(), terms, [("site-1", "site-3")])
    expected = 1 + (update("site-1", 0).astype(float) + 2 * update("site-3", 0)) / 3
    assert moved == pytest.approx(expected, rel=1e-6)


def test_a_private_mean_is_over_the_roster_whoever_answers(tmp_path: Path) -> None:
    terms = flat_terms(WEIGHTS, min_sites=1, clipping_norm=50.0, noise_multiplier=1e-3, epsilon_budget=1e7)
    ledger = GaussianMechanism().open(terms, D, tmp_path)
    opened = aggregators.FedAvg().open(request(np.ones(D, np.float32), 0), terms, None, ledger.begin("job", 0))
    opened.add("site-3", answer("site-3", terms, 0))
    result = opened.close()
    expected = 1 + 2 * update("site-3", 0).astype(float) / 3.5
    assert np.abs(result.model - expected).max() < 6 * 1e-3 * 50 * 2 / 3.5  # sigma C max(w) / sum(w)
    opened.release(result.model, result)
    assert verify(tmp_path / LEDGER_FILE).rounds[0].released
    ledger.close()


def test_a_private_round_does_not_close_without_its_noise() -> None:
    terms = flat_terms(WEIGHTS, min_sites=1, clipping_norm=50.0, noise_multiplier=1.0, epsilon_budget=9.0)
    opened = aggregators.FedAvg().open(request(np.ones(D, np.float32), 0), terms)
    opened.add("site-3", answer("site-3", terms, 0))
    with pytest.raises(PrivacyError, match="no noise was given"):
        opened.close()


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"attempt": "cd" * 16}, "cdcdcdcd"),
        ({"round_index": 7}, "round 7"),
        ({"layout_digest": "other"}, "other"),
        ({"vector": np.zeros(D - 1, np.float32)}, "199"),
        ({"vector": np.full(D, np.nan, np.float32)}, "not finite"),
        ({"vector": np.zeros(D, np.int32)}, "encoded"),
    ],
)
def test_a_bad_update_is_refused_and_leaves_the_sum_as_it_was(changes: dict[str, Any], named: str) -> None:
    terms = flat_terms(WEIGHTS, rounds=1, min_sites=1)
    opened = aggregators.FedAvg().open(request(np.ones(D, np.float32), 0), terms)
    opened.add("site-1", answer("site-1", terms, 0))
    with pytest.raises(UpdateError, match=named):
        opened.add("site-2", answer("site-2", terms, 0, **changes))
    with pytest.raises(UpdateError, match="already"):
        opened.add("site-1", answer("site-1", terms, 0))
    with pytest.raises(UpdateError, match="site-9"):
        opened.add("site-9", answer("site-1", terms, 0))
    assert opened.close().summed == pytest.approx(update("site-1", 0).astype(float))


def test_flares_own_way_in_refuses_with_false(context: Callable[..., Any]) -> None:
    terms = flat_terms(WEIGHTS, rounds=1, min_sites=1)
    aggregator = aggregators.FedAvg()
    fl_ctx = context()
    fl_ctx.set_peer_context(context(name="site-2"))
    aggregator.open(request(np.ones(D, np.float32), 0), terms)
    assert not aggregator.accept(make_reply(ReturnCode.EXECUTION_EXCEPTION), fl_ctx)
    assert aggregator.accept(answer("site-2", terms, 0).to_shareable(), fl_ctx)
    moved = from_shareable(aggregator.aggregate(fl_ctx)).data["model"]
    assert moved == pytest.approx(update("site-2", 0), abs=1e-6)
    assert not aggregator.accept(answer("site-2", terms, 0).to_shareable(), fl_ctx)


def test_memory_is_the_same_for_three_and_for_twelve_sites() -> None:
    import tracemalloc

    def peak(sites: int) -> int:
        weights = {f"site-{i}": 1.0 for i in range(sites)}
        terms = flat_terms(weights, rounds=1, min_sites=1)
        aggregator = aggregators.FedAvg()
        model = np.zeros(1_000_000, np.float32)
        tracemalloc.start()
        opened = aggregator.open(request(model, 0), terms)
        for site in weights:
            opened.add(site, TrainResult(np.ones(len(model), np.float32), 0, "ab" * 16, "layout"))
        size = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return size

    assert abs(peak(12) - peak(3)) < 4_000_000  # one model


RULES = [
    (robust_aggregators.Median(), robust.Median()),
    (robust_aggregators.TrimmedMean(1), robust.TrimmedMean(1)),
    (robust_aggregators.Krum(1), robust.Krum(1)),
    (robust_aggregators.MultiKrum(1, 2), robust.MultiKrum(1, 2)),
    (robust_aggregators.GeometricMedian(), robust.GeometricMedian()),
]
FIVE = {f"site-{number}": 1.0 for number in range(1, 6)}


@pytest.mark.parametrize(("adapter", "rule"), RULES)
def test_a_robust_aggregator_steps_by_its_rules_mean(adapter: UpdateAggregator, rule: Any) -> None:
    terms = flat_terms(FIVE, min_sites=5)
    opened = adapter.open(request(np.ones(D, np.float32), 0), terms)
    for site in reversed(FIVE):
        opened.add(site, answer(site, terms, 0))
    updates = np.stack([update(site, 0) for site in FIVE])
    assert opened.close().model == pytest.approx(1 + rule.combine(updates, np.ones(5)), rel=1e-6)
    assert adapter.settings["learning_rate"] == 1.0
    assert type(rule).__name__ in adapter.description


@pytest.mark.parametrize(
    "hidden",
    [
        {"clipping_norm": 1.0, "summation": "masked"},
        {"clipping_norm": 1.0, "summation": "encrypted"},
        {"clipping_norm": 1.0, "noise_multiplier": 1.0, "epsilon_budget": 8.0},
    ],
)
def test_a_rule_over_single_updates_is_refused_where_they_are_hidden_or_noised(hidden: dict[str, Any]) -> None:
    terms = flat_terms(FIVE, min_sites=5, **hidden)
    with pytest.raises(ConfigError, match="Krum compares single updates, which summation="):
        robust_aggregators.Krum().check(terms)
    with pytest.raises(ConfigError, match="Krum compares single updates"):
        robust_aggregators.Krum().open(request(np.ones(D, np.float32), 0), terms)


def test_too_few_sites_for_a_rule_are_refused_before_the_round() -> None:
    with pytest.raises(ConfigError, match="Krum"):
        robust_aggregators.Krum(1).check(flat_terms(FIVE, min_sites=3))
