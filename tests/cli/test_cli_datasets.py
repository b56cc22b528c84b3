"""A data set in nnU-Net's raw format from the command line: a job for it, and a site that prepares for the job."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from dataset_folders import make_dataset, make_plans

from ecg_flare.federated.parts import Evaluation
from ecg_flare.federated.terms import JobTerms
from ecg_flare.nnunet.kinds import plan_of
from ecg_flare.nnunet.split import split_each_alone
from ecg_flare.privacy.accountant import epsilon_rdp
from ecg_flare.privacy.events import GaussianEvent
from ecg_flare.site import preparation
from ecg_flare.site.own_pages import read_own_pages
from ecg_flare.task.datasets.folder import NnunetFolder

RunCli = Callable[..., Result]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return make_dataset(tmp_path / "berlin-data")


@pytest.fixture
def plans(tmp_path: Path, data: Path) -> Path:
    return make_plans(tmp_path / "plans", data / "dataset.json")


@pytest.fixture
def export(run_cli: RunCli, tmp_path: Path, plans: Path) -> Callable[..., Path]:
    def exported(name: str, *more: str) -> Path:
        options = ("--sites", "berlin,lyon,porto", "--task", "nnunet", "--plans", plans, "--no-code", "--data", "own")
        done = run_cli("jobs", "export", name, *options, *more, "-o", tmp_path / "jobs")
        assert done.exit_code == 0, done.output
        return tmp_path / "jobs" / name

    return exported


def component(job: Path, side: str, name: str) -> dict[str, Any]:
    config = json.loads((job / "app" / "config" / f"config_fed_{side}.json").read_text())
    [found] = [one for one in config["components"] if one["id"] == name]
    return dict(found)


def test_a_job_carries_its_plan_and_starts_from_nothing_public(export: Callable[..., Path]) -> None:
    job = export("fedadam_dp", "--data", "nnunet:/data/{site}/Dataset007_Boxes")
    terms = JobTerms(**component(job, "client", "terms")["args"])
    assert terms == JobTerms(**component(job, "server", "terms")["args"])
    plan = plan_of(terms.model.plan, terms.model.document)
    assert (plan.name, plan.kind) == ("Dataset007_Boxes-nnUNetPlans-3d_fullres", "nnunet")
    # a network of three stages has two in its decoder, and the last of them is the one that is trained
    assert terms.model.trained == ("decoder.transpconvs.1.*", "decoder.stages.1.*", "decoder.seg_layers.1.*")
    folder = {"folder": "/data/{site}/Dataset007_Boxes"}
    assert component(job, "client", "pages")["path"] == "ecg_flare.task.datasets.folder.NnunetFolder"
    assert component(job, "client", "pages")["args"] == folder
    assert component(job, "server", "public_pages")["path"] == "ecg_flare.nnunet.case.NoCases"
    assert component(job, "server", "persistor")["args"]["start"] == "random:0"


@pytest.mark.parametrize(
    ("more", "named"),
    [
        (("--task", "nnunet", "--data", "own"), "--plans"),
        (("--task", "nnunet", "--plans", "small_3d", "--data", "own"), "--dataset-json"),
        (("--task", "nnunet", "--plans", "none.json", "--data", "own"), "none.json cannot be read"),
        (("--data", "nnunet:/x"), "--task nnunet"),
        (("--plans", "small_3d", "--data", "own"), "are for --task nnunet"),
        (("--task", "nnunet", "--plans", "PLANS", "--data", "synthetic"), "own or nnunet:FOLDER"),
        (("--task", "nnunet", "--plans", "PLANS", "--data", "own", "--spacing", "1,x"), "--spacing"),
        (("--task", "nnunet", "--plans", "PLANS", "--data", "own", "--configuration", "2d"), "no configuration '2d'"),
    ],
)
def test_what_does_not_go_together_is_named(
    run_cli: RunCli, tmp_path: Path, plans: Path, more: tuple[str, ...], named: str
) -> None:
    said = tuple(str(plans) if each == "PLANS" else each for each in more)
    done = run_cli("jobs", "export", "fedavg", "--sites", "a,b", "--no-code", *said, "-o", tmp_path / "jobs")
    assert done.exit_code == 2
    assert named in done.output.replace("\n", " ")


def preparing(data: Path, kit: Path, job: Path) -> list[str | Path]:
    """The command that prepares a data set for a job."""
    return ["site", "prepare", "--dataset", data, "--each-case-a-patient", "--workspace", kit, "--job", job]


def test_a_data_set_is_prepared_for_a_job_and_named_in_the_kit(
    run_cli: RunCli, export: Callable[..., Path], data: Path, kit: Path
) -> None:
    job = export("fedavg")
    done = run_cli(*preparing(data, kit, job), "--json")
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert (told["ready"], told["cases_found"], told["cases_read"], told["patients"]) == (True, 5, 5, 5)
    assert (told["prepared"]["train"], told["prepared"]["val"]) == (4, 1)
    assert (
        told["plan_hash"]
        == plan_of(told["plan"], JobTerms(**component(job, "client", "terms")["args"]).model.document).hash
    )
    own = read_own_pages(kit / "local")
    assert own is not None
    assert own.source == NnunetFolder(str(data.resolve()), cases_are_patients=True)
    assert json.loads(run_cli(*preparing(data, kit, job), "--json").stdout)["prepared"]["reused"]


def test_a_folder_that_is_here_is_named_by_its_whole_path(
    run_cli: RunCli, data: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A site of the simulator works in a folder of its own, where a relative path would lead nowhere."""
    (tmp_path / "all").mkdir()
    (tmp_path / "all" / "berlin").symlink_to(data)
    monkeypatch.chdir(tmp_path)
    description = str(data / "dataset.json")
    sites = ("--sites", "berlin,lyon,porto", "--dataset-json", description)
    for command in (("export", "fedavg", "--task", "nnunet", "--plans", "small_3d"), ("agree",)):
        for folder, expected in (("all/{site}", f"{tmp_path}/all/{{site}}"), ("elsewhere/{site}", "elsewhere/{site}")):
            done = run_cli("jobs", *command, *sites, "--data", f"nnunet:{folder}", "-o", "jobs")
            assert done.exit_code == 0, done.output
            pages = component(tmp_path / done.stdout.strip(), "client", "pages")
            assert pages["args"] == {"folder": expected}


