"""Flower's SecAgg+ (package flwr): its client's own steps and the functions of its workflow."""

from __future__ import annotations

import importlib
import os
import statistics
from typing import Any

import numpy as np

from benchmarks.secure_sum.rows import WHOLE_UP_TO, Clock, Row, check_mean, clipped_updates
from ecg_flare.privacy.secure_sum.context import min_threshold


def flower(parameters: int, sites: int) -> Row:
    """Flower's own client steps and the functions of its workflow, with its default ranges and full sharing.

    Above two million parameters one client is run and its upload stands for all at the server: the seconds are those
    of n uploads, the sum is then not meaningful.
    """
    from flwr.common import ndarrays_to_parameters
    from flwr.common.secure_aggregation.secaggplus_constants import Key

    # The package exports a function under the module's own name.
    mod = importlib.import_module("flwr.client.mod.secure_aggregation.secaggplus_mod")
    draw, threshold = clipped_updates(parameters, sites), min_threshold(sites)
    whole = parameters <= WHOLE_UP_TO
    settings = {
        Key.SAMPLE_NUMBER: sites,
        Key.SHARE_NUMBER: sites,
        Key.THRESHOLD: threshold,
        Key.CLIPPING_RANGE: 8.0,
        Key.TARGET_RANGE: 1 << 22,
        Key.MOD_RANGE: 1 << 32,
        Key.MAX_WEIGHT: 1000.0,
    }
    states, clocks, publics, boxes = {}, {}, {}, {}
    for nid in range(1, sites + 1):
        states[nid], clocks[nid] = mod.SecAggPlusState(), Clock()
        states[nid].nid = nid
        with clocks[nid].at("keys"):
            keyed = mod._setup(states[nid], settings)
        publics[str(nid)] = (keyed[Key.PUBLIC_KEY_1], keyed[Key.PUBLIC_KEY_2])
    for nid, state in states.items():
        with clocks[nid].at("shares"):
            boxes[nid] = mod._share_keys(state, dict(publics))
    control_down = sum(len(a) + len(b) for a, b in publics.values())
    control_up = 2 * len(publics["1"][0]) + sum(len(box) for box in boxes[1][Key.CIPHERTEXT_LIST])
    uploads: dict[int, list[bytes]] = {}
    for nid in states if whole else (1,):
        sealed = [
            (src, box)
            for src, sent in boxes.items()
            for dst, box in zip(sent[Key.DESTINATION_LIST], sent[Key.CIPHERTEXT_LIST], strict=True)
            if dst == nid
        ]
        asked = {Key.CIPHERTEXT_LIST: [box for _, box in sealed], Key.SOURCE_LIST: [src for src, _ in sealed]}
        weights = ndarrays_to_parameters([draw(nid - 1)])
        with clocks[nid].at("masking"):
            uploads[nid] = mod._collect_masked_vectors(states[nid], asked, 1000, weights)[Key.MASKED_PARAMETERS]
    lists = {Key.ACTIVE_NODE_ID_LIST: list(states), Key.DEAD_NODE_ID_LIST: []}
    released: dict[int, list[bytes]] = {nid: [] for nid in states}
    for nid in uploads:
        with clocks[nid].at("unmask"):
            answer = mod._unmask(states[nid], lists)
        for owner, share in zip(answer[Key.NODE_ID_LIST], answer[Key.SHARE_LIST], strict=True):
            released[owner].append(share)
    at_server, mean = _flower_server(states, uploads, released, sites, threshold)
    if whole:
        check_mean(mean, draw, sites)
    ran = [clocks[nid] for nid in uploads]
    up = sum(len(part) for part in uploads[1]) + control_up
    return Row(
        "Flower SecAgg+",
        parameters,
        sites,
        statistics.median(clock.total for clock in ran),
        at_server.total,
        up,
        4 * parameters + control_down,
        {f"server {name}": seconds for name, seconds in at_server.seconds.items()},
        "" if whole else "one client run; its upload taken n times at the server",
    )


def _flower_server(
    states: dict[int, Any],
    uploads: dict[int, list[bytes]],
    released: dict[int, list[bytes]],
    sites: int,
    threshold: int,
) -> tuple[Clock, np.ndarray]:
    """The server's half of SecAggPlusWorkflow without dropouts, by Flower's functions."""
    from flwr.common import bytes_to_ndarray
    from flwr.common.secure_aggregation import ndarrays_arithmetic as arithmetic
    from flwr.common.secure_aggregation.crypto.shamir import combine_shares, create_shares
    from flwr.common.secure_aggregation.quantization import dequantize
    from flwr.common.secure_aggregation.secaggplus_utils import pseudo_rand_gen

    clock = Clock()
    total: list[np.ndarray] = []
    for nid in states:
        with clock.at("add"):
            arrays = [bytes_to_ndarray(part) for part in uploads.get(nid, uploads[1])]
            total = arithmetic.parameters_addition(total, arrays) if total else arrays
    for nid in states:
        # Clients that were not run released nothing: shares of a stand-in cost the same to combine.
        shares = released[nid] if len(released[nid]) >= threshold else create_shares(os.urandom(32), threshold, sites)
        with clock.at("unmask"):
            mask = pseudo_rand_gen(combine_shares(shares), 1 << 32, [array.shape for array in total])
            total = arithmetic.parameters_subtraction(total, mask)
    with clock.at("decode"):
        ratio, quantized = arithmetic.factor_extract(arithmetic.parameters_mod(total, 1 << 32))
        (mean,) = dequantize(quantized, 8.0, 1 << 22)
        mean += -(sites - 1) * 8.0
        mean *= (1 << 22) / ratio
    return clock, mean
