"""The command `ecg-flare`: each command parses, calls one part of the package, and prints.

Command modules import nothing heavy at their top, so that `ecg-flare --help` answers at once.
"""

import click

from ecg_flare import __version__
from ecg_flare.cli.bundle import bundle
from ecg_flare.cli.compare import compare
from ecg_flare.cli.digitize import digitize, evaluate
from ecg_flare.cli.intervals import intervals
from ecg_flare.cli.jobs import jobs
from ecg_flare.cli.model import export, pretrain
from ecg_flare.cli.pages import profiles, render, synthesize
from ecg_flare.cli.privacy import privacy
from ecg_flare.cli.report import report
from ecg_flare.cli.review import review
from ecg_flare.cli.screen import Commands
from ecg_flare.cli.site import site
from ecg_flare.cli.watch import watch
from ecg_flare.extensions import load_environment, load_extensions

__all__ = ["main"]


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="ecg-flare")
@click.option(
    "--extension",
    "extensions",
    multiple=True,
    metavar="MODULE",
    help="A module of your own to load first; also ECG_FLARE_EXTENSIONS. See docs/extending.md.",
)
def main(extensions: tuple[str, ...]) -> None:
    """Train a network that reads paper ECGs, federated and private, and read pages with it.

    \b
    Make pages:     synthesize, render, profiles
    Train:          pretrain, jobs, export
    At a hospital:  site
    Inspect:        watch, report, compare, privacy
    Read pages:     digitize, review, evaluate, intervals, bundle
    """
    load_environment()
    load_extensions(extensions, "--extension")


for command in (
    *(synthesize, render, profiles, pretrain, jobs, export, site),
    *(watch, report, compare, privacy, digitize, review, evaluate, intervals, bundle),
):
    main.add_command(command)
