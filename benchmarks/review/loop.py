"""From readings to a better network: read, correct, confirm, draw masks, one federated round, read other pages."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

import numpy as np

from benchmarks.markdown import row
from benchmarks.review.pages import DrawnPage, draw_pages
from benchmarks.review.person import Person
from ecg_flare.digitize.options import ReadingOptions
from ecg_flare.digitize.pipeline import digitize
from ecg_flare.errors import PageError
from ecg_flare.federated.optimizers import FedAvg
from ecg_flare.federated.parts import Roster
from ecg_flare.federated.round import LocalTraining, OpenRound, run_round
from ecg_flare.federated.terms import JobTerms
from ecg_flare.nnunet.dataset import prepare
from ecg_flare.nnunet.export import load_bundled
from ecg_flare.nnunet.kinds import plan_preset
from ecg_flare.nnunet.plan import Plan
from ecg_flare.nnunet.settings import ALL_FOR_TRAINING
from ecg_flare.nnunet.trainer import LocalTrainer, TrainOptions
from ecg_flare.page.raster import NORMALIZED_PX_PER_MM
from ecg_flare.page.resample import resample_page
from ecg_flare.review.confirmed_pages import draw_confirmed
from ecg_flare.review.folder import ReviewFolder
from ecg_flare.review.open_page import OpenPage
from ecg_flare.task.traces.evaluate import trace_dice
from ecg_flare.task.traces.page_folder import PageFolder
from ecg_flare.task.traces.predictor import NetworkSegmenter

SITES = ("berlin", "lyon")


@dataclass(frozen=True)
class Loop:
    """What is trained on what.

    Attributes:
        profile: the kind of pages.
        pages: of each site.
        held_out: other pages of that kind, that are read before and after.
        start: the bundled model that the round begins with.
        training: of one site in the round.
        seed: of the pages of the first site; those of the others, and of pages held out, follow from it.
    """

    profile: str
    pages: int
    held_out: int
    start: str
    training: TrainOptions
    seed: int


def run_loop(root: Path, loop: Loop) -> Iterator[str]:
    """Yield the lines of the report."""
    plan, start = plan_preset("tiny"), load_bundled(loop.start).vector
    sites: dict[str, LocalTraining] = {}
    for number, site in enumerate(SITES):
        folder, said = _confirmed(root / site, loop.profile, loop.pages, loop.seed + number)
        yield f"{site}: {said}"
        sites[site] = _training(plan, folder, root / "cache" / site, loop.training)
    terms = JobTerms(sites=Roster(dict.fromkeys(SITES, 1.0), min_sites=len(SITES)))
    optimizer = FedAvg()
    result = run_round(OpenRound(terms, start, optimizer.init(start.size), optimizer), sites)
    others = draw_pages(root / "others", loop.profile, loop.held_out, loop.seed + 1000)
    yield f"one round of FedAvg over {', '.join(result.answered)} from {loop.start}, {loop.training.steps} steps each\n"
    yield row("page", "trace Dice before", "after", "dB before", "after")
    yield row(*["---"] * 5)
    figures = []
    for page in others:
        found = [_figures(page, NetworkSegmenter(plan, vector)) for vector in (start, result.model)]
        figures.append(found)
        yield row(page.name, *(f"{dice:.3f}" for dice, _ in found), *(f"{db:.1f}" for _, db in found))
    middle = [[median(found[when][what] for found in figures) for when in (0, 1)] for what in (0, 1)]
    yield row("median", *(f"{value:.3f}" for value in middle[0]), *(f"{value:.1f}" for value in middle[1]))


def _confirmed(root: Path, profile: str, pages: int, seed: int) -> tuple[Path, str]:
    """Read pages, correct and confirm them as a scripted person does, and draw their masks."""
    options = ReadingOptions(segmenter="classical", words="off")
    drawn = {each.name: each for each in draw_pages(root / "scans", profile, pages, seed)}
    (root / "read").mkdir()
    folder = ReviewFolder.opened(root / "read", (root / "scans",))
    decisions, before, after = 0, [], []
    for page in folder.pages():
        opened, truth = OpenPage(folder.folder, page, options), drawn[page.name]
        if opened.result is None:
            continue
        before.append(truth.snr_db(opened.result.recording))
        person = Person(opened, truth.page.truth)
        person.mend()
        person.confirm()
        opened.save()
        decisions += len(person.decided)
        after.append(truth.snr_db(opened.result.recording))
    done = draw_confirmed(folder, options)
    return done.folder, (
        f"{len(done.names)} of {pages} pages confirmed with {decisions} decisions, masks drawn; dB, median: "
        f"{median(before):.1f} as they were read, {median(after):.1f} as they were confirmed"
    )


def _training(plan: Plan, folder: Path, cache: Path, options: TrainOptions) -> LocalTraining:
    source = PageFolder(str(folder), px_per_mm=NORMALIZED_PX_PER_MM, patient_pattern="^(.+)$")
    trainer = LocalTrainer(plan, prepare(source, "site", plan, cache, ALL_FOR_TRAINING, log=lambda _: None))

    def train(model: np.ndarray, round_index: int) -> np.ndarray:
        return trainer.train(model.astype(np.float32), replace(options, seed=round_index)).update

    return train


def _figures(drawn: DrawnPage, network: NetworkSegmenter) -> tuple[float, float]:
    """The trace Dice of a network on a page, and the dB of the page read with it alone."""
    page = resample_page(drawn.page)
    dice = trace_dice(network(page.image).argmax(0).astype(np.uint8), page.mask)
    try:
        read = digitize(drawn.page.image, ReadingOptions(segmenter=network, words="off")).recording
    except PageError:
        read = None
    return dice, drawn.snr_db(read)
