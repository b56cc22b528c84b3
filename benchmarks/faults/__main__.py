"""`python -m benchmarks.faults`: the fault matrix, as a table."""

import json
import tempfile
from dataclasses import asdict
from pathlib import Path

import click

from benchmarks.faults.cells import FAULTS, PHASES, Cell, phases_of, run_cell
from benchmarks.faults.federation import Federation, read_lines
from benchmarks.faults.job import APP, CLASSES
from benchmarks.markdown import row
from ecg_flare.errors import EcgFlareError

_HEAD = (
    "| fault | phase | job | failed | without the site | charged | released | rounds done | s | wrong |\n" + "|---" * 10
)


@click.command()
@click.option("--faults", default=",".join(FAULTS), show_default=True, help="With commas.")
@click.option("--phases", default=",".join(PHASES), show_default=True, help="With commas.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Also append each cell as a line of JSON.")
@click.option("--show", type=click.Path(exists=True, path_type=Path), help="Run nothing: the table of such a file.")
def main(faults: str, phases: str, output: Path | None, show: Path | None) -> None:
    """Break a running federation in each way and in each phase of a round, and say what is left.

    A server and four sites run from startup kits; a sum needs three. A cell takes about a minute.

    \b
    Examples:
      python -m benchmarks.faults --faults "site's job killed" --phases keys,train
      python -m benchmarks.faults --show faults.jsonl
    """
    click.echo(_HEAD + "|")
    if show is not None:
        cells = {(cell.fault, cell.phase): cell for cell in (Cell(**line) for line in read_lines(show))}
        for fault in FAULTS:
            for phase in PHASES:
                if (fault, phase) in cells:
                    click.echo(_line(cells[fault, phase]))
        return
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        for index, fault in enumerate(faults.split(",")):
            _row(fault, phases.split(","), folder / str(index), output)


def _row(fault: str, phases: list[str], folder: Path, output: Path | None) -> None:
    """All phases of one fault in one federation; a cell that breaks it gives the next ones a new one."""
    left = [phase for phase in phases if phase in phases_of(fault)]
    while left:
        hold = folder / f"hold-{len(left)}"
        hold.mkdir(parents=True)
        sites = [f"site-{index + 1}" for index in range(4)]
        kits = folder / f"kits-{len(left)}"
        with Federation(kits, sites, CLASSES, [APP], environment={"FAULTS": str(hold)}) as federation:
            federation.provision()
            federation.start()
            federation.wait_for_sites()
            while left:
                phase = left.pop(0)
                try:
                    cell = run_cell(fault, phase, federation, hold)
                except EcgFlareError as error:
                    click.echo(f"| {fault} | {phase} | {error} |")
                    break
                click.echo(_line(cell))
                if output is not None:
                    with output.open("a") as file:
                        file.write(json.dumps(asdict(cell)) + "\n")


def _line(cell: Cell) -> str:
    values = (cell.fault, cell.phase, cell.outcome, cell.failed, cell.missing, cell.charged, cell.released)
    rest = (cell.rounds_done, f"{cell.seconds:.0f}", "; ".join(cell.wrong) or "–")
    return row(*values, *rest)


if __name__ == "__main__":
    main()
