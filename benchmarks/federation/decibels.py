"""What a federation's models are worth to a reader of pages: decibels beside Dice, site by site.

    python -m benchmarks.federation.decibels [--of FOLDER] [--private FOLDER] [--pages 10] [--jobs 2]

The models that `python -m benchmarks.federation --paper` left in a folder are the only segmenter of the digitizer, one
after another, on pages of each site's test patients: the public start, each site's own model (on its own pages), the
federated ones, and the centralized one; a model that `benchmarks.private_learning` trained at epsilon 8 joins them
where its folder is given. Every page is read with nothing given, at the resolution that it was scanned at; SNR is that
of Kaggle 2025, pooled over the page, and 0 dB where the page was refused. Dice is the segmenter's own, on the same
pages. `classical` and `auto` are the digitizer's own segmenters, for comparison. Finished readings are kept in
FOLDER/decibels.jsonl.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import sys
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any, Final

import click
import numpy as np
from tqdm import tqdm

from benchmarks.federation.candidates import PLAN, SITES_ALONE, TUNED
from benchmarks.federation.kept import first_model, model_path
from benchmarks.federation.pages import SITES, ptbxl_pages
from benchmarks.federation.table import RunFile
from benchmarks.kept_readings import KeptReadings
from benchmarks.markdown import row
from benchmarks.private_learning.recipes import LOOSER
from benchmarks.private_learning.table import RunFile as PrivateRuns
from benchmarks.real_data import ptbxl_root
from benchmarks.run_lines import grouped
from ecg_flare.digitize.ink.candidates import load_segmenters
from ecg_flare.digitize.ink.segmenters import AUTO, CLASSICAL, Segmenter
from ecg_flare.errors import StorageError
from ecg_flare.nnunet.environment import limit_threads
from ecg_flare.nnunet.kinds import plan_preset
from ecg_flare.task.traces.decibels import read_with
from ecg_flare.task.traces.evaluate import trace_dice
from ecg_flare.task.traces.predictor import NetworkSegmenter
from ecg_flare.task.traces.printed import PrintedRecord

START: Final = "public start"
START_MODEL: Final = "start"


@dataclass(frozen=True)
class Model:
    """A segmenter: its name for people, a digest of its vector ("" is the digitizer's own), and whose pages it reads.

    `site` is the only one whose pages count, or "" for all; `file` is where its vector lies.
    """

    name: str
    seed: int
    digest: str = ""
    site: str = ""
    file: str = field(default="", compare=False)


@dataclass(frozen=True)
class Task:
    """A page to read by a model."""

    model: Model
    site: str
    page: str


@dataclass(frozen=True)
class Reading:
    """What came of it: decibels, the Dice of a network's trace, and whether the layout is right."""

    task: Task
    snr_db: float
    dice: float | None
    layout: bool
    confidence: float

    @classmethod
    def from_json(cls, line: dict[str, Any]) -> Reading:
        """Read a kept one."""
        task = Task(**{**line["task"], "model": Model(**line["task"]["model"])})
        return cls(**{**line, "task": task})


@click.command(help=__doc__)
@click.option(
    "--of", "folder", type=click.Path(exists=True, file_okay=False, path_type=Path), default="build/federation"
)
@click.option("--private", type=click.Path(exists=True, file_okay=False, path_type=Path), help="Of private_learning.")
@click.option("--pages", default=10, show_default=True, help="Of each site, at most.")
@click.option("--jobs", default=1, show_default=True, type=click.IntRange(1), help="Processes, of one thread each.")
@click.option("--results", type=click.Path(dir_okay=False, path_type=Path), help="Another file for the readings.")
def main(folder: Path, private: Path | None, pages: int, jobs: int, results: Path | None) -> None:
    if results is not None and not results.parent.is_dir():
        raise click.BadParameter(f"there is no folder {results.parent}", param_hint="--results")
    models = [
        *federated_models(folder),
        *(private_models(private) if private else ()),
        Model(CLASSICAL, 0),
        Model(AUTO, 0),
    ]
    root = ptbxl_root(otherwise="its folder")
    names = {site: [one.name for one in _pages(root, pages, site)] for site in SITES}
    tasks = [
        Task(model, site, page)
        for model in models
        for site, some in names.items()
        for page in some
        if model.site in ("", site)
    ]
    try:
        file = KeptReadings(results or folder / "decibels.jsonl", lambda reading: reading.task, Reading.from_json)
    except StorageError as error:
        raise click.ClickException(str(error)) from error
    missing = [task for task in tasks if task not in file]
    with tqdm(total=len(missing), unit="page", disable=not sys.stderr.isatty()) as bar:
        for reading in _read_all(missing, root, pages, jobs):
            file.add(reading)
            bar.update()
    click.echo(table([file[task] for task in tasks]))


def federated_models(folder: Path) -> list[Model]:
    """The start and the models of the longest runs that a folder has, by the rates that are published.

    Raises click.ClickException where it has none.
    """
    runs = [
        run
        for run in RunFile(folder / "runs.jsonl").runs().values()
        if (run.order.plan, run.order.start) == (PLAN, START_MODEL)
        if run.order.method in (*TUNED.values(), *SITES_ALONE) and model_path(folder, run.order).exists()
    ]
    if len({run.order.pages for run in runs}) > 1:
        raise click.ClickException(f"{folder} has runs over several sets of pages: give each a folder of its own")
    longest = max((run.order.budget.rounds for run in runs), default=0)
    found = [
        _model(run.name, run.order.seed, model_path(folder, run.order), run.order.method.site)
        for run in runs
        if run.order.budget.rounds == longest
    ]
    if not found:
        raise click.ClickException(f"{folder} has no run with its model: train them by benchmarks.federation --paper")
    start = folder / "models" / "start.npy"
    np.save(start, first_model(START_MODEL, PLAN, 0))
    return [_model(START, 0, start), *found]


def private_models(folder: Path) -> list[Model]:
    """The models of the recipe for whole pages at epsilon 8 that a folder of private_learning has."""
    file = PrivateRuns(folder / "runs.jsonl")
    runs = [run for run in file.runs().values() if run.order.recipe == LOOSER and file.model_path(run.order).exists()]
    if len({run.order.data for run in runs}) > 1:
        raise click.ClickException(f"{folder} has runs over several sets of patients: give each a folder of its own")
    if not runs:
        raise click.ClickException(f"{folder} has no run of {LOOSER.name!r}: train it by benchmarks.private_learning")
    return [_model("federated, epsilon 8", run.order.seed, file.model_path(run.order)) for run in runs]


def _model(name: str, seed: int, path: Path, site: str = "") -> Model:
    digest = hashlib.sha256(np.load(path).tobytes()).hexdigest()[:16]
    return Model(name, seed, digest, site, str(path))


def _pages(root: Path, pages: int, site: str) -> Iterator[PrintedRecord]:
    return ptbxl_pages(root, "test", pages).printed(site)


def _read_all(tasks: Sequence[Task], root: Path, pages: int, jobs: int) -> Iterator[Reading]:
    # One process reads a whole site with a model, so that its pages are drawn once.
    parts = list(grouped(tasks, lambda task: (task.model, task.site)).values())
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, context, initializer=limit_threads, initargs=(1,)) as pool:
        for done in as_completed([pool.submit(read, part, root, pages) for part in parts]):
            yield from done.result()


