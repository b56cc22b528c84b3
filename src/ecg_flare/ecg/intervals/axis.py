"""The electrical axis of the QRS complex in the frontal plane, from the limb leads' net areas."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from jaxtyping import Float64

from ecg_flare.ecg.leads import LEADS, LIMB_LEADS, limb_leads

LEAST_NET: Final = 0.10
"""A net area below this share of what the leads have above and below their level points nowhere."""


def frontal_axis_deg(
    complexes_mv: Sequence[Float64[np.ndarray, " samples"]], leads: Sequence[int]
) -> tuple[float | None, str]:
    """Return the axis in degrees (0 left arm, 90 feet, from -180 to 180), or None and why not.

    `complexes_mv` are the QRS complexes of some of the twelve leads, `leads` their places in LEADS. Any two limb leads
    give I and aVF by Einthoven's and Goldberger's identities; more are fitted by least squares. An augmented lead is
    sqrt(3) / 2 as sensitive as a bipolar one.
    """
    limbs = [(row, LIMB_LEADS.index(LEADS[lead])) for row, lead in enumerate(leads) if LEADS[lead] in LIMB_LEADS]
    if len(limbs) < 2:
        return None, "fewer than two limb leads"
    areas = np.array([complexes_mv[row].sum() for row, _ in limbs])
    sizes = np.array([np.abs(complexes_mv[row]).sum() for row, _ in limbs])
    of_i_and_ii = limb_leads(np.array([1.0, 0.0]), np.array([0.0, 1.0]))[[limb for _, limb in limbs]]
    (area_i, area_ii), *_ = np.linalg.lstsq(of_i_and_ii, areas, rcond=None)
    vector = np.array([area_i, (area_ii - area_i / 2) * 2 / np.sqrt(3)])
    if np.linalg.norm(vector) < LEAST_NET * float(sizes.max()):
        return None, "the limb leads' QRS complexes add up to nothing: the axis is indeterminate"
    return float(np.degrees(np.arctan2(vector[1], vector[0]))), ""
