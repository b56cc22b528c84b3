"""What is wrong with a data set is told before anything trains: the file, the value, and what to do."""

import gzip
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import SimpleITK
from dataset_folders import boxes, make_dataset, make_plans, write_case

from ecg_flare.errors import ConfigError, SiteDataError
from ecg_flare.nnunet.kinds import plan_of
from ecg_flare.nnunet.plan import Plan
from ecg_flare.task.datasets.folder import NnunetFolder
from ecg_flare.task.datasets.inspection import inspect_folder
from ecg_flare.task.datasets.plans import stock_plan
from ecg_flare.task.inspection import Inspection


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_dataset(tmp_path / "data", cases=3)


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    folder = tmp_path_factory.mktemp("agreed")
    data = make_dataset(folder / "data", cases=1)
    return stock_plan(make_plans(folder / "plans", data / "dataset.json"), trainer="nnUNetTrainer")


def inspect(root: Path, plan: Plan) -> Inspection:
    return inspect_folder(NnunetFolder(str(root), cases_are_patients=True), "site-1", plan)


def a_strange_label(root: Path) -> None:
    image, labels = boxes(np.random.default_rng(1), (16, 16, 16))
    labels[0, 0, 0] = 9
    write_case(root, "case_01", image[None], labels)


def another_shape(root: Path) -> None:
    image, labels = boxes(np.random.default_rng(1), (16, 16, 16))
    write_case(root, "case_01", image[None], labels[:, :, :15])


def another_spacing(root: Path) -> None:
    image, labels = boxes(np.random.default_rng(1), (16, 16, 16))
    write_case(root, "case_01", image[None], labels)
    found = SimpleITK.GetImageFromArray(labels)
    found.SetSpacing((1, 1, 2))
    SimpleITK.WriteImage(found, str(root / "labelsTr" / "case_01.nii.gz"))


def no_labels(root: Path) -> None:
    (root / "labelsTr" / "case_01.nii.gz").unlink()


def no_image(root: Path) -> None:
    (root / "imagesTr" / "case_01_0000.nii.gz").unlink()


def one_channel_too_many(root: Path) -> None:
    shutil.copy(root / "imagesTr" / "case_01_0000.nii.gz", root / "imagesTr" / "case_01_0001.nii.gz")


def a_fourth_dimension(root: Path) -> None:
    image = SimpleITK.GetImageFromArray(np.zeros((2, 16, 16, 16), np.float32), isVector=False)
    SimpleITK.WriteImage(image, str(root / "imagesTr" / "case_01_0000.nii.gz"))


def a_cut_file(root: Path) -> None:
    path = root / "imagesTr" / "case_01_0000.nii.gz"
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes())[:500]))


def a_cut_archive(root: Path) -> None:
    path = root / "imagesTr" / "case_01_0000.nii.gz"
    path.write_bytes(path.read_bytes()[:-100])


def no_nifti(root: Path) -> None:
    (root / "labelsTr" / "case_01.nii.gz").write_bytes(gzip.compress(b"not an image"))


@pytest.mark.parametrize(
    ("spoil", "named"),
    [
        (a_strange_label, r"labelsTr/case_01\.nii\.gz has the label 9, dataset\.json knows 0, 1, 2"),
        (another_shape, r"labelsTr/case_01\.nii\.gz has the shape 16 x 16 x 15, its image 16 x 16 x 16"),
        (another_spacing, r"labelsTr/case_01\.nii\.gz has the spacing 2 x 1 x 1, its image 1 x 1 x 1"),
        (no_labels, r"case 'case_01' has no labels"),
        (no_image, r"case 'case_01' lacks the channel case_01_0000\.nii\.gz"),
        (one_channel_too_many, r"case 'case_01' has 2 channels, dataset\.json names 1"),
        (a_fourth_dimension, r"imagesTr/case_01_0000\.nii\.gz gives 2 channels, dataset\.json names 1"),
        (a_cut_file, r"imagesTr/case_01_0000\.nii\.gz cannot be read: it has 500 of 16736 bytes"),
        (a_cut_archive, r"imagesTr/case_01_0000\.nii\.gz cannot be read: Compressed file ended"),
        (no_nifti, r"labelsTr/case_01\.nii\.gz cannot be read: it has no header of NIfTI-1"),
    ],
)
def test_a_bad_case_is_named_and_the_others_are_looked_at(
    root: Path, plan: Plan, spoil: Callable[[Path], None], named: str
) -> None:
    spoil(root)
    found = inspect(root, plan)
    assert (found.found, [case.name for case in found.cases]) == (3, ["case_00", "case_02"])
    [finding] = found.findings
    assert (finding.case, finding.stops) == ("case_01", True)
    with pytest.raises(SiteDataError, match=named):
        raise SiteDataError(finding.what)
    with pytest.raises(SiteDataError, match=named):
        list(NnunetFolder(str(root)).cases("site-1"))


