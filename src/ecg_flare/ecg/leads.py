"""The leads: their names, their orders on paper, and the identities between the limb leads.

Einthoven's law and Goldberger's definitions make six limb leads out of two:

    III = II - I        aVR = -(I + II) / 2        aVL = I - II / 2        aVF = II - I / 2

so that II = I + III and aVR + aVL + aVF = 0 at every instant.
"""

import re
from collections.abc import Iterable
from typing import Final

import numpy as np
from jaxtyping import Float, Float64

LIMB_LEADS: Final = ("I", "II", "III", "aVR", "aVL", "aVF")
CHEST_LEADS: Final = ("V1", "V2", "V3", "V4", "V5", "V6")

LEADS: Final[tuple[str, ...]] = LIMB_LEADS + CHEST_LEADS
"""The twelve standard leads in their standard order, and the order of a recording's rows."""

EXTRA_LEADS: Final = ("V3R", "V4R", "V5R", "V6R", "V7", "V8", "V9")
"""Leads beyond the twelve, from the right of the chest and from the back, as pages of 15 and 16 leads print them."""

ALL_LEADS: Final[tuple[str, ...]] = LEADS + EXTRA_LEADS
"""Every lead that a page may print and a recording may hold; one without extra leads has twelve rows."""

CABRERA: Final[tuple[str, ...]] = ("aVL", "I", "aVR", "II", "aVF", "III", *CHEST_LEADS)
"""The Cabrera order, by the frontal angle of each lead; it prints the leads of `CABRERA_INVERTED` upside down."""

CABRERA_INVERTED: Final[frozenset[str]] = frozenset({"aVR"})

_LIMB_FROM_I_II: Final = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 1.0], [-0.5, -0.5], [1.0, -0.5], [-0.5, 1.0]])

_STANDARD_BY_UPPER: Final = {lead.upper(): lead for lead in ALL_LEADS}
_LIMB_BY_NUMBER: Final = {"1": "I", "2": "II", "3": "III", "I": "I", "II": "II", "III": "III"}
_PREFIX: Final = re.compile(r"^(?:(?:LEAD|ECG|EKG)[\s_:.-]*)+")
_NUMBERED_LIMB: Final = re.compile(r"^(?:D|L|ML)(I{1,3}|[123])$")
_CHEST_ELECTRODE: Final = re.compile(r"^C([1-9]|[3-6]R)$")


def normalize_lead_name(name: str) -> str | None:
    """Return the standard name of a lead, or None if `name` is none of `ALL_LEADS`.

    Case and spaces don't matter. Understood besides the standard names: a leading "lead", "ECG" or "EKG"; DI or D1
    (Spanish, Portuguese), L1, and the modified limb leads MLI to MLIII of Holter recorders; C1 to C9 and C3R to C6R for
    the chest.
    """
    key = _PREFIX.sub("", re.sub(r"\s+", " ", name.strip().upper())).replace(" ", "")
    if key in _STANDARD_BY_UPPER:
        return _STANDARD_BY_UPPER[key]
    if match := _NUMBERED_LIMB.match(key):
        return _LIMB_BY_NUMBER[match[1]]
    if match := _CHEST_ELECTRODE.match(key):
        return f"V{match[1]}"
    return None


def with_extra(leads: Iterable[str]) -> tuple[str, ...]:
    """Return the twelve leads, and after them those of `leads` that are extra, in the order of `ALL_LEADS`."""
    shown = set(leads)
    return LEADS + tuple(lead for lead in EXTRA_LEADS if lead in shown)


def limb_leads(
    lead_i_mv: Float[np.ndarray, " samples"], lead_ii_mv: Float[np.ndarray, " samples"]
) -> Float64[np.ndarray, "6 samples"]:
    """Derive the six limb leads from I and II, in mV and in the order of `LIMB_LEADS`."""
    return _LIMB_FROM_I_II @ np.stack([lead_i_mv, lead_ii_mv]).astype(np.float64)


def einthoven_residual_mv(limb_mv: Float[np.ndarray, "6 samples"]) -> Float64[np.ndarray, " samples"]:
    """Return I + III - II in mV: zero for leads recorded together, NaN where one of them is missing."""
    lead_i, lead_ii, lead_iii = limb_mv[:3].astype(np.float64)
    residual: Float64[np.ndarray, " samples"] = lead_i + lead_iii - lead_ii
    return residual


def goldberger_residual_mv(limb_mv: Float[np.ndarray, "6 samples"]) -> Float64[np.ndarray, " samples"]:
    """Return aVR + aVL + aVF in mV: zero for leads recorded together, NaN where one of them is missing."""
    residual: Float64[np.ndarray, " samples"] = limb_mv[3:6].astype(np.float64).sum(axis=0)
    return residual
