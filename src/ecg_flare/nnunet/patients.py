"""A round under unit patient on prepared cases: whose each is, and the training on one patient's alone.

Cases belong together by a keyed hash of the hospital's own patient id. The key is a secret of the site, so that the
hash, should it ever show, names nobody.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ecg_flare.errors import SiteDataError, StorageError, UpdateError
from ecg_flare.federated.patients import sum_of_drawn
from ecg_flare.federated.subset import TrainableSubset
from ecg_flare.nnunet.case import CaseSource
from ecg_flare.nnunet.learnt import PreparedCases, SiteTrainer
from ecg_flare.storage import write_atomically

if TYPE_CHECKING:
    from jaxtyping import Float32, Int64

    from ecg_flare.federated.terms import JobTerms
    from ecg_flare.nnunet.trainer import TrainOptions
    from ecg_flare.privacy.gaussian import Stream

_KEY_FILE = "patient.key"
_KEY_BYTES = 32


def site_key(folder: Path) -> bytes:
    """The site's secret, drawn once and kept in `folder` where only its owner may read it.

    Raises StorageError where it cannot be read or written.
    """
    path = folder / _KEY_FILE
    try:
        if not path.exists():
            folder.mkdir(parents=True, exist_ok=True)
            write_atomically(path, lambda file: file.write(os.urandom(_KEY_BYTES)), mode=0o600)
        key = path.read_bytes()
    except OSError as error:
        raise StorageError(f"the site's key {path} cannot be read or written: {error}") from error
    if len(key) != _KEY_BYTES:
        raise StorageError(f"the site's key {path} has {len(key)} bytes, expected {_KEY_BYTES}: remove it")
    return key


def cases_by_patient(dataset: PreparedCases, key: bytes) -> dict[str, list[str]]:
    """Keyed hash of the hospital's patient id -> the names of that patient's cases for training, in a fixed order."""
    cases: dict[str, list[str]] = {}
    for entry in dataset.entries:
        if entry.split != "train":
            continue
        digest = hmac.new(key, entry.patient_id.strip().encode(), hashlib.sha256).hexdigest()
        cases.setdefault(digest, []).append(entry.name)
    return {patient: sorted(cases[patient]) for patient in sorted(cases)}


def check_patients(patients: Mapping[str, str], source: CaseSource, *, most: int) -> None:
    """Refuse cases of nobody, as a person of ten such cases would be hidden as ten, and more patients than agreed.

    `patients` has the patient's id of each case.

    A case has no patient id where the id is empty, or is the case's own name. A source may say that each of its cases
    is another patient's by an attribute `cases_are_patients` that is True.

    Raises SiteDataError naming what was found.
    """
    nobodys = [case for case, patient in patients.items() if patient.strip() in ("", case)]
    if nobodys and not getattr(source, "cases_are_patients", False):
        raise SiteDataError(
            f"{len(nobodys)} of {len(patients)} cases have no patient id, {nobodys[0]!r} the first of them: "
            "give each case its patient's id (one that is the case's own name counts as none), or a source that says "
            "cases_are_patients where no patient has two"
        )
    if (found := len(set(patients.values()))) > most:
        raise SiteDataError(
            f"this site has {found} patients, the terms allow {most} (patients_per_site): agree on a "
            "larger bound, or leave patients out before the first round"
        )


@dataclass(frozen=True, eq=False)
class PatientDraw:
    """Who takes part in a round at a site: the round's public terms, the site, and the secret stream of its draw."""

    terms: JobTerms
    site: str
    stream: Stream


def train_drawn_patients(
    trainer: SiteTrainer,
    cases: Mapping[str, list[str]],
    model: Float32[np.ndarray, " d"],
    options: TrainOptions,
    draw: PatientDraw,
) -> Int64[np.ndarray, " summed"]:
    """The site's integers of one round: patients drawn from the draw's secret stream, each trained on alone.

    They are of the trained tensors, in the layout's order. Each patient's own seed comes from the patient and
    `options.seed`, so that nobody's training depends on who else was drawn.

    Raises UpdateError for more patients than the terms allow.
    """
    subset = TrainableSubset.matching(trainer.layout, options.trained)

    def train(patient: str) -> Float32[np.ndarray, " d"]:
        seed = int.from_bytes(hashlib.sha256(f"{options.seed}/{patient}".encode()).digest()[:8], "big")
        try:
            return subset.take(trainer.train(model, replace(options, seed=seed), cases=cases[patient]).update)
        except UpdateError:  # it diverged: `PatientEncoding.encode` makes nothing of it
            return np.full(subset.dimension, np.nan, np.float32)

    terms = draw.terms
    encoding, weight = terms.patient_encoding(subset.dimension), terms.weights[draw.site]
    return sum_of_drawn(list(cases), train, weight, encoding, rate=terms.sampling_rate, stream=draw.stream)
