"""How well pages are read: the targets of digitization beside what is measured, and beside a perfect trace.

    python -m benchmarks.digitization [--pages 100] [--only ROW]... [--segmenter auto|bundled|classical]...
    python -m benchmarks.digitization --confidence 1000

Rows of rendered pages print PTB-XL recordings of a fold that trains nothing, in layouts, grids, inks and typefaces
drawn from a seed, degrade them, and read them with nothing given. `ludb` reads the 25 pages that ECGMiner drew from
LUDB, beside what ECGMiner itself made of them. SNR and correlation are those of ecg/metrics.py, pooled over a page,
against the samples that the page prints. `perfect trace` is the SNR of the undamaged line read with one value a pixel
column, its mean there. `wrong of confident` counts pages whose layout, speed, gain or lead names are wrong among those
whose confidence is at or above the level below which a warning is shown. Seconds are of CPU.

Rows of pages that few machines print (special.py) are read where --only names them: `fewer`, `fifteen`, `strips`,
`speed-gain`, `no-pulses` and `fax`. Kinds whose name ends in "given" are read with their layout given.

--confidence reads pages of the row `mixed` alone, which has pages of every kind (mixed.py). It counts the confident
wrong ones, a signal below 15 dB among them, and prints the share of right pages at each confidence. --worst FOLDER
draws each row's worst five pages. --results FILE keeps every reading as a JSON line, and the same command goes on where
it was ended. A file of other code is refused: readings of two readers make no figure. PTB-XL and LUDB are sought below
the folder that ECG_FLARE_DATA names, else in ../shared/data.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Final

import click
from tqdm import tqdm

from benchmarks.digitization.certainty import confidence_report
from benchmarks.digitization.pages import LUDB_PAGES
from benchmarks.digitization.pictures import write_worst
from benchmarks.digitization.readings import Reading, Task, complete, kept
from benchmarks.digitization.rows import LUDB, MIXED, rows
from benchmarks.digitization.special import SPECIAL
from benchmarks.digitization.table import summarize, table
from benchmarks.kept_readings import KeptReadings
from benchmarks.real_data import data_root

SEED: Final = 424_242
"""Of the published figures. Its worst pages showed where errors lie; what was chosen, was chosen on other seeds."""


def _readings(file: KeptReadings[Task, Reading], tasks: Sequence[Task], jobs: int) -> list[Reading]:
    first = tasks[0]
    known = sum(task in file for task in tasks)
    done = complete(file, tasks, data_root(), jobs)
    for _ in tqdm(
        done, total=len(tasks), initial=known, desc=f"{first.row} {first.segmenter}", leave=False, disable=None
    ):
        pass
    return [file[task] for task in tasks]


def _tasks(row: str, segmenter: str, seed: int, count: int, words: bool) -> list[Task]:
    pages = range(min(count, LUDB_PAGES) if row == LUDB else count)
    return [Task(row, segmenter, seed, index, words) for index in pages]


@click.command()
@click.option("--pages", default=100, show_default=True, type=click.IntRange(1), help="Pages a row.")
@click.option("--only", multiple=True, type=click.Choice(list(rows())), help="This row alone; may be repeated.")
@click.option("--segmenter", "segmenters", multiple=True, default=("auto", "bundled", "classical"), show_default=True)
@click.option("--confidence", type=click.IntRange(1), metavar="PAGES", help="Count confident wrong pages of this many.")
@click.option("--seed", default=SEED, show_default=True, type=click.IntRange(0), help="Of the rendered pages.")
@click.option("--words", is_flag=True, help="Read printed speeds and gains, too (the extra `words`).")
@click.option("--jobs", default=1, show_default=True, type=click.IntRange(1), help="Processes, of one thread each.")
@click.option("--results", type=click.Path(dir_okay=False, path_type=Path), help="Keep readings here, and go on.")
@click.option("--worst", type=click.Path(file_okay=False, path_type=Path), help="Draw each row's worst pages here.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def main(
    pages: int,
    only: tuple[str, ...],
    segmenters: tuple[str, ...],
    confidence: int | None,
    seed: int,
    words: bool,
    jobs: int,
    results: Path | None,
    worst: Path | None,
    as_json: bool,
) -> None:
    """Measure how well pages are read."""
    file = kept(results)
    if confidence is not None:
        readings = {name: _readings(file, _tasks(MIXED, name, seed, confidence, words), jobs) for name in segmenters}
        for name, found in readings.items():
            click.echo(
                json.dumps([asdict(one) for one in found]) if as_json else f"{name}: {confidence_report(found)}\n"
            )
        return
    names = only or tuple(name for name in rows() if name not in (MIXED, *SPECIAL))
    found_by_row = [
        _readings(file, _tasks(row, name, seed, pages, words), jobs) for row in names for name in segmenters
    ]
    measured = [summarize(found) for found in found_by_row]
    if worst is not None:
        for found in found_by_row:
            write_worst(found, data_root(), worst)
    click.echo(json.dumps([asdict(row) for row in measured], indent=2) if as_json else table(measured))


if __name__ == "__main__":
    main()
