"""Put a reading together for a bug tracker."""

from pathlib import Path

import click

from ecg_flare.cli.screen import json_option, say_json

_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
_USAGE = 2


@click.command()
@click.argument("reading", type=click.Path(path_type=Path))
@click.option("--pages", "pictures", type=_FOLDER, multiple=True, help="A folder that the picture lies in.")
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="[default: NAME.bundle.zip]")
@click.option("--with-print", is_flag=True, help="Keep all that is printed, names too, and who decided and why.")
@json_option
@click.pass_context
def bundle(
    ctx: click.Context,
    reading: Path,
    pictures: tuple[Path, ...],
    output: Path | None,
    with_print: bool,
    as_json: bool,
) -> None:
    """Put a page's reading into a ZIP file for a bug tracker.

    READING is FOLDER/NAME, or FOLDER/NAME.json. The file holds the page, what was read, what was decided, and the
    versions of the software. Of the page only what stands beside a line that was read is shown: names, dates, labels
    and grid are covered. Look at page.png before you send it.

    \b
    Example:
      ecg-flare bundle read/scan --pages scans
    """
    from ecg_flare.digitize.options import ReadingOptions
    from ecg_flare.errors import ConfigError, EcgFlareError
    from ecg_flare.review.bundle import write_bundle
    from ecg_flare.review.folder import ReviewFolder
    from ecg_flare.review.open_page import OpenPage

    name = reading.name.removesuffix(".json")
    try:
        folder = ReviewFolder.opened(reading.parent, pictures)
        page = next((each for each in folder.pages() if each.name == name), None)
        if page is None:
            raise ConfigError(f"{reading.parent} has no reading {name!r} (NAME.json)")
        done = write_bundle(
            OpenPage(folder.folder, page, ReadingOptions()),
            output or Path(f"{name}.bundle.zip"),
            with_print=with_print,
        )
    except EcgFlareError as error:
        click.echo(f"Error: {error}", err=True)
        ctx.exit(_USAGE)
    if as_json:
        say_json({"file": str(done.path), "holds": list(done.files), "with_print": with_print})
    else:
        click.echo(f"{done.path}: {', '.join(done.files)}. Look at page.png before you send it.")
