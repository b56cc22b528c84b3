"""Pages turned, bent by a camera, badly lit or blank become upright pages, and clean ones are left alone."""

import cv2
import numpy as np
import pytest

from ecg_flare.digitize.confidence import BLACK_AND_WHITE, CONFIDENT
from ecg_flare.digitize.options import ReadingOptions
from ecg_flare.digitize.pipeline import digitize
from ecg_flare.digitize.rectify.normalize import TWO_TONES, NormalizedPage, normalize, rotate_180
from ecg_flare.digitize.rectify.two_tone import has_two_tones
from ecg_flare.ecg.synthetic import synthesize
from ecg_flare.errors import PageError
from ecg_flare.page.degrade.perspective import Perspective
from ecg_flare.page.degrade.rotation import Rotation
from ecg_flare.page.render import Page, render_page
from ecg_flare.page.style import GridStyle, PageStyle


@pytest.fixture(scope="module")
def page() -> Page:
    return draw()


def draw(**style: object) -> Page:
    rng = np.random.default_rng(3)
    return render_page(synthesize(rng), PageStyle(dpi=100, **style), rng)  # type: ignore[arg-type]


def millimetre_steps(page: Page, normal: NormalizedPage) -> tuple[np.ndarray, np.ndarray]:
    """Where a step of one millimetre along x and down y leads on the normalized page, at points of the traces."""
    to_page = np.linalg.inv(np.array(page.truth.homography))
    points = np.concatenate([trace.polyline[::200] for trace in page.truth.traces])
    whole = normal.homography @ np.array(page.truth.homography)
    on_paper = cv2.perspectiveTransform(points[None], to_page)[0]

    def moved(step: tuple[float, float]) -> np.ndarray:
        ends = cv2.perspectiveTransform((on_paper + step)[None], whole)[0]
        return ends - cv2.perspectiveTransform(on_paper[None], whole)[0]

    return moved((1.0, 0.0)), moved((0.0, 1.0))


def test_a_clean_page_is_handed_on_untouched(page: Page) -> None:
    normal = normalize(page.image)

    assert normal.image is page.image
    np.testing.assert_array_equal(normal.homography, np.eye(3))
    assert normal.warnings == ()


@pytest.mark.parametrize("angle_deg", [-44.0, -17.0, 0.4, 8.0, 43.0])
def test_turned_pages_come_back_level(page: Page, angle_deg: float) -> None:
    turned = Rotation(angle_deg=angle_deg, lid_grey=240).apply(page)

    normal = normalize(turned.image)

    assert normal.rotation_deg == pytest.approx(angle_deg, abs=0.05)
    along, down = millimetre_steps(turned, normal)
    assert np.abs(along[:, 1] / along[:, 0]).max() < np.tan(np.radians(0.06))
    assert np.abs(down[:, 0] / down[:, 1]).max() < np.tan(np.radians(0.06))
    np.testing.assert_allclose(along[:, 0], page.truth.px_per_mm_x, rtol=0.004)


def test_a_page_seen_from_an_angle_comes_back_flat(page: Page) -> None:
    photo = Perspective(tilt_x=0.08, tilt_y=-0.1, roll_deg=2.0, margin=0.03, desk_grey=60, desk_warmth=0.1).apply(page)

    along, down = millimetre_steps(photo, normalize(photo.image))

    for length in (along[:, 0], down[:, 1]):  # the same everywhere, where the photo differs by a tenth
        assert length.std() / length.mean() < 0.003
    assert np.abs(along[:, 1] / along[:, 0]).max() < 0.004


def test_the_table_is_painted_over(page: Page) -> None:
    photo = Perspective(tilt_x=0.02, tilt_y=0.02, roll_deg=1.0, margin=0.05, desk_grey=50, desk_warmth=0.0).apply(page)
    assert photo.image[:5, :5].mean() < 90

    normal = normalize(photo.image)

    border = np.concatenate([normal.image[:4].reshape(-1, 3), normal.image[-4:].reshape(-1, 3)])
    assert np.quantile(border, 0.2) > 180


def test_turning_over_twice_changes_nothing(page: Page) -> None:
    normal = normalize(page.image)

    back = rotate_180(rotate_180(normal))

    np.testing.assert_array_equal(rotate_180(normal).image[0, 0], normal.image[-1, -1])
    np.testing.assert_array_equal(back.image, normal.image)
    np.testing.assert_allclose(back.homography, normal.homography)


def test_which_way_is_up_is_not_asked_yet(page: Page) -> None:
    assert normalize(page.image).upright_confidence == 0.5


def test_without_a_grid_the_traces_level_the_page() -> None:
    turned = Rotation(angle_deg=4.0, lid_grey=240).apply(draw(grid=GridStyle(kind="none")))

    normal = normalize(turned.image)

    assert normal.rotation_deg == pytest.approx(4.0, abs=0.2)
    assert any("no grid" in warning for warning in normal.warnings)


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        (np.full((40, 40, 3), 200, np.uint8), "40 x 40 pixels"),
        (np.full((800, 1000, 3), 255, np.uint8), "blank"),
        (np.zeros((800, 1000, 3), np.uint8), "blank"),
        (np.zeros((800, 1000), np.uint8), "expected uint8 RGB"),
        (np.zeros((800, 1000, 3), np.float32), "expected uint8 RGB"),
    ],
)
def test_what_is_no_page_is_refused(image: np.ndarray, reason: str) -> None:
    with pytest.raises(PageError, match=reason):
        normalize(image)


def test_a_fax_is_known_by_its_two_tones_and_is_never_sure(page: Page) -> None:
    """The same page in black and white, without a grid: as good as its line, and still for a person to look at."""
    bare = draw(grid=GridStyle(kind="none"))
    fax = np.where(bare.image < 128, np.uint8(0), np.uint8(255))
    assert not normalize(bare.image).two_tones
    assert not normalize(page.image).two_tones
    assert normalize(fax).two_tones
    assert TWO_TONES in normalize(fax).warnings
    reading = digitize(fax, ReadingOptions(segmenter="classical"))
    assert reading.layout == bare.truth.layout
    assert 0 < reading.confidence <= BLACK_AND_WHITE < CONFIDENT
    assert TWO_TONES in reading.warnings


def test_two_colours_are_two_tones_and_a_single_grey_pixel_is_a_third() -> None:
    image = np.full((200, 400, 3), (250, 240, 230), np.uint8)
    image[50:60] = (0, 0, 128)
    assert has_two_tones(image)
    image[0, 0] = 100
    assert not has_two_tones(image)
