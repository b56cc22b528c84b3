"""The report of a run."""

from pathlib import Path

import click

from ecg_flare.cli.screen import json_option, say_json, tell


@click.command()
@click.argument("run", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="[default: report.html in the run's folder]"
)
@click.option(
    "--pages", type=click.IntRange(0), metavar="N", default=3, show_default=True, help="Number of public pages to draw."
)
@click.option(
    "--ptbxl",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder of PTB-XL on this machine, if the run's public pages are from it. A folder that the run names is not "
    "read.",
)
@click.option("--no-pages", is_flag=True, help="Draw no pages: faster, and without torch.")
@json_option
def report(run: Path, output: Path | None, pages: int, ptbxl: Path | None, no_pages: bool, as_json: bool) -> None:
    """Print a run's rounds and write its report.

    The report is one HTML page without other files.

    RUN is the simulator's workspace (the folder given to -w), a job's folder from `nvflare job download`, or the folder
    ecg_flare in it.

    \b
    Example:
      ecg-flare report runs/fedadam_dp -o report.html
    """
    from ecg_flare.report import read_run, write_report
    from ecg_flare.report.table import rounds_table, summary

    found = read_run(run)
    no_pages = no_pages or not found.measured
    if not no_pages and pages:
        tell("drawing public pages ...")
    path = write_report(found, output or found.folder / "report.html", pages=0 if no_pages else pages, ptbxl=ptbxl)
    told = summary(found) | {"report": str(path)}
    if as_json:
        say_json(told)
        return
    click.echo(rounds_table(found))
    click.echo()
    if found.outcome not in ("", "finished"):
        click.echo(f"ended:  after round {found.final.index} of {found.terms.rounds}: {found.outcome}")
    for what in ("model", "ledger", "report"):
        if told[what]:
            click.echo(f"{what + ':':8}{told[what]}")