def read(tasks: Sequence[Task], root: Path, pages: int) -> list[Reading]:
    """Read pages of one site by one model."""
    model, site = tasks[0].model, tasks[0].site
    wanted = {task.page for task in tasks}
    network = NetworkSegmenter(plan_preset(PLAN), np.load(model.file)) if model.file else None
    segmenters = (network,) if network else load_segmenters(model.name)
    return [
        _read(Task(model, site, one.name), one, segmenters, network)
        for one in _pages(root, pages, site)
        if one.name in wanted
    ]


def _read(
    task: Task, printed: PrintedRecord, segmenters: Sequence[Segmenter], network: NetworkSegmenter | None
) -> Reading:
    dice = None
    if network:
        case = printed.case
        dice = trace_dice(network(case.image).argmax(0).astype(np.uint8), case.mask)
    found = read_with(tuple(segmenters), printed)
    if found is None:
        return Reading(task, 0.0, dice, layout=False, confidence=0.0)
    layout = found.result.layout == printed.page.truth.layout
    return Reading(task, found.snr_db, dice, layout, float(found.result.confidence))


def table(readings: Iterable[Reading]) -> str:
    """A row a model as Markdown: decibels of all its pages and by site, Dice, and how many layouts are right."""
    head = (
        "segmenter",
        "seeds",
        "pages",
        "dB, median",
        "p5",
        *(f"{site}, median" for site in SITES),
        "Dice",
        "layout right",
    )
    lines = [row(*head), row(*["---"] * len(head))]
    for name, some in grouped(readings, _title).items():
        by_site = grouped(some, lambda reading: reading.task.site)
        decibels = [reading.snr_db for reading in some]
        dice = [reading.dice for reading in some if reading.dice is not None]
        lines.append(
            row(
                name,
                len({reading.task.model.seed for reading in some}),
                len(some),
                f"{np.median(decibels):.1f}",
                f"{np.percentile(decibels, 5):.1f}",
                *(_median(by_site.get(site, ())) for site in SITES),
                f"{fmean(dice):.3f}" if dice else "",
                f"{sum(reading.layout for reading in some)} of {len(some)}",
            )
        )
    return "\n".join(lines)


def _title(reading: Reading) -> str:
    """Each site's own model stands for a hospital alone: together they are one row."""
    return "each site alone" if reading.task.model.site else reading.task.model.name


def _median(readings: Sequence[Reading]) -> str:
    return f"{np.median([reading.snr_db for reading in readings]):.1f}" if readings else ""


if __name__ == "__main__":
    main()
