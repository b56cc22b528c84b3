"""The rows of pages that few machines print: fewer leads, more leads, more strips, other scales, no pulses, and faxes.

Each page is one of the row `scan` but for what its kind says. A layout that no package has is in `layouts/`; where the
reader is told the layout, the kind's name says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from benchmarks.digitization.kinds import Kind, over
from ecg_flare.page.site_profile import parse_profile

LAYOUT_FILES: Final = Path(__file__).parent / "layouts"

_GIVEN: Final = ", given"
"""Ends the name of a kind whose layout the reader is told."""

_KINDS: Final[Mapping[str, Mapping[str, tuple[float, str]]]] = {
    "fewer": {
        "six limb leads": (0.2, "style: {layout: {choice: {6x1-limb: 3, 6x1-cabrera: 1}}}"),
        "six chest leads": (0.2, "style: {layout: 6x1-chest}"),
        "three strips": (0.15, "style: {layout: 3x1, rhythm_leads: [{choice: {I: 1, V1: 1}}, II, V5]}"),
        "one strip": (0.15, "style: {layout: 1x1, rhythm_leads: [{choice: {II: 2, V1: 1}}]}"),
        "two leads, given": (0.1, "style: {layout: 2x1.yaml}"),
        "order along rows, given": (0.1, "style: {layout: along-rows.yaml}"),
        "order along rows": (0.1, "style: {layout: along-rows.yaml}"),
    },
    "fifteen": {
        "3x5": (0.3, "style: {layout: {choice: {3x5: 1, 3x5+1R: 1}}, paper: a4}"),
        "15x1": (0.15, "style: {layout: 15x1, paper: a4-portrait}"),
        "V3R, V4R, V7": (0.2, "style: {layout: 3x5-V3R.yaml, paper: a4}"),
        "strips V4R, V8, V9": (0.2, "style: {layout: 3x4+3R, rhythm_leads: [V4R, V8, V9]}"),
        "5x3, given": (0.15, "style: {layout: 5x3.yaml}"),
    },
    "strips": {
        "V1, II, V5": (0.3, "style: {layout: 3x4+3R, rhythm_leads: [V1, II, V5]}"),
        "II, II, II": (0.2, "style: {layout: 3x4+3R, rhythm_leads: [II, II, II]}"),
        "II goes on, given": (0.2, "style: {layout: 3x4+II.yaml, rhythm_leads: []}"),
        "one lead, given": (0.2, "style: {layout: one-lead.yaml}"),
        "one lead": (0.1, "style: {layout: one-lead.yaml}"),
    },
    "speed-gain": {
        "50 mm/s": (0.3, "style: {speed_mm_per_s: 50, gain_mm_per_mv: 10}"),
        "5 mm/mV": (0.2, "style: {speed_mm_per_s: 25, gain_mm_per_mv: 5}"),
        "10 and 5 mm/mV": (0.3, "style: {speed_mm_per_s: 25, gain_mm_per_mv: 10, chest_gain_mm_per_mv: 5}"),
        "50 mm/s, 10 and 5 mm/mV": (0.2, "style: {speed_mm_per_s: 50, gain_mm_per_mv: 10, chest_gain_mm_per_mv: 5}"),
    },
    "no-pulses": {
        "no pulses": (
            1.0,
            "style: {pulse: none, speed_mm_per_s: {choice: {25: 0.6, 50: 0.4}}, "
            "gain_mm_per_mv: {choice: {10: 0.5, 5: 0.25, 20: 0.25}}}",
        ),
    },
    "fax": {
        "fine": (0.3, "degradations: [{kind: fax, lines_dpi: 196, screen: 0}]"),
        "standard": (0.15, "degradations: [{kind: fax, lines_dpi: 98, screen: 0}]"),
        "dots, fine": (0.25, "degradations: [{kind: fax, lines_dpi: 196, screen: {uniform: [0.3, 1]}}]"),
        "dots, standard": (0.1, "degradations: [{kind: fax, lines_dpi: 98, screen: {uniform: [0.3, 1]}}]"),
        "fine, resized": (0.2, "degradations: [{kind: fax, lines_dpi: 196}, {kind: rescan}, {kind: jpeg}]"),
    },
}


SPECIAL: Final = tuple(_KINDS)
"""Names of these rows."""


def special_kinds(usual: Mapping[str, Any]) -> Mapping[str, tuple[Kind, ...]]:
    """Return the kinds of each of these rows; `usual` is the profile that they differ from."""
    return {
        row: tuple(
            _kind(f"kind {name} of {row}", name, share, over(dict(usual), yaml.safe_load(text)))
            for name, (share, text) in kinds.items()
        )
        for row, kinds in _KINDS.items()
    }


def _kind(source: str, name: str, share: float, profile: Mapping[str, Any]) -> Kind:
    parsed = parse_profile(yaml.safe_dump(profile), source, name, folder=LAYOUT_FILES)
    return Kind(parsed, share, name.endswith(_GIVEN))
