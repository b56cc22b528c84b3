"""The commands of a hospital's engineer."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import Result

from ecg_flare.site.own_pages import read_own_pages

RunCli = Callable[..., Result]


@pytest.fixture
def pages(tmp_path: Path) -> Path:
    """Three pages of two patients, 102 x 152 mm at 100 dpi."""
    folder = tmp_path / "pages"
    folder.mkdir()
    for seed, name in enumerate(("anna_1", "anna_2", "bela_1")):
        mask = np.zeros((400, 600), np.uint8)
        x = np.arange(0, 600, 10)
        points = np.stack([x, 200 + 20 * np.sin(x / 40 + seed)], axis=1).astype(np.int32)
        cv2.polylines(mask, [points], isClosed=False, color=1, thickness=3)
        image = np.full((400, 600, 3), 240, np.uint8)
        image[mask > 0] = 0
        cv2.imwrite(str(folder / f"{name}.png"), image)
        cv2.imwrite(str(folder / f"{name}.mask.png"), mask)
    return folder


def test_pages_are_prepared_once_and_named_in_the_kit(run_cli: RunCli, pages: Path, kit: Path) -> None:
    command = ["site", "prepare", "--pages", pages, "--dpi", 100, "--workspace", kit, "--json"]
    first = run_cli(*command)
    assert first.exit_code == 0, first.stderr
    told = json.loads(first.stdout)
    assert (told["ready"], told["site"], told["patients"], told["cases_read"]) == (True, "berlin", 2, 3)
    assert not told["prepared"]["reused"]
    assert Path(told["prepared"]["folder"]).parent == kit / "ecg_flare_cache"
    assert told["prepared"]["size_bytes"] < told["cache_bytes_needed"]
    own = read_own_pages(kit / "local")
    assert own is not None
    assert {case.patient_id for case in own.source.cases("berlin")} == {"anna", "bela"}
    again = json.loads(run_cli(*command).stdout)
    assert again["prepared"]["reused"]


def test_pages_that_are_not_well_are_neither_prepared_nor_named(run_cli: RunCli, pages: Path, kit: Path) -> None:
    shutil.copy(pages / "anna_1.png", pages / "unnamed.png")
    done = run_cli("site", "prepare", "--pages", pages, "--dpi", 100, "--workspace", kit)
    assert done.exit_code == 3
    assert "x unnamed.png: nothing says whose page it is" in done.stdout
    assert "NOT READY" in done.stdout
    assert list((kit / "local").iterdir()) == []
    assert not (kit / "ecg_flare_cache").exists()


def test_without_a_kit_pages_are_looked_over_only(run_cli: RunCli, pages: Path) -> None:
    done = run_cli("site", "prepare", "--pages", pages, "--dpi", 100)
    assert done.exit_code == 0
    assert "3 of 3 can be read" in done.stdout


@pytest.mark.parametrize(
    ("more", "named"),
    [
        (["--patient-pattern", "^(a)", "--each-page-a-patient"], "keep one"),
        (["--plan", "huge"], "huge"),
        (["--plan-hash", "0" * 64], "000000"),
        (["--workspace", "."], "startup kit"),
    ],
)
def test_wrong_use_ends_with_2(run_cli: RunCli, pages: Path, more: list[str], named: str) -> None:
    done = run_cli("site", "prepare", "--pages", pages, "--dpi", 100, *more)
    assert done.exit_code == 2
    assert named in done.stderr


def test_a_full_disk_is_told_beforehand(
    run_cli: RunCli, pages: Path, kit: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(kit)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage._replace(free=1000))
    done = run_cli("site", "prepare", "--pages", pages, "--dpi", 100, "--workspace", kit)
    assert done.exit_code == 3
    assert "--cache" in done.stdout
