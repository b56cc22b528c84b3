"""How a round's updates get from the sites into the round's sum.

A collection asks the sites, step by step, and leaves the sum in the open round. Each way of summing has one, in its
`server.py`; `collection_of` builds the one that a job's terms name.
"""

import importlib
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeVar

from nvflare.apis.shareable import Shareable
from nvflare.apis.workspace import Workspace

from ecg_flare.errors import ConfigError, RoundError, UpdateError
from ecg_flare.federated.summation import summation
from ecg_flare.federated.terms import JobTerms
from ecg_flare.flare.job.messages import VALIDATE, Counts, TrainRequest
from ecg_flare.flare.server.per_site_controller import Receive
from ecg_flare.flare.server.round import ServerRound

T = TypeVar("T")


class Ask(Protocol):
    """Sends each site its message of a step and gives the sites whose answers counted."""

    def __call__(
        self,
        task_name: str,
        messages: Mapping[str, Shareable],
        receive: Receive,
        *,
        enough: int,
        grace_s: float | None = None,
    ) -> tuple[str, ...]: ...


@dataclass
class Collected:
    """What a round's answers amount to, beside their sum.

    Attributes:
        answered: the sites whose updates are in the sum, sorted.
        bytes_down, bytes_up: payload of all sites, without FLARE's framing.
        seconds: wall seconds by step.
        metrics: site -> what its filter let out.
    """

    answered: tuple[str, ...] = ()
    bytes_down: int = 0
    bytes_up: int = 0
    seconds: dict[str, float] = field(default_factory=dict)
    metrics: dict[str, Mapping[str, float]] = field(default_factory=dict)


@dataclass(frozen=True)
class CollectionSetup:
    """What a collection finds at its server.

    Attributes:
        workspace: the server's, with its startup kit.
        terms: of the job.
        log, warn: take one line.
        results: the job's results, where a crash leaves which sites must be summed again; None keeps it in memory.
    """

    workspace: Workspace
    terms: JobTerms
    log: Callable[[str], None]
    warn: Callable[[str], None]
    results: Path | None = None


class Collection(ABC):
    """One way to collect updates.

    Args:
        setup: of the job, at its server.
    """

    def __init__(self, setup: CollectionSetup) -> None:
        self._setup = setup

    @abstractmethod
    def collect(self, request: TrainRequest, terms: JobTerms, open_round: ServerRound, ask: Ask) -> Collected:
        """Run the steps of one round; `open_round` then holds its sum. Raises RoundError where there is none."""


def collection_of(setup: CollectionSetup) -> Collection:
    """The collection that the job's terms name.

    Raises ConfigError where its class cannot be imported or is no `Collection`, and as that class.
    """
    name = setup.terms.summation
    path = summation(name).collection
    module, _, attribute = path.rpartition(".")
    try:
        kind = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"summation {name!r}: its collection {path} is not there: {error}") from error
    if not isinstance(kind, type) or not issubclass(kind, Collection):
        raise ConfigError(f"summation {name!r}: its collection {path} is no Collection")
    return kind(setup)


class Steps:
    """Asks the sites step by step, and keeps how long each step took.

    Args:
        ask: how sites are asked.
        collected: where the seconds are kept.
    """

    def __init__(self, ask: Ask, collected: Collected) -> None:
        self._ask = ask
        self._collected = collected

    def run(
        self,
        task: str,
        messages: Mapping[str, Shareable],
        read: Callable[[Shareable], T],
        take: Callable[[str, T], None],
        *,
        enough: int,
    ) -> tuple[str, ...]:
        """Ask for `task` and hand each answer, once it is read, to `take(site, answer)`; gives whose answers counted.

        A task that is asked several times in a round adds up.
        """
        started = time.monotonic()
        counted = self._ask(task, messages, lambda site, answer: take(site, read(answer)), enough=enough)
        self._collected.seconds[task] = self._collected.seconds.get(task, 0.0) + time.monotonic() - started
        return counted


def validate(request: TrainRequest, terms: JobTerms, ask: Ask) -> float | None:
    """Trace Dice of the request's model over the held-out patients of all sites that answer; None where none did."""
    counts: list[Counts] = []

    def receive(site: str, answer: Shareable) -> None:
        count = Counts.from_shareable(answer)
        if count.attempt != request.attempt:
            raise UpdateError(f"the counts answer attempt {count.attempt[:8]}, this is {request.attempt[:8]}")
        counts.append(count)

    ask(VALIDATE, dict.fromkeys(terms.roster, request.to_shareable()), receive, enough=len(terms.roster))
    tp, fp, fn = (sum(getattr(count, name) for count in counts) for name in ("tp", "fp", "fn"))
    return 2 * tp / (2 * tp + fp + fn) if tp + fp + fn else None


def require_enough(answered: tuple[str, ...], terms: JobTerms, request: TrainRequest) -> None:
    """Raise RoundError where fewer than `min_sites` answered."""
    if len(answered) < terms.min_sites:
        missing = sorted(set(terms.roster) - set(answered))
        raise RoundError(
            f"round {request.round_index + 1} has updates of {len(answered)} sites, expected at least "
            f"{terms.min_sites}; missing: {', '.join(missing)}. The model of round {request.round_index} is kept."
        )


def aborted(request: TrainRequest, reason: object, *, recovered: bool) -> RoundError:
    """The error of a secure aggregation that ends without a mean: no sum was recovered, or one that is not used."""
    outcome = "its sum is not used" if recovered else "nothing was recovered"
    return RoundError(f"round {request.round_index + 1} is aborted, {outcome}: {reason}")
