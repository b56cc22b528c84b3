"""The homomorphic sum at a site: a component that holds the key, an executor that answers, a filter that encrypts.

The rules are `privacy.encrypted_sum`; here is only where the key and the memory of answered rounds lie, and that the
encryption is the last thing that touches an update. No control message imports torch.
"""

from typing import Final

import numpy as np
from nvflare.apis.event_type import EventType
from nvflare.apis.executor import Executor
from nvflare.apis.filter import Filter
from nvflare.apis.fl_component import FLComponent
from nvflare.apis.fl_constant import FLContextKey, ReturnCode
from nvflare.apis.fl_context import FLContext
from nvflare.apis.shareable import Shareable, make_reply
from nvflare.apis.signal import Signal

from ecg_flare.errors import ConfigError, EcgFlareError, SecureSumError
from ecg_flare.flare.job.components import component, job_terms, report_error
from ecg_flare.flare.job.ledger_messages import with_countersignature
from ecg_flare.flare.job.messages import TRAIN, TrainRequest, TrainResult, error_reply
from ecg_flare.flare.job.terms import subset
from ecg_flare.flare.site.filters import bare_error, check_filters
from ecg_flare.flare.site.heads import countersign
from ecg_flare.flare.site.ledger import charge_round
from ecg_flare.flare.site.memory import model_memory, round_memory
from ecg_flare.flare.site.policy import read_policy
from ecg_flare.flare.summation.encrypted import SUMMATION
from ecg_flare.flare.summation.encrypted.contexts import site_context
from ecg_flare.flare.summation.encrypted.messages import (
    AGREE,
    SumRequest,
    pack_ciphertexts,
    pack_consent,
    pack_total,
    round_of,
)
from ecg_flare.privacy.encrypted_sum import CohortMember, EncryptedRound, EncryptedSumSite
from ecg_flare.privacy.homomorphic import SecretContext
from ecg_flare.privacy.secure_sum.encoding import FixedPoint

_ROUNDS_FOLDER: Final = "ecg_flare_opened_rounds"


class EncryptedSite(FLComponent):
    """This site's part in homomorphic sums."""

    def __init__(self) -> None:
        super().__init__()
        self._rules: EncryptedSumSite | None = None
        self._about: EncryptedRound | None = None
        self._trained_from = b""

    def handle_event(self, event_type: str, fl_ctx: FLContext) -> None:
        if event_type == EventType.BEFORE_TASK_EXECUTION and fl_ctx.get_prop(FLContextKey.TASK_NAME) == TRAIN:
            request = TrainRequest.from_shareable(fl_ctx.get_prop(FLContextKey.TASK_DATA))
            self._about = round_of(job_terms(fl_ctx).digest, request)
            self._trained_from = request.model_sha256
        elif event_type == EventType.ABOUT_TO_END_RUN:
            self._rules = self._about = None

    def encrypt(self, reply: TrainResult, fl_ctx: FLContext) -> Shareable:
        """The update's ciphertexts, charged in the site's own ledger last of all; no plain copy is kept."""
        about, self._about = self._about, None
        if about is None:
            raise SecureSumError("there is no request of the round under way: nothing can be encrypted")
        vector = reply.vector.astype(np.int64)
        site, fixed = self._site(fl_ctx), self._fixed(fl_ctx)
        leaving = pack_ciphertexts(site.encrypt(about, vector, fixed, trained_from=self._trained_from))
        charge_round(fl_ctx, job_terms(fl_ctx).at_norm(reply.clipping_norm), reply.round_index)
        return leaving

    def agree(self, request: SumRequest, fl_ctx: FLContext) -> Shareable:
        """This site's consent to a list of contributors."""
        asked = request.in_job(job_terms(fl_ctx).digest)
        return pack_consent(self._site(fl_ctx).consent(asked.about, asked.contributors, self._fixed(fl_ctx)))

    def decrypt(self, request: SumRequest, fl_ctx: FLContext) -> Shareable:
        """The sum that the server asks for, decrypted."""
        return pack_total(self._site(fl_ctx).decrypt(request.in_job(job_terms(fl_ctx).digest), self._fixed(fl_ctx)))

    def _site(self, fl_ctx: FLContext) -> EncryptedSumSite:
        if self._rules is None:
            workspace = fl_ctx.get_engine().get_workspace()
            terms, policy = job_terms(fl_ctx), read_policy(workspace)
            policy.check(terms)
            context = site_context(workspace, lambda line: self.log_warning(fl_ctx, line, fire_event=False))
            self._rules = EncryptedSumSite(
                CohortMember(fl_ctx.get_identity_name(), terms.roster, terms.min_sites),
                SecretContext(context),
                round_memory(fl_ctx, _ROUNDS_FOLDER, terms),
                model_memory(fl_ctx),
                policy.once_per_model,
            )
        return self._rules

    def _fixed(self, fl_ctx: FLContext) -> FixedPoint:
        terms = job_terms(fl_ctx)
        fixed = terms.fixed_encoding(subset(terms).dimension)
        if fixed is None:
            raise ConfigError("a homomorphic sum needs updates in fixed point: give the terms a clipping_norm")
        return fixed


class EncryptedSumExecutor(Executor):
    """Answers the homomorphic sum's steps after training.

    Args:
        site: id of the `EncryptedSite` component.
    """

    def __init__(self, site: str = SUMMATION.site.component_id) -> None:
        super().__init__()
        self._site_id = site

    def execute(self, task_name: str, shareable: Shareable, fl_ctx: FLContext, abort_signal: Signal) -> Shareable:
        if task_name not in SUMMATION.site.tasks:
            return make_reply(ReturnCode.TASK_UNKNOWN)
        try:
            site = component(fl_ctx, self._site_id, EncryptedSite)
            asked = SumRequest.from_shareable(shareable)
            return site.agree(asked, fl_ctx) if task_name == AGREE else site.decrypt(asked, fl_ctx)
        except EcgFlareError as error:
            report_error(self, task_name, error, fl_ctx)
            return error_reply(error)


class EncryptUpdate(Filter):
    """The last result filter of 'train': what leaves the site is encrypted, or an error.

    Args:
        site: id of the `EncryptedSite` component.
    """

    def __init__(self, site: str = SUMMATION.site.component_id) -> None:
        super().__init__()
        self._site_id = site

    def process(self, shareable: Shareable, fl_ctx: FLContext) -> Shareable:
        if shareable.get_return_code(ReturnCode.OK) != ReturnCode.OK:
            return bare_error(shareable)
        terms = job_terms(fl_ctx)
        check_filters(fl_ctx, terms)
        signed = countersign(fl_ctx, terms)
        site = component(fl_ctx, self._site_id, EncryptedSite)
        return with_countersignature(site.encrypt(TrainResult.from_shareable(shareable), fl_ctx), signed)
