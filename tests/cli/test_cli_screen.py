"""What holds for every command: help with an example, one-line errors, a quick start."""

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest
from click.testing import Result

from ecg_flare.cli import main

RunCli = Callable[..., Result]


def _commands(group: click.Group, names: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from _commands(command, (*names, name))
        else:
            yield (*names, name), command


COMMANDS = dict(_commands(main))


@pytest.mark.parametrize("names", COMMANDS, ids=" ".join)
def test_every_command_shows_an_example_of_itself(names: tuple[str, ...], run_cli: RunCli) -> None:
    told = run_cli(*names, "--help")
    assert told.exit_code == 0
    assert re.search(r"Examples?:\n\s+ecg-flare " + " ".join(names), told.stdout)


@pytest.mark.parametrize("names", COMMANDS, ids=" ".join)
def test_examples_use_options_that_exist(names: tuple[str, ...]) -> None:
    command = COMMANDS[names]
    known = {option for parameter in command.params for option in parameter.opts}
    examples = re.findall(rf"^\s+ecg-flare {' '.join(names)} (.*)$", command.help or "", re.MULTILINE)
    used = {option for example in examples for option in re.findall(r"(?<!\S)--?[a-z][a-z-]*", example)}
    assert used <= known


@pytest.mark.parametrize("names", COMMANDS, ids=" ".join)
def test_the_first_sentence_fits_the_list_of_commands(names: tuple[str, ...]) -> None:
    assert not COMMANDS[names].get_short_help_str(60).endswith("...")


def test_an_error_is_one_line_on_stderr_and_ends_with_1(run_cli: RunCli, tmp_path: Path) -> None:
    told = run_cli("report", tmp_path)
    assert told.exit_code == 1
    assert told.stdout == ""
    assert told.stderr.startswith(f"Error: {tmp_path} holds no metrics.jsonl")


def test_wrong_use_ends_with_2(run_cli: RunCli) -> None:
    assert run_cli("synthesize").exit_code == 2
    assert run_cli("synthesise").exit_code == 2


def test_help_imports_nothing_heavy() -> None:
    heavy = {"torch", "numpy", "nvflare", "nnunetv2", "scipy", "cv2", "wfdb", "matplotlib"}
    code = f"import sys, ecg_flare.cli; print(sorted({heavy!r} & set(sys.modules)))"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"
