"""The homomorphic sum at the server: it adds ciphertexts, puts the noise on their sum, and has two sites decrypt it.

train -> agree (the contributors consent to their list) -> noise, under differential privacy -> decrypt (two sites)

The server holds no secret key and one running sum, whatever the number of sites. Whoever decrypts sees the sum with its
noise alone; the server draws that noise itself and is trusted to forget it.
"""

from dataclasses import replace

import numpy as np
from jaxtyping import Int64

from ecg_flare.errors import RoundError, SecureSumError, UpdateError
from ecg_flare.federated.evaluation import counting_terms
from ecg_flare.federated.terms import JobTerms
from ecg_flare.flare.job.messages import TRAIN, TrainRequest
from ecg_flare.flare.job.terms import update_size
from ecg_flare.flare.server.round import ServerRound
from ecg_flare.flare.summation.collection import (
    Ask,
    Collected,
    Collection,
    CollectionSetup,
    Steps,
    aborted,
    require_enough,
)
from ecg_flare.flare.summation.encrypted.contexts import server_context
from ecg_flare.flare.summation.encrypted.messages import (
    AGREE,
    DECRYPT,
    SumRequest,
    encoding_of,
    round_of,
    unpack_ciphertexts,
    unpack_consent,
    unpack_total,
)
from ecg_flare.flare.summation.last_sum import LastSum
from ecg_flare.privacy.encrypted_sum import DECRYPTERS
from ecg_flare.privacy.homomorphic import EncryptedTotal, check_exact, measure_cost


class EncryptedCollection(Collection):
    """Collects a round's updates under CKKS.

    The server's startup kit holds the context without a secret key. What a round will cost is measured and logged.

    Raises:
        ConfigError: TenSEAL is missing, or the kit has no context.
        EncodingError: CKKS would not be exact under these terms.
    """

    def __init__(self, setup: CollectionSetup) -> None:
        super().__init__(setup)
        self._context = server_context(setup.workspace, setup.warn)
        self._last = LastSum(setup.results)
        counting = counting_terms(setup.terms)
        if counting is not None:
            check_exact(encoding_of(counting))
        fixed = encoding_of(setup.terms)
        check_exact(fixed)
        setup.log(measure_cost(fixed.dimension).line(len(setup.terms.roster), DECRYPTERS))

    def collect(self, request: TrainRequest, terms: JobTerms, open_round: ServerRound, ask: Ask) -> Collected:
        collected = Collected()
        steps = Steps(ask, collected)
        try:
            sums = self._train(request, terms, steps, collected)
            agreed = self._agree(request, terms, steps, collected)
            if (noise := open_round.draw_noise()) is not None:
                sums.add_noise(noise)
            total = _decrypt(replace(agreed, ciphertexts=sums.ciphertexts()), steps, collected)
        except (SecureSumError, RoundError) as error:
            raise aborted(request, f"{error}{self._last.hint(request.model_sha256)}", recovered=False) from error
        try:
            open_round.add_total(collected.answered, total)
        except UpdateError as error:  # a site encrypted what it may not send, and nobody can tell which
            raise aborted(request, error, recovered=True) from error
        return collected

    def _train(self, request: TrainRequest, terms: JobTerms, steps: Steps, collected: Collected) -> EncryptedTotal:
        sums = EncryptedTotal(terms.sum_size(update_size(terms, request.model.size)), self._context)

        def take(site: str, ciphertexts: list[bytes]) -> None:
            sums.add(ciphertexts)
            collected.bytes_up += sum(map(len, ciphertexts))

        # After a crash those whose sum may have been decrypted, so that the same one is decrypted again.
        names = self._last.sites(request.model_sha256) or terms.roster
        messages = dict.fromkeys(names, request.to_shareable())
        collected.answered = steps.run(TRAIN, messages, unpack_ciphertexts, take, enough=terms.min_sites)
        collected.bytes_down = request.model.nbytes * len(messages)
        require_enough(collected.answered, terms, request)
        return sums

    def _agree(self, request: TrainRequest, terms: JobTerms, steps: Steps, collected: Collected) -> SumRequest:
        about = round_of(request.terms_digest, request)
        asked = SumRequest(about.job, about.index, about.digest, collected.answered)
        consents: dict[str, bytes] = {}
        self._last.record(request.model_sha256, collected.answered)
        messages = dict.fromkeys(collected.answered, asked.to_shareable())
        steps.run(AGREE, messages, unpack_consent, consents.__setitem__, enough=terms.min_sites)
        if len(consents) < terms.min_sites:
            raise SecureSumError(f"{len(consents)} sites consent to the sum, expected at least {terms.min_sites}")
        return replace(asked, consents=consents)


def _decrypt(request: SumRequest, steps: Steps, collected: Collected) -> Int64[np.ndarray, " d"]:
    """Have two sites decrypt the sum; where one does not answer, the next one is asked."""
    message = request.to_shareable()
    totals: dict[str, Int64[np.ndarray, " d"]] = {}
    waiting = sorted(request.consents)
    while waiting and len(totals) < DECRYPTERS:
        missing = DECRYPTERS - len(totals)
        asked, waiting = waiting[:missing], waiting[missing:]
        steps.run(DECRYPT, dict.fromkeys(asked, message), unpack_total, totals.__setitem__, enough=len(asked))
        collected.bytes_down += len(asked) * sum(map(len, request.ciphertexts))
    collected.bytes_up += sum(total.nbytes for total in totals.values())
    return agreed_total(totals)


def agreed_total(totals: dict[str, Int64[np.ndarray, " d"]]) -> Int64[np.ndarray, " d"]:
    """The sum that all who decrypted it gave; raises SecureSumError for too few of them, or where they differ.

    Decryptions are rounded to integers (`privacy.homomorphic`), so that honest ones are equal, not close.
    """
    if len(totals) < DECRYPTERS:
        raise SecureSumError(f"the sum was decrypted by {sorted(totals)}, expected {DECRYPTERS} sites that agree")
    first, *others = totals.values()
    if not all(np.array_equal(first, other) for other in others):
        raise SecureSumError(f"{sorted(totals)} decrypted different sums: one of them is at fault, so neither is used")
    return first
