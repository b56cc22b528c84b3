"""CKKS by TenSEAL, with the parameters of FLARE's HEBuilder."""

from __future__ import annotations

import numpy as np

from benchmarks.secure_sum.rows import Clock, Row, clipped_updates

SAMPLE = 1_300_000
SLOTS = 4096


def ckks(parameters: int, sites: int) -> Row:
    """TenSEAL with the parameters of FLARE's HEBuilder; larger vectors by a sample, scaled."""
    import tenseal

    context = tenseal.context(tenseal.SCHEME_TYPE.CKKS, 8192, coeff_mod_bit_sizes=[60, 40, 40])
    context.global_scale = 2**40
    sample = min(parameters, SAMPLE)
    scale, clock = parameters / sample, Clock()
    update = clipped_updates(sample, sites)(0)
    parts = [update[start : start + SLOTS] for start in range(0, sample, SLOTS)]
    with clock.at("encrypt"):
        sealed = [tenseal.ckks_vector(context, part).serialize() for part in parts]
    with clock.at("add"):
        total = [tenseal.ckks_vector_from(context, part) for part in sealed]
        for one, part in zip(total, sealed, strict=True):
            one += tenseal.ckks_vector_from(context, part)
    with clock.at("serialize"):
        result = [one.serialize() for one in total]
    with clock.at("decrypt"):
        opened = np.concatenate([one.decrypt() for one in total])
    if not np.allclose(opened, 2 * update, atol=1e-4):
        raise AssertionError("CKKS opened another sum than twice the update")
    seconds = {name: value * scale for name, value in clock.seconds.items()}
    return Row(
        "CKKS (TenSEAL)",
        parameters,
        sites,
        seconds["encrypt"] + seconds["decrypt"],
        seconds["add"] / 2 * sites + seconds["serialize"],
        int(sum(map(len, sealed)) * scale),
        int(sum(map(len, result)) * scale),
        seconds,
        f"{'sample of 1.3 M scaled; ' if scale > 1 else ''}one addition measured, taken n times",
    )
