"""The row `mixed`: pages of every kind that machines, carts and viewers print, and what happens to them.

More than half are the usual pages, in all layouts, scales, grids and inks. The others are of a kind that was once read
wrongly without a warning; each says what it prints differently.
"""

from __future__ import annotations

from typing import Final

import yaml

from benchmarks.digitization.kinds import Kind, over
from ecg_flare.page.site_profile import parse_profile

LAYOUTS: Final = (
    "{3x4: 2, 3x4+1R: 4, 3x4+2R: 1, 3x4+3R: 1.5, 3x4-cabrera: 0.5, 3x4-cabrera+1R: 0.5, 6x2: 1.5, 6x2+1R: 1, 12x1: 2}"
)

_USUAL: Final = (
    """
style:
  layout: {choice: LAYOUTS}
  paper: {choice: {a4: 3, letter: 3, chart: 1, a4-portrait: 0.5}}
  paper_rgb: [{uniform: [242, 255]}, {uniform: [240, 255]}, {uniform: [228, 255]}]
  dpi: {uniform: [90, 200]}
  anisotropy: {uniform: [0.95, 1.05]}
  speed_mm_per_s: {choice: {25: 0.6, 50: 0.4}}
  gain_mm_per_mv: {choice: {10: 0.5, 5: 0.25, 20: 0.25}}
  columns: {choice: {consecutive: 0.85, simultaneous: 0.15}}
  rhythm_leads: [{choice: {II: 0.6, V1: 0.3, V5: 0.1}}]
  pulse: {choice: {left: 0.4, right: 0.3, none: 0.3}}
  shift_x_mm: {uniform: [-4, 4]}
  shift_y_mm: {uniform: [-4, 4]}
  grid:
    kind: {choice: {fine+coarse: 0.7, coarse: 0.1, dotted: 0.12, none: 0.08}}
    colour: {choice: {red: 3, pink: 2, orange: 1, blue: 1, green: 1, grey: 2, brown: 1, black: 1}}
    strength: {uniform: [0.2, 1.0]}
    phase_x_mm: {uniform: [0, 5]}
    phase_y_mm: {uniform: [0, 5]}
  ink:
    width_mm: {uniform: [0.2, 0.5]}
    grey: {uniform: [0, 120]}
    blue: {choice: {0: 0.8, 0.6: 0.2}}
  text:
    font: {choice: {sans: 1, serif: 1, serif-bold: 1, mono: 1}}
    labels: {choice: {above: 1, below: 1, beside: 1}}
    header: {chance: 0.6}
    separator: {choice: {none: 3, ticks: 1, line: 1, dashes: 1}}
degradations:
  - {kind: pen, probability: 0.15}
  - {kind: stain, probability: 0.1}
  - {kind: fold, probability: 0.15}
  - {kind: photocopy, probability: 0.2, paper_grey: {uniform: [180, 250]}, grain: {uniform: [0, 12]}}
  - {kind: crop, probability: 0.25}
  - {kind: curl, probability: 0.15}
  - {kind: rotation, probability: 0.4, angle_deg: {uniform: [-5, 5]}, lid_grey: {uniform: [10, 250]}}
  - {kind: perspective, probability: 0.25}
  - {kind: light, probability: 0.4}
  - {kind: shadow, probability: 0.25}
  - {kind: defocus, probability: 0.6, sigma_mm: {uniform: [0.03, 0.14]}}
  - {kind: rescan, probability: 0.15, scale: {uniform: [0.6, 1.1]}, aspect: {uniform: [0.94, 1.06]}}
  - {kind: noise, probability: 0.8, luma: {uniform: [0, 7]}, chroma: {uniform: [0, 4]}}
  - {kind: jpeg, probability: 0.6, quality: {uniform: [40, 95]}}
"""
).replace("LAYOUTS", LAYOUTS)

_BARS: Final = """
style:
  layout: {choice: {3x4: 2, 3x4+1R: 4, 3x4+2R: 1, 3x4+3R: 1.5, 3x4-cabrera: 0.5, 6x2: 1.5, 6x2+1R: 1}}
  text:
    separator: {choice: {bars: 3, line: 1, ticks: 0.5, dashes: 0.5}}
    separator_mm: {uniform: [0.1, 1.5]}
"""

_ONE_COLUMN: Final = """
style:
  layout: {choice: {6x1-limb: 3, 6x1-chest: 3, 6x1-cabrera: 1, 12x1-cabrera: 3}}
"""

_ONE_STRIP: Final = """
style:
  layout: 1x1
  paper: {choice: {chart: 2, a4: 1, letter: 1}}
  rhythm_leads: [{choice: {II: 0.6, V1: 0.2, I: 0.2}}]
"""

