"""What a site answered stays answered, over restarts too."""

from __future__ import annotations

import itertools
import json
import multiprocessing
import stat
from functools import partial
from pathlib import Path

import pytest

from ecg_flare.errors import SecureSumError, StorageError
from ecg_flare.privacy.secure_sum.memory import (
    MAX_UPDATES,
    FileRoundMemory,
    Progress,
    Step,
    VolatileRoundMemory,
    advance,
    check_never_answered,
)

at = partial(Progress, model="ab")


def allowed(last: Progress | None, new: Progress) -> bool:
    try:
        check_never_answered(last, new)
    except SecureSumError:
        return False
    return True


def test_a_round_goes_through_its_steps_once() -> None:
    memory = VolatileRoundMemory()
    for step in Step:
        advance(memory, "job", at(3, 0, step))
        with pytest.raises(SecureSumError, match="answered once"):
            advance(memory, "job", at(3, 0, step))


@pytest.mark.parametrize(
    ("last", "new", "expected"),
    [
        (None, at(0, 0, Step.KEYS), True),
        (None, at(0, 0, Step.UNMASK), False),
        (at(1, 0, Step.KEYS), at(1, 0, Step.MASKED), False),
        (at(1, 0, Step.SHARES), at(1, 1, Step.KEYS), True),
        (at(1, 0, Step.SHARES), at(1, 1, Step.SHARES), False),
        (at(1, 1, Step.SHARES), at(1, 0, Step.KEYS), False),
        (at(1, 0, Step.MASKED), at(1, 1, Step.KEYS), True),
        (at(1, 0, Step.MASKED), at(1, 1, Step.KEYS, model="cd"), False),
        (at(1, 0, Step.UNMASK), at(1, 1, Step.KEYS), True),  # which sum is recovered then, `recovered_sums` says
        (at(1, 0, Step.UNMASK), at(1, 1, Step.KEYS, model="cd"), False),
        (at(1, 0, Step.SHARES), at(1, 1, Step.KEYS, model="cd"), True),
        (at(1, 0, Step.UNMASK), at(2, 0, Step.KEYS), True),
        (at(1, 0, Step.KEYS), at(0, 9, Step.KEYS), False),
    ],
)
def test_what_may_follow(last: Progress | None, new: Progress, expected: bool) -> None:
    assert allowed(last, new) is expected


def test_so_many_updates_leave_in_a_round_and_no_more_whatever_becomes_of_them() -> None:
    memory = VolatileRoundMemory()
    for attempt in range(MAX_UPDATES):
        for step in (Step.KEYS, Step.SHARES, Step.MASKED):
            advance(memory, "job", at(3, attempt, step))
    for step in (Step.KEYS, Step.SHARES):
        advance(memory, "job", at(3, MAX_UPDATES, step))
    with pytest.raises(SecureSumError, match="3 updates left this site in the round"):
        advance(memory, "job", at(3, MAX_UPDATES, Step.MASKED))
    for step in (Step.KEYS, Step.SHARES, Step.MASKED):
        advance(memory, "job", at(4, 0, step))


def test_no_two_answers_of_one_step_in_any_order() -> None:
    """Of every sequence of three requests, what is allowed is strictly increasing."""
    every = [at(r, a, s) for r, a, s in itertools.product((0, 1), (0, 1), Step)]
    for sequence in itertools.product(every, repeat=3):
        last: Progress | None = None
        for new in sequence:
            if allowed(last, new):
                assert last is None or (new.round, new.attempt, new.step) > (last.round, last.attempt, last.step)
                last = new


def test_file_survives_a_restart_and_is_private(tmp_path: Path) -> None:
    path = tmp_path / "site" / "answered.json"
    advance(FileRoundMemory(path), "a", at(0, 0, Step.KEYS))
    advance(FileRoundMemory(path), "b", at(7, 1, Step.KEYS))
    assert FileRoundMemory(path).load("a") == at(0, 0, Step.KEYS)
    assert FileRoundMemory(path).load("b") == at(7, 1, Step.KEYS)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in path.parent.iterdir()] == ["answered.json"]
    with pytest.raises(SecureSumError):
        advance(FileRoundMemory(path), "a", at(0, 0, Step.KEYS))


FIELDS = {"round": 1, "attempt": 0, "step": 0, "model": "ab", "earlier": []}
BROKEN = [
    {"step": 9},
    {"round": "1"},
    {"attempt": None},
    {"step": 0.5},
    {"model": 3},
    {"earlier": 3},
    {"earlier": ["1"]},
]


@pytest.mark.parametrize(
    "text", ["", "[]", '{"job": {"round": 1}}', *(json.dumps({"job": {**FIELDS, **broken}}) for broken in BROKEN)]
)
def test_a_broken_file_stops_the_site(tmp_path: Path, text: str) -> None:
    path = tmp_path / "answered.json"
    path.write_text(text)
    with pytest.raises(StorageError, match=r"restore it from a backup"):
        FileRoundMemory(path).load("job")


def test_an_unwritable_place_stops_the_site(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError):
        FileRoundMemory(tmp_path / "file" / "answered.json").update("job", lambda _: at(0, 0, Step.KEYS))


def test_a_crash_while_writing_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "answered.json"
    memory = FileRoundMemory(path)
    memory.update("job", lambda _: at(0, 0, Step.MASKED))
    path.with_name("answered.json.new").write_text('{"job": {"rou')
    assert FileRoundMemory(path).load("job") == at(0, 0, Step.MASKED)
    memory.update("job", lambda _: at(0, 0, Step.CONSENT))
    assert json.loads(path.read_text())["job"]["step"] == Step.CONSENT


def _answer(path: Path, job: str, answered: multiprocessing.Queue[bool]) -> None:
    try:
        advance(FileRoundMemory(path), job, at(0, 0, Step.KEYS))
        answered.put(True)
    except SecureSumError:
        answered.put(False)


def test_of_processes_that_answer_one_step_at_once_one_does(tmp_path: Path) -> None:
    """Two deployments of one signed job run at the same time: what is read is not stale when it is replaced."""
    answered: multiprocessing.Queue[bool] = multiprocessing.Queue()
    jobs = ["job", "another"] * 6
    processes = [multiprocessing.Process(target=_answer, args=(tmp_path / "a.json", job, answered)) for job in jobs]
    for process in processes:
        process.start()
    outcomes = [answered.get(timeout=60) for _ in processes]
    for process in processes:
        process.join()
    assert sum(outcomes) == 2
    assert set(json.loads((tmp_path / "a.json").read_text())) == {"job", "another"}
