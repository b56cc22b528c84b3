"""What the entries of a ledger say, taken in one after another: each is checked against all before it.

Whoever writes a ledger and whoever verifies one read it by this, and hold its Rényi figures against their own. The
running composition makes a line cost the same however many came before. PRV figures need all of them at once, so they
are no part of it but where they are a closed form.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ecg_flare.documents import Fields
from ecg_flare.errors import ConfigError, LedgerError, PrivacyError
from ecg_flare.privacy.accountant import Composition, Spent
from ecg_flare.privacy.chain import ChainEntry, Line
from ecg_flare.privacy.cohort import Adaptation, Cohort, Mechanism, check_belongs
from ecg_flare.privacy.events import GaussianEvent, Unit, merge

PRV_TOLERANCE = 0.02  # relative and absolute: the width of its interval differs between accountants
_RDP_TOLERANCE = 1e-9  # relative
_LARGEST_EPSILON = 1e300


@dataclass(frozen=True)
class LedgerRound:
    """One charged round as the ledger records it; what its release says is None where nothing was released.

    spent: epsilon of the cohort's unit, including this round; PRV where it was told with the charge.
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


class History:
    """The entries so far.

    cohort: with the roster in force; rosters: the number of a line -> the roster from there on; rounds: by the number
    of the line that charged them.
    """

    def __init__(self, cohort: Cohort, line: int = 1) -> None:
        self.cohort = cohort
        self.rosters: dict[int, tuple[str, ...]] = {line: cohort.roster}
        self.rounds: dict[int, LedgerRound] = {}
        self._composed = Composition()
        self._sharing: set[tuple[Unit, bool]] = set()

    def events(self, unit: Unit, *, until_line: int | None = None) -> tuple[GaussianEvent, ...]:
        """What all rounds, or those charged up to a line, did to one unit."""
        return merge(
            event
            for charged in self.rounds.values()
            if until_line is None or charged.line <= until_line
            for event in charged.mechanism.events_for(unit)
        )

    def spent_after(self, mechanism: Mechanism, rounds: int = 1) -> Spent:
        """Epsilon of the cohort's unit after so many more rounds; PRV only where it is a closed form."""
        more = (replace(event, count=event.count * rounds) for event in mechanism.events_for(self.cohort.unit))
        return self._composed.followed_by(more).spent(self.cohort.delta)

    def check_charge(self, mechanism: Mechanism) -> None:
        """Refuse a round that is not the cohort's, or that does not follow from those before; raises LedgerError."""
        check_belongs(mechanism, self.cohort)
        _check_follows(mechanism, self.rounds)
        if {("patient", True), ("site", False)} <= self._sharing | {(mechanism.unit, mechanism.shared_patients)}:
            raise LedgerError(
                "patients are shared between sites in a round of unit patient and not in one of unit site, though they "
                "are the same patients: a ledger whose patients are shared takes no round of unit site that does not "
                "say so"
            )

    def take_charge(self, charged: LedgerRound) -> None:
        """Count a round that is charged."""
        self.rounds[charged.line] = charged
        self._composed.add(charged.mechanism.events_for(self.cohort.unit))
        self._sharing.add((charged.mechanism.unit, charged.mechanism.shared_patients))

    def released(self, number: int, fields: ChainEntry) -> LedgerRound:
        """The round that a release in line `number` is of; raises LedgerError where its charge is unknown or used."""
        return _released(number, fields, self.rounds)

    def take_release(self, released: LedgerRound) -> None:
        """Count what was released."""
        self.rounds[released.line] = released

    def take_roster(self, number: int, fields: ChainEntry) -> None:
        """Change the roster; raises LedgerError where it was another before, ConfigError for an impossible one."""
        before, after = tuple(fields["from"]), tuple(fields["to"])
        if set(fields) != {"from", "to"} or before != self.cohort.roster or set(before) == set(after):
            raise LedgerError(f"changes the roster from {before} to {after}, which was {self.cohort.roster}")
        self.cohort = replace(self.cohort, roster=after)
        self.rosters[number] = after

    def take(self, number: int, kind: str, fields: dict[str, Any]) -> None:
        """Take in an entry as it was read; raises LedgerError where it cannot stand there."""
        match kind:
            case "charge":
                self._take_written_charge(number, fields)
            case "release":
                told = self.released(number, fields)
                if told.spent_at_release != told.spent:
                    raise LedgerError(f"claims {told.spent_at_release}, its charge of line {told.line} {told.spent}")
                self.take_release(told)
            case "roster":
                self.take_roster(number, fields)
            case "recovery":
                pass
            case _:
                raise LedgerError(f"an entry {kind!r} cannot stand here")

    def last_told_prv(self) -> LedgerRound | None:
        """The last round whose charge told a PRV figure that is no closed form, as earlier versions did."""
        told = (one for one in reversed(self.rounds.values()) if one.spent.epsilon_prv is not None)
        return next(told, None) if self._composed.sampled else None

    def _take_written_charge(self, number: int, fields: dict[str, Any]) -> None:
        claimed, sensitivity = _read_spent(fields.pop("spent")), fields.pop("sensitivity")
        if fields.get("adaptation") is not None:
            fields["adaptation"] = Adaptation.from_json(fields["adaptation"])
        # Earlier versions had ledgers of one unit, and did not name it in each line.
        mechanism = Mechanism(**{"unit": self.cohort.unit, **fields})
        self.check_charge(mechanism)
        if sensitivity != mechanism.sensitivity:
            raise LedgerError(f"claims a sensitivity of {sensitivity}, but its terms give {mechanism.sensitivity}")
        true = self.spent_after(mechanism)
        before = next(reversed(self.rounds.values())).spent if self.rounds else None
        self.take_charge(LedgerRound(number, mechanism, claimed))
        if not _same_figures(claimed, true, sampled=self._composed.sampled, before=before):
            raise LedgerError(f"claims {claimed}, but recomputing gives {true}")
        if true.epsilon_rdp > (self.cohort.epsilon_budget or math.inf) * (1 + _RDP_TOLERANCE):
            raise LedgerError(f"epsilon {true.epsilon_rdp} passes the budget {self.cohort.epsilon_budget}")


