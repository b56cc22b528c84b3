"""The privacy ledger of a cohort: what was released about its units, and what that cost.

It belongs to the cohort, not to a job: every job on the same data continues it. Its entries:

    cohort    once: unit, adjacency, delta, budget, roster
    charge    before a round's noise is drawn: the mechanism, and epsilon including it
    release   when the round's model is about to leave: hashes of the noised sum and of the model, and epsilon so far
    recovery  an incomplete line was found and cut off after a crash

A round is paid for by its charge, so a crash between noise and release is charged, and a round that is run again is
charged again. The hash of a sum is taken with the noise in it: the hash of the exact sum would let whoever guesses
the data confirm the guess.

The chain of hashes shows a change to any line. That lines are missing at the end shows only against a head kept
elsewhere: the file beside the ledger, or the one that each site remembers (`verify(expected_head=...)`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any

from ecg_flare.documents import Fields
from ecg_flare.errors import BudgetError, ConfigError, LedgerError, PrivacyError
from ecg_flare.privacy.accountant import Spent, epsilon_rdp, spent
from ecg_flare.privacy.chain import ChainWriter, Head, Line, Signer, Verifier, check_head, read_chain, read_head
from ecg_flare.privacy.cohort import Adaptation, Cohort, Mechanism, check_belongs
from ecg_flare.privacy.events import GaussianEvent

_RDP_TOLERANCE = 1e-9  # relative
# What the fields of an entry meet that are of another kind than their classes take; ConfigError is a ValueError.
_IMPOSSIBLE = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError)
_LARGEST_EPSILON = 1e300
_PRV_TOLERANCE = 0.02  # relative and absolute: the width of its interval differs between releases of opacus


@dataclass(frozen=True)
class Round:
    """One charged round as the ledger tells it; what its release says is None where nothing was released.

    share: the noised share of updates within C, where C is adaptive.
    """

    line: int
    mechanism: Mechanism
    spent: Spent
    noised_sum_sha256: str | None = None
    model_sha256: str | None = None
    share: float | None = None
    release_line: int | None = None
    spent_at_release: Spent | None = None

    @property
    def released(self) -> bool:
        """Whether a model left on the strength of it."""
        return self.release_line is not None


@dataclass(frozen=True)
class LedgerReport:
    """A ledger that was read and recomputed.

    anchored: whether a head vouched for its end; signed: how many lines bear a signature, checked or not.
    """

    cohort: Cohort
    rounds: tuple[Round, ...]
    spent: Spent
    head: Head
    anchored: bool
    signed: int


class Ledger:
    """The open ledger of a cohort, locked against other writers.

    A new file starts with the cohort; an old one must name the same. Use it as a context manager.

    Raises LedgerError where the file is wrong, in use or another cohort's, StorageError where it cannot be written.
    """

    def __init__(self, path: Path, cohort: Cohort, *, signer: Signer | None = None) -> None:
        self.cohort = cohort
        self._chain = ChainWriter(path, signer)
        try:
            self._start()
        except BaseException:
            self.close()
            raise

    def _start(self) -> None:
        if self._chain.lines:
            found, self._rounds = _replay(self._chain.path, self._chain.lines)
            _check_same_cohort(self._chain.path, found, self.cohort)
        else:
            self._rounds = {}
            self._append("cohort", asdict(self.cohort))
        if torn := self._chain.torn:
            self._append("recovery", {"torn_bytes": len(torn)})

    @property
    def head(self) -> Head:
        """Number of lines and SHA-256 of the last, for others to remember."""
        return self._chain.head

    @property
    def rounds(self) -> tuple[Round, ...]:
        """The rounds that were charged, in order."""
        return tuple(self._rounds.values())

    def spent(self) -> Spent:
        """Epsilon so far."""
        return spent(self._events(), self.cohort.delta)

    def check_budget(self, event: GaussianEvent) -> Spent:
        """Epsilon after `event`, which may stand for the many rounds of a job.

        Raises BudgetError where that passes the budget: do not run the round.
        """
        after = spent([*self._events(), event], self.cohort.delta)
        if self.cohort.epsilon_budget is not None and after.epsilon_rdp > self.cohort.epsilon_budget:
            raise BudgetError(
                f"{event.count} more release(s) at noise multiplier {event.noise_multiplier} and rate "
                f"{event.sampling_rate} would bring cohort {self.cohort.name!r} to epsilon {after.epsilon_rdp:.4g} at "
                f"delta {self.cohort.delta}, above its budget {self.cohort.epsilon_budget} "
                f"({len(self._rounds)} rounds are charged so far): use more noise or fewer rounds, or stop here"
            )
        return after

    def guarantee_after(self, event: GaussianEvent) -> float:
        """Epsilon by Rényi accounting after `event`, for a limit that is not the cohort's budget."""
        return epsilon_rdp([*self._events(), event], self.cohort.delta)

    def charge(self, mechanism: Mechanism) -> Round:
        """Pay for a round; only after this returned may its noise be drawn.

        Raises BudgetError where the round would pass the budget, LedgerError where it is not this cohort's, and
        StorageError where the charge cannot be put on disk. In each case the round must not be released.
        """
        check_belongs(mechanism, self.cohort)
        _check_follows(mechanism, self._rounds)
        after = self.check_budget(mechanism.event)
        charged = Round(self.head.lines + 1, mechanism, after)
        fields = {**asdict(mechanism), "sensitivity": mechanism.sensitivity, "spent": asdict(after)}
        self._record(charged, "charge", fields)
        return charged

    def release(
        self, charged: Round, *, model_sha256: str, noised_sum_sha256: str | None = None, share: float | None = None
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
        released = _released(self.head.lines + 1, fields, self._rounds)
        self._record(released, "release", fields)

    def close(self) -> None:
        """Give the lock back."""
        self._chain.close()

    def __enter__(self) -> Ledger:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _events(self) -> list[GaussianEvent]:
        return [charged.mechanism.event for charged in self._rounds.values()]

    def _record(self, entered: Round, kind: str, fields: Mapping[str, Any]) -> None:
        lines_before = self.head.lines
        try:
            self._append(kind, fields)
        finally:
            if self.head.lines > lines_before:  # also where only the head of the chain could not be written
                self._rounds[entered.line] = entered

    def _append(self, kind: str, fields: Mapping[str, Any]) -> None:
        now = datetime.now(UTC).isoformat(timespec="seconds")
        self._chain.append({**fields, "kind": kind, "time": now})


def verify(path: Path, *, verifier: Verifier | None = None, expected_head: Head | None = None) -> LedgerReport:
    """Read a ledger as a third party: check every line, recompute every epsilon.

    `verifier` demands a genuine signature on each line; `expected_head` is one that somebody remembered, and else the
    file beside the ledger is used where there is one.

    Raises LedgerError naming the first line that is wrong.
    """
    chain = read_chain(path, verifier)
    heads = [head for head in (read_head(path), expected_head) if head is not None]
    for head in heads:
        check_head(path, chain, head)
    if chain.torn:
        raise LedgerError(
            f"{path}, line {len(chain.lines) + 1}: is incomplete; a job is writing it or crashed over it, and the next "
            "job of this cohort will cut it off"
        )
    if not chain.lines:
        raise LedgerError(f"{path} is empty, expected the ledger of a cohort")
    cohort, rounds = _replay(path, chain.lines)
    _recompute(path, cohort, list(rounds.values()))
    total = spent([charged.mechanism.event for charged in rounds.values()], cohort.delta)
    return LedgerReport(cohort, tuple(rounds.values()), total, chain.head, bool(heads), chain.signed)


def _replay(path: Path, lines: Sequence[Line]) -> tuple[Cohort, dict[int, Round]]:
    """The cohort, and its rounds by the number of the line that charged them."""
    cohort: Cohort | None = None
    rounds: dict[int, Round] = {}
    for line in lines:
        fields = {name: value for name, value in line.entry.items() if name not in ("kind", "time")}
        try:
            match line.entry["kind"], cohort:
                case "cohort", None:
                    cohort = Cohort(**{**fields, "roster": tuple(fields["roster"])})
                case "charge", Cohort():
                    rounds[line.number] = _charged(line.number, fields, cohort, rounds)
                case "release", Cohort():
                    rounds[fields["charge"]] = _released(line.number, fields, rounds)
                case "recovery", Cohort():
                    pass
                case kind, _:
                    raise LedgerError(f"an entry {kind!r} cannot stand here")
        except (
            PrivacyError,
            ConfigError,
            LookupError,
            TypeError,
            ValueError,
            AttributeError,
            ArithmeticError,
        ) as error:
            raise LedgerError(f"{path}, line {line.number}: {error}; restore the ledger from a copy") from error
    if cohort is None:
        raise LedgerError(f"{path} names no cohort")
    return cohort, rounds


def _charged(number: int, fields: dict[str, Any], cohort: Cohort, rounds: Mapping[int, Round]) -> Round:
    figures, sensitivity = _read_spent(fields.pop("spent")), fields.pop("sensitivity")
    if fields.get("adaptation") is not None:
        fields["adaptation"] = Adaptation.from_json(fields["adaptation"])
    mechanism = Mechanism(**fields)
    check_belongs(mechanism, cohort)
    _check_follows(mechanism, rounds)
    if sensitivity != mechanism.sensitivity:
        raise LedgerError(f"claims a sensitivity of {sensitivity}, but its terms give {mechanism.sensitivity}")
    return Round(number, mechanism, figures)


def _check_follows(mechanism: Mechanism, rounds: Mapping[int, Round]) -> None:
    """Refuse an adaptive C that is not what an earlier release of the same rule leads to; raises LedgerError."""
    adaptation = mechanism.adaptation
    if adaptation is None:
        return
    if adaptation.line is None:
        adaptation.check(mechanism.clipping_norm, None)
        return
    followed = next((one for one in rounds.values() if one.release_line == adaptation.line), None)
    earlier = None if followed is None else followed.mechanism.adaptation
    if followed is None or earlier is None or followed.share is None or followed.mechanism.round >= mechanism.round:
        raise LedgerError(f"the clipping norm follows line {adaptation.line}, which releases no earlier round's share")
    if (earlier.rule, earlier.start) != (adaptation.rule, adaptation.start):
        raise LedgerError(f"the clipping norm follows line {adaptation.line}, whose rule is another: {earlier}")
    adaptation.check(mechanism.clipping_norm, (followed.mechanism.clipping_norm, followed.share))


def _released(number: int, fields: Mapping[str, Any], rounds: Mapping[int, Round]) -> Round:
    charged = rounds.get(fields["charge"])
    if charged is None or charged.released:
        raise LedgerError(f"the release names the charge of line {fields['charge']}, which is unknown or was used")
    share = fields.get("share")
    adaptive = charged.mechanism.adaptation is not None
    if (share is not None) != adaptive or not 0 <= (share or 0) <= 1:
        expected = "it from 0 to 1: the clipping norm is adaptive" if adaptive else "none: the clipping norm is fixed"
        raise LedgerError(f"the release's share is {share}, expected {expected}")
    return Round(
        charged.line,
        charged.mechanism,
        charged.spent,
        fields["noised_sum_sha256"],
        fields["model_sha256"],
        share,
        number,
        _read_spent(fields["spent"]),
    )


def _read_spent(values: object) -> Spent:
    fields = Fields(values, "spent", LedgerError).only(("delta", "epsilon_rdp", "epsilon_prv"))
    epsilons = (
        fields.number("epsilon_rdp", 0, _LARGEST_EPSILON),
        fields.number("epsilon_prv", 0, _LARGEST_EPSILON, None),
    )
    return Spent(fields.number("delta", 0, 1), *epsilons)


def _recompute(path: Path, cohort: Cohort, rounds: Iterable[Round]) -> None:
    events: list[GaussianEvent] = []
    for charged in rounds:
        events.append(charged.mechanism.event)
        true = spent(events, cohort.delta)
        if not _same_figures(charged.spent, true):
            raise LedgerError(f"{path}, line {charged.line}: claims {charged.spent}, but recomputing gives {true}")
        if charged.released and charged.spent_at_release != charged.spent:
            raise LedgerError(
                f"{path}, line {charged.release_line}: claims {charged.spent_at_release}, its charge of line "
                f"{charged.line} {charged.spent}"
            )
        if true.epsilon_rdp > (cohort.epsilon_budget or math.inf) * (1 + _RDP_TOLERANCE):
            raise LedgerError(
                f"{path}, line {charged.line}: epsilon {true.epsilon_rdp} passes the budget {cohort.epsilon_budget}"
            )


def _same_figures(claimed: Spent, true: Spent) -> bool:
    if claimed.delta != true.delta or (claimed.epsilon_prv is None) != (true.epsilon_prv is None):
        return False
    tight = (
        claimed.epsilon_prv is None
        or true.epsilon_prv is None
        or math.isclose(claimed.epsilon_prv, true.epsilon_prv, rel_tol=_PRV_TOLERANCE, abs_tol=_PRV_TOLERANCE)
    )
    return tight and math.isclose(claimed.epsilon_rdp, true.epsilon_rdp, rel_tol=_RDP_TOLERANCE)


def _check_same_cohort(path: Path, found: Cohort, asked: Cohort) -> None:
    before, now = asdict(found), asdict(asked)
    changed = [f"{name} {before[name]!r}, not {now[name]!r}" for name in before if before[name] != now[name]]
    if changed:
        raise LedgerError(
            f"{path} belongs to a cohort with {'; '.join(changed)}: use the cohort's own values, or another ledger for "
            "other data"
        )
