"""A whole masked job whose sum is opened and lost: the model stays, and its sites open no sum over others from it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from memory_job import MemoryJob
from nvflare.apis.shareable import Shareable

from ecg_flare.errors import SecureSumError
from ecg_flare.flare.job.ledger_messages import COUNTERSIGNATURE_HEADER
from ecg_flare.flare.job.messages import TRAIN
from ecg_flare.flare.summation.masked.messages import KEYS, pack_masked, unpack_masked
from ecg_flare.privacy.secure_sum.messages import MaskedUpdate
from flat_terms import flat_terms

SITES = ("site-1", "site-2", "site-3", "site-4")
TERMS = flat_terms(
    dict.fromkeys(SITES, 1.0),
    4,
    min_sites=3,
    clipping_norm=1.0,
    noise_multiplier=1.0,
    epsilon_budget=100.0,
    summation="masked",
)


class Job(MemoryJob):
    """`spoiled` is how many of site-2's updates come out too large; `away`, from which of its rounds on site-4 is."""

    def __init__(self, context: Callable[..., Any], folder: Path, *, spoiled: int = 0, away: int = 99) -> None:
        super().__init__(context, TERMS, folder)
        self.rounds = 0
        honest, leaving = self.sites["site-2"].answer, self.sites["site-4"].answer
        left = [spoiled]

        def too_much(task: str, message: Shareable) -> Shareable:
            answer = honest(task, message)
            if task != TRAIN or not left[0]:
                return answer
            left[0] -= 1
            masked = unpack_masked(answer)
            spoilt = pack_masked(MaskedUpdate(masked.context, masked.sender, masked.vector + np.uint32(2**30)))
            spoilt.set_header(COUNTERSIGNATURE_HEADER, answer.get_header(COUNTERSIGNATURE_HEADER))
            return spoilt

        def absent(task: str, message: Shareable) -> Shareable:
            self.rounds += task == KEYS
            if self.rounds >= away:
                raise SecureSumError("away")
            return leaving(task, message)

        self.sites["site-2"].answer = too_much  # type: ignore[method-assign]
        self.sites["site-4"].answer = absent  # type: ignore[method-assign]


def lost(folder: Path) -> list[bool]:
    return [bool(json.loads(line)["failure"]) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_a_sum_that_is_not_used_loses_its_round_and_the_same_sites_give_the_next(
    context: Callable[..., Any], tmp_path: Path
) -> None:
    job = Job(context, tmp_path / "state", spoiled=1)
    job.run()
    assert job.panic == ""
    assert lost(tmp_path / "state") == [False, True, False, False, False]


@pytest.mark.parametrize(
    ("fault", "told"), [({"spoiled": 9}, "its sum is not used"), ({"spoiled": 1, "away": 2}, "only they")]
)
def test_a_model_that_cannot_be_opened_again_ends_the_job_with_the_reason(
    context: Callable[..., Any], tmp_path: Path, fault: dict[str, int], told: str
) -> None:
    """Always spoiled; spoiled once, while another site is away in the next round."""
    job = Job(context, tmp_path / "state", **fault)
    job.run()
    assert told in job.panic
    assert lost(tmp_path / "state") == [False, True, True]
    assert told in json.loads((tmp_path / "state" / "ended.json").read_text())["outcome"]
