"""A dry run: a round of a job tried at one site, with its own cases, policy and filters. It shows what would leave.

The server and the other sites are in memory. The server's part is the one of a job (`collection`), the peers answer
with zeros, and everything passes through the job's own filters. Nothing is sent anywhere.
"""

import logging
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from jaxtyping import Float32
from nvflare.apis.dxo import from_shareable
from nvflare.apis.executor import Executor
from nvflare.apis.fl_constant import ReturnCode
from nvflare.apis.fl_context import FLContext
from nvflare.apis.shareable import Shareable
from nvflare.apis.signal import Signal
from nvflare.apis.utils.decomposers import flare_decomposers
from nvflare.apis.workspace import Workspace
from nvflare.app_common.decomposers import numpy_decomposers
from nvflare.fuel.utils import fobs

from ecg_flare.errors import EcgFlareError, PolicyError, RoundError
from ecg_flare.federated.evaluation import counting_terms
from ecg_flare.federated.terms import JobTerms
from ecg_flare.flare.deploy.temporary_kits import local_entries, stand_in_kits
from ecg_flare.flare.job.extensions import load_kits_extensions
from ecg_flare.flare.job.ledger_messages import COUNTERSIGNATURE_HEADER
from ecg_flare.flare.job.messages import ERROR_HEADER, TrainRequest, TrainResult
from ecg_flare.flare.job.terms import subset, update_size
from ecg_flare.flare.server.aggregators import FedAvg
from ecg_flare.flare.server.ledger import ServerLedger, ServerLog
from ecg_flare.flare.server.mechanism import GaussianMechanism
from ecg_flare.flare.server.per_site_controller import Receive
from ecg_flare.flare.server.site_evaluation import Summing, measure_at_sites
from ecg_flare.flare.server.witnesses import sites_as_witnesses
from ecg_flare.flare.site.admission import check_admission, job_terms, own_code, streams_logs
from ecg_flare.flare.site.in_memory import MemorySite
from ecg_flare.flare.site.ledger import LEDGER_FOLDER
from ecg_flare.flare.site.memory import MODELS_FOLDER
from ecg_flare.flare.site.policy import SitePolicy
from ecg_flare.flare.summation.collection import Ask, Collection, CollectionSetup, collection_of, validate
from ecg_flare.nnunet.export import load_bundled
from ecg_flare.nnunet.kinds import plan_of, start_model
from ecg_flare.site.kit import JobFolder, Kit, entry
from ecg_flare.site.own_pages import CACHE_FOLDER, OWN_PAGES_FILE, read_own_pages, write_own_pages

_JOB: Final = "dry_run"
_EXECUTOR: Final = "ecg_flare.flare.site.executor.NnunetExecutor"
# What the site remembers of earlier jobs, and may refuse a new one for.
_REMEMBERED: Final = (MODELS_FOLDER, LEDGER_FOLDER)
# Entries of the site's policy that name what belongs to the real server and the real peers.
_THE_SERVERS: Final = ("pinned", "ledgers")


@dataclass(frozen=True)
class Field:
    """A part of a message: its name, what it is, and its bytes where it is an array or bytes."""

    name: str
    what: str
    size_bytes: int


@dataclass(frozen=True)
class Traffic:
    """What a task brings to the site and takes from it.

    Attributes:
        task: its name.
        received_bytes, sent_bytes: of the messages in FLARE's encoding.
        kind: of what is sent.
        fields: of what is sent.
        seconds: that the site took.
    """

    task: str
    received_bytes: int
    sent_bytes: int
    kind: str
    fields: tuple[Field, ...]
    seconds: float


@dataclass
class DryRun:
    """What came of it.

    Attributes:
        site, job: their names.
        terms: of the job.
        policy: in force at the site.
        traffic: the tasks of a round, in their order.
        notes: what the site's engineer should know besides.
        log: what the site's own log would say.
        refused: why the site would take no part; '' where it would.
    """

    site: str
    job: str
    terms: JobTerms | None = None
    policy: SitePolicy | None = None
    traffic: list[Traffic] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    log: list[str] = field(default_factory=list)
    refused: str = ""

    @property
    def sent_bytes(self) -> int:
        """All that would leave the site in a round."""
        return sum(each.sent_bytes for each in self.traffic)


