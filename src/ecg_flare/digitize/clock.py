"""Seconds by stage of a reading."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType


class Clock:
    """Adds up the seconds of each stage, from those that another clock had counted before."""

    def __init__(self, before: Mapping[str, float] | None = None) -> None:
        self._seconds = dict(before or {})

    @property
    def seconds(self) -> Mapping[str, float]:
        """What was counted so far, by stage in the order of their beginning; a copy."""
        return MappingProxyType(dict(self._seconds))

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Count the seconds of a `with` block, of one that fails too."""
        begun = time.perf_counter()
        try:
            yield
        finally:
            self._seconds[name] = self._seconds.get(name, 0.0) + time.perf_counter() - begun
