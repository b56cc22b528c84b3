"""What a site's training is seeded with: a secret for each attempt, unless a job asks for the same update again."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from ledger_orders import new_ledger
from nvflare.apis.fl_constant import FLContextKey
from nvflare.apis.shareable import Shareable
from nvflare.apis.signal import Signal

from ecg_flare.federated.terms import JobTerms
from ecg_flare.flare.job.ledger_messages import with_tail
from ecg_flare.flare.job.messages import ERROR_HEADER, TRAIN, TrainRequest
from ecg_flare.flare.site.executor import NnunetExecutor
from ecg_flare.flare.site.filters import ClipUpdate, StripResult
from ecg_flare.flare.site.memory import model_memory
from ecg_flare.flare.site.policy import POLICY_FILE
from ecg_flare.flare.summation.encrypted.site import EncryptUpdate
from ecg_flare.flare.summation.masked.site import MaskUpdate
from ecg_flare.nnunet.kinds import plan_preset
from ecg_flare.nnunet.plan import parameter_count
from ecg_flare.privacy.chain_tail import ChainTail
from ecg_flare.privacy.secure_sum.recovered_sums import HiddenSum, note_update, record_recovery
from ecg_flare.task.traces.sources import SyntheticPages
from flat_terms import flat_terms, varied

PLAN = plan_preset("tiny")
D = parameter_count(PLAN)
MASKED = flat_terms(dict.fromkeys("abc", 1.0), 3, min_sites=3, clipping_norm=1.0, summation="masked")
PLAIN = varied(MASKED, summation="plain")
HIDDEN = {"masked": [MaskUpdate()], "encrypted": [EncryptUpdate()], "plain": []}
PATIENT = varied(
    MASKED,
    unit="patient",
    patients=24,
    patients_per_site=8,
    sampling_rate=0.5,
    noise_multiplier=1.0,
    epsilon_budget=50.0,
)


class Recorder:
    """Stands in for the training process and keeps the seeds that it was given."""

    alive = True

    def __init__(self) -> None:
        self.seeds: list[int] = []

    def call(self, command: str, params: dict[str, Any], *_: Any, **__: Any) -> SimpleNamespace:
        if command == "prepare":
            return SimpleNamespace(params={"train": 1}, arrays={})
        self.seeds.append(params["seed"])
        arrays = {"update": np.zeros(D, np.float32), "contribution": np.zeros(D, np.int64)}
        return SimpleNamespace(params={}, arrays=arrays)


class Site:
    def __init__(self, context: Callable[..., Any], terms: JobTerms, seed: int | None) -> None:
        self.worker, self.terms = Recorder(), terms
        pages = SyntheticPages({"site-1": "plain"}, pages_per_site=1)
        self.fl_ctx = context(terms=terms, pages=pages)
        root = Path(self.fl_ctx.get_engine().get_workspace().get_root_dir())
        self._ledger = new_ledger(root / "servers.jsonl")
        chain = [*([ClipUpdate()] if terms.clips_updates else []), StripResult(), *HIDDEN[terms.summation]]
        self.fl_ctx.get_prop(FLContextKey.RUNNER).task_result_filters[f"{TRAIN}/out"] = chain
        self._executor = NnunetExecutor() if seed is None else NnunetExecutor(seed=seed)
        self._executor._worker = self.worker  # type: ignore[assignment]

    def request(self, model: np.ndarray, round_index: int = 0) -> TrainRequest:
        return TrainRequest(model, round_index, "a" * 32, PLAN.layout_digest, PLAN.hash, self.terms.digest)

    def train(self, model: np.ndarray) -> Shareable:
        request = with_tail(self.request(model).to_shareable(), ChainTail.read(self._ledger))
        return self._executor.execute(TRAIN, request, self.fl_ctx, Signal())


START = np.zeros(D, np.float32)


@pytest.mark.parametrize("terms", [PLAIN, MASKED, varied(MASKED, summation="encrypted"), PATIENT])
def test_without_a_seed_each_attempt_has_a_secret_one(context: Callable[..., Any], terms: JobTerms) -> None:
    site = Site(context, terms, None)
    for _ in range(3):
        assert site.train(START).get_header(ERROR_HEADER) is None
    assert len(set(site.worker.seeds)) == 3
    assert min(seed.bit_length() for seed in site.worker.seeds) > 64


@pytest.mark.parametrize("terms", [MASKED, varied(MASKED, summation="encrypted"), PATIENT])
def test_a_jobs_seed_counts_until_a_hidden_update_from_the_model_left(
    context: Callable[..., Any], terms: JobTerms
) -> None:
    site = Site(context, terms, 7)
    site.train(START)
    site.train(START)
    note_update(model_memory(site.fl_ctx), site.request(START).model_sha256)
    site.train(START)
    site.train(START + 1)
    first, second, again, other = site.worker.seeds
    assert (first, second, other) == (7, 7, 7)
    assert again.bit_length() > 64


def test_a_plain_jobs_seed_is_its_own(context: Callable[..., Any]) -> None:
    site = Site(context, PLAIN, 7)
    note_update(model_memory(site.fl_ctx), site.request(START).model_sha256)
    site.train(START)
    assert site.worker.seeds == [7]


def test_a_policy_refuses_public_seeds_where_updates_are_hidden(context: Callable[..., Any]) -> None:
    for terms, seed, told in (
        (MASKED, 0, "its own limit secret_seeds=True: the job's seed is 0"),
        (MASKED, None, None),
        (PLAIN, 0, None),
    ):
        site = Site(context, terms, seed)
        root = Path(site.fl_ctx.get_engine().get_workspace().get_root_dir())
        (root / "local" / POLICY_FILE).write_text('{"secret_seeds": true}')
        assert site.train(START).get_header(ERROR_HEADER) == told
        assert len(site.worker.seeds) == (told is None)


def test_nothing_is_trained_from_a_model_that_another_job_opened(context: Callable[..., Any]) -> None:
    site = Site(context, MASKED, None)
    opened = HiddenSum("another", (), 1.0, noised=False)
    record_recovery(model_memory(site.fl_ctx), site.request(START).model_sha256, opened, "unnoised")
    assert "its own limit once_per_model='unnoised'" in site.train(START).get_header(ERROR_HEADER)
    assert site.worker.seeds == []