def dry_run(job: JobFolder, kit: Kit, site: str, *, steps: int = 1, log: Callable[[str], None]) -> DryRun:
    """Try a round of the job at the site, with `steps` training steps.

    A job that the site would refuse is no error: `refused` says why. Raises ConfigError where the kit or the job cannot
    be read.
    """
    outcome = DryRun(site, str(job.meta.get("name", job.folder.name)))
    try:
        load_kits_extensions(kit.folder, site)
        outcome.terms = job_terms(job, site)
        outcome.policy = check_admission(job, kit, site, outcome.terms)
        if code := own_code(job, site):
            raise PolicyError(
                f"the job brings code of its own ({', '.join(code)}), which a dry run does not run: read it, or ask "
                "for the job without code (`ecg-flare jobs export --data own --no-code`)"
            )
        with tempfile.TemporaryDirectory(prefix="ecg_flare-dry_run-") as scratch, _listening(outcome, log):
            _Round(job, kit, outcome, outcome.terms, Path(scratch), steps).run()
        outcome.notes += _notes(kit, outcome.terms)
    except EcgFlareError as error:
        outcome.refused = str(error)
    return outcome


class _Round:
    """A round with this site in earnest and stand-ins for everybody else."""

    def __init__(self, job: JobFolder, kit: Kit, outcome: DryRun, terms: JobTerms, scratch: Path, steps: int) -> None:
        self._job, self._kit, self._outcome, self._terms = job, kit, outcome, terms
        self._plan = plan_of(terms.model.plan, terms.model.document)
        # A stand-in kit has no secret key that all sites share: such a sum runs in the test mode.
        way = terms.way
        by_kit = way.signs_messages or (terms.private and not way.shares_key)
        entries = {key: value for key, value in local_entries(kit.local).items() if key not in _THE_SERVERS}
        signed = by_kit and (kit.startup / "client.crt").exists()
        self._kits = stand_in_kits(scratch, terms.roster, {outcome.site: entries}, signed=signed)
        self._sites = {name: self._site(name, steps) for name in terms.roster}

    def run(self) -> None:
        """Ask and answer, then end everything that was started."""
        try:
            collection = collection_of(CollectionSetup(self._server, self._terms, log=_ignore, warn=_ignore))
            request = self._request()
            if self._terms.private:
                self._collect_witnessed(collection, request)
            else:
                collection.collect(request, self._terms, FedAvg().open(request, self._terms), self._ask)
                self._measure(request, collection, self._ask)
            rounds = next(iter(self._job.server_config["workflows"]))["args"]
            if rounds.get("validate_every"):
                validate(request, self._terms, self._ask)
        finally:
            for site in self._sites.values():
                site.close()

    def _collect_witnessed(self, collection: Collection, request: TrainRequest) -> None:
        """Collect with a ledger of the stand-in server's, which is empty: nothing is charged."""
        terms = self._terms
        ledger = GaussianMechanism().open(terms, subset(terms).dimension, self._kits.root("server"))
        try:
            witnesses = sites_as_witnesses(ledger.path, terms, self._server, _JOB, _ignore)
            collection.collect(request, terms, FedAvg().open(request, terms), witnesses.asking(self._ask))
            counted = ServerLedger(ledger, witnesses, self._kits.root("server"), ServerLog(_ignore, _ignore))
            self._measure(request, collection, witnesses.asking(self._ask), counted)
            witnesses.ask_last(self._ask, terms.roster)
        finally:
            ledger.close()

    def _measure(
        self, request: TrainRequest, collection: Collection, ask: Ask, ledger: ServerLedger | None = None
    ) -> None:
        """Have the site count on its held-out cases, where the job has it count."""
        counting = counting_terms(self._terms)
        if counting is not None:
            measure_at_sites(request, counting, Summing(self._terms, collection, ledger, _JOB), ask)

    @property
    def _server(self) -> Workspace:
        return Workspace(str(self._kits.root("server")), "server")

    def _site(self, name: str, steps: int) -> MemorySite:
        config, root = self._job.client_config(self._outcome.site), self._kits.root(name)
        if name != self._outcome.site:
            parts = [part for part in config["components"] if part["id"] != "pages"]
            peer = {**config, "components": parts}
            return MemorySite(peer, name, root, _JOB, replaced={_EXECUTOR: _Zeros(self._terms)})
        own = read_own_pages(self._kit.local)
        if own is not None:
            write_own_pages(root / "local", own)
        cache = self._kit.folder.resolve() / CACHE_FOLDER  # cases that are prepared here serve the real job
        cache.mkdir(exist_ok=True)
        (root / CACHE_FOLDER).symlink_to(cache)
        for folder in _REMEMBERED:
            if (self._kit.folder / folder).is_dir():
                shutil.copytree(self._kit.folder / folder, root / folder)
        return MemorySite(config, name, root, _JOB, settings={_EXECUTOR: {"training": {"steps": steps}}})

    def _request(self) -> TrainRequest:
        return TrainRequest(
            model=self._start(),
            round_index=0,
            attempt="0" * 32,
            layout_digest=self._plan.layout_digest,
            plan_hash=self._plan.hash,
            terms_digest=self._terms.digest,
            clipping_norm=self._terms.requested_norm,
            counts=self._terms.model.counted,
        )

    def _start(self) -> Float32[np.ndarray, " d"]:
        start = str(entry(self._job.server_config, "persistor")["args"].get("start", ""))
        kind, _, name = start.partition(":")
        if kind == "bundled":
            return load_bundled(name).vector
        if kind != "random":
            self._outcome.notes.append(f"The job starts from {start}, which is the server's: another model stood in.")
        return start_model(self._plan, int(name) if name.isdigit() else 0)

    def _ask(
        self,
        task_name: str,
        messages: Mapping[str, Shareable],
        receive: Receive,
        *,
        enough: int,
        grace_s: float | None = None,
    ) -> tuple[str, ...]:
        for site, message in messages.items():
            started = time.monotonic()
            answer = self._sites[site].answer(task_name, message)
            if site == self._outcome.site:
                self._outcome.traffic.append(_traffic(task_name, message, answer, time.monotonic() - started))
                if answer.get_return_code(ReturnCode.OK) != ReturnCode.OK:
                    raise RoundError(self._reason(task_name, answer))
            receive(site, answer)
        return tuple(sorted(messages))

    def _reason(self, task_name: str, answer: Shareable) -> str:
        name = str(answer.get_header(ERROR_HEADER, ""))
        said = [line.partition(f"{name}: ")[2] for line in self._outcome.log if name and f"{name}: " in line]
        return f"at {task_name}: {said[-1] if said else name or answer.get_return_code()}"


