"""An update: the difference of the local and the global model as one flat float32 vector.

The vector runs over `named_parameters()` in order and holds nothing else. (A `state_dict` repeats shared tensors and
carries buffers: clipping or counting it would give another mechanism than the one that is accounted for.) What its
coordinates mean is the ordered list of names and shapes, the *layout*; its digest travels with every update.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float32, Shaped

from ecg_flare.errors import UpdateError

ParameterLayout = Sequence[tuple[str, tuple[int, ...]]]
"""Ordered (name, shape) of each parameter tensor."""

Vector = Float32[np.ndarray, " d"]
"""A model or an update."""

Tensor = Shaped[np.ndarray, "..."]


def layout_digest(entries: ParameterLayout) -> str:
    """SHA-256, in hex, of the ordered names and shapes that give a flat vector its meaning.

    >>> layout_digest([("conv.weight", (2, 1, 3, 3)), ("conv.bias", (2,))])[:16]
    'c4841022395f2857'
    """
    canonical = json.dumps([[name, list(shape)] for name, shape in entries], separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def layout_size(entries: ParameterLayout) -> int:
    """Length of the flat vector."""
    return sum(math.prod(shape) for _, shape in entries)


def flatten(tensors: Mapping[str, Tensor], entries: ParameterLayout) -> Vector:
    """Lay the tensors one after the other, in the layout's order, as float32.

    Raises UpdateError where a tensor is missing, is too many, or has another shape than its entry.
    """
    names = [name for name, _ in entries]
    if set(names) != set(tensors):
        raise UpdateError(
            f"the tensors differ from the layout: missing {sorted(set(names) - set(tensors))}, "
            f"unknown {sorted(set(tensors) - set(names))}; do both sides hold the same plan?"
        )
    for name, shape in entries:
        if tensors[name].shape != shape:
            raise UpdateError(f"tensor {name} has shape {tensors[name].shape}, expected {shape}")
    return np.concatenate([tensors[name].ravel().astype(np.float32) for name in names])


def check_form(vector: Tensor, *, size: int) -> None:
    """Refuse what is not `size` float32 values, finite or not; raises UpdateError."""
    if vector.dtype != np.float32:
        raise UpdateError(f"the update is of {vector.dtype}, expected float32")
    if vector.shape != (size,):
        raise UpdateError(f"the update has shape {vector.shape}, expected ({size},)")


def check_update(vector: Tensor, *, size: int) -> None:
    """Refuse what is not an update of `size` coordinates.

    Raises UpdateError for another type, another length, NaN or infinity.
    """
    check_form(vector, size=size)
    finite = np.isfinite(vector)
    if not finite.all():
        first = int(np.argmin(finite))
        raise UpdateError(
            f"the update holds {size - np.count_nonzero(finite)} values that are not finite, the first is "
            f"{vector[first]} at coordinate {first}: local training diverged, lower its learning rate"
        )


def check_layout(digest: str, *, expected: str) -> None:
    """Refuse an update whose coordinates mean something else than the global model's.

    Raises UpdateError where the digests differ.
    """
    if digest != expected:
        raise UpdateError(
            f"the update's layout digest is {digest}, expected {expected}: the site trains another network, "
            "give every site the same plan"
        )
