"""No job loads a module or names a class that the machine's owner has not listed, however it spells it."""

import json
import shutil
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from flare_loader import PARTIES, Party
from nvflare.apis.workspace import Workspace
from nvflare.fuel.common.excepts import ComponentNotAuthorized
from nvflare.fuel.utils.class_loader import load_class

from ecg_flare import extensions
from ecg_flare.cli import main
from ecg_flare.errors import ConfigError
from ecg_flare.flare.deploy.allowed import SERVER_CLASSES, SITE_CLASSES
from ecg_flare.flare.deploy.temporary_kits import stand_in_kits
from ecg_flare.flare.job.bundled import BUNDLED
from ecg_flare.flare.job.folders import Pages, job_files, write_job
from ecg_flare.flare.server.policy import read_server_policy
from ecg_flare.flare.site.policy import POLICY_FILE, read_policy

SITES = ("site-1", "site-2", "site-3")
OWN = replace(BUNDLED["fedadam"], custom=False, pages=Pages("ecg_flare.site.own_pages.SitesOwn"))
HOSPITAL = """
from subprocess import check_output
from dataclasses import dataclass
from ecg_flare.flare.server.aggregators import FedAvg, UpdateAggregator

open({marker!r}, "a").write("loaded ")

class Halved(FedAvg):
    def __init__(self, learning_rate: float = 0.5) -> None:
        super().__init__(learning_rate)

@dataclass(frozen=True)
class Scans:
    folder: str = ""
    def describe(self, site):
        return self.folder
    def cases(self, site):
        return iter(())
"""


