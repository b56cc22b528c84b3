"""A fourth way of summing is one folder outside the package and one line of registration."""

import importlib
import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from memory_job import MemoryJob
from nvflare.apis.executor import Executor
from nvflare.apis.fl_context import FLContext
from nvflare.apis.shareable import Shareable
from nvflare.apis.signal import Signal

from ecg_flare.errors import ConfigError, PolicyError
from ecg_flare.federated import summation
from ecg_flare.federated.parts import Clipping, Roster
from ecg_flare.federated.terms import JobTerms
from ecg_flare.flare.deploy.allowed import SITE_CLASSES, site_classes
from ecg_flare.flare.job.bundled import BUNDLED
from ecg_flare.flare.job.components import job_terms
from ecg_flare.flare.job.folders import Pages, write_job
from ecg_flare.flare.job.messages import TrainRequest, TrainResult
from ecg_flare.flare.site.filters import check_filters
from ecg_flare.flare.site.in_memory import MemorySite
from ecg_flare.flare.site.policy import SitePolicy
from ecg_flare.storage import read_arrays

DESCRIPTOR = """
from ecg_flare.federated.summation import SiteParts, SumStep, Summation, register

SUMMATION = register(Summation(
    name="roll_call",
    title="roll call",
    collection="hospital_roll_call.server.RollCall",
    server_sees="The server saw each update of the sites that said yes.",
    update_bytes=4,
    site=SiteParts(
        component_id="diary",
        component="hospital_roll_call.site.Diary",
        executor="hospital_roll_call.site.Yes",
        steps=(SumStep("roll_call", "roll call", "a yes", before_training=True),),
        result_filter="hospital_roll_call.site.WriteDown",
    ),
))
"""

SERVER = """
from dataclasses import replace

from ecg_flare.flare.job.messages import TRAIN, TrainResult
from ecg_flare.flare.summation.collection import Collected, Collection, Steps, require_enough


class RollCall(Collection):
    def collect(self, request, terms, open_round, ask):
        collected = Collected()
        steps, message = Steps(ask, collected), request.to_shareable()
        there = steps.run("roll_call", dict.fromkeys(terms.roster, message), lambda answer: answer["said"],
                          lambda site, said: None, enough=terms.min_sites)
        collected.answered = steps.run(TRAIN, dict.fromkeys(there, message), TrainResult.from_shareable,
                                       open_round.add, enough=terms.min_sites)
        require_enough(collected.answered, terms, request)
        return collected
"""

SITE = """
from nvflare.apis.executor import Executor
from nvflare.apis.filter import Filter
from nvflare.apis.fl_component import FLComponent
from nvflare.apis.shareable import Shareable

from ecg_flare.flare.job.components import component, job_terms
from ecg_flare.flare.site.filters import check_filters


class Diary(FLComponent):
    def __init__(self):
        super().__init__()
        self.lines = []


class Yes(Executor):
    def execute(self, task_name, shareable, fl_ctx, abort_signal):
        component(fl_ctx, "diary", Diary).lines.append("yes")
        return Shareable({"said": "yes"})


class WriteDown(Filter):
    def process(self, shareable, fl_ctx):
        check_filters(fl_ctx, job_terms(fl_ctx))
        component(fl_ctx, "diary", Diary).lines.append("sent")
        return shareable
"""


@pytest.fixture
def roll_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> summation.Summation:
    """The owner's folder, imported on this machine; what it registered is forgotten after the test."""
    folder = tmp_path / "owner" / "hospital_roll_call"
    folder.mkdir(parents=True)
    for name, text in {"__init__": DESCRIPTOR, "server": SERVER, "site": SITE}.items():
        (folder / f"{name}.py").write_text(text)
    monkeypatch.setattr(summation, "_registered", {})
    monkeypatch.syspath_prepend(str(folder.parent))
    for name in [one for one in sys.modules if one.startswith("hospital_roll_call")]:
        monkeypatch.delitem(sys.modules, name)
    described: summation.Summation = importlib.import_module("hospital_roll_call").SUMMATION
    return described


SITES = ("site-1", "site-2", "site-3")


