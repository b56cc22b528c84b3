"""A task that counts instead of training: sites count something of each case, and the server concludes from the sum.

Its plan's layout is that of the counts. They take the way of an update: the same request, filters, sum and ledger.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import Float32, Shaped

from ecg_flare.federated.counts import CaseCounts, counts_of_cases, counts_of_patients
from ecg_flare.federated.terms import JobTerms
from ecg_flare.nnunet.case import CaseSource
from ecg_flare.nnunet.label_sums import LabelSums
from ecg_flare.nnunet.learnt import SiteTrainer
from ecg_flare.nnunet.patients import check_patients
from ecg_flare.privacy.gaussian import ChaChaStream

_MIN_PATIENTS: Final = 2

Log = Callable[[str], None]
"""Takes one line, for the log of who counts."""


@dataclass(frozen=True)
class Counting:
    """What is counted, and what for.

    Attributes:
        size: length of the vector of counts.
        count: (source, site, log) -> the counts of each case; raises SiteDataError as the source.
        conclude: (mean of the sites' or patients' counts, terms, folder) -> writes what follows into the folder.
    """

    size: int
    count: Callable[[CaseSource, str, Log], Iterable[CaseCounts]]
    conclude: Callable[[Float32[np.ndarray, " d"], JobTerms, Path], None]


def counts_of_site(
    counting: Counting, source: CaseSource, site: str, terms: JobTerms, log: Log
) -> Shaped[np.ndarray, " d"]:
    """What a site counts in a round: float32 under unit site, integers under unit patient.

    Raises SiteDataError for cases that cannot be counted, or that are of too few patients or too many.
    """
    counted = counting.count(source, site, log)
    if terms.unit == "site":
        return counts_of_cases(counted, terms, counting.size, min_patients=_MIN_PATIENTS)
    counted = tuple(counted)
    check_patients({one.case: one.patient for one in counted}, source, most=terms.patients_per_site)
    return counts_of_patients(counted, terms, counting.size, site=site, stream=ChaChaStream())


def shares_of_site(
    trainer: SiteTrainer, sums: LabelSums, model: Float32[np.ndarray, " d"], site: str, terms: JobTerms
) -> Shaped[np.ndarray, " d"]:
    """What a site counts of a model on its held-out cases (`LabelSums.shares`), in the form of `counts_of_site`.

    One held-out patient is enough: the model's Dice on one case says less of it than a mean over a sum hides.
    """
    counted = (CaseCounts(entry.name, entry.patient_id, sums.shares(found)) for entry, found in trainer.held_out(model))
    if terms.unit == "site":
        return counts_of_cases(counted, terms, sums.size)
    return counts_of_patients(counted, terms, sums.size, site=site, stream=ChaChaStream())
