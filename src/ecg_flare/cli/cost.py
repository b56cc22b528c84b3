"""What a private job will have cost, in words."""

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ecg_flare.federated.parts import Privacy
    from ecg_flare.federated.terms import JobTerms


def cost(terms: "JobTerms", privacy: "Privacy") -> str:
    """What the job's rounds cost, counts on held-out cases included, in one line."""
    from ecg_flare.privacy.accountant import epsilon_rdp
    from ecg_flare.privacy.events import GaussianEvent

    def epsilon(count: int) -> float:
        events = [GaussianEvent(privacy.noise_multiplier, terms.sampling_rate, count)] if count else []
        evaluation = terms.evaluation
        if evaluation is not None and evaluation.noise_multiplier is not None and count >= evaluation.every:
            events.append(GaussianEvent(evaluation.noise_multiplier, 1.0, count // evaluation.every))
        return epsilon_rdp(events, privacy.delta) if events else 0.0

    budget = privacy.epsilon_budget or math.inf
    affordable = next(count for count in range(terms.rounds, -1, -1) if epsilon(count) <= budget)
    cost = (
        f"epsilon {epsilon(terms.rounds):.2f} at delta {privacy.delta:g} after {terms.rounds} rounds, budget {budget:g}"
    )
    return cost if affordable == terms.rounds else f"{cost}: the job will stop after round {affordable}"
