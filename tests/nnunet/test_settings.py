"""The defaults of training: one table, whoever asks."""

from dataclasses import asdict
from inspect import signature
from typing import Any

import pytest

from ecg_flare.cli.model import pretrain as pretrain_command
from ecg_flare.errors import ConfigError
from ecg_flare.flare.job.folders import Training
from ecg_flare.flare.site.executor import NnunetExecutor
from ecg_flare.nnunet.pretrain import pretraining
from ecg_flare.nnunet.settings import Compute, TrainingSettings
from ecg_flare.nnunet.trainer import TrainOptions

DEFAULTS = {"steps": 15, "learning_rate": 0.01, "schedule": "constant", "proximal_mu": 0.0, "momentum": 0.99}


def test_jobs_executor_and_trainer_have_the_same_defaults() -> None:
    assert asdict(TrainingSettings()) == DEFAULTS
    assert Training().executor_args() == {
        "training": DEFAULTS,
        "compute": {"threads": 1, "device": "cpu"},
        "seed": None,
    }
    assert NnunetExecutor()._settings == NnunetExecutor(**Training().executor_args())._settings == TrainingSettings()
    assert {name: getattr(TrainOptions(), name) for name in DEFAULTS} == DEFAULTS


def test_pretraining_has_them_but_for_the_schedule() -> None:
    assert signature(pretraining).parameters["learning_rate"].default == DEFAULTS["learning_rate"]
    defaults = {option.name: option.default for option in pretrain_command.params}
    assert (defaults["learning_rate"], defaults["threads"], defaults["device"]) == (0.01, 1, "cpu")


def test_a_job_may_leave_settings_out() -> None:
    assert TrainingSettings.of_job({"steps": 3, "proximal_mu": 1}, "x") == TrainingSettings(steps=3, proximal_mu=1.0)
    assert Compute.of_job({"device": "cuda"}, "x") == Compute(1, "cuda")


@pytest.mark.parametrize(
    ("group", "values", "named"),
    [
        ("training", {"step": 3}, "the job's executor, training: unknown .*'step'"),
        ("training", {"steps": "many"}, "training: steps must be a whole number from 1 to .*Found 'many'"),
        ("training", {"momentum": 1.0}, "momentum must be at least 0 and below 1. Found 1.0"),
        ("training", [], "training: expected an object"),
        ("compute", {"threads": 0}, "compute: threads must be a whole number from 1 to 1024. Found 0"),
        ("compute", {"cpu": 1}, "compute: unknown .*'cpu'"),
    ],
)
def test_what_a_job_gives_is_checked(group: str, values: Any, named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        NnunetExecutor(**{group: values})


def test_a_whole_message_lacks_nothing() -> None:
    for name in DEFAULTS:
        with pytest.raises(ConfigError, match=rf"here: {name} must be "):
            TrainingSettings.from_json({key: value for key, value in DEFAULTS.items() if key != name}, "here")
