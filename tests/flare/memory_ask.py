"""Asking sites in memory: what a server's `ask` does in FLARE, in one thread, with what did not count written down."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from nvflare.apis.shareable import Shareable

from ecg_flare.errors import EcgFlareError


class Answers(Protocol):
    """A site, as far as it is asked."""

    def answer(self, task: str, message: Shareable) -> Shareable: ...


def unchanged(task: str, site: str, answer: Shareable) -> Shareable:
    return answer


def nobody(task: str) -> Collection[str]:
    return ()


@dataclass
class MemoryAsk:
    """Asks each site in turn.

    `change` may alter an answer on its way; `away` names, by task, whom a message does not reach. An answer for which
    `receive` raises does not count, and is in `out` as (task, site, why); with `strict` the error goes on up.
    `asked` has (task, sites) of every step.
    """

    sites: Mapping[str, Answers]
    change: Callable[[str, str, Shareable], Shareable] = unchanged
    away: Callable[[str], Collection[str]] = nobody
    strict: bool = False
    asked: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    out: list[tuple[str, str, str]] = field(default_factory=list)

    def __call__(
        self,
        task_name: str,
        messages: Mapping[str, Shareable],
        receive: Callable[[str, Shareable], None],
        **how_long: object,
    ) -> tuple[str, ...]:
        self.asked.append((task_name, tuple(messages)))
        counted, away = [], self.away(task_name)
        for site in [name for name in messages if name not in away]:
            try:
                receive(site, self.change(task_name, site, self.sites[site].answer(task_name, messages[site])))
                counted.append(site)
            except EcgFlareError as error:
                if self.strict:
                    raise
                self.out.append((task_name, site, str(error)))
        return tuple(sorted(counted))
