"""Data sets in nnU-Net's raw format train, in two and three dimensions, with channels, regions and an ignore label."""

import json
from pathlib import Path

import blosc2
import numpy as np
import pytest
from dataset_folders import boxes, make_dataset, make_flat_dataset, make_plans, write_case

from ecg_flare.errors import PlanMismatchError, SiteDataError, StorageError
from ecg_flare.nnunet.dataset import PreparedDataset, prepare
from ecg_flare.nnunet.export import export_model_folder, load_model, save_model
from ecg_flare.nnunet.kinds import carried_document, plan_of, task_of, verified_plan
from ecg_flare.nnunet.memory import memory_need
from ecg_flare.nnunet.plan import Plan, initial_vector, network, network_layout, parameter_count, parameter_layout
from ecg_flare.nnunet.trainer import LocalTrainer, TrainOptions
from ecg_flare.task.datasets.folder import NnunetFolder
from ecg_flare.task.datasets.plans import preset_plan, stock_plan


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_dataset(tmp_path_factory.mktemp("data") / "Dataset007_Boxes")


@pytest.fixture(scope="module")
def plan(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Plan:
    return stock_plan(make_plans(tmp_path_factory.mktemp("plans"), folder / "dataset.json"), trainer="nnUNetTrainer")


@pytest.fixture(scope="module")
def prepared(folder: Path, plan: Plan, tmp_path_factory: pytest.TempPathFactory) -> PreparedDataset:
    return prepare(NnunetFolder(str(folder)), "a", plan, tmp_path_factory.mktemp("cache"), log=lambda _: None)


def test_a_stock_plan_knows_its_task(plan: Plan) -> None:
    task = task_of(plan)
    assert (plan.patch_size, plan.spacing, plan.normalization) == (
        (16, 16, 16),
        (1.0, 1.0, 1.0),
        ("ZScoreNormalization",),
    )
    assert (task.foreground, task.channels, task.ignored_value) == (("left", "right"), ("MRI",), None)
    assert (task.trainer, task.reader) == ("nnUNetTrainer", "SimpleITKIO")
    assert list(plan.plans["configurations"]) == ["3d_fullres"]


def test_a_plan_comes_out_of_its_document_as_it_went_in(plan: Plan) -> None:
    again = plan_of(plan.name, carried_document(plan))
    assert (again.hash, again.document, again.layout_digest) == (plan.hash, plan.document, plan.layout_digest)
    with pytest.raises(PlanMismatchError, match="0000"):
        verified_plan(plan.name, "0" * 64, plan.document)


def test_another_configuration_trainer_or_label_is_another_hash(folder: Path, plan: Plan, tmp_path: Path) -> None:
    plans = make_plans(tmp_path / "p", folder / "dataset.json")
    other = stock_plan(plans, configuration="other", trainer="nnUNetTrainer")
    assert (other.configuration["batch_size"], other.patch_size) == (3, (16, 16, 16))
    unmirrored = stock_plan(plans, trainer="nnUNetTrainerNoMirroring")
    found = json.loads((folder / "dataset.json").read_text())
    (tmp_path / "d.json").write_text(json.dumps({**found, "labels": {"background": 0, "right": 1, "left": 2}}))
    relabelled = stock_plan(plans, dataset_file=tmp_path / "d.json", trainer="nnUNetTrainer")
    (tmp_path / "e.json").write_text(json.dumps({**found, "numTraining": 99}))
    counted = stock_plan(plans, dataset_file=tmp_path / "e.json", trainer="nnUNetTrainer")
    assert len({plan.hash, other.hash, unmirrored.hash, relabelled.hash}) == 4
    assert counted.hash == plan.hash


def test_files_are_copied_and_preprocessed_by_nnunet(prepared: PreparedDataset) -> None:
    assert [entry.patient_id for entry in prepared.entries] == [f"case_{index:02d}" for index in range(5)]
    image, labels = boxes(np.random.default_rng(0), (16, 16, 16))
    data = blosc2.open(str(prepared.preprocessed_cases / "case_00.b2nd"))[:]
    truth = blosc2.open(str(prepared.preprocessed_cases / "case_00_seg.b2nd"))[:]
    np.testing.assert_allclose(data[0], (image - image.mean()) / image.std(), atol=1e-4)
    np.testing.assert_array_equal(truth[0], labels)


def test_the_network_is_nnunets_and_its_vector_has_a_layout(plan: Plan) -> None:
    module = network(plan)
    assert parameter_layout(plan) == network_layout(module)
    # 3x3x3 convolutions with affine norms, 2x2x2 transposed ones with a bias, two heads of three classes
    encoder = 27 * (1 * 4 + 4 * 8 + 8 * 8) + 2 * (4 + 8 + 8)
    decoder = 8 * (8 * 8 + 8 * 4) + 27 * (16 * 8 + 8 * 4) + 2 * (8 + 4) + (8 * 3 + 3) + (4 * 3 + 3)
    assert parameter_count(plan) in (encoder + decoder, encoder + decoder + 8 + 4)


def test_boxes_are_learnt(plan: Plan, prepared: PreparedDataset, tmp_path: Path) -> None:
    start = initial_vector(plan, 0)
    trainer = LocalTrainer(plan, prepared)
    before = trainer.validate(start)
    result = trainer.train(start, TrainOptions(steps=60, momentum=0.9, learning_rate=0.02))
    model = start + result.update
    counts = trainer.validate(model)
    again = LocalTrainer(plan, prepared).train(start, TrainOptions(steps=60, momentum=0.9, learning_rate=0.02))
    np.testing.assert_array_equal(again.update, result.update)
    assert sum(counts.tp) + sum(counts.fn) == 16**3 == sum(before.tp) + sum(before.fn)
    assert counts.dice(1, 2) > 0.5 > before.dice(1, 2)
    measured = task_of(plan).metric(model, prepared, "cpu")
    assert list(measured.dice_by_case) == [entry.name for entry in prepared.entries]
    assert measured.mean_dice > 0.4
    stored = load_model(save_model(tmp_path / "model.npz", model, plan))
    assert stored.plan.hash == plan.hash
    np.testing.assert_array_equal(stored.vector, model)


def test_stock_nnunet_predicts_the_held_out_case_from_the_exported_folder(
    plan: Plan, prepared: PreparedDataset, folder: Path, tmp_path: Path
) -> None:
    """Its own predictor, from files to files, finds what the training process counted."""
    import SimpleITK
    import torch

    from ecg_flare.nnunet.environment import nnunet_environment

    start = initial_vector(plan, 0)
    trainer = LocalTrainer(plan, prepared)
    model = start + trainer.train(start, TrainOptions(steps=60, momentum=0.9, learning_rate=0.02)).update
    exported = export_model_folder(model, plan, tmp_path / "model")
    with nnunet_environment():
        from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

        predictor = nnUNetPredictor(use_mirroring=False, perform_everything_on_device=False, device=torch.device("cpu"))
        predictor.initialize_from_trained_model_folder(str(exported), ("0",), "checkpoint_final.pth")
        [name] = prepared.names("val")
        (tmp_path / "out").mkdir()
        files = [[str(folder / "imagesTr" / f"{name}_0000.nii.gz")]]
        predictor.predict_from_files_sequential(files, [str(tmp_path / "out" / name)], overwrite=True)
    found = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(tmp_path / "out" / f"{name}.nii.gz")))
    truth = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(folder / "labelsTr" / f"{name}.nii.gz")))
    counts = trainer.validate(model)
    for label in (1, 2):
        assert counts.tp[label] == np.count_nonzero((found == label) & (truth == label))
        assert counts.fp[label] == np.count_nonzero((found == label) & (truth != label))


