"""Secure aggregation at a site: one component that remembers, one executor that answers, one filter that masks.

The protocol is `privacy.secure_sum.client`; here is only what FLARE needs: where keys and memory lie, that a
simulated site survives being swapped out, and that the mask is the last thing that touches an update. No control
message imports torch.
"""

from pathlib import Path
from typing import Final

from nvflare.apis.event_type import EventType
from nvflare.apis.executor import Executor
from nvflare.apis.filter import Filter
from nvflare.apis.fl_component import FLComponent
from nvflare.apis.fl_constant import FLContextKey, ReturnCode
from nvflare.apis.fl_context import FLContext
from nvflare.apis.shareable import Shareable, make_reply
from nvflare.apis.signal import Signal
from nvflare.apis.workspace import Workspace

from ecg_flare.errors import ConfigError, EcgFlareError, PolicyError, SecureSumError
from ecg_flare.federated.evaluation import counting_terms
from ecg_flare.federated.promise import privacy_text
from ecg_flare.federated.terms import JobTerms
from ecg_flare.flare.deploy.identity import kit_verifier, site_signer
from ecg_flare.flare.job.components import component, job_terms, report_error, round_terms
from ecg_flare.flare.job.ledger_messages import with_countersignature
from ecg_flare.flare.job.messages import TRAIN, TrainRequest, TrainResult, error_reply
from ecg_flare.flare.job.terms import subset
from ecg_flare.flare.site.filters import bare_error, check_filters
from ecg_flare.flare.site.heads import countersign
from ecg_flare.flare.site.ledger import charge_round, check_limit
from ecg_flare.flare.site.memory import model_memory, round_memory, site_root
from ecg_flare.flare.site.policy import SitePolicy, read_policy
from ecg_flare.flare.summation.masked import SUMMATION
from ecg_flare.flare.summation.masked.messages import (
    CONSENT,
    IDENTIFY,
    KEYS,
    SHARES,
    TEST_MODE,
    Encoded,
    pack,
    pack_bytes,
    pack_masked,
    unpack,
)
from ecg_flare.flare.summation.masked.offer import check_offer
from ecg_flare.privacy.secure_sum.client import SecureSumClient
from ecg_flare.privacy.secure_sum.context import SumContext
from ecg_flare.privacy.secure_sum.limits import SiteLimits
from ecg_flare.privacy.secure_sum.masking import with_hidden_weight
from ecg_flare.privacy.secure_sum.messages import KeyRoster, Offer, PeerShares, Survivors, UnmaskRequest
from ecg_flare.privacy.secure_sum.signing import Signer
from ecg_flare.storage import write_atomically

_SECRETS_FILE: Final = "ecg_flare_round_secrets.bin"
_ROUNDS_FOLDER: Final = "ecg_flare_answered_rounds"
_UPDATES: Final = b"u"
_COUNTS: Final = b"c"


