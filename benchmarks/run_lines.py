"""Finished runs of a benchmark, kept as JSON lines: the same command goes on where it was ended."""

from __future__ import annotations

import fcntl
import hashlib
import inspect
import json
import os
import sys
from collections.abc import Callable, Hashable, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final, Generic, Protocol, TypeVar

from ecg_flare.digitize.archive.identity import code_version

TRAINED_BY: Final = ("ecg", "federated", "nnunet", "page", "privacy", "task")
"""The parts of the package that a run goes through."""

_CODE: Final = "code"


class Ordered(Protocol):
    """A finished run, a dataclass, that knows what determined it."""

    @property
    def key(self) -> str:
        """The digest of its order."""
        ...


class Determined:
    """A base of dataclasses whose fields say what determines a run."""

    @property
    def key(self) -> str:
        """SHA-256 (hex) of all fields."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()  # type: ignore[call-overload]


R = TypeVar("R", bound=Ordered)
T = TypeVar("T")
K = TypeVar("K", bound=Hashable)


class RunLines(Generic[R]):
    """One line a run, appended as soon as it is done, so that a kill loses only the one at work.

    Several processes may append to one file. A line says which code trained its run, the package's and that of the
    benchmark; where that is not this code, it is told once, and the run counts as it is.
    """

    def __init__(self, path: Path, from_json: Callable[[dict[str, Any]], R]) -> None:
        self._path = path
        self._from_json = from_json
        path.parent.mkdir(parents=True, exist_ok=True)
        self._code = f"{code_version(*TRAINED_BY)}+{_benchmark(inspect.getfile(inspect.unwrap(from_json)))}"
        for code in sorted({line.get(_CODE, "an unknown state") for line in self._lines()} - {self._code}):
            print(
                f"{path} has runs of {code}, and this is {self._code}: they are told as they are. Name another folder "
                "to train them anew.",
                file=sys.stderr,
            )

    def runs(self) -> dict[str, R]:
        """All whole lines, by the key of their order."""
        return {run.key: run for run in map(self._run, self._lines())}

    def append(self, run: R) -> None:
        """Write the run's line, and wait until it is on disk."""
        line = json.dumps({_CODE: self._code, **asdict(run)}) + "\n"  # type: ignore[call-overload]
        with self._path.open("a+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.seek(0)
            whole = file.read()
            file.truncate(whole.rfind(b"\n") + 1)  # a line without its end was cut by a kill
            file.write(line.encode())
            file.flush()
            os.fsync(file.fileno())

    def _lines(self) -> list[dict[str, Any]]:
        if not self._path.exists():
            return []
        text = self._path.read_text("utf-8")
        return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]

    def _run(self, line: dict[str, Any]) -> R:
        return self._from_json({name: value for name, value in line.items() if name != _CODE})


def _benchmark(module: str) -> str:
    """Eight digits of the code beside a module, and of what benchmarks share."""
    folders = {Path(module).parent, Path(__file__).parent, Path(__file__).parent / "learning"}
    files = sorted(path for folder in folders for path in folder.glob("*.py"))
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:8]


def grouped(runs: Iterable[T], name: Callable[[T], K]) -> dict[K, list[T]]:
    """Runs by a name of theirs, in their order."""
    found: dict[K, list[T]] = {}
    for run in runs:
        found.setdefault(name(run), []).append(run)
    return found
