"""A picture read back: one file a stage, from the page image to twelve leads in mV."""

from ecg_flare.digitize.pipeline import digitize
from ecg_flare.digitize.result import Digitization

__all__ = ["Digitization", "digitize"]
