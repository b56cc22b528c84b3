from pathlib import Path

import numpy as np
import pytest

from ecg_flare.ecg.record import Recording, read_wfdb
from ecg_flare.errors import LayoutError
from ecg_flare.page.distribution import Choice, Fixed
from ecg_flare.page.layout import layout_names
from ecg_flare.page.render import Page
from ecg_flare.page.site_profile import (
    SiteProfile,
    load_profile,
    parse_profile,
    profile_layout_files,
    profile_names,
    profile_page,
)

SITES = ("district", "university", "archive", "clinic_photo")


def page_of(recording: Recording, name: str, seed: int) -> Page:
    return profile_page(recording, load_profile(name), np.random.default_rng(seed))


def possible(profile: SiteProfile, part: str, name: str) -> set[str]:
    distribution = profile.parts[part][name] if part else profile.style[name]
    if isinstance(distribution, Choice):
        return set(distribution.values)
    assert isinstance(distribution, Fixed)
    return {distribution.value}


def test_the_profiles_that_jobs_name_are_there() -> None:
    assert {*SITES, "plain", "public", "broad", "competition"} <= set(profile_names())


@pytest.mark.parametrize("name", profile_names())
def test_the_same_seed_gives_the_same_page_to_the_pixel(waves: Recording, name: str) -> None:
    one, same = (page_of(waves, name, 11) for _ in range(2))
    assert np.array_equal(one.image, same.image)
    assert one.truth.to_json() == same.truth.to_json()
    other = page_of(waves, name, 12)
    assert other.image.shape != one.image.shape or not np.array_equal(other.image, one.image)


@pytest.mark.parametrize("name", profile_names())
def test_traces_of_every_profile_end_within_the_image(waves: Recording, name: str) -> None:
    page = page_of(waves, name, 21)
    points = np.concatenate([trace.polyline for trace in page.truth.traces])
    assert points.min() > -1
    assert (points < [page.truth.width_px, page.truth.height_px]).all()
    ink, paper = (np.median(page.image[page.mask == label]) for label in (1, 0))
    assert ink < paper


def test_sites_can_be_told_apart_by_their_pages(waves: Recording) -> None:
    def features(page: Page) -> np.ndarray:
        small = page.image[::4, ::4].astype(float)
        red, green, blue = small.mean(axis=(0, 1))
        grain = np.abs(np.diff(page.image[..., 1].astype(float), axis=1)).mean()
        rows = len({trace.row for trace in page.truth.traces})
        return np.array([red - green, green - blue, green, small.std(), 4 * grain, 10 * rows])

    means = np.array([np.mean([features(page_of(waves, name, seed)) for seed in range(3)], axis=0) for name in SITES])
    right = sum(
        int(np.argmin(np.linalg.norm(means - features(page_of(waves, name, seed)), axis=1))) == index
        for index, name in enumerate(SITES)
        for seed in (50, 51, 52)
    )
    assert right >= 10  # of 12; by chance 3


def test_the_public_pages_have_habits_of_their_own() -> None:
    public = load_profile("public")
    for name in (*SITES, "plain"):
        other = load_profile(name)
        assert not possible(public, "grid", "colour") & possible(other, "grid", "colour")
    trained = set[str]().union(*(possible(load_profile(name), "", "layout") for name in SITES))
    assert possible(public, "", "layout") - trained


def test_broad_covers_every_layout_but_those_of_its_rows_alone() -> None:
    rows_alone = {"1x1", "3x1", "6x1-limb", "6x1-chest", "6x1-cabrera", "12x1-cabrera", "3x5", "3x5+1R", "15x1"}
    assert possible(load_profile("broad"), "", "layout") == set(layout_names()) - rows_alone


def test_plain_pages_are_not_degraded() -> None:
    assert load_profile("plain").degradations == ()


def test_degradations_happen_as_often_as_they_should() -> None:
    profile = parse_profile("degradations: [{kind: jpeg, probability: 0.25}, {kind: noise}]", "mine.yaml", "mine")
    rng = np.random.default_rng(0)
    lengths = [len(profile.draw_degradations(rng)) for _ in range(2000)]
    assert np.mean(lengths) == pytest.approx(1.25, abs=0.03)


def test_the_order_of_a_file_does_not_matter() -> None:
    one = "style: {dpi: {uniform: [100, 200]}, gain_mm_per_mv: {choice: {5: 1, 10: 1}}}"
    other = "style: {gain_mm_per_mv: {choice: {5: 1, 10: 1}}, dpi: {uniform: [100, 200]}}"
    styles = [parse_profile(text, "x", "x").draw_style(np.random.default_rng(3)) for text in (one, other)]
    assert styles[0] == styles[1]


