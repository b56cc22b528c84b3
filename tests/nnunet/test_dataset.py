"""Prepared pages: nnU-Net's format, a split by patient, and a cache that is whole or rebuilt."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import blosc2
import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nnunet_scribbles import ScribbledPages

from ecg_flare.errors import SiteDataError, StorageError
from ecg_flare.nnunet.dataset import PreparedDataset, open_dataset, prepare
from ecg_flare.nnunet.kinds import plan_preset
from ecg_flare.nnunet.plan import Plan
from ecg_flare.nnunet.settings import PrepareSettings
from ecg_flare.nnunet.split import split_each_alone, split_patients
from ecg_flare.task.traces.measure import prepared_pages
from ecg_flare.task.traces.page_case import PageCase


def quiet(_: str) -> None:
    pass


class CountingPages(ScribbledPages):
    """Says how many pages were drawn."""

    drawn = 0

    def cases(self, site: str) -> Iterator[PageCase]:
        for case in super().cases(site):
            type(self).drawn += 1
            yield case


def test_raw_and_preprocessed_pages_are_the_sources(prepared: PreparedDataset, scribbles: ScribbledPages) -> None:
    cases = list(scribbles.cases("site-1"))
    for page, original, stored in zip(prepared.entries, cases, prepared_pages(prepared), strict=True):
        assert (page.name, page.patient_id) == (original.name, original.patient_id) == (stored.name, stored.patient_id)
        np.testing.assert_array_equal(stored.image, original.image)
        np.testing.assert_array_equal(stored.mask, original.mask)
        data = blosc2.open(str(prepared.preprocessed_cases / f"{page.name}.b2nd"))[:]
        mask = blosc2.open(str(prepared.preprocessed_cases / f"{page.name}_seg.b2nd"))[:]
        np.testing.assert_allclose(data[:, 0], original.image.transpose(2, 0, 1) / 255, atol=1e-6)
        np.testing.assert_array_equal(mask[0, 0], original.mask)


def test_the_raw_dataset_is_nnunets(prepared: PreparedDataset) -> None:
    description = json.loads((prepared.raw / "dataset.json").read_text())
    assert description["numTraining"] == 6
    assert description["labels"] == {"background": 0, "trace": 1, "pulse": 2, "print": 3}
    image = cv2.imread(str(prepared.raw / "imagesTr" / "page0_0000.png"), cv2.IMREAD_UNCHANGED)
    label = cv2.imread(str(prepared.raw / "labelsTr" / "page0.png"), cv2.IMREAD_UNCHANGED)
    assert image.shape == (300, 500, 3)
    assert label.shape == (300, 500)


def test_no_patient_is_on_both_sides(prepared: PreparedDataset) -> None:
    sides = {split: {p.patient_id for p in prepared.entries if p.split == split} for split in ("train", "val")}
    assert sides["train"]
    assert sides["val"]
    assert not sides["train"] & sides["val"]


@settings(deadline=None)
@given(st.sets(st.text(min_size=1), min_size=2, max_size=40), st.floats(0.01, 0.99))
def test_both_sides_of_a_split_have_patients(patients: set[str], fraction: float) -> None:
    split = split_patients(patients, fraction)
    n_val = sum(side == "val" for side in split.values())
    assert set(split) == patients
    assert n_val == min(max(1, round(fraction * len(patients))), len(patients) - 1)
    assert split_patients(sorted(patients, reverse=True), fraction) == split


def test_splits_at_the_edges() -> None:
    assert split_patients(["only"], 0.2) == {"only": "train"}
    assert set(split_patients(["a", "b", "c"], 0.0).values()) == {"train"}


@given(st.sets(st.text(max_size=8), min_size=1, max_size=40), st.text(max_size=8), st.floats(0, 1))
def test_a_patient_who_comes_moves_no_other_where_each_is_split_alone(
    patients: set[str], new: str, fraction: float
) -> None:
    before, after = split_each_alone(patients, fraction), split_each_alone({*patients, new}, fraction)
    assert {patient: after[patient] for patient in patients} == before


def test_split_alone_holds_out_about_the_fraction_and_by_rank_a_newcomer_moves_others() -> None:
    patients = [f"p{index}" for index in range(2000)]
    assert sum(side == "val" for side in split_each_alone(patients, 0.2).values()) == pytest.approx(400, abs=60)
    assert set(split_each_alone(patients, 0.0).values()) == {"train"}
    moved = 0
    for count in range(3, 60):
        before, after = (split_patients(patients[:size], 0.2) for size in (count, count + 1))
        moved += any(after[patient] != before[patient] for patient in before)
    assert moved > 0


def test_the_cache_is_used_again(tmp_path: Path, tiny: Plan) -> None:
    CountingPages.drawn = 0
    first = prepare(CountingPages(), "s", tiny, tmp_path, log=quiet)
    second = prepare(CountingPages(), "s", tiny, tmp_path, log=quiet)
    assert (first.reused, second.reused, CountingPages.drawn) == (False, True, 6)
    assert (first.folder, first.entries) == (second.folder, second.entries)


def test_other_content_is_another_entry(tmp_path: Path, tiny: Plan) -> None:
    folders = {
        prepare(ScribbledPages(), "s", tiny, tmp_path, log=quiet).folder,
        prepare(ScribbledPages(seed=1), "s", tiny, tmp_path, log=quiet).folder,
        prepare(ScribbledPages(), "t", tiny, tmp_path, log=quiet).folder,
        prepare(ScribbledPages(), "s", plan_preset("small"), tmp_path, log=quiet).folder,
        prepare(ScribbledPages(), "s", tiny, tmp_path, PrepareSettings(validation_fraction=0.5), log=quiet).folder,
    }
    assert len(folders) == 5


@pytest.mark.parametrize("damage", ["truncate", "delete", "manifest"])
def test_a_damaged_entry_is_built_again(tmp_path: Path, tiny: Plan, damage: str) -> None:
    dataset = prepare(ScribbledPages(), "s", tiny, tmp_path, log=quiet)
    victim = dataset.preprocessed_cases / "page3.b2nd"
    whole, pixels = victim.read_bytes(), blosc2.open(str(victim))[:]
    if damage == "truncate":
        victim.write_bytes(whole[:-1])
    elif damage == "delete":
        victim.unlink()
    else:
        (dataset.folder / "manifest.json").write_text("{")
    with pytest.raises(StorageError, match="prepare again"):
        open_dataset(dataset.folder, tiny)
    assert not prepare(ScribbledPages(), "s", tiny, tmp_path, log=quiet).reused
    np.testing.assert_array_equal(blosc2.open(str(victim))[:], pixels)


def test_an_entry_of_another_plan_is_refused(prepared: PreparedDataset) -> None:
    with pytest.raises(StorageError, match="small"):
        open_dataset(prepared.folder, plan_preset("small"))


class BadPages(ScribbledPages):
    """Two pages, then what `last` is."""

    last: Any = None

    def cases(self, site: str) -> Iterator[PageCase]:
        first, second = list(super().cases(site))[:2]
        yield first
        yield second
        if isinstance(self.last, Exception):
            raise self.last
        if self.last is not None:
            yield self.last


@pytest.mark.parametrize(
    ("last", "named"),
    [
        (SiteDataError("page 3 is corrupt"), "page 3 is corrupt"),
        (next(ScribbledPages().cases("s")), "two cases named 'page0'"),
        (PageCase("../up", "p", np.zeros((9, 9, 3), np.uint8), np.zeros((9, 9), np.uint8)), r"\.\./up"),
    ],
)
def test_a_bad_page_leaves_nothing_behind(
    tmp_path: Path, tiny: Plan, monkeypatch: pytest.MonkeyPatch, last: Any, named: str
) -> None:
    monkeypatch.setattr(BadPages, "last", last)
    with pytest.raises(SiteDataError, match=named):
        prepare(BadPages(), "s", tiny, tmp_path, log=quiet)
    assert not list(tmp_path.iterdir())


def test_no_pages_and_one_patient(tmp_path: Path, tiny: Plan) -> None:
    with pytest.raises(SiteDataError, match="'s' has no cases"):
        prepare(ScribbledPages(pages=0), "s", tiny, tmp_path, log=quiet)
    with pytest.raises(SiteDataError, match=r"1 patient.*at least 2"):
        prepare(ScribbledPages(patients=1), "s", tiny, tmp_path, log=quiet)
    allowed = prepare(ScribbledPages(patients=1), "s", tiny, tmp_path, PrepareSettings(min_patients=1), log=quiet)
    assert (allowed.names("train"), allowed.names("val")) == ([f"page{i}" for i in range(6)], [])


def test_a_case_of_the_wrong_shape_is_refused() -> None:
    with pytest.raises(SiteDataError, match="float64"):
        PageCase("a", "p", np.zeros((4, 4, 3)), np.zeros((4, 4), np.uint8))
    with pytest.raises(SiteDataError, match=r"\(4, 5\)"):
        PageCase("a", "p", np.zeros((4, 4, 3), np.uint8), np.zeros((4, 5), np.uint8))


def test_a_folder_that_cannot_be_written(tmp_path: Path, tiny: Plan) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    with pytest.raises(StorageError, match="file"):
        prepare(ScribbledPages(), "s", tiny, blocked / "cache", log=quiet)


def test_a_full_disk(tmp_path: Path, tiny: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, data: bytes) -> int:
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(StorageError, match="No space left on device"):
        prepare(ScribbledPages(), "s", tiny, tmp_path, log=quiet)
    assert not list(tmp_path.iterdir())


def test_a_full_disk_as_blosc2_reports_it(tmp_path: Path, tiny: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    from nnunetv2.preprocessing.preprocessors.default_preprocessor import DefaultPreprocessor

    def full(*args: object) -> None:
        raise RuntimeError("Error while creating the NDArray")

    monkeypatch.setattr(DefaultPreprocessor, "run_case_save", full)
    with pytest.raises(StorageError, match=r"page0.*disk full"):
        prepare(ScribbledPages(), "s", tiny, tmp_path, log=quiet)
    assert not list(tmp_path.iterdir())
