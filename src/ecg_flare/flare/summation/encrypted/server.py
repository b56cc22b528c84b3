"""The homomorphic sum at the server: it adds ciphertexts, puts the noise on their sum, and has two sites open it.

train -> agree (the contributors consent to their list) -> noise, under differential privacy -> open (two sites)

The server holds no secret key and one running sum, whatever the number of sites. Whoever opens sees the sum with its
noise alone; the server draws that noise itself and is trusted to forget it.
"""

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import Int64
from nvflare.apis.shareable import Shareable
from nvflare.apis.workspace import Workspace

from ecg_flare.errors import RoundError, SecureSumError, UpdateError
from ecg_flare.federated.terms import JobTerms
from ecg_flare.flare.job.messages import TRAIN, TrainRequest
from ecg_flare.flare.job.terms import subset, update_size
from ecg_flare.flare.server.round import ServerRound
from ecg_flare.flare.summation.collection import Ask, Collected, Collection, require_enough
from ecg_flare.flare.summation.encrypted.contexts import server_context
from ecg_flare.flare.summation.encrypted.messages import (
    AGREE,
    OPEN,
    Opening,
    round_of,
    unpack_ciphertexts,
    unpack_consent,
    unpack_total,
)
from ecg_flare.flare.summation.last_sum import LastOpening
from ecg_flare.privacy.encrypted_sum import OPENERS
from ecg_flare.privacy.homomorphic import EncryptedTotal, check_exact, measure_cost


class EncryptedCollection(Collection):
    """Collects a round's updates under CKKS.

    Args:
        workspace: the server's, whose startup kit holds the context without a secret key.
        terms: of the job; what a round will cost is measured and told.
        log: takes one line; warn: takes the test mode's notice.
        results: the job's results, where a crash leaves which sites must be summed again; None keeps it in memory.

    Raises:
        ConfigError: TenSEAL is missing, or the kit has no context.
        EncodingError: CKKS would not be exact under these terms.
    """

    def __init__(
        self,
        workspace: Workspace,
        terms: JobTerms,
        log: Callable[[str], None],
        warn: Callable[[str], None],
        results: Path | None = None,
    ) -> None:
        self._context = server_context(workspace, warn)
        self._last = LastOpening(results)
        fixed = terms.fixed_encoding(subset(terms).dimension)
        assert fixed is not None, "encrypted terms have a clipping norm"
        check_exact(fixed)
        log(measure_cost(fixed.dimension).line(len(terms.roster), OPENERS))

    def collect(self, request: TrainRequest, terms: JobTerms, opened: ServerRound, ask: Ask) -> Collected:
        collected = Collected()
        try:
            sums = self._train(request, terms, ask, collected)
            agreed = self._agree(request, terms, ask, collected)
            if (noise := opened.draw_noise()) is not None:
                sums.add_noise(noise)
            total = self._open(agreed, sums, ask, collected)
        except (SecureSumError, RoundError) as error:
            hint = self._last.hint(request.model_sha256)
            raise RoundError(
                f"round {request.round_index + 1} is aborted, nothing was opened: {error}{hint}"
            ) from error
        try:
            opened.add_total(collected.answered, total)
        except UpdateError as error:  # a site encrypted what it may not send, and nobody can tell which
            raise RoundError(f"round {request.round_index + 1} is aborted, its sum is not used: {error}") from error
        return collected

    def _train(self, request: TrainRequest, terms: JobTerms, ask: Ask, collected: Collected) -> EncryptedTotal:
        started = time.monotonic()
        sums = EncryptedTotal(terms.sum_size(update_size(terms, request.model.size)), self._context)

        def receive(site: str, answer: Shareable) -> None:
            ciphertexts = unpack_ciphertexts(answer)
            sums.add(ciphertexts)
            collected.bytes_up += sum(map(len, ciphertexts))

        # After a crash those whose sum may have been opened, so that the same is opened again.
        names = self._last.sites(request.model_sha256) or terms.roster
        messages = dict.fromkeys(names, request.to_shareable())
        collected.answered = ask(TRAIN, messages, receive, enough=terms.min_sites)
        collected.bytes_down = request.model.nbytes * len(messages)
        collected.seconds[TRAIN] = time.monotonic() - started
        require_enough(collected.answered, terms, request)
        return sums

    def _agree(self, request: TrainRequest, terms: JobTerms, ask: Ask, collected: Collected) -> Opening:
        started = time.monotonic()
        about = round_of(request.terms_digest, request)
        asked = Opening(about.index, about.digest, collected.answered, {}, ())
        consents: dict[str, bytes] = {}
        self._last.record(request.model_sha256, collected.answered)

        def receive(site: str, answer: Shareable) -> None:
            consents[site] = unpack_consent(answer)

        ask(AGREE, dict.fromkeys(collected.answered, asked.to_shareable()), receive, enough=terms.min_sites)
        collected.seconds[AGREE] = time.monotonic() - started
        if len(consents) < terms.min_sites:
            raise SecureSumError(f"{len(consents)} sites consent to open the sum, expected at least {terms.min_sites}")
        return Opening(about.index, about.digest, collected.answered, consents, ())

    def _open(self, agreed: Opening, sums: EncryptedTotal, ask: Ask, collected: Collected) -> Int64[np.ndarray, " d"]:
        """Have two sites decrypt the sum; where one does not answer, the next one is asked."""
        started = time.monotonic()
        ciphertexts = sums.ciphertexts()
        request = Opening(agreed.round_index, agreed.digest, agreed.contributors, agreed.consents, ciphertexts)
        message = request.to_shareable()
        opened: dict[str, Int64[np.ndarray, " d"]] = {}
        waiting = sorted(agreed.consents)
        while waiting and len(opened) < OPENERS:
            openers, waiting = waiting[: OPENERS - len(opened)], waiting[OPENERS - len(opened) :]
            ask(OPEN, dict.fromkeys(openers, message), partial(_receive_total, opened), enough=len(openers))
            collected.bytes_down += len(openers) * sum(map(len, ciphertexts))
        collected.bytes_up += sum(total.nbytes for total in opened.values())
        collected.seconds[OPEN] = time.monotonic() - started
        return agreed_total(opened)


def agreed_total(opened: dict[str, Int64[np.ndarray, " d"]]) -> Int64[np.ndarray, " d"]:
    """The sum that all who opened it gave; raises SecureSumError for too few of them, or where they differ.

    Decryptions are rounded to integers (`privacy.homomorphic`), so that honest ones are equal, not close.
    """
    if len(opened) < OPENERS:
        raise SecureSumError(f"the sum was opened by {sorted(opened)}, expected {OPENERS} sites that agree")
    first, *others = opened.values()
    if not all(np.array_equal(first, other) for other in others):
        raise SecureSumError(f"{sorted(opened)} opened different sums: one of them is at fault, so neither is used")
    return first


def _receive_total(opened: dict[str, Int64[np.ndarray, " d"]], site: str, answer: Shareable) -> None:
    opened[site] = unpack_total(answer)
