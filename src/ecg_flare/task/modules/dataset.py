"""A site's examples on disk: two files of numbers a case, in the cache of prepared cases."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from jaxtyping import Float32, Num

from ecg_flare.errors import StorageError
from ecg_flare.nnunet.case_cache import (
    CacheOrder,
    CaseEntry,
    check_name,
    count_patients,
    fetch,
    names_of,
    patients_of,
    progress,
    storing,
)
from ecg_flare.nnunet.split import Split
from ecg_flare.task.modules.example import Example, check_example

if TYPE_CHECKING:
    from ecg_flare.nnunet.learnt import SiteCases
    from ecg_flare.nnunet.settings import PrepareSettings

_INPUTS: Final = "raw/inputs"
_TARGETS: Final = "raw/targets"
_MADE_BY: Final = ("task/modules/example.py", "task/modules/dataset.py")


@dataclass(frozen=True)
class PreparedExamples:
    """A site's prepared examples; they meet `nnunet.learnt.PreparedCases`.

    Attributes:
        folder: the entry of the cache.
        entries: the cases, in the source's order.
        reused: whether an earlier entry was found.
    """

    folder: Path
    entries: tuple[CaseEntry, ...]
    reused: bool = False

    @property
    def patients(self) -> dict[str, str]:
        """Name of each case -> whose it is."""
        return patients_of(self.entries)

    @property
    def n_patients(self) -> int:
        """How many persons the cases are of."""
        return count_patients(self.entries)

    def names(self, split: Split) -> list[str]:
        """Names of the cases on one side of the split."""
        return names_of(self.entries, split)

    def inputs(self, names: Sequence[str]) -> Float32[np.ndarray, "cases ..."]:
        """What the module is given, of these cases; raises StorageError where one is gone."""
        return self._stacked(_INPUTS, names)

    def targets(self, names: Sequence[str]) -> Num[np.ndarray, "cases ..."]:
        """What is to be found in these cases; raises StorageError where one is gone."""
        return self._stacked(_TARGETS, names)

    def _stacked(self, part: str, names: Sequence[str]) -> np.ndarray:
        try:
            return np.stack([np.load(self.folder / part / f"{name}.npy", allow_pickle=False) for name in names])
        except (OSError, ValueError) as error:
            raise StorageError(f"a prepared case in {self.folder} is gone: prepare again ({error})") from error


def prepare_examples(cases: SiteCases, settings: PrepareSettings, log: Callable[[str], None]) -> PreparedExamples:
    """Read a site's examples and check them, or find them in the cache.

    Raises:
        SiteDataError: no cases, too few patients, or an example that cannot be learnt from (`check_example`).
        StorageError: the cache folder cannot be written.
    """
    order = CacheOrder(cases.cache, cases.source, cases.site, cases.plan.hash, _MADE_BY, settings)
    entry = fetch(order, lambda folder: _write(cases, folder, log), log)
    return PreparedExamples(entry.folder, entry.entries, entry.reused)


def _write(cases: SiteCases, folder: Path, log: Callable[[str], None]) -> Mapping[str, str]:
    inputs, targets = folder / _INPUTS, folder / _TARGETS
    with storing(folder):
        for part in (inputs, targets):
            part.mkdir(parents=True)
    patients: dict[str, str] = {}
    first: Example | None = None
    for case in progress(cases.source.cases(cases.site), f"reading cases of {cases.site}", log):
        example = check_example(case, cases.site, first)
        check_name(example.name, patients, cases.site)
        with storing(folder):
            example.store(inputs, targets)
        patients[example.name] = example.patient_id
        first = first or example
    return patients
