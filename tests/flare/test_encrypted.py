"""The homomorphic sum over FLARE's messages: the round in memory to the integer, and how it ends without a sum."""

import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from flare_runs import ENVIRONMENT, simulate_toy, toy_spec
from ledger_orders import new_ledger
from memory_ask import MemoryAsk, unchanged
from nvflare.apis.dxo import from_shareable
from nvflare.apis.event_type import EventType
from nvflare.apis.fl_constant import FLContextKey, ReturnCode
from nvflare.apis.fl_context import FLContext
from nvflare.apis.shareable import Shareable, make_reply
from nvflare.apis.signal import Signal
from nvflare.apis.workspace import Workspace
from nvflare.fuel.sec.security_content_service import SecurityContentManager, SecurityContentService

from ecg_flare.errors import ConfigError, PrivacyError, RoundError, SecureSumError
from ecg_flare.federated.optimizers import FedAvg as AverageStep
from ecg_flare.federated.round import RoundResult, contribution
from ecg_flare.federated.terms import JobTerms
from ecg_flare.flare.job.messages import TRAIN, TrainRequest, TrainResult
from ecg_flare.flare.server.aggregators import FedAvg
from ecg_flare.flare.server.mechanism import AdmittedRound, GaussianMechanism
from ecg_flare.flare.server.policy import LEDGER_FILE
from ecg_flare.flare.server.witnesses import sites_as_witnesses
from ecg_flare.flare.site.filters import ClipUpdate, StripResult, check_filters
from ecg_flare.flare.site.heads import LedgerWitness
from ecg_flare.flare.site.policy import POLICY_FILE
from ecg_flare.flare.summation.collection import CollectionSetup
from ecg_flare.flare.summation.encrypted import SUMMATION
from ecg_flare.flare.summation.encrypted.contexts import TEST_CONTEXT_FILE, server_context, site_context
from ecg_flare.flare.summation.encrypted.messages import (
    AGREE,
    DECRYPT,
    SumRequest,
    pack_ciphertexts,
    pack_consent,
    pack_total,
    round_of,
    unpack_ciphertexts,
    unpack_consent,
    unpack_total,
)
from ecg_flare.flare.summation.encrypted.server import EncryptedCollection, agreed_total
from ecg_flare.flare.summation.encrypted.site import EncryptedSite, EncryptedSumExecutor, EncryptUpdate
from ecg_flare.nnunet.kinds import plan_preset
from ecg_flare.nnunet.plan import parameter_count
from ecg_flare.privacy.homomorphic import EncryptedTotal, SecretContext
from ecg_flare.privacy.ledger import verify
from ecg_flare.storage import read_arrays
from flat_terms import flat_terms, round_in_memory, varied

pytest.importorskip("tenseal", reason="needs the extra 'he'")

NAMES = ("site-1", "site-2", "site-3", "site-4")
WEIGHTS = {"site-1": 1.0, "site-2": 0.5, "site-3": 1.0, "site-4": 0.25}
TERMS = flat_terms(WEIGHTS, rounds=3, min_sites=3, clipping_norm=2.0, summation="encrypted")
PRIVATE = varied(TERMS, noise_multiplier=1.0, epsilon_budget=20.0)
D = parameter_count(plan_preset(TERMS.model.plan))
MODEL = np.zeros(D, dtype=np.float32)

Contexts = Callable[..., FLContext]
Tamper = Callable[[str, str, Shareable], Shareable]


def order_of(terms: JobTerms = TERMS, **changes: Any) -> TrainRequest:
    return replace(TrainRequest(MODEL, 0, "attempt", "d" * 64, "plan", terms.digest), **changes)


def update_of(site: str) -> np.ndarray:
    rng = np.random.default_rng(NAMES.index(site))
    return (rng.standard_normal(D) * 0.02).astype(np.float32)


