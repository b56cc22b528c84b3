"""Read pages, and score the readings."""

import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from ecg_flare.cli.screen import NOT_ALL, OneOf, json_option
from ecg_flare.cli.whose import outputs, whose_options

if TYPE_CHECKING:
    from typing import Literal

    from ecg_flare.digitize.ink.segmenters import Segmenter


def _layouts() -> tuple[str, ...]:
    from ecg_flare.page.layout import layout_names

    return "auto", *layout_names()


@click.command()
@click.argument("pages", nargs=-1, required=True)
@click.option(
    "-o", "--output", type=click.Path(file_okay=False, path_type=Path), required=True, help="Folder for the readings."
)
@click.option(
    "--segmenter",
    default="auto",
    show_default=True,
    help="auto (classical, then bundled where the reading is in doubt), bundled, classical (no learning at all), or a "
    "model: an nnU-Net folder or a file (.npz).",
)
@click.option(
    "--layout",
    type=OneOf("LAYOUT", _layouts, or_yaml=True),
    default="auto",
    show_default=True,
    help="auto, a layout (see `ecg-flare profiles`), or a layout of your own (.yaml).",
)
@click.option("--speed", default="auto", show_default=True, help="auto, or mm/s.")
@click.option("--gain", default="auto", show_default=True, help="auto, or mm/mV.")
@click.option("--chest-gain", default="auto", show_default=True, help="auto, or mm/mV of V1 to V6 where it differs.")
@click.option(
    "--words",
    type=click.Choice(("auto", "on", "all", "off")),
    default="auto",
    show_default=True,
    help="Read the printed speed and gain where nothing else says them: auto (where the extra `words` is installed), "
    "on (an error without it), off. all: read the print of every page, with what the machine measured.",
)
@click.option("--px-per-mm", type=float, help="Resolution of pages without a grid. [default: measured]")
@click.option("--fs", "fs_hz", type=float, default=500.0, show_default=True, help="Samples a second.")
@click.option(
    "--force", is_flag=True, help="Write recordings of any confidence; without it none below 0.25 (25 %) is written."
)
@click.option(
    "--format",
    "formats",
    default="wfdb,csv",
    show_default=True,
    help="Formats of the recordings, commas between: wfdb, csv, dicom, fhir, aecg, edf, mat.",
)
@whose_options
@click.option("--html", is_flag=True, help="Also write report.html: overlays beside waveforms, the worst page first.")
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Processes that read pages, of about 1 GB each; 1 is this process.",
)
@click.option(
    "--dask",
    metavar="ADDRESS",
    help="Read by the workers of a Dask cluster: its scheduler's address, such as tcp://10.0.0.1:8786. They need the "
    "extra `cluster`, this package, and the same files under the same paths.",
)
@json_option
@click.pass_context
def digitize(
    ctx: click.Context,
    pages: tuple[str, ...],
    output: Path,
    segmenter: str,
    layout: str,
    speed: str,
    gain: str,
    chest_gain: str,
    words: str,
    px_per_mm: float | None,
    fs_hz: float,
    force: bool,
    formats: str,
    patient_id: str,
    recorded_at: str,
    patients: Path | None,
    anonymous: bool,
    html: bool,
    workers: int,
    dask: str | None,
    as_json: bool,
) -> None:
    """Read ECG pages into 12-lead recordings.

    PAGES are images (PNG, JPEG, TIFF, BMP, WebP, GIF, JPEG 2000), PDFs, folders or globs. What a folder holds beside
    pages is counted and named. Each page gives NAME.hea and .dat (WFDB), NAME.csv, NAME.overlay.png and NAME.json,
    which says what was measured, what was assumed, and with what confidence.

    A reading below 0.25 confidence is withheld: NAME.overlay.png and NAME.json are there to be looked at, no recording
    is written, and one of an earlier reading is removed. --force writes it.

    pages.csv and pages.parquet list all pages that the folder has results of. manifest.sqlite says what read them. The
    same call again reads only what is new: pages that were added or changed, or all where the settings or this program
    are others.

    Exit codes: 0 every page was read, 3 some were not or were withheld, or a picture was left out, 2 wrong use.

    --format writes recordings in more formats. DICOM, FHIR and aECG file a recording under a patient: --patient-id or
    --patients names him or her, --anonymous nobody. Patient data are never read from a picture.

    \b
    Examples:
      ecg-flare digitize scan.png -o read --html
      ecg-flare digitize archive/ -o read --format wfdb,dicom --patients patients.csv
      ecg-flare digitize photos/ -o read --layout 3x4+1R --speed 25 --gain 10
      ecg-flare digitize archive/ -o read --workers 8
      ecg-flare digitize 'archive/*.pdf' -o read --segmenter runs/fedadam/server/simulate_job/ecg_flare/model
    """
    from ecg_flare.digitize.archive.run import Effort, read_archive
    from ecg_flare.digitize.files.summary import USAGE
    from ecg_flare.digitize.options import ReadingOptions
    from ecg_flare.errors import ConfigError, LayoutError, StorageError

    quiet = sys.stderr.isatty()  # a terminal shows a progress bar
    logging.basicConfig(level=logging.ERROR if quiet else logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        options = ReadingOptions(
            layout=layout,
            speed=_measured(speed, "--speed"),
            gain=_measured(gain, "--gain"),
            chest_gain=_measured(chest_gain, "--chest-gain"),
            px_per_mm=px_per_mm,
            fs_hz=fs_hz,
            segmenter=_segmenter(segmenter),
            force=force,
            words=cast("Literal['auto', 'on', 'all', 'off']", words),
            outputs=outputs(
                [name.strip() for name in formats.split(",")],
                patient_id=patient_id,
                recorded_at=recorded_at,
                patients=patients,
                anonymous=anonymous,
            ),
        )
        summary = read_archive(pages, output, options, Effort(workers, html, dask=dask))
    except (ConfigError, LayoutError, StorageError) as error:
        click.echo(f"Error: {error}", err=True)
        ctx.exit(USAGE)
    if as_json:
        for piece in summary.json_pieces():
            click.echo(piece, nl=False)
    else:
        click.echo(summary.to_text())
    ctx.exit(summary.exit_code)


@click.command()
@click.argument("pred", type=click.Path(path_type=Path))
@click.argument("truth", type=click.Path(path_type=Path))
@json_option
@click.pass_context
def evaluate(ctx: click.Context, pred: Path, truth: Path, as_json: bool) -> None:
    """Score readings against the true recordings.

    PRED and TRUTH are folders of WFDB records with the same names, or one record each. The scores are the
    signal-to-noise ratios of PhysioNet 2024 and Kaggle 2025, correlation, error and coverage, by lead and by page. A
    true record that was not read counts as 0 dB, and so does, for its share, what a page does not print of it: the row
    "read" has the ratios over what was read. Compare with the printed part, which `render` writes beside a page, for
    the figures of the challenges.

    A file that cannot be read is listed with its reason, and the others are scored. Exit code 3: there was one.

    \b
    Example:
      ecg-flare evaluate read records
    """
    from ecg_flare.ecg.evaluation import evaluate as score

    evaluation = score(pred, truth)
    click.echo(evaluation.to_json() if as_json else evaluation.table())
    ctx.exit(NOT_ALL if evaluation.failed else 0)


def _measured(text: str, option: str) -> "float | Literal['auto']":
    if text == "auto":
        return "auto"
    try:
        return float(text)
    except ValueError:
        raise click.BadParameter(f"{text!r} is neither 'auto' nor a number.", param_hint=option) from None


def _segmenter(name: str) -> "Segmenter | str":
    """The network of a model, if a folder or file has this name; otherwise the name, for `load_segmenters`."""
    from ecg_flare.digitize.ink.segmenters import AUTO, segmenter_names

    path = Path(name)
    if name in (AUTO, *segmenter_names()) or not path.exists():
        return name
    from ecg_flare.task.traces.model_segmenter import ModelSegmenter

    return ModelSegmenter.of(path)
