"""The report of a run: what a federation learnt, what it cost, and what it promised, on one page.

run (read) -> words, charts, ledger, pages -> document -> build (one file), and table for the terminal. It needs the
run's folder alone, not FLARE.
"""

from ecg_flare.report.build import write_report
from ecg_flare.report.run import Run, find_run, read_run

__all__ = ["Run", "find_run", "read_run", "write_report"]
