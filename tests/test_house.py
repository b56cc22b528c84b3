"""The size of the house: no file, no function and no list of names grows past what one reading takes."""

import ast
import re
import statistics
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

SRC = Path(__file__).resolve().parents[1] / "src"

MAX_LINES = 400
MAX_MEDIAN_LINES = 120
MAX_ARGUMENTS = 6
MAX_NAMED_SUMMATIONS = 6
"""Strings "masked" and "encrypted" in the code: what a way of summing means stands with it."""


def sources() -> dict[str, str]:
    return {str(path.relative_to(SRC)): path.read_text(encoding="utf-8") for path in sorted(SRC.rglob("*.py"))}


def arguments(function: ast.FunctionDef | ast.AsyncFunctionDef, *, is_method: bool) -> list[str]:
    """Names of what a caller gives; `self` and `cls` are not, `*args` and `**kwargs` count as one each."""
    spec = function.args
    positional = [each.arg for each in (*spec.posonlyargs, *spec.args)]
    if is_method and not any(_name(each) == "staticmethod" for each in function.decorator_list):
        positional = positional[1:]
    return [*positional, *(each.arg for each in (spec.vararg, *spec.kwonlyargs, spec.kwarg) if each is not None)]


def is_command(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Whether click gives the arguments: one an option."""
    return any(_name(each) in ("command", "group") for each in function.decorator_list)


def _name(decorator: ast.expr) -> str:
    inner = decorator.func if isinstance(decorator, ast.Call) else decorator
    return inner.attr if isinstance(inner, ast.Attribute) else getattr(inner, "id", "")


def functions(text: str) -> Iterator[tuple[str, list[str]]]:
    """Name and arguments of each function that is no command, nested ones too."""
    for owner in ast.walk(ast.parse(text)):
        for node in ast.iter_child_nodes(owner):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not is_command(node):
                is_method = isinstance(owner, ast.ClassDef)
                yield f"{owner.name}.{node.name}" if is_method else node.name, arguments(node, is_method=is_method)


def test_the_counting_of_arguments_itself() -> None:
    text = """
class A:
    def method(self, a, *, b): ...
    @classmethod
    def of(cls, a): ...
    @staticmethod
    def plain(a): ...
@group.command()
def many(a, b, c): ...
def outer(a, /, b, *rest, c, **others):
    def inner(x): ...
"""
    assert dict(functions(text)) == {
        "A.method": ["a", "b"],
        "A.of": ["a"],
        "A.plain": ["a"],
        "outer": ["a", "b", "rest", "c", "others"],
        "inner": ["x"],
    }


@pytest.mark.parametrize("path", sources())
def test_a_file_fits_in_one_reading(path: str) -> None:
    assert len(sources()[path].splitlines()) <= MAX_LINES


def test_half_of_the_files_are_short() -> None:
    assert statistics.median(len(text.splitlines()) for text in sources().values()) <= MAX_MEDIAN_LINES


def test_no_function_takes_more_than_six_arguments() -> None:
    assert [
        f"{path}: {name}({', '.join(given)})"
        for path, text in sources().items()
        for name, given in functions(text)
        if len(given) > MAX_ARGUMENTS
    ] == []


def test_the_ways_of_summing_are_hardly_named() -> None:
    found = [
        f"{path}:{number}: {line.strip()}"
        for path, text in sources().items()
        for number, line in enumerate(text.splitlines(), 1)
        if re.search(r'"(masked|encrypted)"', line)
    ]
    assert len(found) <= MAX_NAMED_SUMMATIONS, "\n".join(found)


def test_one_class_is_named_for_the_terms() -> None:
    found = [
        f"{path}: {node.name}"
        for path, text in sources().items()
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.ClassDef) and node.name.endswith("Terms")
    ]
    assert len(found) == 1, found


def test_no_two_tests_have_one_file_name() -> None:
    """Pytest collects neither of two modules of one name, and says so at the end of a long log."""
    names = [path.name for path in Path(__file__).parent.rglob("test_*.py")]
    assert [name for name, times in Counter(names).items() if times > 1] == []
