"""What is measured: a row a system and size, CPU seconds by part, and the same updates for all systems."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

from ecg_flare.privacy.secure_sum.chunks import squared_norm

CLIPPING_NORM = 1.0
# Up to this size the systems that we compare with run every site, above it one site.
WHOLE_UP_TO = 2_000_000


@dataclass(frozen=True)
class Row:
    """What one system costs for one size: median client, and the server."""

    system: str
    parameters: int
    sites: int
    client_s: float
    server_s: float
    up_bytes: int
    down_bytes: int
    parts_s: dict[str, float] = field(default_factory=dict)
    note: str = ""


class Clock:
    """Adds up CPU seconds by name."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def at(self, name: str) -> Iterator[None]:
        start = time.process_time()
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + time.process_time() - start

    @property
    def total(self) -> float:
        return sum(self.seconds.values())


def clipped_updates(parameters: int, sites: int) -> Callable[[int], np.ndarray]:
    """A function from site number to its float32 update, clipped to C; nothing is kept in memory."""

    def draw(site: int) -> np.ndarray:
        update = np.random.default_rng([parameters, sites, site]).standard_normal(parameters, dtype=np.float32)
        update *= np.float32(CLIPPING_NORM / math.sqrt(squared_norm(update)))
        return update

    return draw


def check_mean(mean: np.ndarray, draw: Callable[[int], np.ndarray], sites: int) -> None:
    """A benchmark of a wrong sum is worth nothing; both encodings are finer than 10^-5."""
    head = 100_000
    expected = np.mean([draw(number)[:head].astype(np.float64) for number in range(sites)], axis=0)
    worst = float(np.abs(mean[:head] - expected).max())
    if worst > 1e-5:
        raise AssertionError(f"the opened mean is off by {worst}, expected at most 1e-5")
