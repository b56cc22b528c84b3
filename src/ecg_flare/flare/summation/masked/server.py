"""The secure sum at the server: its steps as tasks of the round, and nothing but the opened sum at the end.

The protocol is `privacy.secure_sum.server`; a site whose message it refuses is a dropout, and a step that ends below
the threshold aborts the round with nothing opened.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

from nvflare.apis.shareable import Shareable
from nvflare.apis.workspace import Workspace

from ecg_flare.errors import RoundError, SecureSumError, UpdateError
from ecg_flare.flare.deploy.identity import kit_verifier, test_signer
from ecg_flare.flare.job.messages import TRAIN, TrainRequest
from ecg_flare.flare.job.terms import RoundTerms
from ecg_flare.flare.server.aggregators import UpdateAggregator
from ecg_flare.flare.server.policy import read_server_policy
from ecg_flare.flare.site.policy import POLICY_FILE
from ecg_flare.flare.summation.collection import Ask, Collected, Collection
from ecg_flare.flare.summation.last_sum import LastOpening
from ecg_flare.flare.summation.masked.messages import (
    CONSENT,
    IDENTIFY,
    KEYS,
    SHARES,
    UNMASK,
    pack,
    pack_bytes,
    unpack,
    unpack_bytes,
    unpack_masked,
)
from ecg_flare.flare.summation.masked.offer import sum_terms
from ecg_flare.privacy.secure_sum.context import Member
from ecg_flare.privacy.secure_sum.context import RoundTerms as SumTerms
from ecg_flare.privacy.secure_sum.encoding import Ring
from ecg_flare.privacy.secure_sum.masking import split_hidden_weight
from ecg_flare.privacy.secure_sum.messages import Consent, KeyAdvert, SealedShares, ShareRelease, UnmaskRequest
from ecg_flare.privacy.secure_sum.server import SecureSumServer
from ecg_flare.privacy.secure_sum.signing import fingerprint

T = TypeVar("T")

_FORGET_S: Final = 60.0


class MaskedCollection(Collection):
    """Collects a round's updates under masks (Bonawitz et al. 2017).

    Args:
        workspace: the server's, whose startup kit holds the root CA that vouches for the sites.
        log: takes one line.
        results: the job's results, where a crash leaves which sites must be summed again; None keeps it in memory.
    """

    def __init__(self, workspace: Workspace, log: Callable[[str], None], results: Path | None = None) -> None:
        self._verifier = kit_verifier(workspace)
        self._log = log
        self._last = LastOpening(results)
        self._prints = read_server_policy(workspace).fingerprints
        if self._verifier.test_mode:
            log("secure sum in TEST MODE: there is no startup kit, so throw-away keys sign and prove no identity")

    def collect(self, request: TrainRequest, terms: RoundTerms, aggregator: UpdateAggregator, ask: Ask) -> Collected:
        aggregator.begin(request, terms)
        collected = Collected()
        fixed = terms.config.fixed_encoding(terms.update_size(len(request.model)))
        assert fixed is not None, "masked terms have a clipping norm"
        try:
            self._identify(request, terms, ask)
            sums = SecureSumServer(self._sum_terms(request, terms), self._verifier)
            self._run(sums, request, ask, collected)
            ring = sums.unmask()
        except SecureSumError as error:
            self._forget(request, terms, ask)
            hint = self._last.hint(request.model_sha256)
            raise RoundError(
                f"round {request.round_index + 1} is aborted, nothing was opened: {error}{hint}"
            ) from error
        collected.answered = sums.survivors
        try:
            ring, weight = _opened_weight(ring, terms, len(sums.survivors))
            aggregator.add_total(sums.survivors, fixed.from_ring(ring), weight=weight)
        except UpdateError as error:  # a site masked what it may not send, and nobody can tell which
            raise RoundError(f"round {request.round_index + 1} is aborted, its sum is not used: {error}") from error
        return collected

    def _identify(self, request: TrainRequest, terms: RoundTerms, ask: Ask) -> None:
        """Know each site's certificate: as pinned in the server's own policy file, or as the site sends it.

        With pins a cohort forms however many sites are down; without, each site must have come once. In the test mode
        a certificate follows from the site's name.
        """
        if self._verifier.test_mode:
            signers = {site: test_signer(request.terms_digest, site) for site in terms.roster}
            self._prints = {site: fingerprint(signer.certificate) for site, signer in signers.items()}
        if missing := sorted(set(terms.roster) - set(self._prints)):

            def receive(site: str, answer: Shareable) -> None:
                certificate = unpack_bytes(answer)
                self._verifier.check_certificate(site, certificate)
                self._prints[site] = fingerprint(certificate)

            ask(IDENTIFY, dict.fromkeys(missing, pack_bytes(b"")), receive, enough=len(missing))
        if missing := sorted(set(terms.roster) - set(self._prints)):
            raise SecureSumError(
                f"{', '.join(missing)} sent no certificate, so the cohort cannot be formed: wait for them, or pin "
                f"their certificates in the server's local/{POLICY_FILE}"
            )

    def _forget(self, request: TrainRequest, terms: RoundTerms, ask: Ask) -> None:
        """Have simulated sites, whose secrets may lie on disk, end an aborted round; nobody is waited for long.

        The message is a request that no site grants: whatever a site refuses ends its round and wipes its secrets.
        """
        if self._verifier.test_mode and self._prints:
            nothing = UnmaskRequest(self._sum_terms(request, terms).digest, ())
            refuse = partial(_never, "an aborted round")
            ask(UNMASK, dict.fromkeys(terms.roster, pack(nothing)), refuse, enough=0, grace_s=_FORGET_S)

    def _sum_terms(self, request: TrainRequest, terms: RoundTerms) -> SumTerms:
        return sum_terms(
            terms,
            job=request.terms_digest,
            round_index=request.round_index,
            # Attempts go forward, also past a server that lost its memory: a site answers none twice.
            attempt=time.time_ns() // 1_000_000,
            roster=tuple(Member(site, self._prints[site]) for site in terms.roster),
            model_sha256=request.model_sha256,
            test_mode=self._verifier.test_mode,
        )

    def _run(self, sums: SecureSumServer, request: TrainRequest, ask: Ask, collected: Collected) -> None:
        """The five steps, each to those who answered the step before.

        After a crash the first goes to the sites whose sum may have been opened, so that the same is opened again.
        """
        step = partial(_step, ask=ask, collected=collected, enough=sums.terms.threshold)
        names = self._last.sites(request.model_sha256) or tuple(member.name for member in sums.terms.roster)
        offer = pack(sums.offer())
        step(KEYS, dict.fromkeys(names, offer), lambda answer: unpack(answer, KeyAdvert), sums.receive_keys)
        roster = sums.close_keys()
        names = tuple(sums.terms.member(advert.sender).name for advert in roster.adverts)
        step(SHARES, dict.fromkeys(names, pack(roster)), lambda answer: unpack(answer, SealedShares), sums.receive_shares)
        requests = {
            site: replace(request, sealed_shares=sealed_shares.to_bytes()).to_shareable()
            for site, sealed_shares in sums.close_shares().items()
        }
        step(TRAIN, requests, unpack_masked, sums.receive_masked)
        survivors = sums.close_masked()
        collected.bytes_down = request.model.nbytes * len(requests)
        collected.bytes_up = sums.terms.dimension * sums.terms.word.itemsize * len(survivors.indices)
        names = sums.survivors
        step(
            CONSENT, dict.fromkeys(names, pack(survivors)), lambda answer: unpack(answer, Consent), sums.receive_consent
        )
        unmask = sums.close_consent()
        names = tuple(sums.terms.member(index).name for index, _ in unmask.consents)
        self._last.record(request.model_sha256, sums.survivors)
        step(
            UNMASK,
            dict.fromkeys(names, pack(unmask)),
            lambda answer: unpack(answer, ShareRelease),
            sums.receive_release,
        )


def _never(what: str, site: str, answer: Shareable) -> None:
    raise SecureSumError(f"{site} answered {what}: {answer.get_return_code()}")


def _opened_weight(ring: Ring, terms: RoundTerms, sites: int) -> tuple[Ring, float | None]:
    """The sum without hidden weights, and their total in units of the largest; UpdateError for an impossible one."""
    if terms.max_weight is None:
        return ring, None
    ring, weight = split_hidden_weight(ring)
    if not sites <= weight <= sites * terms.max_weight:
        raise UpdateError(f"the weights of {sites} sites add up to {weight}, expected 1 to {terms.max_weight} a site")
    return ring, weight / terms.max_weight


def _step(
    task_name: str,
    messages: Mapping[str, Shareable],
    decode: Callable[[Shareable], T],
    receive: Callable[[str, T], None],
    *,
    ask: Ask,
    collected: Collected,
    enough: int,
) -> None:
    started = time.monotonic()
    ask(task_name, messages, lambda site, answer: receive(site, decode(answer)), enough=enough)
    collected.seconds[task_name] = time.monotonic() - started
