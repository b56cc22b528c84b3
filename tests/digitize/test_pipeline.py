"""Whole pages: what is read back, and what is refused."""

from dataclasses import replace

import numpy as np
import pytest

from ecg_flare.digitize import ReadingOptions, digitize
from ecg_flare.digitize.confidence import CONFIDENT, HALF, OVERLAPPING
from ecg_flare.digitize.ink.classical import classical_segmenter
from ecg_flare.ecg.leads import LEADS
from ecg_flare.ecg.metrics import evaluate_recording
from ecg_flare.ecg.record import Recording, read_wfdb
from ecg_flare.ecg.synthetic import synthesize
from ecg_flare.errors import ConfigError, LayoutError, PageError
from ecg_flare.page.render import Page, render_page
from ecg_flare.page.style import PageStyle


def printed(recording: Recording, page: Page) -> Recording:
    signal = np.full_like(recording.signal_mv, np.nan)
    for trace in sorted(page.truth.traces, key=lambda trace: trace.end_s - trace.start_s):
        row, fs_hz = LEADS.index(trace.lead), recording.fs_hz
        first, last = round(trace.start_s * fs_hz), round(trace.end_s * fs_hz)
        signal[row] = np.nan
        signal[row, first:last] = recording.signal_mv[row, first:last]
    return replace(recording, signal_mv=signal)


@pytest.fixture(scope="module")
def printed_page() -> tuple[Recording, Page]:
    rng = np.random.default_rng(22)
    recording = synthesize(rng)
    return recording, render_page(recording, PageStyle(dpi=120), rng)


def test_a_clean_page_is_read_back(printed_page: tuple[Recording, Page]) -> None:
    recording, page = printed_page
    found = digitize(page.image, segmenter=classical_segmenter)
    score = evaluate_recording(found.recording, printed(recording, page))
    assert score.snr_db_kaggle2025 > 15.0
    assert score.coverage > 0.995
    assert found.confidence >= CONFIDENT
    assert found.warnings == ()
    assert found.checks.passed
    assert found.recording.signal_mv.dtype == np.float32
    # 3x4: each short lead is printed for a quarter of the page, the rest stays NaN
    assert np.isfinite(found.recording.lead("V1")).mean() == pytest.approx(0.25, abs=0.01)
    assert set(found.coverage) == set(LEADS)


def drawn_extents(page: Page) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Top and bottom of every lead's line in each pixel column, as it was drawn."""
    extents = {}
    for trace in page.truth.traces:
        x = np.linspace(trace.polyline[0, 0], trace.polyline[-1, 0], 20 * page.image.shape[1])
        y = np.interp(x, trace.polyline[:, 0], trace.polyline[:, 1])
        top, bottom = np.full(page.image.shape[1], np.inf), np.full(page.image.shape[1], -np.inf)
        np.minimum.at(top, np.round(x).astype(int), y)
        np.maximum.at(bottom, np.round(x).astype(int), y)
        extents[trace.lead] = (top, bottom)
    return extents


def test_rows_that_run_into_each_other_are_named() -> None:
    rng = np.random.default_rng(21)
    tall = synthesize(rng)
    tall = replace(tall, signal_mv=2.5 * tall.signal_mv)
    page = render_page(tall, PageStyle(layout="12x1", dpi=120), rng)
    extents = drawn_extents(page)
    crossed = set()
    for lead, (top, bottom) in extents.items():
        others = [other for name, other in extents.items() if name != lead]
        meets = np.any([(top <= below) & (above <= bottom) for above, below in others], axis=0)
        if meets.sum() > 0.01 * np.isfinite(top).sum():
            crossed.add(lead)
    found = digitize(page.image, segmenter=classical_segmenter)
    named = {lead.span.lead for lead in found.leads if lead.shared > OVERLAPPING}
    assert crossed == {"I", "II", "III", "aVR", "aVL", "aVF", "V2", "V3", "V4"}
    assert crossed <= named
    warning = next(text for text in found.warnings if "run into each other" in text)
    assert all(lead in warning for lead in named)
    assert len(named) == 12
    score = evaluate_recording(found.recording, printed(tall, page))
    assert score.snr_db_kaggle2025 < 10.0
    assert found.signal.expected_db < 10.0
    assert found.confidence < HALF