def test_rhythm_leads_beyond_the_layout_are_dropped() -> None:
    profile = parse_profile("style: {layout: 3x4+1R, rhythm_leads: [V1, II, V5]}", "x", "x")
    assert profile.draw_style(np.random.default_rng(0)).rhythm_leads == ("V1",)


def test_a_site_brings_its_own_file(tmp_path: Path, waves: Recording) -> None:
    file = tmp_path / "ours.yaml"
    file.write_text("style: {layout: 12x1, dpi: 60, grid: {colour: brown}}\n")
    profile = load_profile(str(file))
    assert profile.name == "ours"
    assert profile_page(waves, profile, np.random.default_rng(0)).truth.layout == "12x1"


CHEST = "rows: [[{lead: V1, duration_s: 5}, {lead: V4, duration_s: 5}], [{lead: V2, duration_s: 10}]]"


def test_a_layout_of_its_own_is_seen_from_the_profiles_folder(tmp_path: Path, waves: Recording) -> None:
    (tmp_path / "layouts").mkdir()
    (tmp_path / "layouts" / "chest.yaml").write_text(CHEST)
    file = tmp_path / "ours.yaml"
    file.write_text("style: {layout: {choice: {layouts/chest.yaml: 1, 12x1: 0}}, dpi: 60, rhythm_leads: [V1]}")
    page = profile_page(waves, load_profile(str(file)), np.random.default_rng(0))
    assert page.truth.layout == "chest"
    assert [(trace.lead, trace.row) for trace in page.truth.traces] == [("V1", 0), ("V4", 0), ("V2", 1)]
    assert profile_layout_files(str(file)) == (str(tmp_path / "layouts" / "chest.yaml"),)
    assert profile_layout_files("plain") == ()


def test_layout_files_are_named_without_being_read(tmp_path: Path) -> None:
    file = tmp_path / "ours.yaml"
    file.write_text("style: {layout: {choice: {absent.yaml: 1, /secret/x.yml: 1, 6x2: 1}}}")
    assert profile_layout_files(str(file)) == (str(tmp_path / "absent.yaml"), "/secret/x.yml")
    with pytest.raises(LayoutError, match=r"ours\.yaml: Layout .*absent\.yaml cannot be read|x\.yml cannot be read"):
        load_profile(str(file))


def test_a_row_too_long_shows_when_the_profile_is_loaded(tmp_path: Path) -> None:
    (tmp_path / "long.yaml").write_text("rows: [[{lead: II, duration_s: 30}]]")
    (tmp_path / "ours.yaml").write_text("style: {layout: long.yaml, speed_mm_per_s: {choice: {25: 1, 100: 1}}}")
    with pytest.raises(LayoutError, match=r"ours\.yaml: Layout long: a row of 30 s at 100 mm/s"):
        load_profile(str(tmp_path / "ours.yaml"))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(LayoutError, match=r"absent.yaml cannot be read"):
        load_profile(str(tmp_path / "absent.yaml"))


def test_an_unknown_profile_is_named_with_those_there_are() -> None:
    with pytest.raises(LayoutError, match=r"Unknown site profile 'moon'; expected one of archive"):
        load_profile("moon")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("style: [", "not YAML"),
        ("- plain", "expected the keys 'style' and 'degradations'"),
        ("styles: {}", "'styles'"),
        ("style: 3", "style: expected keys and values, found 3"),
        ("style: {grid: red}", "grid: expected keys and values, found 'red'"),
        ("style: {layot: 3x4}", "unknown layot; expected some of layout"),
        ("style: {grid: {color: red}}", "grid: unknown color"),
        ("style: {layout: 9x9}", "Unknown layout '9x9'"),
        ("style: {dpi: {uniform: [10, 20]}}", "dpi must be from 50 to 1200"),
        ("style: {dpi: 1e9}", "dpi must be"),
        ("style: {ink: {width_mm: {uniform: [3, 2]}}}", "ink width_mm: uniform needs low <= high, found 3 and 2"),
        ("style: {paper_rgb: white}", "paper_rgb"),
        ("style: {layout: [3x4]}", "layout"),
        ("degradations: {kind: jpeg}", "degradations must be a list"),
        ("degradations: [{kind: jpg}]", "'jpg'"),
    ],
)
def test_bad_profiles_are_refused_by_file_and_value(text: str, message: str) -> None:
    with pytest.raises(LayoutError, match=r"mine\.yaml") as caught:
        parse_profile(text, "mine.yaml", "mine")
    assert message in str(caught.value)


@pytest.mark.realdata
@pytest.mark.parametrize("name", SITES)
def test_real_recordings_are_printed_whole(data_root: Path, name: str) -> None:
    header = sorted((data_root / "ptbxl").rglob("*.hea"))[5]
    page = page_of(read_wfdb(header), name, 1)
    assert len({trace.lead for trace in page.truth.traces}) == 12
    assert (page.mask == 1).sum() > 1000
