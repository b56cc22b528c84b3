"""What a site has answered before, kept so that it outlives the process: no step of a round is answered twice.

A site that lost its memory refuses everything but the start of a round; a site whose masked update left it refuses
every other attempt at that round, since the same update in two cohorts shows their difference.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import IntEnum
from pathlib import Path
from typing import Protocol

from ecg_flare.documents import Fields, parse_object, short
from ecg_flare.errors import PolicyError, SecureSumError, StorageError
from ecg_flare.storage import sync_folder, write_atomically


class Step(IntEnum):
    """The five steps of a round, in order."""

    KEYS = 0
    SHARES = 1
    MASKED = 2
    CONSENT = 3
    UNMASK = 4


@dataclass(frozen=True)
class Progress:
    """The last step that a site answered in a job."""

    round: int
    attempt: int
    step: Step


class RoundMemory(Protocol):
    """Where a site keeps its progress; `store` returns only when it is durable."""

    def load(self, job: str) -> Progress | None:
        """The last progress in `job`, or None."""

    def store(self, job: str, progress: Progress) -> None:
        """Replace the progress in `job`."""


class VolatileRoundMemory:
    """Progress in memory alone: for tests, and where one process lives as long as the job."""

    def __init__(self) -> None:
        self._jobs: dict[str, Progress] = {}

    def load(self, job: str) -> Progress | None:
        """The last progress in `job`, or None."""
        return self._jobs.get(job)

    def store(self, job: str, progress: Progress) -> None:
        """Replace the progress in `job`."""
        self._jobs[job] = progress


class FileRoundMemory:
    """Progress of all jobs in one small JSON file, replaced in one step and synced; readable by its owner alone.

    Raises `StorageError` when the file cannot be written, or is there and cannot be read: forgetting what was
    answered would be worse than stopping.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self, job: str) -> Progress | None:
        """The last progress in `job`, or None."""
        return self._read().get(job)

    def store(self, job: str, progress: Progress) -> None:
        """Replace the progress in `job` on disk."""
        jobs = {**self._read(), job: progress}
        text = json.dumps({name: asdict(entry) for name, entry in sorted(jobs.items())}, indent=1)
        write_atomically(self._path, lambda file: file.write(text.encode()), mode=0o600)

    def _read(self) -> Mapping[str, Progress]:
        try:
            data = self._path.read_bytes()
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise StorageError(f"cannot read the answered rounds in {self._path}: {error}; restore access") from error
        where = (
            f"{self._path} does not hold answered rounds, restore it from a backup (deleting it lets a server replay "
            "old rounds)"
        )
        jobs = parse_object(data, where, StorageError)
        return {job: _progress(Fields(entry, f"{where}: {short(job)}", StorageError)) for job, entry in jobs.items()}


def _progress(fields: Fields) -> Progress:
    # The attempt of an encrypted sum is a digest of 256 bits.
    steps = fields.whole("step", 0, max(Step))
    return Progress(fields.whole("round", 0, 2**63), fields.whole("attempt", 0, 2**256), Step(steps))


class AnsweredModels:
    """Which models a site has sent masked updates from, over all its jobs: a file a model, named by its SHA-256.

    A server that asks for one model's update under two jobs, of two cohorts, could subtract the sums. Raises
    `StorageError` where the folder cannot be read or written.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def check(self, model_sha256: bytes, job: str) -> None:
        """Raise `PolicyError` where another job had an update from this model."""
        try:
            earlier = (self._folder / model_sha256.hex()).read_bytes()
        except FileNotFoundError:
            return
        except OSError as error:
            raise StorageError(f"cannot read the answered models in {self._folder}: {error}; restore it") from error
        if earlier != job.encode():
            raise PolicyError(f"once_per_model: another job had this site's update from model {model_sha256.hex()}")

    def add(self, model_sha256: bytes, job: str) -> None:
        """Record, durably, that an update from this model is about to leave; of two jobs at once, one is refused."""
        path = self._folder / model_sha256.hex()
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write(job)
                file.flush()
                os.fsync(file.fileno())
            sync_folder(self._folder)
        except FileExistsError:
            self.check(model_sha256, job)
        except OSError as error:
            raise StorageError(f"cannot record the answered model in {path} ({error}): free or mount it") from error


def advance(memory: RoundMemory, job: str, progress: Progress) -> None:
    """Record that a step is about to be answered; `SecureSumError` when it, or a later one, was answered before."""
    check_never_answered(memory.load(job), progress)
    memory.store(job, progress)


def check_never_answered(last: Progress | None, new: Progress) -> None:
    """Refuse whatever doesn't follow the last answer: rounds and attempts go forward, steps one by one."""
    if last is not None and (last.round, last.attempt) == (new.round, new.attempt):
        follows = new.step == last.step + 1
    else:
        follows = new.step == Step.KEYS and (last is None or _is_later_attempt(last, new))
    if not follows:
        raise SecureSumError(
            f"asked for step {new.step.name} of round {new.round}, attempt {new.attempt}, but the last answer was "
            f"{last}: a step is answered once, and no round again after its update left; start a new round"
        )


def _is_later_attempt(last: Progress, new: Progress) -> bool:
    if new.round == last.round:
        return new.attempt > last.attempt and last.step < Step.MASKED
    return new.round > last.round
