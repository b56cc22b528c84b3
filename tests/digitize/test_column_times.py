"""Columns that go on in time, told from columns that all begin at once: beats drawn where they are known."""

import numpy as np
import pytest
from rasters import raster

from ecg_flare.digitize.confidence import CONFIDENT
from ecg_flare.digitize.leads.assign import assign
from ecg_flare.digitize.leads.column_times import TimesReading, column_times
from ecg_flare.digitize.leads.labelled_rows import LabelledRows
from ecg_flare.digitize.leads.lead_span import LeadSpan
from ecg_flare.ecg.leads import limb_leads

COLUMN = 600  # samples of 0.1 mm: 2.4 s at 25 mm/s


def beats(places: list[int], samples: int) -> np.ndarray:
    x = np.arange(samples)
    return np.asarray(sum(8.0 * np.exp(-0.5 * ((x - place) / 3.0) ** 2) for place in places))


def page(*, together: bool, strip: bool) -> tuple[np.ndarray, list[LeadSpan]]:
    """Two rows of two columns; the heart beats every 250 samples, in the second column at other places or the same."""
    first, second = [100, 350], ([100, 350] if together else [0, 250, 500])
    row = np.concatenate([beats(first, COLUMN), beats(second, COLUMN)])
    names = (("I", "V1"), ("II", "V2"))
    spans = [
        LeadSpan(names[at][k], at, k * 600.0, (k + 1) * 600.0, k * 2.4, (k + 1) * 2.4, False)
        for at in (0, 1)
        for k in (0, 1)
    ]
    rows = [row, 2.0 * row]
    if strip:
        rows.append(beats([100, 350, 600, 850, 1100], 2 * COLUMN))
        spans.append(LeadSpan("II", 2, 0.0, 1200.0, 0.0, 4.8, True))
    return np.stack(rows), spans


@pytest.mark.parametrize("strip", [False, True])
@pytest.mark.parametrize("together", [False, True])
def test_columns_whose_beats_stand_at_one_place_show_one_stretch(together: bool, strip: bool) -> None:
    y_mm, spans = page(together=together, strip=strip)
    assert column_times(raster(y_mm), spans, 25.0) == TimesReading("simultaneous" if together else "consecutive")


@pytest.mark.parametrize("cut", [1, 40])
@pytest.mark.parametrize("together", [False, True])
def test_a_last_column_that_ends_beyond_its_rows_is_still_compared(cut: int, together: bool) -> None:
    y_mm, spans = page(together=together, strip=False)
    found = column_times(raster(y_mm[:, :-cut]), spans, 25.0)
    assert found == TimesReading("simultaneous" if together else "consecutive")


def test_a_last_column_outside_the_rows_is_not_sure() -> None:
    y_mm, spans = page(together=True, strip=False)
    assert column_times(raster(y_mm[:, : COLUMN + 20]), spans, 25.0) == TimesReading("consecutive", sure=False)


def test_one_column_goes_on_in_time() -> None:
    y_mm, spans = page(together=True, strip=False)
    assert column_times(raster(y_mm), [span for span in spans if span.left_px == 0.0], 25.0) == TimesReading(
        "consecutive"
    )


def shifted(by: list[int]) -> tuple[np.ndarray, list[LeadSpan]]:
    """One row; in each further column the beats of the first one stand so many samples later."""
    columns = [beats([100 + late, 350 + late], COLUMN) for late in (0, *by)]
    spans = [
        LeadSpan(name, 0, k * 600.0, (k + 1) * 600.0, k * 2.4, (k + 1) * 2.4, False)
        for k, name in zip(range(len(columns)), ("I", "aVR", "V1", "V4"), strict=False)
    ]
    return np.concatenate(columns)[None], spans


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        ([0], TimesReading("simultaneous")),
        ([3], TimesReading("simultaneous", sure=False)),  # a steady heart may meet its beat so nearly
        ([120], TimesReading("consecutive")),
        ([1, 0, 1], TimesReading("simultaneous")),
        ([0, 60, 120], TimesReading("consecutive")),
        ([0, 0, 120], TimesReading("simultaneous", sure=False)),
    ],
)
def test_what_chance_may_do_is_not_sure(by: list[int], expected: TimesReading) -> None:
    y_mm, spans = shifted(by)
    assert column_times(raster(y_mm), spans, 25.0) == expected


def test_a_layout_that_was_given_does_not_say_whether_its_columns_go_on_in_time() -> None:
    limb = np.stack(limb_leads(beats([100, 350], COLUMN), 2.0 * beats([103, 353], COLUMN)))
    chest = np.stack([size * beats([104, 354], COLUMN) for size in (-1.0, -2.5, -0.7, 1.5, 2.5, 1.2)])
    y_mm = np.hstack([limb, chest])
    found = assign(LabelledRows(raster(y_mm), (), 25.0), "6x2")
    assert found is not None
    assert not found.evidence.times_known
    assert found.confidence < CONFIDENT
    assert any("go on in time" in text for text in found.warnings)


def test_a_steady_heart_that_comes_near_its_first_place_goes_on_in_time() -> None:
    """Beats of a lone second column 5 samples (20 ms) beside the first one's: alike by chance, and not sure."""
    y_mm, spans = shifted([5])
    assert column_times(raster(y_mm), spans, 25.0) == TimesReading("consecutive", sure=False)
    y_mm, spans = shifted([3])
    assert column_times(raster(y_mm), spans, 25.0) == TimesReading("simultaneous", sure=False)
