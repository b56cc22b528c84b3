"""Measure the intervals of recordings."""

from pathlib import Path

import click

from ecg_flare.cli.screen import NOT_ALL, json_option, say_json, tell


@click.command()
@click.argument("records", nargs=-1, required=True, type=click.Path(path_type=Path))
@json_option
@click.pass_context
def intervals(ctx: click.Context, records: tuple[Path, ...], as_json: bool) -> None:
    """Measure HR, PR, QRS, QT, QTc and the QRS axis of recordings.

    RECORDS are WFDB records, with or without .hea, or folders of them. Intervals are measured on the median beat of all
    leads; QTc is given by Bazett and by Fridericia. What cannot be measured is said with the reason, and never guessed.
    Not a medical device.

    A record that cannot be read is listed with its reason, and the others are measured. Exit code 3: there was one.

    \b
    Examples:
      ecg-flare intervals read/scan.hea
      ecg-flare intervals records --json
    """
    from ecg_flare.ecg.intervals.measure import measure_intervals
    from ecg_flare.ecg.record import read_wfdb
    from ecg_flare.errors import RecordError

    results = {}
    failed = {}
    for header in _headers(records):
        try:
            results[str(header)] = measure_intervals(read_wfdb(header))
        except RecordError as error:
            failed[str(header)] = str(error)
    if as_json:
        say_json({"records": {name: found.to_json() for name, found in results.items()}, "failed": failed})
    else:
        for name, found in results.items():
            click.echo(f"{name}: {found.to_text()}")
            for reason in dict.fromkeys(found.not_measured.values()):
                click.echo(f"  not measured: {reason}")
        for reason in failed.values():
            tell(f"not read: {reason}")
    ctx.exit(NOT_ALL if failed else 0)


def _headers(records: tuple[Path, ...]) -> list[Path]:
    """The records' headers, those of a folder in the order of their names."""
    found = []
    for path in records:
        inside = sorted(path.glob("*.hea")) if path.is_dir() else [path]
        if not inside:
            raise click.UsageError(f"{path} holds no WFDB record (.hea).")
        found += inside
    return found
