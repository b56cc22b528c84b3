"""The worked example of custom/diagnosis: what its cases hold, and that its network is one that sites can train."""

from pathlib import Path

import numpy as np
import pytest
import torch
from ptbxl_diagnosis import Superclasses
from ptbxl_recordings import PtbxlRecordings, diagnostic_classes, to_inputs
from resnet1d import printed_3x4
from small_ptbxl import make_ptbxl

from ecg_flare.ecg.record import Recording
from ecg_flare.errors import SiteDataError
from ecg_flare.federated.update import layout_size
from ecg_flare.page.layout import load_layout
from ecg_flare.task.modules import plan_of_task

SITES = {"berlin": ["0"], "lyon": ["1", "2"], "porto": []}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_ptbxl(tmp_path_factory.mktemp("ptbxl"))


def test_a_site_has_its_own_recordings_that_show_a_superclass(root: Path) -> None:
    source = PtbxlRecordings(str(root), SITES)
    berlin = list(source.cases("berlin"))
    assert [(case.name, case.patient_id) for case in berlin] == [
        ("00002", "902"),
        ("00003", "903"),
        ("00004", "904"),
    ]
    assert len(list(source.cases("lyon"))) == 6
    assert [case.name for case in PtbxlRecordings(str(root), SITES, folds=(2,)).cases("berlin")] == ["00002"]
    assert [case.name for case in PtbxlRecordings(str(root), SITES, limit=1).cases("berlin")] == ["00002"]
    assert all(case.inputs.shape == (12, 1000) and case.inputs.dtype == np.float32 for case in berlin)
    # the codes of recording 2 are NDT and CRBBB, whatever their likelihood
    assert berlin[0].target.tolist() == [0, 0, 1, 1, 0]


def test_statements_without_a_superclass_are_left_out(root: Path) -> None:
    assert diagnostic_classes(root) == {"NORM": "NORM", "IMI": "MI", "NDT": "STTC", "CRBBB": "CD", "LVH": "HYP"}


def test_what_the_folder_lacks_is_said(root: Path, tmp_path: Path) -> None:
    with pytest.raises(SiteDataError, match="no recordings are given to site 'oslo': found them for berlin"):
        PtbxlRecordings(str(root), SITES).describe("oslo")
    with pytest.raises(SiteDataError, match=r"has no scp_statements\.csv"):
        PtbxlRecordings(str(tmp_path), SITES).describe("berlin")
    gone = make_ptbxl(tmp_path / "gone", sites=("0",))
    (gone / "records500" / "00003_hr.hea").unlink()
    with pytest.raises(SiteDataError, match="PTB-XL record 3 is missing"):
        list(PtbxlRecordings(str(gone), SITES).cases("berlin"))


def test_inputs_lie_around_their_medians_and_gaps_are_zero() -> None:
    t = np.arange(5000) / 500
    signal = np.stack([0.2 * lead + np.sin(2 * np.pi * t) for lead in range(12)]).astype(np.float32)
    signal[3, :2500] = np.nan
    inputs = to_inputs(Recording(signal, 500.0))
    slow = np.sin(2 * np.pi * np.arange(1000) / 100)
    np.testing.assert_allclose(inputs[0, 50:-50], slow[50:-50], atol=0.01)
    assert (np.abs(inputs[3, :480]) < 1e-3).all()
    assert np.abs(inputs[3, 520:]).max() > 0.9


def test_the_cut_is_what_a_page_of_3x4_leads_prints() -> None:
    leads = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")
    expected = torch.zeros(12, 1000, dtype=torch.bool)
    for row in load_layout("3x4+1R").rows:
        for segment in row:
            first = round(100 * segment.start_s)
            expected[leads.index(segment.lead), first : first + round(100 * segment.duration_s)] = True
    whole = torch.ones(2, 12, 1000)
    cut = printed_3x4(whole, torch.tensor([True, False]))
    assert torch.equal(cut[0].bool(), expected)
    assert torch.equal(cut[1], whole[1])


def test_the_network_is_small_and_is_its_parameters_alone() -> None:
    task = Superclasses()
    plan = plan_of_task(task)
    assert 100_000 < layout_size(plan.layout) < 300_000
    module = task.module().eval()
    with torch.inference_mode():
        logits = module(torch.randn(3, 12, 1000))
    assert logits.shape == (3, 5)
    assert plan_of_task(Superclasses(head_only=True)).last_part == ("head.*",)
