from typing import Any

import numpy as np
import pytest
from nvflare.apis.dxo import DXO, DataKind
from nvflare.apis.fl_constant import ReturnCode
from nvflare.apis.shareable import Shareable, make_reply

from ecg_flare.errors import SiteDataError, UpdateError
from ecg_flare.flare.job.messages import Counts, TrainRequest, TrainResult, error_reply, model_sha256, to_wire

ORDER = TrainRequest(
    np.array([1.0, -2.0], np.float32), 1, "ab" * 16, "layout", "plan", "terms", b"sealed_shares", 0.5, (0.25, 1.0)
)


def test_order_and_reply_come_back_as_they_went() -> None:
    back = TrainRequest.from_shareable(ORDER.to_shareable())
    assert np.array_equal(back.model, ORDER.model)
    meant = (
        "round_index",
        "attempt",
        "layout_digest",
        "plan_hash",
        "terms_digest",
        "sealed_shares",
        "clipping_norm",
        "shares",
    )
    for name in meant:
        assert getattr(back, name) == getattr(ORDER, name)
    reply = TrainResult(np.array([1, 2], np.int32), 1, "ab" * 16, "layout", {"loss": 0.5})
    back_reply = TrainResult.from_shareable(reply.to_shareable())
    assert back_reply.encoded
    assert back_reply.vector.tolist() == [1, 2]
    assert back_reply.metrics == {"loss": 0.5}
    counts = Counts(1, 2, 3, 0, "x")
    assert Counts.from_shareable(counts.to_shareable()) == counts


def shareable(kind: str, data: dict[str, Any], **meta: Any) -> Shareable:
    fields = {"round": 0, "attempt": "a", "layout_digest": "l", "metrics": {}}
    return DXO(kind, data=data, meta={**fields, **meta}).to_shareable()


@pytest.mark.parametrize(
    ("message", "named"),
    [
        (Shareable(), "no data exchange object"),
        (make_reply(ReturnCode.EXECUTION_EXCEPTION), "EXECUTION_EXCEPTION"),
        (shareable(DataKind.WEIGHTS, {"update": np.zeros(2, np.float32)}), "WEIGHTS"),
        (shareable(DataKind.WEIGHT_DIFF, {"update": np.zeros(2)}), "float64"),
        (shareable(DataKind.WEIGHT_DIFF, {"update": np.zeros((2, 2), np.float32)}), r"\(2, 2\)"),
        (shareable(DataKind.WEIGHT_DIFF, {"update": np.zeros(2, np.float32), "extra": 1}), "extra"),
        (shareable(DataKind.WEIGHT_DIFF, {"update": [1.0]}), "update"),
        (shareable(DataKind.WEIGHT_DIFF, {"update": np.zeros(2, np.float32)}, attempt=3), "attempt"),
        (shareable(DataKind.WEIGHT_DIFF, {"update": np.zeros(2, np.float32)}, metrics={"loss": "low"}), "'low'"),
        (shareable(DataKind.WEIGHT_DIFF, {"update": np.zeros(2, np.float32)}, metrics={"loss": None}), "None"),
    ],
)
def test_a_reply_of_another_form_is_refused(message: Shareable, named: str) -> None:
    with pytest.raises(UpdateError, match=named):
        TrainResult.from_shareable(message)


def test_an_order_whose_model_is_not_finite_is_refused() -> None:
    bad = TrainRequest(np.array([1.0, np.nan], np.float32), 0, "a", "l", "p", "t")
    with pytest.raises(UpdateError, match="not finite"):
        TrainRequest.from_shareable(bad.to_shareable())


@pytest.mark.parametrize("model", [3, np.float32(1), np.zeros((2, 2), np.float32)])
def test_an_order_whose_model_is_no_flat_vector_is_refused(model: Any) -> None:
    message = TrainRequest(np.zeros(2, np.float32), 0, "a", "l", "p", "t").to_shareable()
    message["DXO"]["data"] = {"model": model}
    with pytest.raises(UpdateError, match="flat vector"):
        TrainRequest.from_shareable(message)


def test_negative_counts_are_refused() -> None:
    with pytest.raises(UpdateError, match="-1"):
        Counts.from_shareable(Counts(-1, 0, 0, 0, "x").to_shareable())


def test_an_error_reply_names_the_class_and_never_the_text() -> None:
    reply = error_reply(SiteDataError("patient 4711 has no pages"))
    assert "SiteDataError" in str(reply)
    assert "4711" not in str(reply)


def test_integers_travel_in_32_bits_where_they_fit() -> None:
    assert to_wire(np.array([2**31 - 1, -(2**31) + 1])).dtype == np.int32
    assert to_wire(np.array([2**31])).dtype == np.int64


def test_model_hash_is_that_of_little_endian_float32() -> None:
    # sha256 of bytes 00 00 80 3f, the little-endian float32 of 1.0
    assert model_sha256(np.array([1.0], np.float32)).hex().startswith("e00e5eb9444182f3")