def test_two_dimensions_two_channels_and_an_ignore_label(tmp_path: Path) -> None:
    flat = make_flat_dataset(tmp_path / "flat")
    plan = stock_plan(make_plans(tmp_path / "p2", flat / "dataset.json", flat=True), trainer="nnUNetTrainer")
    assert (plan.configuration_name, plan.patch_size) == ("2d", (16, 16))
    data = prepare(NnunetFolder(str(flat)), "a", plan, tmp_path / "cache", log=lambda _: None)
    counts = LocalTrainer(plan, data).validate(initial_vector(plan, 0))
    assert sum(counts.tp) + sum(counts.fn) == 32**2

    deep = make_dataset(
        tmp_path / "deep", channels=("T1", "T2"), labels={"background": 0, "left": 1, "right": 2, "ignore": 3}
    )
    image, labels = boxes(np.random.default_rng(0), (16, 16, 16))
    labels[8:] = 3
    for index in range(5):
        write_case(deep, f"case_{index:02d}", np.stack([image, image + index]), labels)
    both = stock_plan(make_plans(tmp_path / "p3", deep / "dataset.json"), trainer="nnUNetTrainer")
    assert (both.channels, both.n_classes, both.ignored) == (("T1", "T2"), 3, 3)
    source = NnunetFolder(str(deep))
    trainer = LocalTrainer(both, prepare(source, "a", both, tmp_path / "cache", log=lambda _: None))
    result = trainer.train(initial_vector(both, 0), TrainOptions(steps=2))
    counts = trainer.validate(initial_vector(both, 0) + result.update)
    assert sum(counts.tp) + sum(counts.fn) == 8 * 16 * 16


def test_regions_are_counted_as_they_lie_in_each_other(tmp_path: Path) -> None:
    regions = {"background": 0, "whole": [1, 2], "core": [2]}
    root = make_dataset(tmp_path / "regions", labels=regions, more={"regions_class_order": [1, 2]})
    plan = stock_plan(make_plans(tmp_path / "p", root / "dataset.json"), trainer="nnUNetTrainer")
    path = tmp_path / "p" / "dataset.json"
    assert json.loads(path.read_text())["regions_class_order"] == [1, 2]
    assert (plan.has_regions, plan.n_classes, task_of(plan).foreground) == (True, 2, ("whole", "core"))
    trainer = LocalTrainer(plan, prepare(NnunetFolder(str(root)), "a", plan, tmp_path / "cache", log=lambda _: None))
    start = initial_vector(plan, 0)
    counts = trainer.validate(start + trainer.train(start, TrainOptions(steps=2)).update)
    box = 5 * 8 * 8
    assert counts.tp[1] + counts.fn[1] == 2 * box
    assert counts.tp[2] + counts.fn[2] == box


