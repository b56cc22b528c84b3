"""The faces of packages: each name loads, the tables say one thing, and looking at a face loads nothing heavy."""

import ast
import importlib
import pkgutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import ecg_flare

FACES = (
    "ecg",
    "page",
    "digitize",
    "nnunet",
    "federated",
    "privacy",
    "flare",
    "report",
    "review",
    "site",
    "task.traces",
)
HEAVY = {"torch", "nnunetv2", "monai", "opacus", "tenseal", "scipy", "nvflare", "cv2", "matplotlib", "wfdb", "numpy"}


def typed_imports(package: str) -> Iterator[tuple[str, str]]:
    """Module and name of what a face imports for type checkers."""
    tree = ast.parse((Path(ecg_flare.__file__).parent / package.replace(".", "/") / "__init__.py").read_text())
    [typed] = [node for node in tree.body if isinstance(node, ast.If)]
    for node in typed.body:
        assert isinstance(node, ast.ImportFrom)
        yield from ((str(node.module), alias.name) for alias in node.names)


@pytest.mark.parametrize("package", FACES)
def test_the_table_the_list_and_the_typed_imports_of_a_face_are_one(package: str) -> None:
    face = importlib.import_module(f"ecg_flare.{package}")
    homes = [(f"ecg_flare.{package}.{module}", name) for module, names in face._NAMES.items() for name in names]
    assert sorted(homes) == sorted(typed_imports(package))
    assert sorted(face.__all__) == sorted(name for _, name in homes) == dir(face)


@pytest.mark.parametrize("package", FACES)
def test_each_name_of_a_face_is_that_of_its_module(package: str) -> None:
    face = importlib.import_module(f"ecg_flare.{package}")
    for module, name in typed_imports(package):
        assert getattr(face, name) is getattr(importlib.import_module(module), name)


@pytest.mark.parametrize("package", FACES)
def test_no_name_of_a_face_is_that_of_a_module(package: str) -> None:
    """Python sets a loaded module as an attribute of its package, and would then give that."""
    face = importlib.import_module(f"ecg_flare.{package}")
    assert not set(face.__all__) & {module.name for module in pkgutil.iter_modules(face.__path__)}


def test_an_unknown_name_is_refused_as_python_does() -> None:
    with pytest.raises(ImportError, match="cannot import name 'FedNothing'"):
        from ecg_flare.federated import FedNothing  # type: ignore[attr-defined]  # noqa: F401


@pytest.mark.parametrize(
    ("module", "needed"),
    [
        *((f"ecg_flare.{package}", set()) for package in FACES),
        ("ecg_flare.cli", set()),
        ("ecg_flare.flare.summation.masked", {"numpy"}),  # its descriptor knows the threshold rule
    ],
)
def test_a_face_loads_nothing_heavy(module: str, needed: set[str]) -> None:
    program = f"import sys, {module}\nprint(*sorted({HEAVY - needed!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
