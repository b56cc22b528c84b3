"""Audits: attacks on the real path of an update, each giving a number and the bound that it must obey.

An accountant says what the mechanism on paper costs. An audit asks whether the mechanism in the code is that one: it
drives a `RoundPath` (clipping, fixed point, sum, noise) as an attacker who chooses the data, and compares what it
learns with what was promised. A passed audit proves nothing; one that fails shows an error.

    one_shot      many random canaries in a single run, their leak fitted by Gaussians
    many_trials   one canary, present or absent, guessed again and again
    sensitivity   remove each unit, and measure the change of the integer sum
    inversion     read a page's pixels off an update, in the clear and under masks
    membership    tell members from others by the released model

This package imports nothing of `federated`, whose round it audits; `federated/audits.py` brings both together.
"""

from ecg_flare.privacy.audit.inversion import gradient_inversion
from ecg_flare.privacy.audit.many_trials import many_trial_canary
from ecg_flare.privacy.audit.membership import membership_inference
from ecg_flare.privacy.audit.one_shot import one_shot_canaries
from ecg_flare.privacy.audit.path import AuditResult, Released, RoundPath
from ecg_flare.privacy.audit.sensitivity import brute_force_sensitivity

__all__ = [
    "AuditResult",
    "Released",
    "RoundPath",
    "brute_force_sensitivity",
    "gradient_inversion",
    "many_trial_canary",
    "membership_inference",
    "one_shot_canaries",
]
