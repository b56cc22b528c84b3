"""How well intervals are measured on pages: page against recording, and recording against PTB-XL's statements.

    python -m benchmarks.intervals [--pages 200] [--row clean-200|scan|photo]... [--results FILE] [--draw FILE.svg]
    python -m benchmarks.intervals --statements

Pages are those of benchmarks.digitization, rendered from PTB-XL records of a fold that trains nothing. Each is read
with nothing given, and its HR, PR, QRS, QT, QTc and axis are compared with those that the same code measures on the
whole 12-lead recording. The table is of pages read with confidence, as others show a doubt. --results FILE keeps each
page as a JSON line, and the same command goes on where it was ended; name a new file after a change of the code.

--statements measures the recordings themselves, by what cardiologists stated of them in PTB-XL: the code against people
who had the same signals before them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click
from tqdm import tqdm

from benchmarks.digitization.__main__ import SEED
from benchmarks.intervals.bland_altman import draw
from benchmarks.intervals.errors import table
from benchmarks.intervals.pairs import Task, complete
from benchmarks.intervals.statements import statements_table
from benchmarks.real_data import data_root

ROWS: Final = ("clean-200", "scan", "photo")


@click.command()
@click.option("--pages", default=200, show_default=True, type=click.IntRange(1), help="Pages a row.")
@click.option("--row", "rows", multiple=True, type=click.Choice(ROWS), default=ROWS, show_default=True)
@click.option("--seed", default=SEED, show_default=True, type=click.IntRange(0), help="Of the pages.")
@click.option("--results", type=click.Path(dir_okay=False, path_type=Path), help="Keep pages here, and go on.")
@click.option("--draw", "picture", type=click.Path(dir_okay=False, path_type=Path), help="Draw Bland-Altman here.")
@click.option("--statements", is_flag=True, help="Measure recordings by PTB-XL's statements, and no page.")
def main(
    pages: int, rows: tuple[str, ...], seed: int, results: Path | None, picture: Path | None, statements: bool
) -> None:
    """Measure how well intervals are measured."""
    if statements:
        click.echo(statements_table(data_root() / "ptbxl"))
        return
    tasks = [Task(row, seed, index) for index in range(pages) for row in rows]
    pairs = list(tqdm(complete(tasks, data_root(), results), total=len(tasks), unit="page", disable=None))
    pairs.sort(key=lambda pair: rows.index(pair.task.row))
    click.echo(table(pairs))
    if picture is not None:
        draw(pairs, picture)


if __name__ == "__main__":
    main()
