"""A job that trains a torch module, from the command line: its class stands in the terms and before FLARE."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import Result
from ptbxl_diagnosis import Superclasses
from straight_line import Line

from ecg_flare.errors import ConfigError
from ecg_flare.federated.terms import JobTerms
from ecg_flare.flare.job.components import job_plan
from ecg_flare.flare.site.in_memory import MemoryEngine, memory_context
from ecg_flare.nnunet.export import save_model
from ecg_flare.nnunet.kinds import plan_of
from ecg_flare.task.modules import plan_of_task

RunCli = Callable[..., Result]
TASK = "ptbxl_diagnosis.Superclasses"
OPTIONS = ("--sites", "berlin,lyon,porto", "--task", f"torch:{TASK}", "--no-code", "--data", "own")


@pytest.fixture
def export(run_cli: RunCli, tmp_path: Path) -> Callable[..., Path]:
    def exported(name: str, *more: str) -> Path:
        extension = ("--extension", "ptbxl_diagnosis")
        done = run_cli(*extension, "jobs", "export", name, *OPTIONS, *more, "-o", tmp_path / "jobs")
        assert done.exit_code == 0, done.output
        return tmp_path / "jobs" / name

    return exported


def components(job: Path, side: str) -> dict[str, Any]:
    config = json.loads((job / "app" / "config" / f"config_fed_{side}.json").read_text())
    return {one["id"]: one for one in config["components"]}


def test_the_class_stands_in_the_terms_and_among_the_components(export: Callable[..., Path]) -> None:
    job = export("fedadam_secure")
    for side in ("client", "server"):
        assert components(job, side)["task"] == {
            "id": "task",
            "path": TASK,
            "args": {"width": 24, "batch_size": 32, "head_only": False},
        }
    terms = JobTerms(**components(job, "client")["terms"]["args"])
    assert terms == JobTerms(**components(job, "server")["terms"]["args"])
    plan = plan_of(terms.model.plan, terms.model.document)
    assert plan.hash == plan_of_task(Superclasses()).hash
    assert components(job, "server")["persistor"]["args"]["start"] == "random:0"
    assert components(job, "server")["public_pages"]["path"] == "ecg_flare.nnunet.case.NoCases"


def test_a_job_of_nnunet_has_no_such_component(run_cli: RunCli, tmp_path: Path) -> None:
    options = ("--sites", "a,b,c", "--data", "own", "--no-code")
    assert run_cli("jobs", "export", "fedavg", *options, "-o", tmp_path).exit_code == 0
    assert "task" not in components(tmp_path / "fedavg", "client")


def test_a_private_job_trains_the_tensors_and_clips_as_it_is_told(export: Callable[..., Path]) -> None:
    whole = JobTerms(**components(export("fedadam_dp"), "client")["terms"]["args"])
    assert whole.trains_everything
    job = export("fedadam_dp", "--trained", "head.*", "--trained", "stem*", "--clipping-norm", "0.25")
    terms = JobTerms(**components(job, "client")["terms"]["args"])
    assert (tuple(terms.model.trained), terms.clipping_norm) == (("head.*", "stem*"), 0.25)


def test_a_masked_job_may_send_narrow_words(export: Callable[..., Path], run_cli: RunCli, tmp_path: Path) -> None:
    job = export("fedadam_secure", "--ring-bits", "16")
    terms = JobTerms(**components(job, "client")["terms"]["args"])
    assert (terms.ring_bits, terms.way.cost(16)) == (
        16,
        "An update takes about 2 bytes a parameter on its way to the server.",
    )
    options = ("--sites", "a,b,c", "--data", "own", "--no-code", "--ring-bits", "8", "-o", tmp_path)
    assert "a 'plain' sum has no ring of words" in run_cli("jobs", "export", "fedavg", *options).output
    refused = run_cli("jobs", "export", "fedadam_dp", *options)
    assert refused.exit_code == 2
    assert "words of 8 bits let each of 48 vectors" in " ".join(refused.output.split())


def test_a_source_of_a_file_stands_in_the_job(export: Callable[..., Path], tmp_path: Path) -> None:
    named = {"path": "ptbxl_recordings.PtbxlRecordings", "args": {"root": "/data/ptbxl", "sites": {"berlin": ["0"]}}}
    (tmp_path / "recordings.json").write_text(json.dumps({"source": named}))
    job = export("fedavg", "--data", f"source:{tmp_path / 'recordings.json'}")
    assert components(job, "client")["pages"] == {"id": "pages", **named}


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--task", "torch:hospital.Unheard"), "torch task 'hospital.Unheard' is none of"),
        (("--task", "torch"), "--task is traces, nnunet or torch:CLASS"),
        (("--task", "traces:x"), "--task is traces, nnunet or torch:CLASS"),
        (("--plans", "small_3d"), "are for --task nnunet"),
        (("--data", "nnunet:/data"), "a job of --task torch takes --data own or source:FILE"),
        (("--data", "synthetic"), "a job of --task torch takes --data own or source:FILE"),
        (("--data", "source:/nowhere.json"), "/nowhere.json cannot be read"),
        (("--trained", "decoder.*"), "no tensor matches 'decoder.*'"),
        (("--clipping-norm", "0.1"), "is for jobs that clip. fedavg does not."),
    ],
)
def test_what_cannot_be_exported_is_said(run_cli: RunCli, tmp_path: Path, more: tuple[str, ...], said: str) -> None:
    done = run_cli("--extension", "ptbxl_diagnosis", "jobs", "export", "fedavg", *OPTIONS, *more, "-o", tmp_path)
    assert done.exit_code == 2
    assert said in " ".join(done.output.split())
    assert not (tmp_path / "fedavg").exists()


@pytest.mark.parametrize("source", [7, {"path": 7}, {"path": "a.B", "more": 1}, {"path": "a.B", "args": []}])
def test_a_file_that_names_no_source(run_cli: RunCli, tmp_path: Path, source: Any) -> None:
    (tmp_path / "file.json").write_text(json.dumps({"source": source}))
    more = ("--data", f"source:{tmp_path / 'file.json'}", "-o", tmp_path)
    done = run_cli("--extension", "ptbxl_diagnosis", "jobs", "export", "fedavg", *OPTIONS, *more)
    assert done.exit_code == 2
    assert "file.json, source:" in done.output


def test_a_party_trains_a_class_only_if_flare_built_one(export: Callable[..., Path], tmp_path: Path) -> None:
    terms = JobTerms(**components(export("fedavg"), "client")["terms"]["args"])

    for part in ("startup", "local"):
        (tmp_path / part).mkdir()

    def plan(needed: bool, **parts: Any) -> Any:
        context = memory_context(MemoryEngine(tmp_path, "berlin", parts), "berlin", "job")
        return job_plan(terms, context, needed=needed)

    assert plan(True, task=Superclasses()).admitted
    assert not plan(False).admitted
    for needed, parts, found in ((True, {}, "none"), (False, {"task": Line()}, "straight_line.Line")):
        with pytest.raises(ConfigError, match=f"name the task '{TASK}', its component 'task' is {found}"):
            plan(needed, **parts)


def test_a_model_of_a_module_is_exported_as_its_weights(run_cli: RunCli, tmp_path: Path) -> None:
    plan = plan_of_task(Line())
    save_model(tmp_path / "model.npz", np.float32([1, 2, 3]), plan)
    done = run_cli("export", tmp_path / "model.npz", "-o", tmp_path / "model")
    assert done.exit_code == 0, done.output
    assert "plan Line, 3 parameters" in done.output
    assert json.loads((tmp_path / "model" / "plan.json").read_text())["task"] == "straight_line.Line"
