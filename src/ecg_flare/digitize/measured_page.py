"""A page that is measured, and the pictures of it that the later stages work on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8

from ecg_flare.digitize.ink.ruled_lines import without_ruled_lines
from ecg_flare.digitize.measure.calibrate import calibrate
from ecg_flare.digitize.measure.calibration import Calibration
from ecg_flare.digitize.measure.scaled_page import ScaledPage
from ecg_flare.digitize.measure.working_page import WorkingPage, at_network_scale, at_trace_scale
from ecg_flare.digitize.options import ReadingOptions
from ecg_flare.digitize.rectify.normalize import NormalizedPage
from ecg_flare.digitize.words.statements import NOTHING_PRINTED, PrintedMeasures


@dataclass(frozen=True, eq=False)
class MeasuredPage:
    """What is known of a page before a segmenter is asked.

    `network_image` is the page at the scale of segmenters, `working` at the scale that lines are followed at, with its
    calibration pulses.
    """

    page: NormalizedPage
    calibration: Calibration
    network_image: UInt8[np.ndarray, "h4 w4 3"]
    working: WorkingPage


def measure_page(
    scaled: ScaledPage, options: ReadingOptions, printed: PrintedMeasures = NOTHING_PRINTED
) -> MeasuredPage:
    """Measure a page, as far as its measures are not given; `printed` is what it prints of them.

    Raises PageError where it has no measure.
    """
    calibration = calibrate(
        scaled,
        speed=options.speed,
        gain=options.gain,
        chest_gain=options.chest_gain,
        px_per_mm=options.px_per_mm,
        printed=printed,
    )
    image = scaled.page.image
    if scaled.page.two_tones:
        image = without_ruled_lines(image, calibration.px_per_mm)
    network_image = at_network_scale(image, calibration.px_per_mm)
    return MeasuredPage(scaled.page, calibration, network_image, at_trace_scale(image, calibration.px_per_mm))
