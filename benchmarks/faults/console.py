"""FLARE's admin console as a person types into it."""

import re
import subprocess
import threading
from pathlib import Path
from types import TracebackType

from benchmarks.faults.federation import wait_until

_DONE = re.compile(r"^Done \[\d+ usecs\].*\n", re.MULTILINE)


class Console:
    """The console of an admin's kit, logged in; `say` gives what it answers.

    Args:
        kit: the admin's startup kit.
        environment: of the console's process.
    """

    def __init__(self, kit: Path, environment: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            [str(kit / "startup" / "fl_admin.sh")],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._heard = ""
        threading.Thread(target=self._listen, daemon=True).start()
        self._type(kit.name)

    def __enter__(self) -> "Console":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._process.poll() is None:
            self._type("bye")
        self._process.wait(30.0)

    def say(self, command: str, *answers: str, timeout_s: float = 60.0) -> str:
        """Type a command, and answers to what it asks; gives all that it printed until it was done."""
        before = len(self._heard)
        for line in (command, *answers):
            self._type(line)
        wait_until(lambda: _DONE.search(self._heard, before), timeout_s, f"the console's answer to {command!r}")
        return self._heard[before:]

    def statuses(self) -> dict[str, str]:
        """Job id -> status, as `list_jobs` prints them."""
        rows = [line.split("|") for line in self.say("list_jobs").splitlines() if line.startswith("|")]
        return {row[1].strip(): row[3].strip() for row in rows if "JOB ID" not in row[1]}

    def submit(self, job: Path) -> str:
        """Submit a job's folder; gives its id."""
        answer = self.say(f"submit_job {job}")
        found = re.search(r"Submitted job: (\S+)", answer)
        assert found is not None, answer
        return found.group(1)

    def _type(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._heard += line.removeprefix("> ")
