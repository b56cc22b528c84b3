"""How a round's updates get from the sites into the round's sum.

A collection asks the sites, step by step, and leaves the sum in the open round. `PlainCollection` needs one step.
"""

import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from nvflare.apis.shareable import Shareable

from ecg_flare.errors import RoundError, UpdateError
from ecg_flare.federated.terms import JobTerms
from ecg_flare.flare.job.messages import TRAIN, VALIDATE, Counts, TrainRequest, TrainResult
from ecg_flare.flare.server.per_site_controller import Receive
from ecg_flare.flare.server.round import ServerRound


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


class Collection(ABC):
    """One way to collect updates; `collect` raises RoundError where too few sites answered."""

    @abstractmethod
    def collect(self, request: TrainRequest, terms: JobTerms, opened: ServerRound, ask: Ask) -> Collected:
        """Run the steps of one round; `opened` then holds its sum."""


class PlainCollection(Collection):
    """Each site sends its update to the server, which adds it up as it arrives."""

    def collect(self, request: TrainRequest, terms: JobTerms, opened: ServerRound, ask: Ask) -> Collected:
        collected = Collected()
        started = time.monotonic()
        message = request.to_shareable()
        collected.answered = ask(
            TRAIN,
            dict.fromkeys(terms.roster, message),
            partial(_receive, opened, collected, terms),
            enough=terms.min_sites,
        )
        collected.bytes_down = request.model.nbytes * len(terms.roster)
        collected.seconds[TRAIN] = time.monotonic() - started
        require_enough(collected.answered, terms, request)
        return collected


def validate(request: TrainRequest, terms: JobTerms, ask: Ask) -> float | None:
    """Trace Dice of the request's model over the held-out patients of all sites that answer; None where none did."""
    counts: list[Counts] = []
    message = request.to_shareable()

    def receive(site: str, answer: Shareable) -> None:
        count = Counts.from_shareable(answer)
        if count.attempt != request.attempt:
            raise UpdateError(f"the counts answer attempt {count.attempt[:8]}, this is {request.attempt[:8]}")
        counts.append(count)

    ask(VALIDATE, dict.fromkeys(terms.roster, message), receive, enough=len(terms.roster))
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


def _receive(opened: ServerRound, collected: Collected, terms: JobTerms, site: str, answer: Shareable) -> None:
    reply = TrainResult.from_shareable(answer)
    if reply.metrics and not terms.reports_metrics:
        raise UpdateError(f"the update comes with {sorted(reply.metrics)}, but this job's tell nothing beside")
    opened.add(site, reply)
    collected.bytes_up += reply.vector.nbytes
    if reply.metrics:
        collected.metrics[site] = dict(reply.metrics)
