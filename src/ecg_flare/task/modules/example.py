"""One case of a torch task: an array and what is to be found in it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Num

from ecg_flare.errors import SiteDataError


@dataclass(frozen=True, eq=False)
class Example:
    """One case as the module learns from it; it meets `nnunet.case.Case`.

    Attributes:
        name: unique within a site; letters, digits, '-', '_' and '.' only.
        patient_id: whose it is.
        inputs: what the module is given, without the axis of the batch.
        target: what the loss is given, of any shape that is the same for all cases.
    """

    name: str
    patient_id: str
    inputs: Float32[np.ndarray, "*inputs"]
    target: Num[np.ndarray, "*target"]

    @property
    def ignores(self) -> bool:
        """Nothing is left out."""
        return False

    def store(self, images: Path, labels: Path) -> None:
        """Write the two arrays, each into its folder as NAME.npy; raises OSError where they cannot be written."""
        np.save(images / f"{self.name}.npy", self.inputs, allow_pickle=False)
        np.save(labels / f"{self.name}.npy", self.target, allow_pickle=False)


def check_example(example: object, site: str, like: Example | None) -> Example:
    """The case, once it can be learnt from beside `like`, the site's first one.

    Raises SiteDataError naming the case and what is wrong: no `Example`, nobody's, not finite, or of another shape.
    """
    if not isinstance(example, Example):
        raise SiteDataError(
            f"the source of site {site!r} gives a {type(example).__name__}, expected an ecg_flare.task.modules.Example"
        )
    where = f"case {example.name!r} of site {site!r}"
    if not isinstance(example.patient_id, str) or not example.patient_id.strip():
        raise SiteDataError(
            f"{where} has the patient id {example.patient_id!r}",
            "give each case its patient's: training and validation never share a patient",
        )
    for what in ("inputs", "target"):
        values, first = getattr(example, what), example if like is None else like
        if not isinstance(values, np.ndarray) or values.dtype.kind not in "fiub":
            raise SiteDataError(f"{where}: its {what} are a {_described(values)}, expected an array of numbers")
        if what == "inputs" and values.dtype != np.float32:
            raise SiteDataError(f"{where}: its inputs are of {values.dtype}, expected float32")
        if not np.isfinite(values).all():
            count = int(np.count_nonzero(~np.isfinite(values)))
            raise SiteDataError(f"{where}: {count} of its {what} are not finite", "fill or leave out what is missing")
        if values.shape != (shape := getattr(first, what).shape):
            raise SiteDataError(
                f"{where}: its {what} have shape {values.shape}, those of {first.name!r} {shape}",
                "give all cases one shape",
            )
    return example


def _described(values: object) -> str:
    return f"{type(values).__name__} of {values.dtype}" if isinstance(values, np.ndarray) else type(values).__name__