@pytest.mark.parametrize("quarter_turns", [1, 2])
def test_a_page_lying_on_its_side_or_head_is_read(printed_page: tuple[Recording, Page], quarter_turns: int) -> None:
    recording, page = printed_page
    image = np.ascontiguousarray(np.rot90(page.image, quarter_turns))
    found = digitize(image, segmenter=classical_segmenter)
    score = evaluate_recording(found.recording, printed(recording, page))
    assert score.snr_db_kaggle2025 > 14.0
    begin = page.truth.traces[0].polyline[0]
    turned = {
        1: (begin[1], page.image.shape[1] - 1 - begin[0]),
        2: (page.image.shape[1] - 1 - begin[0], page.image.shape[0] - 1 - begin[1]),
    }[quarter_turns]
    x, y, w = found.page.homography @ np.array([*turned, 1.0])
    assert (x / w, y / w) == pytest.approx((found.leads[0].span.left_px, begin[1]), abs=4.0)


def test_without_pulses_the_names_of_the_leads_tell_up_from_down() -> None:
    rng = np.random.default_rng(5)
    page = render_page(synthesize(rng), PageStyle(dpi=120, pulse="none"), rng)
    found = digitize(np.ascontiguousarray(page.image[::-1, ::-1]), segmenter=classical_segmenter)
    assert abs(found.page.rotation_deg) == pytest.approx(180.0, abs=0.5)
    assert [lead.span.lead for lead in found.leads[:4]] == ["I", "aVR", "V1", "V4"]


def test_fs_is_what_was_asked(printed_page: tuple[Recording, Page]) -> None:
    found = digitize(printed_page[1].image, ReadingOptions(fs_hz=250.0, segmenter=classical_segmenter))
    assert found.recording.fs_hz == 250.0
    assert found.recording.n_samples == 2500


def test_what_is_no_page_is_refused_and_what_is_a_part_of_one_is_unsure(printed_page: tuple[Recording, Page]) -> None:
    image = printed_page[1].image
    blank = np.full((900, 1200, 3), 255, np.uint8)
    noise = np.random.default_rng(0).integers(0, 255, (400, 500, 3)).astype(np.uint8)
    for refused in (blank, noise, image[:40, :40]):
        with pytest.raises(PageError):
            digitize(refused, segmenter=classical_segmenter)
    height, width = image.shape[:2]
    for part in (image[: height // 2], image[:, : width // 2]):
        try:
            found = digitize(np.ascontiguousarray(part), segmenter=classical_segmenter)
        except PageError:
            continue
        assert found.confidence < CONFIDENT
        assert found.warnings


def test_wrong_settings_are_named(printed_page: tuple[Recording, Page]) -> None:
    image = printed_page[1].image
    with pytest.raises(LayoutError, match="5x5"):
        ReadingOptions(layout="5x5")
    with pytest.raises(ConfigError, match="fs_hz"):
        ReadingOptions(fs_hz=1.0)
    with pytest.raises(PageError, match="12 rows, but 4"):
        digitize(image, ReadingOptions(layout="12x1", segmenter=classical_segmenter))


@pytest.mark.realdata
def test_ludb_page_beats_ecgminer(data_root) -> None:  # type: ignore[no-untyped-def]
    import cv2

    peer = np.load(data_root / "ludb_pages" / "ecgminer_output.npz")
    index = list(peer["ids"]).index("100")
    peer_mv = peer["signal_mv"][index].T.astype(np.float32)
    whole = read_wfdb(data_root / "ludb_pages" / "wfdb" / "100")
    truth = replace(whole, signal_mv=np.where(np.isfinite(peer_mv), whole.signal_mv, np.nan))
    image = cv2.imread(str(data_root / "ludb_pages" / "png" / "100.png"))[..., ::-1]
    found = digitize(np.ascontiguousarray(image), segmenter=classical_segmenter)
    ours = evaluate_recording(found.recording, truth).snr_db_kaggle2025
    theirs = evaluate_recording(replace(truth, signal_mv=peer_mv), truth).snr_db_kaggle2025
    assert found.layout == "3x4+1R"
    assert ours > theirs + 2.0
