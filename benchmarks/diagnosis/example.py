"""The worked example of custom/diagnosis, as the benchmark trains it."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[2] / "custom" / "diagnosis"))

from ptbxl_diagnosis import Superclasses
from ptbxl_recordings import SUPERCLASSES, PtbxlRecordings, to_inputs
from resnet1d import printed_3x4

__all__ = ["SUPERCLASSES", "PtbxlRecordings", "Superclasses", "printed_3x4", "to_inputs"]
