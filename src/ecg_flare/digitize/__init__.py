"""A picture read back: from the page image to twelve leads in mV. pipeline.py reads straight down."""

from ecg_flare.digitize.options import ReadingOptions
from ecg_flare.digitize.pipeline import digitize
from ecg_flare.digitize.result import Digitization

__all__ = ["Digitization", "ReadingOptions", "digitize"]
