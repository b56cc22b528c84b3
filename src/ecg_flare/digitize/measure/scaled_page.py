"""A straight page with its scale, stood upright: calibration pulses that hang from their bar turn it by half a circle.

A page without pulses says nothing certain about up and down here (R waves may point either way, and labels are not
read), and is handed on as it is, with `upright_confidence` 0.5.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from ecg_flare.digitize.curl.flatten import flattened
from ecg_flare.digitize.measure.scale import PageScale, measure_scale
from ecg_flare.digitize.rectify.normalize import NormalizedPage, rotate_180

HUNG: Final = "the page was upside down: rotated by 180 degrees, since its calibration pulses hung"
"""The warning of a page that its pulses turned."""


@dataclass(frozen=True, eq=False)
class ScaledPage:
    """A page, and the grid and the pulses that lengths on it are measured by."""

    page: NormalizedPage
    scale: PageScale

    def rotated_180(self) -> ScaledPage:
        """The same page turned by half a circle."""
        height, width = self.page.image.shape[:2]
        return ScaledPage(rotate_180(self.page), self.scale.rotated_180((height, width)))


def stand_upright(page: NormalizedPage) -> ScaledPage:
    """Measure the scale of a straight page, flatten it, and turn it by half a circle when its pulses hang."""
    scaled = measure_flat(page)
    page, scale = scaled.page, scaled.scale
    if len(scale.pulses) < 2 or (scale.grid is not None and scale.standard_gain is None):
        return scaled
    if scale.pulses[0].upright:
        return replace(scaled, page=replace(page, upright_confidence=1.0))
    rotated = scaled.rotated_180()
    upright = replace(rotated.page, warnings=(*rotated.page.warnings, HUNG), upright_confidence=1.0)
    return replace(rotated, page=upright)


def measure_flat(page: NormalizedPage) -> ScaledPage:
    """Measure the scale of a straight page, and flatten it by its grid where it is bent."""
    scale = measure_scale(page.image, page.period_px)
    if scale.grid is None or page.flattened_mm is not None or page.bend == 0.0:
        return ScaledPage(page, scale)
    flat = flattened(page, scale.grid.px_per_mm)
    return ScaledPage(flat, scale if flat is page else measure_scale(flat.image, flat.period_px))
