"""Secure aggregation under startup kits: certificates sign, sites pin them, and a policy's limit is told by name."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cryptography.hazmat.primitives import serialization
from masked_sites import PLAN, TERMS, D, Site
from memory_ask import MemoryAsk
from nvflare.apis.shareable import Shareable
from nvflare.apis.signal import Signal

from ecg_flare.errors import RoundError
from ecg_flare.flare.job.messages import ERROR_HEADER, TRAIN, TrainRequest
from ecg_flare.flare.server.aggregators import FedAvg
from ecg_flare.flare.site.policy import POLICY_FILE
from ecg_flare.flare.summation.collection import CollectionSetup
from ecg_flare.flare.summation.masked.messages import IDENTIFY, KEYS, pack, pack_bytes
from ecg_flare.flare.summation.masked.offer import Attempt, sum_context
from ecg_flare.flare.summation.masked.server import MaskedCollection
from ecg_flare.flare.summation.masked.site import SecureSumExecutor
from ecg_flare.privacy.secure_sum.context import Member, SumContext
from ecg_flare.privacy.secure_sum.messages import Offer
from ecg_flare.privacy.secure_sum.signing import fingerprint
from flat_terms import varied
from secure_sum_certs import Authority, rsa_key

SITES = ("site-1", "site-2", "site-3", "site-4")
COHORT = varied(TERMS, weights=dict.fromkeys(SITES, 1.0), min_sites=3)
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


def network_of(*hospitals: Site, strict: bool = False) -> MemoryAsk:
    """Asks the hospitals that are up."""
    sites = {hospital.fl_ctx.get_identity_name(): hospital for hospital in hospitals}
    down = lambda task: [name for name, site in sites.items() if getattr(site, "down", False)]  # noqa: E731
    return MemoryAsk(sites, away=down, strict=strict)


@pytest.fixture
def network(context: Callable[..., Any]) -> MemoryAsk:
    return network_of(*(Hospital(site, context) for site in SITES))


def server(context: Callable[..., Any], pinned: Mapping[str, str]) -> MaskedCollection:
    workspace = context(name="server").get_engine().get_workspace()
    root = Path(workspace.get_root_dir())
    (root / "startup" / "rootCA.pem").write_bytes(Authority().pem)
    write_policy(root, {"pinned": pinned})
    return MaskedCollection(CollectionSetup(workspace, COHORT, print, print))


def collect(collection: MaskedCollection, network: MemoryAsk, round_index: int = 0) -> tuple[str, ...]:
    model = np.full(D, round_index, np.float32)  # each round has a model of its own
    request = TrainRequest(model, round_index, "a" * 32, PLAN.layout_digest, PLAN.hash, COHORT.digest)
    return tuple(collection.collect(request, COHORT, FedAvg().open(request, COHORT), network).answered)


def test_certificates_are_asked_for_once_a_job(context: Callable[..., Any], network: MemoryAsk) -> None:
    collection = server(context, {})
    assert collect(collection, network) == SITES
    network.sites["site-4"].down = True
    assert collect(collection, network, 1) == SITES[:3]
    assert [hospital.asked.count(IDENTIFY) for hospital in network.sites.values()] == [1] * 4


def test_a_site_that_never_came_loses_rounds_unless_the_server_pinned_it(
    context: Callable[..., Any], network: MemoryAsk
) -> None:
    network.sites["site-2"].down = True
    collection = server(context, {})
    with pytest.raises(RoundError, match=r"site-2 sent no certificate.*pin"):
        collect(collection, network)
    network.sites["site-2"].down = False
    assert collect(collection, network) == SITES  # it came, and only it is asked again
    assert [hospital.asked.count(IDENTIFY) for hospital in network.sites.values()] == [1] * 4

    network.sites["site-2"].down = True
    assert collect(server(context, PINS), network, 1) == ("site-1", "site-3", "site-4")


def test_a_server_with_a_certificate_of_its_own_making_finds_nobody(
    context: Callable[..., Any], network: MemoryAsk
) -> None:
    """Whoever holds the CA could add a site; the sites know the cohort's certificates by another way."""
    forged = fingerprint(Authority().signer("site-2", key_label="server's own").certificate).hex()
    with pytest.raises(RoundError, match="nothing was recovered"):
        collect(server(context, {**PINS, "site-2": forged}), network)
    assert all(set(hospital.asked) == {KEYS} for hospital in network.sites.values())


def test_a_policys_limit_reaches_the_server_by_name(context: Callable[..., Any]) -> None:
    strict = Hospital("site-2", context, min_threshold=4)
    network = network_of(strict, *(Hospital(site, context) for site in SITES if site != "site-2"))
    assert collect(server(context, PINS), network) == ("site-1", "site-3", "site-4")
    task, site, why = network.out[0]
    assert (task, site) == (KEYS, "site-2")
    assert why.startswith("the site answered EXECUTION_EXCEPTION (its own limit min_thresh")


def offered(model_sha256: bytes = bytes(32), **changes: Any) -> SumContext:
    """An honest server's terms of the cohort's first round, but for what is changed."""
    roster = tuple(Member(site, bytes.fromhex(PINS[site])) for site in SITES)
    attempt = Attempt(COHORT.digest, 0, 1, roster, model_sha256, test_mode=False)
    return replace(sum_context(COHORT, attempt), **changes)


def answer_to(site: Hospital, terms: SumContext) -> Shareable:
    return SecureSumExecutor().execute(KEYS, pack(Offer(terms)), site.fl_ctx, Signal())


def assert_told(answer: Shareable, told: str | None) -> None:
    """The site answered, or refused with a reason that begins with `told`."""
    reason = answer.get_header(ERROR_HEADER)
    assert reason is None if told is None else reason is not None and reason.startswith(told)


