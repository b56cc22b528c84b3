from dataclasses import FrozenInstanceError, fields, replace

import cv2
import numpy as np
import pytest

from ecg_flare.ecg.record import Recording
from ecg_flare.errors import LayoutError
from ecg_flare.page.degrade import KINDS, Degradation, DegradationSpec, apply, draw_degradation, parse_spec
from ecg_flare.page.degrade.blur import Defocus, Motion
from ecg_flare.page.degrade.crop import Crop
from ecg_flare.page.degrade.jpeg import Jpeg
from ecg_flare.page.degrade.light import Light, Shadow
from ecg_flare.page.degrade.noise import Noise
from ecg_flare.page.degrade.perspective import Perspective
from ecg_flare.page.degrade.photocopy import Photocopy
from ecg_flare.page.degrade.rescan import Rescan
from ecg_flare.page.degrade.rotation import Rotation
from ecg_flare.page.distribution import Fixed
from ecg_flare.page.render import Page, render_page
from ecg_flare.page.style import InkStyle, PageStyle
from ecg_flare.page.truth import warp_points

GEOMETRY = ("rotation", "perspective", "curl", "bow", "fold", "rescan", "crop", "messenger")


@pytest.fixture(scope="module")
def page(waves: Recording, bare: PageStyle) -> Page:
    """Traces alone, without grid or labels nearby, in a pen of over two pixels."""
    return render_page(waves, replace(bare, dpi=150.0, ink=InkStyle(width_mm=0.4)), np.random.default_rng(0))


@pytest.fixture(scope="module")
def small(waves: Recording) -> Page:
    """A whole page with grid and print, at a low resolution."""
    return render_page(waves, PageStyle(dpi=75.0), np.random.default_rng(0))


def ink_offset(page: Page) -> np.ndarray:
    """How far the middle of the ink lies from each polyline, along its normal, in pixels."""
    offsets = []
    steps = np.arange(-5, 5.01, 0.1)
    darkness = 255 - page.image[..., 1]
    for trace in page.truth.traces:
        points, tangent = trace.polyline[20:-20:7], np.gradient(trace.polyline, axis=0)[20:-20:7]
        normal = np.stack([-tangent[:, 1], tangent[:, 0]], axis=1) / np.hypot(*tangent.T)[:, None]
        places = (points[:, None] + steps[:, None] * normal[:, None]).astype(np.float32)
        ink = cv2.remap(darkness, places[..., 0], places[..., 1], cv2.INTER_LINEAR).astype(np.float64)
        ink = np.maximum(ink - ink.min(axis=1, keepdims=True) - 10, 0)
        assert (ink.max(axis=1) > 50).all(), f"no ink under {trace.lead}"
        offsets.append((ink * steps).sum(axis=1) / ink.sum(axis=1))
    return np.concatenate(offsets)


def test_the_measure_itself_finds_the_ink_where_it_was_drawn(page: Page) -> None:
    assert np.abs(ink_offset(page)).max() < 0.06


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("kind", GEOMETRY)
def test_geometry_moves_image_and_truth_together(page: Page, kind: str, seed: int) -> None:
    # A crease that runs along a trace is dark itself: bent without it, the ink alone is measured.
    flat = {"depth": Fixed(0.0), "tint": Fixed(0.0)} if kind == "fold" else {}
    degradation = draw_degradation(DegradationSpec(kind, 1.0, flat), np.random.default_rng(seed))
    moved = apply(page, degradation)
    assert moved.image.shape == (moved.truth.height_px, moved.truth.width_px, 3)
    assert moved.mask.shape == moved.image.shape[:2]
    offset = ink_offset(moved)
    assert abs(offset.mean()) < 0.03
    assert np.quantile(np.abs(offset), 0.99) < 0.12


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", ["rotation", "perspective", "rescan", "crop"])
def test_the_homography_takes_millimetres_to_pixels(page: Page, kind: str, seed: int) -> None:
    paper_mm = warp_points(page.truth.traces[5].polyline, np.linalg.inv(np.array(page.truth.homography)))
    moved = apply(page, draw_degradation(DegradationSpec(kind), np.random.default_rng(seed))).truth
    np.testing.assert_allclose(warp_points(paper_mm, np.array(moved.homography)), moved.traces[5].polyline, atol=1e-5)


