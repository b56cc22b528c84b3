"""What printed words say of the paper: read, weighed against pulses, and kept without names."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from ecg_flare.cli import main
from ecg_flare.digitize import ReadingOptions, digitize
from ecg_flare.digitize.confidence import CONFIDENT, PRINTED
from ecg_flare.digitize.files.output import make_report
from ecg_flare.digitize.measure.calibration import ChestGain
from ecg_flare.digitize.measure.printed import printed_chest_gain, weigh_printed_gain, weigh_printed_speed
from ecg_flare.digitize.measure.speed_and_gain import PaperReading
from ecg_flare.digitize.words.ocr import confirmed, without_colour
from ecg_flare.digitize.words.printed_word import PrintedWord
from ecg_flare.digitize.words.statements import PrintedMeasures, Statement, read_statements
from ecg_flare.ecg.synthetic import synthesize
from ecg_flare.errors import ConfigError
from ecg_flare.page.page_list import PageFile
from ecg_flare.page.render import Page, render_page
from ecg_flare.page.style import PageStyle, PrintStyle


def word(text: str, score: float = 0.95) -> PrintedWord:
    return PrintedWord(text, score, 100.0, 200.0, 180.0, 212.0)


def said(*texts: str) -> list[tuple[str, float]]:
    return [(each.kind, each.value) for each in read_statements(word(text) for text in texts).statements]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("25 mm/s", [("speed", 25.0)]),
        ("25mm/sec", [("speed", 25.0)]),
        ("Speed: 50 mm/s", [("speed", 50.0)]),
        ("12,5 mm/s", [("speed", 12.5)]),
        ("10 mm/mV", [("gain", 10.0)]),
        ("2O mm/mv", [("gain", 20.0)]),
        ("20m/mV", [("gain", 20.0)]),
        ("25mm/s 10mm/mV 40Hz", [("speed", 25.0), ("gain", 10.0)]),
        ("10.0 mm/mV", [("gain", 10.0)]),
        ("Limb: 10 mm/mV Chest: 5 mm/mV", [("limb_gain", 10.0), ("chest_gain", 5.0)]),
        ("Extr. 20 mm/mV", [("limb_gain", 20.0)]),
        ("10/5 mm/mV", [("limb_gain", 10.0), ("chest_gain", 5.0)]),
        ("7/5 mm/mV", []),
        ("V1-V6 5 mm/mV", [("chest_gain", 5.0)]),
        ("5 mm/s", []),  # a 25 that lost its 2
        ("0 mm/mV", []),
        ("125 mm/s", []),
        ("10 mm/mVs", [("gain", 10.0)]),
        ("25 mm/sup", []),
        ("QT/QTc 388/503 ms", []),
        ("0.05-150 Hz", []),
        ("2019/25 mm", []),
    ],
)
def test_a_number_counts_with_its_unit_and_if_machines_print_it(text: str, expected: list[tuple[str, float]]) -> None:
    assert said(text) == expected


def test_what_was_read_badly_says_nothing() -> None:
    assert read_statements([word("25 mm/s", 0.5)]).statements == ()


@pytest.mark.parametrize(
    ("first", "second", "believed"),
    [
        ("20 mm/mV", "10 mm/mV", False),  # a line of the grid ran through the 1
        ("10 mm/mV", "10 mm/mV", True),
        ("10 mm/mV", "19 mm/mV", True),  # the second reading states nothing
        ("10 mm/mV", None, True),
        ("25mm/s 10mm/mV", "25 mm/s 10 mm/mV", True),
        ("25mm/s 10mm/mV", "25mm/s 20mm/mV", False),
        ("20 mm/mV", "10 mm//mv", False),  # its unit is lost, its number is not
        ("10/5 mm/mV", "10 mm/mV", False),
    ],
)
def test_two_readings_that_state_other_things_state_nothing(first: str, second: str | None, believed: bool) -> None:
    found = confirmed(word(first), None if second is None else word(second))
    assert (found.text, found.score) == (first, 0.95 if believed else 0.0)
    assert bool(read_statements([found]).statements) is believed


def test_the_second_reading_sees_no_grid_in_colour() -> None:
    part = np.full((20, 30, 3), 250, np.uint8)
    part[:, 10] = (90, 220, 120)  # a green line
    part[5:15, 4] = 20  # print
    plain = without_colour(part)
    assert plain.shape == (40, 60, 3)
    assert plain[:, 20:22].min() > 210
    assert plain[12:28, 8:10].max() < 90


def test_two_speeds_are_none_and_told() -> None:
    found = read_statements([word("25 mm/s"), word("50 mm/s"), word("10 mm/mV"), word("10mm/mV")])
    assert (found.speed_mm_per_s, found.gain_mm_per_mv) == (None, 10.0)
    assert found.contradictions == ("the page prints more than one speed: 25, 50",)


def printed(**values: float) -> PrintedMeasures:
    return PrintedMeasures(tuple(Statement(kind, value, word("")) for kind, value in values.items()))  # type: ignore[arg-type]


def reading(value: float, source: str, confidence: float = 1.0, other: float | None = None) -> PaperReading:
    return PaperReading(value, source, confidence, ("a note",), other)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("found", "says", "value", "source", "confidence"),
    [
        (reading(25.0, "assumed", 0.7), 50.0, 50.0, "printed", PRINTED),
        (reading(25.0, "assumed", 0.7), 25.0, 25.0, "printed", PRINTED),
        (reading(25.0, "measured", 0.7, other=12.5), 12.5, 12.5, "printed", PRINTED),
        (reading(25.0, "measured", 0.7, other=12.5), 25.0, 25.0, "measured", 1.0),
        (reading(25.0, "measured"), 50.0, 25.0, "measured", 0.6),
        (reading(50.0, "given"), 25.0, 50.0, "given", 0.6),
        (reading(50.0, "given", 0.7), 50.0, 50.0, "given", 0.7),
    ],
)
def test_print_decides_what_nothing_else_says(
    found: PaperReading, says: float, value: float, source: str, confidence: float
) -> None:
    weighed = weigh_printed_speed(found, printed(speed=says))
    assert (weighed.value, weighed.source, weighed.confidence) == (value, source, pytest.approx(confidence))
    assert ("but" in "".join(weighed.warnings)) == (confidence == 0.6)


def test_pulses_of_the_chest_leads_do_not_contradict_the_limb_leads_print() -> None:
    both = printed(limb_gain=10.0, chest_gain=5.0)
    assert weigh_printed_gain(reading(5.0, "measured"), both).value == 10.0
    assert printed_chest_gain(None, both, 10.0) == ChestGain(5.0, "printed")
    assert printed_chest_gain(ChestGain(5.0, "measured"), both, 10.0) == ChestGain(5.0, "measured")
    assert printed_chest_gain(None, printed(gain=10.0), 10.0) == ChestGain(10.0, "printed")
    assert printed_chest_gain(None, printed(gain=10.0), 20.0) is None
    assert printed_chest_gain(None, printed(limb_gain=10.0), 10.0) is None


@pytest.fixture(scope="module")
def page() -> Page:
    """A page at 50 mm/s without pulses, so that nothing but print says its speed and gain."""
    rng = np.random.default_rng(8)
    style = PageStyle(dpi=150, pulse="none", speed_mm_per_s=50.0, gain_mm_per_mv=5.0, text=PrintStyle(footer=True))
    return render_page(synthesize(rng), style, rng)


class Reads:
    """Somebody who reads these lines on every page, and counts the pages."""

    def __init__(self, *texts: str) -> None:
        self.texts, self.pages = texts, 0

    def __call__(self, image: np.ndarray, px_per_mm: float, /) -> Sequence[PrintedWord]:
        self.pages += 1
        return [word(text) for text in self.texts]


def test_a_page_without_pulses_is_sure_by_its_print(page: Page) -> None:
    reader = Reads("JANE DOE 1950-01-01 50 mm/s", "5 mm/mV")
    found = digitize(page.image, ReadingOptions(segmenter="classical", words=reader))

    assert (found.calibration.speed_mm_per_s, found.calibration.speed_source) == (50.0, "printed")
    assert (found.calibration.gain_mm_per_mv, found.calibration.gain_source) == (5.0, "printed")
    assert found.confidence >= CONFIDENT
    assert not any("assumed" in warning for warning in found.warnings)
    assert reader.pages == 1
    assert found.seconds["words"] > 0


def test_without_a_reader_they_are_assumed(page: Page) -> None:
    found = digitize(page.image, ReadingOptions(segmenter="classical", words="off"))
    assert {found.calibration.speed_source, found.calibration.gain_source} == {"assumed"}
    assert found.confidence < CONFIDENT


def test_nobody_is_asked_where_pulses_say_it(clean_page: Page) -> None:
    reader = Reads("50 mm/s", "5 mm/mV")
    found = digitize(clean_page.image, ReadingOptions(segmenter="classical", words=reader))
    assert (reader.pages, found.calibration.speed_mm_per_s) == (0, 25.0)


def test_no_line_of_print_is_written(page: Page, tmp_path: Path) -> None:
    reader = Reads("JANE DOE 1950-01-01 50 mm/s", "5 mm/mV")
    found = digitize(page.image, ReadingOptions(segmenter="classical", words=reader))
    report = json.dumps(make_report(found, PageFile(tmp_path / "page.png", 1, "page")))
    assert "JANE" not in report
    assert '"kind": "speed", "value": 50.0' in report


def test_an_extra_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("ecg_flare.digitize.words.ocr.words_installed", lambda: False)
    with pytest.raises(ConfigError, match=r"ecg_flare\[words\]"):
        ReadingOptions(words="on").word_reader()
    done = CliRunner().invoke(main, ["digitize", "x.png", "-o", str(tmp_path / "out"), "--words", "on"])
    assert done.exit_code == 2
    assert "pip install 'ecg_flare[words]'" in done.output


def test_a_word_for_words_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigError, match="words is 'maybe'"):
        ReadingOptions(words="maybe")  # type: ignore[arg-type]


def test_the_library_reads_speed_and_gain_off_a_page(
    page: Page, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("rapidocr")
    pytest.importorskip("onnxruntime")
    monkeypatch.setattr("ecg_flare.digitize.options.words_installed", lambda: True)
    Image.fromarray(page.image).save(tmp_path / "page.png")
    done = CliRunner().invoke(
        main, ["digitize", str(tmp_path / "page.png"), "-o", str(tmp_path / "out"), "--segmenter", "classical"]
    )
    assert done.exit_code == 0, done.output
    written = json.loads((tmp_path / "out" / "page.json").read_text())
    measures = written["calibration"]
    assert (measures["speed_mm_per_s"], measures["speed_source"]) == (50.0, "printed")
    assert (measures["gain_mm_per_mv"], measures["gain_source"]) == (5.0, "printed")
    for statement in written["print"]:
        left, top, right, bottom = statement["box_px"]
        assert 0 <= left < right <= written["geometry"]["width_px"]
        if statement["kind"] in ("speed", "gain"):
            assert top > 0.8 * written["geometry"]["height_px"]  # the renderer's footer
        assert bottom <= written["geometry"]["height_px"]