class Site:
    """One site as FLARE drives it: event, training, result filters, then the control tasks."""

    def __init__(self, name: str, terms: JobTerms, contexts: Contexts) -> None:
        self.name = name
        self.witness = LedgerWitness()
        self.fl_ctx = contexts(name=name, terms=terms, encrypted_sum=EncryptedSite(), witness=self.witness)
        self.component = self.fl_ctx.get_engine().get_component("encrypted_sum")
        self.filters = [ClipUpdate(), StripResult(), EncryptUpdate()]
        chains = {f"{TRAIN}/out": self.filters}
        runner = SimpleNamespace(task_result_filters=chains)
        self.fl_ctx.set_prop(FLContextKey.RUNNER, runner, private=True, sticky=False)

    def answer(self, task_name: str, message: Shareable) -> Shareable:
        if task_name != TRAIN:
            return EncryptedSumExecutor().execute(task_name, message, self.fl_ctx, Signal())
        self.fl_ctx.set_prop(FLContextKey.TASK_DATA, message, private=True, sticky=False)
        for one in (self.component, self.witness):
            one.handle_event(EventType.BEFORE_TASK_EXECUTION, self.fl_ctx)
        self.fl_ctx.set_prop(FLContextKey.TASK_DATA, None, private=True, sticky=False)  # as FLARE does
        request = TrainRequest.from_shareable(message)
        reply = TrainResult(
            update_of(self.name), request.round_index, request.attempt, request.layout_digest
        ).to_shareable()
        for one in self.filters:
            reply = one.process(reply, self.fl_ctx)
        return reply


def asking_all(terms: JobTerms, contexts: Contexts, tamper: Tamper = unchanged) -> MemoryAsk:
    """Asks the sites in turn; `tamper` may change an answer."""
    return MemoryAsk({name: Site(name, terms, contexts) for name in NAMES}, tamper)


def collect(
    terms: JobTerms,
    asking: MemoryAsk,
    contexts: Contexts,
    admitted: AdmittedRound | None = None,
    lines: list[str] | None = None,
) -> RoundResult:
    """Run one round's collection and give what it amounts to."""
    request = order_of(terms)
    open_round = FedAvg().open(request, terms, admitted=admitted)
    said = [] if lines is None else lines
    workspace = contexts(name="server").get_engine().get_workspace()
    collection = EncryptedCollection(CollectionSetup(workspace, terms, said.append, said.append))
    ask = asking
    if terms.private:
        ledger = new_ledger(Path(workspace.get_root_dir()) / LEDGER_FILE)
        ask = sites_as_witnesses(ledger, terms, workspace, "job-1", said.append).asking(asking)
    collected = collection.collect(request, terms, open_round, ask)
    assert set(collected.seconds) == {TRAIN, AGREE, DECRYPT}
    assert collected.bytes_up > 50 * terms.sum_size(D) * len(collected.answered)
    return open_round.close()


def in_memory(terms: JobTerms, names: Sequence[str] = NAMES) -> Any:
    sites = {name: lambda model, index, name=name: update_of(name) for name in names}
    optimizer = AverageStep(1.0)
    return round_in_memory(MODEL, optimizer.init(D), sites, terms, optimizer)


def dropping(task: str, *names: str) -> Tamper:
    def tamper(task_name: str, site: str, answer: Shareable) -> Shareable:
        return make_reply(ReturnCode.EXECUTION_EXCEPTION) if task_name == task and site in names else answer

    return tamper


# ── the sum ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_sum_is_that_of_the_round_in_memory_to_the_integer(context: Contexts) -> None:
    lines: list[str] = []
    asking = asking_all(TERMS, context)
    result = collect(TERMS, asking, context, lines=lines)
    expected = in_memory(TERMS)
    assert np.array_equal(result.summed, expected.summed)
    assert np.array_equal(result.model, expected.model)
    assert asking.asked == [(TRAIN, NAMES), (AGREE, NAMES), (DECRYPT, NAMES[:2])]
    assert any("TEST MODE" in line for line in lines)
    assert any("30 CKKS ciphertexts" in line and "MB up from 4 sites" in line for line in lines)


