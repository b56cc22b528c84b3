"""The audited job's own code with a fault planted in it, in the processes that FLARE starts.

FLARE's server imports this module for the evaluator, its clients and their training processes for the page source. What
`AUDIT_FAULT` names is then broken in each of them:

    half_noise       the mechanism adds noise of half the standard deviation that the ledger is charged for
    two_names        the page source gives each patient's page under two patient ids
    drawn_twice      the draw hands out each drawn patient twice
    all_drawn        the draw hands out everyone, whatever the rate
    raise:FUNCTION   one of the functions of `PATH` raises
    count            nothing: each call of the functions of `PATH` is a line in the file that `AUDIT_CALLS` names
"""

import importlib
import os
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ecg_flare.flare.deploy.audit_app.audited import CanaryPages, KeepModels
from ecg_flare.task.traces.page_case import PageCase

FAULT = os.environ.get("AUDIT_FAULT", "")

PATH = {
    "train_drawn_patients": "ecg_flare.nnunet.patients",
    "sum_of_drawn": "ecg_flare.federated.patients",
    "poisson_sample": "ecg_flare.federated.patients",
    "charge_round": "ecg_flare.flare.site.ledger",
    "SecureSumClient.answer_sealed_shares": "ecg_flare.privacy.secure_sum.client",
    "MaskedCollection.collect": "ecg_flare.flare.summation.masked.server",
    "AdmittedRound.charge": "ecg_flare.flare.server.mechanism",
    "add_noise": "ecg_flare.privacy.gaussian",
}
"""Function -> its module: what a job under unit patient runs, from the draw to the noise."""

_HOOKS = "_planted_hooks"


@dataclass(frozen=True)
class Pages(CanaryPages):
    """The canaries' pages, under two names each where that is the fault."""

    def cases(self, site: str) -> Iterator[PageCase]:
        for case in super().cases(site):
            yield case
            if FAULT == "two_names":
                yield replace(case, name=f"{case.name}-again", patient_id=f"{case.patient_id}-again")


class Evaluator(KeepModels):
    """Named by the job so that the server imports this module."""


def plant(name: str, change: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
    """Put `change(function)` in the place of a function of `PATH`, wherever it was imported to by now.

    The code of the function itself is replaced, not a name that refers to it.
    """
    function: Any = importlib.import_module(PATH[name])
    for part in name.split("."):
        function = getattr(function, part)
    kept = types.FunctionType(
        function.__code__, function.__globals__, function.__name__, function.__defaults__, function.__closure__
    )
    kept.__kwdefaults__ = function.__kwdefaults__
    function.__globals__.setdefault(_HOOKS, {})[name] = change(kept)
    hook: dict[str, Any] = {}
    exec(f"def hook(*args, **kwargs): return {_HOOKS}[{name!r}](*args, **kwargs)", hook)
    function.__code__, function.__defaults__, function.__kwdefaults__ = hook["hook"].__code__, None, None


def _broken(function: Callable[..., Any]) -> Callable[..., Any]:
    def broken(*args: Any, **kwargs: Any) -> Any:
        raise RuntimeError(f"planted: {function.__name__} is broken")

    return broken


def _half_noise(add_noise: Callable[..., Any]) -> Callable[..., Any]:
    def half(total: Any, fixed: Any, **kwargs: Any) -> Any:
        return add_noise(total, replace(fixed, noise_multiplier=fixed.noise_multiplier / 2), **kwargs)

    return half


def _twice(poisson_sample: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *args, **kwargs: 2 * poisson_sample(*args, **kwargs)


def _everyone(poisson_sample: Callable[..., Any]) -> Callable[..., Any]:
    return lambda patients, rate, stream: poisson_sample(patients, 1.0, stream)


def _counted(name: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def change(function: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*args: Any, **kwargs: Any) -> Any:
            with Path(os.environ["AUDIT_CALLS"]).open("a") as file:
                file.write(name + "\n")
            return function(*args, **kwargs)

        return counted

    return change


if FAULT == "half_noise":
    plant("add_noise", _half_noise)
elif FAULT == "drawn_twice":
    plant("poisson_sample", _twice)
elif FAULT == "all_drawn":
    plant("poisson_sample", _everyone)
elif FAULT == "count":
    for each in PATH:
        plant(each, _counted(each))
elif FAULT.startswith("raise:"):
    plant(FAULT.removeprefix("raise:"), _broken)
