"""Tensors that a site trains and keeps: in no message, on its own disk, and put in wherever it trains or measures."""

import json
import pickle
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from here_worker import HereWorker
from ledger_orders import new_ledger
from nvflare.apis.fl_constant import FLContextKey
from nvflare.apis.shareable import Shareable
from nvflare.apis.signal import Signal

from ecg_flare.documents import Fields
from ecg_flare.errors import ConfigError
from ecg_flare.federated.evaluation import counting_terms
from ecg_flare.federated.parts import TrainedModel
from ecg_flare.federated.terms import JobTerms
from ecg_flare.flare.job.bundled import BUNDLED
from ecg_flare.flare.job.export import Changes, job_for
from ecg_flare.flare.job.ledger_messages import with_tail
from ecg_flare.flare.job.messages import ERROR_HEADER, TRAIN, VALIDATE, TrainRequest, TrainResult
from ecg_flare.flare.job.terms import subset
from ecg_flare.flare.site.executor import NnunetExecutor
from ecg_flare.flare.site.filters import ClipUpdate, StripResult
from ecg_flare.flare.summation.encrypted.site import EncryptUpdate
from ecg_flare.flare.summation.masked.site import MaskUpdate
from ecg_flare.nnunet.kinds import local_subset, plan_preset
from ecg_flare.nnunet.plan import initial_vector, parameter_count
from ecg_flare.privacy.chain_tail import ChainTail
from ecg_flare.report.agreed import trained_text
from ecg_flare.report.records import read_terms
from ecg_flare.site.own_tensors import OWN_TENSORS_FOLDER, own_tensors_of
from ecg_flare.task.traces.sources import SyntheticPages
from flat_terms import flat_terms, varied

PLAN = plan_preset("tiny")
D = parameter_count(PLAN)
NORM = ("*.norm.*",)
SECRET = np.float32(0.71828183)
PLAIN = flat_terms(dict.fromkeys(("site-1", "b", "c"), 1.0), 4, min_sites=3, local=NORM)
MASKED = varied(PLAIN, clipping_norm=100.0, summation="masked")
ENCRYPTED = varied(MASKED, summation="encrypted")
SITE_DP = varied(MASKED, noise_multiplier=1.0, epsilon_budget=50.0)
NARROW = varied(MASKED, ring_bits=16)
HIDDEN = {"masked": [MaskUpdate()], "encrypted": [EncryptUpdate()], "plain": []}
OWN = local_subset(PLAIN.model)
assert OWN is not None


class Process:
    """Stands in for the training process: adds `SECRET` to what is the site's own, and 0.01 to all else."""

    alive = True

    def __init__(self) -> None:
        self.models: list[np.ndarray] = []

    def call(self, command: str, params: dict[str, Any], arrays: Any = None, **_: Any) -> SimpleNamespace:
        if command == "prepare":
            return SimpleNamespace(params={"train": 1}, arrays={})
        self.models.append(arrays["model"])
        assert OWN is not None
        update = OWN.put(np.full(D, 0.01, np.float32), np.full(OWN.dimension, SECRET, np.float32))
        return SimpleNamespace(params={"tp": 1, "fp": 0, "fn": 0, "loss": 0.5}, arrays={"update": update})


