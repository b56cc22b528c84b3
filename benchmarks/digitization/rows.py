"""The rows of the benchmark: how each one's pages are printed and damaged, and what is aimed at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final

from ecg_flare.page.site_profile import SiteProfile, load_profile, parse_profile

LUDB: Final = "ludb"
MIXED: Final = "mixed"

_LAYOUTS: Final = (
    "{3x4: 2, 3x4+1R: 4, 3x4+2R: 1, 3x4+3R: 1.5, 3x4-cabrera: 0.5, 3x4-cabrera+1R: 0.5, 6x2: 1.5, 6x2+1R: 1, 12x1: 2}"
)
_STYLE: Final = """
style:
  layout: {{choice: {layouts}}}
  paper: {{choice: {{a4: 1, letter: 1}}}}
  dpi: {dpi}
  speed_mm_per_s: {{choice: {{25: 0.9, 50: 0.1}}}}
  gain_mm_per_mv: {{choice: {{10: 0.85, 5: 0.15}}}}
  rhythm_leads: [{{choice: {{II: 0.6, V1: 0.3, V5: 0.1}}}}]
  pulse: {{choice: {{left: 0.65, right: 0.35}}}}
  shift_x_mm: {{uniform: [-3, 3]}}
  grid:
    kind: fine+coarse
    colour: {{choice: {{red: 3, pink: 2, orange: 1, blue: 1, green: 1, grey: 1, brown: 1}}}}
    strength: {{uniform: [0.6, 1.0]}}
    phase_x_mm: {{uniform: [0, 5]}}
    phase_y_mm: {{uniform: [0, 5]}}
  ink:
    width_mm: {{uniform: [0.22, 0.45]}}
    grey: {{uniform: [0, 70]}}
    blue: {{choice: {{0: 0.8, 0.6: 0.2}}}}
  text:
    font: {{choice: {{sans: 1, serif: 1, serif-bold: 1, mono: 1}}}}
    labels: {{choice: {{above: 1, below: 1, beside: 1}}}}
    separator: {{choice: {{none: 3, ticks: 1, line: 1, dashes: 1}}}}
"""
_SCAN: Final = """
degradations:
  - {kind: photocopy, probability: 0.5, paper_grey: {uniform: [215, 250]}, grain: {uniform: [0, 6]}}
  - {kind: rotation, angle_deg: {uniform: [-5, 5]}}
  - {kind: defocus, sigma_mm: {uniform: [0.03, 0.08]}}
  - {kind: noise, luma: {uniform: [1, 5]}, chroma: {uniform: [0, 2]}}
  - {kind: jpeg, quality: {uniform: [60, 92]}}
"""
_PHOTO: Final = """
degradations:
  - {kind: curl, probability: 0.3, amplitude_mm: {uniform: [0.2, 1.0]}}
  - {kind: perspective}
  - {kind: light}
  - {kind: shadow}
  - {kind: defocus, sigma_mm: {uniform: [0.05, 0.12]}}
  - {kind: noise, luma: {uniform: [2, 6]}, chroma: {uniform: [1, 4]}}
  - {kind: jpeg, quality: {uniform: [60, 90]}}
