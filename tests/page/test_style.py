from typing import Any

import pytest

from ecg_flare.errors import LayoutError
from ecg_flare.page.style import GridStyle, InkStyle, PageStyle, PrintStyle


@pytest.mark.parametrize(
    ("owner", "name", "value"),
    [
        (PageStyle, "layout", "5x5"),
        (PageStyle, "paper", "a5"),
        (PageStyle, "dpi", 10),
        (PageStyle, "dpi", float("nan")),
        (PageStyle, "dpi", "200"),
        (PageStyle, "anisotropy", 3.0),
        (PageStyle, "speed_mm_per_s", 0),
        (PageStyle, "gain_mm_per_mv", -10),
        (PageStyle, "columns", "random"),
        (PageStyle, "pulse", "top"),
        (PageStyle, "pulse", True),
        (PageStyle, "pulse_shape", "round"),
        (PageStyle, "pulse_gap_mm", -1),
        (PageStyle, "chest_gain_mm_per_mv", 0),
        (PageStyle, "shift_x_mm", 99),
        (PageStyle, "paper_rgb", (255, 300, 255)),
        (PageStyle, "rhythm_leads", ("II", "V1")),
        (PageStyle, "rhythm_leads", ("V10",)),
        (GridStyle, "kind", "fine"),
        (GridStyle, "colour", "purple"),
        (GridStyle, "strength", 1.2),
        (GridStyle, "squares", 4.5),
        (GridStyle, "squares", 11),
        (GridStyle, "boxes", 1),
        (InkStyle, "width_mm", 0),
        (InkStyle, "density", 0),
        (PrintStyle, "font", "wingdings"),
        (PrintStyle, "separator", "dots"),
        (PrintStyle, "separator_mm", 0.05),
        (PrintStyle, "separator_mm", 2.1),
        (PrintStyle, "label_colour", "pink"),
        (PrintStyle, "label_spacing_mm", 6),
    ],
)
def test_values_out_of_range_are_named(owner: Any, name: str, value: Any) -> None:
    with pytest.raises(LayoutError) as caught:
        owner(**{name: value})
    shown = next((part for part in ("300", "V10") if part in str(value)), str(value))
    assert shown in str(caught.value)


def test_scale_follows_dpi_and_anisotropy() -> None:
    assert PageStyle(dpi=254.0, anisotropy=0.9).px_per_mm == pytest.approx((9.0, 10.0))
