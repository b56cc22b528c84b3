"""A job without code, submitted by a lead, runs no code at a site: attack 01 of issue 13, at a fresh kit.

FLARE's byoc detection is off in it: there is no custom folder.
"""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from flare_loader import Party, kits_that_allow_the_package
from nvflare.fuel.common.excepts import ComponentNotAuthorized

from ecg_flare.flare.job.bundled import BUNDLED
from ecg_flare.flare.job.folders import Pages, job_files
from ecg_flare.flare.site import in_memory as memory_site

JOB = replace(BUNDLED["fedadam_dp"], custom=False, pages=Pages("ecg_flare.site.own_pages.SitesOwn"))


def outright(marker: Path) -> dict[str, Any]:
    return {"path": "subprocess.check_output", "args": {"args": ["touch", str(marker)]}}


def through_build(marker: Path) -> dict[str, Any]:
    hidden = {"config_type": "dict", **outright(marker)}
    return {"path": "ecg_flare.flare.site.in_memory.build", "args": {"part": hidden}}


def command_line(marker: Path) -> dict[str, Any]:
    args = ["privacy", "plan", "--sites", "3", "--rounds", "1", "--epsilon", "8", "-o", str(marker)]
    return {"path": "ecg_flare.cli.main", "args": {"args": args, "standalone_mode": False}}


def load(party: Party, entry: dict[str, Any]) -> None:
    config = json.loads(job_files(JOB)["app/config/config_fed_client.json"])
    config["components"].append({"id": "rce", **entry})
    party.load(config)


@pytest.mark.parametrize("payload", [outright, through_build, command_line])
def test_a_fresh_kit_calls_nothing_that_a_job_names_but_its_classes(
    fresh_kits: Path, tmp_path: Path, payload: Any
) -> None:
    marker = tmp_path / "PWNED"
    with pytest.raises(ComponentNotAuthorized, match="is not in allow_list"):
        load(Party(fresh_kits, "client", tmp_path / "app"), payload(marker))
    assert not marker.exists()


def test_without_the_exact_list_the_command_line_writes_where_a_job_says(tmp_path: Path) -> None:
    marker = tmp_path / "plan.html"
    load(Party(kits_that_allow_the_package(tmp_path / "kits"), "client", tmp_path / "app"), command_line(marker))
    assert marker.exists()


def test_the_package_itself_builds_no_class_but_the_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    marker = tmp_path / "PWNED"
    party = Party(kits_that_allow_the_package(tmp_path / "kits"), "client", tmp_path / "app")
    with pytest.raises(Exception, match="none of those of ecg_flare's jobs"):
        load(party, through_build(marker))
    assert not marker.exists()
    monkeypatch.setattr(memory_site, "check_listed", lambda path: None)
    load(party, through_build(marker))
    assert marker.exists()
