"""Readings summed up: a row of the table for each row of pages and segmenter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from benchmarks.digitization.readings import Reading
from benchmarks.digitization.rows import Target, rows

WORST: Final = 5


@dataclass(frozen=True)
class RowResult:
    """One row, measured.

    `wrong_unwarned` counts confident pages whose layout, speed, gain or lead names
    are wrong."""

    row: str
    segmenter: str
    pages: int
    read: int
    snr_db: float
    p5_db: float
    pcc: float
    ceiling_db: float
    peer_db: float | None
    peer_p5_db: float | None
    right: int
    confident: int
    wrong_unwarned: int
    seconds: float
    stages: Mapping[str, float]
    target: Target
    worst: tuple[str, ...]


def summarize(readings: Sequence[Reading]) -> RowResult:
    """Return the row of readings of one kind of page by one segmenter. A refused page counts with 0 dB."""
    snr = np.array([reading.snr_db for reading in readings])
    peers = [reading.peer_db for reading in readings if reading.peer_db is not None]
    confident = [reading for reading in readings if reading.confident]
    stages = sorted({stage for reading in readings for stage in reading.seconds})
    task = readings[0].task
    return RowResult(
        row=task.row,
        segmenter=task.segmenter,
        pages=len(readings),
        read=sum(reading.error is None for reading in readings),
        snr_db=float(np.median(snr)),
        p5_db=float(np.percentile(snr, 5)),
        pcc=float(np.median([reading.pcc for reading in readings])),
        ceiling_db=float(np.median([reading.ceiling_db for reading in readings])),
        peer_db=float(np.median(peers)) if peers else None,
        peer_p5_db=float(np.percentile(peers, 5)) if peers else None,
        right=sum(reading.right for reading in readings),
        confident=len(confident),
        wrong_unwarned=sum(not reading.right for reading in confident),
        seconds=float(np.median([reading.seconds["all"] for reading in readings])),
        stages={stage: float(np.median([reading.seconds.get(stage, 0.0) for reading in readings])) for stage in stages},
        target=rows()[task.row].target,
        worst=tuple(_line(reading) for reading in worst(readings)),
    )


def worst(readings: Sequence[Reading]) -> list[Reading]:
    """Return the WORST pages, the worst first."""
    return sorted(readings, key=lambda reading: reading.snr_db)[:WORST]


def _line(reading: Reading) -> str:
    return f"{reading.name} {reading.snr_db:.1f} dB {reading.error or ''}".strip()


def table(results: Sequence[RowResult]) -> str:
    """The rows as a Markdown table, each figure beside its target."""
    head = (
        "pages",
        "segmenter",
        "n",
        "SNR dB, median",
        "p5",
        "PCC",
        "CPU s a page",
        "perfect trace dB",
        "ECGMiner dB, median / p5",
        "layout, speed, gain, leads right",
        "wrong of confident",
    )
    body = [
        (
            result.row,
            result.segmenter,
            str(result.pages),
            _beside(result.snr_db, result.target.snr_db, 1),
            _beside(result.p5_db, result.target.p5_db, 1),
            _beside(result.pcc, result.target.pcc, 4),
            _beside(result.seconds, result.target.seconds, 2),
            f"{result.ceiling_db:.1f}",
            "" if result.peer_db is None else f"{result.peer_db:.1f} / {result.peer_p5_db:.1f}",
            str(result.right),
            f"{result.wrong_unwarned} of {result.confident}",
        )
        for result in results
    ]
    widths = [max(len(line[k]) for line in (head, *body)) for k in range(len(head))]

    def drawn(cells: Sequence[str]) -> str:
        return "| " + " | ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)) + " |"

    lines = [drawn(head), drawn(["-" * width for width in widths]), *(drawn(line) for line in body)]
    lines.append("\nIn brackets: the target. A refused page counts as 0 dB.")
    for result in results:
        stages = ", ".join(f"{name} {seconds:.2f}" for name, seconds in result.stages.items() if name != "all")
        lines.append(f"{result.row}, {result.segmenter}: CPU s: {stages}; worst: {'; '.join(result.worst)}")
    return "\n".join(lines)


def _beside(value: float, target: float | None, digits: int) -> str:
    return f"{value:.{digits}f}" + (f" ({target:g})" if target is not None else "")
