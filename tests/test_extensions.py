"""What a machine's owner lists is loaded once; what is no module, fails to load or takes a taken name is refused."""

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from ecg_flare import extensions
from ecg_flare.cli import main
from ecg_flare.errors import ConfigError
from ecg_flare.extensions import (
    VARIABLE,
    Registry,
    extension_class,
    load_environment,
    load_extensions,
    loaded_extensions,
)
from ecg_flare.federated.optimizers import FedAvg, optimizer_by_name, register_optimizer
from ecg_flare.nnunet.sources import register_source
from ecg_flare.page.degrade import Degradation, register_degradation
from ecg_flare.page.degrade.fold import Fold

Write = Callable[[str, str], None]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Write]:
    """Writes a module that can be imported for the time of a test; what it loads is forgotten."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(extensions, "_loaded", {})
    before = set(sys.modules)

    def module(name: str, text: str) -> None:
        (tmp_path / f"{name}.py").write_text(text)

    yield module
    for name in set(sys.modules) - before:
        del sys.modules[name]


def test_each_listed_module_is_loaded_once_and_in_its_order(write: Write, tmp_path: Path) -> None:
    for name in ("one", "two"):
        write(name, f"open({str(tmp_path / 'log')!r}, 'a').write('{name} ')")
    load_extensions(["two", "one"], "the test")
    load_extensions(["one"], "the test")
    assert (tmp_path / "log").read_text() == "two one "
    assert loaded_extensions() == ("two", "one")


def test_the_environment_lists_modules_with_colons(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    write("one", "")
    write("two", "")
    monkeypatch.setenv(VARIABLE, "one:two")
    load_environment()
    assert loaded_extensions() == ("one", "two")


def test_a_command_loads_those_of_its_options(write: Write) -> None:
    write("one", "")
    done = CliRunner().invoke(main, ["--extension", "one", "profiles"])
    assert (done.exit_code, loaded_extensions()) == (0, ("one",))


def test_a_command_whose_extension_is_missing_says_so_and_does_nothing(write: Write) -> None:
    done = CliRunner().invoke(main, ["--extension", "hospital.missing", "profiles"])
    assert done.exit_code == 1
    assert "--extension names the extension 'hospital.missing', which cannot be loaded" in done.output
    assert "ModuleNotFoundError" in done.output


@pytest.mark.parametrize("text", ["raise OSError('no disk')", "1 +", "import ecg_nothing", "raise RuntimeError('x')"])
def test_a_module_that_fails_in_any_way_is_named(write: Write, text: str) -> None:
    write("broken", text)
    with pytest.raises(ConfigError, match="the test names the extension 'broken', which cannot be loaded"):
        load_extensions(["broken"], "the test")
    assert loaded_extensions() == ()


@pytest.mark.parametrize(
    "listed",
    [
        *("one", {"one": 1}, 3, [3], [""], ["one", "one"], [f"m{index}" for index in range(101)]),
        *(["a.py/../b"], ["../evil"], [".evil"], ["a."], ["a b"], ["os; x"], ["\u0430"], ["one\n"]),
    ],
)
def test_what_is_no_list_of_modules_is_refused_before_anything_is_loaded(write: Write, listed: Any) -> None:
    write("one", "")
    with pytest.raises(ConfigError, match=r"the list (is|has)"):
        load_extensions(listed, "the list")
    assert "one" not in sys.modules


def test_only_a_class_that_the_extension_defines_is_its_own(write: Write) -> None:
    write(
        "one", "from subprocess import Popen, check_output\nclass Own:\n    class Inner: pass\n\ndef function(): pass\n"
    )
    write("two", "class Own: pass")
    assert extension_class("one.Own") is None  # not loaded yet
    load_extensions(["one"], "the test")
    assert extension_class("one.Own") is sys.modules["one"].Own
    for path in ("one.Popen", "one.check_output", "one.function", "one.Own.Inner", "one.None", "one", "two.Own", ""):
        assert extension_class(path) is None


def test_a_name_that_is_taken_stays_with_its_thing() -> None:
    things = Registry("thing", {"a": 1})
    things.add("b", 2)
    things.add("b", 2)
    with pytest.raises(ConfigError, match="a thing is called 'a' already: register yours under another name"):
        things.add("a", 3)
    with pytest.raises(ConfigError, match="a thing is registered as '', expected a name"):
        things.add("", 3)
    assert dict(things) == {"a": 1, "b": 2}


def test_no_extension_replaces_what_the_package_has() -> None:
    class Stronger(FedAvg):
        pass

    fold = dataclass(frozen=True)(type("Fold", (Degradation,), {"apply": lambda self, page: page}))
    folder = dataclass(frozen=True)(
        type("PageFolder", (), {"describe": lambda self, site: {}, "cases": lambda self, site: iter(())})
    )
    folder.__module__ = "ecg_flare.task.traces.page_folder"
    for add in (
        lambda: register_optimizer("fedavg", Stronger),
        lambda: register_degradation(fold),
        lambda: register_source(folder),
    ):
        with pytest.raises(ConfigError, match=r"is called .* already"):
            add()
    assert type(optimizer_by_name("fedavg")) is FedAvg
    assert register_degradation(Fold) is Fold


def test_what_is_not_of_its_kind_is_not_registered() -> None:
    @dataclass(frozen=True)
    class Undrawn(Degradation):
        strength: float = 1.0

        def apply(self, page: Any) -> Any:
            return page

    with pytest.raises(ConfigError, match="Undrawn does not say how strength is drawn: give it by `between`"):
        register_degradation(Undrawn)
    for register in (register_degradation, register_source, lambda kind: register_optimizer("x", kind)):
        for thing in (np.ndarray, print, "fold"):
            with pytest.raises(ConfigError, match=r"is no (degradation|case source|server optimizer)"):
                register(thing)