def test_missing_site_is_survived_down_to_the_threshold(context: Contexts) -> None:
    result = collect(TERMS, asking_all(TERMS, context, dropping(TRAIN, "site-1")), context)
    assert np.array_equal(result.summed, in_memory(TERMS, NAMES[1:]).summed)


@pytest.mark.parametrize("task", [TRAIN, AGREE])
def test_below_the_threshold_nobody_is_asked_to_decrypt(context: Contexts, task: str) -> None:
    asking = asking_all(TERMS, context, dropping(task, "site-2", "site-3"))
    with pytest.raises(RoundError, match="expected at least 3"):
        collect(TERMS, asking, context)
    assert DECRYPT not in [name for name, _ in asking.asked]


def test_next_site_decrypts_where_one_does_not(context: Contexts) -> None:
    asking = asking_all(TERMS, context, dropping(DECRYPT, "site-1", "site-2"))
    result = collect(TERMS, asking, context)
    assert np.array_equal(result.summed, in_memory(TERMS).summed)
    assert asking.asked[2:] == [(DECRYPT, NAMES[:2]), (DECRYPT, NAMES[2:])]


def test_one_decrypter_is_not_believed(context: Contexts) -> None:
    with pytest.raises(RoundError, match=r"decrypted by \['site-4'\], expected 2"):
        collect(TERMS, asking_all(TERMS, context, dropping(DECRYPT, *NAMES[:3])), context)


def test_decrypters_that_differ_end_the_round(context: Contexts) -> None:
    def lie(task_name: str, site: str, answer: Shareable) -> Shareable:
        if (task_name, site) != (DECRYPT, "site-2"):
            return answer
        total = unpack_total(answer)
        total[7] += 1
        return pack_total(total)

    with pytest.raises(RoundError, match=r"'site-1', 'site-2'\] decrypted different sums"):
        collect(TERMS, asking_all(TERMS, context, lie), context)


def test_decrypters_of_different_lengths_differ() -> None:
    with pytest.raises(SecureSumError, match="different sums"):
        agreed_total({"a": np.zeros(3, dtype=np.int64), "b": np.zeros(4, dtype=np.int64)})


