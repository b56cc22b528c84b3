"""The secure sum under startup kits: certificates sign, sites pin them, and a policy's floor is told by name."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cryptography.hazmat.primitives import serialization
from masked_sites import PLAN, TERMS, D, Site
from nvflare.apis.shareable import Shareable
from nvflare.apis.signal import Signal

from ecg_flare.errors import EcgFlareError, RoundError
from ecg_flare.flare.aggregators import FedAvg
from ecg_flare.flare.masked_collection import MaskedCollection
from ecg_flare.flare.masked_site import SecureSumExecutor
from ecg_flare.flare.messages import ERROR_HEADER, Order
from ecg_flare.flare.secure_messages import IDENTIFY, KEYS, pack
from ecg_flare.flare.site_policy import POLICY_FILE
from ecg_flare.privacy.secure_sum.context import Member
from ecg_flare.privacy.secure_sum.context import RoundTerms as SumTerms
from ecg_flare.privacy.secure_sum.messages import Offer
from ecg_flare.privacy.secure_sum.signing import fingerprint
from secure_sum_certs import Authority, rsa_key

SITES = ("site-1", "site-2", "site-3", "site-4")
COHORT = replace(TERMS, weights=dict.fromkeys(SITES, 1.0), min_sites=3)
CERTIFICATES = {site: Authority().issue(site, rsa_key(site)) for site in SITES}
PINS = {site: fingerprint(one.public_bytes(serialization.Encoding.DER)).hex() for site, one in CERTIFICATES.items()}


class Hospital(Site):
    """A site with a startup kit and a policy that pins the cohort."""

    def __init__(self, name: str, context: Callable[..., Any], **policy: Any) -> None:
        super().__init__(name, context, terms=COHORT)
        unpack_kit(self.root, name)
        write_policy(self.root, {"pinned": PINS, **policy})
        self.asked: list[str] = []
        self.down = False

    def answer(self, task: str, message: Shareable) -> Shareable:
        self.asked.append(task)
        return super().answer(task, message)


def unpack_kit(root: Path, name: str) -> None:
    key = rsa_key(name).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    certificate = CERTIFICATES[name].public_bytes(serialization.Encoding.PEM)
    for file, content in {"client.key": key, "client.crt": certificate, "rootCA.pem": Authority().pem}.items():
        (root / "startup" / file).write_bytes(content)


def write_policy(root: Path, policy: Mapping[str, Any]) -> None:
    (root / "local" / POLICY_FILE).write_text(json.dumps(policy), encoding="utf-8")


class Network:
    """Asks the hospitals that are up; an answer that the receiver refuses does not count."""

    def __init__(self, *hospitals: Hospital) -> None:
        self.hospitals = {hospital.fl_ctx.get_identity_name(): hospital for hospital in hospitals}
        self.refusals: list[str] = []

    def __call__(
        self, task_name: str, messages: Mapping[str, Shareable], receive: Callable[..., None], *, enough: int
    ) -> tuple[str, ...]:
        for site, message in messages.items():
            if not self.hospitals[site].down:
                try:
                    receive(site, self.hospitals[site].answer(task_name, message))
                except EcgFlareError as error:
                    self.refusals.append(f"{site}: {error}")
        return tuple(messages)


@pytest.fixture
def network(context: Callable[..., Any]) -> Network:
    return Network(*(Hospital(site, context) for site in SITES))


def server(context: Callable[..., Any], pinned: Mapping[str, str]) -> MaskedCollection:
    workspace = context(name="server").get_engine().get_workspace()
    root = Path(workspace.get_root_dir())
    (root / "startup" / "rootCA.pem").write_bytes(Authority().pem)
    write_policy(root, {"pinned": pinned})
    return MaskedCollection(workspace, "job-1", lambda line: None)


def collect(collection: MaskedCollection, network: Network, round_index: int = 0) -> tuple[str, ...]:
    order = Order(np.zeros(D, np.float32), round_index, "a" * 32, PLAN.layout_digest, PLAN.hash, COHORT.digest)
    return tuple(collection.collect(order, COHORT, FedAvg(), network).answered)


def test_certificates_are_asked_for_once_a_job(context: Callable[..., Any], network: Network) -> None:
    collection = server(context, {})
    assert collect(collection, network) == SITES
    network.hospitals["site-4"].down = True
    assert collect(collection, network, 1) == SITES[:3]
    assert [hospital.asked.count(IDENTIFY) for hospital in network.hospitals.values()] == [1] * 4


def test_a_site_that_never_came_loses_rounds_unless_the_server_pinned_it(
    context: Callable[..., Any], network: Network
) -> None:
    network.hospitals["site-2"].down = True
    collection = server(context, {})
    with pytest.raises(RoundError, match=r"site-2 sent no certificate.*pin"):
        collect(collection, network)
    network.hospitals["site-2"].down = False
    assert collect(collection, network) == SITES  # it came, and only it is asked again
    assert [hospital.asked.count(IDENTIFY) for hospital in network.hospitals.values()] == [1] * 4

    network.hospitals["site-2"].down = True
    assert collect(server(context, PINS), network, 1) == ("site-1", "site-3", "site-4")


def test_a_server_with_a_certificate_of_its_own_making_finds_nobody(
    context: Callable[..., Any], network: Network
) -> None:
    """Whoever holds the CA could add a site; the sites know the cohort's certificates by another way."""
    forged = fingerprint(Authority().signer("site-2", key_label="server's own").certificate).hex()
    with pytest.raises(RoundError, match="nothing was opened"):
        collect(server(context, {**PINS, "site-2": forged}), network)
    assert all(set(hospital.asked) == {KEYS} for hospital in network.hospitals.values())


