"""Compare runs."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ecg_flare.cli.screen import columns, json_option, say_json, tell

if TYPE_CHECKING:
    from ecg_flare.report.compare.comparison import Comparison, Named


@click.command()
@click.argument("runs", nargs=-1, metavar="[NAME=]RUN [NAME=]RUN...")
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("compare.html"),
    show_default=True,
    help="The page to write.",
)
@click.option(
    "--reference", metavar="NAME", default="", help="Name of the run to measure the others against. [default: first]"
)
@click.option("--csv", "as_csv", is_flag=True, help="Also write the rounds and the table as CSV, beside the page.")
@json_option
def compare(runs: tuple[str, ...], output: Path, reference: str, as_csv: bool, as_json: bool) -> None:
    """Compare runs by round, gradient step and cost.

    Prints a table and writes one HTML page without other files: convergence with figures to download as SVG, the table
    with each run's ratio to the reference, and what cannot be compared, which is also said on stderr.

    RUN is a folder as for `ecg-flare report`: of the simulator, of a job from a server, or ecg_flare in it. A NAME
    before it stands for the name of its job; runs of one NAME are repeats of one method, of other seeds say, and their
    mean is compared, too. Up to eight methods can be compared.

    \b
    Examples:
      ecg-flare compare runs/centralized runs/fedavg runs/fedadam -o compare.html
      ecg-flare compare "FedAdam=runs/a" "FedAdam=runs/b" "FedAvg=runs/c" --reference FedAvg --csv
    """
    from ecg_flare.report.compare.cautions import cautions
    from ecg_flare.report.compare.comparison import compare as compared
    from ecg_flare.report.compare.page import write_comparison
    from ecg_flare.report.compare.results import method_results, results
    from ecg_flare.report.compare.table import comparison_json, method_rows, table_rows

    if len(runs) < 2:
        given = f", found {runs[0]!r} alone: `ecg-flare report` shows one" if runs else ""
        raise click.UsageError(f"expected two runs or more{given}.")
    comparison = compared([_named(each) for each in runs], reference)
    files = {"report": str(write_comparison(comparison, output)), **(_csv(comparison, output) if as_csv else {})}
    told = cautions(comparison)
    if as_json:
        say_json(comparison_json(comparison, told) | files)
        return
    for each in told:
        tell(f"Caution: {each}")
    tables = [table_rows(results(comparison))]
    if comparison.repeated:
        tables.insert(0, method_rows(method_results(comparison)))
    for rows in tables:
        click.echo("\n".join(columns(rows, right=range(1, len(rows[0])))))
        click.echo()
    for what, path in files.items():
        click.echo(f"{what + ':':8}{path}")


def _csv(comparison: "Comparison", page: Path) -> dict[str, str]:
    """Write the rounds and the table beside the page; gives their paths."""
    from ecg_flare.report.compare.csv_files import rounds_csv, table_csv
    from ecg_flare.report.compare.results import results
    from ecg_flare.report.document import write_text

    texts = {"rounds": rounds_csv(comparison), "table": table_csv(results(comparison))}
    paths = {what: page.with_suffix(f".{what}.csv") for what in texts}
    for what, text in texts.items():
        write_text(text, paths[what])
    return {what: str(path) for what, path in paths.items()}


def _named(given: str) -> "Named":
    """A run by what the reader typed: a folder, or NAME=FOLDER where there is no folder of that whole name."""
    from ecg_flare.report.compare.comparison import Named
    from ecg_flare.report.run import read_run

    name, equals, folder = given.partition("=")
    if not equals or not name or Path(given).exists():
        name, folder = "", given
    path = Path(folder)
    return Named(read_run(path), name, path.resolve().name)
