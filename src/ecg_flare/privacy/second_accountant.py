"""The price of a ledger by somebody else's code: opacus' accountants, for whoever does not want to take our word.

`privacy.renyi` and `privacy.losses` compute the same figures in milliseconds. An error in them would be in every ledger
and in every check of one. This is the check that such an error does not pass.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence

import numpy as np

from ecg_flare.errors import LedgerError
from ecg_flare.privacy.accountant import ORDERS, Spent
from ecg_flare.privacy.events import GaussianEvent

RDP_TOLERANCE = 1e-6
PRV_TOLERANCE = 0.02
"""Relative differences above which two accountants disagree; the PRV figures are upper ends of intervals."""


def spent_by_opacus(events: Sequence[GaussianEvent], delta: float) -> Spent:
    """Epsilon of the releases at `delta`: by Rényi divergence, converted after Balle et al. 2020, and by PRV.

    PRV is None where opacus finds none, which is where its grid would outgrow its own limit.
    """
    from opacus.accountants import PRVAccountant
    from opacus.accountants.analysis.rdp import compute_rdp

    orders = np.array(ORDERS)
    divergence = np.zeros_like(orders)
    for event in events:
        divergence += compute_rdp(
            q=event.sampling_rate, noise_multiplier=event.noise_multiplier, steps=event.count, orders=list(ORDERS)
        )
    epsilons = divergence + np.log1p(-1 / orders) - (math.log(delta) + np.log(orders)) / (orders - 1)
    guarantee = max(0.0, float(np.nanmin(epsilons))) if events else 0.0
    accountant = PRVAccountant()
    accountant.history = [(event.noise_multiplier, event.sampling_rate, event.count) for event in events]
    with warnings.catch_warnings(), np.errstate(divide="ignore"):
        warnings.simplefilter("ignore")  # a rate of 1 makes it take log(0), which it means
        try:
            # Opacus solves delta(epsilon) = delta over all reals: where delta is met at 0, it finds less than nothing.
            tight = max(0.0, float(accountant.get_epsilon(delta))) if events else 0.0
        except (RuntimeError, ValueError):
            return Spent(delta, guarantee, None)
    return Spent(delta, guarantee, tight)


def check_second_opinion(claimed: Spent, other: Spent) -> None:
    """Raise LedgerError where the two accountants disagree; a PRV figure that one of them lacks is not compared."""
    pairs = [("RDP", claimed.epsilon_rdp, other.epsilon_rdp, RDP_TOLERANCE)]
    if claimed.epsilon_prv is not None and other.epsilon_prv is not None:
        pairs.append(("PRV", claimed.epsilon_prv, other.epsilon_prv, PRV_TOLERANCE))
    for name, ours, theirs, tolerance in pairs:
        if not math.isclose(ours, theirs, rel_tol=tolerance, abs_tol=tolerance):
            raise LedgerError(
                f"epsilon by {name} is {ours:.6g} here and {theirs:.6g} by opacus: one of the two is wrong"
            )
