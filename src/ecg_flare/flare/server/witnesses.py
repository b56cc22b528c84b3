"""The sites as witnesses of the server's ledger: each request brings them its new lines, each answer their signature.

A site whose answer comes without a genuine signature of the head that was sent is a dropout: whoever trained may have
been shown something else. The latest signature of each site lies beside the ledger, `<name>.witness`.
"""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Final

from nvflare.apis.fl_constant import ReturnCode
from nvflare.apis.shareable import Shareable
from nvflare.apis.workspace import Workspace

from ecg_flare.errors import LedgerError
from ecg_flare.federated.terms import JobTerms
from ecg_flare.flare.deploy.identity import kit_verifier, test_signer
from ecg_flare.flare.job.ledger_messages import WITNESS, countersignature_of, empty_message, with_tail
from ecg_flare.flare.job.messages import TRAIN, check_answered
from ecg_flare.flare.server.per_site_controller import Receive
from ecg_flare.flare.server.policy import read_server_policy
from ecg_flare.flare.summation.collection import Ask
from ecg_flare.privacy.chain import EMPTY, Head, witness_path
from ecg_flare.privacy.chain_tail import ChainTail
from ecg_flare.privacy.countersignature import Countersignature, read_countersignatures, write_countersignatures
from ecg_flare.privacy.secure_sum.signing import Verifier, fingerprint

_LAST_S: Final = 60.0


class Witnesses:
    """Sends a ledger's lines to the sites and keeps what they sign.

    Args:
        ledger: path of the open ledger.
        verifier: how a site's certificate is believed.
        pinned: site -> SHA-256 of the certificate that it must be; empty believes any that the verifier does.
    """

    def __init__(self, ledger: Path, verifier: Verifier, pinned: Mapping[str, bytes]) -> None:
        self._ledger = ledger
        self._verifier = verifier
        self._pinned = pinned
        self._kept = {one.site: one for one in self._read()}
        # What a site has answered in this job. Its first request brings the whole ledger, whatever it signed in earlier
        # jobs, and so does the one after a request that it did not answer: a site that lost its memory, or had a head
        # that never came back, is at one with the server again.
        self._seen: dict[str, Head] = {}

    def asking(self, ask: Ask) -> Ask:
        """`ask`, with the ledger in each request and the signature taken from each answer."""

        def witnessed(
            task_name: str,
            messages: Mapping[str, Shareable],
            receive: Receive,
            *,
            enough: int,
            grace_s: float | None = None,
        ) -> tuple[str, ...]:
            more = {} if grace_s is None else {"grace_s": grace_s}
            if task_name not in (TRAIN, WITNESS):
                return ask(task_name, messages, receive, enough=enough, **more)
            tails = {site: ChainTail.read(self._ledger, self._seen.pop(site, EMPTY)) for site in messages}
            sent = {site: with_tail(message, tails[site]) for site, message in messages.items()}
            return ask(task_name, sent, partial(self._receive, tails, receive), enough=enough, **more)

        return witnessed

    def ask_last(self, ask: Ask, sites: tuple[str, ...]) -> tuple[str, ...]:
        """Bring the last release to the sites, which no later request does; gives those that signed. Waits a minute."""
        messages = {site: empty_message() for site in sites}
        return self.asking(ask)(WITNESS, messages, _check_answered, enough=0, grace_s=_LAST_S)

    def _receive(self, tails: Mapping[str, ChainTail], receive: Receive, site: str, answer: Shareable) -> None:
        if answer.get_return_code(ReturnCode.OK) == ReturnCode.OK:  # else `receive` says why the site is out
            self._keep(site, countersignature_of(site, answer), tails[site])
        receive(site, answer)

    def _keep(self, site: str, signed: Countersignature, tail: ChainTail) -> None:
        if (signed.ledger, signed.head) != (tail.ledger, tail.head):
            raise LedgerError(
                f"{site} countersigned {signed.head} of ledger {signed.ledger[:12]}, expected {tail.head}"
            )
        signed.check(self._verifier, self._pinned)
        self._kept[site] = signed
        write_countersignatures(witness_path(self._ledger), [self._kept[name] for name in sorted(self._kept)])
        self._seen[site] = signed.head

    def _read(self) -> tuple[Countersignature, ...]:
        path = witness_path(self._ledger)
        return read_countersignatures(path) if path.exists() else ()


def sites_as_witnesses(
    ledger: Path, terms: JobTerms, workspace: Workspace, job: str, warn: Callable[[str], None]
) -> Witnesses:
    """The witnesses of a job's server: by its kit's root CA and its own pins, or in the test mode without a kit."""
    verifier = kit_verifier(workspace)
    pinned = read_server_policy(workspace).fingerprints
    if verifier.test_mode:
        pinned = {site: fingerprint(test_signer(job, site).certificate) for site in terms.roster}
        warn("ledger signed by sites in TEST MODE: there is no startup kit, so throw-away keys prove no identity")
    return Witnesses(ledger, verifier, pinned)


def _check_answered(site: str, answer: Shareable) -> None:
    check_answered(answer, f"a signature of {site}", LedgerError)
