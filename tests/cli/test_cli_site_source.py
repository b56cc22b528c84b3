"""A site's cases of a torch task: looked over, prepared and named in the kit, from the source that a file names."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from ptbxl_recordings import PtbxlRecordings
from small_ptbxl import make_ptbxl
from straight_line import Line, Points

from ecg_flare import extensions
from ecg_flare.nnunet import register_source
from ecg_flare.site.own_pages import read_own_pages

RunCli = Callable[..., Result]
EXTENSIONS = ("--extension", "ptbxl_diagnosis", "--extension", "ptbxl_recordings")


@register_source
@dataclass(frozen=True)
class Broken:
    """A source that fails at its third case, as a hospital's own code may."""

    error: str = "key"

    def describe(self, site: str) -> Any:
        return self.error

    def cases(self, site: str) -> Iterator[Any]:
        yield from list(Points().cases(site))[:2]
        raise KeyError("patient_no") if self.error == "key" else OSError("the archive is not mounted")


register_source(Points)


@pytest.fixture(autouse=True)
def _extensions_of_these_commands_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extensions, "_loaded", dict(extensions._loaded))


@pytest.fixture
def job(run_cli: RunCli, tmp_path: Path) -> Path:
    """A masked job of the diagnosis, which leaves it to each site where its cases lie."""
    task = ("--task", "torch:ptbxl_diagnosis.Superclasses", "--no-code", "--data", "own")
    done = run_cli(
        *EXTENSIONS, "jobs", "export", "fedadam_secure", "--sites", "berlin,lyon,porto", *task, "-o", tmp_path
    )
    assert done.exit_code == 0, done.output
    return tmp_path / "fedadam_secure"


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    root = make_ptbxl(tmp_path / "ptbxl")
    return named(tmp_path / "recordings.json", PtbxlRecordings, {"root": str(root), "sites": {"berlin": ["0"]}})


def named(file: Path, kind: type, args: dict[str, Any]) -> Path:
    file.write_text(json.dumps({"source": {"path": f"{kind.__module__}.{kind.__qualname__}", "args": args}}))
    return file


def said(done: Result) -> str:
    return " ".join(done.output.split())


def test_recordings_are_prepared_once_and_named_in_the_kit(
    run_cli: RunCli, job: Path, recordings: Path, kit: Path
) -> None:
    command = (*EXTENSIONS, "site", "prepare", "--source", recordings, "--job", job, "--workspace", kit, "--json")
    first = run_cli(*command)
    assert first.exit_code == 0, first.stderr
    told = json.loads(first.stdout)
    assert (told["ready"], told["site"], told["cases_found"], told["patients"]) == (True, "berlin", 3, 3)
    assert not told["prepared"]["reused"]
    assert Path(told["prepared"]["folder"]).parent == kit / "ecg_flare_cache"
    assert 0.9 * told["cache_bytes_needed"] < told["prepared"]["size_bytes"] < 1.5 * told["cache_bytes_needed"]
    own = read_own_pages(kit / "local")
    assert own is not None
    assert isinstance(own.source, PtbxlRecordings)
    assert json.loads(run_cli(*command).stdout)["prepared"]["reused"]


def test_the_kit_lists_the_extension_that_the_source_is_of(
    run_cli: RunCli, job: Path, recordings: Path, kit: Path
) -> None:
    (kit / "local" / "ecg_flare.json").write_text(json.dumps({"extensions": ["hospital_archive_that_is_not_there"]}))
    done = run_cli("site", "prepare", "--source", recordings, "--job", job, "--workspace", kit)
    assert done.exit_code == 2
    assert "names the extension 'hospital_archive_that_is_not_there', which cannot be loaded" in said(done)


@pytest.mark.parametrize(
    ("kind", "args", "what"),
    [
        (Points, {"fault": "nobody"}, "x p3: case 'p3' of site 'berlin' has the patient id ' '"),
        (Points, {"fault": "NaN"}, "x p3: case 'p3' of site 'berlin': 1 of its inputs are not finite"),
        (Points, {"fault": "twice"}, "x p0: site 'berlin' has two cases named 'p0'"),
        (Points, {"fault": "path"}, "x ../p3: case name '../p3' of site 'berlin' must be letters"),
        (Points, {"fault": "dict"}, "x the folder: the source of site 'berlin' gives a dict"),
        (Points, {"patients": 1}, "x the folder: the cases that can be read are of 1 patients"),
        (Points, {"patients": 0}, "x the folder: the cases that can be read are of 0 patients"),
        (Broken, {}, "x the folder: the source fails after 2 cases: KeyError: 'patient_no'"),
        (
            Broken,
            {"error": "disk"},
            "x the folder: the source fails after 2 cases: OSError: the archive is not mounted",
        ),
    ],
)
def test_what_is_wrong_with_a_case_is_found_before_anything_trains(
    run_cli: RunCli, job: Path, kit: Path, kind: type, args: dict[str, Any], what: str
) -> None:
    file = named(kit.parent / "points.json", kind, args)
    done = run_cli("site", "prepare", "--source", file, "--job", job, "--workspace", kit)
    assert done.exit_code == 3, done.output
    assert what in said(done)
    assert "NOT READY" in done.stdout
    assert list((kit / "local").iterdir()) == []
    assert not (kit / "ecg_flare_cache").exists()


def test_all_that_is_wrong_is_listed_at_once(run_cli: RunCli, job: Path, tmp_path: Path) -> None:
    file = named(tmp_path / "points.json", Points, {"fault": "shape"})
    done = run_cli("site", "prepare", "--source", file, "--job", job, "--site", "berlin", "--json")
    told = json.loads(done.stdout)
    assert (told["ready"], told["cases_found"], told["cases_read"]) == (False, 10, 9)
    assert [finding["case"] for finding in told["findings"]] == ["p3"]


@pytest.mark.parametrize(
    ("more", "what"),
    [
        (("--site", "berlin", "--pages", "."), "--source and --pages name cases of different tasks"),
        (("--site", "berlin", "--dataset", "."), "--source and --dataset name cases of different tasks"),
        (("--site", "berlin", "--patient-pattern", "x"), "--patient-pattern does not go with --source"),
        (("--site", "berlin", "--each-case-a-patient"), "--each-case-a-patient does not go with --source"),
        ((), "say whose by --site, or give --workspace"),
    ],
)
def test_a_source_is_given_alone(
    run_cli: RunCli, job: Path, recordings: Path, more: tuple[str, ...], what: str
) -> None:
    done = run_cli(*EXTENSIONS, "site", "prepare", "--source", recordings, "--job", job, *more)
    assert done.exit_code == 2
    assert what in said(done)


def test_a_source_needs_the_job_of_a_torch_task(run_cli: RunCli, recordings: Path) -> None:
    done = run_cli(*EXTENSIONS, "site", "prepare", "--source", recordings, "--site", "berlin")
    assert done.exit_code == 2
    assert "the plan 'tiny' is for a task of kind 'traces', the cases are of kind 'torch'" in said(done)


def test_a_file_that_names_no_known_source(run_cli: RunCli, job: Path, tmp_path: Path) -> None:
    file = named(tmp_path / "file.json", Line, {})
    done = run_cli("site", "prepare", "--source", file, "--job", job, "--site", "berlin")
    assert done.exit_code == 2
    assert "case source 'straight_line.Line' is none of" in said(done)