@pytest.fixture
def marker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The file that the module `hospital_ecg` writes to when it is loaded; the module lies on the path."""
    marker, folder = tmp_path / "LOADED", tmp_path / "installed"
    folder.mkdir()
    (folder / "hospital_ecg.py").write_text(HOSPITAL.format(marker=str(marker)))
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setattr(extensions, "_loaded", {})
    yield marker
    sys.modules.pop("hospital_ecg", None)


def party(kits: Path, side: str, folder: Path, *, classes: list[str], listed: list[Any] | None) -> Party:
    """A fresh kit whose owner allows further classes, and lists extensions."""
    shutil.copytree(kits / PARTIES[side], folder / PARTIES[side])
    local = folder / PARTIES[side] / "local"
    path = local / "resources.json.default"
    resources = json.loads(path.read_text())
    (local / "resources.json").write_text(
        json.dumps({**resources, "class_allow_list": [*resources["class_allow_list"], *classes]})
    )
    policy = json.loads((local / POLICY_FILE).read_text())
    if listed is not None:
        policy["extensions"] = listed
    (local / POLICY_FILE).write_text(json.dumps(policy))
    [own] = [part["path"] for part in resources["components"] if part["id"] == "extensions"]
    return Party(folder, side, folder / "app", [load_class(own)()])


def config_of(side: str, spec: Any = OWN) -> dict[str, Any]:
    config: dict[str, Any] = json.loads(job_files(spec)[f"app/config/config_fed_{side}.json"])
    return config


AGGREGATOR = "hospital_ecg.Halved"
HALVED = replace(OWN, aggregator=AGGREGATOR, optimizer={"learning_rate": 0.25})


def test_an_aggregator_that_the_servers_owner_allows_is_built(fresh_kits: Path, tmp_path: Path, marker: Path) -> None:
    server = party(fresh_kits, "server", tmp_path, classes=[AGGREGATOR], listed=["hospital_ecg"])
    built = server.load(config_of("server", HALVED)).components["aggregator"]
    assert (type(built).__name__, built.settings) == ("Halved", {"learning_rate": 0.25})
    assert marker.read_text() == "loaded "


def test_a_class_off_the_list_is_refused_though_its_module_is_an_extension(
    fresh_kits: Path, tmp_path: Path, marker: Path
) -> None:
    server = party(fresh_kits, "server", tmp_path, classes=[], listed=["hospital_ecg"])
    with pytest.raises(ComponentNotAuthorized, match="is not in allow_list"):
        server.load(config_of("server", HALVED))


@pytest.mark.parametrize("side", ["client", "server"])
@pytest.mark.parametrize("listed", [None, []])
def test_a_job_that_names_a_module_off_the_list_loads_nothing(
    fresh_kits: Path, tmp_path: Path, marker: Path, side: str, listed: list[Any] | None
) -> None:
    kit = party(fresh_kits, side, tmp_path, classes=[], listed=listed)
    config = config_of(side)
    config["components"].append({"id": "x", "path": "hospital_ecg.Scans", "args": {}})
    with pytest.raises(ComponentNotAuthorized, match="is not in allow_list"):
        kit.load(config)
    assert not marker.exists()


@pytest.mark.parametrize("side", ["client", "server"])
def test_a_job_lists_no_extensions_of_its_own(fresh_kits: Path, tmp_path: Path, marker: Path, side: str) -> None:
    kit = party(fresh_kits, side, tmp_path, classes=[], listed=None)
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / POLICY_FILE).write_text(json.dumps({"extensions": ["hospital_ecg"]}))
    kit.load(config_of(side) | {"extensions": ["hospital_ecg"]})
    assert not marker.exists()


@pytest.mark.parametrize("path", ["ecg_flare.flare.job.extensions.LoadExtensions", "ecg_flare.extensions.Registry"])
@pytest.mark.parametrize("side", ["client", "server"])
def test_a_job_cannot_name_what_loads_extensions(fresh_kits: Path, tmp_path: Path, side: str, path: str) -> None:
    config = config_of(side)
    config["components"].append({"id": "x", "path": path, "args": {}})
    with pytest.raises(ComponentNotAuthorized, match="is not in allow_list"):
        Party(fresh_kits, side, tmp_path / "app").load(config)


@pytest.mark.parametrize("side", ["client", "server"])
def test_a_party_whose_extension_cannot_be_loaded_takes_no_job(
    fresh_kits: Path, tmp_path: Path, marker: Path, side: str
) -> None:
    kit = party(fresh_kits, side, tmp_path, classes=[], listed=["hospital_missing"])
    with pytest.raises(ComponentNotAuthorized, match="names the extension 'hospital_missing', which cannot be loaded"):
        kit.load(config_of(side))


@pytest.mark.parametrize("listed", ["hospital_ecg", ["hospital_ecg; x"], [3], {"hospital_ecg": 1}])
def test_a_list_that_is_none_is_refused_by_the_policies(tmp_path: Path, listed: Any) -> None:
    (tmp_path / "local").mkdir()
    (tmp_path / "startup").mkdir()
    (tmp_path / "local" / POLICY_FILE).write_text(json.dumps({"extensions": listed}))
    for read in (read_policy, read_server_policy):
        with pytest.raises(ConfigError, match=r"ecg_flare\.json: extensions (is|has)"):
            read(Workspace(str(tmp_path), "site-1"))


def checked(tmp_path: Path, pages: str, *, allowed: bool, listed: bool) -> tuple[int, str]:
    """`ecg-flare site check` of a job whose pages are of the class, at a kit whose owner says so much."""
    kits = stand_in_kits(tmp_path / "kits", SITES, {}, signed=True)
    local = kits.root("site-1") / "local"
    classes = [*SITE_CLASSES, *([pages] if allowed else [])]
    (local / "resources.json.default").write_text(json.dumps({"class_allow_list": classes, "components": []}))
    policy = json.loads((local / POLICY_FILE).read_text()) if (local / POLICY_FILE).exists() else {}
    (local / POLICY_FILE).write_text(json.dumps(policy | ({"extensions": ["hospital_ecg"]} if listed else {})))
    job = write_job(replace(OWN, pages=Pages(pages)), tmp_path / "jobs")
    arguments = ["--workspace", str(kits.root("site-1")), "--job", str(job), "--site", "site-1"]
    done = CliRunner().invoke(main, ["site", "check", *arguments])
    return done.exit_code, done.output


def test_site_check_tries_a_source_that_is_allowed_and_of_an_extension(tmp_path: Path, marker: Path) -> None:
    code, output = checked(tmp_path, "hospital_ecg.Scans", allowed=True, listed=True)
    assert code == 3
    assert "WOULD NOT TAKE PART: at train: site 'site-1' has no cases" in output  # it was asked, and gave none


@pytest.mark.parametrize(
    ("pages", "allowed", "listed", "said"),
    [
        ("hospital_ecg.Scans", True, False, "no extension that local/ecg_flare.json lists defines it"),
        ("hospital_ecg.Scans", False, True, "hospital_ecg.Scans is not in the kit's class_allow_list"),
        ("hospital_ecg.FedAvg", True, True, "no extension that local/ecg_flare.json lists defines it"),
    ],
)
def test_site_check_refuses_what_lacks_the_owners_word(
    tmp_path: Path, marker: Path, pages: str, allowed: bool, listed: bool, said: str
) -> None:
    code, output = checked(tmp_path, pages, allowed=allowed, listed=listed)
    assert (code, said in output) == (3, True)
    assert marker.exists() == listed


def test_the_allow_lists_name_no_part_of_an_extension() -> None:
    assert not [path for path in (*SITE_CLASSES, *SERVER_CLASSES) if "xtension" in path]