class _Zeros(Executor):
    """A peer's training: an update of zeros, in the form that the terms ask for."""

    def __init__(self, terms: JobTerms) -> None:
        super().__init__()
        self._terms = terms

    def execute(self, task_name: str, shareable: Shareable, fl_ctx: FLContext, abort_signal: Signal) -> Shareable:
        request = TrainRequest.from_shareable(shareable)
        counting = counting_terms(self._terms) if request.counts else None
        terms = counting or self._terms
        kind = np.int32 if terms.unit == "patient" else np.float32
        weight = 0 if terms.sites.max_weight is None else 1
        vector = np.zeros(terms.sum_size(update_size(terms, len(request.model))), kind)
        repeated = request.round_index, request.attempt, request.layout_digest
        told = TrainResult(vector, *repeated, weight=weight, clipping_norm=request.clipping_norm, counts=request.counts)
        return told.to_shareable()


def _notes(kit: Kit, terms: JobTerms) -> Iterator[str]:
    certificate = kit.startup / "client.crt"
    if terms.way.signs_messages and certificate.exists():
        own = len(x509.load_pem_x509_certificate(certificate.read_bytes()).public_bytes(serialization.Encoding.DER))
        yield f"Stand-in certificates signed: where a message holds the site's own, that is one of {own} bytes."
    if terms.private:
        yield "The ledger was a stand-in's: the job's server must show one that extends the head that this site holds."
    if read_own_pages(kit.local) is None:
        yield f"The cases were the job's own: the kit's local/{OWN_PAGES_FILE} names none."
    if streams_logs(kit):
        yield "The kit lets FLARE stream the site's error log to the server: allow_log_streaming false forbids it."


def _traffic(task: str, message: Shareable, answer: Shareable, seconds: float) -> Traffic:
    if answer.get_return_code(ReturnCode.OK) != ReturnCode.OK:
        name = str(answer.get_header(ERROR_HEADER, ""))
        return Traffic(task, _size(message), _size(answer), "error", (Field("class", name, 0),), seconds)
    dxo = from_shareable(answer)
    kind = dxo.data_kind
    parts = [*dxo.data.items(), *(dxo.meta or {}).items()]
    fields = tuple(_field(str(name), value) for name, value in parts)
    if signed := answer.get_header(COUNTERSIGNATURE_HEADER):
        size = len(signed["certificate"]) + len(signed["signature"])
        fields += (Field("signature of the ledger's head", "bytes", size),)
    return Traffic(task, _size(message), _size(answer), str(getattr(kind, "value", kind)), fields, seconds)


def _field(name: str, value: object) -> Field:
    if isinstance(value, np.ndarray):
        return Field(name, f"{value.dtype}[{', '.join(map(str, value.shape))}]", value.nbytes)
    if isinstance(value, bytes):
        return Field(name, "bytes", len(value))
    return Field(name, repr(value), 0)


def _size(message: Shareable) -> int:
    flare_decomposers.register()
    numpy_decomposers.register()
    return len(fobs.dumps(message))


def _ignore(line: str) -> None:
    """The collections' notes are for a server's log."""


@contextmanager
def _listening(outcome: DryRun, log: Callable[[str], None]) -> Iterator[None]:
    """Keep what ecg_flare's components log, and hand it on, for as long as the round lasts."""

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            outcome.log.append(record.getMessage())
            log(record.getMessage())

    logger, handler = logging.getLogger("ecg_flare"), Keep()
    before = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.level, logger.propagate = before
