"""Secure aggregation at the server: its steps as tasks of the round, and nothing but the unmasked sum at the end.

The protocol is `privacy.secure_sum.server`; a site whose message it refuses is a dropout, and a step that ends below
the threshold aborts the round with nothing recovered.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Final

from nvflare.apis.shareable import Shareable

from ecg_flare.errors import SecureSumError, UpdateError
from ecg_flare.federated.terms import JobTerms
from ecg_flare.flare.deploy.identity import kit_verifier, test_signer
from ecg_flare.flare.job.messages import TRAIN, TrainRequest
from ecg_flare.flare.job.terms import update_size
from ecg_flare.flare.server.policy import read_server_policy
from ecg_flare.flare.server.round import ServerRound
from ecg_flare.flare.site.policy import POLICY_FILE
from ecg_flare.flare.summation.collection import Ask, Collected, Collection, CollectionSetup, Steps, aborted
from ecg_flare.flare.summation.last_sum import LastSum
from ecg_flare.flare.summation.masked.messages import (
    CONSENT,
    IDENTIFY,
    KEYS,
    SHARES,
    TEST_MODE,
    UNMASK,
    Encoded,
    M,
    pack,
    pack_bytes,
    unpack,
    unpack_bytes,
    unpack_masked,
)
from ecg_flare.flare.summation.masked.offer import Attempt, sum_context
from ecg_flare.privacy.secure_sum.context import Member, SumContext
from ecg_flare.privacy.secure_sum.encoding import Ring
from ecg_flare.privacy.secure_sum.masking import split_hidden_weight
from ecg_flare.privacy.secure_sum.messages import Consent, KeyAdvert, SealedShares, ShareRelease, UnmaskRequest
from ecg_flare.privacy.secure_sum.server import SecureSumServer
from ecg_flare.privacy.secure_sum.signing import fingerprint

_FORGET_S: Final = 60.0


class MaskedCollection(Collection):
    """Collects a round's updates under masks (Bonawitz et al. 2017).

    The server's startup kit holds the root CA that vouches for the sites.
    """

    def __init__(self, setup: CollectionSetup) -> None:
        super().__init__(setup)
        self._verifier = kit_verifier(setup.workspace)
        self._last = LastSum(setup.results)
        self._prints = read_server_policy(setup.workspace).fingerprints
        if self._verifier.test_mode:
            setup.warn(TEST_MODE)

    def collect(self, request: TrainRequest, terms: JobTerms, open_round: ServerRound, ask: Ask) -> Collected:
        collected = Collected()
        fixed = terms.fixed_encoding(update_size(terms, len(request.model)))
        assert fixed is not None, "masked terms have a clipping norm"
        try:
            self._identify(request, terms, ask)
            sums = SecureSumServer(self._sum_context(request, terms), self._verifier)
            self._run(sums, request, Steps(ask, collected), collected)
            ring = sums.unmask()
        except SecureSumError as error:
            self._forget(request, terms, ask)
            raise aborted(request, f"{error}{self._last.hint(request.model_sha256)}", recovered=False) from error
        collected.answered = sums.survivors
        try:
            ring, weight = _unmasked_weight(ring, terms, len(sums.survivors))
            open_round.add_total(sums.survivors, fixed.from_ring(ring), weight=weight)
        except UpdateError as error:  # a site masked what it may not send, and nobody can tell which
            raise aborted(request, error, recovered=True) from error
        return collected

    def _identify(self, request: TrainRequest, terms: JobTerms, ask: Ask) -> None:
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

    def _forget(self, request: TrainRequest, terms: JobTerms, ask: Ask) -> None:
        """Have simulated sites, whose secrets may lie on disk, end an aborted round; nobody is waited for long.

        The message is a request that no site grants: whatever a site refuses ends its round and wipes its secrets.
        """
        if self._verifier.test_mode and self._prints:
            nothing = UnmaskRequest(self._sum_context(request, terms).digest, ())
            refuse = partial(_never, "an aborted round")
            ask(UNMASK, dict.fromkeys(terms.roster, pack(nothing)), refuse, enough=0, grace_s=_FORGET_S)

    def _sum_context(self, request: TrainRequest, terms: JobTerms) -> SumContext:
        attempt = Attempt(
            job=request.terms_digest,
            round_index=request.round_index,
            # Attempts go forward, also past a server that lost its memory: a site answers none twice.
            number=time.time_ns() // 1_000_000,
            roster=tuple(Member(site, self._prints[site]) for site in terms.roster),
            model_sha256=request.model_sha256,
            test_mode=self._verifier.test_mode,
        )
        return sum_context(terms, attempt)

    def _run(self, sums: SecureSumServer, request: TrainRequest, steps: Steps, collected: Collected) -> None:
        """The five steps, each to those who answered the step before.

        After a crash the first goes to the sites whose sum may have been recovered, so that the same one is again.
        """
        enough, member = sums.terms.threshold, sums.terms.member
        names = self._last.sites(request.model_sha256) or tuple(one.name for one in sums.terms.roster)
        steps.run(KEYS, _to_all(names, sums.offer()), _reader(KeyAdvert), sums.receive_keys, enough=enough)
        keys = sums.close_keys()
        names = tuple(member(advert.sender).name for advert in keys.adverts)
        steps.run(SHARES, _to_all(names, keys), _reader(SealedShares), sums.receive_shares, enough=enough)
        requests = {
            site: replace(request, sealed_shares=shares.to_bytes()).to_shareable()
            for site, shares in sums.close_shares().items()
        }
        steps.run(TRAIN, requests, unpack_masked, sums.receive_masked, enough=enough)
        survivors = sums.close_masked()
        collected.bytes_down = request.model.nbytes * len(requests)
        collected.bytes_up = sums.terms.dimension * sums.terms.word.itemsize * len(survivors.indices)
        steps.run(CONSENT, _to_all(sums.survivors, survivors), _reader(Consent), sums.receive_consent, enough=enough)
        unmask = sums.close_consent()
        names = tuple(member(index).name for index, _ in unmask.consents)
        self._last.record(request.model_sha256, sums.survivors)
        steps.run(UNMASK, _to_all(names, unmask), _reader(ShareRelease), sums.receive_release, enough=enough)


def _to_all(names: tuple[str, ...], message: Encoded) -> Mapping[str, Shareable]:
    return dict.fromkeys(names, pack(message))


def _reader(kind: type[M]) -> Callable[[Shareable], M]:
    return partial(unpack, kind=kind)


def _never(what: str, site: str, answer: Shareable) -> None:
    raise SecureSumError(f"{site} answered {what}: {answer.get_return_code()}")


def _unmasked_weight(ring: Ring, terms: JobTerms, sites: int) -> tuple[Ring, float | None]:
    """The sum without hidden weights, and their total in units of the largest; UpdateError for an impossible one."""
    largest = terms.sites.max_weight
    if largest is None:
        return ring, None
    ring, weight = split_hidden_weight(ring)
    if not sites <= weight <= sites * largest:
        raise UpdateError(f"the weights of {sites} sites add up to {weight}, expected 1 to {largest} a site")
    return ring, weight / largest
