"""The recordings of the benchmark: PTB-XL over three sites, and synthetic ones for a public start.

Folds 1 to 6 are trained on, folds 7 to 9 measured on; a patient is in one fold alone. site-3 has two of PTB-XL's sites,
as the smallest of them has 16 recordings.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.diagnosis.example import SUPERCLASSES, PtbxlRecordings, to_inputs
from benchmarks.learning.bench import POOL, PUBLIC
from ecg_flare.ecg.rhythm import Rhythm
from ecg_flare.ecg.synthetic import synthesize
from ecg_flare.nnunet.learnt import SiteCases
from ecg_flare.nnunet.settings import ALL_FOR_TRAINING
from ecg_flare.task.modules import Example
from ecg_flare.task.modules.dataset import PreparedExamples, prepare_examples
from ecg_flare.task.modules.plan import ModulePlan

SITES: Final = ("site-1", "site-2", "site-3")
DEALT: Final = {"site-1": ["0"], "site-2": ["1"], "site-3": ["2", "3"]}
TRAINED: Final = (1, 2, 3, 4, 5, 6)
HELD_OUT: Final = (7, 8, 9)

_SHOWS: Final = {
    Rhythm.SINUS: "NORM",
    Rhythm.ST_ELEVATION: "MI",
    Rhythm.ST_DEPRESSION: "STTC",
    Rhythm.LBBB: "CD",
    Rhythm.RBBB: "CD",
    Rhythm.FIRST_DEGREE_AV_BLOCK: "CD",
    Rhythm.LV_HYPERTROPHY: "HYP",
}
"""What synthetic rhythms stand for; the others show none of the superclasses."""


@dataclass(frozen=True)
class SyntheticRecordings:
    """Synthetic recordings of all rhythms in turn, each of a person of its own: nobody's, so that they cost nothing."""

    count: int
    seed: int = 0

    def describe(self, site: str) -> Any:
        """How many, from which seed, and what they stand for."""
        return [self.count, self.seed, {rhythm.value: name for rhythm, name in _SHOWS.items()}]

    def cases(self, site: str) -> Iterator[Example]:
        """The recordings, one after another."""
        rhythms = list(Rhythm)
        for index in range(self.count):
            rhythm = rhythms[index % len(rhythms)]
            recording = synthesize(np.random.default_rng([self.seed, index]), rhythm=rhythm)
            target = np.array([name == _SHOWS.get(rhythm) for name in SUPERCLASSES], np.float32)
            yield Example(f"s{index:05d}", f"person{index}", to_inputs(recording), target)


@dataclass(frozen=True)
class Cases:
    """Prepared recordings: of each site and of all together, the public ones, and those that are measured on."""

    train: dict[str, PreparedExamples]
    public: PreparedExamples
    held_out: PreparedExamples


def prepared(plan: ModulePlan, root: Path, cache: Path, public: int, log: Callable[[str], None]) -> Cases:
    """All recordings, from the cache where they are there."""
    everywhere = {**DEALT, POOL: [site for sites in DEALT.values() for site in sites]}

    def of(site: str, source: Any) -> PreparedExamples:
        return prepare_examples(SiteCases(source, site, plan, cache), ALL_FOR_TRAINING, log)

    training = PtbxlRecordings(str(root), everywhere, TRAINED)
    return Cases(
        train={site: of(site, training) for site in (*SITES, POOL)},
        public=of(PUBLIC, SyntheticRecordings(public)),
        held_out=of(POOL, PtbxlRecordings(str(root), everywhere, HELD_OUT)),
    )
