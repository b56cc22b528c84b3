"""Recordings and pages: synthesize, render, profiles."""

import functools
from collections.abc import Callable, Mapping, Sequence
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import click

from ecg_flare.cli.screen import NOT_ALL, OneOf, json_option, progress, say_json, tell

if TYPE_CHECKING:
    from ecg_flare.ecg.record import Recording
    from ecg_flare.page.page import Page

_Source: TypeAlias = "tuple[str, str, Callable[[], Recording]]"
"""Where a record is, its name, and how it is read."""

FOLDER = click.Path(file_okay=False, path_type=Path)


def _rhythms() -> list[str]:
    from ecg_flare.ecg.rhythm import Rhythm

    return [rhythm.value for rhythm in Rhythm]


def _layouts() -> tuple[str, ...]:
    from ecg_flare.page.layout import layout_names

    return layout_names()


@click.command()
@click.option("-o", "--output", type=FOLDER, required=True, help="Folder for the WFDB records.")
@click.option("--count", type=click.IntRange(1), metavar="N", default=1, show_default=True, help="How many recordings.")
@click.option("--rhythm", type=OneOf("RHYTHM", _rhythms), help="sinus, lbbb, ... [default: drawn from all]")
@click.option("--duration", "duration_s", type=float, default=10.0, show_default=True, help="Seconds.")
@click.option("--fs", "fs_hz", type=float, default=500.0, show_default=True, help="Samples a second.")
@click.option("--seed", type=click.IntRange(0), metavar="N", default=0, show_default=True)
@json_option
def synthesize(
    output: Path, count: int, rhythm: str | None, duration_s: float, fs_hz: float, seed: int, as_json: bool
) -> None:
    """Write synthetic 12-lead recordings as WFDB records.

    The signal is a rotating dipole as the leads see it; it is nobody's heart. The same seed gives the same recordings.

    \b
    Example:
      ecg-flare synthesize -o records --count 10 --rhythm atrial_fibrillation
    """
    import numpy as np

    from ecg_flare.ecg.record import write_wfdb
    from ecg_flare.ecg.rhythm import Rhythm
    from ecg_flare.ecg.synthetic import synthesize as draw

    wanted = Rhythm(rhythm) if rhythm else None
    written = []
    for index in progress(range(count), "recordings", count):
        recording = draw(np.random.default_rng([seed, index]), rhythm=wanted, duration_s=duration_s, fs_hz=fs_hz)
        written.append(write_wfdb(recording, output, f"synthetic-{index:04d}"))
    if as_json:
        say_json([str(path) for path in written])
    else:
        click.echo(f"{count} recordings in {output}")


