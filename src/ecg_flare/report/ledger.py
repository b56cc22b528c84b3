"""The run's ledger, recomputed as a third party would."""

from dataclasses import dataclass

from ecg_flare.errors import LedgerError
from ecg_flare.report.run import Run


@dataclass(frozen=True)
class LedgerCheck:
    """Whether the ledger holds, in a sentence."""

    holds: bool
    sentence: str


def check_ledger(run: Run) -> LedgerCheck | None:
    """Recompute the ledger beside the run; None where there is none."""
    path = run.file("ledger.jsonl")
    if path is None:
        return None
    from ecg_flare.privacy.ledger import verify

    try:
        told = verify(path)
    except LedgerError as error:
        return LedgerCheck(False, f"The ledger does not hold: {error}")
    released = sum(each.released for each in told.rounds)
    return LedgerCheck(
        True,
        f"The ledger was recomputed for this report and holds: {len(told.rounds)} rounds charged, {released} released, "
        f"epsilon {told.spent.epsilon_rdp:.2f}.",
    )