def test_a_data_set_that_is_well_has_nothing_to_tell(root: Path, plan: Plan) -> None:
    found = inspect(root, plan)
    assert (found.ready, found.findings, dict(found.cases_by_patient)) == (
        True,
        (),
        {f"case_{index:02d}": 1 for index in range(3)},
    )
    assert found.cache_bytes > 3 * 16**3 * 4


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"labels": {"background": 0, "left": 1}}, r"labels \{.*\}, the plan 'Dataset007_Boxes"),
        ({"channel_names": {"0": "CT"}}, r"channel_names .*'CT'.*'MRI'"),
    ],
)
def test_sites_that_disagree_on_labels_or_channels_are_told(
    root: Path, plan: Plan, change: dict[str, object], named: str
) -> None:
    path = root / "dataset.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    finding = inspect(root, plan).findings[0]
    assert finding.stops
    with pytest.raises(SiteDataError, match=named):
        raise SiteDataError(finding.what)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("{", "dataset.json"),
        ("{}", "lacks channel_names or labels"),
        ('{"channel_names": {"0": "MRI"}, "labels": {"background": 0, "a": 1}}', "file_ending"),
    ],
)
def test_a_description_that_is_none_is_named(root: Path, plan: Plan, text: str, named: str) -> None:
    (root / "dataset.json").write_text(text)
    with pytest.raises(SiteDataError, match=named):
        inspect(root, plan)


def test_folders_that_are_none_are_named(root: Path, plan: Plan, tmp_path: Path) -> None:
    with pytest.raises(SiteDataError, match=r"does not exist: .*nowhere"):
        inspect(tmp_path / "nowhere", plan)
    shutil.rmtree(root / "labelsTr")
    with pytest.raises(SiteDataError, match=r"labelsTr does not exist"):
        inspect(root, plan)
    (root / "labelsTr").mkdir()
    shutil.rmtree(root / "imagesTr")
    (root / "imagesTr").mkdir()
    with pytest.raises(SiteDataError, match="has no case"):
        inspect(root, plan)


def test_whose_a_case_is_stands_in_a_table_or_in_its_name(root: Path, plan: Plan) -> None:
    unsaid = inspect_folder(NnunetFolder(str(root)), "site-1", plan)
    assert not unsaid.ready
    assert {finding.what for finding in unsaid.findings} >= {"nothing says whose case it is"}
    by_name = NnunetFolder(str(root), patient_pattern=r"_0?(\d)")
    assert {case.patient_id for case in by_name.cases("site-1")} == {"0", "1", "2"}
    (root / "patients.csv").write_text("case,patient_id\ncase_00,anna\ncase_01,anna\ncase_02,bela\ngone,carl\n")
    assert [case.patient_id for case in NnunetFolder(str(root)).cases("site-1")] == ["anna", "anna", "bela"]
    [absent] = inspect_folder(NnunetFolder(str(root)), "site-1", plan).findings
    assert (absent.what, absent.stops) == ("patients.csv names 1 cases that are not there, 'gone' first", False)
    (root / "patients.csv").write_text("case,patient_id\ncase_00,anna\ncase_01,anna\ncase_02,anna\n")
    assert "are of 1 patients" in inspect_folder(NnunetFolder(str(root)), "site-1", plan).findings[0].what
    (root / "patients.csv").write_text("case,patient_id\ncase_00,anna\n")
    with pytest.raises(SiteDataError, match="no row for case 'case_01'"):
        list(NnunetFolder(str(root)).cases("site-1"))
    for text, named in (("case\nx\n", "needs the columns"), ("case,patient_id\ncase_00,\n", "line 2")):
        (root / "patients.csv").write_text(text)
        with pytest.raises(SiteDataError, match=named):
            list(NnunetFolder(str(root)).cases("site-1"))


