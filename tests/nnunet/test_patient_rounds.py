"""Rounds under unit patient on prepared pages: by patient, alone, and with nothing said beside."""

import stat
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from nnunet_scribbles import ScribbledPages

from ecg_flare.errors import SiteDataError, StorageError, UpdateError
from ecg_flare.federated.round import contribution
from ecg_flare.federated.subset import TrainableSubset
from ecg_flare.nnunet.commands import TrainCommand, TrainPatientsCommand, prepare_command
from ecg_flare.nnunet.dataset import PreparedDataset, prepare
from ecg_flare.nnunet.kinds import plan_preset
from ecg_flare.nnunet.learnt import SiteCases
from ecg_flare.nnunet.patients import PatientDraw, cases_by_patient, check_patients, site_key, train_drawn_patients
from ecg_flare.nnunet.plan import Plan, parameter_layout
from ecg_flare.nnunet.service import Service
from ecg_flare.nnunet.settings import ALL_FOR_TRAINING, PrepareSettings, TrainingSettings
from ecg_flare.nnunet.trainer import LocalTrainer, TrainOptions
from ecg_flare.privacy.gaussian import ChaChaStream
from ecg_flare.task.traces.page_case import PageCase
from flat_terms import flat_terms, varied

KEY = bytes(range(32))
OPTIONS = TrainOptions(steps=1, learning_rate=0.02, schedule="poly", seed=5)
CONFIG = flat_terms(
    {"site-1": 1.0, "site-2": 1.0},
    min_sites=1,
    clipping_norm=0.005,
    noise_multiplier=1.0,
    unit="patient",
    patients_per_site=3,
    patients=6,
)


@pytest.fixture(scope="module")
def all_pages(tmp_path_factory: pytest.TempPathFactory, tiny: Plan, scribbles: ScribbledPages) -> PreparedDataset:
    return prepare(scribbles, "site-1", tiny, tmp_path_factory.mktemp("patients"), ALL_FOR_TRAINING, log=lambda _: None)


@pytest.fixture(scope="module")
def all_trainer(tiny: Plan, all_pages: PreparedDataset) -> LocalTrainer:
    return LocalTrainer(tiny, all_pages)


def sent(trainer: LocalTrainer, pages: dict[str, list[str]], start: np.ndarray, **terms: Any) -> np.ndarray:
    config = varied(CONFIG, **terms)
    return train_drawn_patients(trainer, pages, start, OPTIONS, PatientDraw(config, "site-1", ChaChaStream(KEY)))


def test_pages_are_grouped_by_a_keyed_hash(all_pages: PreparedDataset) -> None:
    pages = cases_by_patient(all_pages, KEY)
    assert sorted(map(tuple, pages.values())) == [("page0", "page3"), ("page1", "page4"), ("page2", "page5")]
    assert not set(pages) & set(cases_by_patient(all_pages, bytes(32)))
    assert not any("patient" in patient for patient in pages)


def test_tensors_that_are_not_trained_stay_and_are_not_sent(
    all_trainer: LocalTrainer, all_pages: PreparedDataset, tiny: Plan, start: np.ndarray
) -> None:
    subset = TrainableSubset.matching(parameter_layout(tiny), ("decoder.stages.2.*", "decoder.seg_layers.2.*"))
    options = replace(OPTIONS, steps=3, trained=("decoder.stages.2.*", "decoder.seg_layers.2.*"), proximal_mu=0.1)
    pages = ["page1", "page4"]
    update = all_trainer.train(start, options, cases=pages).update
    np.testing.assert_array_equal(subset.put(update, np.zeros(subset.dimension, np.float32)), np.zeros_like(update))
    assert np.linalg.norm(subset.take(update)) > 0
    one = all_trainer.train(start, OPTIONS, cases=pages).update  # thawed again, and the same step
    step = subset.take(all_trainer.train(start, replace(options, steps=1), cases=pages).update)
    np.testing.assert_allclose(step, subset.take(one), rtol=1e-4, atol=1e-8)
    assert np.count_nonzero(one) > subset.dimension
    sent = train_drawn_patients(
        all_trainer, cases_by_patient(all_pages, KEY), start, options, PatientDraw(CONFIG, "site-1", ChaChaStream(KEY))
    )
    fixed = CONFIG.fixed_encoding(subset.dimension)
    assert fixed is not None
    assert sent.shape == (subset.dimension,)
    assert 0 < np.linalg.norm(sent) <= 3 * fixed.scale


def test_training_on_a_patient_sees_that_patients_pages_alone(
    all_trainer: LocalTrainer, tiny: Plan, start: np.ndarray, tmp_path: Path
) -> None:
    update = all_trainer.train(start, OPTIONS, cases=["page1", "page4"]).update
    assert not np.array_equal(update, all_trainer.train(start, OPTIONS, cases=["page0", "page3"]).update)
    alone = prepare(OnePatient(), "site-1", tiny, tmp_path, ALL_FOR_TRAINING, log=lambda _: None)
    np.testing.assert_array_equal(LocalTrainer(tiny, alone).train(start, OPTIONS).update, update)


