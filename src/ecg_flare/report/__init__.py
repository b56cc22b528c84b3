"""The report of a run: what a federation learnt, what it cost, and what it promised, on one page.

run (read) -> words, charts, ledger, pages -> document -> build (one file), and table for the terminal. It needs the
run's folder alone, not FLARE.
"""

from typing import TYPE_CHECKING

from ecg_flare.lazy import face

_NAMES = {
    "build": ("write_report",),
    "run": ("Run", "find_run", "read_run"),
    "watch": ("Watched", "look"),
}

if TYPE_CHECKING:
    from ecg_flare.report.build import write_report
    from ecg_flare.report.run import Run, find_run, read_run
    from ecg_flare.report.watch import Watched, look
else:
    __getattr__, __dir__ = face(__name__, _NAMES)

__all__ = ["Run", "Watched", "find_run", "look", "read_run", "write_report"]