def test_a_changed_file_is_prepared_anew_and_another_description_is_refused(
    folder: Path, plan: Plan, tmp_path: Path
) -> None:
    import shutil

    copy = Path(shutil.copytree(folder, tmp_path / "copy"))
    source = NnunetFolder(str(copy))
    first = prepare(source, "a", plan, tmp_path / "cache", log=lambda _: None)
    assert prepare(source, "a", plan, tmp_path / "cache", log=lambda _: None).reused
    image, labels = boxes(np.random.default_rng(77), (16, 16, 16))
    write_case(copy, "case_00", image[None], labels)
    assert prepare(source, "a", plan, tmp_path / "cache", log=lambda _: None).folder != first.folder
    found = json.loads((copy / "dataset.json").read_text())
    (copy / "dataset.json").write_text(json.dumps({**found, "labels": {"background": 0, "left": 1}}))
    with pytest.raises(SiteDataError, match=r"has labels .*the plan 'Dataset007_Boxes-nnUNetPlans-3d_fullres' has"):
        prepare(source, "a", plan, tmp_path / "cache", log=lambda _: None)


def test_a_case_that_is_gone_from_the_cache_is_named(plan: Plan, folder: Path, tmp_path: Path) -> None:
    dataset = prepare(NnunetFolder(str(folder)), "a", plan, tmp_path, log=lambda _: None)
    [name] = dataset.names("val")
    for path in dataset.preprocessed_cases.glob(f"{name}*"):
        path.unlink()
    [entry] = [entry for entry in dataset.entries if entry.name == name]
    with pytest.raises(StorageError, match=f"{name}.*prepare again"):
        task_of(plan).segment(network(plan), dataset, entry)


def test_the_preset_asks_for_what_it_cannot_know(folder: Path, tmp_path: Path) -> None:
    from ecg_flare.errors import ConfigError

    plan = preset_plan("small_3d", folder / "dataset.json", spacing=(1, 0.5, 0.5), trainer="nnUNetTrainer")
    assert (plan.spacing, plan.patch_size, parameter_count(plan)) == ((1.0, 0.5, 0.5), (40, 56, 40), 350_921)
    with pytest.raises(ConfigError, match="three numbers"):
        preset_plan("small_3d", folder / "dataset.json", spacing=(1, 1), trainer="nnUNetTrainer")
    found = json.loads((folder / "dataset.json").read_text())
    (tmp_path / "ct.json").write_text(json.dumps({**found, "channel_names": {"0": "CT"}}))
    with pytest.raises(ConfigError, match="CT"):
        preset_plan("small_3d", tmp_path / "ct.json", spacing=(1, 1, 1), trainer="nnUNetTrainer")


def test_colour_pictures_are_one_file_of_three_channels(tmp_path: Path) -> None:
    import cv2

    flat = make_flat_dataset(tmp_path / "flat")
    description = json.loads((flat / "dataset.json").read_text())
    channels = {str(index): "rgb_to_0_1" for index in range(3)}
    (flat / "dataset.json").write_text(json.dumps({**description, "channel_names": channels}))
    plans = make_plans(tmp_path / "p", flat / "dataset.json", flat=True)
    plan = stock_plan(plans, trainer="nnUNetTrainerNoMirroring")
    with pytest.raises(SiteDataError, match=r"c0_0000\.png gives 1 channels, dataset\.json names 3"):
        prepare(NnunetFolder(str(flat)), "a", plan, tmp_path / "cache", log=lambda _: None)
    for path in (flat / "imagesTr").iterdir():
        cv2.imwrite(str(path), np.dstack([cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)] * 3))
    data = prepare(NnunetFolder(str(flat)), "a", plan, tmp_path / "cache", log=lambda _: None)
    assert plan.normalization == ("RGBTo01Normalization",) * 3
    counts = LocalTrainer(plan, data).validate(initial_vector(plan, 0))
    assert sum(counts.tp) + sum(counts.fn) == 32**2


def test_a_residual_encoder_of_nnunets_presets_is_a_plan_like_any_other(plan: Plan) -> None:
    document = json.loads(plan.document)
    [configuration] = document["plans"]["configurations"].values()
    architecture = configuration["architecture"]
    architecture["network_class_name"] = "dynamic_network_architectures.architectures.unet.ResidualEncoderUNet"
    del architecture["arch_kwargs"]["n_conv_per_stage"]
    architecture["arch_kwargs"]["n_blocks_per_stage"] = [1, 2, 2]
    other = plan_of("resenc", json.dumps(document))
    module = network(other)
    assert parameter_count(other) == sum(parameter.numel() for parameter in module.parameters())
    assert other.layout_digest != plan.layout_digest
    assert memory_need(other).total_bytes > memory_need(plan).total_bytes