def terms(name: str) -> JobTerms:
    return JobTerms(Roster(dict.fromkeys(SITES, 1.0), min_sites=2), 2, clipping=Clipping(1.0), summation=name)


class Training(Executor):
    """Trains at once: an update that follows from the site's name and the model."""

    def execute(self, task_name: str, shareable: Shareable, fl_ctx: FLContext, abort_signal: Signal) -> Shareable:
        check_filters(fl_ctx, job_terms(fl_ctx))
        request = TrainRequest.from_shareable(shareable)
        rng = np.random.default_rng([SITES.index(fl_ctx.get_identity_name()), request.round_index])
        update = rng.standard_normal(len(request.model)).astype(np.float32)
        return TrainResult(update, request.round_index, request.attempt, request.layout_digest).to_shareable()


def run_job(name: str, context: Callable[..., Any], folder: Path, edit: Callable[[Any], None] = lambda _: None) -> Any:
    """A job folder written, read back, and run with real sites in memory."""
    spec = replace(
        BUNDLED["fedadam"], terms=terms(name), pages=Pages("ecg_flare.site.own_pages.SitesOwn"), custom=False
    )
    written = write_job(spec, folder / "jobs")
    config = json.loads((written / "app" / "config" / "config_fed_client.json").read_text())
    edit(config)
    training = config["executors"][0]["executor"]["path"]
    job = MemoryJob(context, spec.terms, folder / "state")
    job._mechanism = ""
    job.sites = {  # type: ignore[assignment]
        site: MemorySite(config, site, job.sites[site].root, "job-1", replaced={training: Training()}) for site in SITES
    }
    job.run()
    return job


def model(folder: Path) -> np.ndarray:
    return read_arrays(folder / "state" / "state.npz")["model"]


def test_its_rounds_give_the_plain_sums_model_bit_for_bit(
    roll_call: summation.Summation, context: Callable[..., Any], tmp_path: Path
) -> None:
    assert run_job("plain", context, tmp_path / "plain").panic == ""
    job = run_job("roll_call", context, tmp_path / "own")
    assert (job.panic, job.out) == ("", [])
    assert np.array_equal(model(tmp_path / "own"), model(tmp_path / "plain"))
    assert np.linalg.norm(model(tmp_path / "own")) > 0
    for site in job.sites.values():
        assert site._engine.get_component("diary").lines == ["yes", "sent"] * 2
    last = json.loads((tmp_path / "own" / "state" / "metrics.jsonl").read_text().splitlines()[-1])
    assert set(last["seconds_by_step"]) == {"roll_call", "train", "aggregate", "evaluate"}


def test_its_filter_is_missed_like_any_other(
    roll_call: summation.Summation, context: Callable[..., Any], tmp_path: Path
) -> None:
    job = run_job("roll_call", context, tmp_path, lambda config: config["task_result_filters"][0]["filters"].pop())
    assert "updates of 0 sites" in job.panic
    assert all("hospital_roll_call.site.WriteDown" in why for task, _, why in job.out if task == "train")


def test_its_classes_are_built_once_it_is_registered_and_no_others(roll_call: summation.Summation) -> None:
    added = {f"hospital_roll_call.site.{name}" for name in ("Diary", "Yes", "WriteDown")}
    assert set(site_classes()) - set(SITE_CLASSES) == added


def test_without_registration_it_is_unknown_and_its_classes_are_refused(
    context: Callable[..., Any], tmp_path: Path, roll_call: summation.Summation, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = {"components": [{"id": "diary", "path": "hospital_roll_call.site.Diary", "args": {}}], "executors": []}
    monkeypatch.setattr(summation, "_registered", {})
    with pytest.raises(ConfigError, match="summation is 'roll_call', expected one of 'plain', 'masked', 'encrypted'"):
        terms("roll_call")
    with pytest.raises(PolicyError, match=r"hospital_roll_call\.site\.Diary"):
        MemorySite(config, "site-1", tmp_path, "job-1")


def test_a_sites_policy_names_it_too(roll_call: summation.Summation) -> None:
    SitePolicy().check(terms("roll_call"))
    with pytest.raises(PolicyError, match="summations"):
        SitePolicy(summations=("masked",)).check(terms("roll_call"))
