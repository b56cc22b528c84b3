"""A recipe in a folder of its own, and kits to try it with."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from extending_recipes import ROOT, Recipe
from nvflare.lighter.constants import CtxKey
from nvflare.lighter.provision import prepare_builders, prepare_project
from nvflare.lighter.provisioner import Provisioner

from ecg_flare import extensions
from ecg_flare.federated.optimizers import OPTIMIZERS
from ecg_flare.nnunet.sources import ADDED_SOURCES
from ecg_flare.page.degrade import KINDS

SITES: Final = ("berlin", "lyon", "porto")


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Recipe]]:
    """Opens a recipe in a folder that Python looks for modules in; what this process loads of it is forgotten."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(extensions, "_loaded", {})
    for registry in (OPTIMIZERS, ADDED_SOURCES, KINDS):
        monkeypatch.setattr(registry, "_things", dict(registry))
    before = set(sys.modules)
    yield lambda heading: Recipe(heading, tmp_path)
    for name in set(sys.modules) - before:
        if name.startswith("hospital_"):
            del sys.modules[name]


@pytest.fixture
def kits(tmp_path: Path) -> Callable[..., Path]:
    """Provisions the kits of poc/project.yml, with arguments of builders changed and the hospitals' names."""

    def provisioned(builders: list[dict[str, Any]] | None = None, *, names: bool = True) -> Path:
        project = yaml.safe_load((ROOT / "poc" / "project.yml").read_text())
        named = dict(zip(("site-1", "site-2", "site-3"), SITES, strict=True)) if names else {}
        for one in project["participants"]:
            one["name"] = named.get(one["name"], one["name"])
        for builder in builders or []:
            [found] = [one for one in project["builders"] if one["path"] == builder["path"]]
            found["args"] = {**found.get("args", {}), **builder["args"]}
        context = Provisioner(str(tmp_path / "provisioned"), prepare_builders(project)).provision(
            prepare_project(project)
        )
        return Path(context[CtxKey.CURRENT_PROD_DIR])

    return provisioned
