"""Server-side differential privacy: Gaussian noise on the round's integer sum, paid for in the cohort's ledger first.

A post-aggregation filter: it stands between the sum and the server optimizer, where it runs once a round. (A filter
on FLARE's outgoing tasks would run once for each site.)
"""

import hashlib
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Int64
from nvflare.apis.dxo import DXO, from_shareable
from nvflare.apis.filter import Filter
from nvflare.apis.fl_context import FLContext
from nvflare.apis.shareable import Shareable

from ecg_flare.errors import ConfigError, PrivacyError
from ecg_flare.flare.messages import SUM, model_sha256
from ecg_flare.flare.terms import RoundTerms
from ecg_flare.privacy.accountant import Spent
from ecg_flare.privacy.chain import Head, Signer
from ecg_flare.privacy.cohort import Cohort
from ecg_flare.privacy.gaussian import add_noise
from ecg_flare.privacy.ledger import Ledger, Round, verify
from ecg_flare.privacy.secure_sum.encoding import FixedPoint


class GaussianMechanism(Filter):
    """Adds the noise that the job's terms promise, and keeps the ledger.

    In a round: `begin` (is there budget left?), `process` (charge on disk, then noise), `release` (what is about to
    leave, on disk). A crash between any two leaves the round charged. Where the sum is encrypted, `draw` charges and
    gives the noise that goes on it before any site opens it, and `process` takes the sum that was opened.

    Args:
        ledger: path of the cohort's ledger. By default `ledger.jsonl` beside the job's results; a consortium names
            one that outlives its jobs, and each later job on the same data continues it.
        cohort: the cohort's name in the ledger.
    """

    def __init__(self, ledger: str = "", cohort: str = "cohort") -> None:
        super().__init__()
        self._path = ledger
        self._cohort = cohort
        self._ledger: Ledger | None = None
        self._terms: RoundTerms | None = None
        self._fixed: FixedPoint | None = None
        self._round_index: int | None = None
        self._norm: float | None = None
        self._follows: int | None = None
        self._charged: Round | None = None
        self._noised_sha256 = ""
        self._ledger_path = Path(ledger)

    def open(self, terms: RoundTerms, dimension: int, folder: Path, signer: Signer | None = None) -> None:
        """Open the ledger, whose lines `signer` signs where there is one.

        Raises LedgerError where it is another cohort's, in use, or was changed.
        """
        if terms.epsilon_budget is None:
            raise ConfigError("noise needs terms with an epsilon_budget. Found null.")
        self.close()
        cohort = Cohort(self._cohort, terms.unit, terms.roster, terms.delta, terms.epsilon_budget)
        self._terms = terms
        self._fixed = terms.config.fixed_encoding(dimension)
        self._ledger_path = Path(self._path).expanduser() if self._path else folder / "ledger.jsonl"
        self._ledger = Ledger(self._ledger_path, cohort, signer=signer)

    def close(self) -> None:
        """Give the ledger's lock back."""
        if self._ledger is not None:
            self._ledger.close()
            self._ledger = None

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

        Raises BudgetError where the round would pass the budget, and must not be run.
        """
        ledger, terms, _ = self._opened()
        ledger.check_budget(terms.mechanism("", round_index))  # what a round costs does not depend on its job's name
        self._round_index, self._norm, self._follows = round_index, clipping_norm, follows
        self._charged = None

    def process(self, shareable: Shareable, fl_ctx: FLContext) -> Shareable:
        """The sum with its noise; the charge is on disk before any noise is drawn."""
        _, terms, fixed = self._opened()
        dxo = from_shareable(shareable)
        if dxo.data_kind != SUM or dxo.data["sum"].dtype != np.int64:
            raise PrivacyError(f"noise goes on an integer {SUM}. Found {dxo.data_kind}.")
        noised = dxo.data["sum"]
        if terms.summation != "encrypted":
            self._charge(fl_ctx)
            noised = add_noise(noised, fixed)
        elif self._charged is None:
            raise PrivacyError("an encrypted sum was opened before its noise was drawn")
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
