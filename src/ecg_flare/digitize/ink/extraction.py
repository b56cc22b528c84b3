"""What of each pixel is trace ink: the grey values of the full-resolution page, without grid, print and paper.

The segmenter says where the trace is, at 4 px/mm; how dark each pixel of the full page is there says where the middle
of the stroke runs, to a fraction of a pixel.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from jaxtyping import Bool, Float32, Float64, UInt8

from ecg_flare.digitize.ink.faint_strokes import lift_faint_strokes
from ecg_flare.digitize.ink.long_lines import LONGEST_STROKE_MM, upright_runs
from ecg_flare.digitize.ink.other_inks import without_other_inks
from ecg_flare.digitize.ink.probabilities import Probabilities
from ecg_flare.digitize.ink.repeated_grid import without_grid
from ecg_flare.digitize.rectify.light import over_paper
from ecg_flare.digitize.units import PxPerMm
from ecg_flare.page.raster import NORMALIZED_PX_PER_MM, Label

SAMPLES: Final = 60_000  # pixels that the colour statistics are taken from
REACH_PX: Final = (9, 3)  # of the network's pixels, down and along
FLOORS: Final = (0.08, 0.25, 0.40)
"""Ink that is paler is paper, or the rim of a stroke: at least; at most by the darkness of a grid that was taken off;
and at most by what is left of the paper."""

PALE_PERCENTILE: Final = 97.0
STROKE_INK: Final = 0.5
STROKE_MM: Final = (1.2, 30.0)  # least and greatest length of what is given back to a steep stroke
STROKE_WIDTH_MM: Final = 1.5
DARK_GRID: Final = 0.35  # a grid this near to the ink's darkness could be given back with a stroke
FOREIGN: Final = 0.5  # mean probability of print and pulse above which a stroke is theirs


@dataclass(frozen=True, eq=False)
class Ink:
    """Share of ink in every pixel, 0 (paper, grid) to 1 (full ink): of the traces, and of all that was drawn.

    `shade` is the same of all that was drawn before it is cut at either end: paper is near 0, a black bar above 1.
    """

    trace: Float32[np.ndarray, "h w"]
    every: Float32[np.ndarray, "h w"]
    shade: Float32[np.ndarray, "h w"]


def find_ink(image: UInt8[np.ndarray, "h w 3"], probabilities: Probabilities) -> Ink:
    """Return the ink of a page at the image's own resolution.

    Colours are projected on the direction that tells the trace from paper and grid best (Fisher 1936), so that a red
    grid under black ink vanishes and a grey one is kept to its own darkness, then cut at what the grid still reaches.
    """
    height, width = image.shape[:2]
    trace = cv2.resize(probabilities[Label.TRACE], (width, height), interpolation=cv2.INTER_LINEAR)
    other = cv2.resize(probabilities[Label.PRINT], (width, height), interpolation=cv2.INTER_LINEAR)
    even = over_paper(image)
    bare = _bare(trace, other)
    core, paper = _colour_samples(even, trace, bare)
    if len(core) < 20 or len(paper) < 20:
        nothing = np.zeros((height, width), np.float32)
        return Ink(nothing, nothing, nothing)
    direction = _fisher_direction(core, paper)
    origin = np.median(paper, axis=0) @ direction
    full = np.percentile(core @ direction, 60) - origin
    shade = (even @ (direction / full).astype(np.float32)) - np.float32(origin / full)
    scale = _scale(shade, probabilities)
    ink = without_grid(shade, bare, scale)
    floor = _floor(shade[bare], ink[bare])
    every = np.clip((ink - floor) / (1.0 - floor), 0.0, 1.0).astype(np.float32)
    inside = np.clip((_widened(probabilities, (height, width)) - 0.08) / 0.25, 0.0, 1.0).astype(np.float32)
    if floor < DARK_GRID:
        inside[_lost_strokes(every, inside, probabilities)] = 1.0
    found = every * inside
    traces = without_other_inks(found, even, bare, scale)
    # Lifted beside what was taken off, a pen's own rim would be a stroke.
    return Ink(np.where(traces == found, lift_faint_strokes(found, scale), traces), every, ink)


def _floor(with_grid: Float32[np.ndarray, " n"], bare: Float32[np.ndarray, " n"]) -> float:
    """Return the share of ink below which there is none, by the shades of bare paper with its grid and without."""
    step = max(1, len(bare) // SAMPLES)
    before, after = (float(np.percentile(shades[::step], PALE_PERCENTILE)) for shades in (with_grid, bare))
    least, of_grid, most = FLOORS
    return min(most, max(least, min(before, of_grid), after))


def _colour_samples(
    even: Float32[np.ndarray, "h w 3"], trace: Float32[np.ndarray, "h w"], bare: Bool[np.ndarray, "h w"]
) -> tuple[Float64[np.ndarray, "m 3"], Float64[np.ndarray, "n 3"]]:
    """Return colours of the strokes' core (the darkest third of where the trace is) and of paper with grid."""
    inside = even[trace > 0.6]
    value = inside.max(axis=1)
    core = inside[value <= np.percentile(value, 30)] if len(value) else inside
    at = np.flatnonzero(bare)
    paper = even.reshape(-1, 3)[at[:: max(1, len(at) // SAMPLES)]]
    return core[:: max(1, len(core) // SAMPLES)].astype(np.float64), paper.astype(np.float64)


def _bare(trace: Float32[np.ndarray, "h w"], other: Float32[np.ndarray, "h w"]) -> Bool[np.ndarray, "h w"]:
    """Return where there is neither a trace nor print nearby."""
    bare: Bool[np.ndarray, "h w"] = (
        cv2.dilate(((trace > 0.05) | (other > 0.05)).astype(np.uint8), np.ones((5, 5), np.uint8)) == 0
    )
    return bare


def _fisher_direction(core: Float64[np.ndarray, "m 3"], paper: Float64[np.ndarray, "n 3"]) -> Float64[np.ndarray, " 3"]:
    """Return the colour direction of the greatest between-class over within-class spread."""
    spread = np.cov(core.T) + 4.0 * np.cov(paper.T) + 1e-4 * np.eye(3)
    direction: Float64[np.ndarray, " 3"] = np.linalg.solve(spread, core.mean(axis=0) - paper.mean(axis=0))
    return direction


def _widened(probabilities: Probabilities, shape: tuple[int, int]) -> Float32[np.ndarray, "h w"]:
    """Return where the trace may be: a little around its probability, more along y, but not over print.

    At 4 px/mm the tip of a narrow peak covers a fraction of a pixel; the page's own grey values know where it ends.
    """
    near = cv2.dilate(probabilities[Label.TRACE], np.ones(REACH_PX, np.uint8))
    free = np.clip(1.0 - 2.0 * probabilities[Label.PRINT], 0.0, 1.0)
    widened = np.maximum(probabilities[Label.TRACE], near * free).astype(np.float32)
    result: Float32[np.ndarray, "h w"] = cv2.resize(widened, shape[::-1], interpolation=cv2.INTER_LINEAR)
    return result


def _lost_strokes(
    every: Float32[np.ndarray, "h w"], inside: Float32[np.ndarray, "h w"], probabilities: Probabilities
) -> Bool[np.ndarray, "h w"]:
    """Return upright strokes of full ink that go on where the trace was lost: a tall R wave on a line of the grid."""
    px_per_mm = _scale(every, probabilities)
    strong = (every > STROKE_INK).astype(np.uint8)
    upright = upright_runs(strong, STROKE_MM[0] * px_per_mm.y)
    frame = upright_runs(strong, LONGEST_STROKE_MM * px_per_mm.y)
    lost = upright & ~frame & (inside < 0.5).astype(np.uint8)
    count, pieces, stats, _ = cv2.connectedComponentsWithStats(lost, connectivity=8)
    foreign = cv2.resize(probabilities[Label.PRINT] + probabilities[Label.PULSE], every.shape[::-1])
    at = np.flatnonzero(lost)
    piece = pieces.ravel()[at]
    touching = cv2.dilate((strong & (inside >= 0.5)).astype(np.uint8), np.ones((5, 3), np.uint8)).ravel()[at]
    area = np.maximum(np.bincount(piece, minlength=count), 1)
    named = np.bincount(piece, foreign.ravel()[at], count) / area
    height, wide = stats[:, cv2.CC_STAT_HEIGHT] / px_per_mm.y, stats[:, cv2.CC_STAT_WIDTH] / px_per_mm.x
    kept = (np.bincount(piece, touching, count) > 0) & (named < FOREIGN) & (wide < STROKE_WIDTH_MM)
    kept &= height < STROKE_MM[1]
    kept[0] = False
    rim: Bool[np.ndarray, "h w"] = cv2.dilate(kept[pieces].astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    return rim


def _scale(every: Float32[np.ndarray, "h w"], probabilities: Probabilities) -> PxPerMm:
    return PxPerMm(
        NORMALIZED_PX_PER_MM * every.shape[1] / probabilities.shape[2],
        NORMALIZED_PX_PER_MM * every.shape[0] / probabilities.shape[1],
    )
