"""A case source of one's own: the site's kit names it, and a job trains on its pages."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from extending_recipes import Recipe

from ecg_flare.task.traces.sources import SyntheticPages


def archive(folder: Path) -> None:
    """Pages of three patients, as the recipe says that they lie there."""
    for case in SyntheticPages({"x": "plain"}, pages_per_site=6, pages_per_patient=2).cases("x"):
        path = folder / case.patient_id / f"{case.name}.npz"
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(path, image=case.image, mask=case.mask)


@pytest.mark.slow
def test_a_site_trains_on_its_archive(recipe: Callable[[str], Recipe], kits: Callable[..., Path]) -> None:
    own = recipe("A page source")
    (own.folder / "berlin").symlink_to(kits() / "berlin")
    own.write()
    archive(own.folder / "archive")
    said = own.run()
    assert "WOULD TAKE PART: the round went through" in said
    [prepared] = (own.folder / "berlin" / "ecg_flare_cache").rglob("manifest.json")
    assert json.loads((own.folder / "berlin" / "local" / "ecg_flare.json").read_text())["min_cohort"] == 3
    assert prepared.exists()


def test_a_kit_that_lists_no_module_refuses_the_class(
    recipe: Callable[[str], Recipe], kits: Callable[..., Path]
) -> None:
    own = recipe("A page source")
    (own.folder / "berlin").symlink_to(kits() / "berlin")
    own.write()
    file = own.folder / "berlin" / "local" / "ecg_flare.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "extensions": []}))
    assert "case source 'hospital_archive.Archive' is none of" in own.run(ends=3)
