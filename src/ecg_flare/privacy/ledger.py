"""The privacy ledger of a cohort: what was released about its units, and what that cost.

It belongs to the cohort, not to a job: every job on the same data continues it. Its entries:

    cohort    once: unit, adjacency, delta, budget, roster
    roster    sites joined or left: the roster before and after; what was spent stays spent
    charge    before a round's noise is drawn: the mechanism, and epsilon including it
    release   when the round's model is about to leave: hashes of the noised sum and of the model, and epsilon so far
    recovery  an incomplete line was found and cut off after a crash

A round is paid for by its charge, so a crash between noise and release is charged, and a round that is run again is
charged again. The hash of a sum is taken with the noise in it: the hash of the exact sum would let whoever guesses
the data confirm the guess.

Each charge names the unit of its job, and costs every unit that the ledger promises something (`Mechanism.events_for`).
A ledger of unit patient gives two figures: what a patient lost in all jobs, and what a site lost in those of unit site.
The second is never above the first, so whoever bounds what patients lose bounds both.

Budgets are held by Rényi accounting, a line at a time. PRV is computed of all lines together, when somebody asks.

The chain of hashes shows a change to any line. That lines are missing at the end shows only against a head kept
elsewhere: the files beside the ledger, or the one that each site remembers and has countersigned
(`verify(expected_head=...)`, `privacy.countersignature`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any

from ecg_flare.errors import BudgetError, LedgerError
from ecg_flare.privacy.accountant import Spent, epsilon_prv, spent
from ecg_flare.privacy.chain import ChainWriter, Head, LineSigner, LineVerifier, check_head, heads_beside, read_chain
from ecg_flare.privacy.cohort import Cohort, Mechanism
from ecg_flare.privacy.events import GaussianEvent, Unit, merge
from ecg_flare.privacy.ledger_history import History, LedgerRound, read_history, same_prv

__all__ = ["Ledger", "LedgerReport", "LedgerRound", "read_cohort", "verify"]


@dataclass(frozen=True)
class LedgerReport:
    """A ledger that was read and recomputed.

    cohort: with the roster in force at its end; rosters: line -> the roster from there on.
    spent: of the cohort's unit; spent_by_unit: of every unit that the ledger covers.
    anchored: whether a head vouched for its end; signed: how many lines bear a signature, checked or not.
    """

    cohort: Cohort
    rounds: tuple[LedgerRound, ...]
    spent: Spent
    head: Head
    anchored: bool
    signed: int
    spent_by_unit: Mapping[Unit, Spent]
    rosters: Mapping[int, tuple[str, ...]]

    @property
    def events(self) -> tuple[GaussianEvent, ...]:
        """What all rounds did to one unit of the cohort."""
        return merge(event for charged in self.rounds for event in charged.mechanism.events_for(self.cohort.unit))


class Ledger:
    """The open ledger of a cohort, locked against other writers.

    A new file starts with the cohort; an old one must name the same, but for its roster, which may change. Use it as a
    context manager.

    Raises LedgerError where the file is wrong, in use or another cohort's, StorageError where it cannot be written.
    """

    def __init__(self, path: Path, cohort: Cohort, *, signer: LineSigner | None = None) -> None:
        self._chain = ChainWriter(path, signer)
        try:
            self._history = self._start(cohort)
        except BaseException:
            self.close()
            raise

    def _start(self, cohort: Cohort) -> History:
        if self._chain.lines:
            history = read_history(self._chain.path, self._chain.lines)
            _check_same_cohort(self._chain.path, history.cohort, cohort)
        else:
            self._append("cohort", asdict(cohort))
            history = History(cohort)
        if torn := self._chain.torn:
            self._append("recovery", {"torn_bytes": len(torn)})
        if set(history.cohort.roster) != set(cohort.roster):
            fields = {"from": history.cohort.roster, "to": cohort.roster}
            self._append("roster", fields)
            history.take_roster(self.head.lines, fields)
        return history

    @property
    def cohort(self) -> Cohort:
        """Whose ledger it is, with the roster in force."""
        return self._history.cohort

    @property
    def head(self) -> Head:
        """Number of lines and SHA-256 of the last, for others to remember."""
        return self._chain.head

    @property
    def rounds(self) -> tuple[LedgerRound, ...]:
        """The rounds that were charged, in order."""
        return tuple(self._history.rounds.values())

    def spent(self, unit: Unit | None = None) -> Spent:
        """Epsilon so far by both accountants, of the cohort's unit or of another that the ledger covers."""
        return spent(self._history.events(unit or self.cohort.unit), self.cohort.delta)

    def check_budget(self, mechanism: Mechanism, rounds: int = 1) -> Spent:
        """Epsilon of the cohort's unit after so many more rounds like this one.

        Raises BudgetError where that passes the budget: do not run the round.
        """
        after = self._history.spent_after(mechanism, rounds)
        if self.cohort.epsilon_budget is not None and after.epsilon_rdp > self.cohort.epsilon_budget:
            raise BudgetError(
                f"{rounds} more release(s) at noise multiplier {mechanism.noise_multiplier} and rate "
                f"{mechanism.sampling_rate} would bring cohort {self.cohort.name!r} to epsilon {after.epsilon_rdp:.4g} "
                f"at delta {self.cohort.delta}, above its budget {self.cohort.epsilon_budget} "
                f"({len(self._history.rounds)} rounds are charged so far): use more noise or fewer rounds, or stop here"
            )
        return after

    def guarantee_after(self, mechanism: Mechanism) -> float:
        """Epsilon by Rényi accounting after this round, for a limit that is not the cohort's budget."""
        return self._history.spent_after(mechanism).epsilon_rdp

    def charge(self, mechanism: Mechanism) -> LedgerRound:
        """Pay for a round; only after this returned may its noise be drawn.

        Raises BudgetError where the round would pass the budget, LedgerError where it is not this cohort's, and
        StorageError where the charge cannot be put on disk. In each case the round must not be released.
        """
        self._history.check_charge(mechanism)
        after = self.check_budget(mechanism)
        charged = LedgerRound(self.head.lines + 1, mechanism, after)
        fields = {**asdict(mechanism), "sensitivity": mechanism.sensitivity, "spent": asdict(after)}
        self._record("charge", fields, lambda: self._history.take_charge(charged))
        return charged

    def release(
        self,
        charged: LedgerRound,
        *,
        model_sha256: str,
        noised_sum_sha256: str | None = None,
        share: float | None = None,
    ) -> None:
        """Record what is about to leave on the strength of a charge; call it before the model is published.

        `share` is the noised share of updates within C, where C is adaptive.

        Raises LedgerError where that charge is unknown or was used, StorageError where it cannot be put on disk.
        """
        fields = {
            "charge": charged.line,
            "model_sha256": model_sha256,
            "noised_sum_sha256": noised_sum_sha256,
            "share": share,
            "spent": asdict(charged.spent),
        }
        released = self._history.released(self.head.lines + 1, fields)
        self._record("release", fields, lambda: self._history.take_release(released))

    def close(self) -> None:
        """Give the lock back."""
        self._chain.close()

    def __enter__(self) -> Ledger:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _record(self, kind: str, fields: Mapping[str, Any], take: Callable[[], None]) -> None:
        lines_before = self.head.lines
        try:
            self._append(kind, fields)
        finally:
            if self.head.lines > lines_before:  # also where only the head of the chain could not be written
                take()

    def _append(self, kind: str, fields: Mapping[str, Any]) -> None:
        now = datetime.now(UTC).isoformat(timespec="seconds")
        self._chain.append({**fields, "kind": kind, "time": now})