"""
_MIXED: Final = """
style:
  layout: {{choice: {layouts}}}
  paper: {{choice: {{a4: 3, letter: 3, chart: 1, a4-portrait: 0.5}}}}
  paper_rgb: [{{uniform: [242, 255]}}, {{uniform: [240, 255]}}, {{uniform: [228, 255]}}]
  dpi: {{uniform: [90, 200]}}
  anisotropy: {{uniform: [0.95, 1.05]}}
  speed_mm_per_s: {{choice: {{25: 0.6, 50: 0.4}}}}
  gain_mm_per_mv: {{choice: {{10: 0.5, 5: 0.25, 20: 0.25}}}}
  columns: {{choice: {{consecutive: 0.85, simultaneous: 0.15}}}}
  rhythm_leads: [{{choice: {{II: 0.6, V1: 0.3, V5: 0.1}}}}]
  pulse: {{choice: {{left: 0.4, right: 0.3, none: 0.3}}}}
  shift_x_mm: {{uniform: [-4, 4]}}
  shift_y_mm: {{uniform: [-4, 4]}}
  grid:
    kind: {{choice: {{fine+coarse: 0.7, coarse: 0.1, dotted: 0.12, none: 0.08}}}}
    colour: {{choice: {{red: 3, pink: 2, orange: 1, blue: 1, green: 1, grey: 2, brown: 1, black: 1}}}}
    strength: {{uniform: [0.2, 1.0]}}
    phase_x_mm: {{uniform: [0, 5]}}
    phase_y_mm: {{uniform: [0, 5]}}
  ink:
    width_mm: {{uniform: [0.2, 0.5]}}
    grey: {{uniform: [0, 120]}}
    blue: {{choice: {{0: 0.8, 0.6: 0.2}}}}
  text:
    font: {{choice: {{sans: 1, serif: 1, serif-bold: 1, mono: 1}}}}
    labels: {{choice: {{above: 1, below: 1, beside: 1}}}}
    header: {{chance: 0.6}}
    separator: {{choice: {{none: 3, ticks: 1, line: 1, dashes: 1}}}}
degradations:
  - {{kind: pen, probability: 0.15}}
  - {{kind: stain, probability: 0.1}}
  - {{kind: fold, probability: 0.15}}
  - {{kind: photocopy, probability: 0.2, paper_grey: {{uniform: [180, 250]}}, grain: {{uniform: [0, 12]}}}}
  - {{kind: crop, probability: 0.25}}
  - {{kind: curl, probability: 0.15}}
  - {{kind: rotation, probability: 0.4, angle_deg: {{uniform: [-5, 5]}}, lid_grey: {{uniform: [10, 250]}}}}
  - {{kind: perspective, probability: 0.25}}
  - {{kind: light, probability: 0.4}}
  - {{kind: shadow, probability: 0.25}}
  - {{kind: defocus, probability: 0.6, sigma_mm: {{uniform: [0.03, 0.14]}}}}
  - {{kind: rescan, probability: 0.15, scale: {{uniform: [0.6, 1.1]}}, aspect: {{uniform: [0.94, 1.06]}}}}
  - {{kind: noise, probability: 0.8, luma: {{uniform: [0, 7]}}, chroma: {{uniform: [0, 4]}}}}
  - {{kind: jpeg, probability: 0.6, quality: {{uniform: [40, 95]}}}}
"""


@dataclass(frozen=True)
class Target:
    """What a row is to reach: median and 5th percentile of the SNR, correlation, seconds a page; None where open."""

    snr_db: float | None = None
    p5_db: float | None = None
    pcc: float | None = None
    seconds: float | None = None


@dataclass(frozen=True)
class Row:
    """A row of the table: how its pages are made (None: the LUDB pages), and its target."""

    profile: SiteProfile | None
    target: Target


@cache
def rows() -> Mapping[str, Row]:
    """The rows by name. `mixed` is the row of the confident wrong pages."""

    def made(name: str, text: str) -> SiteProfile:
        return parse_profile(text, f"benchmark row {name}", name)

    def printed(name: str, dpi: str, degradations: str) -> SiteProfile:
        return made(name, _STYLE.format(layouts=_LAYOUTS, dpi=dpi) + degradations)

    return {
        "clean-200": Row(printed("clean-200", "200", ""), Target(24, 18, 0.995, 2)),
        "clean-300": Row(printed("clean-300", "300", ""), Target(28, 20, 0.998, 4)),
        "scan": Row(printed("scan", "200", _SCAN), Target(21, 15, 0.99, 2)),
        "photo": Row(printed("photo", "{uniform: [150, 220]}", _PHOTO), Target(17, 10, 0.97, 5)),
        LUDB: Row(None, Target(22, 17, 0.99, 2)),
        "broad": Row(load_profile("broad"), Target()),
        MIXED: Row(made(MIXED, _MIXED.format(layouts=_LAYOUTS)), Target()),
    }
