"""Our secure aggregation, measured whole: every site and the server, with certificates as in production."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms
from cryptography.x509.oid import NameOID

from benchmarks.secure_sum.rows import CLIPPING_NORM, Clock, Row, check_mean, clipped_updates
from ecg_flare.privacy.secure_sum.client import SecureSumClient
from ecg_flare.privacy.secure_sum.context import Member, SumContext, min_threshold
from ecg_flare.privacy.secure_sum.encoding import FixedPoint
from ecg_flare.privacy.secure_sum.limits import SiteLimits
from ecg_flare.privacy.secure_sum.memory import VolatileRoundMemory
from ecg_flare.privacy.secure_sum.recovered_sums import VolatileModelMemory
from ecg_flare.privacy.secure_sum.server import SecureSumServer
from ecg_flare.privacy.secure_sum.signing import CertificateSigner, CertificateVerifier, fingerprint

DIGEST = bytes(32)


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
    limits = SiteLimits(DIGEST, DIGEST, CLIPPING_NORM, {m.name: m.fingerprint for m in terms.roster})
    clients = [
        SecureSumClient(name, limits, signer, kit.verifier, VolatileRoundMemory(), VolatileModelMemory())
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
            answer = clients[number].answer_sealed_shares(boxes[kit.names[number]], vector, trained_from=DIGEST)
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
        total = server.unmask()
    with at_server.at("decode"):
        mean = point.decode(point.from_ring(total), float(sites))
    check_mean(mean, draw, sites)
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


def _terms(kit: Kit, point: FixedPoint) -> SumContext:
    roster = tuple(
        Member(name, fingerprint(signer.certificate)) for name, signer in zip(kit.names, kit.signers, strict=True)
    )
    return SumContext(
        job="benchmark",
        round=0,
        attempt=0,
        roster=roster,
        threshold=min_threshold(len(roster)),
        ring_bits=point.ring_bits,
        dimension=point.dimension,
        scale=point.scale,
        clipping_norm=CLIPPING_NORM,
        weights=point.weights,
        dp="",
        layout_digest=DIGEST,
        model_sha256=DIGEST,
    )


def bare(parameters: int, sites: int) -> Row:
    """A bare masked addition in numpy: as many ChaCha20 streams as a client adds, made whole and added."""
    clock, vector = Clock(), np.zeros(parameters, dtype=np.uint32)
    with clock.at("masking"):
        for _ in range(sites):
            stream = Cipher(algorithms.ChaCha20(os.urandom(32), bytes(16)), mode=None).encryptor()
            vector += np.frombuffer(stream.update(bytes(4 * parameters)), dtype="<u4")
    return Row("bare numpy mask", parameters, sites, clock.total, 0.0, 4 * parameters, 4 * parameters)
