"""What nnU-Net's planner wants to know of a case: its spacing, its size, and how bright its foreground is.

nnU-Net's own `DatasetFingerprintExtractor` keeps these of each case in a file. Here they stay in memory, and only sums
over cases are made of them (`task.agreement`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from ecg_flare.errors import SiteDataError
from ecg_flare.nnunet.environment import nnunet_environment
from ecg_flare.nnunet.raw_files import read_raw


@dataclass(frozen=True, eq=False)
class CaseFingerprint:
    """A case as nnU-Net's planner sees it.

    Attributes:
        spacing: distance of two voxels along each of three axes, in the data's own unit.
        shape: voxels along each axis, once the zeros around the image are cut off.
        relative_size: voxels that are left by that, as a share of all, 0 to 1.
        foreground: for each channel the values where the labels are above 0; none in a case without foreground.
    """

    spacing: tuple[float, ...]
    shape: tuple[int, ...]
    relative_size: float
    foreground: tuple[Float32[np.ndarray, " voxels"], ...]


def fingerprint_of(reader: str, images: Sequence[Path], labels: Path) -> CaseFingerprint:
    """The fingerprint of a case, read by the class of nnU-Net that has the name `reader`.

    It is what `DatasetFingerprintExtractor.analyze_case` finds, but with all voxels of the foreground in the place of
    a sample. Raises SiteDataError, naming the file, for one that cannot be read or that holds nothing but zeros.
    """
    image, truth = read_raw(reader, images), read_raw(reader, (labels,), labels=True)
    if not image.values.any():
        raise SiteDataError(f"{images[0]} holds nothing but zeros: nothing is left once they are cut off")
    with nnunet_environment():
        from nnunetv2.preprocessing.cropping.cropping import crop_to_nonzero

        cropped, segmented, _ = crop_to_nonzero(image.values, truth.values)
    inside = segmented[0] > 0
    shape = tuple(int(side) for side in cropped.shape[1:])
    relative = float(np.prod(shape) / np.prod(image.values.shape[1:]))
    return CaseFingerprint(image.spacing, shape, relative, tuple(channel[inside] for channel in cropped))
