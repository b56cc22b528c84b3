"""The import rules of the house: which part may lean on which, and what must not be loaded to handle a message."""

import ast
import pkgutil
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import ecg_flare

SOURCE = Path(ecg_flare.__file__).parent

EVERYONES = {"documents", "errors", "extensions", "lazy", "storage", "__version__"}

# part -> the other parts of ecg_flare that it may import
MAY_IMPORT = {
    "ecg": set(),
    "page": {"ecg"},
    "digitize": {"ecg", "page"},
    "nnunet": {"federated", "privacy"},
    "task": {"ecg", "page", "digitize", "nnunet", "federated"},
    "site": {"nnunet", "task", "federated"},
    "privacy": set(),
    "review": {"ecg", "page", "digitize", "privacy"},
    "federated": {"privacy"},
}

# third-party package -> the only part that may import it
OWNED = {
    "nnunetv2": "nnunet",
    "batchgenerators": "nnunet",
    "batchgeneratorsv2": "nnunet",
    "nvflare": "flare",
    "starlette": "review",
    "uvicorn": "review",
}

HEAVY = {"torch", "torchvision", "nnunetv2", "batchgenerators", "monai", "opacus", "tenseal", "scipy"}
LIGHT_PARTS = ("federated", "privacy", "flare")

TASK_BLIND = ("nnunet", "federated", "privacy", "flare")
"""Parts that train, sum and hide whatever is learnt, and know no pages."""

OF_PAGES = re.compile(r"""["'](2d|\.png|(rgb|RGB)\w*)["']|\bLabel\.|px_per_mm|Conv2d""")

LISTS_NNUNETS_NAMES = "ecg_flare/nnunet/plan_check.py"
"""What of nnU-Net a plan may name: its own file endings, too."""


def modules() -> list[Path]:
    return sorted(SOURCE.rglob("*.py"))


def part_of(path: Path) -> str:
    """The part a file belongs to: its folder below ecg_flare, or the file itself at the top."""
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def imported(tree: ast.AST) -> Iterator[str]:
    """Full names of all that is imported anywhere below a node."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are written in full"
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def imported_on_loading(body: list[ast.stmt]) -> Iterator[str]:
    """Names that are imported when the module is: not inside functions, not under TYPE_CHECKING."""
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from imported(node)
        for name in ("body", "orelse", "finalbody", "handlers"):
            yield from imported_on_loading(getattr(node, name, []))


def name_of(path: Path) -> str:
    return path.relative_to(SOURCE.parent).as_posix()


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_parts_lean_only_on_those_below_them(path: Path) -> None:
    part = part_of(path)
    if part not in MAY_IMPORT:
        return
    names = {name for name in imported(ast.parse(path.read_text())) if name.startswith("ecg_flare.")}
    used = {name.split(".")[1] for name in names} - {part, *EVERYONES}
    assert used <= MAY_IMPORT[part], f"{part} may not import {sorted(used - MAY_IMPORT[part])}"


@pytest.mark.parametrize("path", [path for path in modules() if part_of(path) in TASK_BLIND], ids=name_of)
def test_what_trains_and_sums_knows_no_pages(path: Path) -> None:
    text = path.read_text()
    of_pages = {f"ecg_flare.{part}" for part in ("ecg", "page", "digitize")}
    assert not [name for name in imported(ast.parse(text)) if ".".join(name.split(".")[:2]) in of_pages]
    assert name_of(path) == LISTS_NNUNETS_NAMES or not OF_PAGES.findall(text)


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_frameworks_have_one_owner(path: Path) -> None:
    packages = {name.split(".")[0] for name in imported(ast.parse(path.read_text()))}
    unknown = {package for package in packages & OWNED.keys() if OWNED[package] != part_of(path)}
    assert not unknown, f"only {[OWNED[package] for package in unknown]} may import {sorted(unknown)}"


@pytest.mark.parametrize("path", [path for path in modules() if part_of(path) in LIGHT_PARTS], ids=name_of)
def test_heavy_packages_are_imported_where_they_are_used(path: Path) -> None:
    loaded = {name.split(".")[0] for name in imported_on_loading(ast.parse(path.read_text()).body)}
    assert not loaded & HEAVY


def test_the_mathematics_of_a_round_loads_nothing_heavy() -> None:
    names = [
        module.name
        for part in ("federated", "privacy")
        for module in pkgutil.walk_packages([str(SOURCE / part)], f"ecg_flare.{part}.")
    ]
    assert "ecg_flare.federated.round" in names
    program = (
        "import importlib, sys\n"
        f"for name in {['ecg_flare.errors', *names]!r}: importlib.import_module(name)\n"
        f"print(*sorted({HEAVY | {'nvflare', 'cv2'}!r} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