def test_geometry_can_be_chained(page: Page) -> None:
    rng = np.random.default_rng(8)
    for kind in ("curl", "rotation", "perspective", "rescan"):
        page = apply(page, draw_degradation(DegradationSpec(kind), rng))
    assert np.quantile(np.abs(ink_offset(page)), 0.99) < 0.15


def test_a_rotation_keeps_the_scale_and_the_whole_page(page: Page) -> None:
    turned = apply(page, Rotation(angle_deg=5.0, lid_grey=255.0)).truth
    assert turned.px_per_mm_x == pytest.approx(page.truth.px_per_mm_x, rel=1e-9)
    tangent = turned.traces[0].polyline[-1] - turned.traces[0].polyline[0]
    before = page.truth.traces[0].polyline[-1] - page.truth.traces[0].polyline[0]
    turn = np.rad2deg(np.arctan2(tangent[1], tangent[0]) - np.arctan2(before[1], before[0]))
    assert turn == pytest.approx(5.0)
    corners = warp_points(np.array([[0.0, 0], [297, 0], [297, 210], [0, 210]]), np.array(turned.homography))
    assert corners.min() > -1
    assert (corners < [turned.width_px, turned.height_px]).all()


def test_a_perspective_without_tilt_changes_nothing(page: Page) -> None:
    flat = apply(page, Perspective(0.0, 0.0, 0.0, 0.0, 100.0, 0.0))
    assert np.array_equal(flat.image, page.image)


def test_a_tilt_shortens_the_far_edge(page: Page) -> None:
    tilted = apply(page, Perspective(0.1, 0.0, 0.0, 0.0, 100.0, 0.0)).truth
    top_left, top_right, bottom_right, bottom_left = warp_points(
        np.array([[0.0, 0], [297, 0], [297, 210], [0, 210]]), np.array(tilted.homography)
    )
    left, right = np.hypot(*(bottom_left - top_left)), np.hypot(*(bottom_right - top_right))
    assert right / left == pytest.approx(0.95 / 1.05, rel=1e-3)


def test_a_rescan_multiplies_the_scales(page: Page) -> None:
    shrunk = apply(page, Rescan(scale=0.5, aspect=1.1)).truth
    assert shrunk.px_per_mm_x == pytest.approx(0.55 * page.truth.px_per_mm_x, rel=1e-3)
    assert shrunk.px_per_mm_y == pytest.approx(0.5 * page.truth.px_per_mm_y, rel=1e-3)


def test_a_full_crop_spares_the_traces(page: Page) -> None:
    cut = apply(page, Crop(1.0, 1.0, 1.0, 1.0))
    points = np.concatenate([trace.polyline for trace in cut.truth.traces])
    assert points.min() > 0
    assert (points < [cut.truth.width_px - 1, cut.truth.height_px - 1]).all()
    assert cut.image.size < 0.8 * page.image.size
    assert np.abs(ink_offset(cut)).max() < 0.06


def test_what_was_cut_off_is_not_labelled_on_the_table(waves: Recording) -> None:
    page = render_page(waves, PageStyle(dpi=75.0), np.random.default_rng(0))
    bare_table = Perspective(0.1, 0.1, 3.0, 0.1, 0.0, 0.0)
    cut = apply(apply(page, Crop(1.0, 1.0, 1.0, 1.0)), bare_table)
    table = (cut.image == 0).all(axis=2)
    assert table.mean() > 0.1
    assert not cut.mask[table].any()
    assert set(np.unique(cut.mask).tolist()) == {0, 1, 2, 3}


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {*GEOMETRY, "fax"}))
def test_the_rest_changes_the_image_alone(small: Page, kind: str) -> None:
    before = small.image.copy()
    visible = {"sigma_mm": Fixed(0.3)} if kind == "defocus" else {}
    changed = apply(small, draw_degradation(DegradationSpec(kind, 1.0, visible), np.random.default_rng(1)))
    assert changed.truth is small.truth
    assert changed.image.shape == small.image.shape
    assert changed.image.dtype == np.uint8
    assert (changed.image != before).any()
    assert np.array_equal(small.image, before), "the page that came in was changed"


