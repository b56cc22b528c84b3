"""What printed words say of the paper: "25 mm/s", "10 mm/mV", "10/5 mm/mV", "Limb: 10 mm/mV Chest: 5 mm/mV".

A number counts only with its unit beside it, and only if machines print it: a digit that was lost or misread leaves a
number that none prints. What else is printed, names and dates among it, is not kept.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from ecg_flare.digitize.words.printed_word import PrintedWord

Kind = Literal["speed", "gain", "limb_gain", "chest_gain"]

USUAL_SPEEDS_MM_PER_S: Final = (12.5, 25.0, 50.0, 100.0)
"""Speeds that machines print. None loses a digit and becomes another one: 5 and 2.5 mm/s are left out for it."""

USUAL_GAINS_MM_PER_MV: Final = (2.5, 5.0, 10.0, 20.0, 40.0)

LEAST_SCORE: Final = 0.7
"""A line that was read less surely says nothing."""

_NUMBER: Final = r"(?<![\d.,/])(?P<number>[\dOol]{1,3}(?:[.,]\d{1,2})?)"
_MM: Final = "[mnr]{1,3}"  # letters that run into each other
_SPEED: Final = re.compile(_NUMBER + r"\s*" + _MM + r"\s*/\s*s(?:ec|eg|ek)?(?![a-z])", re.IGNORECASE)
_GAIN: Final = re.compile(
    r"(?:(?P<limb>limbs?|extr(?:em\w*)?|ext)|(?P<chest>chest|prec(?:ord\w*)?|brust\w*|v1?\s*-\s*v?6|v))?"
    r"[\s.:=]*" + _NUMBER + r"\s*" + _MM + r"\s*/\s*[mn]{1,2}\s*v",
    re.IGNORECASE,
)
_TWO_GAINS: Final = re.compile(
    r"(?<![\d.,/])(?P<limb>\d{1,2})\s*/\s*(?P<chest>\d{1,2})\s*" + _MM + r"\s*/\s*[mn]{1,2}\s*v", re.IGNORECASE
)
_ANY_NUMBER: Final = re.compile(r"(?<![\d.,])(?P<number>\d[\dOol]{0,2}(?:[.,]\d{1,2})?)")
_DIGITS: Final = str.maketrans({"O": "0", "o": "0", "l": "1"})


@dataclass(frozen=True)
class Statement:
    """Something that is printed of the paper: a speed in mm/s, or a gain in mm/mV of all leads or of some."""

    kind: Kind
    value: float
    word: PrintedWord


@dataclass(frozen=True)
class PrintedMeasures:
    """What a page prints of its paper; a measure that it does not print, or prints twice and differently, is None."""

    statements: tuple[Statement, ...] = ()

    @property
    def speed_mm_per_s(self) -> float | None:
        """The paper's speed."""
        return self._only("speed")

    @property
    def gain_mm_per_mv(self) -> float | None:
        """The gain of all leads, or of the limb leads where the chest leads have their own."""
        return self._only("limb_gain") or self._only("gain")

    @property
    def gain_of_all_mm_per_mv(self) -> float | None:
        """The gain where no other is printed for some of the leads."""
        return None if self._values("limb_gain") or self._values("chest_gain") else self._only("gain")

    @property
    def chest_gain_mm_per_mv(self) -> float | None:
        """The chest leads' gain, where it is printed apart."""
        return self._only("chest_gain")

    @property
    def contradictions(self) -> tuple[str, ...]:
        """A sentence for each measure that is printed in more than one way."""
        named = {"speed": "speed", "gain": "gain", "limb_gain": "limb leads' gain", "chest_gain": "chest leads' gain"}
        return tuple(
            f"the page prints more than one {name}: {', '.join(f'{value:g}' for value in sorted(values))}"
            for kind, name in named.items()
            if len(values := self._values(kind)) > 1
        )

    def _only(self, kind: str) -> float | None:
        values = self._values(kind)
        return next(iter(values)) if len(values) == 1 else None

    def _values(self, kind: str) -> set[float]:
        return {statement.value for statement in self.statements if statement.kind == kind}


NOTHING_PRINTED: Final = PrintedMeasures()


def read_statements(words: Iterable[PrintedWord]) -> PrintedMeasures:
    """Return what printed lines say of the paper."""
    return PrintedMeasures(
        tuple(statement for word in words if word.score >= LEAST_SCORE for statement in _statements(word))
    )


def usual_numbers(text: str) -> tuple[float, ...]:
    """The numbers in a line that machines print as a speed or a gain, whatever stands beside them."""
    usual = (*USUAL_SPEEDS_MM_PER_S, *USUAL_GAINS_MM_PER_MV)
    found = (_usual(match["number"], usual) for match in _ANY_NUMBER.finditer(text))
    return tuple(value for value in found if value is not None)


def _statements(word: PrintedWord) -> Iterator[Statement]:
    for match in _SPEED.finditer(word.text):
        if (speed := _usual(match["number"], USUAL_SPEEDS_MM_PER_S)) is not None:
            yield Statement("speed", speed, word)
    for match in _TWO_GAINS.finditer(word.text):
        limb, chest = (_usual(match[which], USUAL_GAINS_MM_PER_MV) for which in ("limb", "chest"))
        if limb is not None and chest is not None:
            yield Statement("limb_gain", limb, word)
            yield Statement("chest_gain", chest, word)
    for match in _GAIN.finditer(word.text):
        if (gain := _usual(match["number"], USUAL_GAINS_MM_PER_MV)) is not None:
            kind: Kind = "limb_gain" if match["limb"] else "chest_gain" if match["chest"] else "gain"
            yield Statement(kind, gain, word)


def _usual(number: str, usual: Sequence[float]) -> float | None:
    value = float(number.translate(_DIGITS).replace(",", "."))
    return value if value in usual else None
