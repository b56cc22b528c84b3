"""Whole pages handed in turned, dark or empty: read as if they had been upright and light, or refused; all told."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from ecg_flare.digitize import Digitization, ReadingOptions, clock, digitize, pipeline
from ecg_flare.digitize.confidence import CONFIDENT
from ecg_flare.digitize.ink.classical import classical_segmenter
from ecg_flare.digitize.ink.segmenters import Segmenter
from ecg_flare.digitize.orientation import Trial
from ecg_flare.digitize.rectify.dark import invert_dark, is_dark
from ecg_flare.ecg.metrics import snr_db_kaggle2025
from ecg_flare.ecg.synthetic import synthesize
from ecg_flare.errors import PageError
from ecg_flare.page.degrade.invert import Invert
from ecg_flare.page.page_list import PageFile
from ecg_flare.page.reader import read_page
from ecg_flare.page.render import Page, render_page
from ecg_flare.page.style import FontName, GridStyle, PageStyle, PrintStyle

FIRST_COLUMN = ["I", "II", "III"]


def drawn(seed: int = 3, **style: object) -> Page:
    rng = np.random.default_rng(seed)
    return render_page(synthesize(rng), PageStyle(dpi=100, **style), rng)  # type: ignore[arg-type]


def first_column(found: Digitization) -> list[str]:
    leads = sorted(found.leads, key=lambda lead: (lead.span.row, lead.span.left_px))
    return [next(lead.span.lead for lead in leads if lead.span.row == row) for row in range(3)]


@pytest.mark.parametrize(
    ("font", "quarter_turns"), [("sans", 0), ("serif", 1), ("mono", 2), ("serif-bold", 3), ("sans", 2)]
)
def test_a_strip_without_pulses_is_read_the_way_its_print_stands(font: FontName, quarter_turns: int) -> None:
    page = drawn(layout="3x4", paper="chart", pulse="none", text=PrintStyle(font=font))
    found = digitize(np.ascontiguousarray(np.rot90(page.image, quarter_turns)), segmenter=classical_segmenter)
    turned_deg = 90 * quarter_turns
    assert (found.layout, found.page.turned_deg) == ("3x4", turned_deg)
    assert first_column(found) == FIRST_COLUMN
    told = [text for text in found.warnings if f"turned by {turned_deg} degrees" in text]
    assert len(told) == (turned_deg != 0)


@pytest.mark.parametrize("quarter_turns", [1, 2])
def test_pulses_turn_a_page_and_the_turn_is_told(quarter_turns: int) -> None:
    found = digitize(np.ascontiguousarray(np.rot90(drawn().image, quarter_turns)), segmenter=classical_segmenter)
    assert found.page.turned_deg == 90 * quarter_turns
    assert found.confidence >= CONFIDENT
    assert any("upside down" in text or "degrees clockwise" in text for text in found.warnings)


def test_a_given_layout_is_no_witness_of_the_way_up() -> None:
    bare = PrintStyle(header=False, footer=False, label_mm=1.0)
    page = drawn(layout="12x1", pulse="none", text=bare)
    image = page.image.copy()
    for box in page.truth.print_boxes:  # no label, no print, no pulse
        (left, top), (right, bottom) = np.floor(box.min(axis=0)).astype(int), np.ceil(box.max(axis=0)).astype(int) + 1
        image[max(0, top) : bottom, max(0, left) : right] = 255
    options = ReadingOptions(layout="12x1", speed=25.0, gain=10.0, segmenter=classical_segmenter)
    found = digitize(np.ascontiguousarray(image[::-1, ::-1]), options)
    turned = found.page.turned_deg == 180
    assert turned or found.confidence < CONFIDENT
    assert found.warnings


def empty_grid(squares: int, kind: str) -> np.ndarray:
    """Paper without a trace: a grid of so many small squares to a big one, coloured, grey, photographed or headed."""
    image = np.full((900, 1250, 3), 255, np.uint8)
    coarse, fine = ((110, 110, 110), (185, 185, 185)) if kind == "grey" else ((232, 96, 96), (246, 176, 172))
    for count, at in enumerate(range(0, 1250, 5)):
        colour, width = (coarse, 2) if count % squares == 0 else (fine, 1)
        cv2.line(image, (at, 0), (at, 899), colour, width)
        cv2.line(image, (0, at), (1249, at), colour, width)
    if kind == "headed":
        for line, text in enumerate(["ABARA, ADA  ID 123456", "Vent. rate 72 BPM", "25 mm/s  10 mm/mV"]):
            cv2.putText(image, text, (50, 50 + 30 * line), cv2.FONT_HERSHEY_SIMPLEX, 0.7, (20, 20, 20), 2, cv2.LINE_AA)
    if kind == "photographed":
        rng = np.random.default_rng(0)
        before = np.array([[0, 0], [1250, 0], [1250, 900], [0, 900]], np.float32)
        after = np.array([[60, 40], [1220, 70], [1180, 860], [30, 810]], np.float32)
        image = cv2.warpPerspective(
            image, cv2.getPerspectiveTransform(before, after), (1250, 900), borderValue=(90, 80, 70)
        )
        image = np.clip(cv2.GaussianBlur(image, (0, 0), 0.8) + rng.normal(0, 4, image.shape), 0, 255).astype(np.uint8)
    return image


@pytest.mark.parametrize(
    ("squares", "kind"), [(5, "red"), (4, "red"), (4, "grey"), (5, "grey"), (5, "headed"), (4, "photographed")]
)
def test_an_empty_grid_has_no_trace(squares: int, kind: str) -> None:
    with pytest.raises(PageError, match=r"No ECG trace was found|no millimetre grid"):
        digitize(empty_grid(squares, kind), segmenter="auto" if kind == "red" else classical_segmenter)


@pytest.mark.parametrize("darkest", [0.0, 30.0])
def test_a_dark_page_is_read_as_well_as_a_light_one(darkest: float) -> None:
    page = drawn(seed=8)
    light = digitize(page.image, segmenter=classical_segmenter)
    dark = digitize(Invert(darkest=darkest).apply(page).image, segmenter=classical_segmenter)
    assert "the page is light on dark: it was inverted" in dark.warnings
    assert (dark.layout, dark.confidence) == (light.layout, pytest.approx(light.confidence, abs=0.1))
    truth = synthesize(np.random.default_rng(8)).signal_mv
    truth = np.where(np.isfinite(light.recording.signal_mv), truth, np.nan)
    scores = [snr_db_kaggle2025(found.recording.signal_mv, truth, 500.0) for found in (light, dark)]
    assert scores[1] == pytest.approx(scores[0], abs=0.5)


def test_dark_paper_with_darker_ink_is_no_negative() -> None:
    page = drawn(grid=GridStyle(colour="blue")).image
    assert is_dark(255 - page)
    for shade in (1.0, 0.5, 0.3):
        shadowed = (page * shade).astype(np.uint8)
        assert not is_dark(shadowed)
        assert invert_dark(shadowed)[0] is shadowed
    table = np.full((1600, 2200, 3), 30, np.uint8)
    table[400 : 400 + page.shape[0], 500 : 500 + page.shape[1]] = page
    assert not is_dark(table)


@pytest.mark.realdata
def test_a_screen_without_a_grid_is_refused_at_once(data_root: Path) -> None:
    screen = data_root.parent / "faults" / "13_dark_pages" / "dark_ep_screen.jpeg"
    image = read_page(PageFile(screen, 1, "screen")).image
    with pytest.raises(PageError, match=r"no millimetre grid.*light on dark"):
        digitize(image)


def test_the_seconds_hold_all_readings_kept_or_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a clock that only segmenters move: by 1 s the first, by 10 s the second, whose reading is not kept."""
    moved: list[float] = []
    monkeypatch.setattr(clock, "time", SimpleNamespace(perf_counter=lambda: sum(moved)))
    monkeypatch.setattr(pipeline, "beyond_doubt", lambda result: False)

    def lasting(seconds: float) -> Segmenter:
        def segment(image: np.ndarray) -> np.ndarray:
            moved.append(seconds)
            return classical_segmenter(image)

        return segment

    page = drawn(layout="3x4", paper="chart", pulse="none")
    found = digitize(np.ascontiguousarray(np.rot90(page.image)), segmenter=[lasting(1.0), lasting(10.0)])
    assert moved == [1.0, 1.0, 10.0]  # as handed in, turned, and by the second
    assert {stage: seconds for stage, seconds in found.seconds.items() if seconds} == {"segment": 12.0}


def test_a_second_look_costs_one_segmenter_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    read = pipeline._read_measured
    asked: list[tuple[str, int]] = []

    def counted(measured, segmenter, *rest):  # type: ignore[no-untyped-def]
        asked.append((segmenter.__name__, measured.page.turned_deg))
        trial = read(measured, segmenter, *rest)
        return Trial(replace(trial.result, confidence=0.1), frozenset(), False)

    def second(image: np.ndarray) -> np.ndarray:
        return classical_segmenter(image)

    monkeypatch.setattr(pipeline, "_read_measured", counted)
    monkeypatch.setattr(pipeline, "beyond_doubt", lambda result: False)
    image = drawn(layout="3x4", paper="chart", pulse="none").image
    digitize(np.ascontiguousarray(np.rot90(image)), segmenter=[classical_segmenter, second])
    assert asked == [("classical_segmenter", 0), ("classical_segmenter", 90), ("second", 90)]
