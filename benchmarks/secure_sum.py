"""Secure sums side by side: ours, Flower's SecAgg+ functions, and CKKS by TenSEAL with FLARE's parameters.

    python -m benchmarks.secure_sum [--json] [--quick]

One float32 vector a site, from the clipped update to what is sent, and at the server from what arrives to the mean
update. No site falls silent. Seconds are CPU seconds of this process (user and system), so that other work on the
machine does not count, of the best of up to five runs. Bytes are those of the serialized messages, with the float32
model counted in what goes down.
Needs `flwr` and `tenseal` for the comparisons; what is not installed is left out and said.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import math
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import click
import numpy as np
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms
from cryptography.x509.oid import NameOID
from tqdm import tqdm

from ecg_flare.privacy.secure_sum.client import SecureSumClient
from ecg_flare.privacy.secure_sum.context import Member, RoundTerms, least_threshold
from ecg_flare.privacy.secure_sum.encoding import FixedPoint, squared_norm
from ecg_flare.privacy.secure_sum.floors import SiteFloors
from ecg_flare.privacy.secure_sum.memory import VolatileRoundMemory
from ecg_flare.privacy.secure_sum.server import SecureSumServer
from ecg_flare.privacy.secure_sum.signing import CertificateSigner, CertificateVerifier, fingerprint

PARAMETERS = (120_000, 1_300_000, 33_500_000)
SITES = (3, 10, 30)
QUICK_PARAMETERS = (120_000,)
QUICK_SITES = (3, 10)
CLIPPING_NORM = 1.0
CKKS_SAMPLE = 1_300_000
CKKS_SLOTS = 4096
WHOLE_UP_TO = 2_000_000
MOST_RUNS = 5
SECONDS_A_ROW = 8.0
DIGEST = bytes(32)


@dataclass(frozen=True)
class Row:
    """What one system costs for one size: median client, and the server."""

    system: str
    parameters: int
    sites: int
    client_s: float
    server_s: float
    up_bytes: int
    down_bytes: int
    parts_s: dict[str, float] = field(default_factory=dict)
    note: str = ""


class Clock:
    """Adds up CPU seconds by name."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def at(self, name: str) -> Iterator[None]:
        start = time.process_time()
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + time.process_time() - start

    @property
    def total(self) -> float:
        return sum(self.seconds.values())


def clipped_updates(parameters: int, sites: int) -> Callable[[int], np.ndarray]:
    """A function from site number to its float32 update, clipped to C; nothing is kept in memory."""

    def draw(site: int) -> np.ndarray:
        update = np.random.default_rng([parameters, sites, site]).standard_normal(parameters, dtype=np.float32)
        update *= np.float32(CLIPPING_NORM / math.sqrt(squared_norm(update)))
        return update

    return draw


# ── ours ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Kit:
    """Certificates of a provisioned project: RSA-2048, one key for all sites to save the time of making them."""

    signers: tuple[CertificateSigner, ...]
    verifier: CertificateVerifier
    names: tuple[str, ...]


