"""Lead names, speed and gain, from the text of a page: nothing to be read off pixels."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final

import numpy as np

from ecg_flare.digitize.leads.labels import Word
from ecg_flare.digitize.words.printed_word import PrintedWord
from ecg_flare.ecg.leads import ALL_LEADS
from ecg_flare.page.pdf_paths import Character, PagePaths

_WORD_GAP: Final = 0.18  # of the letters' height
_LINE_GAP: Final = 2.0
_OFF_LINE: Final = 0.6
_NAMES: Final = {name.upper(): name for name in ALL_LEADS} | {f"C{number}": f"V{number}" for number in range(1, 10)}
_ENDS: Final = re.compile(r"[^A-Z0-9]+$")


def printed_lines(paths: PagePaths) -> tuple[PrintedWord, ...]:
    """The lines of text, each with its box."""
    return tuple(
        PrintedWord("".join(_spaced(line)).strip(), 1.0, *_box(line)) for line in _lines(paths.characters, _LINE_GAP)
    )


def printed_labels(paths: PagePaths) -> tuple[Word, ...]:
    """The names of leads, as the stages that read labels off pixels give them."""
    found = []
    for word in _lines(paths.characters, _WORD_GAP):
        text = _ENDS.sub("", "".join(each.text for each in word).strip().upper())
        if text in _NAMES:
            fits = np.full(len(ALL_LEADS), -1.0, np.float32)
            fits[ALL_LEADS.index(_NAMES[text])] = 1.0
            left, top, right, bottom = _box(word)
            found.append(Word(left, top, right, bottom, len(text), fits))
    return tuple(found)


def _lines(characters: Sequence[Character], gap: float) -> Iterator[list[Character]]:
    """Characters that follow each other on one line, with gaps of less than so many of their heights."""
    seen = [each for each in characters if each.text.strip()]
    line: list[Character] = []
    for before, each in pairwise([None, *seen]):
        assert each is not None
        if line and before is not None and not _goes_on(before, each, gap):
            yield line
            line = []
        line.append(each)
    if line:
        yield line


def _goes_on(before: Character, after: Character, gap: float) -> bool:
    height = max(before.box_px[3] - before.box_px[1], after.box_px[3] - after.box_px[1])
    down = abs(after.box_px[3] - before.box_px[3])
    return down < _OFF_LINE * height and -gap * height < after.box_px[0] - before.box_px[2] < gap * height


def _spaced(line: Sequence[Character]) -> Iterator[str]:
    yield line[0].text
    for before, after in pairwise(line):
        if not _goes_on(before, after, _WORD_GAP):
            yield " "
        yield after.text


def _box(line: Sequence[Character]) -> tuple[float, float, float, float]:
    boxes = np.array([each.box_px for each in line])
    left, top = boxes[:, :2].min(axis=0)
    right, bottom = boxes[:, 2:].max(axis=0)
    return float(left), float(top), float(right), float(bottom)