def test_a_policys_floor_reaches_the_server_by_name(context: Callable[..., Any]) -> None:
    strict = Hospital("site-2", context, least_threshold=4)
    network = Network(strict, *(Hospital(site, context) for site in SITES if site != "site-2"))
    assert collect(server(context, PINS), network) == ("site-1", "site-3", "site-4")
    assert network.refusals[0].startswith("site-2: the site answered EXECUTION_EXCEPTION (its own floor least_thresh")


def offer_of(job: str, round_index: int = 0, model_sha256: bytes = bytes(32)) -> Shareable:
    members = tuple(Member(site, bytes.fromhex(PINS[site])) for site in SITES)
    fixed = COHORT.config.fixed_encoding(D)
    assert fixed is not None
    terms = SumTerms(
        job, round_index, 1, members, 3, fixed.ring_bits, D, fixed.scale, fixed.clipping_norm, (1.0,) * 4, "",
        bytes.fromhex(PLAN.layout_digest), model_sha256,
    )  # fmt: skip
    return pack(Offer(terms))


def assert_told(answer: Shareable, told: str | None) -> None:
    """The site answered, or refused with a reason that begins with `told`."""
    reason = answer.get_header(ERROR_HEADER)
    assert reason is None if told is None else reason is not None and reason.startswith(told)


@pytest.mark.parametrize(
    ("policy", "round_index", "told"),
    [
        ({"start_model": "00" * 32}, 0, None),
        ({"start_model": "11" * 32}, 0, "its own floor start_model="),
        ({"start_model": "11" * 32}, 1, None),
        ({"summations": ["encrypted"]}, 1, "its own floor summations="),
        ({"pinned": {}}, 1, "SecureSumError"),
    ],
)
def test_a_policy_decides_over_an_offer(
    context: Callable[..., Any], policy: dict[str, Any], round_index: int, told: str | None
) -> None:
    site = Hospital("site-1", context, **policy)
    answer = SecureSumExecutor().execute(KEYS, offer_of("job-1", round_index), site.fl_ctx, Signal())
    assert_told(answer, told)


def test_once_per_model_holds_over_jobs(context: Callable[..., Any], network: Network) -> None:
    for hospital in network.hospitals.values():
        write_policy(hospital.root, {"pinned": PINS, "once_per_model": True})
    assert collect(server(context, PINS), network) == SITES
    start = Order(np.zeros(D, np.float32), 0, "a", "", "", "").model_sha256
    for job, told in (("job-1", None), ("job-2", "its own floor once_per_model: job job-1 had")):
        offer = offer_of(job, 1, model_sha256=start)
        answer = SecureSumExecutor().execute(KEYS, offer, network.hospitals["site-1"].fl_ctx, Signal())
        assert_told(answer, told)
