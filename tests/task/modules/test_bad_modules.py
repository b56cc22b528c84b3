"""What is wrong with a torch task, its data or its plan is said with the name and the value."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from straight_line import Line, Points, line_plan, points

from ecg_flare.errors import ConfigError, EcgFlareError, PlanMismatchError, SiteDataError, StorageError, UpdateError
from ecg_flare.federated.parts import TrainedModel
from ecg_flare.nnunet.commands import InitializeCommand
from ecg_flare.nnunet.kinds import admit, learnt, plan_of, task_of, trained_subset
from ecg_flare.nnunet.settings import ALL_FOR_TRAINING
from ecg_flare.nnunet.trainer import TrainOptions
from ecg_flare.nnunet.worker import Worker
from ecg_flare.task.modules.plan import ModulePlan
from ecg_flare.task.modules.task import TASKS, build_task, register_task
from ecg_flare.task.modules.trainer import ModuleTrainer

START = np.zeros(3, np.float32)
OPTIONS = TrainOptions(steps=2, momentum=0.0)


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("batch norm", r"'norm' is a BatchNorm1d, whose running statistics .* GroupNorm or LayerNorm"),
        ("a mean of its own", r"keeps 'mean' beside its parameters.* persistent=False"),
        ("statistics of instances", r"keeps 'norm.running_mean' beside its parameters"),
        ("double precision", r"'slope.weight' is of torch.float64, expected torch.float32"),
        ("no module", r"module\(\) gives a dict, expected a torch.nn.Module"),
        ("nothing to learn", "the module has no parameters"),
    ],
)
def test_a_module_that_sites_cannot_train_together(fault: str, said: str) -> None:
    with pytest.raises(ConfigError, match=f"straight_line.Line.*{said}"):
        line_plan(fault=fault)


@pytest.mark.parametrize(
    ("layout", "said"),
    [
        ((("slope.weight", (1, 3)), ("intercept.value", (1,))), r"parameter 1 is slope.weight \[1, 2\] here, and .*3"),
        ((("slope.weight", (1, 2)),), r"parameter 2 is intercept.value \[1\] here, and missing in the plan \(2 and 1 "),
        ((("intercept.value", (1,)), ("slope.weight", (1, 2))), "parameter 1 is slope.weight"),
    ],
)
def test_a_module_of_other_parameters_than_the_terms(tmp_path: Path, layout: Any, said: str) -> None:
    agreed = ModulePlan("Line", "straight_line.Line", {"batch_size": 2, "fault": ""}, layout, Line.labels)
    for use in (lambda: learnt(agreed).initial_model(0), lambda: ModuleTrainer(agreed, points(tmp_path))):
        with pytest.raises(PlanMismatchError, match=said):
            use()


@pytest.mark.parametrize(
    ("fault", "kind", "said"),
    [
        ("loss that is NaN", UpdateError, "the loss is nan at step 1 of 2: lower the learning rate"),
        (
            "a loss that breaks on positives",
            UpdateError,
            r"cannot learn from inputs \(2, 2\).*Target 1 is out of bounds",
        ),
        ("a counter", UpdateError, "changed a buffer while it trained"),
    ],
)
def test_training_that_gives_no_update(tmp_path: Path, fault: str, kind: type[EcgFlareError], said: str) -> None:
    trainer = ModuleTrainer(line_plan(fault=fault), points(tmp_path))
    with pytest.raises(kind, match=said):
        trainer.train(START, OPTIONS)


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("loss of each case", "gives no number that training could lower"),
        ("loss of nothing", r"gives no number that training could lower, of inputs \(1, 2\) and targets \(1, 1\)"),
        ("another shape", r"cannot learn from inputs \(1, 2\) and targets \(1, 1\)"),
    ],
)
def test_a_loss_that_cannot_be_is_found_before_a_round(tmp_path: Path, fault: str, said: str) -> None:
    with pytest.raises(ConfigError, match=f"'straight_line.Line'.*{said}"):
        ModuleTrainer(line_plan(fault=fault), points(tmp_path))


@pytest.mark.parametrize("fault", ["counts of another shape", "counts that are no numbers"])
def test_counts_that_are_none(tmp_path: Path, fault: str) -> None:
    trainer = ModuleTrainer(line_plan(fault=fault), points(tmp_path))
    with pytest.raises(ConfigError, match=r"counts\(\) of 'straight_line.Line' gives .* expected whole numbers .*3, 1"):
        trainer.validate(START)


def test_training_that_diverges(tmp_path: Path) -> None:
    trainer = ModuleTrainer(line_plan(), points(tmp_path))
    with pytest.raises(UpdateError, match=r"the loss is (inf|nan) at step|parameters are not finite"):
        trainer.train(START, TrainOptions(steps=4, learning_rate=1e38, momentum=0.0))


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("nobody", "case 'p3' of site 'site-1' has the patient id ' '"),
        ("NaN", "case 'p3' of site 'site-1': 1 of its inputs are not finite"),
        ("target", "case 'p3' of site 'site-1': 1 of its target are not finite"),
        ("shape", r"case 'p3' .*: its inputs have shape \(1,\), those of 'p0' \(2,\)"),
        ("dtype", "case 'p3' .*: its inputs are of float64, expected float32"),
        ("words", "case 'p3' .*: its target are a ndarray of <U3, expected an array of numbers"),
        ("twice", "site 'site-1' has two cases named 'p0'"),
        ("path", "case name '../p3' of site 'site-1'"),
        ("dict", "the source of site 'site-1' gives a dict, expected an ecg_flare.task.modules.Example"),
    ],
)
def test_a_case_that_cannot_be_learnt_from(tmp_path: Path, fault: str, said: str) -> None:
    with pytest.raises(SiteDataError, match=said):
        points(tmp_path, Points(fault=fault))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("patients", "said"), [(0, "has no cases"), (1, r"cases of 1 patient\(s\), at least 2")])
def test_too_few_patients(tmp_path: Path, patients: int, said: str) -> None:
    with pytest.raises(SiteDataError, match=said):
        points(tmp_path, Points(patients=patients))


def test_a_prepared_case_that_is_gone(tmp_path: Path) -> None:
    examples = points(tmp_path, settings=ALL_FOR_TRAINING)
    (examples.folder / "raw" / "inputs" / "p0.npy").unlink()
    with pytest.raises(StorageError, match="prepare again"):
        examples.inputs(["p0"])


@dataclass(frozen=True)
class NoLoss:
    labels = ("a",)
    batch_size: int = 1

    def module(self) -> None: ...
    def counts(self, outputs: Any, targets: Any) -> None: ...


@dataclass
class Changing:
    labels = ("a",)


@dataclass(frozen=True)
class Unregistered(Line):
    pass


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (NoLoss, "lacks the method loss"),
        (Changing, "expected a frozen dataclass"),
        (Path, "expected a frozen dataclass"),
        (7, "expected a frozen dataclass"),
    ],
)
def test_a_class_that_is_no_task(kind: Any, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        register_task(kind)
    assert kind not in TASKS.values()


@pytest.mark.parametrize("path", ["subprocess.Popen", "test_bad_modules.Unregistered", "straight_line.Points"])
def test_a_class_that_is_on_no_list_is_not_built(path: str) -> None:
    with pytest.raises(ConfigError, match=f"the torch task '{path}' is none of .*straight_line.Line.*--extension"):
        build_task(path, {})
    assert path not in TASKS


@pytest.mark.parametrize("path", ["subprocess.Popen", "os.system", "nowhere.Task", "straight_line.Points"])
def test_a_class_that_is_given_must_be_a_task(path: str) -> None:
    plan = ModulePlan("x", path, {}, (("a", (1,)),), ("a",)).as_admitted()
    with pytest.raises(ConfigError, match=path.rpartition(".")[2]):
        admit(plan)
    assert path not in TASKS


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ({"batches": 2}, r"does not take the arguments \['batches'\]"),
        ({"batch_size": 0}, "has the batch_size 0, expected a whole number, 1 to 100000"),
        ({"batch_size": True}, "has the batch_size True"),
    ],
)
def test_arguments_that_a_task_does_not_take(args: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        build_task("straight_line.Line", args)


def document(**changes: Any) -> str:
    return json.dumps({**json.loads(line_plan().document), **changes})


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"task": "subprocess"}, "expected the class path of a torch task"),
        ({"task": "a.b; c"}, "expected the class path"),
        ({"kind": "unheard"}, "of kind 'unheard', known are traces, nnunet, nnunet_agreement, torch"),
        ({"layout": []}, "layout needs one tensor or more"),
        ({"layout": [["a", [1]], ["a", [2]]]}, "each under a name of its own"),
        ({"layout": [["a", [0]]]}, "expected a tensor's name and its shape"),
        ({"layout": [["a", [2**20, 2**20]]]}, "at most 1073741824 are allowed"),
        ({"layout": [["a", [1] * 9]]}, "expected a tensor's name and its shape"),
        ({"layout": [["a"]]}, "expected a tensor's name and its shape"),
        ({"last_part": ["decoder.*"]}, "no tensor matches 'decoder.*'"),
        ({"last_part": []}, "must be one or more"),
        ({"labels": []}, "labels are .*expected 1 to 1000 different names"),
        ({"labels": ["a", "a"]}, r"labels are \['a', 'a'\], expected 1 to 1000 different names"),
        ({"labels": "positive"}, "labels"),
        ({"args": 3}, "args must be an object"),
        ({"code": "x"}, r"unknown .*code"),
    ],
)
def test_a_plan_that_is_none(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        plan_of("Line", document(**changes))


def test_a_plan_is_read_and_summed_without_its_class() -> None:
    text = document(task="nowhere.installed.Task")
    plan = plan_of("theirs", text)
    assert trained_subset(TrainedModel("theirs", ("intercept.*",), text)).dimension == 1
    with pytest.raises(ConfigError, match=r"'nowhere.installed.Task' is none of"):
        learnt(plan).initial_model(0)
    with pytest.raises(ConfigError, match="of kind 'torch', whose network is not nnU-Net's"):
        task_of(plan)


def test_the_training_process_builds_no_class_that_it_was_not_given() -> None:
    with Worker(log=lambda _: None) as worker, pytest.raises(ConfigError, match=r"'straight_line.Line' is none of"):
        worker.call("initialize", InitializeCommand(line_plan(), 0).to_params())
