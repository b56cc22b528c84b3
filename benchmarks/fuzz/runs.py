"""Changed inputs run through a parser, each within bounds of time and memory, in a process that may die of one."""

from __future__ import annotations

import multiprocessing
import os
import resource
import signal
import time
import traceback
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from types import FrameType
from typing import Any, Final

import cv2
import numpy as np

from ecg_flare.errors import EcgFlareError

MAX_SECONDS: Final = 10.0  # of processor time: a busy machine is no failure
_PATIENCE: Final = 12  # how much longer an input may take by the clock, which catches one that waits
"""Of one input. Valid ones take a few milliseconds; the bound leaves room for a busy machine."""

MAX_BYTES: Final = 1_500_000_000
"""Of memory, above what the process takes before the first input."""


@dataclass(frozen=True)
class Parser:
    """Something that reads what others wrote.

    Attributes:
        name: of it.
        samples: gives valid inputs.
        change: generator, input -> a changed one.
        read: input, an empty folder -> its result; raises EcgFlareError.
    """

    name: str
    samples: Callable[[], Sequence[Any]]
    change: Callable[[np.random.Generator, Any], Any]
    read: Callable[[Any, Path], object]

    def input(self, seed: int, index: int, samples: Sequence[Any]) -> Any:
        """Input `index` (from 0) of a seed: the same at every run."""
        rng = np.random.default_rng([seed, zlib.crc32(self.name.encode()), index])
        return self.change(rng, samples[index % len(samples)])


@dataclass(frozen=True)
class Failure:
    """An input of which something else came than a result or an EcgFlareError.

    `again` runs it again: parser, seed and index.
    """

    parser: str
    seed: int
    index: int
    what: str
    where: str = ""

    def again(self) -> str:
        """The command that runs it again."""
        return f"python -m benchmarks.fuzz --parser {self.parser} --seed {self.seed} --first {self.index} --inputs 1"


@dataclass
class Outcome:
    """What came of a parser's inputs."""

    parser: str
    seed: int
    inputs: int = 0
    read: int = 0
    refused: int = 0
    seconds: float = 0.0
    slowest_s: float = 0.0
    failures: list[Failure] = field(default_factory=list)
    refusals: Counter[str] = field(default_factory=Counter)


def run_parser(parser: Parser, seed: int, indices: Iterable[int], folder: Path, *, max_failures: int = 20) -> Outcome:
    """Run inputs of a parser; a child that an input kills is followed by another, which goes on behind it."""
    outcome, left = Outcome(parser.name, seed), list(indices)
    cv2.setNumThreads(1)  # a child would wait for threads that did not come along
    parser.samples()
    started = time.perf_counter()
    while left and len(outcome.failures) < max_failures:
        done, failure = _run_child(parser, seed, left, folder, outcome)
        left = left[done:]
        if failure is not None:
            outcome.failures.append(failure)
    outcome.seconds = time.perf_counter() - started
    return outcome


def _run_child(
    parser: Parser, seed: int, indices: Sequence[int], folder: Path, outcome: Outcome
) -> tuple[int, Failure | None]:
    """Run inputs until one fails in a way that ends the child; gives how many are done, and that failure."""
    context = multiprocessing.get_context("fork")  # what was imported is there already
    ours, theirs = context.Pipe(duplex=False)
    child = context.Process(target=_work, args=(parser, seed, indices, folder, theirs), daemon=True)
    child.start()
    theirs.close()
    done = 0
    try:
        while done < len(indices):
            if not ours.poll(_PATIENCE * MAX_SECONDS):
                child.kill()
                waited = f"takes more than {_PATIENCE * MAX_SECONDS:.0f} s"
                return done + 1, Failure(parser.name, seed, indices[done], waited)
            kind, detail, where, seconds = ours.recv()
            outcome.inputs += 1
            outcome.slowest_s = max(outcome.slowest_s, seconds)
            if kind == "failed":
                return done + 1, Failure(parser.name, seed, indices[done], detail, where)
            outcome.read += kind == "read"
            if kind == "refused":
                outcome.refused += 1
                outcome.refusals[detail] += 1
            done += 1
    except EOFError:
        child.join()
        outcome.inputs += 1
        return done + 1, Failure(parser.name, seed, indices[done], f"ends the process (exit code {child.exitcode})")
    finally:
        child.kill()
        child.join()
        ours.close()
    return done, None


def _work(parser: Parser, seed: int, indices: Sequence[int], folder: Path, pipe: Connection) -> None:
    signal.signal(signal.SIGPROF, _too_slow)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with open(os.devnull, "w") as nothing:  # noqa: PTH123  # decoders print what they think of a file
        os.dup2(nothing.fileno(), 1)
        os.dup2(nothing.fileno(), 2)
    samples = parser.samples()
    before = peak_bytes()
    for index in indices:
        try:
            changed = parser.input(seed, index, samples)
        except Exception as error:  # a fault of the fuzzing itself, told as one
            pipe.send(("failed", f"the change itself: {error!r}", _origin(error), 0.0))
            return
        started = time.perf_counter()
        with _empty(folder / f"{parser.name}-{os.getpid()}") as place:
            kind, detail, where = _read(parser, changed, place)
        grown = peak_bytes() - before
        if grown > MAX_BYTES:
            kind, detail, where = "failed", f"takes {grown / 1e9:.1f} GB", ""
        pipe.send((kind, detail, where, time.perf_counter() - started))
        if kind == "failed":
            return


def _read(parser: Parser, changed: Any, place: Path) -> tuple[str, str, str]:
    signal.setitimer(signal.ITIMER_PROF, MAX_SECONDS)
    try:
        parser.read(changed, place)
    except EcgFlareError as error:
        return "refused", type(error).__name__, ""
    except BaseException as error:  # whatever it is, it is what is looked for
        return "failed", f"{type(error).__name__}: {str(error)[:200]}", _origin(error)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    return "read", "", ""


def _origin(error: BaseException) -> str:
    """The last line of ecg_flare that the error passed."""
    own = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if "ecg_flare" in frame.filename or "fuzz" in frame.filename
    ]
    return f"{Path(own[-1].filename).name}:{own[-1].lineno} {own[-1].line}" if own else ""


class TooSlow(BaseException):
    """An input takes longer than MAX_SECONDS of processor time."""


def _too_slow(number: int, frame: FrameType | None) -> None:
    raise TooSlow(f"more than {MAX_SECONDS:.0f} s")


def peak_bytes() -> int:
    """The most memory that this process ever had."""
    status = Path("/proc/self/status").read_text()  # getrusage would tell the parent's peak
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


def memory_folder() -> str | None:
    """Where files are not written to a disk; None where there is no such place."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


@contextmanager
def _empty(folder: Path) -> Iterator[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    yield folder
    for path in sorted(folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
