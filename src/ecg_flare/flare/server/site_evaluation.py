"""A global model measured at the sites: their counts on held-out cases, summed as the job sums updates.

It is a round of its own, under terms that follow from the job's (`federated.evaluation`): the same collection, with its
threshold and its checks, and in a private job a charge before and a release after. A sum that does not come about costs
the model's figure and no more.
"""

import math
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from ecg_flare.errors import BudgetError, RoundError
from ecg_flare.federated.evaluation import counting_terms
from ecg_flare.federated.optimizers import FedAvg
from ecg_flare.federated.round import OpenRound
from ecg_flare.federated.terms import JobTerms
from ecg_flare.flare.job.messages import TrainRequest
from ecg_flare.flare.job.terms import subset
from ecg_flare.flare.server.ledger import ServerLedger
from ecg_flare.flare.server.round import ServerRound
from ecg_flare.flare.summation.collection import Ask, Collection
from ecg_flare.nnunet.kinds import learnt, plan_of


@dataclass(frozen=True)
class SitesDice:
    """How good a model is on the held-out cases of all sites: of each label that some case has, and over these labels.

    It is the mean Dice over cases, or the F1 over them (`nnunet.label_sums`).
    """

    by_label: Mapping[str, float]

    @property
    def mean(self) -> float | None:
        """Mean over the labels; None where no case has any."""
        return float(np.mean(list(self.by_label.values()))) if self.by_label else None


@dataclass(frozen=True)
class Summing:
    """How a job sums: its terms, its collection, the ledger where it is private, and its id in FLARE."""

    terms: JobTerms
    collection: Collection
    ledger: ServerLedger | None
    job: str


def measure_if_due(trained: TrainRequest, summing: Summing, ask: Ask, warn: Callable[[str], None]) -> SitesDice | None:
    """The Dice of a round's model at the sites, where the terms ask for it after that round and a sum comes about.

    `trained` is the request of the round, with the model that came of it. Where no sum comes about, or the budget does
    not pay for it, the model stands, and `warn` hears why nobody knows how good it is.
    """
    evaluation, counting = summing.terms.evaluation, counting_terms(summing.terms)
    if evaluation is None or counting is None or not evaluation.due(trained.round_index):
        return None
    try:
        found = measure_at_sites(trained, counting, summing, ask)
        if not found.by_label:
            warn(f"nobody knows the Dice of round {trained.round_index + 1} at the sites: no label stands out of noise")
        return found
    except (RoundError, BudgetError) as error:
        warn(f"the model of round {trained.round_index + 1} is not measured at the sites: {error}")
        return None


def measure_at_sites(trained: TrainRequest, terms: JobTerms, summing: Summing, ask: Ask) -> SitesDice:
    """Have the sites count what the model of `trained` finds, a request of the round that it came from.

    `terms` are those of counts. Raises RoundError where no sum comes about, and BudgetError where it would pass the
    budget: nothing was asked for then.
    """
    layout = subset(terms)
    request = replace(
        trained,
        attempt=secrets.token_hex(16),
        layout_digest=layout.digest,
        terms_digest=terms.digest,
        clipping_norm=None,
        shares=(),
        counts=True,
    )
    admitted = None
    if summing.ledger is not None:
        fixed = terms.fixed_encoding(layout.dimension)
        assert fixed is not None, "a private job is summed in fixed point"
        admitted = replace(summing.ledger.open, terms=terms, fixed=fixed).begin(summing.job, request.round_index)
    step, nothing = FedAvg(1.0), np.zeros(layout.dimension, np.float32)
    opened = ServerRound(request, OpenRound(terms, nothing, step.init(layout.dimension), step), admitted)
    summing.collection.collect(request, terms, opened, ask)
    result = opened.close()
    opened.release(result.model, result)
    sums = learnt(plan_of(terms.model.plan, terms.model.document)).sums
    noise = (terms.noise_multiplier or 0.0) * (terms.sensitivity or 0.0) / terms.denominator
    found = sums.figures(result.mean_update, noise_sd=noise)
    return SitesDice({name: dice for name, dice in found.items() if not math.isnan(dice)})
