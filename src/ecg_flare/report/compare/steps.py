"""Gradient steps of a run: of a site in a row, and of all sites together."""

from collections.abc import Mapping
from dataclasses import dataclass

from ecg_flare.report.run import RoundRecord, Run


@dataclass(frozen=True)
class GradientSteps:
    """Gradient steps up to the end of a round.

    Attributes:
        in_a_row: that a site has taken one after the other, each from where the one before it came to. Sites, and under
            unit patient the drawn patients, step side by side from the same model.
        of_all: that all of them took together, the expected number where patients are drawn in secret; None where not
            every round was recorded.
    """

    in_a_row: int
    of_all: float | None


def gradient_steps(run: Run) -> Mapping[int, GradientSteps] | None:
    """The steps by round; None where the run does not say how many a round has. A failed round adds none."""
    if run.steps is None:
        return None
    found: dict[int, GradientSteps] = {}
    failed, together = 0, 0.0
    for number, each in enumerate(run.rounds, run.rounds[0].index):
        failed += bool(each.failure)
        together += run.steps * _learners(each, run)
        whole = each.index == number and run.rounds[0].index <= 1
        found[each.index] = GradientSteps(run.steps * (each.index - failed), together if whole else None)
    return found


def _learners(each: RoundRecord, run: Run) -> float:
    """How many took a round's steps side by side: sites, or patients."""
    if not each.trained:
        return 0.0
    return float(len(each.answered)) if run.terms.public_denominator is None else run.terms.public_denominator
