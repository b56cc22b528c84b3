"""One signed job under two ids: FLARE's signature covers the app and not the id, so the server alone can do this.

The attack: a job of four sites, three of whom are enough, is deployed twice, and the victim's request of the second
deployment is never delivered. The difference of the two recovered sums is the victim's integers.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from memory_ask import MemoryAsk
from nvflare.apis.executor import Executor
from nvflare.apis.fl_context import FLContext
from nvflare.apis.shareable import Shareable
from nvflare.apis.signal import Signal
from nvflare.apis.workspace import Workspace

from ecg_flare.errors import RoundError
from ecg_flare.federated.round import contribution
from ecg_flare.flare.deploy.temporary_kits import stand_in_kits
from ecg_flare.flare.job.bundled import BUNDLED
from ecg_flare.flare.job.folders import Pages, job_files
from ecg_flare.flare.job.messages import TRAIN, TrainRequest, TrainResult, model_sha256
from ecg_flare.flare.job.terms import fresh_nonce, take
from ecg_flare.flare.server.aggregators import FedAvg
from ecg_flare.flare.site.in_memory import MemorySite
from ecg_flare.flare.summation.collection import Collection, CollectionSetup, collection_of
from ecg_flare.flare.summation.encrypted.messages import AGREE, DECRYPT
from ecg_flare.flare.summation.masked.messages import CONSENT, SHARES, UNMASK
from ecg_flare.nnunet.export import load_bundled
from ecg_flare.nnunet.kinds import plan_preset
from ecg_flare.privacy.secure_sum import memory, recovered_sums
from flat_terms import varied

SITES = ("site-1", "site-2", "site-3", "site-4")
OTHERS, VICTIM = SITES[:3], SITES[3]
MODEL = load_bundled("start").vector
BOTH = pytest.mark.parametrize("job", ["fedadam_secure", "fedadam_he"], indirect=True)
SIGNED = pytest.mark.parametrize("job", ["fedadam_secure signed", "fedadam_he"], indirect=True)  # slow: RSA keys
RECOVERY = {"masked": UNMASK, "encrypted": AGREE}
"""The first message of the steps by which a sum is recovered."""


def update(site: str, model: np.ndarray) -> np.ndarray:
    """What a site trains: fixed by its name and the model, as a public seed fixes it."""
    seed = hashlib.sha256(site.encode() + model_sha256(model)).digest()[:8]
    return np.random.default_rng(int.from_bytes(seed, "big")).standard_normal(len(model)).astype(np.float32)


class Reproducible(Executor):
    def execute(self, task: str, shareable: Shareable, fl_ctx: FLContext, abort: Signal) -> Shareable:
        request = TrainRequest.from_shareable(shareable)
        vector = take(terms_of(fl_ctx), update(fl_ctx.get_identity_name(), request.model))
        return TrainResult(vector, request.round_index, request.attempt, request.layout_digest).to_shareable()


def terms_of(fl_ctx: FLContext) -> Any:
    return fl_ctx.get_engine().get_component("terms")


class Server:
    """Deploys one signed job to four sites with kits, as often and under as many ids as it likes."""

    def __init__(self, name: str, folder: Path, *, signed: bool = False, **policy: Any) -> None:
        spec = BUNDLED[name]
        terms = varied(spec.terms, weights=dict.fromkeys(SITES, 1.0), min_sites=3, trained=("decoder.seg_layers.2.*",))
        self.spec = replace(spec, custom=False, pages=Pages("ecg_flare.site.own_pages.SitesOwn"), terms=terms)
        entries = {"summations": [terms.summation], "min_cohort": 4, "min_threshold": 3, **policy}
        self.kits = stand_in_kits(folder / "kits", SITES, dict.fromkeys(SITES, entries), signed=signed)
        self.results = folder / "results"
        self.out: list[tuple[str, str, str]] = []
        self.asked: list[tuple[str, tuple[str, ...]]] = []

    @property
    def refusals(self) -> list[str]:
        """Why answers did not count, over all deployments."""
        return [why for _, _, why in self.out]

    @property
    def summation(self) -> str:
        return self.spec.terms.summation

    def deploy(
        self,
        job: str,
        *,
        without: Mapping[str, tuple[str, ...]] | None = None,
        before: Mapping[str, Callable[[], object]] | None = None,
        round_index: int = 0,
        results: Path | None = None,
    ) -> np.ndarray:
        """The recovered sum; `without` names, by task, whom it isn't delivered to, `before` what happens before a task.

        Raises RoundError where nothing was recovered.
        """
        config = json.loads(job_files(self.spec)["app/config/config_fed_client.json"])
        training = config["executors"][0]["executor"]["path"]
        sites = {
            site: MemorySite(config, site, self.kits.root(site), job, replaced={training: Reproducible()})
            for site in SITES
        }
        self.asked = []

        def away(task: str) -> tuple[str, ...]:
            (before or {}).get(task, lambda: None)()
            return (without or {}).get(task, ())

        ask = MemoryAsk(sites, away=away, asked=self.asked, out=self.out)
        plan, digest = plan_preset(self.spec.terms.model.plan), self.spec.terms.digest
        request = TrainRequest(MODEL, round_index, fresh_nonce(), plan.layout_digest, plan.hash, digest)
        open_round = FedAvg().open(request, self.spec.terms)
        self._collection(results).collect(request, self.spec.terms, open_round, ask)
        return open_round.close().summed

    def _collection(self, results: Path | None) -> Collection:
        workspace = Workspace(str(self.kits.root("server")), "server")
        return collection_of(CollectionSetup(workspace, self.spec.terms, print, print, results=results))

    def plain(self, *sites: str) -> np.ndarray:
        """The sum of the integers of these sites, which no server may know of one."""
        terms = self.spec.terms
        vectors = [take(terms, update(site, MODEL)) for site in sites]
        return np.sum([contribution(one, 1.0, terms, len(one)) for one in vectors], axis=0)


@pytest.fixture
def job(request: pytest.FixtureRequest, tmp_path: Path) -> Server:
    name, _, signed = request.param.partition(" ")
    if name == "fedadam_he":
        pytest.importorskip("tenseal", reason="needs the extra 'he'")
    return Server(name, tmp_path, signed=bool(signed))


def nothing(*_: object, **__: object) -> None:
    return None


# ── the attack ──────────────────────────────────────────────────────────────────────────────────────────────────────


@SIGNED
def test_a_job_deployed_twice_shows_nobody(job: Server) -> None:
    assert np.array_equal(job.deploy("id-1"), job.plain(*SITES))
    with pytest.raises(RoundError, match="nothing was recovered"):
        job.deploy("id-2", without={TRAIN: (VICTIM,)})
    refused = [line for line in job.refusals if "its own limit one sum a model: the sum over site-1, site-2" in line]
    assert len(refused) == 3


@SIGNED
def test_without_the_rule_the_difference_is_the_victims_update(job: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recovered_sums, "check_same_sites", nothing)
    difference = job.deploy("id-1") - job.deploy("id-2", without={TRAIN: (VICTIM,)})
    assert np.array_equal(difference, job.plain(VICTIM))


@BOTH
def test_the_rounds_number_makes_no_difference(job: Server) -> None:
    job.deploy("id-1")
    with pytest.raises(RoundError, match="nothing was recovered"):
        job.deploy("id-1", without={TRAIN: (VICTIM,)}, round_index=1)
    assert sum("one sum a model" in line for line in job.refusals) == 3


@BOTH
@pytest.mark.parametrize("at", [TRAIN, "recovery"])
def test_a_second_deployment_at_the_same_time_shows_nobody(job: Server, at: str) -> None:
    """It runs whole while the first one waits in a step: sites answer the later attempt, and no more the earlier."""
    recovered = []
    step = RECOVERY[job.summation] if at == "recovery" else at
    second = {step: lambda: recovered.append(job.deploy("id-2", without={TRAIN: (VICTIM,)}))}
    with pytest.raises(RoundError, match="nothing was recovered"):
        job.deploy("id-1", before=second)
    assert np.array_equal(recovered[0], job.plain(*OTHERS))


def test_without_both_rules_two_deployments_at_once_show_the_victim(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "check_never_answered", nothing)
    job, recovered = Server("fedadam_secure", tmp_path), []
    second = {UNMASK: lambda: recovered.append(job.deploy("id-2", without={TRAIN: (VICTIM,)}))}
    with pytest.raises(RoundError, match="nothing was recovered"):  # one of two rules is enough
        job.deploy("id-1", before=second)
    monkeypatch.setattr(recovered_sums, "check_same_sites", nothing)
    monkeypatch.setattr(memory, "check_updates", nothing)  # the tries above count
    total = job.deploy("id-3", before=second)
    assert np.array_equal(total - recovered[-1], job.plain(VICTIM))


@BOTH
def test_another_job_from_the_same_model_shows_nobody(job: Server) -> None:
    job.deploy("id-1")
    job.spec = replace(job.spec, terms=varied(job.spec.terms, nonce=fresh_nonce()))
    with pytest.raises(RoundError):
        job.deploy("id-2", without={TRAIN: (VICTIM,)})
    assert any("once_per_model='unnoised'" in line for line in job.refusals)


@pytest.mark.parametrize("name", ["fedadam_secure", "fedadam_he"])
def test_a_site_that_wants_it_so_gives_two_jobs_its_update(name: str, tmp_path: Path) -> None:
    """What the policy's default is for: two approved jobs that start alike show the victim."""
    job = Server(name, tmp_path, once_per_model=False)
    first = job.deploy("id-1")
    job.spec = replace(job.spec, terms=varied(job.spec.terms, nonce=fresh_nonce()))
    assert np.array_equal(first - job.deploy("id-2", without={TRAIN: (VICTIM,)}), job.plain(VICTIM))


