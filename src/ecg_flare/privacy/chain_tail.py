"""The end of a ledger on its way to somebody who holds an earlier head of it, and can check by hashes alone that the
ledger only grew.

What comes before a line is fixed by that line's digest, so whoever finds the own head on the way through the tail knows
that nothing before it was changed, taken out or put in.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ecg_flare.errors import LedgerError
from ecg_flare.privacy.chain import EMPTY, Head, Line, follow_lines


@dataclass(frozen=True)
class ChainTail:
    """The lines of a ledger after `base`, as bytes.

    ledger: SHA-256 of its first line, in hex, which names cohort and promise: the ledger's identity.
    """

    ledger: str
    base: Head
    texts: tuple[bytes, ...]

    @classmethod
    def read(cls, path: Path, base: Head = EMPTY) -> ChainTail:
        """The tail of the ledger at `path` after `base`; the whole where it does not begin with `base`.

        Raises LedgerError where the ledger cannot be read, or is empty.
        """
        try:
            texts = path.read_bytes().split(b"\n")[:-1]
        except OSError as error:
            raise LedgerError(f"the ledger {path} cannot be read: {error}") from error
        if not texts:
            raise LedgerError(f"{path} is empty, expected the ledger of a cohort")
        known = 0 < base.lines <= len(texts) and _sha256(texts[base.lines - 1]) == base.digest
        return cls(_sha256(texts[0]), base if known else EMPTY, tuple(texts[base.lines if known else 0 :]))

    @property
    def head(self) -> Head:
        """The head that it leads to; raises LedgerError where it is no chain."""
        return Head(self._lines[-1].number, self._lines[-1].digest) if self._lines else self.base

    def follow(self, held: Head | None) -> Head:
        """The head of the ledger, which must contain the `held` one; None where none is held yet.

        Raises LedgerError where the tail is no chain, ends before the held head, leads past it, or begins after it.
        """
        lines, head = self._lines, self.head
        if held is None:
            if self.base != EMPTY or not lines:
                raise LedgerError(
                    f"the ledger is sent from line {self.base.lines + 1} on, expected all of it: no head of it is held"
                )
            return head
        if head.lines < held.lines:
            raise LedgerError(
                f"the ledger ends at line {head.lines}, though line {held.lines} was seen: it was rolled back"
            )
        if held.lines < self.base.lines:
            raise LedgerError(
                f"the ledger is sent from line {self.base.lines + 1} on, expected it from line {held.lines + 1} on"
            )
        on_the_way = {self.base.lines: self.base.digest, **{line.number: line.digest for line in lines}}
        if on_the_way[held.lines] != held.digest:
            raise LedgerError(f"line {held.lines} of the ledger is another one than it was: there are two ledgers")
        return head

    @property
    def founding(self) -> Mapping[str, Any] | None:
        """What the first line says, where the tail begins with it; None elsewhere. Raises as `follow`."""
        lines = self._lines
        if self.base != EMPTY or not lines:
            return None
        entry = lines[0].entry
        if not isinstance(entry, Mapping) or not isinstance(entry.get("name"), str):
            raise LedgerError("the ledger's first line names no cohort")
        return entry

    @cached_property
    def _lines(self) -> tuple[Line, ...]:
        lines = follow_lines(self.base, self.texts, "the ledger of this request")
        if self.base == EMPTY and lines and lines[0].digest != self.ledger:
            raise LedgerError(f"the ledger is named {self.ledger[:12]}, but its first line is {lines[0].digest[:12]}")
        return lines


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
