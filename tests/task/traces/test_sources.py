"""Page sources: what they draw, what they are built from, and what they refuse."""

import json
import sys
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np
import pytest
from nnunet_scribbles import ScribbledPages, scribbled_page

from ecg_flare.ecg.record import write_wfdb
from ecg_flare.ecg.synthetic import synthesize
from ecg_flare.errors import ConfigError, LayoutError, SiteDataError
from ecg_flare.nnunet.case import CaseSource
from ecg_flare.nnunet.sources import build_source, source_params, to_spec
from ecg_flare.page.raster import Label
from ecg_flare.page.site_profile import load_profile, profile_page
from ecg_flare.task.traces.page_case import PageCase
from ecg_flare.task.traces.page_folder import PageFolder
from ecg_flare.task.traces.pooled_pages import PooledPages
from ecg_flare.task.traces.sources import PtbxlPages, SyntheticPages

TWO_SITES = SyntheticPages({"site-1": "plain", "site-2": "plain"}, pages_per_site=3, pages_per_patient=2)


def same(a: PageCase, b: PageCase) -> bool:
    return a.name == b.name and np.array_equal(a.image, b.image) and np.array_equal(a.mask, b.mask)


def test_synthetic_pages_are_functions_of_site_and_seed() -> None:
    first, again = list(TWO_SITES.cases("site-1")), list(TWO_SITES.cases("site-1"))
    assert [case.patient_id for case in first] == ["patient-0000", "patient-0000", "patient-0001"]
    assert all(same(a, b) for a, b in zip(first, again, strict=True))
    assert not same(first[0], next(TWO_SITES.cases("site-2")))
    other_seed = SyntheticPages(TWO_SITES.profiles, pages_per_site=3, seed=1)
    assert not same(first[0], next(other_seed.cases("site-1")))
    for case in first:
        assert set(np.unique(case.mask)) <= set(Label)
        assert 0.003 < np.mean(case.mask == Label.TRACE) < 0.15


def test_the_trace_of_a_mask_is_dark_ink() -> None:
    case = next(TWO_SITES.cases("site-1"))
    grey = case.image.mean(2)
    assert grey[case.mask == Label.TRACE].mean() < grey[case.mask == Label.BACKGROUND].mean() - 40


@pytest.mark.parametrize(
    ("source", "error", "named"),
    [
        (SyntheticPages({"a": "plain"}), SiteDataError, "'b'.*a"),
        (SyntheticPages({"b": "no such"}), LayoutError, "no such"),
        (PtbxlPages("/nowhere", {"a": {"shard": 0, "of": 2}}, {}), SiteDataError, "'b'"),
        (PtbxlPages("/nowhere", {"b": {"shard": 0, "of": 2}}, {"b": "plain"}), SiteDataError, "/nowhere"),
        (PtbxlPages("/nowhere", {"b": {"shard": 2, "of": 2}}, {"b": "plain"}), ConfigError, "'shard'.*2"),
        (PtbxlPages("/nowhere", {"b": {}}, {"b": "plain"}), ConfigError, "ptbxl_site"),
        (PageFolder(), SiteDataError, "folder"),
        (PageFolder("/nowhere/{site}"), SiteDataError, "/nowhere/b"),
        (PageFolder(folders={"a": "/"}), SiteDataError, "'b'"),
    ],
)
def test_a_source_that_cannot_serve_a_site(source: CaseSource, error: type[Exception], named: str) -> None:
    with pytest.raises(error, match=named):
        list(source.cases("b"))


def test_pages_change_with_the_file_of_a_layout(tmp_path: Path) -> None:
    profile, layout = tmp_path / "ours.yaml", tmp_path / "limb.yaml"
    profile.write_text("style: {layout: limb.yaml, dpi: 60}")
    source = SyntheticPages({"site-1": str(profile)}, pages_per_site=1)
    described = []
    for lead in ("I", "aVF"):
        layout.write_text(f"rows: [[{{lead: {lead}, duration_s: 10}}]]")
        described.append(source.describe("site-1"))
        (case,) = source.cases("site-1")
        assert (case.mask == Label.TRACE).any()
    assert described[0]["profile"] != described[1]["profile"]
    assert list(source.paths("site-1")) == [str(profile), str(layout)]


def test_counts_of_synthetic_pages_are_checked() -> None:
    with pytest.raises(ConfigError, match=r"pages_per_site.*0"):
        SyntheticPages({}, pages_per_site=0)


