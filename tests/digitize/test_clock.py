"""Seconds by stage, on a clock that a test moves."""

import time

import pytest

from ecg_flare.digitize.clock import Clock


@pytest.fixture
def ticks(monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter(range(100))
    monkeypatch.setattr(time, "perf_counter", lambda: float(next(now)))


@pytest.mark.usefixtures("ticks")
def test_stages_add_up_and_keep_the_order_of_their_beginning() -> None:
    clock = Clock({"rectify": 5.0})
    for stage in ("trace", "measure", "trace"):
        with clock.stage(stage):
            pass
    assert list(clock.seconds.items()) == [("rectify", 5.0), ("trace", 2.0), ("measure", 1.0)]


@pytest.mark.usefixtures("ticks")
def test_seconds_that_were_taken_down_do_not_change() -> None:
    clock = Clock()
    before = clock.seconds
    with clock.stage("trace"):
        pass
    assert before == {}


@pytest.mark.usefixtures("ticks")
def test_a_stage_that_fails_is_counted_too() -> None:
    clock = Clock()
    with pytest.raises(ValueError, match="lost"), clock.stage("trace"):
        raise ValueError("lost")
    assert clock.seconds == {"trace": 1.0}