class SecureSumSite(FLComponent):
    """This site's part in the secure aggregation of the round under way."""

    def __init__(self) -> None:
        super().__init__()
        self._client: SecureSumClient | None = None
        self._sealed_shares: PeerShares | None = None
        self._trained_from = b""
        self._terms: JobTerms | None = None

    def handle_event(self, event_type: str, fl_ctx: FLContext) -> None:
        if event_type == EventType.BEFORE_TASK_EXECUTION and fl_ctx.get_prop(FLContextKey.TASK_NAME) == TRAIN:
            self._take_sealed_shares(fl_ctx)
        elif event_type == EventType.ABOUT_TO_END_RUN:
            self.close(fl_ctx)

    def certificate(self, fl_ctx: FLContext) -> bytes:
        """The public bytes by which others know this site's signatures."""
        return _signer(fl_ctx, job_terms(fl_ctx)).certificate

    def open_round(self, fl_ctx: FLContext, offered: SumContext) -> SecureSumClient:
        """A client for the offered round; an unfinished earlier round is wiped.

        Raises SecureSumError for an offer that is not of this job, and PolicyError for one under a limit.
        """
        self.close(fl_ctx)
        job = self._offered_terms(fl_ctx, offered)
        check_filters(fl_ctx, job)
        terms = job.at_norm(offered.clipping_norm)
        check_offer(offered, terms, job.digest)
        policy = read_policy(_workspace(fl_ctx))
        policy.check(terms)
        check_limit(fl_ctx, terms, offered.round)
        if not terms.model.counted and round_memory(fl_ctx, _ROUNDS_FOLDER, job).load(offered.job) is None:
            policy.check_start(offered.model_sha256)
        signer = _signer(fl_ctx, job)
        if signer.test_mode and policy.pinned:
            raise PolicyError("pinned: this site has no startup kit to sign with, and takes part in no test mode")
        if signer.test_mode:
            self.log_warning(fl_ctx, TEST_MODE, fire_event=False)
        self._terms = job
        self._client = self._new_client(fl_ctx, job, limits(terms, policy, test_mode=signer.test_mode))
        return self._client

    def client(self, fl_ctx: FLContext) -> SecureSumClient:
        """The round's client, taken back from disk where FLARE swapped this site out; raises SecureSumError if none."""
        if self._client is None:
            self._client = self._restore(fl_ctx)
        return self._client

    def mask(self, reply: TrainResult, terms: JobTerms, fl_ctx: FLContext) -> Shareable:
        """The update under its masks, charged in the site's own ledger; no plain copy is kept.

        The charge comes last, so that a request which leads to no masked update costs nothing. Where it fails nothing
        leaves, and the round is over for this site.
        """
        sealed_shares, self._sealed_shares = self._sealed_shares, None
        if sealed_shares is None:
            raise SecureSumError("the server sent no shares of peers with this round's request: nothing can be masked")
        fixed = terms.sum_encoding(len(reply.vector))
        if fixed is None:
            raise ConfigError("a masked sum needs updates in fixed point: give the terms a clipping_norm")
        client = self.client(fl_ctx)
        if (reply.round_index, terms.clipping_norm) != (client.round, client.clipping_norm):
            raise SecureSumError(
                f"the update is of round {reply.round_index}, clipped to {terms.clipping_norm}; the sum under way is "
                f"of round {client.round}, clipped to {client.clipping_norm}"
            )
        ring = fixed.to_ring(reply.vector)
        if terms.sites.max_weight is not None:
            ring = with_hidden_weight(ring, reply.weight, terms.sites.max_weight)
        leaving = pack_masked(client.answer_sealed_shares(sealed_shares, ring, trained_from=self._trained_from))
        try:
            charge_round(fl_ctx, terms, reply.round_index)
        except EcgFlareError:
            self.close(fl_ctx)
            raise
        self.keep(fl_ctx)
        return leaving

    def close(self, fl_ctx: FLContext) -> None:
        """Wipe the round's secrets, in memory and on disk."""
        if self._client is not None:
            self._client.close()
            self._client = None
        self._sealed_shares = None
        _secrets_file(fl_ctx).unlink(missing_ok=True)

    def _take_sealed_shares(self, fl_ctx: FLContext) -> None:
        request = TrainRequest.from_shareable(fl_ctx.get_prop(FLContextKey.TASK_DATA))
        self._sealed_shares = PeerShares.from_bytes(request.sealed_shares) if request.sealed_shares else None
        self._trained_from = request.model_sha256

    def keep(self, fl_ctx: FLContext) -> None:
        """In the simulator, put the round's secrets on disk for the process that takes this site's next task.

        FLARE's simulator ends a swapped-out site with SIGTERM right after asking it to fire SWAP_OUT
        (`SimulatorClientRunner._cleanup_process`), so that event comes too late: secrets are kept after each answer,
        and removed after the round's last.
        A site with a startup kit is one process through the job, and its secrets never leave its memory.
        """
        if not kit_verifier(_workspace(fl_ctx)).test_mode:
            return
        if self._client is None or self._client.next_step is None:
            _secrets_file(fl_ctx).unlink(missing_ok=True)
            return
        counted = self._terms is not None and self._terms.model.counted
        secrets = (_COUNTS if counted else _UPDATES) + self._client.export_secrets()
        write_atomically(_secrets_file(fl_ctx), lambda file: file.write(secrets), mode=0o600)

    def _restore(self, fl_ctx: FLContext) -> SecureSumClient:
        path = _secrets_file(fl_ctx)
        try:
            secrets = path.read_bytes()
        except FileNotFoundError as error:
            raise SecureSumError("this site holds no secrets of the round: it was restarted, or never began") from error
        path.unlink()
        # The first byte says whose secrets they are: of a round of training, or of counts.
        terms, secrets = round_terms(fl_ctx, counts=secrets[:1] == _COUNTS), secrets[1:]
        policy, test_mode = read_policy(_workspace(fl_ctx)), kit_verifier(_workspace(fl_ctx)).test_mode
        client = self._new_client(fl_ctx, terms, limits(terms, policy, test_mode=test_mode))
        client.restore(secrets)
        self._terms = terms
        return client

    def _offered_terms(self, fl_ctx: FLContext, offered: SumContext) -> JobTerms:
        """The job's terms, or those of its evaluation where the offer is for such a sum."""
        job = job_terms(fl_ctx)
        counting = counting_terms(job)
        return counting if counting is not None and offered.job == counting.digest else job

    def _new_client(self, fl_ctx: FLContext, terms: JobTerms, site_limits: SiteLimits) -> SecureSumClient:
        return SecureSumClient(
            fl_ctx.get_identity_name(),
            site_limits,
            _signer(fl_ctx, terms),
            kit_verifier(_workspace(fl_ctx)),
            round_memory(fl_ctx, _ROUNDS_FOLDER, terms),
            model_memory(fl_ctx),
        )


