"""Lead names read from print: letters, words, how well each name fits."""

import numpy as np
import pytest

from ecg_flare.digitize.leads.labels import MIN_FIT, Word, fit_names, read_words, readable_names
from ecg_flare.digitize.trace.rows import RowTrace
from ecg_flare.digitize.units import PxPerMm
from ecg_flare.ecg.leads import ALL_LEADS
from ecg_flare.page.lettering import Text, draw_texts
from ecg_flare.page.raster import Label

SCALE = PxPerMm(8.0, 8.0)
SHAPE = (400, 800)


def page(*texts: Text) -> tuple[np.ndarray, np.ndarray]:
    """Ink of print at 8 px/mm, and probabilities that know it for print."""
    sheet, _ = draw_texts(texts, "sans", (SCALE.x, SCALE.y), SHAPE)
    ink = sheet.astype(np.float32) / 255
    probabilities = np.zeros((len(Label), *SHAPE), np.float32)
    probabilities[Label.PRINT] = ink > 0
    return ink, probabilities


def words_of(*texts: Text) -> tuple[Word, ...]:
    return read_words(*page(*texts), (), SCALE)


@pytest.mark.parametrize("font", ["sans", "serif", "mono"])
def test_every_name_fits_itself_best(font: str) -> None:
    for lead in ALL_LEADS:
        sheet, _ = draw_texts([Text(lead, 2.0, 8.0, 3.2)], font, (8.0, 8.0), (100, 200))  # type: ignore[arg-type]
        rows, columns = np.nonzero(sheet > 100)
        word = sheet[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1].astype(np.float32) / 255
        fits = fit_names(word, word.shape[1] / word.shape[0])
        assert ALL_LEADS[int(fits.argmax())] == lead
        assert fits.max() > 0.85


def test_words_are_found_where_they_stand() -> None:
    words = words_of(Text("V1", 10.0, 20.0, 3.2), Text("aVR", 60.0, 40.0, 3.2))
    assert sorted((word.best, word.n_letters) for word in words) == [("V1", 2), ("aVR", 3)]
    first = min(words, key=lambda word: word.left)
    assert (first.left / 8, first.bottom / 8) == pytest.approx((10.0, 20.0), abs=0.5)
    assert first.margin > 0.06


def test_letters_apart_or_on_other_lines_are_other_words() -> None:
    assert len(words_of(Text("V", 10.0, 20.0, 3.2), Text("2", 20.0, 20.0, 3.2))) == 2
    assert len(words_of(Text("V", 10.0, 20.0, 3.2), Text("2", 12.4, 22.0, 3.2))) == 2


def test_what_is_larger_than_a_label_is_no_word() -> None:
    assert words_of(Text("V1", 10.0, 40.0, 14.0)) == ()
    assert words_of(Text("Patient", 10.0, 20.0, 3.2)) == ()


def test_a_letter_that_was_taken_for_trace_is_read_but_a_row_is_not() -> None:
    ink, probabilities = page(Text("V4", 10.0, 20.0, 3.2))
    probabilities = probabilities[[Label.BACKGROUND, Label.PRINT, Label.PULSE, Label.TRACE]]
    assert probabilities[Label.TRACE].any()
    (word,) = read_words(ink, probabilities, (), SCALE)
    assert word.best == "V4"
    everywhere = RowTrace(np.full(800, 200.0), np.zeros(800), np.full(800, 399.0), 200.0, np.zeros(800, bool))
    assert read_words(ink, probabilities, (everywhere,), SCALE) == ()


def test_names_of_strokes_alone_say_nothing_of_the_way_up() -> None:
    words = words_of(*(Text(name, 10.0 + 20.0 * k, 20.0, 3.2) for k, name in enumerate(("I", "II", "V6", "aVF"))))
    assert readable_names(words) == {"V6", "aVF"}


@pytest.mark.parametrize("spacing_mm", [0.8, 1.6, 2.6])
def test_a_name_of_spaced_letters_is_one_word(spacing_mm: float) -> None:
    letters, x_mm = [], 10.0
    for letter in "aVF":
        letters.append(Text(letter, x_mm, 20.0, 3.2))
        sheet, _ = draw_texts([Text(letter, 5.0, 20.0, 3.2)], "sans", (8.0, 8.0), (240, 240))
        x_mm += np.ptp(np.flatnonzero(sheet.any(axis=0))) / 8 + spacing_mm
    best = max(words_of(*letters), key=lambda word: (word.n_letters, word.fits.max()))
    assert (best.best, best.n_letters) == ("aVF", 3)
    assert best.fits.max() > MIN_FIT
    assert best.left / 8 == pytest.approx(10.0, abs=0.5)


def test_letters_of_a_line_of_text_are_no_spaced_names() -> None:
    words = words_of(*(Text("V", 10.0 + 4.0 * k, 20.0, 3.2) for k in range(6)))
    assert all(word.n_letters == 1 for word in words)


@pytest.mark.parametrize(
    ("printed", "lead"), [("v1", "V1"), ("v6", "V6"), ("C3", "V3"), ("AVR", "aVR"), ("AVF", "aVF")]
)
@pytest.mark.parametrize("font", ["sans", "serif", "mono"])
def test_other_spellings_of_a_name_are_read(printed: str, lead: str, font: str) -> None:
    sheet, _ = draw_texts([Text(printed, 2.0, 8.0, 3.2)], font, (8.0, 8.0), (100, 200))  # type: ignore[arg-type]
    rows, columns = np.nonzero(sheet > 100)
    word = sheet[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1].astype(np.float32) / 255
    fits = fit_names(word, word.shape[1] / word.shape[0])
    assert ALL_LEADS[int(fits.argmax())] == lead
    assert fits.max() > 0.85


def test_wide_letters_are_no_strokes() -> None:
    """Small and blurred, "V4" is as dark at its left and right as "II" is."""
    small = PxPerMm(2.3, 2.3)
    sheet, _ = draw_texts([Text("V4", 10.0, 20.0, 3.2)], "sans", (small.x, small.y), (120, 240))
    probabilities = np.zeros((len(Label), 120, 240), np.float32)
    probabilities[Label.PRINT] = sheet > 0
    words = read_words(sheet.astype(np.float32) / 255, probabilities, (), small)
    assert all(word.best not in ("II", "III") or word.fits.max() < MIN_FIT for word in words if word.n_letters > 1)


@pytest.mark.parametrize("font", ["sans", "serif", "serif-bold", "mono"])
@pytest.mark.parametrize("name", ["II", "III"])
def test_strokes_stay_names(name: str, font: str) -> None:
    sheet, _ = draw_texts([Text(name, 10.0, 20.0, 3.2)], font, (SCALE.x, SCALE.y), SHAPE)  # type: ignore[arg-type]
    probabilities = np.zeros((len(Label), *SHAPE), np.float32)
    probabilities[Label.PRINT] = sheet > 0
    words = read_words(sheet.astype(np.float32) / 255, probabilities, (), SCALE)
    assert max(words, key=lambda word: float(word.fits.max())).best == name
