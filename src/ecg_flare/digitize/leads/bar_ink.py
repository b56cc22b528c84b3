"""The ink of a bar, taken off the ink of the lines that it crosses."""

from __future__ import annotations

from typing import Final

import numpy as np
from jaxtyping import Bool, Float32, Float64

from ecg_flare.digitize.ink.extraction import Ink
from ecg_flare.ecg.stretches import unbroken

COVERED: Final = 0.6  # mean ink across a bar in a line of pixels that shows it
LIKE: Final = 0.4  # by which a line that shows a bar alone is paler than the bar
PALE: Final = 0.12  # ink beside a bar that is none
TRACE_OF_BAR: Final = 0.04  # ink of a rim above which a line is looked for anew
DARK: Final = 0.5  # ink of a bar's blurred rim or end that hides a line; a paler one is taken off
MIN_DASHES: Final = 2
LEAST_LINES: Final = 8  # that show a bar alone, to tell that it leans
END_PX: Final = 2  # beyond its ends a bar is blurred
OWN_SHARE: Final = 0.3  # of a stretch of covered lines that show the bar alone
THROUGH_PX: Final = 2  # beyond either end of a bar: a line seen at both runs under it


def erase_bar(part: Ink, edges: tuple[float, float], rim: int, peak: int) -> tuple[int, int, Bool[np.ndarray, " h"]]:
    """Take a bar's ink off the traces'; return the columns that it touches, from and up to, and the lines it hides.

    Lines that show the bar alone say how dark each column of it is, and how that changes where it leans. Under its pale
    rim, and beyond its ends, the line is seen all the same. A line that is seen at both ends of the bar runs on under
    it. Much ink as wide as the bar, `peak` pixels beyond the last line that shows it alone, is a peak that stands out.

    Segmenters take a line for print where a bar stands. There all ink that is not the bar's is the line's.
    """
    trace, every = part.trace, part.every
    first, after = max(0, int(np.floor(edges[0] + 0.5))), min(every.shape[1], int(np.ceil(edges[1] + 0.5)))
    hides = np.zeros(len(every), bool)
    middle = round((edges[0] + edges[1]) / 2)
    inner = max(0.0, (edges[1] - edges[0]) / 2 - 1.0)
    core = slice(max(0, round((edges[0] + edges[1]) / 2 - inner)), max(middle, round(middle + inner)) + 1)
    covered = every[:, core].mean(axis=1) > COVERED
    low, high = max(0, first - rim), min(every.shape[1], after + rim)
    beside = [column for column in (low - 1, high) if 0 <= column < every.shape[1]]
    alone = covered & (trace[:, beside].max(axis=1, initial=0.0) < PALE)
    if not alone.any():
        return first, after, hides
    shade = np.median(every[alone], axis=0)
    like = (shade - every)[:, low:high].max(axis=1) < LIKE
    alone &= like
    shades = _shade_of_lines(every, alone, shade)
    touched = np.flatnonzero(shades[alone].max(axis=0, initial=0.0)[low:high] > TRACE_OF_BAR) + low
    trace[:, low:high] = every[:, low:high]
    there = np.clip(every[:, core] / np.maximum(shade[core], COVERED), 0.0, 1.0).min(axis=1)
    for top, bottom in _of_bar(covered, alone, like):
        around = _bar_alone(alone, top, bottom, peak)
        hides[around] |= there[around] > DARK
        through = _inked_beyond(trace, around)
        for column in range(low, high):
            dark = there[around] * shades[around, column]
            bare = np.clip((every[around, column] - dark) / np.maximum(1.0 - dark, 1.0 - DARK), 0.0, 1.0)
            bare[dark > DARK] = 1.0 if through[column] else 0.0
            trace[around, column] = np.minimum(trace[around, column], bare)
    return (int(touched[0]), int(touched[-1]) + 1, hides) if len(touched) else (first, after, hides)


def _shade_of_lines(
    every: Float32[np.ndarray, "h w"], alone: Bool[np.ndarray, " h"], shade: Float32[np.ndarray, " w"]
) -> Float64[np.ndarray, "h w"]:
    """Return how dark a bar is in each line and column; `shade` is what it usually is."""
    line = np.arange(len(every))
    shown = np.flatnonzero(alone)
    if len(shown) < LEAST_LINES:
        return np.tile(shade.astype(np.float64), (len(every), 1))
    tilt, level = np.polyfit(shown, every[shown], 1)
    result: Float64[np.ndarray, "h w"] = np.clip(tilt * line[:, None] + level, 0.0, 1.0)
    return result


def _of_bar(
    covered: Bool[np.ndarray, " h"], alone: Bool[np.ndarray, " h"], like: Bool[np.ndarray, " h"]
) -> list[tuple[int, int]]:
    """Return the stretches of covered lines that are the bar's: those that show it alone, and dashes as long as they.

    A line that meets a dash beside the bar does not let it be seen alone.
    """
    stretches = list(unbroken(covered))
    own = [(top, bottom) for top, bottom in stretches if alone[top:bottom].mean() >= OWN_SHARE]
    if len(own) < MIN_DASHES:
        return own
    usual = float(np.median([bottom - top for top, bottom in own]))
    return [
        (top, bottom)
        for top, bottom in stretches
        if (top, bottom) in own or (abs(bottom - top - usual) <= usual / 2 and like[top:bottom].any())
    ]


def _bar_alone(alone: Bool[np.ndarray, " h"], top: int, bottom: int, peak: int) -> slice:
    """Return the lines of a stretch that are the bar's, with its blurred ends, without a peak that stands out of it."""
    own = np.flatnonzero(alone[top:bottom]) + top
    first = own[0] if len(own) and own[0] - top > peak else max(0, top - END_PX)
    after = own[-1] + 1 if len(own) and bottom - own[-1] - 1 > peak else min(len(alone), bottom + END_PX)
    return slice(int(first), int(after))


def _inked_beyond(part: Float32[np.ndarray, "h w"], lines: slice) -> Bool[np.ndarray, " w"]:
    """Return the columns with ink both just above and just below these lines of pixels."""
    above, below = part[max(0, lines.start - THROUGH_PX) : lines.start], part[lines.stop : lines.stop + THROUGH_PX]
    inked: Bool[np.ndarray, " w"] = (above.min(axis=0, initial=1.0) > COVERED) & (
        below.min(axis=0, initial=1.0) > COVERED
    )
    return inked & (len(above) == THROUGH_PX) & (len(below) == THROUGH_PX)
