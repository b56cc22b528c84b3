"""Columns that go on in time, told from columns that all begin at once: beats drawn where they are known."""

import numpy as np
import pytest
from rasters import raster

from ecg_flare.digitize.leads.column_times import column_times
from ecg_flare.digitize.leads.lead_span import LeadSpan

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
    assert column_times(raster(y_mm), spans, 25.0) == ("simultaneous" if together else "consecutive")


def test_one_column_goes_on_in_time() -> None:
    y_mm, spans = page(together=True, strip=False)
    assert column_times(raster(y_mm), [span for span in spans if span.left_px == 0.0], 25.0) == "consecutive"