# ── an honest crash ─────────────────────────────────────────────────────────────────────────────────────────────────


class Crash(BaseException):
    """Nothing catches it, as nothing catches a kill."""


def crash() -> None:
    raise Crash


@pytest.mark.parametrize(
    ("job", "step"),
    [("fedadam_secure", SHARES), ("fedadam_secure", CONSENT), ("fedadam_secure", UNMASK), ("fedadam_he", AGREE)],
    indirect=["job"],
)
@pytest.mark.parametrize("away", [(), (VICTIM,)])
def test_a_job_that_crashed_goes_on(job: Server, step: str, away: tuple[str, ...]) -> None:
    """The server fell before anybody helped to recover the sum; not all have come back."""
    with pytest.raises(Crash):
        job.deploy("id-1", before={step: crash})
    back = [site for site in SITES if site not in away]
    assert np.array_equal(job.deploy("id-2", without={TRAIN: away}), job.plain(*back))


@BOTH
def test_a_sum_that_was_lost_after_it_was_recovered_is_recovered_again_over_the_same_sites(job: Server) -> None:
    """One that was away has come back, and is left out by a server that kept its results."""
    first = job.deploy("id-1", without={TRAIN: (VICTIM,)}, results=job.results)
    again = job.deploy("id-2", results=job.results)
    assert np.array_equal(first, again)
    assert dict(job.asked)[TRAIN] == OTHERS
    with pytest.raises(RoundError, match="over site-1, site-2, site-3 was asked for before: only they"):
        job.deploy("id-3", without={TRAIN: (OTHERS[0],), DECRYPT: OTHERS}, results=job.results)


def test_a_server_that_lost_its_results_finds_nobody_for_an_earlier_round(tmp_path: Path) -> None:
    job = Server("fedadam_secure", tmp_path)
    job.deploy("id-1", round_index=1)
    with pytest.raises(RoundError, match="nothing was recovered"):
        job.deploy("id-2", round_index=0)
