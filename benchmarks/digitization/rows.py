"""The rows of the benchmark: how each one's pages are printed and damaged, and what is aimed at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
import yaml

from benchmarks.digitization.kinds import Kind
from benchmarks.digitization.mixed import LAYOUTS, mixed_kinds
from benchmarks.digitization.special import special_kinds
from ecg_flare.page.site_profile import load_profile, parse_profile

LUDB: Final = "ludb"
MIXED: Final = "mixed"

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


@dataclass(frozen=True)
class Target:
    """What a row is to reach: median and 5th percentile of the SNR, correlation, seconds a page; None where open."""

    snr_db: float | None = None
    p5_db: float | None = None
    pcc: float | None = None
    seconds: float | None = None


@dataclass(frozen=True)
class Row:
    """A row of the table: the kinds of its pages (none: the LUDB pages), and its target."""

    kinds: tuple[Kind, ...]
    target: Target

    def draw_kind(self, rng: np.random.Generator) -> Kind:
        """Draw the kind of one page; nothing is drawn where there is but one."""
        chosen = 0 if len(self.kinds) == 1 else int(rng.choice(len(self.kinds), p=[kind.share for kind in self.kinds]))
        return self.kinds[chosen]


@cache
def rows() -> Mapping[str, Row]:
    """The rows by name. `mixed` is the row of the confident wrong pages."""

    def printed(name: str, dpi: str, degradations: str) -> tuple[Kind, ...]:
        text = _STYLE.format(layouts=LAYOUTS, dpi=dpi) + degradations
        return (Kind(parse_profile(text, f"benchmark row {name}", name)),)

    scan = yaml.safe_load(_STYLE.format(layouts=LAYOUTS, dpi="200") + _SCAN)
    return {
        "clean-200": Row(printed("clean-200", "200", ""), Target(24, 18, 0.995, 2)),
        "clean-300": Row(printed("clean-300", "300", ""), Target(28, 20, 0.998, 4)),
        "scan": Row(printed("scan", "200", _SCAN), Target(21, 15, 0.99, 2)),
        "photo": Row(printed("photo", "{uniform: [150, 220]}", _PHOTO), Target(17, 10, 0.97, 5)),
        "phone": Row((Kind(load_profile("phone")),), Target(20, 12)),
        LUDB: Row((), Target(22, 17, 0.99, 2)),
        "broad": Row((Kind(load_profile("broad")),), Target()),
        MIXED: Row(mixed_kinds(), Target()),
        **{name: Row(kinds, Target()) for name, kinds in special_kinds(scan).items()},
    }
