"""Server-side differential privacy: Gaussian noise on the round's integer sum, paid for in the cohort's ledger first.

    GaussianMechanism.open -> CohortLedger.begin -> AdmittedRound.charge -> ChargedRound.noise, then release

Each step gives what the next one needs, so that no round has noise that was not charged, and nothing is released
without noise. A crash between any two leaves the round charged.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import Float32, Int64
from nvflare.apis.fl_component import FLComponent

from ecg_flare.errors import BudgetError, ConfigError, PrivacyError
from ecg_flare.federated.promise import mechanism_of
from ecg_flare.federated.round import RoundResult
from ecg_flare.federated.terms import JobTerms
from ecg_flare.flare.job.messages import model_sha256
from ecg_flare.flare.server.policy import ServerPolicy
from ecg_flare.privacy.accountant import Spent
from ecg_flare.privacy.chain import Head, LineSigner
from ecg_flare.privacy.cohort import Mechanism
from ecg_flare.privacy.gaussian import add_noise
from ecg_flare.privacy.ledger import Ledger, LedgerRound, verify
from ecg_flare.privacy.ledger_copy import copy_ledger
from ecg_flare.privacy.secure_sum.encoding import FixedPoint

_DEFAULTS: Final = ServerPolicy()


class GaussianMechanism(FLComponent):
    """Says that the job adds the noise that its terms promise, and opens the ledger that pays for it.

    Where the ledger lies is the server's own setting (`server.policy`), which no job can change.
    """

    def open(
        self,
        terms: JobTerms,
        dimension: int,
        root: Path,
        *,
        policy: ServerPolicy = _DEFAULTS,
        signer: LineSigner | None = None,
    ) -> "CohortLedger":
        """Open the ledger of the server whose workspace is `root`, for updates of length `dimension`.

        `signer` signs its lines where there is one.

        Raises ConfigError for terms without noise, LedgerError where the ledger promises something else, was changed,
        or was rolled back, and LedgerInUseError where another job has it.
        """
        fixed = terms.fixed_encoding(dimension)
        if fixed is None or not terms.private:
            raise ConfigError("a ledger is for jobs with noise. Found privacy None.")
        path = policy.ledger_path(root)
        return CohortLedger(path, terms, fixed, Ledger(path, policy.cohort_of(terms, path), signer=signer))


@dataclass(frozen=True, eq=False)
class CohortLedger:
    """The open ledger during a job; it is locked until `close`.

    path: where it lies.
    terms: of the job; fixed: how its sums are encoded.
    """

    path: Path
    terms: JobTerms
    fixed: FixedPoint
    ledger: Ledger

    def close(self) -> None:
        """Give the ledger's lock back."""
        self.ledger.close()

    @property
    def spent(self) -> Spent:
        """Epsilon so far, over all jobs of the cohort."""
        return self.ledger.spent()

    @property
    def head(self) -> Head:
        """Lines of the ledger and the hash of its last one, for the saved state to remember."""
        return self.ledger.head

    def copy_to(self, folder: Path) -> None:
        """Put a copy of the ledger beside a job's results, for those who look at them; it is never read back.

        Raises LedgerError where another ledger lies there, StorageError where it cannot be written.
        """
        copy_ledger(self.path, folder / "ledger.jsonl")

    def require(self, head: Head) -> None:
        """Refuse to go on with a ledger that lacks what an earlier run of this job wrote; raises LedgerError."""
        verify(self.path, expected_head=head)

    def begin(
        self, job: str, round_index: int, *, clipping_norm: float | None = None, follows: int | None = None
    ) -> "AdmittedRound":
        """Start a round; where C is adaptive, with this C, which follows the release in that line of the ledger.

        Raises BudgetError where the round would pass the ledger's budget, or the job's own, which may be smaller; it
        must not be run.
        """
        mechanism = mechanism_of(self.terms, job, round_index, clipping_norm=clipping_norm, follows=follows)
        after, budget = self.ledger.check_budget(mechanism), self.terms.epsilon_budget
        if budget is not None and after.epsilon_rdp > budget:
            raise BudgetError(
                f"the round would bring the ledger to epsilon {after.epsilon_rdp:.4g} at delta {after.delta}, above "
                f"the job's own budget {budget}: use more noise or fewer rounds, or stop here"
            )
        return AdmittedRound(self.ledger, mechanism, self.fixed)


class AdmittedRound:
    """A round that the budget allows; nothing is charged yet."""

    def __init__(self, ledger: Ledger, mechanism: Mechanism, fixed: FixedPoint) -> None:
        self._ledger, self._mechanism, self._fixed = ledger, mechanism, fixed
        self._charged = False

    def charge(self) -> "ChargedRound":
        """Write the charge to disk, then draw the round's noise.

        Raises PrivacyError for a second time, LedgerError and StorageError where the charge cannot be written.
        """
        if self._charged:
            raise PrivacyError("the round was charged already, expected once: noise goes once on a round's sum")
        self._charged = True
        entry = self._ledger.charge(self._mechanism)
        noise = add_noise(np.zeros(self._fixed.dimension, dtype=np.int64), self._fixed)
        return ChargedRound(self._ledger, entry, noise)


@dataclass(frozen=True, eq=False)
class ChargedRound:
    """A round that is paid for, with its noise."""

    ledger: Ledger
    entry: LedgerRound
    noise: Int64[np.ndarray, " d"]

    def release(self, model: Float32[np.ndarray, " model"], result: RoundResult) -> None:
        """Write down what the round is about to release, with the share of updates within C where C is adaptive.

        Raises LedgerError and StorageError where it cannot be written: then the model must not leave.
        """
        self.ledger.release(
            self.entry,
            model_sha256=model_sha256(model).hex(),
            noised_sum_sha256=hashlib.sha256(result.summed.astype("<i8").data).hexdigest(),
            share=result.share,
        )