@pytest.mark.parametrize(
    "source",
    [
        TWO_SITES,
        PtbxlPages("root", {"a": {"ptbxl_site": "0"}}, {"a": "plain"}, folds=[1, 2], limit=4),
        PageFolder("/pages/{site}", px_per_mm=8.0),
        ScribbledPages(pages=2),
    ],
)
def test_a_spec_builds_the_source_again(source: CaseSource) -> None:
    params = json.loads(json.dumps(source_params(source)))
    assert build_source(params["source"], own_class=params.get("own_class", "")) == source


def test_a_sites_own_source_is_found_on_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "hospital_pages.py").write_text(
        "from dataclasses import dataclass\n"
        "@dataclass(frozen=True)\nclass Ours:\n    ward: str\n"
        "    def describe(self, site): return self.ward\n    def cases(self, site): return iter(())\n"
    )
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    spec = {"path": "hospital_pages.Ours", "args": {"ward": "3B"}}
    source = build_source(spec, own_class="hospital_pages.Ours")
    assert source.describe("x") == "3B"
    assert source_params(source) == {"source": spec, "own_class": "hospital_pages.Ours"}
    sys.modules.pop("hospital_pages")
    with pytest.raises(ConfigError, match="none of"):
        build_source(spec)
    assert "hospital_pages" not in sys.modules


def test_a_spec_runs_nothing_that_is_no_page_source(tmp_path: Path) -> None:
    touched = tmp_path / "touched"
    spec = {"path": "subprocess.Popen", "args": {"args": ["touch", str(touched)]}}
    with pytest.raises(ConfigError, match="none of"):
        build_source(spec)
    with pytest.raises(ConfigError, match="no dataclass"):
        build_source(spec, own_class="subprocess.Popen")
    assert not touched.exists()


