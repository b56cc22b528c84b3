"""Watch a run."""

import json
import sys
import time
from pathlib import Path
from typing import Final

import click

from ecg_flare.cli.screen import NOT_ALL, json_option, say_json

_CLEAR: Final = "\x1b[2J\x1b[H"


@click.command()
@click.argument("run", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--every", type=click.FloatRange(min=0.1), default=2.0, show_default=True, help="Seconds between updates."
)
@click.option("--once", is_flag=True, help="Show it once and exit.")
@json_option
@click.pass_context
def watch(ctx: click.Context, run: Path, every: float, once: bool, as_json: bool) -> None:
    """Show a run's rounds and figures until the job ends.

    RUN is the simulator's workspace (the folder given to -w), or at a server the job's folder or the results folder.
    With --json each change is one line of JSON. Exit codes: 0 the job finished, 3 it ended otherwise.

    \b
    Examples:
      ecg-flare watch runs/fedadam_dp
      ecg-flare watch runs/fedadam_dp --once --json
    """
    from ecg_flare.report.watch import look, watch_json, watch_lines

    shown = ""
    while True:
        watched = look(run)
        told = watch_json(watched)
        if as_json and once:
            say_json(told)
        elif as_json:
            news = json.dumps({key: value for key, value in told.items() if key != "quiet_s"}, ensure_ascii=False)
            if news != shown:
                click.echo(news)
            shown = news
        else:
            _show("\n".join(watch_lines(watched)), again=not once)
        if once:
            return
        if watched.state == "ended":
            ctx.exit(0 if watched.finished else NOT_ALL)
        time.sleep(every)


def _show(text: str, *, again: bool) -> None:
    """Print: on a terminal over the text before, elsewhere below it."""
    click.echo(_CLEAR + text if again and sys.stdout.isatty() else text)
