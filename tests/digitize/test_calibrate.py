"""The millimetre, the speed and the gain are measured to a fraction of a per cent, or said to be assumed."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from ecg_flare.digitize.measure.calibrate import calibrate
from ecg_flare.digitize.measure.calibration import Calibration
from ecg_flare.digitize.measure.scaled_page import stand_upright
from ecg_flare.digitize.rectify.normalize import normalize
from ecg_flare.digitize.units import PxPerMm
from ecg_flare.ecg.synthetic import synthesize
from ecg_flare.errors import ConfigError, PageError
from ecg_flare.page.degrade.blur import Defocus
from ecg_flare.page.degrade.jpeg import Jpeg
from ecg_flare.page.degrade.rotation import Rotation
from ecg_flare.page.render import Page, render_page
from ecg_flare.page.style import GRID_RGB, GridStyle, PageStyle


def draw(seed: int = 1, grid: GridStyle | None = None, **style: object) -> Page:
    rng = np.random.default_rng(seed)
    return render_page(synthesize(rng), PageStyle(grid=grid or GridStyle(), **style), rng)  # type: ignore[arg-type]


def read(page: Page) -> Calibration:
    return calibrate(stand_upright(normalize(page.image)))


_KINDS = ("fine+coarse", "coarse", "dotted")
_GRIDS = [(colour, _KINDS[index % 3]) for index, colour in enumerate(sorted(GRID_RGB))]


@pytest.mark.parametrize(("colour", "kind"), [*_GRIDS, ("red", "coarse"), ("grey", "dotted")])
def test_every_grid_gives_the_millimetre(colour: str, kind: str) -> None:
    grid = GridStyle(kind=kind, colour=colour, phase_x_mm=1.7, inset_mm=6.0)  # type: ignore[arg-type]
    page = draw(grid=grid, dpi=100, anisotropy=1.04)

    found = read(page)

    assert found.method == "grid"
    assert found.px_per_mm.x == pytest.approx(page.truth.px_per_mm_x, rel=0.002)
    assert found.px_per_mm.y == pytest.approx(page.truth.px_per_mm_y, rel=0.002)


@pytest.mark.parametrize(
    ("speed", "gain", "pulse"),
    [(25.0, 5.0, "left"), (25.0, 10.0, "right"), (50.0, 5.0, "right"), (50.0, 10.0, "left"), (25.0, 20.0, "left")],
)
def test_pulses_give_speed_and_gain(speed: float, gain: float, pulse: str) -> None:
    found = read(draw(dpi=100, speed_mm_per_s=speed, gain_mm_per_mv=gain, pulse=pulse))

    assert (found.speed_mm_per_s, found.speed_source) == (speed, "measured")
    assert (found.gain_mm_per_mv, found.gain_source) == (gain, "measured")
    assert found.confidence > 0.9
    assert found.warnings == ()


@pytest.mark.parametrize("dpi", [75, 240])
def test_resolution_does_not_matter(dpi: int) -> None:
    page = draw(dpi=dpi)

    found = read(page)

    assert found.px_per_mm.x == pytest.approx(page.truth.px_per_mm_x, rel=0.002)
    assert found.px_per_mm.y == pytest.approx(page.truth.px_per_mm_y, rel=0.002)


def test_few_pixels_a_millimetre_are_said() -> None:
    warnings = read(draw(dpi=75)).warnings

    assert len(warnings) == 1
    assert "3.0 pixels a millimetre" in warnings[0]


def test_a_worn_scan_is_read_to_half_a_per_cent() -> None:
    page = draw(dpi=150, grid=GridStyle(colour="grey", strength=0.6))
    worn = Jpeg(quality=35).apply(Defocus(sigma_mm=0.12).apply(Rotation(angle_deg=2.3, lid_grey=235).apply(page)))

    found = read(worn)

    assert found.px_per_mm.x == pytest.approx(page.truth.px_per_mm_x, rel=0.005)
    assert found.px_per_mm.y == pytest.approx(page.truth.px_per_mm_y, rel=0.005)


def test_a_grid_half_gone_is_still_measured() -> None:
    page = draw(dpi=120)
    torn = page.image.copy()
    torn[:, : torn.shape[1] // 2] = 255

    found = calibrate(stand_upright(normalize(torn)))

    assert found.px_per_mm.x == pytest.approx(page.truth.px_per_mm_x, rel=0.004)


def test_what_was_not_read_is_assumed_aloud() -> None:
    found = read(draw(dpi=100, pulse="none"))

    assert (found.speed_source, found.gain_source) == ("assumed", "assumed")
    assert any("speed assumed" in warning for warning in found.warnings)
    assert any("gain assumed" in warning for warning in found.warnings)
    assert found.confidence < 0.75


def test_what_is_given_is_used_and_contradiction_is_said() -> None:
    page = stand_upright(normalize(draw(dpi=100).image))

    found = calibrate(page, speed=50, gain=20, px_per_mm=(3.9, 4.1))

    assert (found.px_per_mm, found.method) == (PxPerMm(3.9, 4.1), "given")
    assert (found.speed_mm_per_s, found.speed_source) == (50.0, "given")
    assert (found.gain_mm_per_mv, found.gain_source) == (20.0, "given")
    assert any("gain was given as 20" in warning for warning in found.warnings)
    assert any("speed was given as 50" in warning for warning in found.warnings)


def test_without_a_grid_the_pulses_are_the_measure() -> None:
    page = draw(dpi=150, grid=GridStyle(kind="none"))

    found = calibrate(stand_upright(normalize(page.image)), gain=10)

    assert found.method == "pulse"
    assert found.px_per_mm.y * found.gain_mm_per_mv == pytest.approx(page.truth.px_per_mm_y * 10, rel=0.02)
    assert found.px_per_mm.x * found.speed_mm_per_s == pytest.approx(page.truth.px_per_mm_x * 25, rel=0.03)
    assert found.confidence < 0.75
    assert found.warnings


def test_without_grid_and_pulse_the_page_is_refused_unless_its_scale_is_given() -> None:
    normal = stand_upright(normalize(draw(dpi=150, grid=GridStyle(kind="none"), pulse="none").image))

    with pytest.raises(PageError, match="--px-per-mm"):
        calibrate(normal)
    assert calibrate(normal, px_per_mm=5.9).method == "given"


def test_a_page_of_text_has_no_measure() -> None:
    text = np.full((1100, 850, 3), 255, np.uint8)
    rng = np.random.default_rng(4)
    for line in range(38):
        words = " ".join("".join(rng.choice(list("abcdefghilmnoprstu"), rng.integers(2, 9))) for _ in range(7))
        cv2.putText(text, words, (60, 80 + 25 * line), 0, 0.7, (20, 20, 20), 2, cv2.LINE_AA)

    with pytest.raises(PageError, match="no millimetre grid"):
        calibrate(stand_upright(normalize(text)))


def test_noise_has_no_measure() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (700, 900, 3), np.uint8)

    with pytest.raises(PageError, match="no millimetre grid"):
        calibrate(stand_upright(normalize(noise)))


@pytest.mark.parametrize(
    ("options", "message"),
    [({"speed": 1.0}, "speed is 1"), ({"gain": 500.0}, "gain is 500"), ({"px_per_mm": 0.2}, "px_per_mm is 0.2")],
)
def test_impossible_options_are_refused(options: dict[str, float], message: str) -> None:
    normal = stand_upright(normalize(draw(dpi=100).image))

    with pytest.raises(ConfigError, match=message):
        calibrate(normal, **options)  # type: ignore[arg-type]


def test_an_odd_pulse_is_no_gain() -> None:
    normal = stand_upright(normalize(draw(dpi=100).image))
    assert normal.scale.grid is not None
    stretched = replace(normal.scale.grid, px_per_mm=normal.scale.grid.px_per_mm.scaled(1.0, 1.4))

    found = calibrate(replace(normal, scale=replace(normal.scale, grid=stretched)))

    assert found.gain_source == "assumed"
    assert any("7.1 mm high" in warning for warning in found.warnings)


@pytest.mark.realdata
def test_ecgminers_pages_of_another_scale_along_and_down(data_root: Path) -> None:
    for path in sorted((data_root / "ludb_pages" / "png").glob("*.png"))[:3]:
        found = calibrate(stand_upright(normalize(cv2.imread(str(path))[:, :, ::-1].copy())))

        assert found.px_per_mm.x * found.speed_mm_per_s == pytest.approx(193.8, rel=0.001)  # the folder's README
        assert found.px_per_mm.y * found.gain_mm_per_mv == pytest.approx(74.4, rel=0.001)
        assert (found.speed_source, found.gain_source) == ("measured", "measured")


# No truth is known: these are this program's own readings, rounded, which page widths and pulse heights bear out.
# They guard against a change, and prove nothing about the first reading.
_READ_BEFORE = {
    "ecg00002.png": (5.52, 5.53),
    "ecg00011.jpg": (9.42, 9.42),
    "ecg00014.png": (2.85, 2.85),
    "ecg00017.png": (3.46, 3.46),
    "ecg00020.jpg": (4.83, 4.84),
    "ecg00023.jpg": (5.61, 5.61),
}


@pytest.mark.realdata
@pytest.mark.parametrize("name", sorted(_READ_BEFORE))
def test_real_scans_are_read_as_before(data_root: Path, name: str) -> None:
    found = calibrate(stand_upright(normalize(cv2.imread(str(data_root / "real_pages" / name))[:, :, ::-1].copy())))

    x, y = _READ_BEFORE[name]
    assert found.px_per_mm.x == pytest.approx(x, rel=0.01)
    assert found.px_per_mm.y == pytest.approx(y, rel=0.01)
