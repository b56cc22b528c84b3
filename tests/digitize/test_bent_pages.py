"""Bent pages read from end to end: better than before, never sure, and flat ones left as they are."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from ecg_flare.digitize import ReadingOptions, digitize
from ecg_flare.digitize.clock import Clock
from ecg_flare.digitize.confidence import BENT, CONFIDENT
from ecg_flare.digitize.curl import flatten
from ecg_flare.digitize.measure.scaled_page import stand_upright
from ecg_flare.digitize.pipeline import open_page
from ecg_flare.digitize.rectify.normalize import normalize
from ecg_flare.digitize.stages import TracedPage, follow_lines, place_leads, see_ink, take_signal
from ecg_flare.ecg.metrics import evaluate_recording
from ecg_flare.ecg.record import Recording
from ecg_flare.ecg.synthetic import synthesize
from ecg_flare.page.degrade.bow import Bow
from ecg_flare.page.degrade.messenger import Messenger
from ecg_flare.page.render import Page, render_page
from ecg_flare.page.style import GridStyle, PageStyle
from ecg_flare.page.truth import warp_points


def printed(**style: object) -> tuple[Recording, Page]:
    rng = np.random.default_rng(21)
    recording = synthesize(rng)
    return recording, render_page(recording, PageStyle(dpi=150, **style), rng)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def bent() -> tuple[Recording, Page]:
    recording, page = printed()
    return recording, Bow(seed=3, bend_mm=1.0, length_mm=60.0, shade=0.05).apply(page)


def db(recording: Recording, image: np.ndarray, monkeypatch: pytest.MonkeyPatch, least_bend_mm: float) -> float:
    monkeypatch.setattr(flatten, "MIN_BEND_MM", least_bend_mm)
    reading = digitize(image, ReadingOptions(segmenter="classical"))
    scores = evaluate_recording(reading.recording, recording)
    return float(np.nanmedian([lead.read_snr_db_kaggle2025 for lead in scores.leads]))


def test_a_bent_page_is_read_better_flattened(bent: tuple[Recording, Page], monkeypatch: pytest.MonkeyPatch) -> None:
    recording, page = bent
    as_a_plane = db(recording, page.image, monkeypatch, 100.0)
    assert db(recording, page.image, monkeypatch, flatten.MIN_BEND_MM / 300) > as_a_plane + 3.0


def test_a_flattened_page_says_so_and_is_never_sure(bent: tuple[Recording, Page]) -> None:
    reading = digitize(bent[1].image, ReadingOptions(segmenter="classical"))
    assert reading.page.flattened_mm == pytest.approx(1.0, rel=0.5)
    assert any("flattened by its own grid" in note for note in reading.warnings)
    assert reading.confidence < CONFIDENT


def test_a_flattened_page_is_never_sure_wherever_its_reading_begins(clean_page: Page) -> None:
    """Also where a person's corrections enter between the stages, below whoever decides which way is up."""
    clock = Clock()
    opened = open_page(clean_page.image, ReadingOptions(segmenter="classical"))
    assert opened.result.confidence > BENT

    measured = replace(opened.measured, page=replace(opened.measured.page, flattened_mm=1.0))
    seen = see_ink(measured, opened.segmenter, clock)
    lines = follow_lines(measured, seen, clock)
    placed = place_leads(measured, seen, lines, "auto", clock)
    assert take_signal(TracedPage(measured, seen, lines, placed), 500.0, clock).confidence == BENT


def off_plane_mm(points: np.ndarray, flat: np.ndarray, unit: float) -> float:
    """How far places lie off the best affine image of those of the page before it was bent (95th percentile)."""
    design = np.column_stack([flat, np.ones(len(flat))])
    fitted = design @ np.linalg.lstsq(design, points, rcond=None)[0]
    return float(np.quantile(np.linalg.norm(points - fitted, axis=1), 0.95)) / unit


@pytest.mark.parametrize("side_px", [None, 1200], ids=["as large", "enlarged"])
@pytest.mark.parametrize("turned", [False, True], ids=["upright", "turned"])
def test_places_of_the_picture_follow_the_bends_to_the_flat_page_and_back(
    bent: tuple[Recording, Page], side_px: int | None, turned: bool
) -> None:
    page = bent[1] if side_px is None else Messenger(side_px=side_px, quality=90).apply(bent[1])
    scaled = stand_upright(normalize(page.image))
    read = (scaled.rotated_180() if turned else scaled).page
    assert read.bend < 0.01
    on_picture, flat = (
        np.concatenate([trace.polyline[::50] for trace in truth.traces]) for truth in (page.truth, printed()[1].truth)
    )
    unit = read.enlarged * page.truth.px_per_mm_x
    on_image = read.on_image(on_picture)
    assert off_plane_mm(on_image, flat, unit) < 0.2
    assert off_plane_mm(warp_points(on_picture, read.homography), flat, unit) > 0.6
    assert np.abs(read.on_picture(on_image) - on_picture).max() < 0.02 * page.truth.px_per_mm_x


def test_flat_pages_stay_as_they_are() -> None:
    _, page = printed(grid=GridStyle(kind="dotted"))
    assert stand_upright(normalize(page.image)).page.image is page.image


def test_a_given_scale_is_that_of_the_picture(bent: tuple[Recording, Page]) -> None:
    small = Messenger(side_px=1200, quality=90).apply(bent[1])
    unit = small.truth.px_per_mm_x
    reading = digitize(small.image, ReadingOptions(segmenter="classical", px_per_mm=unit))
    assert reading.page.enlarged == 2
    assert reading.calibration.px_per_mm.x == pytest.approx(2 * unit)
    assert reading.calibration.seen_px_per_mm.x == pytest.approx(unit)


def test_the_messenger_moves_picture_and_truth_together() -> None:
    _, page = printed()
    small = Messenger(side_px=800, quality=95).apply(page)
    assert max(small.image.shape) == 800
    lead = small.truth.traces[0].polyline
    x, y = np.rint(lead[len(lead) // 2]).astype(int)
    assert small.image[y - 1 : y + 2, x - 1 : x + 2].min() < 128


def test_a_bow_moves_picture_and_truth_together() -> None:
    _, page = printed()
    moved = Bow(seed=1, bend_mm=2.0, length_mm=50.0, shade=0.0).apply(page)
    dark = cv2.erode(moved.image.max(axis=2), np.ones((3, 3), np.uint8))
    for trace in moved.truth.traces:
        places = np.rint(trace.polyline[::25]).astype(int)
        inside = (places >= 0).all(axis=1) & (places < (dark.shape[1], dark.shape[0])).all(axis=1)
        assert np.median(dark[places[inside, 1], places[inside, 0]]) < 128
