"""What a review gains, by figures.

    python -m benchmarks.review mend [--photographs 10] [--seed 18] [--only p00]
    python -m benchmarks.review loop [--profile archive] [--pages 3] [--held-out 6] [--steps 150] [--seed 18]
    python -m benchmarks.review large PICTURE [--megapixels 100]
    python -m benchmarks.review picture -o docs/images/review.png

`mend`: photographs of rendered pages are read with nothing given; the worst three are corrected by a scripted person
(person.py), through the same decisions that the app makes. `loop`: pages of one kind are read, corrected, confirmed and
drawn as masks; two sites train one federated round on them, from a bundled model; other pages of that kind are then
read with that network alone, before and after. `large`: a picture is enlarged, and opened in Chromium. `picture`: the
app as docs/review.md shows it.

Seconds are of this process, on a machine that does other work.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import click

from benchmarks.markdown import row
from benchmarks.review.large import open_large
from benchmarks.review.loop import Loop, run_loop
from benchmarks.review.pages import DrawnPage, draw_pages
from benchmarks.review.person import Person
from benchmarks.review.picture import photograph
from ecg_flare.digitize.options import ReadingOptions
from ecg_flare.nnunet.trainer import TrainOptions
from ecg_flare.review.folder import ReviewFolder
from ecg_flare.review.open_page import OpenPage

WORST = 3


@click.group()
def main() -> None:
    """What a review gains."""


@main.command()
@click.option("--photographs", default=10, show_default=True)
@click.option("--seed", default=18, show_default=True)
@click.option("--segmenter", default="auto", show_default=True)
@click.option("--only", multiple=True, help="Read these alone, such as p00; may be given more than once.")
def mend(photographs: int, seed: int, segmenter: str, only: tuple[str, ...]) -> None:
    """Correct the worst of some photographs."""
    options = ReadingOptions(segmenter=segmenter, words="off")
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        drawn = {each.name: each for each in draw_pages(root / "scans", "clinic_photo", photographs, seed)}
        (root / "read").mkdir()
        folder = ReviewFolder.opened(root / "read", (root / "scans",))
        chosen = [page for page in folder.pages() if not only or page.name in only]
        opened = [(page.name, OpenPage(folder.folder, page, options)) for page in chosen]
        worst = sorted(opened, key=lambda each: _db(drawn[each[0]], each[1]))
        spread = ", ".join(f"{_db(drawn[name], page):.1f}" for name, page in worst)
        print(f"{len(opened)} of {photographs} photographs of profile clinic_photo, seed {seed}: {spread} dB\n")
        print(
            row("page", "dB before", "after", "Einthoven before", "after", "decisions", "clicks", "refused", "app, s")
        )
        print(row(*["---"] * 9))
        for name, page in worst[:WORST]:
            print(_mended(drawn[name], page), flush=True)


@main.command()
@click.option("--profile", default="archive", show_default=True)
@click.option("--pages", default=3, show_default=True, help="Confirmed pages of each of two sites.")
@click.option("--held-out", default=6, show_default=True, help="Other pages, read before and after.")
@click.option("--start", default="start", show_default=True, help="The bundled model that is trained on.")
@click.option("--steps", default=150, show_default=True, help="Of local training.")
@click.option("--learning-rate", default=0.03, show_default=True)
@click.option("--momentum", default=0.9, show_default=True)
@click.option("--seed", default=18, show_default=True)
def loop(
    profile: str,
    pages: int,
    held_out: int,
    start: str,
    steps: int,
    learning_rate: float,
    momentum: float,
    seed: int,
) -> None:
    """Read, correct, draw masks, train one federated round, read others."""
    options = TrainOptions(steps, learning_rate, schedule="poly", momentum=momentum)
    with tempfile.TemporaryDirectory() as scratch:
        for line in run_loop(Path(scratch), Loop(profile, pages, held_out, start, options, seed)):
            print(line, flush=True)


@main.command()
@click.argument("picture", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--megapixels", default=100.0, show_default=True)
def large(picture: Path, megapixels: float) -> None:
    """Open a picture of a hundred million pixels in Chromium."""
    with tempfile.TemporaryDirectory() as scratch:
        for line in open_large(Path(scratch), picture, megapixels):
            print(line, flush=True)


@main.command()
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), required=True)
def picture(output: Path) -> None:
    """Photograph the app in Chromium, with a line of a synthetic page dragged."""
    with tempfile.TemporaryDirectory() as scratch:
        photograph(Path(scratch), output)


def _db(drawn: DrawnPage, page: OpenPage) -> float:
    return drawn.snr_db(None if page.result is None else page.result.recording)


def _mended(drawn: DrawnPage, page: OpenPage) -> str:
    before, left = _db(drawn, page), _einthoven(page)
    person = Person(page, drawn.page.truth)
    person.mend()
    after = _db(drawn, page)
    figures = (f"{before:.1f}", f"{after:.1f}", left, _einthoven(page))
    return row(drawn.name, *figures, len(person.decided), person.clicks, person.refused, f"{person.seconds:.0f}")


def _einthoven(page: OpenPage) -> str:
    value = None if page.result is None else page.result.checks.einthoven
    return "not printed" if value is None else f"{value:.0%}"


if __name__ == "__main__":
    main()
