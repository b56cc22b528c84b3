"""The adapters give the numbers of the round in memory, whatever the request of arrival."""

from collections.abc import Callable
from itertools import permutations
from typing import Any

import numpy as np
import pytest
from nvflare.apis.dxo import from_shareable
from nvflare.apis.fl_constant import ReturnCode
from nvflare.apis.shareable import make_reply

from ecg_flare.errors import UpdateError
from ecg_flare.federated import optimizers
from ecg_flare.federated.round import contribution, run_round
from ecg_flare.flare.job.messages import TrainRequest, TrainResult
from ecg_flare.flare.job.terms import RoundTerms
from ecg_flare.flare.server import aggregators
from ecg_flare.flare.server.aggregators import UpdateAggregator

WEIGHTS = {"site-1": 1.0, "site-2": 0.5, "site-3": 2.0}
D = 200
PAIRS = [
    (aggregators.FedAvg(), optimizers.FedAvg()),
    (aggregators.FedProx(0.5), optimizers.FedAvg(0.5)),
    (aggregators.FedAdam(0.1), optimizers.FedAdam(0.1)),
    (aggregators.FedYogi(0.1), optimizers.FedYogi(0.1)),
    (aggregators.FedAdagrad(0.1), optimizers.FedAdagrad(learning_rate=0.1)),
]


def update(site: str, round_index: int) -> np.ndarray:
    rng = np.random.default_rng([int(site[-1]), round_index])
    return rng.standard_normal(D).astype(np.float32)


def request(model: np.ndarray, round_index: int) -> TrainRequest:
    return TrainRequest(model, round_index, "ab" * 16, "layout", "plan", "terms")


def answer(site: str, terms: RoundTerms, round_index: int, /, **changes: Any) -> TrainResult:
    vector = contribution(update(site, round_index), terms.weights[site], terms.config, D)
    return TrainResult(
        **{"vector": vector, "round_index": round_index, "attempt": "ab" * 16, "layout_digest": "layout"} | changes
    )


def play(aggregator: UpdateAggregator, terms: RoundTerms, arrivals: list[tuple[str, ...]], fl_ctx: Any) -> np.ndarray:
    model = np.ones(D, np.float32)
    state = aggregator.initial_state(D)
    for index, sites in enumerate(arrivals):
        aggregator.begin(request(model, index), terms)
        for site in sites:
            aggregator.add(site, answer(site, terms, index))
        model, state = aggregator.step(model, aggregator.aggregate(fl_ctx), state)
    return model


@pytest.mark.parametrize(("adapter", "step"), PAIRS)
@pytest.mark.parametrize("clipping_norm", [None, 3.0])
def test_two_rounds_equal_the_round_in_memory(
    adapter: UpdateAggregator, step: Any, clipping_norm: float | None, context: Callable[..., Any]
) -> None:
    terms = RoundTerms(WEIGHTS, rounds=2, min_sites=1, clipping_norm=clipping_norm)
    model, state = np.ones(D, np.float32), step.init(D)
    for index in range(2):
        sites = {site: lambda model, i, site=site: update(site, i) for site in WEIGHTS}
        result = run_round(model, state, sites, terms.config, step, round_index=index)
        model, state = result.model, result.state
    for arrival in permutations(WEIGHTS):
        assert play(adapter, terms, [arrival, arrival[::-1]], context()) == pytest.approx(model, rel=1e-6)


def test_who_does_not_answer_is_left_out_of_the_mean(context: Callable[..., Any]) -> None:
    terms = RoundTerms(WEIGHTS, rounds=1, min_sites=1)
    moved = play(aggregators.FedAvg(), terms, [("site-1", "site-3")], context())
    expected = 1 + (update("site-1", 0).astype(float) + 2 * update("site-3", 0)) / 3
    assert moved == pytest.approx(expected, rel=1e-6)


def test_a_private_mean_is_over_the_roster_whoever_answers(context: Callable[..., Any]) -> None:
    terms = RoundTerms(WEIGHTS, rounds=1, min_sites=1, clipping_norm=50.0, noise_multiplier=1.0, epsilon_budget=9.0)
    moved = play(aggregators.FedAvg(), terms, [("site-3",)], context())
    assert moved == pytest.approx(1 + 2 * update("site-3", 0).astype(float) / 3.5, abs=1e-4)


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
def test_a_bad_update_is_refused_and_leaves_the_sum_as_it_was(
    changes: dict[str, Any], named: str, context: Callable[..., Any]
) -> None:
    terms = RoundTerms(WEIGHTS, rounds=1, min_sites=1)
    aggregator = aggregators.FedAvg()
    aggregator.begin(request(np.ones(D, np.float32), 0), terms)
    aggregator.add("site-1", answer("site-1", terms, 0))
    before = from_shareable(aggregator.aggregate(context())).data["sum"].copy()
    with pytest.raises(UpdateError, match=named):
        aggregator.add("site-2", answer("site-2", terms, 0, **changes))
    with pytest.raises(UpdateError, match="already"):
        aggregator.add("site-1", answer("site-1", terms, 0))
    with pytest.raises(UpdateError, match="site-9"):
        aggregator.add("site-9", answer("site-1", terms, 0))
    assert np.array_equal(from_shareable(aggregator.aggregate(context())).data["sum"], before)


def test_flares_own_way_in_refuses_with_false(context: Callable[..., Any]) -> None:
    terms = RoundTerms(WEIGHTS, rounds=1, min_sites=1)
    aggregator = aggregators.FedAvg()
    fl_ctx = context()
    fl_ctx.set_peer_context(context(name="site-2"))
    aggregator.begin(request(np.ones(D, np.float32), 0), terms)
    assert not aggregator.accept(make_reply(ReturnCode.EXECUTION_EXCEPTION), fl_ctx)
    assert aggregator.accept(answer("site-2", terms, 0).to_shareable(), fl_ctx)
    aggregator.reset(fl_ctx)
    assert not aggregator.accept(answer("site-2", terms, 0).to_shareable(), fl_ctx)


def test_memory_is_the_same_for_three_and_for_twelve_sites() -> None:
    import tracemalloc

    def peak(sites: int) -> int:
        weights = {f"site-{i}": 1.0 for i in range(sites)}
        terms = RoundTerms(weights, rounds=1, min_sites=1)
        aggregator = aggregators.FedAvg()
        model = np.zeros(1_000_000, np.float32)
        tracemalloc.start()
        aggregator.begin(request(model, 0), terms)
        for site in weights:
            aggregator.add(site, TrainResult(np.ones(len(model), np.float32), 0, "ab" * 16, "layout"))
        size = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return size

    assert abs(peak(12) - peak(3)) < 4_000_000  # one model
