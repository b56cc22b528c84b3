"""Archives for tests: small pages that hold a number, and a digitizer that reads this number."""

import copyreg
import os
import pickle
import signal
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from types import MappingProxyType

import cv2
import numpy as np

from ecg_flare.digitize import Digitization
from ecg_flare.errors import PageError


def _read_only(told: dict[str, float]) -> MappingProxyType[str, float]:
    return MappingProxyType(told)


copyreg.pickle(MappingProxyType, lambda told: (_read_only, (dict(told),)))


@dataclass(frozen=True)
class NumberReader:
    """Reads page n as the reading that is kept, with a confidence of n percent, and writes down that it did.

    Attributes:
        kept: file of a pickled reading.
        log: file that gets a line a page that is begun.
        kills: by page, how often its process is killed.
        refused: pages that are no ECG.
        stumbles: pages over which it falls while the file `fixed` beside the log is not there.
    """

    kept: Path
    log: Path
    kills: tuple[tuple[int, int], ...] = ()
    refused: tuple[int, ...] = ()
    stumbles: tuple[int, ...] = ()
    ends_at: int | None = None

    def __call__(self, image: np.ndarray) -> Digitization:
        number = int(image[0, 0, 0])
        with self.log.open("a") as file:
            file.write(f"{number}\n")
        if self.begun().count(number) <= dict(self.kills).get(number, 0):
            os.kill(os.getpid(), signal.SIGKILL)
        if number in self.refused:
            raise PageError("this is no ECG page")
        if number in self.stumbles and not (self.log.parent / "fixed").exists():
            raise IndexError("index 7 is out of bounds")
        if number == self.ends_at:
            raise KeyboardInterrupt
        return replace(_kept(self.kept), confidence=number / 100)

    def begun(self) -> list[int]:
        """Pages that were begun so far."""
        return [int(line) for line in self.log.read_text().splitlines()] if self.log.exists() else []


@cache
def _kept(path: Path) -> Digitization:
    return pickle.loads(path.read_bytes())  # type: ignore[no-any-return]  # noqa: S301


def keep(reading: Digitization, path: Path) -> Path:
    """Keep a reading in a file, for other processes."""
    path.write_bytes(pickle.dumps(reading))
    return path


def draw_pages(folder: Path, numbers: range) -> Path:
    """A folder with a picture for each number, which its first pixel holds."""
    folder.mkdir(exist_ok=True)
    for number in numbers:
        cv2.imwrite(str(folder / f"p{number:03}.png"), np.full((8, 8, 3), number, np.uint8))
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    """All files of a folder of results but the manifest, which has the times of readings."""
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.name != "manifest.sqlite"}