def test_cases_of_an_agreement_are_looked_over_and_named_and_not_prepared(
    run_cli: RunCli, data: Path, kit: Path, tmp_path: Path
) -> None:
    done = run_cli(
        "jobs",
        "agree",
        "--sites",
        "berlin,lyon,porto",
        "--dataset-json",
        data / "dataset.json",
        "-o",
        tmp_path / "jobs",
    )
    assert done.exit_code == 0, done.output
    job = tmp_path / "jobs" / "plan_agreement"
    command = preparing(data, kit, job)
    done = run_cli(*command, "--json")
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert (told["ready"], told["cases_read"], told["prepared"], told["cache_bytes_needed"]) == (True, 5, None, 0)
    assert read_own_pages(kit / "local") is not None
    assert "READY" in run_cli(*command).stdout
    found = json.loads((data / "dataset.json").read_text())
    (data / "dataset.json").write_text(json.dumps({**found, "channel_names": {"0": "CT"}}))
    refused = run_cli(*command)
    assert refused.exit_code != 0
    assert "has channel_names {'0': 'CT'}, the plan 'plan_agreement' has {'0': 'MRI'}" in " ".join(
        refused.stdout.split()
    )


def test_a_job_that_hides_patients_has_all_cases_for_training(
    run_cli: RunCli, export: Callable[..., Path], data: Path, kit: Path
) -> None:
    command = ["site", "prepare", "--dataset", data, "--each-case-a-patient", "--workspace", kit, "--json"]
    done = run_cli(*command, "--job", export("fedadam_dp"))
    assert done.exit_code == 0, done.output
    prepared = json.loads(done.stdout)["prepared"]
    assert (prepared["train"], prepared["val"]) == (5, 0)


@pytest.mark.parametrize(
    ("more", "named"),
    [
        (("--reviewed", "."), "--dataset and --reviewed"),
        (("--pages", "."), "--dataset and --pages"),
        (("--dpi", "200"), "--dataset and --dpi"),
        ((), "of kind 'traces'"),
        (("--patient-pattern", "(.)", "--each-case-a-patient"), "both say whose case it is"),
    ],
)
def test_a_data_set_and_what_is_of_pages_are_told_apart(
    run_cli: RunCli, data: Path, more: tuple[str, ...], named: str
) -> None:
    done = run_cli("site", "prepare", "--dataset", data, *more)
    assert done.exit_code == 2
    assert named in done.stderr


def test_pages_are_not_prepared_for_the_job_of_a_data_set(
    run_cli: RunCli, export: Callable[..., Path], data: Path
) -> None:
    done = run_cli("site", "prepare", "--pages", data, "--site", "berlin", "--job", export("fedavg"))
    assert done.exit_code == 2
    assert "of kind 'nnunet', the cases are of kind 'traces'" in done.stderr


def test_a_plan_beyond_the_machines_memory_is_told_beforehand(
    run_cli: RunCli, export: Callable[..., Path], data: Path, kit: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preparation, "machine_memory", lambda: 500_000_000)
    command = ["site", "prepare", "--dataset", data, "--each-case-a-patient", "--workspace", kit]
    done = run_cli(*command, "--job", export("fedavg"))
    assert done.exit_code == 3
    assert "parameters) takes about 0.7 GB, this machine has 0.5 GB" in done.stdout.replace("\n", " ")
    assert "NOT READY" in done.stdout
    assert not (kit / "ecg_flare_cache").exists()


