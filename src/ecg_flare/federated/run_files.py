"""Names of the files of a run, which the server writes and a report reads.

The server writes `run.json` when a job starts, a line of `metrics.jsonl` after each round, and `ended.json` last.
"""

from typing import Final

RUN: Final = "run.json"
METRICS: Final = "metrics.jsonl"
ENDED: Final = "ended.json"
