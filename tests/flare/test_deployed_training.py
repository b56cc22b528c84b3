"""What the server reads of the sites' training in a job: the same that the sites' executor takes."""

import json
from pathlib import Path
from typing import Any

import pytest
from nvflare.apis.workspace import Workspace

from ecg_flare.errors import ConfigError
from ecg_flare.flare.job.bundled import BUNDLED
from ecg_flare.flare.job.folders import job_files
from ecg_flare.flare.job.training import deployed_training, stated_training
from ecg_flare.nnunet.settings import TrainingSettings

NNUNET = "ecg_flare.flare.site.executor.NnunetExecutor"


def config(path: str = NNUNET, **args: Any) -> dict[str, Any]:
    return {"executors": [{"tasks": ["train"], "executor": {"path": path, "args": args}}]}


@pytest.mark.parametrize("name", BUNDLED)
def test_a_job_folder_says_the_training_of_its_spec(name: str) -> None:
    spec = BUNDLED[name]
    told = stated_training(json.loads(job_files(spec)["app/config/config_fed_client.json"]))
    assert told is not None
    assert (told.steps, told.learning_rate) == (spec.training.steps, spec.training.learning_rate)
    assert (told.momentum, told.proximal_mu) == (spec.training.momentum, spec.training.proximal_mu)


def test_what_a_job_leaves_out_is_the_executors_default() -> None:
    assert stated_training(config()) == TrainingSettings()


def test_another_executor_tells_nothing() -> None:
    assert stated_training(config("their.own.Executor", training={"steps": 3})) is None
    assert stated_training({"executors": [{"tasks": ["witness"], "executor": {"path": NNUNET}}]}) is None


def test_impossible_settings_are_named() -> None:
    with pytest.raises(ConfigError, match=r"training: steps must be .* Found 0"):
        stated_training(config(training={"steps": 0}))


def test_it_lies_beside_the_servers_own_configuration(tmp_path: Path) -> None:
    for folder in ("startup", "local"):
        (tmp_path / folder).mkdir()
    workspace = Workspace(str(tmp_path), "server")
    assert deployed_training(workspace, "job-1") is None
    app = tmp_path / "job-1" / "app_server" / "config"
    app.mkdir(parents=True)
    (app / "config_fed_client.json").write_text(json.dumps(config(training={"steps": 9})))
    assert deployed_training(workspace, "job-1") == TrainingSettings(steps=9)
