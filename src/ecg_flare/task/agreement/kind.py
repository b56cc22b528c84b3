"""The agreement on a plan as a kind of task: histograms are counted, and nnU-Net's planner concludes from their sum.

What the sites agree on beforehand is public and stands in the job's terms: the channels and labels of dataset.json, the
bins, and the planner.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
from jaxtyping import Float32

from ecg_flare.documents import Fields
from ecg_flare.errors import ConfigError, SiteDataError
from ecg_flare.federated.counts import CaseCounts
from ecg_flare.federated.terms import JobTerms
from ecg_flare.nnunet.case import CaseSource
from ecg_flare.nnunet.counting import Counting, Log
from ecg_flare.nnunet.fingerprint import fingerprint_of
from ecg_flare.nnunet.kinds import TaskKind
from ecg_flare.nnunet.plan import Plan
from ecg_flare.nnunet.plan_check import check_dataset_name, check_description
from ecg_flare.nnunet.planner import PLANNERS, plan_experiment
from ecg_flare.nnunet.task import Task
from ecg_flare.storage import write_json
from ecg_flare.task.agreement.bins import Bins, FingerprintBins
from ecg_flare.task.agreement.estimate import fingerprint_from
from ecg_flare.task.agreement.histograms import histograms_of, outside, split
from ecg_flare.task.datasets.case import FileCase
from ecg_flare.task.datasets.folder import check_source, reader_of
from ecg_flare.task.datasets.plans import KIND_NAME as DATASETS
from ecg_flare.task.datasets.plans import read_description, stock_plan

KIND_NAME: Final = "nnunet_agreement"
_NAME: Final = "plan_agreement"
_SETTINGS: Final = ("dataset_name", "planner", "bins")
_CT: Final = "ct"


@dataclass(frozen=True)
class Agreement:
    """What a plan is agreed on: the data set's description, the bins, and the planner of nnU-Net."""

    plan: Plan
    bins: FingerprintBins
    planner: str
    dataset: str

    @classmethod
    def of(cls, plan: Plan) -> Agreement:
        """What the plan of an agreement says; raises ConfigError naming an entry that is wrong."""
        where = f"the agreement {plan.name!r}"
        check_description(plan.dataset_json, f"{where}, dataset.json", ConfigError)
        found = Fields(plan.plans, where, ConfigError).only(_SETTINGS)
        try:
            bins = FingerprintBins(**found.mapping("bins"))
        except TypeError as error:
            raise ConfigError(f"{where}: bins are {dict(found.mapping('bins'))}: {error}") from error
        planner = found.text("planner")
        if planner not in PLANNERS:
            raise ConfigError(f"{where}: planner is {planner!r}, expected one of {', '.join(PLANNERS)}")
        return cls(plan, bins, planner, check_dataset_name(found.text("dataset_name"), f"{where}, dataset_name"))

    @property
    def blocks(self) -> dict[str, Bins]:
        """The histograms; of intensities only those of channels of CT, as no other normalization asks for them."""
        return self.bins.blocks([place for place, name in enumerate(self.plan.channels) if name.casefold() == _CT])


def agreement_plan(
    dataset_file: Path, *, planner: str = "ExperimentPlanner", bins: FingerprintBins | None = None, dataset: str = ""
) -> Plan:
    """The plan of a job in which sites agree on a plan for data sets with that dataset.json.

    `dataset` is nnU-Net's name of the data set; by default the folder's of dataset.json. Raises ConfigError for a file
    that cannot be read, an unknown planner, and a name that is none.
    """
    name = dataset or dataset_file.resolve().parent.name
    settings = {
        "dataset_name": name if name.startswith("Dataset") else "Dataset001_Federated",
        "planner": planner,
        "bins": (bins or FingerprintBins()).to_json(),
    }
    return _checked(Plan(_NAME, settings, read_description(dataset_file), "", KIND_NAME))


def _checked(plan: Plan) -> Plan:
    """The plan with the layout of its counts, once every entry is in order."""
    blocks = Agreement.of(plan).blocks
    return replace(plan, known_layout=tuple((name, (bins.size,)) for name, bins in blocks.items()))


def _counting(plan: Plan) -> Counting:
    agreement = Agreement.of(plan)
    size = sum(bins.size for bins in agreement.blocks.values())
    return Counting(size, partial(_count, agreement), partial(conclude, agreement))


def _count(agreement: Agreement, source: CaseSource, site: str, log: Log) -> Iterator[CaseCounts]:
    """Whose each case is, and its histograms."""
    check_source(agreement.plan, source, site)
    blocks = agreement.blocks
    for case in source.cases(site):
        if not isinstance(case, FileCase):
            raise SiteDataError(f"case {case.name!r} is no file of a data set in nnU-Net's raw format")
        found = fingerprint_of(reader_of(agreement.plan.dataset_json), case.images, case.labels)
        for sentence in outside(found, blocks):
            log(f"case {case.name!r}: {sentence}")
        yield CaseCounts(case.name, case.patient_id, histograms_of(found, blocks))


def conclude(agreement: Agreement, mean: Float32[np.ndarray, " d"], terms: JobTerms, folder: Path) -> None:
    """Write the agreed plans.json and its dataset.json, and beside them what they were made of.

    The mean is over the sites of the roster, or over the patients that the terms name: so many times it is the sum.
    Raises ConfigError where nothing was counted, or the planner fails.
    """
    summed = mean.astype(np.float64) * terms.denominator
    blocks = agreement.blocks
    cases = split(summed, blocks)["spacing.0"].sum() if terms.sampling is None else terms.sampling.patients
    noise = (terms.noise_multiplier or 0.0) * (terms.sensitivity or 0.0)
    fingerprint = fingerprint_from(summed, blocks, float(cases), noise_sd=noise)
    description = agreement.plan.nnunet_dataset_json()
    read_by = {**description, "overwrite_image_reader_writer": reader_of(description)}
    plans = plan_experiment(fingerprint, read_by, agreement.planner, agreement.dataset)
    write_json(folder / "dataset.json", description)
    write_json(folder / "plans.json", plans)
    told: dict[str, Any] = {
        "cases": round(float(cases)),
        "sites": list(terms.roster),
        "noise_sd": noise,
        "bins": asdict(agreement.bins),
        "planner": agreement.planner,
    }
    write_json(folder / "agreement.json", told)
    stock_plan(folder / "plans.json", trainer="nnUNetTrainer")  # what a job would take: all of it is checked


def _nothing_is_trained(plan: Plan) -> Task:
    raise ConfigError(f"the plan {plan.name!r} is for an agreement on a plan, in which nothing is trained")


def _read(name: str, document: str) -> Plan:
    return _checked(Plan.from_document(name, document))


KIND: Final = TaskKind(KIND_NAME, _nothing_is_trained, presets={}, read=_read, counting=_counting, cases_of=DATASETS)
