"""`python -m benchmarks.fuzz`: many changed inputs for each parser."""

import json
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

import click
from tqdm import tqdm

from benchmarks.fuzz.parsers import PARSERS
from benchmarks.fuzz.runs import Failure, Outcome, Parser, memory_folder, run_parser
from benchmarks.markdown import row


@click.command()
@click.option("--parser", "names", multiple=True, help="Only this one; may be given again. By default all.")
@click.option("--inputs", default=10_000, show_default=True, help="Of each parser.")
@click.option("--first", default=0, show_default=True, help="Index of the first input: what a failure names.")
@click.option("--seed", default=0, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="A line of JSON a parser instead of the table.")
def main(names: tuple[str, ...], inputs: int, first: int, seed: int, as_json: bool) -> None:
    """Change valid inputs and read them: only a result or an EcgFlareError may come of one.

    A failure is told with the command that runs that one input again. Ends with 1 where there was one.
    """
    chosen = [parser for parser in PARSERS if not names or parser.name in names]
    if unknown := set(names) - {parser.name for parser in PARSERS}:
        raise click.BadParameter(f"{', '.join(unknown)}; expected some of {', '.join(each.name for each in PARSERS)}")
    if not as_json:
        click.echo(row("parser", "inputs", "read", "refused", "failed", "s", "slowest, s") + "\n" + "|---" * 7 + "|")
    failed = False
    with tempfile.TemporaryDirectory(dir=memory_folder()) as text:
        for parser in tqdm(chosen, unit="parser", disable=not sys.stderr.isatty()):
            outcome = _run(parser, seed, range(first, first + inputs), Path(text))
            failed |= bool(outcome.failures)
            _report(outcome, as_json)
    sys.exit(int(failed))


def _run(parser: Parser, seed: int, indices: range, folder: Path) -> Outcome:
    return run_parser(parser, seed, indices, folder)


def _report(outcome: Outcome, as_json: bool) -> None:
    if as_json:
        failures = [asdict(failure) for failure in outcome.failures]
        click.echo(json.dumps({**vars(outcome), "failures": failures, "refusals": dict(outcome.refusals)}))
        return
    figures = outcome.inputs, outcome.read, outcome.refused, len(outcome.failures)
    click.echo(row(outcome.parser, *figures, f"{outcome.seconds:.1f}", f"{outcome.slowest_s:.2f}"))
    kinds: dict[str, list[Failure]] = {}
    for failure in outcome.failures:
        kinds.setdefault(failure.where or failure.what, []).append(failure)
    for alike in kinds.values():
        click.echo(f"  {len(alike)} x {alike[0].what}\n    {alike[0].where}\n    {alike[0].again()}", err=True)


if __name__ == "__main__":
    main()