def test_folded_updates_are_summed_and_unfolded_as_in_memory(context: Contexts) -> None:
    folded = varied(TERMS, projection={"size": D // 8, "seed": 3})
    result, expected = collect(folded, asking_all(folded, context), context), in_memory(folded)
    assert result.summed.shape == (D // 8,)
    assert np.array_equal(result.summed, expected.summed)


# ── noise ───────────────────────────────────────────────────────────────────────────────────────────────────────────


class Admitted:
    """A round that the budget allows, whose noise is known."""

    def __init__(self, noise: np.ndarray, asking: MemoryAsk) -> None:
        self._noise, self._asking = noise, asking

    def charge(self) -> Any:
        assert [name for name, _ in self._asking.asked] == [TRAIN, AGREE]
        return SimpleNamespace(noise=self._noise)


def test_noise_goes_on_before_anyone_decrypts(context: Contexts) -> None:
    noise = np.random.default_rng(1).integers(-(2**24), 2**24, D)
    asking = asking_all(PRIVATE, context)
    result = collect(PRIVATE, asking, context, Admitted(noise, asking))  # type: ignore[arg-type]
    updates = [contribution(update_of(name), WEIGHTS[name], PRIVATE, D) for name in NAMES]
    assert np.array_equal(result.summed, sum(updates) + noise)


def test_noise_of_an_encrypted_sum_is_charged_before_it_is_drawn_and_the_sum_needs_it(tmp_path: Path) -> None:
    ledger = GaussianMechanism().open(PRIVATE, D, tmp_path)
    without = FedAvg().open(order_of(PRIVATE), PRIVATE, admitted=ledger.begin("job-1", 0))
    with pytest.raises(PrivacyError, match="before its noise was drawn"):
        without.close()
    noised = FedAvg().open(order_of(PRIVATE), PRIVATE, admitted=ledger.begin("job-1", 0))
    noise = noised.draw_noise()
    assert noise is not None
    assert verify(tmp_path / LEDGER_FILE).spent.epsilon_rdp == pytest.approx(4.7285, abs=1e-4)
    assert noise.std() / PRIVATE.fixed_encoding(D).noise_sd == pytest.approx(1.0, abs=5 / np.sqrt(2 * D))
    with pytest.raises(PrivacyError, match="noise goes once"):
        noised.draw_noise()
    noised.add_total(NAMES, noise)
    result = noised.close()
    assert np.array_equal(result.summed, noise)
    noised.release(result.model, result)
    assert verify(tmp_path / LEDGER_FILE).rounds[0].released
    ledger.close()


def test_the_noise_of_a_masked_sum_is_not_drawn_before_it_is_unmasked(tmp_path: Path) -> None:
    masked = varied(PRIVATE, summation="masked")
    ledger = GaussianMechanism().open(masked, D, tmp_path)
    with pytest.raises(PrivacyError, match="after it was recovered"):
        FedAvg().open(order_of(masked), masked, admitted=ledger.begin("job-1", 0)).draw_noise()
    ledger.close()


# ── a site's own checks ─────────────────────────────────────────────────────────────────────────────────────────────


def test_upload_is_ciphertexts_alone(context: Contexts) -> None:
    site = Site("site-1", TERMS, context)
    answer = from_shareable(site.answer(TRAIN, order_of().to_shareable()))
    assert set(answer.data) == {"bytes", "lengths"}
    assert answer.meta == {}
    assert len(answer.data["lengths"]) == 30
    assert sum(answer.data["lengths"]) / D == pytest.approx(SUMMATION.update_bytes, rel=0.05)


def test_error_of_training_stays_a_bare_error(context: Contexts) -> None:
    failed = make_reply(ReturnCode.EXECUTION_EXCEPTION)
    failed["secret"] = "patient"
    passed = EncryptUpdate().process(failed, Site("site-1", TERMS, context).fl_ctx)
    assert passed.get_return_code() == ReturnCode.EXECUTION_EXCEPTION
    assert "secret" not in passed


@pytest.mark.parametrize(
    "found",
    [
        [ClipUpdate, EncryptUpdate, StripResult],
        [StripResult, EncryptUpdate],
        [ClipUpdate, StripResult, EncryptUpdate, StripResult],
    ],
)
def test_encryption_must_be_the_last_filter(context: Contexts, found: list[type]) -> None:
    site = Site("site-1", TERMS, context)
    site.filters[:] = [one() for one in found]
    with pytest.raises(PrivacyError, match="in this order"):
        check_filters(site.fl_ctx, TERMS)


def test_filter_encrypts_nothing_without_an_order(context: Contexts) -> None:
    site = Site("site-1", TERMS, context)
    reply = TrainResult(np.zeros(D, dtype=np.int32), 0, "attempt", "d" * 64).to_shareable()
    with pytest.raises(SecureSumError, match="no request"):
        EncryptUpdate().process(reply, site.fl_ctx)


@pytest.mark.parametrize(
    ("policy", "match"),
    [
        ('{"min_cohort": 5}', "min_cohort=5: the job has 4"),
        ('{"max_clipping_norm": 1.5}', "max_clipping_norm=1.5: the job's is 2"),
        ('{"min_threshold": 4}', "min_threshold=4: the job's min_sites is 3"),
    ],
)
def test_terms_under_the_sites_limits_are_refused(context: Contexts, policy: str, match: str) -> None:
    site = Site("site-1", TERMS, context)
    folder = Path(site.fl_ctx.get_engine().get_workspace().get_site_config_dir())
    (folder / POLICY_FILE).write_text(policy)
    with pytest.raises(PrivacyError, match=match):
        site.answer(TRAIN, order_of().to_shareable())


def test_site_survives_being_swapped_out_between_steps(context: Contexts) -> None:
    asking = asking_all(TERMS, context)
    carry = asking.sites["site-1"].answer

    def swapped(task_name: str, message: Shareable) -> Shareable:
        asking.sites["site-1"].component.handle_event(EventType.ABOUT_TO_END_RUN, asking.sites["site-1"].fl_ctx)
        return carry(task_name, message)

    asking.sites["site-1"].answer = swapped
    assert np.array_equal(collect(TERMS, asking, context).summed, in_memory(TERMS).summed)


# ── contexts ────────────────────────────────────────────────────────────────────────────────────────────────────────


def workspaces(tmp_path: Path, *names: str) -> list[Workspace]:
    for name in names:
        for folder in ("startup", "local"):
            (tmp_path / name / folder).mkdir(parents=True)
    return [Workspace(str(tmp_path / name), name) for name in names]


def root_ca() -> bytes:
    """A self-signed certificate, by which a startup kit is known."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([])
    start = datetime(2020, 1, 1, tzinfo=UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(start).not_valid_after(start + timedelta(days=1))
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)


def test_simulated_sites_share_one_key_that_others_cannot_read(tmp_path: Path) -> None:
    found: list[bytes] = []
    notices: list[str] = []
    spaces = workspaces(tmp_path, *NAMES)
    threads = [
        threading.Thread(target=lambda space=space: found.append(site_context(space, notices.append)))
        for space in spaces
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == len(NAMES)
    assert len(set(found)) == 1
    assert all("TEST MODE" in notice for notice in notices)
    assert stat.S_IMODE((tmp_path / TEST_CONTEXT_FILE).stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == [TEST_CONTEXT_FILE]


def test_simulated_server_makes_no_key(tmp_path: Path) -> None:
    (space,) = workspaces(tmp_path, "server")
    assert len(server_context(space, print)) < 200
    assert not (tmp_path / TEST_CONTEXT_FILE).exists()


def test_kit_without_a_context_is_told(tmp_path: Path) -> None:
    (space,) = workspaces(tmp_path, "site-1")
    (Path(space.get_startup_kit_dir()) / "rootCA.pem").write_bytes(root_ca())
    for find in (site_context, server_context):
        with pytest.raises(ConfigError, match="HEBuilder"):
            find(space, print)


PROJECT = """
api_version: 3
name: he
participants:
  - {name: server, type: server, org: o, fed_learn_port: 8002}
  - {name: site-1, type: client, org: o}
  - {name: site-2, type: client, org: o}
  - {name: admin@o.org, type: admin, org: o, role: project_admin}
builders:
  - {path: nvflare.lighter.impl.workspace.WorkspaceBuilder, args: {template_file: master_template.yml}}
  - {path: nvflare.lighter.impl.static_file.StaticFileBuilder, args: {config_folder: config}}
  - {path: nvflare.lighter.impl.cert.CertBuilder}
  - {path: nvflare.lighter.impl.he.HEBuilder}
  - {path: nvflare.lighter.impl.signature.SignatureBuilder}
"""


def test_provisioned_kits_hold_one_key_at_the_sites_and_none_at_the_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "project.yml").write_text(PROJECT)
    command = [str(Path(sys.executable).with_name("nvflare")), "provision", "-p", "project.yml", "-w", "out"]
    subprocess.run(command, cwd=tmp_path, env=ENVIRONMENT, check=True, capture_output=True)
    kits = tmp_path / "out" / "he" / "prod_00"

    def load(party: str, find: Callable[[Workspace, Callable[[str], None]], bytes]) -> bytes:
        manager = SecurityContentManager(str(kits / party / "startup"))
        monkeypatch.setattr(SecurityContentService, "security_content_manager", manager)
        return find(Workspace(str(kits / party), party), pytest.fail)  # no test mode

    keys = {SecretContext(load(site, site_context)).secret() for site in ("site-1", "site-2")}
    assert len(keys) == 1
    server = load("server", server_context)
    EncryptedTotal(10, server)
    with pytest.raises(PrivacyError, match="no secret key"):
        SecretContext(server)
    with pytest.raises(ConfigError, match="noSuchContent"):
        load("server", site_context)
    file = kits / "site-1" / "startup" / "client_context.tenseal"
    file.chmod(0o600)
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(ConfigError, match="invalidSignature"):
        load("site-1", site_context)


# ── messages ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_messages_come_back_as_they_went() -> None:
    request = SumRequest("terms", 2, b"digest", ("a", "b"), {"a": b"1"}, (b"xy", b"", b"z"))
    again = SumRequest.from_shareable(request.to_shareable())
    assert replace(again, ciphertexts=tuple(again.ciphertexts)) == request
    assert unpack_ciphertexts(pack_ciphertexts([b"ab", b"c"])) == [b"ab", b"c"]
    assert unpack_consent(pack_consent(b"me")) == b"me"
    total = np.array([-(2**40), 5], dtype=np.int64)
    assert np.array_equal(unpack_total(pack_total(total)), total)
    assert unpack_total(pack_total(np.array([5]))).dtype == np.int64


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("terms", b"terms"),
        ("round", "2"),
        ("digest", None),
        ("contributors", ["a", 3]),
        ("consents", {"a": "text"}),
        ("lengths", [1, 1]),
        ("lengths", [-1, 4]),
        ("bytes", b"xyz"),
    ],
)
def test_malformed_requests_are_refused(key: str, value: object) -> None:
    message = SumRequest("terms", 2, b"digest", ("a",), {"a": b"1"}, (b"xyz",)).to_shareable()
    from_shareable(message).data[key] = value
    with pytest.raises(SecureSumError):
        SumRequest.from_shareable(message)


@pytest.mark.parametrize("answer", [make_reply(ReturnCode.EXECUTION_EXCEPTION), Shareable(), order_of().to_shareable()])
def test_other_answers_are_refused(answer: Shareable) -> None:
    with pytest.raises(SecureSumError):
        unpack_ciphertexts(answer)


def test_every_public_word_of_a_round_is_in_its_digest() -> None:
    other = MODEL.copy()
    other[0] = 1.0
    digests = {
        round_of("job", order_of()).digest,
        round_of("other", order_of()).digest,
        *(
            round_of("job", order_of(**{field: value})).digest
            for field, value in {
                "model": other,
                "round_index": 1,
                "attempt": "x",
                "layout_digest": "e" * 64,
                "plan_hash": "x",
                "terms_digest": "x",
            }.items()
        ),
    }
    assert len(digests) == 8


# ── FLARE ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.slow
def test_simulated_job_gives_the_masked_jobs_model_bit_for_bit(tmp_path: Path) -> None:
    models = {}
    for summation in ("masked", "encrypted"):
        (tmp_path / summation).mkdir()
        spec = toy_spec(summation=summation, min_sites=3, clipping_norm=1.0)
        run = simulate_toy(spec, tmp_path / summation, threads=3)
        assert run.code == 0, run.log
        assert "Traceback" not in run.log
        models[summation] = read_arrays(run.results / "state.npz")["model"]
    assert np.array_equal(models["masked"], models["encrypted"])


@pytest.mark.slow
def test_job_without_tenseal_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "stub").mkdir()
    (tmp_path / "stub" / "tenseal.py").write_text("raise ImportError('no such package')\n")
    monkeypatch.setitem(ENVIRONMENT, "PYTHONPATH", str(tmp_path / "stub"))
    run = simulate_toy(toy_spec(summation="encrypted", min_sites=3, clipping_norm=1.0), tmp_path, threads=3)
    assert run.code != 0
    assert "pip install 'ecg_flare[he]'" in run.log
    assert "Traceback" not in run.log