def read_history(path: Path, lines: Sequence[Line]) -> History:
    """What the lines of a ledger say; raises LedgerError naming the first that is wrong."""
    history: History | None = None
    for line in lines:
        try:
            fields = {name: value for name, value in line.entry.items() if name not in ("kind", "time")}
            kind = line.entry["kind"]
            if history is not None:
                history.take(line.number, kind, fields)
            elif kind == "cohort":
                history = History(Cohort.from_json(fields), line.number)
            else:
                raise LedgerError(f"an entry {kind!r} cannot stand here")
        except (
            PrivacyError,
            ConfigError,
            LookupError,
            TypeError,
            AttributeError,
            ArithmeticError,
            ValueError,
        ) as error:
            raise LedgerError(f"{path}, line {line.number}: {error}; restore the ledger from a copy") from error
    if history is None:
        raise LedgerError(f"{path} is empty, expected the ledger of a cohort")
    return history


def _check_follows(mechanism: Mechanism, rounds: Mapping[int, LedgerRound]) -> None:
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


def _released(number: int, fields: ChainEntry, rounds: Mapping[int, LedgerRound]) -> LedgerRound:
    charged = rounds.get(fields["charge"])
    if charged is None or charged.released:
        raise LedgerError(f"the release names the charge of line {fields['charge']}, which is unknown or was used")
    share = fields.get("share")
    adaptive = charged.mechanism.adaptation is not None
    if (share is not None) != adaptive or not 0 <= (share or 0) <= 1:
        expected = "it from 0 to 1: the clipping norm is adaptive" if adaptive else "none: the clipping norm is fixed"
        raise LedgerError(f"the release's share is {share}, expected {expected}")
    return replace(
        charged,
        noised_sum_sha256=fields["noised_sum_sha256"],
        model_sha256=fields["model_sha256"],
        share=share,
        release_line=number,
        spent_at_release=_read_spent(fields["spent"]),
    )


def _read_spent(values: object) -> Spent:
    fields = Fields(values, "spent", LedgerError).only(("delta", "epsilon_rdp", "epsilon_prv"))
    epsilons = (
        fields.number("epsilon_rdp", 0, _LARGEST_EPSILON),
        fields.number("epsilon_prv", 0, _LARGEST_EPSILON, None),
    )
    return Spent(fields.number("delta", 0, 1), *epsilons)


def _same_figures(claimed: Spent, true: Spent, *, sampled: bool, before: Spent | None) -> bool:
    """Whether a line's figures are the true ones.

    Under sampling a line tells no PRV. Where an earlier version told one it may not fall, nor pass the guarantee;
    `verify` computes the last of them anew.
    """
    if claimed.delta != true.delta or not math.isclose(claimed.epsilon_rdp, true.epsilon_rdp, rel_tol=_RDP_TOLERANCE):
        return False
    if not sampled:
        return same_prv(claimed.epsilon_prv, true.epsilon_prv)
    least = 0.0 if before is None or before.epsilon_prv is None else before.epsilon_prv
    slack = PRV_TOLERANCE * (1 + true.epsilon_rdp)
    return claimed.epsilon_prv is None or least - slack <= claimed.epsilon_prv <= true.epsilon_rdp + slack


def same_prv(claimed: float | None, true: float | None) -> bool:
    """Whether a PRV figure is the true one, as far as accountants agree."""
    if claimed is None or true is None:
        return claimed is true
    return math.isclose(claimed, true, rel_tol=PRV_TOLERANCE, abs_tol=PRV_TOLERANCE)
