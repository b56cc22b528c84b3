"""Look at what was read of pages, and correct it, in a browser on this machine."""

from pathlib import Path

import click

from ecg_flare.cli.screen import say_json, tell
from ecg_flare.cli.whose import outputs, whose_options

_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
_USAGE = 2


@click.command()
@click.argument("folder", type=_FOLDER)
@click.option(
    "--pages",
    "pictures",
    type=_FOLDER,
    multiple=True,
    help="A folder that pictures of pages lie in, where that is not FOLDER; may be given more than once.",
)
@click.option("--reviewer", help="Who decides, as each decision says it.  [default: your account's name]")
@click.option("--port", type=click.IntRange(0, 65535), default=0, show_default="a free one", help="Port of 127.0.0.1.")
@click.option("--open", "opens", is_flag=True, help="Open the address in this machine's browser.")
@click.option("--segmenter", default="auto", show_default=True, help="Who finds the traces, as for `digitize`.")
@whose_options
@click.option("--json", "as_json", is_flag=True, help="Print the address as JSON.")
@click.pass_context
def review(
    ctx: click.Context,
    folder: Path,
    pictures: tuple[Path, ...],
    reviewer: str | None,
    port: int,
    opens: bool,
    segmenter: str,
    patient_id: str,
    recorded_at: str,
    patients: Path | None,
    anonymous: bool,
    as_json: bool,
) -> None:
    """Look at readings in a browser, and correct them.

    FOLDER holds readings, as `ecg-flare digitize` writes them. The app answers on 127.0.0.1 alone, to whoever has the
    address that it prints, and asks nothing of any other machine. It ends with Ctrl+C, with its terminal, or by the
    button in the browser.

    Every decision is on disk before its effect is shown, in FOLDER/NAME.review.jsonl, with who, when and why. Each is
    chained to the one before, so that a change is noticed. The recording, the overlay and NAME.json follow. Where a
    page is read again later, the decisions are kept and offered.

    Recordings are written in the formats that each page was read in. Where DICOM, FHIR or aECG is among them, say again
    whose they are, as for `digitize`.

    \b
    Examples:
      ecg-flare review read --pages scans
      ecg-flare review read --pages scans --reviewer 'Dr. Lind' --open
    """
    import getpass

    from ecg_flare.digitize.options import ReadingOptions
    from ecg_flare.errors import ConfigError, EcgFlareError
    from ecg_flare.review.folder import ReviewFolder, check_written

    try:
        opened = ReviewFolder.opened(folder, pictures)
        written = outputs(None, patient_id=patient_id, recorded_at=recorded_at, patients=patients, anonymous=anonymous)
        count = len(opened.pages())
        check_written(opened, written)
        if outside := opened.outside():
            more = " ".join(f"--pages {each}" for each in (*pictures, *outside))
            raise ConfigError(
                f"pictures of these readings lie outside of {folder}: run `ecg-flare review {folder} {more}`"
            )
        try:
            from ecg_flare.review.desk import Desk
            from ecg_flare.review.serve import serve
        except ModuleNotFoundError as error:
            raise ConfigError(f"{error.name} is not installed: pip install 'ecg_flare[review]'") from error

        def started(address: str) -> None:
            if as_json:
                say_json({"address": address, "pages": count})
            else:
                tell(f"{count} page{'s' * (count != 1)} to review. Ctrl+C ends this.")
                click.echo(address)
            if opens:
                click.launch(address)

        options = ReadingOptions(segmenter=segmenter, outputs=written)
        serve(Desk(opened, options, reviewer or getpass.getuser()), port, started)
    except EcgFlareError as error:
        click.echo(f"Error: {error}", err=True)
        ctx.exit(_USAGE)
