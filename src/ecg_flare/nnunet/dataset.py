"""A site's cases on disk as nnU-Net wants them: raw dataset, preprocessed cases, and a split by patient.

They are kept in the cache of prepared cases (`case_cache`).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ecg_flare.errors import StorageError
from ecg_flare.nnunet.case import CaseSource
from ecg_flare.nnunet.case_cache import (
    CacheOrder,
    CaseEntry,
    check_name,
    count_patients,
    fetch,
    find,
    names_of,
    patients_of,
    progress,
    storing,
)
from ecg_flare.nnunet.environment import nnunet_environment
from ecg_flare.nnunet.kinds import task_of
from ecg_flare.nnunet.plan import Plan
from ecg_flare.nnunet.settings import DEFAULT_SETTINGS, PrepareSettings
from ecg_flare.nnunet.split import Split

if TYPE_CHECKING:
    from nnunetv2.preprocessing.preprocessors.default_preprocessor import DefaultPreprocessor
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager


@dataclass(frozen=True)
class PreparedDataset:
    """A site's prepared cases.

    Attributes:
        folder: the cache entry; `raw/` and `preprocessed/` below it are nnU-Net's.
        plan_hash: of the plan that it was preprocessed for.
        dataset_name: nnU-Net's name of it.
        data_identifier: nnU-Net's name of the preprocessed folder.
        entries: the cases in the source's order.
        reused: whether an earlier entry of the cache was found.
    """

    folder: Path
    plan_hash: str
    dataset_name: str
    data_identifier: str
    entries: tuple[CaseEntry, ...]
    reused: bool = False

    def names(self, split: Split) -> list[str]:
        """Names of the cases on one side of the split."""
        return names_of(self.entries, split)

    @property
    def patients(self) -> dict[str, str]:
        """Name of each case -> whose it is."""
        return patients_of(self.entries)

    @property
    def n_patients(self) -> int:
        """How many persons the cases are of."""
        return count_patients(self.entries)

    @property
    def raw(self) -> Path:
        """nnU-Net's raw dataset: imagesTr, labelsTr, dataset.json."""
        return self.folder / "raw" / self.dataset_name

    @property
    def raw_images(self) -> Path:
        """The folder of the raw images, a file a channel."""
        return self.raw / "imagesTr"

    @property
    def raw_labels(self) -> Path:
        """The folder of the raw labels."""
        return self.raw / "labelsTr"

    @property
    def preprocessed(self) -> Path:
        """The folder to give nnU-Net as `nnUNet_preprocessed`."""
        return self.folder / "preprocessed"

    @property
    def preprocessed_cases(self) -> Path:
        """The folder of nnU-Net's preprocessed cases."""
        return self.preprocessed / self.dataset_name / self.data_identifier

    def nnunet_dataset_json(self, plan: Plan) -> dict[str, Any]:
        """The plan's dataset description, as these cases need it; raises StorageError where the raw dataset is gone."""
        try:
            labels = json.loads((self.raw / "dataset.json").read_text())["labels"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise StorageError(f"{self.raw / 'dataset.json'} cannot be read: prepare again ({error})") from error
        return _labels(plan, ignores="ignore" in labels)


def prepare(
    source: CaseSource,
    site: str,
    plan: Plan,
    cache: Path,
    settings: PrepareSettings = DEFAULT_SETTINGS,
    *,
    log: Callable[[str], None] = print,
) -> PreparedDataset:
    """Bring a site's cases into nnU-Net's form, or find them in the cache.

    Raises:
        SiteDataError: no cases, fewer patients than `settings.min_patients`, or a case that cannot be read.
        StorageError: the cache folder cannot be written.
    """
    task = task_of(plan)
    task.check_source(source, site)
    order = CacheOrder(cache, source, site, plan.hash, ("nnunet/dataset.py", *task.made_by), settings)
    entry = fetch(
        order, lambda folder: _write(source, site, plan, folder, preprocess=settings.preprocess, log=log), log
    )
    return _dataset(entry.folder, plan, entry.entries, reused=entry.reused)


def open_dataset(folder: Path, plan: Plan) -> PreparedDataset:
    """A dataset that `prepare` built for this plan; raises StorageError where it is absent or damaged."""
    found = find(folder, plan.hash)
    if found is None:
        raise StorageError(f"{folder} holds no whole dataset for plan {plan.name!r} ({plan.hash[:12]}): prepare again")
    return _dataset(folder, plan, found, reused=True)


def _write(
    source: CaseSource, site: str, plan: Plan, folder: Path, *, preprocess: bool, log: Callable[[str], None]
) -> dict[str, str]:
    """Write all cases, then preprocess them: only then it is known whether some have parts that are left out.

    Gives case -> patient.
    """
    dataset = _dataset(folder, plan)
    with storing(folder):
        for subfolder in (dataset.raw_images, dataset.raw_labels, dataset.preprocessed_cases):
            subfolder.mkdir(parents=True)
    patients: dict[str, str] = {}
    ignores = False
    for case in progress(source.cases(site), f"reading cases of {site}", log):
        check_name(case.name, patients, site)
        with storing(folder):
            case.store(dataset.raw_images, dataset.raw_labels)
        patients[case.name] = case.patient_id
        ignores |= case.ignores
    with storing(folder):
        description = {**_labels(plan, ignores=ignores), "numTraining": len(patients)}
        (dataset.raw / "dataset.json").write_text(json.dumps(description, indent=1))
        preprocessor = _preprocessor(plan) if preprocess else None
        if preprocessor is not None:
            for name in progress(patients, f"preparing cases of {site}", log):
                _preprocess(preprocessor, name, dataset, plan)
    return patients


def _dataset(folder: Path, plan: Plan, entries: tuple[CaseEntry, ...] = (), *, reused: bool = False) -> PreparedDataset:
    names = plan.plans["dataset_name"], plan.configuration["data_identifier"]
    return PreparedDataset(folder, plan.hash, *names, entries, reused)


def _labels(plan: Plan, *, ignores: bool) -> dict[str, Any]:
    """The plan's dataset description; parts that are left out, where cases have some, are no class of the network."""
    description = plan.nnunet_dataset_json()
    ignored = task_of(plan).ignored
    if not ignores or ignored is None:
        return description
    return {**description, "labels": {**description["labels"], "ignore": ignored}}


def _preprocessor(plan: Plan) -> tuple[DefaultPreprocessor, PlansManager]:
    with nnunet_environment():
        from nnunetv2.preprocessing.preprocessors.default_preprocessor import DefaultPreprocessor
        from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

        return DefaultPreprocessor(verbose=False), PlansManager(plan.nnunet_plans())


def _preprocess(
    preprocessor: tuple[DefaultPreprocessor, PlansManager],
    name: str,
    dataset: PreparedDataset,
    plan: Plan,
) -> None:
    run, manager = preprocessor
    dataset_json = dataset.nnunet_dataset_json(plan)
    ending = dataset_json["file_ending"]
    images = sorted(dataset.raw_images.glob(f"{name}_[0-9][0-9][0-9][0-9]{ending}"))
    try:
        run.run_case_save(
            str(dataset.preprocessed_cases / name),
            [str(image) for image in images],
            str(dataset.raw_labels / f"{name}{ending}"),
            manager,
            manager.get_configuration(plan.configuration_name),
            dataset_json,
        )
    except RuntimeError as error:  # so blosc2 reports a file that it cannot write
        raise StorageError(f"cannot write case {name!r} below {dataset.folder}: {error} (is the disk full?)") from error
