"""The digitizer's rooms stand in a line: each one uses what lies before it, and nothing that comes after."""

import ast
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import ecg_flare.digitize

HOUSE = Path(ecg_flare.digitize.__file__).parent
NAME = "ecg_flare.digitize"

ROOMS = ("rectify", "curl", "words", "measure", "ink", "trace", "leads", "vector", "files", "archive")
"""From a picture to files, and to the files of many pictures."""

KNOWN_TURNS: frozenset[tuple[str, str]] = frozenset()
"""Imports against the line that are still there: (module, module that it uses), without the package's name."""


@cache
def uses() -> dict[str, set[str]]:
    """For each module of the digitizer, those that it imports anywhere."""
    found: dict[str, set[str]] = {}
    for path in sorted(HOUSE.rglob("*.py")):
        parts = (part for part in path.relative_to(HOUSE).with_suffix("").parts if part != "__init__")
        names: set[str] = set()
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and f"{node.module}.".startswith(f"{NAME}."):
                names.add(str(node.module))
            elif isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names if f"{alias.name}.".startswith(f"{NAME}.")}
        found[".".join(parts)] = {name.removeprefix(NAME).lstrip(".") for name in names}
    return found


def room(module: str) -> int | None:
    """The number of the room that a module stands in; None for one beside the rooms."""
    first = module.split(".")[0]
    return ROOMS.index(first) if first in ROOMS else None


@cache
def reach(module: str) -> int:
    """The number of the last room that a module stands in, or that it needs by way of others; -1 for none."""
    own = room(module)
    return own if own is not None else max((reach(used) for used in uses().get(module, ())), default=-1)


@pytest.mark.parametrize("module", sorted(module for module in uses() if room(module) is not None))
def test_a_module_uses_only_rooms_before_its_own(module: str) -> None:
    own = reach(module)
    turns = {used for used in uses()[module] if room(used) != own and reach(used) >= own}
    assert turns == {used for user, used in KNOWN_TURNS if user == module}


def test_every_room_is_there() -> None:
    assert {module.split(".")[0] for module in uses() if "." in module} == set(ROOMS)


def test_no_modules_need_each_other_in_a_circle() -> None:
    try:
        order = tuple(TopologicalSorter(uses()).static_order())
    except CycleError as error:
        pytest.fail(f"these modules import each other in a circle: {error.args[1]}")
    assert set(uses()) <= set(order)
