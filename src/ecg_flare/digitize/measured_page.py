"""A page that is measured, and the pictures of it that the later stages work on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8

from ecg_flare.digitize.measure.calibrate import Calibration, calibrate
from ecg_flare.digitize.measure.pulse import Pulse, find_pulses
from ecg_flare.digitize.measure.working_scale import at_network_scale, at_trace_scale
from ecg_flare.digitize.options import ReadingOptions
from ecg_flare.digitize.rectify.normalize import NormalizedPage
from ecg_flare.digitize.units import PxPerMm


@dataclass(frozen=True, eq=False)
class MeasuredPage:
    """What is known of a page before a segmenter is asked.

    `network_image` is the page at the scale of segmenters. `trace_image` is the page at the scale that lines are
    followed at: `shrink` times the page's own in x and y, `scale` pixels a millimetre. `pulses` are the calibration
    pulses on it, in its pixels.
    """

    page: NormalizedPage
    calibration: Calibration
    network_image: UInt8[np.ndarray, "h4 w4 3"]
    trace_image: UInt8[np.ndarray, "h w 3"]
    shrink: tuple[float, float]
    scale: PxPerMm
    pulses: tuple[Pulse, ...]


def measure_page(page: NormalizedPage, options: ReadingOptions) -> MeasuredPage:
    """Measure a page, as far as its measures are not given. Raises PageError where it has no measure."""
    calibration = calibrate(page, speed=options.speed, gain=options.gain, px_per_mm=options.px_per_mm)
    image, shrink = at_trace_scale(page.image, calibration)
    scale = PxPerMm(calibration.px_per_mm_x * shrink[0], calibration.px_per_mm_y * shrink[1])
    network_image = at_network_scale(page.image, calibration)
    return MeasuredPage(page, calibration, network_image, image, shrink, scale, find_pulses(image, scale.x))
