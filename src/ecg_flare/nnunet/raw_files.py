"""Files of a case as nnU-Net's own readers read them: an image of one or several channels, and its labels."""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import Float32

from ecg_flare.errors import ConfigError, SiteDataError
from ecg_flare.nnunet.environment import nnunet_environment

_HEADER_BYTES: Final = 348
_NIFTI_2: Final = 540
_CHUNK_BYTES: Final = 1 << 20


@dataclass(frozen=True, eq=False)
class RawImage:
    """What a reader gives of a file, or of the files of several channels.

    Attributes:
        values: with three axes of space; the first has one value where the image is flat.
        spacing: distance of two values along each axis of space, in the file's own unit.
    """

    values: Float32[np.ndarray, "channels z y x"]
    spacing: tuple[float, ...]


def read_raw(reader: str, files: Sequence[Path], *, labels: bool = False) -> RawImage:
    """Read an image, or the labels of one, by the class of nnU-Net that has that name.

    Raises ConfigError for a reader that nnU-Net does not have, and SiteDataError, naming the file, for one that it
    cannot read.
    """
    for file in files:
        if file.name.endswith((".nii", ".nii.gz")):
            _check_whole(file)
    with nnunet_environment():
        from nnunetv2.imageio.reader_writer_registry import recursive_find_reader_writer_by_name

        try:
            found = recursive_find_reader_writer_by_name(reader)
        except RuntimeError as error:
            raise ConfigError(f"nnU-Net has no reader {reader!r}") from error
        names = [str(file) for file in files]
        try:
            values, properties = found().read_seg(names[0]) if labels else found().read_images(names)
        except Exception as error:  # each reader's library has errors of its own
            reason = str(error).strip().splitlines()[-1:] or ["its channels differ in shape or spacing"]
            raise SiteDataError(f"{files[0]} cannot be read by {reader}: {reason[0]}", "export it again") from error
    return RawImage(np.asarray(values, np.float32), tuple(float(each) for each in properties["spacing"]))


def _check_whole(file: Path) -> None:
    """Refuse a NIfTI file that is cut: ITK fills what is missing with zeros, and says nothing.

    The header (NIfTI-1, Cox et al. 2004) has the dimensions at byte 40, the bits of a value at 72 and the offset of
    the values at 108.
    """
    try:
        with gzip.open(file) if file.name.endswith(".gz") else file.open("rb") as stream:
            head = stream.read(_HEADER_BYTES)
            size = len(head) + sum(map(len, iter(lambda: stream.read(_CHUNK_BYTES), b"")))
    except (OSError, EOFError, zlib.error) as error:
        raise SiteDataError(f"{file} cannot be read: {error}", "copy or export it again") from error
    if any(head[:4] == struct.pack(f"{each}i", _NIFTI_2) for each in "<>"):
        return
    order = next((each for each in "<>" if head[:4] == struct.pack(f"{each}i", _HEADER_BYTES)), "")
    if not order or len(head) < _HEADER_BYTES:
        raise SiteDataError(f"{file} cannot be read: it has no header of NIfTI-1", "export it again")
    sides = struct.unpack_from(f"{order}8h", head, 40)
    bits, offset = struct.unpack_from(f"{order}h", head, 72)[0], struct.unpack_from(f"{order}f", head, 108)[0]
    values = math.prod(max(1, side) for side in sides[1 : sides[0] + 1])
    needed = offset + values * bits / 8
    if not size >= needed:
        raise SiteDataError(f"{file} cannot be read: it has {size} of {needed:.0f} bytes", "copy or export it again")