def verify(path: Path, *, verifier: LineVerifier | None = None, expected_head: Head | None = None) -> LedgerReport:
    """Read a ledger as a third party: check every line, recompute every epsilon.

    `verifier` demands a genuine signature on each line; `expected_head` is one that somebody remembered. Heads in the
    files beside the ledger are looked at in any case.

    Raises LedgerError naming the first line that is wrong.
    """
    chain = read_chain(path, verifier)
    heads = [*heads_beside(path), *([] if expected_head is None else [expected_head])]
    for head in heads:
        check_head(path, chain, head)
    if chain.torn:
        raise LedgerError(
            f"{path}, line {len(chain.lines) + 1}: is incomplete; a job is writing it or crashed over it, and the next "
            "job of this cohort will cut it off"
        )
    history = read_history(path, chain.lines)
    _check_told_prv(path, history)
    cohort = history.cohort
    units: tuple[Unit, ...] = ("patient", "site") if cohort.unit == "patient" else ("site",)
    by_unit = {unit: spent(history.events(unit), cohort.delta) for unit in units}
    rounds, total = tuple(history.rounds.values()), by_unit[cohort.unit]
    return LedgerReport(cohort, rounds, total, chain.head, bool(heads), chain.signed, by_unit, history.rosters)


def read_cohort(path: Path) -> Cohort | None:
    """Whose ledger the file is; None where there is none yet. Raises LedgerError where it is wrong."""
    lines = read_chain(path).lines if path.exists() else ()
    return read_history(path, lines).cohort if lines else None


def _check_told_prv(path: Path, history: History) -> None:
    """Compute the last PRV figure of an earlier version anew; where it is beyond this one's means it stays a claim."""
    told = history.last_told_prv()
    if told is None:
        return
    true = epsilon_prv(history.events(history.cohort.unit, until_line=told.line), history.cohort.delta)
    if true is not None and not same_prv(told.spent.epsilon_prv, true):
        raise LedgerError(f"{path}, line {told.line}: claims {told.spent}, but recomputing gives a PRV of {true}")


def _check_same_cohort(path: Path, found: Cohort, asked: Cohort) -> None:
    before, now = asdict(found), asdict(replace(asked, roster=found.roster))
    changed = [f"{name} {before[name]!r}, not {now[name]!r}" for name in before if before[name] != now[name]]
    if changed:
        raise LedgerError(
            f"{path} belongs to a cohort with {'; '.join(changed)}: use the cohort's own values, or another ledger for "
            "other data"
        )
