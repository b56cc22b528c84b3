"""The training process: what it gives, how it dies, and that it never outlives its owner."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from nnunet_scribbles import BrokenPages, EndlessPages, NoisyPages, ScribbledPages

from ecg_flare.errors import ConfigError, PlanMismatchError, SiteDataError, UpdateError, WorkerError
from ecg_flare.nnunet.commands import EvaluateCommand, InitializeCommand, PrepareCommand, TrainCommand
from ecg_flare.nnunet.dataset import open_dataset
from ecg_flare.nnunet.kinds import plan_preset
from ecg_flare.nnunet.learnt import SiteCases
from ecg_flare.nnunet.plan import Plan, initial_vector
from ecg_flare.nnunet.settings import PrepareSettings, TrainingSettings
from ecg_flare.nnunet.trainer import LocalTrainer, TrainOptions
from ecg_flare.nnunet.worker import Worker


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("worker-cache")


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    with Worker(log=lambda _: None) as worker:
        yield worker


@pytest.fixture
def prepared_worker(worker: Worker, cache: Path) -> Worker:
    worker.call("prepare", preparing(ScribbledPages(), cache))
    return worker


def pages(source: Any, cache: Path, site: str = "site-1") -> SiteCases:
    return SiteCases(source, site, plan_preset("tiny"), cache)


def preparing(source: Any, cache: Path, site: str = "site-1") -> dict[str, Any]:
    return PrepareCommand(pages(source, cache, site), PrepareSettings()).to_params()


def training(seed: int = 0, **settings: Any) -> dict[str, Any]:
    return TrainCommand(TrainingSettings(**settings), round_index=0, rounds=1, seed=seed, trained=("*",)).to_params()


INITIALIZE = InitializeCommand(plan_preset("tiny"), seed=4).to_params()


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return Path(f"/proc/{pid}/stat").read_text().split(")")[1].split()[0] == "Z" if Path("/proc").exists() else False


def wait_until_gone(pid: int, seconds: float = 10) -> bool:
    deadline = time.monotonic() + seconds
    while not gone(pid) and time.monotonic() < deadline:
        threading.Event().wait(0.05)
    return gone(pid)


def test_a_round_is_the_trainers_own(prepared_worker: Worker, cache: Path, tiny: Plan, start: np.ndarray) -> None:
    params = training(3, steps=4, learning_rate=0.02, schedule="poly", proximal_mu=0.1)
    reply = prepared_worker.call("train", {**params, "round": 2, "rounds": 5}, {"model": start})
    prepared = prepared_worker.call("prepare", preparing(ScribbledPages(), cache)).params
    assert prepared["reused"]
    seed = int.from_bytes(sha256(b"3/site-1").digest()[:8], "big")
    settings = TrainingSettings(steps=4, learning_rate=0.02, schedule="poly", proximal_mu=0.1)
    options = TrainOptions(**asdict(settings), first_step=8, total_steps=20, seed=seed)
    direct = LocalTrainer(tiny, open_dataset(Path(prepared["folder"]), tiny)).train(start, options)
    np.testing.assert_array_equal(reply.arrays["update"], direct.update)
    assert reply.params["loss"] == direct.loss


def test_sites_of_one_seed_draw_their_own(prepared_worker: Worker, cache: Path, start: np.ndarray) -> None:
    order = training(3, steps=1, learning_rate=0.02)
    first = prepared_worker.call("train", order, {"model": start}).arrays["update"]
    prepared_worker.call("prepare", preparing(ScribbledPages(), cache, "site-2"))
    assert not np.array_equal(first, prepared_worker.call("train", order, {"model": start}).arrays["update"])


def test_validate_and_evaluate_agree_on_the_trace(prepared_worker: Worker, cache: Path, start: np.ndarray) -> None:
    counts = prepared_worker.call("validate", {}, {"model": start}).params
    assert counts["dice"] == pytest.approx(2 * counts["tp"] / (2 * counts["tp"] + counts["fp"] + counts["fn"]))
    evaluated = prepared_worker.call(
        "evaluate", EvaluateCommand(pages(ScribbledPages(), cache)).to_params(), {"model": start}
    ).params
    assert set(evaluated["cases"]) == {f"page{i}" for i in range(6)}
    assert evaluated["dice"] == pytest.approx(np.mean(list(evaluated["cases"].values())))
    assert len(evaluated["digest"]) == 64


def test_initialization_is_the_plans(worker: Worker, tiny: Plan) -> None:
    model = worker.call("initialize", INITIALIZE).arrays["model"]
    np.testing.assert_array_equal(model, initial_vector(tiny, 4))


def test_what_libraries_print_disturbs_nothing(worker: Worker, cache: Path) -> None:
    assert worker.call("prepare", preparing(NoisyPages(), cache)).params["cases"] == 6


@pytest.mark.parametrize(
    ("command", "params", "model", "error", "named"),
    [
        ("dance", {}, None, WorkerError, "dance"),
        ("train", {**training(), "steps": 0}, "start", ConfigError, "steps.*Found 0"),
        ("train", training(), None, ConfigError, "model"),
        ("train", training(), "short", UpdateError, "121348"),
        ("initialize", {**INITIALIZE, "plan_hash": "f00"}, None, PlanMismatchError, "f00"),
        ("prepare", {"pages": 0}, None, SiteDataError, "no cases"),
        ("prepare", {"patients": 1}, None, SiteDataError, "1 patient"),
    ],
)
def test_an_error_keeps_its_class_and_the_process(
    prepared_worker: Worker,
    cache: Path,
    start: np.ndarray,
    command: str,
    params: dict[str, Any],
    model: str | None,
    error: type[Exception],
    named: str,
) -> None:
    arrays = {} if model is None else {"model": start if model == "start" else start[:9]}
    if command == "prepare":
        params = preparing(ScribbledPages(**params), cache)
    pid = prepared_worker.pid
    with pytest.raises(error, match=named):
        prepared_worker.call(command, params, arrays)
    assert prepared_worker.pid == pid


def test_a_killed_process_is_reported_and_replaced(prepared_worker: Worker, cache: Path, start: np.ndarray) -> None:
    pid = prepared_worker.pid
    assert pid is not None
    threading.Timer(0.7, os.kill, (pid, signal.SIGKILL)).start()
    with pytest.raises(WorkerError, match=r"killed by SIGKILL during 'train'"):
        prepared_worker.call("train", training(steps=10_000), {"model": start})
    assert not prepared_worker.alive
    assert prepared_worker.pid is None
    with pytest.raises(ProcessLookupError):  # reaped, no zombie
        os.kill(pid, 0)
    prepared_worker.call("prepare", preparing(ScribbledPages(), cache))
    assert prepared_worker.pid != pid
    reply = prepared_worker.call("train", training(steps=1), {"model": start})
    assert np.isfinite(reply.arrays["update"]).all()


def test_a_bug_ends_the_process_with_its_last_lines(cache: Path) -> None:
    with Worker() as worker, pytest.raises(WorkerError, match=r"(?s)exit code 1.*a bug of the site's own code"):
        worker.call("prepare", preparing(BrokenPages(), cache))


def test_abort_and_timeout_kill_at_once(cache: Path) -> None:
    asked: list[float] = []

    def abort() -> bool:
        asked.append(time.monotonic())
        return len(asked) == 4

    with Worker() as worker:
        worker.call("initialize", INITIALIZE)
        pid = worker.pid
        assert pid is not None
        with pytest.raises(WorkerError, match="'prepare' was aborted"):
            worker.call("prepare", preparing(EndlessPages(), cache), should_abort=abort)
        assert gone(pid)
        assert np.diff(asked).min() > 0.1  # no busy loop
        with pytest.raises(WorkerError, match=r"longer than 2 s"):
            worker.call("prepare", preparing(EndlessPages(), cache), timeout_s=2)
        assert not worker.alive


def test_kill_from_another_thread_ends_a_call(cache: Path) -> None:
    with Worker() as worker:

        def kill_once_it_waits() -> bool:
            if worker._child is not None and any("waiting" in line for line in worker._child._tail):
                threading.Thread(target=worker.kill).start()
            return False

        with pytest.raises(WorkerError, match=r"(?s)killed on request during 'prepare'.*waiting for the archive"):
            worker.call("prepare", preparing(EndlessPages(), cache), should_abort=kill_once_it_waits)


def test_the_process_outlives_the_thread_that_first_called(tiny: Plan) -> None:
    # Linux sends the parent-death signal when the starting thread ends; callers come from pools
    with Worker() as worker:
        caller = threading.Thread(target=worker.call, args=("initialize", INITIALIZE))
        caller.start()
        caller.join()
        pid = worker.pid
        worker.call("initialize", INITIALIZE)
        assert worker.pid == pid is not None


def test_progress_reaches_the_log(cache: Path, tmp_path: Path) -> None:
    lines: list[str] = []
    with Worker(log=lines.append) as worker:
        worker.call("prepare", preparing(ScribbledPages(), tmp_path))
    assert lines == [line for line in lines if line.startswith("prepared 6 cases of 3 patients")]
    assert len(lines) == 1


def test_close_leaves_neither_process_nor_scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    worker = Worker()
    worker.call("initialize", INITIALIZE)
    pid = worker.pid
    assert pid is not None
    assert list(tmp_path.iterdir())
    worker.close()
    assert gone(pid)
    assert not list(tmp_path.iterdir())
    worker.close()  # a second time does nothing


@pytest.mark.parametrize("end", ["os.kill(os.getpid(), 9)", "os._exit(0)"])
def test_the_process_dies_with_its_owner(tmp_path: Path, end: str) -> None:
    code = f"""
        import os, sys, threading
        sys.path.insert(0, {str(Path(__file__).parent)!r})
        from nnunet_scribbles import EndlessPages
        from pathlib import Path
        from ecg_flare.nnunet.commands import InitializeCommand, PrepareCommand
        from ecg_flare.nnunet.learnt import SiteCases
        from ecg_flare.nnunet.settings import PrepareSettings
        from ecg_flare.nnunet.kinds import plan_preset
        from ecg_flare.nnunet.worker import Worker
        worker, plan = Worker(), plan_preset("tiny")
        worker.call("initialize", InitializeCommand(plan, 0).to_params())
        pages = SiteCases(EndlessPages(), "s", plan, Path({str(tmp_path)!r}))
        params = PrepareCommand(pages, PrepareSettings()).to_params()
        threading.Thread(target=worker.call, args=("prepare", params), daemon=True).start()
        print(worker.pid, flush=True)
        {end}
    """
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, env=environment
    )
    assert wait_until_gone(int(done.stdout.split()[0])), done.stderr


def test_threads_must_be_positive() -> None:
    with pytest.raises(ConfigError, match=r"threads.*0"):
        Worker(threads=0)


def test_prepared_pages_are_needed_to_train(start: np.ndarray) -> None:
    with Worker() as worker, pytest.raises(WorkerError, match="call 'prepare' first"):
        worker.call("train", training(steps=1), {"model": start})
