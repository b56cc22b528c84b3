"""What a page can end in: the errors that are raised on purpose, and what arrays and their libraries raise."""

from __future__ import annotations

from typing import Final

import cv2

from ecg_flare.errors import EcgFlareError

PAGE_FAILURES: Final = (EcgFlareError, ArithmeticError, LookupError, MemoryError, ValueError, cv2.error)
"""At a page that nobody thought of; whoever reads many pages catches them and goes on."""
