"""What a site answered stays answered, over restarts too."""

from __future__ import annotations

import itertools
import json
import stat
from pathlib import Path

import pytest

from ecg_flare.errors import PolicyError, SecureSumError, StorageError
from ecg_flare.privacy.secure_sum.memory import (
    AnsweredModels,
    FileRoundMemory,
    Progress,
    Step,
    VolatileRoundMemory,
    advance,
    check_never_answered,
)


def allowed(last: Progress | None, new: Progress) -> bool:
    try:
        check_never_answered(last, new)
    except SecureSumError:
        return False
    return True


def test_a_round_goes_through_its_steps_once() -> None:
    memory = VolatileRoundMemory()
    for step in Step:
        advance(memory, "job", Progress(3, 0, step))
        with pytest.raises(SecureSumError, match="answered once"):
            advance(memory, "job", Progress(3, 0, step))


@pytest.mark.parametrize(
    ("last", "new", "expected"),
    [
        (None, Progress(0, 0, Step.KEYS), True),
        (None, Progress(0, 0, Step.UNMASK), False),
        (Progress(1, 0, Step.KEYS), Progress(1, 0, Step.MASKED), False),
        (Progress(1, 0, Step.SHARES), Progress(1, 1, Step.KEYS), True),
        (Progress(1, 0, Step.SHARES), Progress(1, 1, Step.SHARES), False),
        (Progress(1, 1, Step.SHARES), Progress(1, 0, Step.KEYS), False),
        (Progress(1, 0, Step.MASKED), Progress(1, 1, Step.KEYS), False),
        (Progress(1, 0, Step.UNMASK), Progress(1, 1, Step.KEYS), False),
        (Progress(1, 0, Step.UNMASK), Progress(2, 0, Step.KEYS), True),
        (Progress(1, 0, Step.KEYS), Progress(0, 9, Step.KEYS), False),
    ],
)
def test_what_may_follow(last: Progress | None, new: Progress, expected: bool) -> None:
    assert allowed(last, new) is expected


def test_no_two_answers_of_one_step_in_any_order() -> None:
    """Of every sequence of three requests, what is allowed is strictly increasing."""
    every = [Progress(r, a, s) for r, a, s in itertools.product((0, 1), (0, 1), Step)]
    for sequence in itertools.product(every, repeat=3):
        last: Progress | None = None
        for new in sequence:
            if allowed(last, new):
                assert last is None or (new.round, new.attempt, new.step) > (last.round, last.attempt, last.step)
                last = new


def test_file_survives_a_restart_and_is_private(tmp_path: Path) -> None:
    path = tmp_path / "site" / "answered.json"
    advance(FileRoundMemory(path), "a", Progress(0, 0, Step.KEYS))
    advance(FileRoundMemory(path), "b", Progress(7, 1, Step.KEYS))
    assert FileRoundMemory(path).load("a") == Progress(0, 0, Step.KEYS)
    assert FileRoundMemory(path).load("b") == Progress(7, 1, Step.KEYS)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in path.parent.iterdir()] == ["answered.json"]
    with pytest.raises(SecureSumError):
        advance(FileRoundMemory(path), "a", Progress(0, 0, Step.KEYS))


@pytest.mark.parametrize("text", ["", "[]", '{"job": {"round": 1}}', '{"job": {"round": 1, "attempt": 0, "step": 9}}'])
def test_a_broken_file_stops_the_site(tmp_path: Path, text: str) -> None:
    path = tmp_path / "answered.json"
    path.write_text(text)
    with pytest.raises(StorageError, match=r"restore it from a backup"):
        FileRoundMemory(path).load("job")


def test_an_unwritable_place_stops_the_site(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError):
        FileRoundMemory(tmp_path / "file" / "answered.json").store("job", Progress(0, 0, Step.KEYS))


def test_a_crash_while_writing_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "answered.json"
    memory = FileRoundMemory(path)
    memory.store("job", Progress(0, 0, Step.MASKED))
    path.with_name("answered.json.new").write_text('{"job": {"rou')
    assert FileRoundMemory(path).load("job") == Progress(0, 0, Step.MASKED)
    memory.store("job", Progress(0, 0, Step.CONSENT))
    assert json.loads(path.read_text())["job"]["step"] == Step.CONSENT


def test_a_model_that_one_job_had_an_update_from_is_refused_to_the_next(tmp_path: Path) -> None:
    """Two sums over different cohorts from one model differ by the update of the site that is in one of them."""
    first, second = bytes(32), bytes([1]) * 32
    models = AnsweredModels(tmp_path / "models")
    models.check(first, "job-1")
    models.add(first, "job-1")
    again = AnsweredModels(tmp_path / "models")  # after a restart
    again.check(first, "job-1")
    again.add(second, "job-2")
    for model, job in ((first, "job-2"), (second, "job-1")):
        with pytest.raises(PolicyError, match="once_per_model"):
            again.check(model, job)
        with pytest.raises(PolicyError, match="once_per_model"):
            again.add(model, job)


def test_of_two_jobs_at_once_one_is_refused(tmp_path: Path) -> None:
    """Both looked before either wrote: the file's creation decides."""
    first, second = AnsweredModels(tmp_path / "models"), AnsweredModels(tmp_path / "models")
    first.check(bytes(32), "job-1")
    second.check(bytes(32), "job-2")
    first.add(bytes(32), "job-1")
    with pytest.raises(PolicyError, match="another job"):
        second.add(bytes(32), "job-2")


def test_a_broken_memory_of_models_stops_the_site(tmp_path: Path) -> None:
    (tmp_path / "models").write_text("no folder")
    models = AnsweredModels(tmp_path / "models")
    for use in (models.check, models.add):
        with pytest.raises(StorageError):
            use(bytes(32), "job-1")