@pytest.mark.parametrize(
    ("policy", "round_index", "told"),
    [
        ({"start_model": "00" * 32}, 0, None),
        ({"start_model": "11" * 32}, 0, "its own limit start_model="),
        ({"start_model": "11" * 32}, 1, "its own limit start_model="),  # the first that this site hears of
        ({"summations": ["encrypted"]}, 1, "its own limit summations="),
        ({"pinned": {}}, 1, "SecureSumError"),
    ],
)
def test_a_policy_decides_over_an_offer(
    context: Callable[..., Any], policy: dict[str, Any], round_index: int, told: str | None
) -> None:
    site = Hospital("site-1", context, **policy)
    assert_told(answer_to(site, offered(round=round_index)), told)


def test_a_known_start_binds_the_first_round_alone(context: Callable[..., Any]) -> None:
    site = Hospital("site-1", context, start_model="00" * 32)
    assert_told(answer_to(site, offered()), None)
    assert_told(answer_to(site, offered(round=1, model_sha256=bytes([1]) * 32)), None)


ROSTER = offered().roster


@pytest.mark.parametrize(
    "lie",
    [
        {"job": "another"},  # its rounds would be new to the site's memory of answers
        {"round": COHORT.rounds},
        {"roster": ROSTER[:3], "weights": (1.0,) * 3},
        {"threshold": 4},
        {"scale": 2**20},
        {"ring_bits": 64},
        {"dimension": 10},
        {"clipping_norm": 0.5},
        {"weights": (1.0, 1.0, 1.0, 2.0)},
        {"weights": None},
        {"dp": "sigma=1"},
        {"layout_digest": bytes(32)},
        {"test_mode": True},
    ],
    ids=lambda lie: next(iter(lie)),
)
def test_an_offer_that_departs_from_the_job_is_refused(context: Callable[..., Any], lie: dict[str, Any]) -> None:
    site = Hospital("site-1", context)
    assert_told(answer_to(site, offered(**lie)), "SecureSumError")
    assert_told(answer_to(site, offered()), None)


def test_a_threshold_below_the_jobs_is_refused(context: Callable[..., Any]) -> None:
    """The job asks for more than the protocol does, and the server may not fall back on the protocol's least."""
    site = Hospital("site-1", context)
    site.fl_ctx.get_engine()._components["terms"] = varied(COHORT, min_sites=4)
    assert_told(answer_to(site, offered(threshold=3)), "SecureSumError")


def test_an_order_of_another_round_is_never_masked(context: Callable[..., Any], network: MemoryAsk) -> None:
    """Training is seeded by the request's round: one request under two offers would give one update to two cohorts."""
    honest = network.sites["site-1"].answer

    def other_round(task: str, message: Shareable) -> Shareable:
        if task == TRAIN:
            message = replace(TrainRequest.from_shareable(message), round_index=1).to_shareable()
        return honest(task, message)

    network.sites["site-1"].answer = other_round  # type: ignore[method-assign]
    with pytest.raises(RoundError, match=r"update is of round 1, .* the sum under way is of round 0"):
        collect(server(context, PINS), network_of(*network.sites.values(), strict=True))


def test_a_pinned_site_without_its_kit_takes_part_in_no_test_mode(context: Callable[..., Any]) -> None:
    site = Site("site-1", context)
    write_policy(site.root, {"pinned": PINS})
    collection = MaskedCollection(CollectionSetup(site.fl_ctx.get_engine().get_workspace(), TERMS, print, print))
    request = TrainRequest(np.zeros(D, np.float32), 0, "a" * 32, PLAN.layout_digest, PLAN.hash, TERMS.digest)
    network = network_of(site, *(Site(name, context) for name in SITES[1:3]))
    with pytest.raises(RoundError, match="nothing was recovered"):
        collection.collect(request, TERMS, FedAvg().open(request, TERMS), network)
    assert "its own limit pinned" in network.out[0][2]


@pytest.mark.parametrize("sent", [b"x", CERTIFICATES["site-1"].public_bytes(serialization.Encoding.DER)])
def test_a_certificate_that_is_not_the_sites_counts_as_none(
    context: Callable[..., Any], network: MemoryAsk, sent: bytes
) -> None:
    """Without pins at the server one site's answer would otherwise end every round of the others."""
    honest = network.sites["site-3"].answer

    def lying(task: str, message: Shareable) -> Shareable:
        return pack_bytes(sent) if task == IDENTIFY else honest(task, message)

    network.sites["site-3"].answer = lying  # type: ignore[method-assign]
    with pytest.raises(RoundError, match="site-3 sent no certificate"):
        collect(server(context, {}), network)
    assert collect(server(context, PINS), network, 1) == SITES


@pytest.mark.parametrize(
    ("policy", "refused"), [({}, True), ({"once_per_model": True}, True), ({"once_per_model": "none"}, False)]
)
def test_once_per_model_holds_over_jobs(
    context: Callable[..., Any], network: MemoryAsk, policy: dict[str, Any], refused: bool
) -> None:
    assert collect(server(context, PINS), network) == SITES
    start = TrainRequest(np.zeros(D, np.float32), 0, "a", "", "", "").model_sha256
    assert_told(answer_to(network.sites["site-1"], offered(model_sha256=start, round=1)), None)
    other = Hospital("site-1", context, **policy)  # the same site, in another job
    another = varied(COHORT, nonce="0" * 32)
    other.fl_ctx.get_engine()._components["terms"] = another
    told = "its own limit once_per_model=" if refused else None
    assert_told(answer_to(other, offered(model_sha256=start, job=another.digest)), told)
    assert_told(answer_to(other, offered(model_sha256=bytes(32), job=another.digest, attempt=2)), None)
