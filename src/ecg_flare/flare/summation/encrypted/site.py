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

from ecg_flare.documents import short
from ecg_flare.errors import EcgFlareError, SecureSumError
from ecg_flare.federated.evaluation import counting_terms
from ecg_flare.federated.terms import JobTerms
from ecg_flare.flare.job.components import component, job_terms, report_error, round_terms
from ecg_flare.flare.job.ledger_messages import with_countersignature
from ecg_flare.flare.job.messages import TRAIN, TrainRequest, TrainResult, error_reply
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
    encoding_of,
    pack_ciphertexts,
    pack_consent,
    pack_total,
    round_of,
)
from ecg_flare.privacy.encrypted_sum import CohortMember, EncryptedSumSite
from ecg_flare.privacy.homomorphic import SecretContext

_ROUNDS_FOLDER: Final = "ecg_flare_opened_rounds"


class EncryptedSite(FLComponent):
    """This site's part in homomorphic sums."""

    def __init__(self) -> None:
        super().__init__()
        self._rules: dict[str, EncryptedSumSite] = {}
        self._request: TrainRequest | None = None

    def handle_event(self, event_type: str, fl_ctx: FLContext) -> None:
        if event_type == EventType.BEFORE_TASK_EXECUTION and fl_ctx.get_prop(FLContextKey.TASK_NAME) == TRAIN:
            self._request = TrainRequest.from_shareable(fl_ctx.get_prop(FLContextKey.TASK_DATA))
        elif event_type == EventType.ABOUT_TO_END_RUN:
            self._rules, self._request = {}, None

    def encrypt(self, reply: TrainResult, terms: JobTerms, fl_ctx: FLContext) -> Shareable:
        """The update's ciphertexts, charged in the site's own ledger last of all; no plain copy is kept.

        `terms` are the round's: those of the job, or of its evaluation where the reply is of counts.
        """
        request, self._request = self._request, None
        if request is None or request.counts != reply.counts:
            raise SecureSumError("there is no request of the round under way: nothing can be encrypted")
        vector, about = reply.vector.astype(np.int64), round_of(terms.digest, request)
        site = self._site(terms, fl_ctx)
        leaving = pack_ciphertexts(site.encrypt(about, vector, encoding_of(terms), trained_from=request.model_sha256))
        charge_round(fl_ctx, terms.at_norm(reply.clipping_norm), reply.round_index)
        return leaving

    def agree(self, asked: SumRequest, fl_ctx: FLContext) -> Shareable:
        """This site's consent to a list of contributors."""
        terms = _asked_terms(asked, fl_ctx)
        consent = self._site(terms, fl_ctx).consent(asked.sum.about, asked.contributors, encoding_of(terms))
        return pack_consent(consent)

    def decrypt(self, asked: SumRequest, fl_ctx: FLContext) -> Shareable:
        """The sum that the server asks for, decrypted."""
        terms = _asked_terms(asked, fl_ctx)
        return pack_total(self._site(terms, fl_ctx).decrypt(asked.sum, encoding_of(terms)))

    def _site(self, terms: JobTerms, fl_ctx: FLContext) -> EncryptedSumSite:
        if terms.digest not in self._rules:
            workspace = fl_ctx.get_engine().get_workspace()
            policy = read_policy(workspace)
            policy.check(terms)
            context = site_context(workspace, lambda line: self.log_warning(fl_ctx, line, fire_event=False))
            self._rules[terms.digest] = EncryptedSumSite(
                CohortMember(fl_ctx.get_identity_name(), terms.roster, terms.min_sites),
                SecretContext(context),
                round_memory(fl_ctx, _ROUNDS_FOLDER, terms),
                model_memory(fl_ctx),
                policy.once_per_model,
            )
        return self._rules[terms.digest]


def _asked_terms(asked: SumRequest, fl_ctx: FLContext) -> JobTerms:
    """The terms of the sum: the job's, or those of its evaluation; raises SecureSumError where it is of others."""
    job = job_terms(fl_ctx)
    for terms in (job, counting_terms(job)):
        if terms is not None and terms.digest == asked.terms_digest:
            return terms
    raise SecureSumError(f"asked for a sum under terms {short(asked.terms_digest)}, which are not those of this job")


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
        reply = TrainResult.from_shareable(shareable)
        terms = round_terms(fl_ctx, counts=reply.counts)
        check_filters(fl_ctx, terms)
        signed = countersign(fl_ctx, terms)
        site = component(fl_ctx, self._site_id, EncryptedSite)
        return with_countersignature(site.encrypt(reply, terms, fl_ctx), signed)