def provision(sites: int) -> Kit:
    """A CA and a certificate a site."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    names = tuple(f"site-{number:02d}" for number in range(1, sites + 1))
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    signers = tuple(CertificateSigner(private, _certificate(name, key)) for name in names)
    return Kit(signers, CertificateVerifier(_certificate("project", key)), names)


def _certificate(name: str, key: rsa.RSAPrivateKey) -> bytes:
    now = datetime.now(UTC)

    def named(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    builder = x509.CertificateBuilder().subject_name(named(name)).issuer_name(named("project"))
    builder = builder.public_key(key.public_key()).serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def ours(parameters: int, sites: int) -> Row:
    """Every site and the server, measured whole; the result is checked against the plain mean."""
    kit, draw = provision(sites), clipped_updates(parameters, sites)
    point = FixedPoint.derive(clipping_norm=CLIPPING_NORM, weights=[1.0] * sites, dimension=parameters)
    terms = _terms(kit, point)
    floors = SiteFloors(DIGEST, DIGEST, CLIPPING_NORM, {m.name: m.fingerprint for m in terms.roster})
    clients = [
        SecureSumClient(name, floors, signer, kit.verifier, VolatileRoundMemory())
        for name, signer in zip(kit.names, kit.signers, strict=True)
    ]
    server, at_server = SecureSumServer(terms, kit.verifier), Clock()
    at_client = [Clock() for _ in clients]
    up, down = [0] * sites, [4 * parameters + len(server.offer().to_bytes())] * sites

    def step(name: str, ask: Callable[[int], Any], take: Callable[[str, Any], None]) -> None:
        for number in range(sites):
            with at_client[number].at(name):
                answer = ask(number)
            up[number] += len(answer.to_bytes())
            with at_server.at("collect"):
                take(kit.names[number], answer)

    def close(function: Callable[[], Any]) -> Any:
        with at_server.at("collect"):
            return function()

    def sent(message: Any) -> Any:
        for number in range(sites):
            down[number] += len(message.to_bytes())
        return message

    def mask(number: int) -> Any:
        update = draw(number)
        with at_client[number].at("encode"):
            vector = point.to_ring(point.encode(update, 1.0))
        with at_client[number].at("masking"):
            answer = clients[number].answer_boxes(boxes[kit.names[number]], vector, trained_from=DIGEST)
        return answer

    step("keys", lambda number: clients[number].answer_offer(server.offer()), server.receive_keys)
    roster = sent(close(server.close_keys))
    step("shares", lambda number: clients[number].answer_keys(roster), server.receive_shares)
    boxes = close(server.close_shares)
    for number, name in enumerate(kit.names):
        down[number] += len(boxes[name].to_bytes())
        answer = mask(number)
        up[number] += answer.vector.nbytes + 35
        with at_server.at("add"):
            server.receive_masked(name, answer)
    survivors = sent(close(server.close_masked))
    step("consent", lambda number: clients[number].answer_survivors(survivors), server.receive_consent)
    request = sent(close(server.close_consent))
    step("unmask", lambda number: clients[number].answer_unmask(request), server.receive_release)
    with at_server.at("unmask"):
        total = server.open()
    with at_server.at("decode"):
        mean = point.decode(point.from_ring(total), float(sites))
    _check_mean(mean, draw, sites)
    middle = sorted(at_client, key=lambda clock: clock.total)[sites // 2]
    return Row(
        "ecg_flare",
        parameters,
        sites,
        middle.total,
        at_server.total,
        max(up),
        max(down),
        {
            **{f"client {k}": v for k, v in middle.seconds.items()},
            **{f"server {k}": v for k, v in at_server.seconds.items()},
        },
    )


def _terms(kit: Kit, point: FixedPoint) -> RoundTerms:
    roster = tuple(
        Member(name, fingerprint(signer.certificate)) for name, signer in zip(kit.names, kit.signers, strict=True)
    )
    return RoundTerms(
        job="benchmark",
        round=0,
        attempt=0,
        roster=roster,
        threshold=least_threshold(len(roster)),
        ring_bits=point.ring_bits,
        dimension=point.dimension,
        scale=point.scale,
        clipping_norm=CLIPPING_NORM,
        weights=point.weights,
        dp="",
        layout_digest=DIGEST,
        model_sha256=DIGEST,
    )


def _check_mean(mean: np.ndarray, draw: Callable[[int], np.ndarray], sites: int) -> None:
    """A benchmark of a wrong sum is worth nothing; both encodings are finer than 10^-5."""
    head = 100_000
    expected = np.mean([draw(number)[:head].astype(np.float64) for number in range(sites)], axis=0)
    worst = float(np.abs(mean[:head] - expected).max())
    if worst > 1e-5:
        raise AssertionError(f"the opened mean is off by {worst}, expected at most 1e-5")


def bare(parameters: int, sites: int) -> Row:
    """A bare masked addition in numpy: as many ChaCha20 streams as a client adds, made whole and added."""
    clock, vector = Clock(), np.zeros(parameters, dtype=np.uint32)
    with clock.at("masking"):
        for _ in range(sites):
            stream = Cipher(algorithms.ChaCha20(os.urandom(32), bytes(16)), mode=None).encryptor()
            vector += np.frombuffer(stream.update(bytes(4 * parameters)), dtype="<u4")
    return Row("bare numpy mask", parameters, sites, clock.total, 0.0, 4 * parameters, 4 * parameters)


# ── Flower's SecAgg+ ────────────────────────────────────────────────────────────────────────────────────────────────


def flower(parameters: int, sites: int) -> Row:
    """Flower's own client steps and the functions of its workflow, with its default ranges and full sharing.

    Above two million parameters one client is run and its upload stands for all at the server: the seconds are those
    of n uploads, the sum is then not meaningful.
    """
    from flwr.common import ndarrays_to_parameters
    from flwr.common.secure_aggregation.secaggplus_constants import Key

    # The package exports a function under the module's own name.
    mod = importlib.import_module("flwr.client.mod.secure_aggregation.secaggplus_mod")
    draw, threshold = clipped_updates(parameters, sites), least_threshold(sites)
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
        _check_mean(mean, draw, sites)
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


# ── CKKS ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def ckks(parameters: int, sites: int) -> Row:
    """TenSEAL with the parameters of FLARE's HEBuilder; larger vectors by a sample, scaled."""
    import tenseal

    context = tenseal.context(tenseal.SCHEME_TYPE.CKKS, 8192, coeff_mod_bit_sizes=[60, 40, 40])
    context.global_scale = 2**40
    sample = min(parameters, CKKS_SAMPLE)
    scale, clock = parameters / sample, Clock()
    update = clipped_updates(sample, sites)(0)
    parts = [update[start : start + CKKS_SLOTS] for start in range(0, sample, CKKS_SLOTS)]
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


