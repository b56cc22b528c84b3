"""What a cart prints above and below the traces: an invented patient, measurements, settings.

No name, number or statement belongs to anybody; they are print for the network to ignore.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from ecg_flare.page.style import PageStyle

_FAMILY: Final = ("ABARA", "BERNAT", "CALDERO", "DELMAS", "EKBERG", "FUJIOKA", "GROSZEK", "HALVOR", "IBANEZ", "JURIC")
_GIVEN: Final = ("ADA", "BRUNO", "CLARA", "DMITRI", "ELIN", "FARID", "GRETA", "HUGO", "INES", "JONAS", "KIRA", "LEO")
_STATEMENTS: Final = (
    "Normal sinus rhythm",
    "Sinus rhythm, borderline left axis",
    "Sinus tachycardia",
    "Sinus bradycardia",
    "Nonspecific T wave changes",
    "Possible left atrial enlargement",
    "Voltage criteria for LVH",
    "Abnormal ECG",
    "Borderline ECG",
    "Normal ECG",
    "No previous ECG to compare with",
)
_WARDS: Final = ("Ward 3", "Cardiology", "Emergency", "Outpatients", "ICU 2", "Room 14")
_FILTERS: Final = (
    "0.05-150 Hz",
    "0.05-100 Hz",
    "0.05-40 Hz",
    "0.15-150 Hz",
    "0.5-40 Hz",
    "F 50~ 0.5-35 Hz",
    "60~ 0.05-150 Hz",
)
_SPLIT_GAINS: Final = ("{limb:g}/{chest:g} mm/mV", "Limb: {limb:g} mm/mV  Chest: {chest:g} mm/mV")


@dataclass(frozen=True)
class Heading:
    """Lines of the header's three columns, and the footer's fields from left to right."""

    patient: tuple[str, ...]
    measured: tuple[str, ...]
    statements: tuple[str, ...]
    footer: tuple[str, ...]


def draw_heading(style: PageStyle, rng: np.random.Generator) -> Heading:
    """Invent the header and footer of a page."""
    rate = int(rng.integers(46, 130))
    name = f"{rng.choice(_FAMILY)}, {rng.choice(_GIVEN)}"
    patient = (
        f"{name}   ID: {rng.integers(10**6, 10**8)}",
        f"{_date(rng)}  {rng.integers(0, 24):02d}:{rng.integers(0, 60):02d}",
        f"{rng.integers(18, 95)} yr  {rng.choice(('Male', 'Female'))}   {rng.choice(_WARDS)}",
    )
    qt = int(rng.integers(340, 480))
    measured = (
        f"Vent. rate  {rate} BPM",
        f"PR interval  {rng.integers(120, 220)} ms",
        f"QRS duration  {rng.integers(70, 150)} ms",
        f"QT/QTc  {qt}/{round(qt * (rate / 60) ** 0.5)} ms",
    )
    chosen = rng.choice(_STATEMENTS, size=int(rng.integers(1, 4)), replace=False)
    footer = (
        f"{style.speed_mm_per_s:g} mm/s",
        f"{style.gain_mm_per_mv:g} mm/mV",
        str(rng.choice(_FILTERS)),
        f"v{rng.integers(1, 9)}.{rng.integers(0, 20)}  CID: {rng.integers(1, 99)}",
    )
    if style.chest_gain != style.gain_mm_per_mv:
        form = str(rng.choice(_SPLIT_GAINS))
        footer = (footer[0], form.format(limb=style.gain_mm_per_mv, chest=style.chest_gain), *footer[2:])
    return Heading(patient, measured, (*map(str, chosen), "Unconfirmed"), footer)


def _date(rng: np.random.Generator) -> str:
    return f"{rng.integers(1, 29):02d}-{rng.integers(1, 13):02d}-{rng.integers(1998, 2025)}"
