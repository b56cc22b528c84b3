"""The server's ledger during a job: opened when no other job has it, witnessed by sites, copied for readers."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from nvflare.apis.workspace import Workspace

from ecg_flare.errors import LedgerError, LedgerInUseError, StorageError
from ecg_flare.federated.terms import JobTerms
from ecg_flare.flare.deploy.identity import server_signature
from ecg_flare.flare.job.terms import subset
from ecg_flare.flare.server.mechanism import CohortLedger, GaussianMechanism
from ecg_flare.flare.server.policy import read_server_policy
from ecg_flare.flare.server.witnesses import Witnesses, sites_as_witnesses
from ecg_flare.flare.summation.collection import Ask
from ecg_flare.privacy.chain import Head

_LOOK_AGAIN_S: Final = 2.0

Log = Callable[[str], None]
"""Takes one line."""


@dataclass(frozen=True)
class ServerLedger:
    """What a job does with the ledger beside charging it.

    Attributes:
        open: the ledger, which charges rounds.
        witnesses: the sites.
        results: the job's folder, which gets copies.
        log, warn: for the server's log.
    """

    open: CohortLedger
    witnesses: Witnesses
    results: Path
    log: Log
    warn: Log

    def begin(self, earlier: Head | None = None) -> None:
        """Go on with the ledger that an earlier run of the job wrote up to a head, and make the first copy.

        Raises LedgerError where it lacks that head, or another ledger lies among the results.
        """
        if earlier is not None:
            self.open.require(earlier)
        self.open.copy_to(self.results)

    def copy(self) -> None:
        """Bring the copy up to date; where it cannot be, the ledger itself has all."""
        try:
            self.open.copy_to(self.results)
        except StorageError as error:
            self.warn(f"the copy of the ledger is behind: {error}")

    def end(self, ask: Ask, roster: tuple[str, ...]) -> None:
        """Have the sites sign the last release, which no later request brings them; without them it stands as it is."""
        try:
            signed = self.witnesses.ask_last(ask, roster)
            self.log(f"{len(signed)} of {len(roster)} sites vouch for the ledger to its last line")
        except (LedgerError, StorageError) as error:
            self.warn(f"nobody vouches for the ledger's last release: {error}")
        self.copy()


@dataclass(frozen=True)
class LedgerHost:
    """The server that holds the ledger, as far as opening it needs.

    Attributes:
        workspace: of the server.
        job: FLARE's id of the job.
        results: the job's folder, which gets copies.
        log, warn: for the server's log.
        aborted: whether the job was.
    """

    workspace: Workspace
    job: str
    results: Path
    log: Log
    warn: Log
    aborted: Callable[[], bool]


def open_server_ledger(mechanism: GaussianMechanism, terms: JobTerms, host: LedgerHost) -> ServerLedger:
    """Open the server's one ledger for a job; while another job has it, this one waits until it is aborted.

    Raises as `GaussianMechanism.open`.
    """
    opened = _wait_for_ledger(mechanism, terms, host)
    witnesses = sites_as_witnesses(opened.path, terms, host.workspace, host.job, host.warn)
    return ServerLedger(opened, witnesses, host.results, host.log, host.warn)


def _wait_for_ledger(mechanism: GaussianMechanism, terms: JobTerms, host: LedgerHost) -> CohortLedger:
    policy, signer = read_server_policy(host.workspace), server_signature(host.workspace)
    root, waits = Path(host.workspace.get_root_dir()), False
    while True:
        try:
            return mechanism.open(terms, subset(terms).dimension, root, policy=policy, signer=signer)
        except LedgerInUseError as error:
            if host.aborted():
                raise
            if not waits:
                host.warn(f"this job waits: {error}")
            waits = True
            time.sleep(_LOOK_AGAIN_S)