def test_a_kit_without_resources_is_told(run_cli: RunCli, export: Callable[..., Path], kit: Path) -> None:
    done = run_cli("site", "check", "--workspace", kit, "--job", export("fedavg"))
    assert done.exit_code == 3
    assert "has neither resources.json nor resources.json.default" in done.output


def test_training_and_patients_are_those_that_the_consortium_says(export: Callable[..., Path]) -> None:
    more = ("--training", "steps=40", "--training", "momentum=0.9", "--patients", "120", "--patients-per-site", "42")
    job = export("fedadam_dp", *more)
    config = json.loads((job / "app" / "config" / "config_fed_client.json").read_text())
    training = config["executors"][0]["executor"]["args"]["training"]
    assert (training["steps"], training["momentum"]) == (40, 0.9)
    sampling = component(job, "server", "terms")["args"]["sampling"]
    assert (sampling["patients"], sampling["patients_per_site"]) == (120, 42)


@pytest.mark.parametrize(
    ("more", "named"),
    [
        (("--training", "epochs=3"), "training has no setting 'epochs'"),
        (("--training", "steps=2.5"), "steps must be a whole number"),
        (("--training", "momentum=1.5"), "momentum must be"),
        (("--training", "steps"), "--training takes NAME=NUMBER"),
        (("--patients", "10"), "for jobs that hide patients"),
    ],
)
def test_settings_that_cannot_be_are_named(run_cli: RunCli, tmp_path: Path, more: tuple[str, ...], named: str) -> None:
    done = run_cli("jobs", "export", "fedavg", "--sites", "a,b", "--data", "own", "--no-code", *more, "-o", tmp_path)
    assert done.exit_code == 2
    assert named in done.output


@pytest.mark.parametrize(("name", "norm"), [("fedavg", 2048.0), ("fedadam_secure", 2048.0)])
def test_sites_count_on_held_out_cases_as_the_job_sums(export: Callable[..., Path], name: str, norm: float) -> None:
    terms = JobTerms(**component(export(name, "--validate-every", "5"), "server", "terms")["args"])
    assert terms.evaluation == Evaluation(5, norm)  # 1000 cases of two labels, of which each is at most 1 long


def test_a_private_job_counts_on_held_out_cases_only_with_noise_of_its_own(
    run_cli: RunCli, export: Callable[..., Path], data: Path, kit: Path, tmp_path: Path
) -> None:
    job = export("fedadam_dp", "--validate-every", "5", "--validate-noise", "4")
    terms = JobTerms(**component(job, "client", "terms")["args"])
    assert terms.evaluation == Evaluation(5, math.sqrt(2), 4.0)
    prepared = json.loads(run_cli(*preparing(data, kit, job), "--json").stdout)["prepared"]
    held_out = [side for side in split_each_alone([f"case_{n:02d}" for n in range(5)], 0.2).values() if side == "val"]
    assert (prepared["train"], prepared["val"]) == (5 - len(held_out), len(held_out))
    options = ("--sites", "a,b,c", "--data", "own", "--no-code", "--validate-every", "5", "-o", tmp_path)
    told = {}
    for every in ("0", "1"):
        counts = ("--validate-every", every, *(("--validate-noise", "4") if every == "1" else ()))
        done = run_cli("jobs", "export", "fedadam_dp", *options[:5], *counts, "--rounds", "3", "-o", tmp_path)
        told[every] = float(done.output.split("epsilon ")[1].split()[0])
    composed = [GaussianEvent(0.8, 0.5, 3), GaussianEvent(4.0, 1.0, 3)]
    assert told["1"] == pytest.approx(epsilon_rdp(composed, 1e-4), abs=0.01)
    assert told["0"] == pytest.approx(epsilon_rdp(composed[:1], 1e-4), abs=0.01)
    done = run_cli("jobs", "export", "fedadam_dp", *options)
    assert done.exit_code == 2
    assert "would be a release: give it noise of its own" in " ".join(done.output.split())


def test_pages_are_counted_as_before_in_the_clear_and_under_masks_by_sums(run_cli: RunCli, tmp_path: Path) -> None:
    options = ("--sites", "a,b,c", "--data", "own", "--no-code", "--validate-every", "5", "-o", tmp_path)
    for name in ("fedavg", "fedadam_secure"):
        assert run_cli("jobs", "export", name, *options).exit_code == 0
    server = json.loads((tmp_path / "fedavg" / "app" / "config" / "config_fed_server.json").read_text())
    assert server["workflows"][0]["args"]["validate_every"] == 5
    assert component(tmp_path / "fedavg", "server", "terms")["args"]["evaluation"] is None
    masked = component(tmp_path / "fedadam_secure", "server", "terms")["args"]
    assert masked["evaluation"]["every"] == 5
