from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ledger_orders import new_ledger, ordered
from nvflare.apis.dxo import DXO, DataKind
from nvflare.apis.fl_constant import FLContextKey, ReturnCode
from nvflare.apis.shareable import make_reply

from ecg_flare.errors import ConfigError, EcgFlareError, PrivacyError, UpdateError
from ecg_flare.flare.job.messages import ERROR_HEADER, Counts, TrainResult
from ecg_flare.flare.site.filters import ClipUpdate, StripResult, check_filters
from ecg_flare.flare.summation.masked.site import MaskUpdate
from flat_terms import flat_terms, varied

WEIGHTS = {"site-1": 1.0, "site-2": 0.5, "site-3": 1.0}
PLAIN = flat_terms(WEIGHTS, rounds=1, min_sites=1)
CLIPPED = flat_terms(WEIGHTS, rounds=1, min_sites=1, clipping_norm=1.0)
PRIVATE = flat_terms(WEIGHTS, rounds=1, min_sites=1, clipping_norm=1.0, noise_multiplier=1.0, epsilon_budget=9.0)


def reply(*values: float, **metrics: float) -> TrainResult:
    return TrainResult(np.array(values, np.float32), 0, "a" * 32, "layout", metrics)


def test_clip_shortens_to_c_and_says_so(context: Callable[..., Any]) -> None:
    out = TrainResult.from_shareable(ClipUpdate().process(reply(3, 4).to_shareable(), context(terms=CLIPPED)))
    assert out.vector == pytest.approx([0.6, 0.8])
    assert out.metrics == {"update_norm": 5.0, "clipped": 1.0}
    short = TrainResult.from_shareable(ClipUpdate().process(reply(0.3, 0.4).to_shareable(), context(terms=CLIPPED)))
    assert short.vector.tolist() == np.array([0.3, 0.4], np.float32).tolist()
    assert short.metrics["clipped"] == 0.0


def test_under_privacy_the_update_leaves_as_weighted_integers_of_bounded_norm(context: Callable[..., Any]) -> None:
    out = TrainResult.from_shareable(
        ClipUpdate().process(reply(3, 4).to_shareable(), context(terms=PRIVATE, name="site-2"))
    )
    assert out.vector.dtype == np.int32
    bound = 2**24 // 2  # weight 0.5 of the scale
    assert out.vector == pytest.approx([0.6 * bound, 0.8 * bound], abs=1)
    assert int((out.vector.astype(object) ** 2).sum()) <= bound**2


@pytest.mark.parametrize("changes", [{}, {"noise_multiplier": None, "epsilon_budget": None, "summation": "masked"}])
def test_where_updates_are_hidden_the_clip_tells_neither_norm_nor_metrics(
    changes: dict[str, Any], context: Callable[..., Any]
) -> None:
    hidden = varied(PRIVATE, min_sites=3, **changes)
    out = TrainResult.from_shareable(ClipUpdate().process(reply(3, 4, loss=0.5).to_shareable(), context(terms=hidden)))
    assert out.metrics == {}


def test_clip_needs_a_norm_and_refuses_what_is_encoded(context: Callable[..., Any]) -> None:
    with pytest.raises(ConfigError, match="clipping_norm"):
        ClipUpdate().process(reply(1).to_shareable(), context(terms=PLAIN))
    encoded = TrainResult(np.array([1], np.int32), 0, "a", "l")
    with pytest.raises(UpdateError, match="already in fixed point"):
        ClipUpdate().process(encoded.to_shareable(), context(terms=PRIVATE))


def test_clip_refuses_an_update_that_is_not_finite(context: Callable[..., Any]) -> None:
    with pytest.raises(UpdateError, match="finite"):
        ClipUpdate().process(reply(1, float("nan")).to_shareable(), context(terms=CLIPPED))


def test_strip_lets_out_named_metrics_alone(context: Callable[..., Any]) -> None:
    message = reply(1, 2, loss=0.5, n_patients=17.0).to_shareable()
    message["smuggled"] = "patient 4711"
    message.set_header("also_smuggled", 1)
    out = StripResult(metrics=("loss",)).process(message, context(terms=PLAIN))
    assert TrainResult.from_shareable(out).metrics == {"loss": 0.5}
    assert "smuggled" not in str(out)
    assert "n_patients" not in str(out)


def test_under_privacy_no_metric_leaves_and_no_plain_update(context: Callable[..., Any], tmp_path: Path) -> None:
    encoded = TrainResult(np.array([1, 2], np.int32), 0, "a", "l", {"loss": 0.5})
    fl_ctx = ordered(context, PRIVATE, new_ledger(tmp_path / "ledger.jsonl"))
    out = StripResult(metrics=("loss",)).process(encoded.to_shareable(), fl_ctx)
    assert TrainResult.from_shareable(out).metrics == {}
    with pytest.raises(PrivacyError, match="plain"):
        StripResult().process(reply(1, 2).to_shareable(), context(terms=PRIVATE))
    with pytest.raises(PrivacyError, match="counts"):
        StripResult().process(Counts(1, 1, 1, 0, "a").to_shareable(), context(terms=PRIVATE, task="validate"))