class Site:
    """An executor in its context; a second one is what FLARE makes when it threw the first away."""

    def __init__(self, context: Callable[..., Any], terms: JobTerms) -> None:
        self.process, self.terms = Process(), terms
        pages = SyntheticPages({"site-1": "plain"}, pages_per_site=1)
        self.fl_ctx = context(terms=terms, pages=pages)
        self.root = Path(self.fl_ctx.get_engine().get_workspace().get_root_dir())
        self._ledger = new_ledger(self.root / "servers.jsonl")
        chain = [*([ClipUpdate()] if terms.clips_updates else []), StripResult(), *HIDDEN[terms.summation]]
        self.fl_ctx.get_prop(FLContextKey.RUNNER).task_result_filters[f"{TRAIN}/out"] = chain
        self.executor = NnunetExecutor()

    def answer(self, model: np.ndarray, round_index: int, task: str = TRAIN) -> Shareable:
        self.executor._worker = self.process  # type: ignore[assignment]
        request = TrainRequest(model, round_index, "a" * 32, PLAN.layout_digest, PLAN.hash, self.terms.digest)
        message = request.to_shareable()
        if task == TRAIN:
            message = with_tail(message, ChainTail.read(self._ledger))
        return self.executor.execute(task, message, self.fl_ctx, Signal())

    @property
    def file(self) -> Path:
        return self.root / OWN_TENSORS_FOLDER / f"{self.terms.digest}.npz"

    def began_with(self) -> np.ndarray:
        """The site's own tensors in the model that the process was given last."""
        assert OWN is not None
        return OWN.take(self.process.models[-1])


START = np.zeros(D, np.float32)


WAYS = {"plain": PLAIN, "masked": MASKED, "narrow": NARROW, "encrypted": ENCRYPTED, "dp": SITE_DP}


@pytest.mark.parametrize("terms", WAYS.values(), ids=WAYS)
def test_no_message_has_a_tensor_that_the_site_keeps(context: Callable[..., Any], terms: JobTerms) -> None:
    """What leaves the executor is all that filters see: they clip, strip, mask and encrypt, and add no coordinate."""
    site = Site(context, terms)
    answer = site.answer(START, 0)
    assert answer.get_header(ERROR_HEADER) is None
    result = TrainResult.from_shareable(answer)
    assert result.vector.shape == (subset(terms).dimension,) == (D - site.began_with().size,)
    np.testing.assert_array_equal(result.vector, np.float32(0.01))
    assert SECRET.tobytes() not in pickle.dumps(dict(answer))
    assert oct(site.file.stat().st_mode & 0o777) == "0o600"


def test_the_filters_of_a_job_that_clips_add_nothing(context: Callable[..., Any]) -> None:
    site = Site(context, varied(PLAIN, clipping_norm=1.0))
    answer = site.answer(START, 0)
    for one in site.fl_ctx.get_prop(FLContextKey.RUNNER).task_result_filters[f"{TRAIN}/out"]:
        answer = one.process(answer, site.fl_ctx)
    vector = TrainResult.from_shareable(answer).vector
    assert vector.shape == (subset(PLAIN).dimension,)
    assert np.linalg.norm(vector) == pytest.approx(1.0, rel=1e-5)


def test_a_round_goes_on_from_what_the_site_kept_of_those_before_it(context: Callable[..., Any]) -> None:
    site = Site(context, PLAIN)
    for round_index, begun in ((0, 0), (1, 1), (1, 1), (2, 2), (3, 3), (3, 3), (2, 2)):
        site.executor = NnunetExecutor()  # what FLARE keeps of a site between two tasks is its disk
        site.answer(START + round_index, round_index)
        np.testing.assert_allclose(site.began_with(), begun * SECRET, rtol=1e-5)


def test_what_was_trained_in_a_failed_round_does_not_count(context: Callable[..., Any]) -> None:
    """Its number is used up: the next round asks for training from the same model, and begins as the failed one did."""
    site = Site(context, PLAIN)
    site.answer(START, 0)
    for round_index in (1, 2, 3, 4, 5):
        site.answer(START + 1, round_index)
        np.testing.assert_array_equal(site.began_with(), SECRET)


def test_a_job_that_begins_anew_moves_aside_what_it_left(context: Callable[..., Any]) -> None:
    site = Site(context, PLAIN)
    for round_index in (0, 1):
        site.answer(START + round_index, round_index)
    before = site.file.read_bytes()
    site.answer(START, 0)
    assert site.file.with_suffix(".earlier").read_bytes() == before
    site.answer(START + 1, 0, VALIDATE)
    np.testing.assert_array_equal(site.began_with(), SECRET)


