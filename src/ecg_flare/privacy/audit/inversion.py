"""Reading an input off an update (Geiping et al. 2020, arXiv 2003.14053, proposition 3.1).

For a layer ``y = W x + b`` the chain rule gives ``dL/dW_i = dL/dy_i * x`` and ``dL/db_i = dL/dy_i``: any row of the
weights' gradient over the bias' is the input itself. Clipping scales both alike and hides nothing.
"""

from __future__ import annotations

from time import perf_counter

import numpy as np
from jaxtyping import Float32, Float64

from ecg_flare.privacy.audit.path import AuditResult, RoundPath
from ecg_flare.privacy.secure_sum.masking import Mask, add_masks

_BOUND_SDS = 5.0

Image = Float64[np.ndarray, " pixels"]


def gradient_inversion(path: RoundPath, *, pixels: int, rng: np.random.Generator, masked: bool = True) -> AuditResult:
    """Correlation of what the server receives with the input that it was computed from, against chance.

    A layer with bias and as many outputs as the path's dimension allows is trained one step on one random image of
    `pixels` pixels; the update takes the path to the wire: clipped, encoded, in the ring and under masks from keys of
    256 bits. The attack divides each row by its bias; the estimate is its best absolute correlation with the image,
    or the upload's with the plain integers, whichever is larger. Uploads that say nothing stay within
    5 / sqrt(pixels), five standard deviations of a chance correlation.

    masked: False attacks the plain integers, to see that the attack works.
    """
    started = perf_counter()
    outputs = path.fixed.dimension // (pixels + 1)
    image = rng.uniform(0.0, 1.0, pixels)
    plain = path.contribution(_one_step(image, outputs, path.fixed.dimension, rng)[None])
    upload = path.fixed.to_ring(plain)
    if masked:
        add_masks(upload, [Mask(rng.bytes(32), +1), Mask(rng.bytes(32), +1), Mask(rng.bytes(32), -1)])
    received = path.fixed.in_order(path.fixed.from_ring(upload))
    sent = path.fixed.in_order(plain)
    readable = best_correlation(invert_linear_layer(received, outputs, pixels), image)
    alike = abs(float(np.corrcoef(received, sent)[0, 1]))
    in_clear = best_correlation(invert_linear_layer(sent, outputs, pixels), image)
    return AuditResult(
        "gradient inversion",
        max(readable, alike),
        _BOUND_SDS / float(np.sqrt(pixels)),
        perf_counter() - started,
        f"image of {pixels:,} pixels, {outputs} outputs; correlation with the image {readable:.3f}, with the plain "
        f"update {alike:.3f}; the same attack without masks {in_clear:.3f}",
    )


def invert_linear_layer(
    update: Float64[np.ndarray, " d"], outputs: int, pixels: int
) -> Float64[np.ndarray, "outputs pixels"]:
    """The input as each output's row tells it: ``dW_i / db_i``; zero where the bias did not move."""
    weights = update[: outputs * pixels].reshape(outputs, pixels)
    bias = update[outputs * pixels : outputs * (pixels + 1), None]
    readings: Float64[np.ndarray, "outputs pixels"] = np.divide(
        weights, bias, out=np.zeros_like(weights), where=bias != 0
    )
    return readings


def best_correlation(readings: Float64[np.ndarray, "outputs pixels"], image: Image) -> float:
    """Largest absolute correlation of a reading with the image; constant readings count as zero."""
    centred = readings - readings.mean(axis=1, keepdims=True)
    truth = image - image.mean()
    norms = np.linalg.norm(centred, axis=1) * np.linalg.norm(truth)
    correlations = np.divide(centred @ truth, norms, out=np.zeros_like(norms), where=norms > 0)
    return float(np.abs(correlations).max())


def _one_step(image: Image, outputs: int, dimension: int, rng: np.random.Generator) -> Float32[np.ndarray, " d"]:
    """Update after one step of gradient descent on cross-entropy, the image's class drawn at random."""
    weights = rng.standard_normal((outputs, image.size)) / np.sqrt(image.size)
    logits = weights @ image
    error = np.exp(logits - logits.max())
    error /= error.sum()
    error[rng.integers(outputs)] -= 1
    update = np.zeros(dimension, np.float32)
    update[: outputs * (image.size + 1)] = -np.concatenate([np.outer(error, image).ravel(), error])
    return update