def test_a_source_that_cannot_be_is_refused() -> None:
    wrong = (({"folder": 3}, "the path"), ({"patient_pattern": "("}, "regular"), ({"patient_pattern": "a"}, "group"))
    for args, named in wrong:
        with pytest.raises(ConfigError, match=named):
            NnunetFolder(**args)
    with pytest.raises(SiteDataError, match="Found neither"):
        list(NnunetFolder().cases("site-1"))
    with pytest.raises(SiteDataError, match="no data set is given for site 'b'"):
        list(NnunetFolder(folders={"a": "/x"}).cases("b"))


def changed(plan: Plan, *path: str | int, value: object) -> str:
    """The plan's document with one entry changed."""
    document = json.loads(plan.document)
    place = document
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return json.dumps(document)


CONFIGURATION = ("plans", "configurations", "3d_fullres")
NETWORK = (*CONFIGURATION, "architecture")
INTENSITIES = "foreground_intensity_properties_per_channel"


@pytest.mark.parametrize(
    ("path", "value", "named"),
    [
        ((*NETWORK, "network_class_name"), "os.system", "network_class_name is 'os.system'"),
        ((*NETWORK, "arch_kwargs", "conv_op"), "subprocess.Popen", "conv_op is 'subprocess.Popen'"),
        ((*NETWORK, "arch_kwargs", "dropout_op"), "os.system", "dropout_op is 'os.system'"),
        ((*NETWORK, "_kw_requires_import"), ["n_stages"], "_kw_requires_import has 'n_stages'"),
        ((*CONFIGURATION, "preprocessor_name"), "Evil", "preprocessor_name is 'Evil'"),
        ((*CONFIGURATION, "resampling_fn_data"), "evil", "resampling_fn_data is 'evil'"),
        ((*CONFIGURATION, "normalization_schemes"), ["Evil"], "normalization 'Evil'"),
        ((*CONFIGURATION, "normalization_schemes"), ["ZScoreNormalization"] * 2, "normalizes 2 channels"),
        ((*CONFIGURATION, "data_identifier"), "../../x", "data_identifier is '../../x'"),
        ((*CONFIGURATION, "patch_size"), [16], "patch_size"),
        ((*CONFIGURATION, "batch_size"), 0, "batch_size"),
        ((*CONFIGURATION, "previous_stage"), "3d_lowres", "cascade"),
        (("plans", INTENSITIES), {}, f"{INTENSITIES} has no channel 0, which ZScoreNormalization asks for"),
        ((*CONFIGURATION, "normalization_schemes"), ["CTNormalization"], "channel 0: mean must be a number"),
        (("plans", "dataset_name"), "/etc", "dataset_name is '/etc'"),
        (("plans", "image_reader_writer"), "os", "image_reader_writer is 'os'"),
        (("plans", "label_manager"), "os", "label_manager is 'os'"),
        (("dataset_json", "labels"), {"background": 0}, "at least one more"),
        (("dataset_json", "labels"), {"background": 0, "a": "x"}, "label 'a' is 'x'"),
        (("dataset_json", "file_ending"), ".pkl", "file_ending is '.pkl'"),
        (("dataset_json", "channel_names"), {"1": "MRI"}, "channel_names"),
        (("configuration_name",), "2d", "no configuration '2d'"),
    ],
)
def test_a_plan_of_a_job_names_nothing_but_what_is_listed(
    plan: Plan, path: tuple[str | int, ...], value: object, named: str
) -> None:
    assert plan_of(plan.name, plan.document).hash == plan.hash
    with pytest.raises(ConfigError, match=named):
        plan_of(plan.name, changed(plan, *path, value=value))


def test_a_preset_is_not_replaced_by_a_document(plan: Plan) -> None:
    with pytest.raises(ConfigError, match="'tiny' is a preset"):
        plan_of("tiny", plan.document)


def test_plans_that_cannot_be_read_are_named(tmp_path: Path, root: Path) -> None:
    with pytest.raises(ConfigError, match=r"plans\.json cannot be read"):
        stock_plan(tmp_path / "plans.json", trainer="nnUNetTrainer")
    plans = make_plans(tmp_path / "p", root / "dataset.json")
    with pytest.raises(ConfigError, match="no configuration '3d_lowres'"):
        stock_plan(plans, configuration="3d_lowres", trainer="nnUNetTrainer")
    (tmp_path / "p" / "dataset.json").unlink()
    with pytest.raises(ConfigError, match=r"dataset\.json cannot be read"):
        stock_plan(plans, trainer="nnUNetTrainer")