@pytest.mark.parametrize("kind", KINDS)
def test_drawing_is_apart_from_applying(small: Page, kind: str) -> None:
    one, same, other = (draw_degradation(DegradationSpec(kind), np.random.default_rng(seed)) for seed in (4, 4, 5))
    assert one == same
    assert one != other
    assert isinstance(one, Degradation)
    first, again = apply(small, one), apply(small, one)
    assert np.array_equal(first.image, again.image)
    assert first.truth.to_json() == again.truth.to_json()
    with pytest.raises(FrozenInstanceError):
        setattr(one, fields(one)[0].name, 0)


def test_a_given_parameter_replaces_its_range() -> None:
    spec = DegradationSpec("rotation", 1.0, {"angle_deg": Fixed(1.25)})
    degradation = draw_degradation(spec, np.random.default_rng(0))
    assert isinstance(degradation, Rotation)
    assert degradation.angle_deg == 1.25
    assert 225 <= degradation.lid_grey <= 250


def grey_page(page: Page, value: int) -> Page:
    return replace(page, image=np.full_like(page.image, value))


def test_noise_has_the_strength_it_says(small: Page) -> None:
    noisy = apply(grey_page(small, 128), Noise(luma=6.0, chroma=3.0, seed=1)).image.astype(float)
    assert noisy.std() == pytest.approx((36 + 9 + 1 / 12) ** 0.5, rel=0.02)
    assert (noisy[..., 0] - noisy[..., 1]).std() == pytest.approx((2 * 9) ** 0.5, rel=0.05)


def test_light_falls_off_towards_its_direction(small: Page) -> None:
    lit = apply(grey_page(small, 200), Light(0.9, 0.4, 0.0, 0.0, 0.0)).image.astype(float)
    row = lit[len(lit) // 2, :, 0]
    assert row[0] == pytest.approx(200 * 0.9 * 1.2, abs=2)
    assert row[-1] == pytest.approx(200 * 0.9 * 0.8, abs=2)


def test_a_shadow_takes_its_depth_at_its_middle(small: Page) -> None:
    shaded = apply(grey_page(small, 200), Shadow(0.5, 0.5, 0.4, 0.0, 0.3, 0.5)).image
    height, width = shaded.shape[:2]
    assert shaded[height // 2, width // 2, 0] == pytest.approx(140, abs=1)
    assert shaded[2, 2, 0] == 200


@pytest.mark.parametrize("blur", [Defocus(sigma_mm=0.3), Motion(length_mm=1.0, angle_deg=30.0)])
def test_blur_keeps_the_centre_of_a_dot(small: Page, blur: Degradation) -> None:
    page = grey_page(small, 0)
    page.image[100, 150] = 255
    spread = apply(page, blur).image[..., 0].astype(float)
    rows, columns = np.mgrid[: spread.shape[0], : spread.shape[1]]
    assert (spread > 0).sum() > 3
    assert (spread * rows).sum() / spread.sum() == pytest.approx(100, abs=0.05)
    assert (spread * columns).sum() / spread.sum() == pytest.approx(150, abs=0.05)


def test_a_photocopy_is_grey_within_its_tones(small: Page) -> None:
    copy = apply(small, Photocopy(1.5, 180.0, 240.0, 40.0, 0.0, 0.0, 0.0, 0)).image
    assert np.ptp(copy, axis=2).max() == 0
    assert copy.max() == 240
    assert copy.min() >= 40


def test_jpeg_keeps_colours_in_their_channels(small: Page) -> None:
    page = replace(small, image=np.full_like(small.image, (200, 100, 40)))
    np.testing.assert_allclose(apply(page, Jpeg(quality=90.0)).image.mean(axis=(0, 1)), (200, 100, 40), atol=3)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("rotation", "found 'rotation'"),
        ({"kind": "fire"}, "'fire'"),
        ({"probability": 0.5}, "'probability': 0.5"),
        ({"kind": "jpeg", "probability": 2}, "probability of jpeg must be from 0 to 1, found 2"),
        ({"kind": "jpeg", "speed": 2}, "jpeg has no parameter speed; it has quality"),
        ({"kind": "noise", "seed": 2}, "noise has no parameter seed"),
        ({"kind": "jpeg", "quality": {"uniform": [9, 1]}}, "jpeg quality: uniform needs low <= high"),
    ],
)
def test_bad_specs_are_refused_with_their_place(value: object, message: str) -> None:
    with pytest.raises(LayoutError, match=r"mine\.yaml") as caught:
        parse_spec(value, "mine.yaml")
    assert message in str(caught.value)