@click.command()
@click.argument("records", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("-o", "--output", type=FOLDER, required=True, help="Folder for the pages.")
@click.option("--profile", help="A site profile (see `ecg-flare profiles`) or a YAML file: style, scanner, noise.")
@click.option("--ptbxl", is_flag=True, help="RECORDS is the folder of PTB-XL, with ptbxl_database.csv.")
@click.option("--limit", type=click.IntRange(1), metavar="N", help="Maximum number of pages.")
@click.option(
    "--layout",
    type=OneOf("LAYOUT", _layouts, or_yaml=True),
    help="3x4+1R, 6x2, 12x1, ... or the path of a .yaml file [default: 3x4+1R]",
)
@click.option("--dpi", type=float, help="[default: 200]")
@click.option("--speed", "speed_mm_per_s", type=float, help="mm/s [default: 25]")
@click.option("--gain", "gain_mm_per_mv", type=float, help="mm/mV [default: 10]")
@click.option("--paper", help="a4, letter, a4-portrait, letter-portrait, chart [default: a4]")
@click.option("--pulse", help="Calibration pulse: left, right, columns, none [default: left]")
@click.option("--grid", help="Grid colour: red, pink, orange, blue, green, grey, brown, or none [default: red]")
@click.option("--seed", type=click.IntRange(0), metavar="N", default=0, show_default=True)
@json_option
def render(
    records: tuple[Path, ...],
    output: Path,
    profile: str | None,
    ptbxl: bool,
    limit: int | None,
    seed: int,
    as_json: bool,
    **style: Any,
) -> None:
    """Print recordings on page images, each with its truth.

    RECORDS are WFDB records, folders of them, or with --ptbxl the folder of PTB-XL. Each record gives NAME.png,
    NAME.mask.png (0 background, 1 trace, 2 pulse, 3 print), NAME.json (the place of everything, to a fraction of a
    pixel) and the printed part of the recording. patients.csv names the patient of each page. A site can train on such
    a folder.

    A record that cannot be printed is listed with its reason, and the others are printed. Exit codes: 0 all were
    printed, 3 some were not, 2 wrong use.

    \b
    Examples:
      ecg-flare render records -o pages --layout 6x2 --dpi 300
      ecg-flare render records -o photos --profile clinic_photo
      ecg-flare render path/to/ptbxl --ptbxl --limit 50 -o pages --profile district
    """
    from ecg_flare.errors import InputError, RecordError
    from ecg_flare.page.files import add_patients, save_page

    given = {key: value for key, value in style.items() if value is not None}
    if profile and given:
        raise click.UsageError("--profile sets the style itself: leave out " + ", ".join(sorted(given)) + ".")
    printer = _printer(profile, given, seed)
    sources = _ptbxl_sources(records, limit) if ptbxl else _wfdb_sources(records, limit)
    if not sources:
        raise click.UsageError(f"No WFDB records (.hea) in {', '.join(map(str, records))}.")
    patients: dict[str, str] = {}
    images, left_out, signals = [], {}, {}
    try:
        for where, name, read in progress(sources, "pages", len(sources)):
            try:
                if name in patients:
                    raise RecordError(f"Another record is named {name!r}, too: render it into a folder of its own.")
                recording = read()
                images.append(save_page(printer(name, recording), recording, output, name))
            except InputError as error:
                left_out[where] = str(error)
                continue
            patients[name] = recording.patient_id or name
            if recording.left_out:
                signals[name] = recording.left_out
    finally:  # a page without its patient is of no use to training
        if patients:
            add_patients(output, patients)
    if as_json:
        say_json({"pages": [str(path) for path in images], "left_out": left_out, "signals_left_out": signals})
    else:
        click.echo(f"{len(images)} pages in {output}")
        _tell_left_out(left_out, signals)
    click.get_current_context().exit(NOT_ALL if left_out else 0)


def _tell_left_out(records: Mapping[str, str], signals: Mapping[str, Sequence[str]]) -> None:
    for where, why in records.items():
        tell(f"left out: {where}: {why}")
    for name, unknown in signals.items():
        tell(f"{name}: not printed, as no ECG lead: {', '.join(unknown)}")


@click.command()
@json_option
def profiles(as_json: bool) -> None:
    """List the site profiles and the page layouts.

    A profile describes the pages of one hospital. Your own profile is a YAML file, written after one of these.

    \b
    Example:
      ecg-flare profiles --json
    """
    from ecg_flare.page.layout import layout_names, load_layout
    from ecg_flare.page.site_profile import profile_names

    if as_json:
        say_json({"profiles": {name: _about(name) for name in profile_names()}, "layouts": layout_names()})
        return
    width = max(map(len, (*profile_names(), *layout_names())))
    click.echo("Profiles:")
    for name in profile_names():
        click.echo(f"  {name.ljust(width)}  {_about(name)}")
    click.echo("\nLayouts:")
    for name in layout_names():
        layout = load_layout(name)
        click.echo(f"  {name.ljust(width)}  {len(layout.rows)} rows, {layout.duration_s:g} s wide")


def _about(profile: str) -> str:
    """The comment at the top of a profile's file."""
    from importlib import resources

    text = resources.files("ecg_flare.page").joinpath("profiles", f"{profile}.yaml").read_text(encoding="utf-8")
    return " ".join(line.lstrip("# ") for line in takewhile(lambda line: line.startswith("#"), text.splitlines()))


def _printer(profile: str | None, style: dict[str, Any], seed: int) -> "Callable[[str, Recording], Page]":
    """(name, recording) -> page; a page's draw depends on the seed and its name, not on its place in the list."""
    import hashlib

    import numpy as np

    from ecg_flare.page.render import render_page
    from ecg_flare.page.site_profile import load_profile, profile_page
    from ecg_flare.page.style import GridStyle, PageStyle

    grid = style.pop("grid", None)
    if grid is not None:
        style["grid"] = GridStyle(kind="none") if grid == "none" else GridStyle(colour=grid)
    fixed = PageStyle(**style)
    drawn = load_profile(profile) if profile else None

    def page_of(name: str, recording: "Recording") -> "Page":
        number = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")
        rng = np.random.default_rng([seed, number])
        return profile_page(recording, drawn, rng) if drawn else render_page(recording, fixed, rng)

    return page_of


def _wfdb_sources(paths: tuple[Path, ...], limit: int | None) -> list[_Source]:
    from ecg_flare.ecg.record import read_wfdb

    headers = [header for path in paths for header in (sorted(path.rglob("*.hea")) if path.is_dir() else [path])]
    return [
        (str(header), header.name.removesuffix(".hea"), functools.partial(read_wfdb, header))
        for header in headers[:limit]
    ]


def _ptbxl_sources(roots: tuple[Path, ...], limit: int | None) -> list[_Source]:
    from ecg_flare.ecg.ptbxl import load_record, read_database

    if len(roots) != 1:
        raise click.UsageError(f"--ptbxl takes one folder. Found {len(roots)}.")
    return [
        (entry.path, f"ptbxl-{entry.ecg_id:05d}", functools.partial(load_record, roots[0], entry))
        for entry in read_database(roots[0])[:limit]
    ]
