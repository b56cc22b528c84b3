"""A command comes out of its JSON as it went in, and one that is not whole is refused by the name of what it lacks."""

import json
from pathlib import Path
from typing import Any

import pytest
from nnunet_scribbles import ScribbledPages

from ecg_flare.errors import ConfigError, PlanMismatchError
from ecg_flare.nnunet.commands import (
    EvaluateCommand,
    ExportCommand,
    InitializeCommand,
    PrepareCommand,
    TrainCommand,
    TrainPatientsCommand,
    prepare_command,
)
from ecg_flare.nnunet.kinds import plan_preset
from ecg_flare.nnunet.learnt import SiteCases
from ecg_flare.nnunet.settings import ALL_FOR_TRAINING, TO_EVALUATE, PrepareSettings, TrainingSettings
from ecg_flare.task.datasets.folder import NnunetFolder
from ecg_flare.task.datasets.plans import preset_plan
from ecg_flare.task.traces.sources import SyntheticPages
from flat_terms import flat_terms, varied

PLAN = plan_preset("tiny")
PAGES = SiteCases(SyntheticPages({"site-1": "plain"}, seed=3), "site-1", PLAN, Path("/kept/here"))
OWN = SiteCases(ScribbledPages(), "site-1", PLAN, Path("/kept/here"))
TRAIN = TrainCommand(TrainingSettings(7, 0.5, "poly", 0.1, 0.9), 2, 5, 2**127 + 1, ("decoder.*", "encoder.*"))
CONFIG = flat_terms(
    {"site-1": 1.0},
    min_sites=1,
    clipping_norm=0.5,
    noise_multiplier=1.0,
    unit="patient",
    patients_per_site=4,
    patients=4,
)

COMMANDS: list[Any] = [
    PrepareCommand(PAGES, PrepareSettings(0.5, 3, preprocess=False)),
    PrepareCommand(OWN, ALL_FOR_TRAINING, patients_per_site=9),
    EvaluateCommand(PAGES),
    EvaluateCommand(PAGES, measures=True),
    TRAIN,
    TrainPatientsCommand(TRAIN, CONFIG),
    InitializeCommand(PLAN, 2**70),
    ExportCommand(PLAN, Path("there")),
]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_comes_out_of_its_json_as_it_went_in(command: Any) -> None:
    params = json.loads(json.dumps(command.to_params()))
    assert type(command).from_params(params) == command


@pytest.mark.parametrize("command", COMMANDS)
def test_each_part_that_is_missing_and_each_that_is_unknown_is_named(command: Any) -> None:
    params = command.to_params()
    for name in params:
        with pytest.raises(ConfigError, match=rf"lacks {name}; it has "):
            type(command).from_params({key: value for key, value in params.items() if key != name})
    with pytest.raises(ConfigError, match=r"unknown .*'extra'"):
        type(command).from_params({**params, "extra": 1})


@pytest.mark.parametrize(
    ("command", "wrong", "named"),
    [
        (TRAIN, {"steps": 1.5}, r"steps must be a whole number from 1 to 1000000000. Found 1.5"),
        (TRAIN, {"learning_rate": 0}, r"learning_rate must be above 0. Found 0.0"),
        (TRAIN, {"schedule": "cosine"}, r"schedule must be 'poly' or 'constant'. Found 'cosine'"),
        (TRAIN, {"seed": -1}, r"seed must be a whole number from 0"),
        (TRAIN, {"trained": "*"}, r"trained must be a list of texts. Found '\*'"),
        (COMMANDS[0], {"validation_fraction": 1.5}, r"validation_fraction must be a number from 0 to 1. Found 1.5"),
        (COMMANDS[0], {"preprocess": 1}, r"preprocess must be true or false. Found 1"),
        (COMMANDS[0], {"patients_per_site": 0}, r"patients_per_site must be a whole number from 1"),
        (COMMANDS[0], {"source": {"path": "os.system", "args": {}}}, r"case source 'os.system' is none of"),
    ],
)
def test_a_wrong_value_is_named(command: Any, wrong: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        type(command).from_params({**command.to_params(), **wrong})


def test_no_patients_are_trained_on_at_a_delta_that_promises_nothing() -> None:
    params = TrainPatientsCommand(TRAIN, varied(CONFIG, delta=0.25)).to_params()
    with pytest.raises(ConfigError, match=r"delta is 0\.25 for 4 patients, expected it below 1 / 4"):
        TrainPatientsCommand.from_params(params)


def test_another_plan_of_the_name_is_refused() -> None:
    with pytest.raises(PlanMismatchError):
        ExportCommand.from_params({**ExportCommand(PLAN, Path("x")).to_params(), "plan_hash": "0" * 64})


def test_a_round_stands_at_its_place_in_the_job() -> None:
    options = TRAIN.options("site-1")
    assert (options.first_step, options.total_steps, options.trained) == (14, 35, ("decoder.*", "encoder.*"))
    assert (options.steps, options.schedule, options.momentum, options.proximal_mu) == (7, "poly", 0.9, 0.1)
    assert options.seed != TRAIN.options("site-2").seed


def test_a_job_under_unit_patient_trains_on_all_pages() -> None:
    assert prepare_command(PAGES, "patient", 8) == PrepareCommand(PAGES, PrepareSettings(0, 1, preprocess=True), 8)
    assert prepare_command(PAGES, "site", 8) == PrepareCommand(PAGES, PrepareSettings(0.2, 2, preprocess=True), None)
    assert PrepareSettings(0.2, 1, preprocess=False) == TO_EVALUATE


def test_cases_of_another_kind_of_task_are_refused_by_name(tmp_path: Path) -> None:
    description = tmp_path / "dataset.json"
    description.write_text(
        json.dumps({"channel_names": {"0": "MRI"}, "labels": {"background": 0, "a": 1}, "file_ending": ".nii.gz"})
    )
    volumes = preset_plan("small_3d", description, spacing=(1, 1, 1), trainer="nnUNetTrainer")
    pages, folder = PAGES.source, NnunetFolder("/data/volumes", cases_are_patients=True)
    for source, plan, named in ((pages, volumes, "SyntheticPages"), (folder, PLAN, "NnunetFolder")):
        params = PrepareCommand(SiteCases(source, "site-1", plan, tmp_path), ALL_FOR_TRAINING).to_params()
        with pytest.raises(ConfigError, match=named):
            PrepareCommand.from_params(params)
