"""The training process as its owner sees it: started on demand, called with arrays, killed on abort.

Training runs in a child because a crash, an abort or a full memory must cost a site one round, not its job, and because
torch's threads and nnU-Net's globals stay out of FLARE's process. The child (`service.py`) ends with its owner: it
watches its end of the pipe, and Linux kills it when the thread that started it ends. This module imports no torch.
"""

from __future__ import annotations

import collections
import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Final

import numpy as np

from ecg_flare import errors
from ecg_flare.errors import ConfigError, EcgFlareError, WorkerError
from ecg_flare.extensions import VARIABLE, loaded_extensions
from ecg_flare.nnunet.frames import Frame, read_frame, write_frame
from ecg_flare.nnunet.scratch import Scratch

_ABORT_POLL_S: Final = 0.2
_EXIT_GRACE_S: Final = 5.0
_TAIL_LINES: Final = 20
_THREAD_VARIABLES: Final = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "BLOSC_NTHREADS",
)

# A step allocates and frees the same megabytes again and again: glibc would map them afresh each time, and the page
# faults cost a sixth of the training.
_MALLOC: Final = {"MALLOC_MMAP_THRESHOLD_": str(256 << 20), "MALLOC_TRIM_THRESHOLD_": str(512 << 20)}


@dataclass(frozen=True, eq=False)
class WorkerReply:
    """What a command gave: JSON values and arrays by name."""

    params: Mapping[str, Any]
    arrays: Mapping[str, np.ndarray]


class Worker:
    """A training process, started at the first call and kept until `close`, `kill` or its death.

    The commands, their parameters and replies stand in `service.Service`. Calls from several threads queue up; `kill`
    may come from any thread while a call runs, which then raises WorkerError.

    Args:
        threads: CPU threads of everything in the child.
        device: torch device of the child.
        log: takes the child's progress, a line at a time.
    """

    def __init__(self, *, threads: int = 1, device: str = "cpu", log: Callable[[str], None] = print) -> None:
        if threads < 1:
            raise ConfigError(f"threads must be at least 1. Found {threads}.")
        self._threads = threads
        self._device = device
        self._log = log
        self._calls = threading.Lock()
        self._child: _Child | None = None

    def call(
        self,
        command: str,
        params: Mapping[str, Any] | None = None,
        arrays: Mapping[str, np.ndarray] | None = None,
        *,
        should_abort: Callable[[], bool] = lambda: False,
        timeout_s: float | None = None,
    ) -> WorkerReply:
        """Run one command in the child and wait for its reply.

        Args:
            command: see `service.Service`.
            params: JSON values.
            arrays: numpy arrays, without objects.
            should_abort: asked about five times a second; True kills the child.
            timeout_s: longest wait, after which the child is killed.

        Raises:
            EcgFlareError: the error that the command raised, of its own class.
            WorkerError: the child died (by which signal or exit code, and its last lines), was aborted or took too
                long. The next call starts a new child, which knows nothing of earlier calls.
        """
        with self._calls:
            child = self._running_child()
            try:
                child.send(Frame("request", command, params or {}, arrays or {}))
                frame = self._wait(child, command, should_abort, timeout_s)
            except BaseException as error:
                # Whatever else ends the wait (an interrupt too), the child must not work on unheard.
                if not isinstance(error, EcgFlareError) or not child.alive:
                    child.kill()
                raise
        if frame.kind == "error":
            raise _error(frame)
        return WorkerReply(frame.params, frame.arrays)

    @property
    def pid(self) -> int | None:
        """Process id of the child; None before the first call and after its end."""
        child = self._child
        return child.pid if child is not None and child.alive else None

    @property
    def alive(self) -> bool:
        """Whether there is a child, ready to be called or busy."""
        return self.pid is not None

    def kill(self) -> None:
        """End the child now; returns once it is reaped."""
        if self._child is not None:
            self._child.kill()

    def close(self) -> None:
        """Let the child end in order, or kill it if it does not; a later call starts another."""
        if self._child is not None:
            self._child.close()

    def __enter__(self) -> Worker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _running_child(self) -> _Child:
        if self._child is None or not self._child.alive:
            self._child = _Child(self._threads, self._device, self._log)
        return self._child

    def _wait(self, child: _Child, command: str, should_abort: Callable[[], bool], timeout_s: float | None) -> Frame:
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while True:
            with contextlib.suppress(queue.Empty):
                frame = child.inbox.get(timeout=_ABORT_POLL_S)
                if frame is None:
                    raise WorkerError(child.obituary(command))
                return frame
            if should_abort():
                child.kill()
                raise WorkerError(f"'{command}' was aborted: the training process {child.pid} was killed")
            if deadline is not None and time.monotonic() > deadline:
                child.kill()
                raise WorkerError(f"'{command}' took longer than {timeout_s:.0f} s: the training process was killed")


