"""A picture read back: one file a stage, from the page image to twelve leads in mV."""

from ecg_flare.digitize.pipeline import Digitization, digitize

__all__ = ["Digitization", "digitize"]