class SecureSumExecutor(Executor):
    """Answers the steps beside training.

    Args:
        site: id of the `SecureSumSite` component.
    """

    def __init__(self, site: str = SUMMATION.site.component_id) -> None:
        super().__init__()
        self._site_id = site

    def execute(self, task_name: str, shareable: Shareable, fl_ctx: FLContext, abort_signal: Signal) -> Shareable:
        if task_name not in SUMMATION.site.tasks:
            return make_reply(ReturnCode.TASK_UNKNOWN)
        site = component(fl_ctx, self._site_id, SecureSumSite)
        try:
            return self._answer(task_name, shareable, site, fl_ctx)
        except EcgFlareError as error:
            report_error(self, task_name, error, fl_ctx)
            site.close(fl_ctx)
            return error_reply(error)

    def _answer(self, task_name: str, message: Shareable, site: SecureSumSite, fl_ctx: FLContext) -> Shareable:
        if task_name == IDENTIFY:
            return pack_bytes(site.certificate(fl_ctx))
        answer: Encoded
        if task_name == KEYS:
            offer = unpack(message, Offer)
            answer = site.open_round(fl_ctx, offer.terms).answer_offer(offer)
        elif task_name == SHARES:
            answer = site.client(fl_ctx).answer_keys(unpack(message, KeyRoster))
        elif task_name == CONSENT:
            answer = site.client(fl_ctx).answer_survivors(unpack(message, Survivors))
        else:
            answer = site.client(fl_ctx).answer_unmask(unpack(message, UnmaskRequest))
        site.keep(fl_ctx)
        return pack(answer)


class MaskUpdate(Filter):
    """The last result filter of 'train': what leaves the site is masked, or an error.

    Args:
        site: id of the `SecureSumSite` component.
    """

    def __init__(self, site: str = SUMMATION.site.component_id) -> None:
        super().__init__()
        self._site_id = site

    def process(self, shareable: Shareable, fl_ctx: FLContext) -> Shareable:
        site = component(fl_ctx, self._site_id, SecureSumSite)
        if shareable.get_return_code(ReturnCode.OK) != ReturnCode.OK:
            site.close(fl_ctx)
            return bare_error(shareable)
        reply = TrainResult.from_shareable(shareable)
        terms = round_terms(fl_ctx, counts=reply.counts)
        check_filters(fl_ctx, terms)
        signed = countersign(fl_ctx, terms)
        return with_countersignature(site.mask(reply, terms.at_norm(reply.clipping_norm), fl_ctx), signed)


def limits(terms: JobTerms, policy: SitePolicy, *, test_mode: bool) -> SiteLimits:
    """What the site holds a round to: its own policy, and the job's terms, which the policy was held against."""
    return SiteLimits(
        layout_digest=bytes.fromhex(subset(terms).digest),
        expected_model_sha256=None,
        max_clipping_norm=terms.clipping_norm or 0.0,
        pinned=None if test_mode else policy.fingerprints,
        min_cohort=policy.min_cohort,
        min_threshold=policy.min_threshold,
        weights=terms.weights if terms.sites.max_weight is None else None,
        hidden_weights=terms.sites.max_weight is not None,
        dp=privacy_text(terms),
        allow_test_mode=test_mode,
        once_per_model=policy.once_per_model,
    )


def _signer(fl_ctx: FLContext, terms: JobTerms) -> Signer:
    return site_signer(_workspace(fl_ctx), terms.digest, fl_ctx.get_identity_name())


def _workspace(fl_ctx: FLContext) -> Workspace:
    return fl_ctx.get_engine().get_workspace()


def _secrets_file(fl_ctx: FLContext) -> Path:
    return site_root(fl_ctx) / _SECRETS_FILE
