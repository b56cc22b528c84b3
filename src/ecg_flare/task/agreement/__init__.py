"""A plan that sites agree on: nnU-Net's fingerprint of all their cases as summed histograms, and a plan made of it."""

from typing import TYPE_CHECKING

from ecg_flare.lazy import face

_NAMES = {"bins": ("FingerprintBins",), "kind": ("agreement_plan",)}

if TYPE_CHECKING:
    from ecg_flare.task.agreement.bins import FingerprintBins
    from ecg_flare.task.agreement.kind import agreement_plan
else:
    __getattr__, __dir__ = face(__name__, _NAMES)

__all__ = ["FingerprintBins", "agreement_plan"]