class _Child:
    """One child process, with a thread that starts it and reads its frames, and one that drains its stderr.

    The reading thread also starts the process and lives as long as it: Linux sends the parent-death signal when the
    starting *thread* ends, and the caller's may be one of a short-lived pool.
    """

    def __init__(self, threads: int, device: str, log: Callable[[str], None]) -> None:
        self.inbox: queue.Queue[Frame | None] = queue.Queue()
        self._log = log
        self._tail: collections.deque[str] = collections.deque(maxlen=_TAIL_LINES)
        self._scratch = Scratch()
        self._killed = False
        self._ended = threading.Event()
        started: queue.Queue[subprocess.Popen[bytes] | OSError] = queue.Queue()
        threading.Thread(
            target=self._attend, args=(started, threads, device), name="ecg_flare-worker", daemon=True
        ).start()
        process = started.get()
        if isinstance(process, OSError):
            self._scratch.remove()
            raise WorkerError(f"the training process could not be started: {process}") from process
        self._process = process

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return not self._ended.is_set() and self._process.poll() is None

    def send(self, frame: Frame) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # its end arrives in the inbox, with the reason
            write_frame(self._process.stdin, frame)

    def kill(self) -> None:
        self._killed = True
        self._process.kill()
        self._ended.wait()

    def close(self) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        if not self._ended.wait(_EXIT_GRACE_S):
            self.kill()

    def obituary(self, command: str) -> str:
        code = self._process.returncode
        if self._killed:
            how = "was killed on request"
        elif code < 0:
            how = f"was killed by {signal.Signals(-code).name}"
        else:
            how = f"ended with exit code {code}"
        last = "\n  ".join(self._tail) if self._tail else "(it wrote nothing)"
        return f"the training process {self.pid} {how} during '{command}'. Its last lines:\n  {last}"

    def _attend(self, started: queue.Queue[subprocess.Popen[bytes] | OSError], threads: int, device: str) -> None:
        try:
            process = self._start(threads, device)
        except OSError as error:
            started.put(error)
            return
        started.put(process)
        assert process.stdout is not None
        assert process.stderr is not None
        drain = threading.Thread(target=self._drain, args=(process.stderr,), daemon=True)
        drain.start()
        self._read_frames(process.stdout)
        try:
            process.wait(_EXIT_GRACE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        drain.join(_EXIT_GRACE_S)
        for stream in (process.stdin, process.stdout):
            with contextlib.suppress(OSError):
                if stream is not None:
                    stream.close()
        self._scratch.remove()
        self._ended.set()
        self.inbox.put(None)

    def _start(self, threads: int, device: str) -> subprocess.Popen[bytes]:
        environment = {
            **os.environ,
            **dict.fromkeys(_THREAD_VARIABLES, str(threads)),
            # case sources may live in a job's own folder, which FLARE only added to this process's path
            "PYTHONPATH": os.pathsep.join(path or str(Path.cwd()) for path in sys.path),
            VARIABLE: ":".join(loaded_extensions()),
            "PYTHONUNBUFFERED": "1",
            **_MALLOC,
            "TMPDIR": str(self._scratch.path),
        }
        command = [sys.executable, "-m", "ecg_flare.nnunet.service", str(os.getpid()), str(threads), device]
        return subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment
        )

    def _read_frames(self, stream: IO[bytes]) -> None:
        try:
            while (frame := read_frame(stream)) is not None:
                if frame.kind == "log":
                    self._log(str(frame.params["message"]))
                else:
                    self.inbox.put(frame)
        except WorkerError as error:
            self._tail.append(str(error))

    def _drain(self, stream: IO[bytes]) -> None:
        with stream:
            for line in stream:
                self._tail.append(line.decode(errors="replace").rstrip())


def _error(frame: Frame) -> EcgFlareError:
    kind = getattr(errors, frame.name, WorkerError)
    if not (isinstance(kind, type) and issubclass(kind, EcgFlareError)):
        kind = WorkerError
    return kind(str(frame.params["message"]))