def test_what_is_measured_at_the_site_has_its_own_tensors(context: Callable[..., Any]) -> None:
    site = Site(context, PLAIN)
    site.answer(START, 0)
    site.answer(START + 1, 1, VALIDATE)
    np.testing.assert_array_equal(site.began_with(), SECRET)


def test_tensors_of_another_network_stop_the_round_and_are_kept(context: Callable[..., Any]) -> None:
    site = Site(context, PLAIN)
    site.answer(START, 0)
    other = Site(context, varied(PLAIN, local=("*seg_layers*",)))
    other.file.parent.mkdir(exist_ok=True)
    before = site.file.read_bytes()
    other.file.write_bytes(before)
    assert other.answer(START, 1).get_header(ERROR_HEADER) == "StorageError"
    assert other.file.read_bytes() == before
    assert other.process.models == []


@pytest.mark.parametrize("spoilt", [b"", b"PK\x03\x04 no archive", b"x" * 1000])
def test_a_spoilt_file_stops_the_round(context: Callable[..., Any], spoilt: bytes) -> None:
    site = Site(context, PLAIN)
    site.file.parent.mkdir(exist_ok=True)
    site.file.write_bytes(spoilt)
    assert site.answer(START, 0).get_header(ERROR_HEADER) == "StorageError"


def test_real_training_moves_both_and_sends_one(context: Callable[..., Any]) -> None:
    site = Site(context, PLAIN)
    site.process = HereWorker()  # type: ignore[assignment]
    pages = SyntheticPages({"site-1": "plain"}, pages_per_site=4)
    site.fl_ctx = context(terms=PLAIN, pages=pages)
    site.root = Path(site.fl_ctx.get_engine().get_workspace().get_root_dir())
    site.executor = NnunetExecutor(training={"steps": 1, "learning_rate": 0.05}, seed=1)
    start = initial_vector(PLAN, 0)
    result = TrainResult.from_shareable(site.answer(start, 0))
    kept = own_tensors_of(site.root, PLAN)
    assert kept.subset == OWN
    moved = kept.into(start)
    assert OWN is not None
    assert (OWN.take(moved) != OWN.take(start)).mean() > 0.5
    np.testing.assert_array_equal(subset(PLAIN).take(moved), subset(PLAIN).take(start))
    assert result.vector.size == D - OWN.dimension
    assert (result.vector != 0).mean() > 0.5


def test_where_patients_are_hidden_a_site_may_keep_nothing_that_shapes_what_it_sends() -> None:
    with pytest.raises(ConfigError, match="ecg-flare site personalize"):
        varied(SITE_DP, unit="patient", patients=24, patients_per_site=8, sampling_rate=0.5)


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"local": "*.norm.*"}, "'\\*.norm"),
        ({"local": [3]}, "3"),
        ({"local": NORM, "counted": True}, "counts"),
    ],
)
def test_impossible_patterns_are_named(values: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        TrainedModel(**values)


@pytest.mark.parametrize(("local", "named"), [(("*.norms.*",), "norms"), (("*",), "take every tensor")])
def test_an_export_names_a_pattern_of_no_tensor_and_one_of_all(local: tuple[str, ...], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        job_for(BUNDLED["fedavg"], Changes(sites=("a", "b", "c"), local=local))


def test_reports_read_and_say_what_sites_keep() -> None:
    exported = job_for(BUNDLED["fedavg"], Changes(sites=("a", "b", "c"), local=NORM)).terms
    assert exported.model.local == NORM
    read = read_terms(Fields(json.loads(json.dumps(asdict(exported))), "run.json", ConfigError))
    assert read.digest == exported.digest
    assert trained_text(read) == "*, without *.norm.*, which each site trains and keeps"


def test_counts_leave_the_sites_tensors_out() -> None:
    job = job_for(BUNDLED["fedadam_secure"], Changes(sites=("a", "b", "c"), local=NORM, validate_every=1))
    counting = counting_terms(job.terms)
    assert counting is not None
    assert counting.model.local == ()