_THREE_STRIPS: Final = """
style:
  layout: 3x1
  rhythm_leads: [{choice: {I: 0.5, V1: 0.5}}, II, {choice: {III: 0.5, V5: 0.5}}]
"""

_SPLIT_GAIN: Final = """
style:
  gain_mm_per_mv: 10
  chest_gain_mm_per_mv: 5
  pulse: {choice: {left: 0.6, right: 0.25, none: 0.15}}
  pulse_shape: {choice: {stepped: 0.85, plain: 0.15}}
  text:
    footer: {chance: 0.85}
"""

_SPLIT_DOUBLE_GAIN: Final = """
style:
  gain_mm_per_mv: 20
  chest_gain_mm_per_mv: 10
  pulse: {choice: {left: 0.6, right: 0.25, none: 0.15}}
  text:
    footer: {chance: 0.85}
"""

_PULSES_IN_COLUMNS: Final = """
style:
  layout: {choice: {3x4: 2, 3x4+1R: 2, 3x4-cabrera: 0.5, 6x2: 3, 6x2+1R: 1, 12x1: 0.5}}
  pulse: columns
  pulse_gap_mm: {choice: {0: 1, 0.3: 1, 1: 1, 2.5: 1}}
"""

_BOXES: Final = """
style:
  layout: {choice: {12x1: 4, 12x1-cabrera: 4, 6x1-limb: 1, 6x1-chest: 1, 6x2: 1, 3x4+1R: 1}}
  paper: {choice: {a4: 3, letter: 3, a4-portrait: 1}}
  gain_mm_per_mv: {choice: {10: 0.75, 5: 0.25}}
  grid:
    kind: {choice: {fine+coarse: 0.85, coarse: 0.15}}
    boxes: true
  ink:
    width_mm: {uniform: [0.18, 0.4]}
    grey: {uniform: [40, 170]}
"""

_VIEWER: Final = """
style:
  layout: {choice: {3x4: 2, 3x4+1R: 3, 3x4+3R: 1, 6x2: 2, 12x1: 1.5, 12x1-cabrera: 0.5}}
  speed_mm_per_s: {choice: {25: 0.9, 50: 0.1}}
  gain_mm_per_mv: {choice: {10: 0.85, 5: 0.1, 20: 0.05}}
  paper_rgb: [255, 255, 255]
  pulse: {choice: {none: 0.7, left: 0.3}}
  grid:
    boxes: {chance: 0.3}
  text:
    font: {choice: {sans: 3, serif: 1, mono: 1}}
    label_colour: {choice: {blue: 3, red: 2, green: 1, grey: 2, purple: 1, black: 1}}
    label_mm: {uniform: [2.6, 5.0]}
    label_spacing_mm: {choice: {0: 1, 0.4: 1, 1.0: 1}}
degradations:
  - {kind: rescan, probability: 0.4, scale: {uniform: [0.6, 1.2]}, aspect: {uniform: [0.97, 1.03]}}
  - {kind: jpeg, probability: 0.5, quality: {uniform: [60, 95]}}
"""

_DARK: Final = """
style:
  text:
    label_colour: {choice: {ink: 1, blue: 1, green: 1}}
degradations:
  - {kind: rescan, probability: 0.4, scale: {uniform: [0.6, 1.2]}}
  - {kind: invert}
  - {kind: jpeg, probability: 0.5, quality: {uniform: [60, 95]}}
"""

_KINDS: Final = (
    ("usual", 0.55, ""),
    ("bars", 0.11, _BARS),
    ("one column", 0.09, _ONE_COLUMN),
    ("one strip", 0.015, _ONE_STRIP),
    ("three strips", 0.015, _THREE_STRIPS),
    ("split gain", 0.04, _SPLIT_GAIN),
    ("split double gain", 0.01, _SPLIT_DOUBLE_GAIN),
    ("pulses in columns", 0.05, _PULSES_IN_COLUMNS),
    ("boxes", 0.05, _BOXES),
    ("viewer", 0.05, _VIEWER),
    ("dark", 0.02, _DARK),
)


def mixed_kinds() -> tuple[Kind, ...]:
    """The kinds of `mixed`: each is a usual page but for what its own text says."""
    usual = yaml.safe_load(_USUAL)
    return tuple(
        Kind(
            parse_profile(yaml.safe_dump(over(usual, yaml.safe_load(text) or {})), f"kind {name} of mixed", name),
            share,
        )
        for name, share, text in _KINDS
    )
