"""All pages of a folder in one table, as CSV and as Parquet, in the order of their files.

The table is written row by row out of the manifest. One more column is one more line of COLUMNS.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, Any, Final, Literal

from ecg_flare.digitize.files.summary import PageOutcome
from ecg_flare.ecg.intervals.intervals import QUANTITIES
from ecg_flare.storage import write_atomically

CSV_NAME: Final = "pages.csv"
PARQUET_NAME: Final = "pages.parquet"

Kind = Literal["text", "texts", "real", "whole", "truth"]

_ROWS_AT_ONCE: Final = 5000
_BETWEEN_TEXTS: Final = " | "


@dataclass(frozen=True)
class Column:
    """A column: its name, what its cells are, and the keys that lead to them in what is told of a page.

    Told of a page are its `source`, `page`, `name`, `status` and `error`, and its `report` as in NAME.json.
    """

    name: str
    kind: Kind
    path: tuple[str, ...]


COLUMNS: Final = (
    Column("source", "text", ("source",)),
    Column("page", "whole", ("page",)),
    Column("name", "text", ("name",)),
    Column("status", "text", ("status",)),
    Column("error", "text", ("error",)),
    Column("confidence", "real", ("report", "confidence")),
    Column("layout", "text", ("report", "layout", "name")),
    Column("layout_confidence", "real", ("report", "layout", "confidence")),
    Column("speed_mm_per_s", "real", ("report", "calibration", "speed_mm_per_s")),
    Column("speed_source", "text", ("report", "calibration", "speed_source")),
    Column("gain_mm_per_mv", "real", ("report", "calibration", "gain_mm_per_mv")),
    Column("gain_source", "text", ("report", "calibration", "gain_source")),
    Column("chest_gain_mm_per_mv", "real", ("report", "calibration", "chest_gain_mm_per_mv")),
    Column("px_per_mm_x", "real", ("report", "calibration", "px_per_mm_x")),
    Column("px_per_mm_y", "real", ("report", "calibration", "px_per_mm_y")),
    Column("turned_deg", "real", ("report", "geometry", "turned_deg")),
    Column("fs_hz", "real", ("report", "recording", "fs_hz")),
    Column("duration_s", "real", ("report", "recording", "duration_s")),
    Column("expected_db", "real", ("report", "signal", "expected_db")),
    Column("einthoven", "real", ("report", "checks", "einthoven")),
    Column("goldberger", "real", ("report", "checks", "goldberger")),
    Column("rhythm_correlation", "real", ("report", "checks", "rhythm_correlation")),
    Column("checks_passed", "truth", ("report", "checks", "passed")),
    *(Column(name, "real", ("report", "intervals", name)) for name in QUANTITIES),
    Column("interval_doubts", "texts", ("report", "intervals", "doubts")),
    Column("warnings", "texts", ("report", "warnings")),
)


def row_of(outcome: PageOutcome, status: str) -> dict[str, Any]:
    """A page's row by column, with what JSON can hold; None for an empty cell."""
    told = {
        "source": outcome.source,
        "page": outcome.page,
        "name": outcome.name,
        "status": status,
        "error": outcome.error or outcome.withheld,
        "report": outcome.report,
    }
    return {column.name: _at(told, column.path) for column in COLUMNS}


def write_tables(rows: Iterable[Mapping[str, Any]], folder: Path) -> None:
    """Write CSV_NAME and PARQUET_NAME, each whole or not at all; raises StorageError where that fails."""
    write_atomically(
        folder / CSV_NAME,
        lambda text: write_atomically(folder / PARQUET_NAME, lambda table: _write(rows, text, table)),
    )


def _write(rows: Iterable[Mapping[str, Any]], text: IO[bytes], table: IO[bytes]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds = {
        "text": pa.string(),
        "texts": pa.list_(pa.string()),
        "real": pa.float64(),
        "whole": pa.int64(),
        "truth": pa.bool_(),
    }
    schema = pa.schema([(column.name, kinds[column.kind]) for column in COLUMNS])
    lines = io.TextIOWrapper(text, encoding="utf-8", newline="", write_through=True)
    writer = csv.writer(lines, lineterminator="\n")
    writer.writerow(schema.names)
    with pq.ParquetWriter(table, schema) as parquet:
        for some in _in_parts(rows):
            writer.writerows([_cell(row.get(name)) for name in schema.names] for row in some)
            parquet.write_batch(pa.RecordBatch.from_pylist(some, schema))
    lines.detach()


def _in_parts(rows: Iterable[Mapping[str, Any]]) -> Iterator[list[Mapping[str, Any]]]:
    ahead = iter(rows)
    while some := list(islice(ahead, _ROWS_AT_ONCE)):
        yield some


def _cell(value: Any) -> Any:
    match value:
        case bool():
            return str(value).lower()
        case list():
            return _BETWEEN_TEXTS.join(value)
        case _:
            return value


def _at(told: Any, path: tuple[str, ...]) -> Any:
    for key in path:
        if told is None:
            return None
        told = told.get(key)
    return told
