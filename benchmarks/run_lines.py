"""Finished runs of a benchmark, kept as JSON lines: the same command goes on where it was ended."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Hashable, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar


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
    """One line a run, appended as soon as it is done, so that a kill loses only the one at work."""

    def __init__(self, path: Path, from_json: Callable[[dict[str, Any]], R]) -> None:
        self._path = path
        self._from_json = from_json
        path.parent.mkdir(parents=True, exist_ok=True)

    def runs(self) -> dict[str, R]:
        """All whole lines, by the key of their order; a line without its end was cut by a kill."""
        if not self._path.exists():
            return {}
        lines = [line for line in self._path.read_text("utf-8").splitlines(keepends=True) if line.endswith("\n")]
        return {run.key: run for run in map(self._from_json, map(json.loads, lines))}

    def append(self, run: R) -> None:
        """Write all runs and this one, and wait until they are on disk."""
        whole = "".join(json.dumps(asdict(kept)) + "\n" for kept in (*self.runs().values(), run))  # type: ignore[call-overload]
        building = self._path.with_suffix(".building")
        with building.open("w", encoding="utf-8") as file:
            file.write(whole)
            file.flush()
            os.fsync(file.fileno())
        building.replace(self._path)


def grouped(runs: Iterable[T], name: Callable[[T], K]) -> dict[K, list[T]]:
    """Runs by a name of theirs, in their order."""
    found: dict[K, list[T]] = {}
    for run in runs:
        found.setdefault(name(run), []).append(run)
    return found
