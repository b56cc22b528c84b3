"""`ecg-flare site check` runs nothing that a job folder names: attack 02 of issue 13."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from ecg_flare.cli import main
from ecg_flare.flare.deploy.allowed import SITE_CLASSES
from ecg_flare.flare.deploy.temporary_kits import StandInKits, stand_in_kits
from ecg_flare.flare.job.bundled import BUNDLED
from ecg_flare.flare.job.folders import Pages, write_job
from ecg_flare.flare.site import admission
from ecg_flare.flare.site import in_memory as memory_site
from ecg_flare.site.kit import entry

SITES = ("site-1", "site-2", "site-3")
Change = Callable[[dict[str, Any], dict[str, Any]], None]


@pytest.fixture
def kits(tmp_path: Path) -> StandInKits:
    made = stand_in_kits(tmp_path / "kits", SITES, {}, signed=True)
    allow(made, list(SITE_CLASSES))
    return made


def allow(kits: StandInKits, classes: list[str]) -> None:
    file = kits.root("site-1") / "local" / "resources.json.default"
    file.write_text(json.dumps({"class_allow_list": classes, "components": []}))


def checked(kits: StandInKits, tmp_path: Path, change: Change) -> tuple[int, str, Path]:
    """Exit code and output of the check, and the file that the job's command makes where it runs."""
    marker = tmp_path / "PWNED"
    spec = replace(BUNDLED["fedadam_dp"], custom=False, pages=Pages("ecg_flare.site.own_pages.SitesOwn"))
    job = write_job(spec, tmp_path / "jobs")
    file = job / "app" / "config" / "config_fed_client.json"
    config = json.loads(file.read_text())
    change(config, {"path": "subprocess.check_output", "args": {"args": ["touch", str(marker)]}})
    file.write_text(json.dumps(config))
    arguments = ["--workspace", str(kits.root("site-1")), "--job", str(job), "--site", "site-1"]
    done = CliRunner().invoke(main, ["site", "check", *arguments])
    return done.exit_code, done.output, marker


def as_terms(config: dict[str, Any], command: dict[str, Any]) -> None:
    next(part for part in config["components"] if part["id"] == "terms").update(command)


def as_pages(config: dict[str, Any], command: dict[str, Any]) -> None:
    next(part for part in config["components"] if part["id"] == "pages").update(command)


def as_component(config: dict[str, Any], command: dict[str, Any]) -> None:
    config["components"].append({"id": "x", **command})


def as_executor(config: dict[str, Any], command: dict[str, Any]) -> None:
    config["executors"][0]["executor"] = command


def as_filter(config: dict[str, Any], command: dict[str, Any]) -> None:
    config["task_result_filters"][0]["filters"].append(command)


def as_data_filter(config: dict[str, Any], command: dict[str, Any]) -> None:
    config["task_data_filters"].append({"tasks": ["train"], "filters": [command]})


def as_argument(config: dict[str, Any], command: dict[str, Any]) -> None:
    config["executors"][0]["executor"]["args"]["source"] = command


def by_class_path(config: dict[str, Any], command: dict[str, Any]) -> None:
    config["components"].append({"id": "x", "class_path": command["path"], "args": command["args"]})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (as_terms, "the job's terms are 'subprocess.check_output', expected ecg_flare.federated.terms.JobTerms"),
        *[
            (change, "the class subprocess.check_output is not in the kit's class_allow_list")
            for change in (as_pages, as_component, as_executor, as_filter, as_data_filter)
        ],
        (as_argument, "a component of its own as source"),
        (by_class_path, "path must be a text"),
    ],
)
def test_a_command_in_the_place_of_a_class_is_refused_and_not_run(
    kits: StandInKits, tmp_path: Path, change: Change, said: str
) -> None:
    code, output, marker = checked(kits, tmp_path, change)
    assert (code, marker.exists()) == (3, False)
    assert said in output


def test_a_kit_that_allows_a_whole_package_is_told_so(kits: StandInKits, tmp_path: Path) -> None:
    allow(kits, ["ecg_flare."])
    code, output, _ = checked(kits, tmp_path, lambda config, command: None)
    assert code == 3
    assert "class_allow_list has ['ecg_flare.'], which allows all that lies below" in output


def test_a_class_that_the_kit_lists_beside_ours_is_not_run_in_a_rehearsal(kits: StandInKits, tmp_path: Path) -> None:
    allow(kits, [*SITE_CLASSES, "hospital.pages.Scans"])

    def change(config: dict[str, Any], command: dict[str, Any]) -> None:
        as_pages(config, {"path": "hospital.pages.Scans", "args": {}})

    assert "'hospital.pages.Scans' is none of those of ecg_flare's jobs" in checked(kits, tmp_path, change)[1]


def test_built_by_its_name_in_the_config_the_command_would_run(
    kits: StandInKits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admission, "_terms", lambda config: memory_site.build(entry(config, "terms")))
    monkeypatch.setattr(memory_site, "check_listed", lambda path: None)
    assert checked(kits, tmp_path, as_terms)[2].exists()