@dataclass(frozen=True)
class OnePatient(ScribbledPages):
    """The pages of patient1 alone."""

    def cases(self, site: str) -> Iterator[PageCase]:
        return (case for case in super().cases(site) if case.patient_id == "patient1")


def test_a_patient_more_or_less_moves_the_sum_by_that_patients_clipped_update_alone(
    all_trainer: LocalTrainer, all_pages: PreparedDataset, start: np.ndarray
) -> None:
    """Brute force through the code that a site runs: nobody else's training may depend on who took part."""
    pages = cases_by_patient(all_pages, KEY)
    whole = sent(all_trainer, pages, start)
    fixed = CONFIG.fixed_encoding(start.size)
    assert fixed is not None
    for patient in pages:
        less = sent(all_trainer, {other: held for other, held in pages.items() if other != patient}, start)
        change = whole - less
        assert 0.99 * fixed.sensitivity < np.linalg.norm(change) <= fixed.sensitivity  # C is short: all are clipped
        assert np.array_equal(change, sent(all_trainer, {patient: pages[patient]}, start))


def test_a_site_sends_what_the_round_in_memory_asks_for(
    all_trainer: LocalTrainer, all_pages: PreparedDataset, start: np.ndarray
) -> None:
    pages = cases_by_patient(all_pages, KEY)
    rows: list[np.ndarray] = []

    class Listening:
        layout = all_trainer.layout

        def train(self, *given: Any, **named: Any) -> Any:
            result = all_trainer.train(*given, **named)
            rows.append(result.update)
            return result

    integers = sent(Listening(), pages, start)  # type: ignore[arg-type]
    assert len(rows) == 3
    assert np.array_equal(integers, contribution(np.stack(rows), 1.0, CONFIG, start.size))


def test_who_is_drawn_by_rate_and_whose_training_diverged_counts_nothing(
    all_trainer: LocalTrainer, all_pages: PreparedDataset, start: np.ndarray
) -> None:
    pages = cases_by_patient(all_pages, KEY)
    assert not sent(all_trainer, pages, start, sampling_rate=1e-6).any()
    wild = replace(OPTIONS, learning_rate=1e30, steps=2)
    assert not train_drawn_patients(
        all_trainer, pages, start, wild, PatientDraw(CONFIG, "site-1", ChaChaStream(KEY))
    ).any()


def test_the_training_process_sends_integers_and_says_nothing(tmp_path: Path, start: np.ndarray) -> None:
    class Commands(Service):
        def call(self, command: str, params: dict[str, Any], arrays: dict[str, np.ndarray]) -> Any:
            return getattr(self, f"_{command}")(params, arrays)

    logged: list[str] = []
    service = Commands(None, threads=1, device="cpu")  # type: ignore[arg-type]
    service._log = logged.append  # type: ignore[method-assign]
    pages = SiteCases(ScribbledPages(), "site-1", plan_preset("tiny"), tmp_path)
    service.call("prepare", prepare_command(pages, "patient", 3).to_params(), {})
    logged.clear()
    settings = TrainingSettings(steps=1, learning_rate=0.02)
    training = TrainPatientsCommand(TrainCommand(settings, 0, 1, seed=5, trained=("*",)), CONFIG).to_params()
    said, arrays = service.call("train_patients", training, {"model": start})
    assert said == {}
    assert list(arrays) == ["contribution"]
    assert arrays["contribution"].dtype == np.int64
    assert logged == []
    with pytest.raises(UpdateError, match="121348"):
        service.call("train_patients", training, {"model": start[:9]})
    with pytest.raises(SiteDataError, match=r"3 patients, the terms allow 2 \(patients_per_site\)"):
        service.call("prepare", prepare_command(pages, "patient", 2).to_params(), {})


@dataclass(frozen=True)
class Nobodys(ScribbledPages):
    """Pages without a patient."""

    cases_are_patients: bool = False

    def cases(self, site: str) -> Iterator[PageCase]:
        for case in super().cases(site):
            yield replace(case, patient_id=case.name)


def test_a_page_of_nobody_is_a_patient_only_where_its_source_says_so(tiny: Plan, tmp_path: Path) -> None:
    for source in (Nobodys(), Nobodys(cases_are_patients=True)):
        found = prepare(source, "site-1", tiny, tmp_path, PrepareSettings(preprocess=False), log=lambda _: None)
        if source.cases_are_patients:
            check_patients(found.patients, source, most=6)
        else:
            with pytest.raises(SiteDataError, match="6 of 6 cases have no patient id"):
                check_patients(found.patients, source, most=6)


def test_the_sites_key_is_drawn_once_and_its_owners_alone(tmp_path: Path) -> None:
    key = site_key(tmp_path / "cache")
    assert (len(key), site_key(tmp_path / "cache")) == (32, key)
    assert site_key(tmp_path / "other") != key
    assert stat.S_IMODE((tmp_path / "cache" / "patient.key").stat().st_mode) == 0o600
    (tmp_path / "cache" / "patient.key").write_bytes(b"short")
    with pytest.raises(StorageError, match="5 bytes"):
        site_key(tmp_path / "cache")
