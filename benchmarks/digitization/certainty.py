"""What the confidence is worth: the confident wrong pages, and the share of right ones at each confidence."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from benchmarks.digitization.readings import SIGNAL_DB, Reading
from benchmarks.markdown import row

CERTAINTY: Final = 0.95
SURE: Final = 0.95
"""Confidence above which at least 95 % of the pages are to reach SIGNAL_DB."""
_EDGES: Final = (0.0, 0.25, 0.5, 0.75, 0.85, 0.95, 1.0)
ERRORS: Final = ("layout", "speed", "gain", "lead names", f"{SIGNAL_DB:g} dB")


def upper_bound(errors: int, trials: int) -> float:
    """Return the exact one-sided 95 % upper bound of a rate (Clopper and Pearson 1934); near 3 / trials for none."""
    from scipy.stats import beta

    return 1.0 if errors == trials else float(beta.ppf(CERTAINTY, errors + 1, trials - errors))


def confidence_report(readings: Sequence[Reading]) -> str:
    """What was read at which confidence, by kind of page, and every page that is wrong and carries no doubt.

    A page that was refused, or read without confidence, is not wrong: it says so.
    """
    confident = [reading for reading in readings if reading.confident]
    wrong = [reading for reading in confident if reading.wrong]
    unread = sum(reading.error is not None for reading in readings)
    right = sum(reading.right for reading in readings)
    beyond = sum(f"{SIGNAL_DB:g} dB" in reading.wrong and reading.ceiling_db < SIGNAL_DB for reading in confident)
    lines = [
        f"{len(readings)} pages: {right} of the right layout, speed, gain and lead names, {unread} refused.",
        f"{len(confident)} confident ({len(confident) / len(readings):.1%}), {len(wrong)} of them wrong. With 95 % "
        f"certainty fewer than {upper_bound(len(wrong), len(readings)):.1%} of all pages are confident and wrong, and "
        f"fewer than {upper_bound(len(wrong), len(confident)):.1%} of the confident ones.",
        "wrong of the confident: "
        + ", ".join(f"{name} {sum(name in reading.wrong for reading in confident)}" for name in ERRORS)
        + f" (of which {beyond} where a perfect trace stays below, too)",
        "",
        *calibration_curve(readings),
        "",
        *_by_kind(readings),
    ]
    return "\n".join([*lines, *("" for _ in wrong[:1]), *map(_line, wrong)])


def calibration_curve(readings: Sequence[Reading]) -> list[str]:
    """The share of right pages at each confidence, as a table; pages that were refused have none."""
    read = [reading for reading in readings if reading.error is None]
    lines = [row("confidence", "pages", "layout, speed, gain, leads right", f"{SIGNAL_DB:g} dB"), row(*["---"] * 4)]
    for low, high in pairwise(_EDGES):
        found = [each for each in read if low < each.confidence <= high or (low == each.confidence == 0)]
        lines.append(row(f"{low:g} to {high:g}", len(found), *_shares(found)))
    sure = [reading for reading in read if reading.confidence > SURE]
    return [*lines, "", f"above {SURE:g}: {len(sure)} pages, {_shares(sure)[1]} of them reach {SIGNAL_DB:g} dB"]


def _by_kind(readings: Sequence[Reading]) -> list[str]:
    lines = [row("kind", "pages", "right", f"{SIGNAL_DB:g} dB", "confident", "wrong of confident"), row(*["---"] * 6)]
    for kind in dict.fromkeys(reading.kind for reading in readings):
        found = [reading for reading in readings if reading.kind == kind]
        confident = [reading for reading in found if reading.confident]
        lines.append(
            row(kind, len(found), *_shares(found), len(confident), sum(bool(each.wrong) for each in confident))
        )
    return lines


def _shares(readings: Sequence[Reading]) -> tuple[str, str]:
    if not readings:
        return "-", "-"
    loud = [reading.error is None and reading.snr_db >= SIGNAL_DB for reading in readings]
    return tuple(f"{sum(parts) / len(readings):.1%}" for parts in ([each.right for each in readings], loud))  # type: ignore[return-value]


def _line(reading: Reading) -> str:
    mistaken = ", ".join(f"{lead} is {of}" for lead, of in reading.mistaken.items())
    return (
        f"{reading.name} ({reading.kind}): {', '.join(reading.wrong)}: {reading.true} read as {reading.found} "
        f"at {reading.confidence:.2f}, {reading.snr_db:.1f} dB of {reading.ceiling_db:.1f} {mistaken}"
    ).strip()
