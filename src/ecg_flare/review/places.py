"""Decisions as the browser sends them, in pixels of the page that it shows, and as they are kept, in the picture's."""

from __future__ import annotations

from typing import Any

import numpy as np

from ecg_flare.documents import Fields
from ecg_flare.errors import ConfigError
from ecg_flare.review.decisions import MAX_POINTS
from ecg_flare.review.open_page import OpenPage

_FURTHEST_PX = 1e5


def on_picture(page: OpenPage, what: str, value: Any) -> Any:
    """Return a decision's value with its places in the picture; corners are in the picture's pixels already.

    Raises ConfigError for places that are none. What else may be wrong with a value is left as it is.
    """
    if not isinstance(value, dict | list):
        return value
    match what:
        case "line" if isinstance(value, dict):
            return {**value, "points": page.on_picture(points_of(value.get("points"), what))}
        case "unreadable" if isinstance(value, dict):
            begin, end = page.on_picture(points_of([value.get("begin"), value.get("end")], what))
            return {**value, "begin": begin, "end": end}
        case "ruler" if isinstance(value, dict):
            first, second = page.on_picture(points_of([value.get("first"), value.get("second")], what))
            return {**value, "first": first, "second": second}
        case "rows" if isinstance(value, list) and value:
            return page.on_picture(points_of(value, what))
        case "borders" if isinstance(value, list) and all(isinstance(each, dict) for each in value):
            places = page.on_picture(points_of([each.get("at") for each in value], what)) if value else []
            return [{**each, "at": at} for each, at in zip(value, places, strict=True)]
    return value


def points_of(values: Any, what: str) -> np.ndarray:
    """Points [x, y] from JSON as an array (n, 2). Raises ConfigError for anything else."""
    is_list = isinstance(values, list) and 0 < len(values) <= MAX_POINTS
    if not is_list or not all(isinstance(each, list) and len(each) == 2 for each in values):
        raise ConfigError(f"{what}: expected points [x, y], found {values!r:.60}")
    fields = Fields({"points": [number for each in values for number in each]}, what, ConfigError)
    return np.array(fields.series("points", -_FURTHEST_PX, _FURTHEST_PX)).reshape(-1, 2)