def test_under_unit_patient_the_sites_integers_leave_within_their_bound_and_are_not_clipped_again(
    context: Callable[..., Any],
) -> None:
    bound = PATIENTS.fixed_encoding(2).contribution_bound  # type: ignore[union-attr]
    for integers, fits in (([bound, -bound], True), ([bound + 1, 0], False)):
        message = TrainResult(np.array(integers, np.int64), 0, "a", "l", {"loss": 0.5}).to_shareable()
        if fits:
            out = TrainResult.from_shareable(StripResult(metrics=("loss",)).process(message, context(terms=PATIENTS)))
            assert (out.vector.tolist(), out.metrics) == (integers, {})
        else:
            with pytest.raises(PrivacyError, match="above the bound"):
                StripResult().process(message, context(terms=PATIENTS))
    with pytest.raises(ConfigError, match="one by one"):
        ClipUpdate().process(reply(1, 2).to_shareable(), context(terms=PATIENTS))


def test_counts_may_leave_where_nothing_is_hidden(context: Callable[..., Any]) -> None:
    out = StripResult().process(Counts(1, 2, 3, 0, "a").to_shareable(), context(terms=PLAIN, task="validate"))
    assert Counts.from_shareable(out) == Counts(1, 2, 3, 0, "a")


def test_an_error_passes_with_its_code_alone(context: Callable[..., Any]) -> None:
    error = make_reply(ReturnCode.EXECUTION_EXCEPTION)
    error.set_header(ERROR_HEADER, "SiteDataError")
    error["detail"] = "patient 4711"
    for one in (ClipUpdate(), StripResult()):
        out = one.process(error, context(terms=PRIVATE))
        assert out.get_return_code() == ReturnCode.EXECUTION_EXCEPTION
        assert out.get_header(ERROR_HEADER) == "SiteDataError"
        assert "4711" not in str(out)


@pytest.mark.parametrize("one", [ClipUpdate(), StripResult()])
def test_what_is_unknown_is_refused(one: Any, context: Callable[..., Any]) -> None:
    strange = DXO(DataKind.COLLECTION, data={"x": 1}).to_shareable()
    with pytest.raises(EcgFlareError):
        one.process(strange, context(terms=PRIVATE))
    with pytest.raises(EcgFlareError):
        one.process(reply(1).to_shareable(), context(terms=PRIVATE, task="submit_model"))
    with pytest.raises(ConfigError, match="terms"):
        one.process(reply(1).to_shareable(), context())


PATIENTS = varied(
    PRIVATE, unit="patient", patients=6, patients_per_site=4, sampling_rate=0.5, min_sites=3, summation="masked"
)
MASKED = flat_terms(WEIGHTS, rounds=1, min_sites=3, clipping_norm=1.0, summation="masked")
CHAINS = {
    "plain": (PLAIN, [StripResult]),
    "clipped": (CLIPPED, [ClipUpdate, StripResult]),
    "private": (PRIVATE, [ClipUpdate, StripResult]),
    "masked": (MASKED, [ClipUpdate, StripResult, MaskUpdate]),
    "patients": (PATIENTS, [StripResult, MaskUpdate]),
}


class ModelQuantizer:
    """Is called as FLARE's filter, which imports a library that the project does not need."""


def test_a_quantizing_filter_beside_a_hiding_sum_is_refused_in_words(context: Callable[..., Any]) -> None:
    fl_ctx = context(terms=MASKED)
    chain = [ClipUpdate(), StripResult(), MaskUpdate(), ModelQuantizer()]
    fl_ctx.get_prop(FLContextKey.RUNNER).task_result_filters["train/out"] = chain
    with pytest.raises(PrivacyError, match="a filter that quantizes is for updates in floats: ring_bits sends"):
        check_filters(fl_ctx, MASKED)


@pytest.mark.parametrize("name", sorted(CHAINS))
def test_training_starts_only_behind_the_filters_that_the_terms_need(name: str, context: Callable[..., Any]) -> None:
    terms, right = CHAINS[name]
    for chain in ([], *(kinds for _, kinds in CHAINS.values()), [StripResult, ClipUpdate], [*right, StripResult]):
        fl_ctx = context(terms=terms)
        fl_ctx.get_prop(FLContextKey.RUNNER).task_result_filters["train/out"] = [kind() for kind in chain]
        if chain == right:
            check_filters(fl_ctx, terms)
        else:
            with pytest.raises(PrivacyError, match="in this order"):
                check_filters(fl_ctx, terms)