# ── the table ───────────────────────────────────────────────────────────────────────────────────────────────────────


def measure(parameters: Sequence[int], sites: Sequence[int]) -> Iterator[Row]:
    """All systems that are installed, for every size and cohort."""
    systems: list[Callable[[int, int], Row]] = [bare, ours]
    for package, system, install in (("flwr", flower, "flwr"), ("tenseal", ckks, "ecg_flare[he]")):
        if importlib.util.find_spec(package):
            systems.append(system)
        else:
            click.echo(f"{package} is not installed, left out: pip install '{install}'", err=True)
    plan = [(system, d, n) for d in parameters for n in sites for system in systems]
    for system, d, n in tqdm(plan, disable=not sys.stderr.isatty()):
        yield best(system, d, n)


def best(system: Callable[[int, int], Row], parameters: int, sites: int) -> Row:
    """The run with the fewest seconds of a few: what disturbs a run only ever adds to it."""
    rows: list[Row] = []
    start = time.process_time()
    while not rows or (len(rows) < MOST_RUNS and time.process_time() - start < SECONDS_A_ROW):
        rows.append(system(parameters, sites))
    return min(rows, key=lambda row: row.client_s + row.server_s)


def table(rows: Sequence[Row]) -> str:
    """The rows as a Markdown table, with each aim's figure beside our own rows."""
    lines = [
        "| parameters | sites | system | client s | server s | up MB | up bytes/parameter | down MB | down/float32 |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        lines.append(
            f"| {row.parameters / 1e6:.2f} M | {row.sites} | {row.system} | {row.client_s:.3f} | {row.server_s:.3f} | "
            f"{row.up_bytes / 1e6:.2f} | {row.up_bytes / row.parameters:.2f} | {row.down_bytes / 1e6:.2f} | "
            f"{row.down_bytes / (4 * row.parameters):.3f} |"
        )
    return "\n".join(lines)


def ratios(rows: Sequence[Row]) -> str:
    """Our rows against the aims."""
    lines = ["| parameters | sites | masking / bare | Flower / ours, client + server |", "|---|---|---|---|"]
    found = {(row.system, row.parameters, row.sites): row for row in rows}
    for row in (row for row in rows if row.system == "ecg_flare"):
        least = found["bare numpy mask", row.parameters, row.sites].client_s
        masking = (
            sum(seconds for name, seconds in row.parts_s.items() if name.startswith("client "))
            - row.parts_s["client encode"]
        )
        other = found.get(("Flower SecAgg+", row.parameters, row.sites))
        beside = (other.client_s + other.server_s) / (row.client_s + row.server_s) if other else float("nan")
        lines.append(f"| {row.parameters / 1e6:.2f} M | {row.sites} | {masking / least:.2f} | {beside:.1f} |")
    return "\n".join(lines)


@click.command(help=__doc__)
@click.option("--json", "as_json", is_flag=True, help="Rows as JSON.")
@click.option("--quick", is_flag=True, help="0.12 M parameters, 3 and 10 sites.")
def main(as_json: bool, quick: bool) -> None:
    rows = list(measure(QUICK_PARAMETERS, QUICK_SITES) if quick else measure(PARAMETERS, SITES))
    if as_json:
        click.echo(json.dumps([asdict(row) for row in rows], indent=1))
        return
    click.echo(table(rows))
    click.echo()
    click.echo(ratios(rows))
    for row in rows:
        if row.note:
            click.echo(f"{row.system}, {row.parameters / 1e6:.2f} M, {row.sites} sites: {row.note}", err=True)


if __name__ == "__main__":
    main()
