"""What a site has answered before, kept so that it outlives the process: no step of a round is answered twice.

A job is known by the digest of its signed terms, whatever id it was deployed under, so that a job that runs twice has
one memory. A site that lost its memory refuses everything but the start of a round. Which sums it helps to recover is
`recovered_sums`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from enum import IntEnum
from pathlib import Path
from typing import Final, Protocol

from ecg_flare.documents import Fields, parse_object, short
from ecg_flare.errors import SecureSumError, StorageError
from ecg_flare.storage import locked, write_atomically

MAX_UPDATES: Final = 3
"""How many updates leave in one round, in all attempts at it. Each is charged where the job has noise: a server that
lost every round on purpose would otherwise spend a site's budget without end."""

_MAX_ATTEMPTS: Final = 10_000


class Step(IntEnum):
    """The five steps of a round, in order."""

    KEYS = 0
    SHARES = 1
    MASKED = 2
    CONSENT = 3
    UNMASK = 4


@dataclass(frozen=True)
class Progress:
    """The last step that a site answered in a job.

    Attributes:
        round, attempt: which attempt at which round.
        step: the last that was answered.
        model: SHA-256 of the model that the round starts from, in hex.
        earlier: attempts at this round before this one, where attempts are not numbered in their order.
        updates: how many updates left in this round, in all attempts at it.
    """

    round: int
    attempt: int
    step: Step
    model: str
    earlier: tuple[int, ...] = ()
    updates: int = 0


class RoundMemory(Protocol):
    """Where a site keeps its progress."""

    def load(self, job: str) -> Progress | None:
        """The last progress in `job`, or None."""

    def update(self, job: str, change: Callable[[Progress | None], Progress]) -> Progress:
        """Replace the progress in `job` by what `change` makes of it, in one step that no other process comes between.

        Gives the new one once it is durable; where `change` raises, all stays as it was.
        """


class VolatileRoundMemory:
    """Progress in memory alone: for tests, and where one process lives as long as the job."""

    def __init__(self) -> None:
        self._jobs: dict[str, Progress] = {}

    def load(self, job: str) -> Progress | None:
        """The last progress in `job`, or None."""
        return self._jobs.get(job)

    def update(self, job: str, change: Callable[[Progress | None], Progress]) -> Progress:
        """Replace the progress in `job`."""
        self._jobs[job] = progress = change(self.load(job))
        return progress


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

    def update(self, job: str, change: Callable[[Progress | None], Progress]) -> Progress:
        """Replace the progress in `job` on disk; two processes of one job take turns."""
        with locked(self._path.parent):
            jobs = dict(self._read())
            jobs[job] = progress = change(jobs.get(job))
            text = json.dumps({name: asdict(entry) for name, entry in sorted(jobs.items())}, indent=1)
            write_atomically(self._path, lambda file: file.write(text.encode()), mode=0o600)
        return progress

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
    earlier = fields.each("earlier", _MAX_ATTEMPTS)
    if not all(type(one) is int and 0 <= one < 2**256 for one in earlier):
        fields.refuse("earlier", earlier, "a list of attempts")
    return Progress(
        fields.whole("round", 0, 2**63),
        fields.whole("attempt", 0, 2**256),
        Step(fields.whole("step", 0, max(Step))),
        fields.text("model"),
        tuple(earlier),
        fields.whole("updates", 0, 2**31),
    )


def advance(memory: RoundMemory, job: str, progress: Progress) -> None:
    """Record that a step is about to be answered; `SecureSumError` when it, or a later one, was answered before."""

    def follow(last: Progress | None) -> Progress:
        check_never_answered(last, progress)
        return counted(last, progress)

    memory.update(job, follow)


def counted(last: Progress | None, new: Progress) -> Progress:
    """The new progress with the updates that have left in its round; raises `SecureSumError` as `check_updates`."""
    before = last.updates if last is not None and last.round == new.round else 0
    updates = before + (new.step == Step.MASKED)
    check_updates(updates)
    return replace(new, updates=updates)


def check_updates(updates: int) -> None:
    """Refuse one update more in a round than `MAX_UPDATES`; raises `SecureSumError`."""
    if updates > MAX_UPDATES:
        raise SecureSumError(
            f"{MAX_UPDATES} updates left this site in the round under way, and none was released: go on to the next "
            "round"
        )


def check_never_answered(last: Progress | None, new: Progress) -> None:
    """Refuse whatever doesn't follow the last answer: rounds and attempts go forward, steps one by one.

    Once its update left, a round is attempted again from the same model alone.
    """
    if last is not None and (last.round, last.attempt) == (new.round, new.attempt):
        follows = new.step == last.step + 1
    else:
        follows = new.step == Step.KEYS and (last is None or _is_later_attempt(last, new))
    if not follows:
        raise SecureSumError(
            f"asked for step {new.step.name} of round {new.round}, attempt {new.attempt}, but the last answer was "
            f"{last}: a step is answered once, and no round again from another model after its update left; start a "
            "new round"
        )


def _is_later_attempt(last: Progress, new: Progress) -> bool:
    if new.round == last.round:
        return new.attempt > last.attempt and (last.step < Step.MASKED or new.model == last.model)
    return new.round > last.round
