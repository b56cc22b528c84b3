"""Changed inputs for every parser give a result or an EcgFlareError. Longer: `python -m benchmarks.fuzz`."""

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from benchmarks.fuzz.__main__ import main
from benchmarks.fuzz.parsers import PARSERS
from benchmarks.fuzz.runs import Parser, memory_folder, run_parser
from click.testing import CliRunner

from ecg_flare.errors import ConfigError

INPUTS = 200
SEED = 13


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder in memory where there is one: every input writes files."""
    with TemporaryDirectory(dir=memory_folder()) as text:
        yield Path(text)


@pytest.mark.parametrize("parser", PARSERS, ids=lambda parser: parser.name)
def test_nothing_else_comes_of_a_changed_input(parser: Parser, folder: Path) -> None:
    outcome = run_parser(parser, SEED, range(INPUTS), folder)

    assert not outcome.failures, "\n".join(f"{each.what} {each.where}\n{each.again()}" for each in outcome.failures)
    assert outcome.inputs == outcome.read + outcome.refused == INPUTS
    assert outcome.refused >= INPUTS // 10, "the changes are too small to be refused"


@pytest.mark.parametrize("parser", PARSERS, ids=lambda parser: parser.name)
def test_what_is_not_changed_is_read(parser: Parser, folder: Path) -> None:
    """Else nothing behind the first check would ever be reached."""
    same = Parser(parser.name, lambda: parser.samples()[:1], lambda _, sample: sample, parser.read)

    outcome = run_parser(same, SEED, range(1), folder)

    # A job also meets the class list of a kit, which this one has not.
    assert outcome.read == 1 or (parser.name == "job" and outcome.refusals["PolicyError"]), outcome


def test_the_same_seed_gives_the_same_inputs() -> None:
    for parser in PARSERS:
        samples = parser.samples()
        one, other, next_seed = (repr(parser.input(seed, 5, samples)) for seed in (1, 1, 2))
        assert one == other
        assert one != next_seed or parser.input(1, 6, samples) is not None


def _raise(error: BaseException) -> None:
    raise error


@pytest.mark.parametrize(
    ("read", "found"),
    [
        (lambda data, folder: _raise(KeyError("x")), "KeyError: 'x'"),
        (lambda data, folder: os.kill(os.getpid(), signal.SIGSEGV), "ends the process (exit code -11)"),
        (lambda data, folder: _raise(MemoryError("much")), "MemoryError: much"),
        (lambda data, folder: _raise(RecursionError("deep")), "RecursionError: deep"),
    ],
)
def test_what_is_looked_for_is_found(read: object, found: str, folder: Path) -> None:
    broken = Parser("broken", lambda: [b"x"], lambda rng, data: data, read)  # type: ignore[arg-type]

    outcome = run_parser(broken, 0, range(3), folder)

    assert [failure.what for failure in outcome.failures] == [found] * 3
    assert outcome.failures[2].again().endswith("--first 2 --inputs 1")


def _work_on(data: bytes, place: Path) -> None:
    while data:
        pass


@pytest.mark.parametrize(
    ("read", "found"),
    [(_work_on, "TooSlow: more than"), (lambda data, place: time.sleep(60), "takes more than")],
)
def test_an_input_that_takes_too_long_is_found(
    read: object, found: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmarks.fuzz.runs.MAX_SECONDS", 0.2)
    slow = Parser("slow", lambda: [b"x"], lambda rng, data: data, read)  # type: ignore[arg-type]

    assert found in run_parser(slow, 0, range(1), folder).failures[0].what


def test_an_input_that_takes_too_much_is_found(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.fuzz.runs.MAX_BYTES", 50_000_000)
    large = Parser("large", lambda: [b"x"], lambda rng, data: data, lambda data, place: bytearray(200_000_000))

    assert "takes 0." in run_parser(large, 0, range(1), folder).failures[0].what


def test_our_own_errors_are_refusals(folder: Path) -> None:
    refusing = Parser("refusing", lambda: [b"x"], lambda rng, data: data, lambda data, place: _raise(ConfigError("no")))

    outcome = run_parser(refusing, 0, range(4), folder)

    assert (outcome.refused, dict(outcome.refusals)) == (4, {"ConfigError": 4})


def test_the_command_tells_a_line_of_json_a_parser() -> None:
    arguments = ["--parser", "patients.csv", "--inputs", "20", "--json"]
    told = json.loads(CliRunner().invoke(main, arguments, catch_exceptions=False).stdout)
    assert (told["parser"], told["inputs"], told["failures"]) == ("patients.csv", 20, [])
    assert sum(told["refusals"].values()) == told["refused"] == 20 - told["read"]
