"""Which public pages a run's Dice was measured on, as far as the run says, and whether two runs had the same."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from ecg_flare.report.names import listed, shown
from ecg_flare.report.run import Run

_DIGITS: Final = 13
_FOLDERS: Final = frozenset({"root"})
"""Arguments of a source that say where pages lie, and not which."""


@dataclass(frozen=True)
class MeasuredPages:
    """What a run says of its public pages.

    Attributes:
        digests: of the pages themselves, each that a round names, in order.
        description: their source and its settings, without the folder; empty where the run does not say.
    """

    digests: tuple[str, ...]
    description: str

    @property
    def text(self) -> str:
        """The last digest, cut short, or that there is none."""
        return shown(self.digests[-1], _DIGITS) if self.digests else "no digest"

    @property
    def every_text(self) -> str:
        """All digests, cut short."""
        return shown(listed([shown(each, _DIGITS) for each in self.digests]))


def measured_pages(run: Run) -> MeasuredPages:
    """The public pages of a run."""
    digests = dict.fromkeys(each.pages for each in run.rounds if each.pages)
    spec = run.facts.get("public_pages")
    if not isinstance(spec, Mapping):
        return MeasuredPages(tuple(digests), "")
    args = spec.get("args")
    which = {key: args[key] for key in args if key not in _FOLDERS} if isinstance(args, Mapping) else args
    told = [spec.get("path"), which, run.facts.get("public_site", "public")]
    return MeasuredPages(tuple(digests), json.dumps(told, sort_keys=True))


def same_pages(one: Run, other: Run) -> bool | None:
    """Whether two runs end on the same public pages; None where they do not say enough.

    The digests decide. Where a run has none, equal descriptions are taken for equal pages.
    """
    mine, theirs = measured_pages(one), measured_pages(other)
    if mine.digests and theirs.digests:
        return mine.digests[-1] == theirs.digests[-1]
    if mine.description and theirs.description:
        return mine.description == theirs.description
    return None
