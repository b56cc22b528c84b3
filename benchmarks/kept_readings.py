"""Readings of pages kept as JSON lines, so that a benchmark that was ended goes on: one file, and one reader's code.

Readings of two readers make no figure. So each line says which code read its page, and a file of other code is refused.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final, Generic, TypeVar

from ecg_flare.digitize.archive.identity import reader_version
from ecg_flare.errors import StorageError

K = TypeVar("K", bound=Hashable)
R = TypeVar("R")

_READER: Final = "reader"


class KeptReadings(Generic[K, R]):
    """Readings (dataclasses) by what was read; each is appended as soon as it is there. No path keeps them in memory.

    Raises StorageError where a line of the file is no reading, or other code's.
    """

    def __init__(self, path: Path | None, key: Callable[[R], K], from_json: Callable[[dict[str, Any]], R]) -> None:
        self._path = path
        self._key = key
        self._readings: dict[K, R] = {}
        for line in path.read_text(encoding="utf-8").splitlines() if path is not None and path.exists() else ():
            reading = _parsed(line, path, from_json)
            self._readings[key(reading)] = reading

    def __contains__(self, key: K) -> bool:
        return key in self._readings

    def __getitem__(self, key: K) -> R:
        return self._readings[key]

    def add(self, reading: R) -> None:
        """Keep a reading."""
        self._readings[self._key(reading)] = reading
        if self._path is not None:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps({_READER: reader_version(), **asdict(reading)}) + "\n")  # type: ignore[call-overload]


def _parsed(line: str, path: Path | None, from_json: Callable[[dict[str, Any]], R]) -> R:
    try:
        raw = json.loads(line)
        reader = raw.pop(_READER)
        reading = from_json(raw)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise StorageError(
            f"{path} has a line that is no reading ({error}): remove it, or name another file"
        ) from error
    if reader != reader_version():
        raise StorageError(f"{path} was read by {reader}, and this is {reader_version()}: name a new file")
    return reading