@pytest.mark.parametrize(
    ("spec", "named"),
    [
        ({}, "None"),
        ({"path": "Pages"}, "'Pages'"),
        ({"path": "no.such.Pages"}, "no.such.Pages"),
        ({"path": "ecg_flare.task.traces.sources.SyntheticPages", "args": []}, r"\[\]"),
        ({"path": "ecg_flare.task.traces.sources.PageFolder"}, "none of"),
        ({"path": "ecg_flare.task.traces.page_folder.PageFolder", "args": {"depth": 3}}, "depth"),
        ({"path": "ecg_flare.nnunet.plan.Plan", "args": {"name": "x", "plans": {}, "dataset_json": {}}}, "none of"),
    ],
)
def test_a_bad_spec_is_named(spec: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        build_source(spec)


@pytest.mark.parametrize(
    ("path", "args", "named"),
    [
        ("no.such.Pages", {}, "no.such.Pages"),
        ("Pages", {}, "'Pages'"),
        ("pathlib.PurePath", {}, "no dataclass"),
        ("ecg_flare.ecg.leads.LEADS", {}, "no dataclass"),
        (
            "ecg_flare.nnunet.plan.Plan",
            {"name": "x", "plans": {}, "dataset_json": {}, "configuration_name": "", "kind": ""},
            "describe",
        ),
    ],
)
def test_an_own_class_that_is_no_page_source_is_named(path: str, args: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        build_source({"path": path, "args": args}, own_class=path)


def test_a_source_must_be_json() -> None:
    with pytest.raises(ConfigError, match="JSON"):
        to_spec(SyntheticPages({"a": "plain"}, seed=object()))  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="dataclass"):
        to_spec(type("Loose", (), {})())


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as rendering writes it: NAME.png, NAME.json, NAME.hea, NAME.dat."""
    folder = tmp_path_factory.mktemp("rendered")
    rng = np.random.default_rng(4)
    for name in ("anna_1", "ben_1"):
        recording = synthesize(rng)
        page = profile_page(recording, load_profile("plain"), rng)
        cv2.imwrite(str(folder / f"{name}.png"), page.image[..., ::-1])
        (folder / f"{name}.json").write_text(page.truth.to_json())
        write_wfdb(recording, folder, name)
    return folder


def test_a_rendered_folder_gives_masks_from_its_truth(rendered: Path) -> None:
    cases = list(PageFolder(str(rendered)).cases("any"))
    assert [(case.name, case.patient_id) for case in cases] == [("anna_1", "anna"), ("ben_1", "ben")]
    for case in cases:
        assert case.image.shape[0] < 1300
        assert np.mean(case.mask == Label.TRACE) > 0.003


def drawn(folder: Path, names: tuple[str, ...] = ("a_1", "b_1"), *, masks: str = "beside") -> Path:
    """A folder of pages with masks, twice the network's resolution."""
    folder.mkdir(exist_ok=True)
    (folder / "masks").mkdir(exist_ok=True)
    for index, name in enumerate(names):
        image, mask = scribbled_page(np.random.default_rng(index), 200, 300)
        large = {"interpolation": cv2.INTER_NEAREST, "fx": 2, "fy": 2}
        cv2.imwrite(str(folder / f"{name}.png"), cv2.resize(image[..., ::-1], None, **large))
        target = folder / f"{name}.mask.png" if masks == "beside" else folder / "masks" / f"{name}.png"
        cv2.imwrite(str(target), cv2.resize(mask, None, **large))
    return folder


@pytest.mark.parametrize("masks", ["beside", "subfolder"])
def test_pages_with_masks_are_brought_to_the_networks_resolution(tmp_path: Path, masks: str) -> None:
    source = PageFolder(str(drawn(tmp_path / "site-1", masks=masks).parent / "{site}"), px_per_mm=8.0)
    for index, case in enumerate(source.cases("site-1")):
        image, mask = scribbled_page(np.random.default_rng(index), 200, 300)
        np.testing.assert_array_equal(case.image, image)
        np.testing.assert_array_equal(case.mask, mask)


def test_patients_from_a_table_and_from_a_pattern(tmp_path: Path) -> None:
    folder = str(drawn(tmp_path / "pages"))
    pattern = PageFolder(folder, px_per_mm=8.0, patient_pattern=r"_(\d+)$")
    assert [case.patient_id for case in pattern.cases("s")] == ["1", "1"]
    (tmp_path / "pages" / "patients.csv").write_text("page,patient_id\na_1.png,77\nb_1,78\n")
    assert [case.patient_id for case in PageFolder(folder, px_per_mm=8.0).cases("s")] == ["77", "78"]


def test_the_description_follows_the_content(tmp_path: Path) -> None:
    folder = drawn(tmp_path / "pages")
    source = PageFolder(str(folder), px_per_mm=8.0)
    before = source.describe("s")
    (folder / "a_1.mask.png").write_bytes((folder / "b_1.mask.png").read_bytes())
    assert source.describe("s") != before


def spoil(folder: Path, how: str) -> dict[str, Any]:
    page, mask = folder / "a_1.png", folder / "a_1.mask.png"
    if how == "corrupt page":
        page.write_bytes(b"\x89PNG\r\n\x1a\n and then nothing")
    elif how == "short page":
        page.write_bytes(page.read_bytes()[:-2000])
    elif how == "empty page":
        page.write_bytes(b"")
    elif how == "corrupt mask":
        mask.write_bytes(b"no image")
    elif how == "no mask":
        mask.unlink()
    elif how == "small mask":
        cv2.imwrite(str(mask), np.zeros((9, 9), np.uint8))
    elif how == "strange mask":
        cv2.imwrite(str(mask), np.full((400, 600), 255, np.uint8))
    elif how == "bad truth":
        page.with_suffix(".json").write_text("{}")
    elif how == "table without the page":
        (folder / "patients.csv").write_text("page,patient_id\nb_1,78\n")
    elif how == "table without columns":
        (folder / "patients.csv").write_text("file,who\na_1,78\n")
    elif how == "no resolution":
        return {"px_per_mm": None}
    elif how == "table with a blank":
        (folder / "patients.csv").write_text("page,patient_id\na_1,78\nb_1, \n")
    elif how == "table with two patients":
        (folder / "patients.csv").write_text("page,patient_id\na_1,a\na_1.png,b\n")
    elif how == "no match":
        return {"patient_pattern": "^(Z)"}
    elif how == "nothing":
        for path in folder.glob("*.png"):
            path.unlink()
    return {}


@pytest.mark.parametrize(
    ("how", "named"),
    [
        ("corrupt page", r"a_1\.png"),
        ("short page", r"a_1\.png"),
        ("empty page", r"a_1\.png is empty"),
        ("corrupt mask", r"a_1\.mask\.png"),
        ("no mask", r"a_1\.mask\.png"),
        ("small mask", r"\(9, 9\).*\(400, 600\)"),
        ("strange mask", r"a_1\.mask\.png is black and white \(0 and 255\); the labels are 0 to 3"),
        ("bad truth", r"a_1\.json"),
        ("table without the page", "'a_1'"),
        ("table without columns", "page, patient_id"),
        ("no resolution", "px_per_mm"),
        ("table with a blank", "line 3 .*'b_1'"),
        ("table with two patients", "'a_1' to two patients: 'a' and 'b'"),
        ("no match", r"a_1\.png.*patients\.csv"),
        ("nothing", "no page images"),
    ],
)
def test_a_folder_with_a_fault_is_named(tmp_path: Path, how: str, named: str) -> None:
    folder = drawn(tmp_path / "pages")
    settings = {"px_per_mm": 8.0, **spoil(folder, how)}
    with pytest.raises(SiteDataError, match=named):
        list(PageFolder(str(folder), **settings).cases("s"))


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"px_per_mm": -1.0}, "-1.0"),
        ({"px_per_mm": "7.9"}, "'7.9'"),
        ({"px_per_mm": float("nan")}, "nan"),
        ({"patient_pattern": "(["}, "regular expression"),
        ({"patient_pattern": "^a"}, "no group"),
    ],
)
def test_impossible_settings_of_a_folder_are_named(settings: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        PageFolder("pages", **settings)


def test_a_limit_takes_whole_patients(tmp_path: Path) -> None:
    header = "ecg_id,patient_id,site,device,strat_fold,scp_codes,filename_hr\n"
    rows = [f"{ecg},{patient},0,AT-6,1,{{}},records500/{ecg}_hr\n" for ecg, patient in enumerate([7, 8, 8, 7, 9, 8])]
    (tmp_path / "ptbxl_database.csv").write_text(header + "".join(rows))

    def records(limit: int | None) -> list[int]:
        source = PtbxlPages(str(tmp_path), {"s": {"shard": 0, "of": 1}}, {"s": "plain"}, limit=limit)
        return cast("list[int]", source.describe("s")["records"])

    assert records(None) == [0, 1, 2, 3, 4, 5]
    assert records(4) == [0, 3, 4]  # patient 8 has three records, and there is room for two
    assert records(5) == [0, 1, 2, 3, 5]
    with pytest.raises(ConfigError, match="limit=0"):
        records(0)


def test_a_truth_of_another_page_is_refused(rendered: Path, tmp_path: Path) -> None:
    folder = drawn(tmp_path / "pages")
    (folder / "a_1.json").write_text((rendered / "anna_1.json").read_text())
    with pytest.raises(SiteDataError, match="400 x 600"):
        list(PageFolder(str(folder), px_per_mm=8.0).cases("s"))


@pytest.mark.realdata
def test_ptbxl_pages_follow_the_rule(data_root: Path) -> None:
    root = str(data_root / "ptbxl")
    shards = {f"s{k}": {"shard": k, "of": 3} for k in range(3)}
    profiles = dict.fromkeys([*shards, "zero"], "plain")
    source = PtbxlPages(root, {**shards, "zero": {"ptbxl_site": "0", "shard": 0, "of": 3}}, profiles)
    records = {site: source.describe(site)["records"] for site in profiles}
    assert sorted(records["s0"] + records["s1"] + records["s2"]) == sorted(
        PtbxlPages(root, {"all": {"shard": 0, "of": 1}}, {"all": "plain"}).describe("all")["records"]
    )
    assert set(records["zero"]) < set(records["s0"])
    folds = PtbxlPages(root, {"a": {"shard": 0, "of": 1}}, {"a": "plain"}, folds=[3], limit=2)
    cases = list(folds.cases("a"))
    assert [case.name for case in cases] == [f"ptbxl-{i:05d}" for i in folds.describe("a")["records"]]
    assert len(cases) == 2
    assert all(np.mean(case.mask == Label.TRACE) > 0.003 for case in cases)


def test_pooled_pages_are_the_sites_own_pages_under_their_names() -> None:
    args = {"profiles": {"a": "plain", "b": "district"}, "pages_per_site": 2, "seed": 3}
    pooled = PooledPages(SyntheticPages(**args), ("a", "b"))
    cases = list(pooled.cases("anybody"))
    own = [case for site in ("a", "b") for case in SyntheticPages(**args).cases(site)]
    assert [case.name for case in cases] == [f"{site}-{case.name}" for site, case in zip("aabb", own, strict=True)]
    assert len({case.patient_id for case in cases}) == 2
    for one, other in zip(cases, own, strict=True):
        assert np.array_equal(one.image, other.image)
    with pytest.raises(ConfigError, match="none"):
        PooledPages(SyntheticPages(**args), ())
