"""A server and its sites from provisioned startup kits, each a process on 127.0.0.1, started and stopped by name."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import yaml
from nvflare.fuel.flare_api.api_spec import InternalError, NoConnection, SessionClosed
from nvflare.fuel.flare_api.flare_api import Session, new_secure_session
from nvflare.lighter.utils import update_storage_locations

from ecg_flare.errors import ConfigError, WorkerError

SERVER: Final = "localhost"
LEAD: Final = "lead@coordinator.org"
_PROJECT: Final = Path(__file__).parents[2] / "poc" / "project.yml"
_MARK: Final = "ECG_FLARE_FEDERATION"


@dataclass
class Federation:
    """Kits of `poc/project.yml` below `folder`, and the processes that run from them.

    Args:
        folder: where everything lies.
        sites: names of the sites.
        classes: class paths that the kits allow beside ecg_flare's own; `path` is where Python finds them.
        policy: entries of every site's policy, in place of the project's.
    """

    folder: Path
    sites: Sequence[str]
    classes: Sequence[str] = ()
    path: Sequence[Path] = ()
    policy: dict[str, Any] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.kits = self.folder / "ecg_flare" / "prod_00"
        self._session: Session | None = None
        self._started: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> "Federation":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def provision(self) -> None:
        """Make the kits with `nvflare provision`; raises ConfigError where it fails."""
        self.folder.mkdir(parents=True, exist_ok=True)
        project = yaml.safe_load(_PROJECT.read_text())
        server, *_ = project["participants"]
        server["fed_learn_port"] = server["admin_port"] = self.port = _free_port()
        site = next(each for each in project["participants"] if each["type"] == "client")
        others = [each for each in project["participants"] if each["type"] != "client"]
        project["participants"] = others + [{**site, "name": name} for name in self.sites]
        for builder in project["builders"]:
            if builder["path"].endswith("AllowListBuilder"):
                builder["args"] = {"at_sites": list(self.classes), "at_server": list(self.classes)}
            if builder["path"].endswith("SitePolicyBuilder"):
                builder["args"]["policy"] |= self.policy
                builder["args"]["server"] = {"results_folders": [str(self.folder.parent.resolve())]}
        file = self.folder / "project.yml"
        file.write_text(yaml.safe_dump(project))
        done = subprocess.run(
            [_program("nvflare"), "provision", "-p", str(file), "-w", str(self.folder), "--force"],
            env=self.variables(),
            capture_output=True,
            text=True,
        )
        if done.returncode or not self.kits.exists():
            raise ConfigError(f"provisioning ended with {done.returncode}: {done.stdout}{done.stderr}")
        update_storage_locations(str(self.kits / SERVER / "local"), str(self.folder))

    def start(self, *parties: str) -> None:
        """Start these parties, or all, each as its kit's `sub_start.sh --once` (without FLARE's watchdog)."""
        for party in parties or (SERVER, *self.sites):
            with (self.kits / party / "console.log").open("ab") as log:
                started = subprocess.Popen(
                    [str(self.kits / party / "startup" / "sub_start.sh"), "--once"],
                    env={**self.variables(), _MARK: str(self.folder)},
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            self._started.append(started)

    def wait_for_sites(self, count: int | None = None, *, timeout_s: float = 120.0) -> None:
        """Return once so many sites, or all, have registered."""
        wanted = len(self.sites) if count is None else count
        wait_until(lambda: self._registered() >= wanted, timeout_s, f"{wanted} sites at the server")

    @property
    def session(self) -> Session:
        """The lead's session at the admin console's interface."""
        if self._session is None:
            self._session = new_secure_session(LEAD, str(self.kits / LEAD), timeout=30.0)
        return self._session

    def forget_session(self) -> None:
        """Open another session at the next call: the server was restarted."""
        if self._session is not None:
            self._session.close()
            self._session = None

    def processes(self, party: str = "", *, job: bool = False) -> dict[int, str]:
        """Ids and command lines of what was started here and its children; of one party, or of its job alone."""
        found = {}
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                environment = (folder / "environ").read_bytes().split(b"\0")
                command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
            except OSError:
                continue
            if f"{_MARK}={self.folder}".encode() not in environment or not command:
                continue
            if party and f"{self.kits / party} " not in command + " ":
                continue
            if job and "runner_process" not in command and "worker_process" not in command:
                continue
            found[int(folder.name)] = command
        return found

    def kill(self, party: str, *, job: bool = False, number: int = signal.SIGKILL) -> list[int]:
        """Send a signal to all processes of a party, or to those of its job."""
        ids = list(self.processes(party, job=job))
        for each in ids:
            try:
                os.kill(each, number)
            except ProcessLookupError:
                continue
        return ids

    def kill_training(self, party: str) -> list[int]:
        """Kill the training processes of a party's job."""
        owners = self.processes(party, job=True)
        ids = [
            each
            for each, command in self.processes().items()
            if any(f" -m ecg_flare.nnunet.service {owner} " in command for owner in owners)
        ]
        for each in ids:
            os.kill(each, signal.SIGKILL)
        return ids

    def log(self, party: str, job: str = "") -> str:
        """A party's log, or its log of a job; '' where there is none."""
        file = self.kits / party / job / "log.txt"
        return file.read_text(errors="replace") if file.exists() else ""

    def close(self) -> None:
        """End everything; raises WorkerError where a process survives."""
        if self._session is not None:
            self._session.close()
            self._session = None
        for each in self.processes():
            try:
                os.kill(each, signal.SIGKILL)
            except ProcessLookupError:
                continue
        for started in self._started:
            started.wait(20.0)
        self._started.clear()
        wait_until(lambda: not self.processes(), 20.0, "the end of all processes")

    def clear_jobs(self) -> None:
        """Forget earlier jobs at every party, so that what is found afterwards is the next one's."""
        for party in (SERVER, *self.sites):
            for folder in (self.kits / party).glob("*-*-*-*-*"):
                shutil.rmtree(folder, ignore_errors=True)

    def variables(self) -> dict[str, str]:
        """Environment of every process that is started here."""
        path = os.pathsep.join([*map(str, self.path), os.environ.get("PYTHONPATH", "")]).strip(os.pathsep)
        home = self.folder / "home"
        home.mkdir(exist_ok=True)
        programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        own = {"HOME": str(home), "PATH": programs, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
        return {**os.environ, **own, **self.environment}

    def _registered(self) -> int:
        try:
            return len(self.session.get_connected_client_list())
        except (NoConnection, SessionClosed, InternalError):
            self._session = None
            return 0


def wait_until(holds: Callable[[], object], timeout_s: float, what: str) -> None:
    """Poll until `holds()`; raises WorkerError, naming `what`, after the timeout."""
    deadline = time.monotonic() + timeout_s
    while not holds():
        if time.monotonic() > deadline:
            raise WorkerError(f"waited {timeout_s:.0f} s for {what}")
        time.sleep(0.2)


def listeners(processes: Iterable[int]) -> list[str]:
    """Addresses on which these processes listen, as /proc/net/tcp and tcp6 write them."""
    inodes = set()
    for each in processes:
        for link in Path(f"/proc/{each}/fd").glob("*"):
            try:
                inodes.add(str(link.readlink()))
            except OSError:
                continue
    tables = [Path("/proc/net/tcp"), Path("/proc/net/tcp6")]
    rows = [line.split() for table in tables if table.exists() for line in table.read_text().splitlines()[1:]]
    return [row[1] for row in rows if row[3] == "0A" and f"socket:[{row[9]}]" in inodes]


def read_lines(file: Path) -> list[dict[str, Any]]:
    """The JSON lines of a file; none where it is missing."""
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def _program(name: str) -> str:
    return str(Path(sys.executable).with_name(name))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
