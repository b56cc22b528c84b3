"""Server-side differential privacy: Gaussian noise on the round's integer sum, paid for in the cohort's ledger first.

A post-aggregation filter: it stands between the sum and the server optimizer, where it runs once a round. (A filter
on FLARE's outgoing tasks would run once for each site.)
"""

import hashlib
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import Float32, Int64
from nvflare.apis.dxo import DXO, from_shareable
from nvflare.apis.filter import Filter
from nvflare.apis.fl_context import FLContext
from nvflare.apis.shareable import Shareable

from ecg_flare.errors import BudgetError, PrivacyError
from ecg_flare.federated.summation import summation
from ecg_flare.flare.job.messages import SUM, model_sha256
from ecg_flare.flare.job.terms import RoundTerms
from ecg_flare.flare.server.policy import ServerPolicy
from ecg_flare.privacy.accountant import Spent
from ecg_flare.privacy.chain import Head, Signer
from ecg_flare.privacy.gaussian import add_noise
from ecg_flare.privacy.ledger import Ledger, Round, verify
from ecg_flare.privacy.ledger_copy import copy_ledger
from ecg_flare.privacy.secure_sum.encoding import FixedPoint

_DEFAULTS: Final = ServerPolicy()


class GaussianMechanism(Filter):
    """Adds the noise that the job's terms promise, and keeps the ledger.

    In a round: `begin` (is there budget left?), `process` (charge on disk, then noise), `release` (what is about to
    leave, on disk). A crash between any two leaves the round charged. Where the noise goes on before the sum is
    recovered, `draw` charges and gives it, and `process` takes the recovered sum.

    Where the ledger lies is the server's own setting (`server_policy`), which no job can change.
    """

    def __init__(self) -> None:
        super().__init__()
        self._ledger: Ledger | None = None
        self._terms: RoundTerms | None = None
        self._fixed: FixedPoint | None = None
        self._round_index: int | None = None
        self._norm: float | None = None
        self._follows: int | None = None
        self._charged: Round | None = None
        self._noised_sha256 = ""
        self._ledger_path = Path()

    def open(
        self,
        terms: RoundTerms,
        dimension: int,
        root: Path,
        *,
        policy: ServerPolicy = _DEFAULTS,
        signer: Signer | None = None,
    ) -> None:
        """Open the ledger of the server whose workspace is `root`; `signer` signs its lines where there is one.

        Raises LedgerError where it promises something else, was changed, or was rolled back, and LedgerInUseError where
        another job has it.
        """
        self.close()
        self._ledger_path = policy.ledger_path(root)
        cohort = policy.cohort_of(terms, self._ledger_path)
        self._terms = terms
        self._fixed = terms.config.fixed_encoding(dimension)
        self._ledger = Ledger(self._ledger_path, cohort, signer=signer)

    def close(self) -> None:
        """Give the ledger's lock back."""
        if self._ledger is not None:
            self._ledger.close()
            self._ledger = None

    @property
    def ledger_path(self) -> Path:
        """Where the open ledger lies."""
        self._opened()
        return self._ledger_path

    def copy_to(self, folder: Path) -> None:
        """Put a copy of the ledger beside a job's results, for those who look at them; it is never read back.

        Raises LedgerError where another ledger lies there, StorageError where it cannot be written.
        """
        copy_ledger(self.ledger_path, folder / "ledger.jsonl")

    @property
    def spent(self) -> Spent:
        """Epsilon so far, over all jobs of the cohort."""
        return self._opened()[0].spent()

    @property
    def head(self) -> Head:
        """Lines of the ledger and the hash of its last one, for the saved state to remember."""
        return self._opened()[0].head

    def require(self, head: Head) -> None:
        """Refuse to go on with a ledger that lacks what an earlier run of this job wrote; raises LedgerError."""
        verify(self._ledger_path, expected_head=head)

    def begin(self, round_index: int, *, clipping_norm: float | None = None, follows: int | None = None) -> None:
        """Start a round; where C is adaptive, with this C, which follows the release in that line of the ledger.

        Raises BudgetError where the round would pass the ledger's budget, or the job's own, which may be smaller; it
        must not be run.
        """
        ledger, terms, _ = self._opened()
        after = ledger.check_budget(terms.mechanism("", round_index))  # no cost depends on the name of the job
        if terms.epsilon_budget is not None and after.epsilon_rdp > terms.epsilon_budget:
            raise BudgetError(
                f"the round would bring the ledger to epsilon {after.epsilon_rdp:.4g} at delta {after.delta}, above "
                f"the job's own budget {terms.epsilon_budget}: use more noise or fewer rounds, or stop here"
            )
        self._round_index, self._norm, self._follows = round_index, clipping_norm, follows
        self._charged = None

    def process(self, shareable: Shareable, fl_ctx: FLContext) -> Shareable:
        """The sum with its noise; the charge is on disk before any noise is drawn."""
        _, terms, fixed = self._opened()
        dxo = from_shareable(shareable)
        if dxo.data_kind != SUM or dxo.data["sum"].dtype != np.int64:
            raise PrivacyError(f"noise goes on an integer {SUM}. Found {dxo.data_kind}.")
        noised = dxo.data["sum"]
        if not summation(terms.summation).noise_before_recovery:
            self._charge(fl_ctx)
            noised = add_noise(noised, fixed)
        elif self._charged is None:
            raise PrivacyError("the sum was recovered before its noise was drawn")
        self._noised_sha256 = hashlib.sha256(noised.astype("<i8").data).hexdigest()
        return DXO(SUM, data={"sum": noised}, meta=dxo.meta).to_shareable()

    def draw(self, fl_ctx: FLContext) -> Int64[np.ndarray, " d"]:
        """The noise of a sum that is still encrypted; the charge is on disk before it is drawn."""
        _, _, fixed = self._opened()
        self._charge(fl_ctx)
        return add_noise(np.zeros(fixed.dimension, dtype=np.int64), fixed)

    def _charge(self, fl_ctx: FLContext) -> None:
        ledger, terms, _ = self._opened()
        if self._round_index is None or self._charged is not None:
            raise PrivacyError("noise goes once on a round's sum: the round was not begun, or has its noise already")
        self._charged = ledger.charge(
            terms.mechanism(fl_ctx.get_job_id(), self._round_index, clipping_norm=self._norm, follows=self._follows)
        )

    def release(self, model: Float32[np.ndarray, " d"], share: float | None = None) -> None:
        """Write down what the round is about to release, with the share of updates within C where C is adaptive."""
        ledger, _, _ = self._opened()
        if self._charged is None:
            raise PrivacyError("nothing may be released: the round's noise was not added")
        ledger.release(
            self._charged,
            model_sha256=model_sha256(model).hex(),
            noised_sum_sha256=self._noised_sha256,
            share=share,
        )
        self._round_index = None

    def _opened(self) -> tuple[Ledger, RoundTerms, FixedPoint]:
        if self._ledger is None or self._terms is None or self._fixed is None:
            raise PrivacyError("the ledger is not open: the workflow opens it before the first round")
        return self._ledger, self._terms, self._fixed
