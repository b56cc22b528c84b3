"""A network of one's own: a kit that lists its module and its class trains it under masks, and others refuse it."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from extending_recipes import Recipe


@pytest.fixture
def visits(tmp_path: Path) -> None:
    rows = [f"v{n},p{n // 2},{40 + 3 * n},{100 + 7 * (n % 5)},{n % 2}" for n in range(8)]
    (tmp_path / "visits.csv").write_text("\n".join(["visit,patient,age,pressure,event", *rows]))


def open_recipe(recipe: Callable[[str], Recipe], kits: Callable[..., Path], *, listed: bool) -> Recipe:
    own = recipe("A network")
    builders = yaml.safe_load(own.text("builders.yml")) if listed else None
    (own.folder / "berlin").symlink_to(kits(builders) / "berlin")
    own.write()
    return own


@pytest.mark.slow
@pytest.mark.usefixtures("visits")
def test_a_site_trains_the_network_under_masks(recipe: Callable[[str], Recipe], kits: Callable[..., Path]) -> None:
    own = open_recipe(recipe, kits, listed=True)
    said = own.run()
    assert "WOULD TAKE PART: the round went through" in said
    written = json.loads((own.folder / "berlin" / "local" / "ecg_flare_pages.json").read_text())
    assert written == json.loads(own.text("visits.json"))
    [manifest] = (own.folder / "berlin" / "ecg_flare_cache").rglob("manifest.json")
    cases = json.loads(manifest.read_text())["cases"]
    assert [case["name"] for case in cases] == [f"v{n}" for n in range(8)]


@pytest.mark.slow
@pytest.mark.usefixtures("visits")
@pytest.mark.parametrize("more", ["fedadam_he", "fedadam_dp --trained 3.* --patients 12 --patients-per-site 4"])
def test_sums_of_other_kinds_take_it_as_well(
    recipe: Callable[[str], Recipe], kits: Callable[..., Path], more: str
) -> None:
    own = open_recipe(recipe, kits, listed=True)
    export, prepare, check = own.text("commands").splitlines()
    assert own.command(export.replace("fedadam_secure", more)).returncode == 0
    assert own.command(prepare.replace("fedadam_secure", more.split()[0])).returncode == 0
    done = own.command(check.replace("fedadam_secure", more.split()[0]))
    assert "WOULD TAKE PART: the round went through" in done.stdout, done.stdout + done.stderr
    if more.startswith("fedadam_dp"):
        assert "17 " in done.stdout or "[17]" in done.stdout  # sixteen weights and a bias leave, and nothing else


@pytest.mark.usefixtures("visits")
def test_a_kit_that_lists_no_class_refuses_the_network(
    recipe: Callable[[str], Recipe], kits: Callable[..., Path]
) -> None:
    own = open_recipe(recipe, kits, listed=False)
    said = " ".join(own.run(ends=3).split())
    assert "hospital_risk.Risk is not in the kit's class_allow_list" in said


@pytest.mark.usefixtures("visits")
def test_a_kit_that_lists_no_module_refuses_the_network(
    recipe: Callable[[str], Recipe], kits: Callable[..., Path]
) -> None:
    own = open_recipe(recipe, kits, listed=True)
    file = own.folder / "berlin" / "local" / "ecg_flare.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "extensions": []}))
    export, prepare, check = own.text("commands").splitlines()
    assert own.command(export).returncode == 0
    unknown = own.command(prepare)
    assert unknown.returncode == 2
    assert "case source 'hospital_risk.Table' is none of" in unknown.stderr
    done = own.command(check)
    assert done.returncode == 3
    said = " ".join((done.stdout + done.stderr).split())
    assert "the job's class 'hospital_risk.Risk' is none of those of ecg_flare's jobs" in said
