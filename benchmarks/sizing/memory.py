"""Memory of a command and all processes that it starts, sampled while it runs."""

import subprocess
import time
from pathlib import Path

_PERIOD_S = 1.0


def watch(process: subprocess.Popen[bytes]) -> int:
    """Most bytes seen at one moment until the process ends, pages that processes share counted once.

    The process must lead a session of its own (`start_new_session=True`).
    """
    peak = 0
    while process.poll() is None:
        peak = max(peak, sum(map(_proportional_bytes, _session(process.pid))))
        time.sleep(_PERIOD_S)
    return peak


def _session(leader: int) -> list[int]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == leader:
            found.append(int(folder.name))
    return found


def _proportional_bytes(process: int) -> int:
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return 1024 * sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
