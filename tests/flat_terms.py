"""Terms of a job by flat names, for tests that change one value at a time."""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from ecg_flare.federated.optimizers import ServerOptimizer, ServerState
from ecg_flare.federated.round import LocalTraining, OpenRound, RoundResult, gaussian_noise, run_round
from ecg_flare.federated.terms import JobTerms
from ecg_flare.privacy.events import GaussianEvent
from ecg_flare.privacy.gaussian import Stream

_FLAT = {
    "sites": ("weights", "min_sites"),
    "hidden": ("max_weight", "pages_per_weight"),
    "model": ("plan", "trained", "document", "counted", "local"),
    "privacy": ("noise_multiplier", "epsilon_budget", "delta"),
    "sampling": ("sampling_rate", "patients", "patients_per_site", "shared_patients"),
}
_WHOLE = ("rounds", "projection", "summation", "evaluation", "ring_bits", "nonce")
NAMES = {*_WHOLE, "clipping_norm", "adaptive_clipping", *(name for part in _FLAT.values() for name in part)}


def flat_terms(weights: Mapping[str, float], rounds: int = 1, min_sites: int = 1, **flat: Any) -> JobTerms:
    """The terms of these values; a part of which none is given is left out."""
    flat = {"weights": weights, "rounds": rounds, "min_sites": min_sites, **flat}
    if flat.pop("unit", None) == "site":
        flat = {name: value for name, value in flat.items() if name not in _FLAT["sampling"]}
    if unknown := set(flat) - NAMES:
        raise TypeError(f"unknown {unknown}")
    parts: dict[str, Any] = {name: flat[name] for name in _WHOLE if name in flat}
    for part, names in _FLAT.items():
        given = {name: flat[name] for name in names if flat.get(name) is not None}
        if given:
            parts[part] = {"rate" if name == "sampling_rate" else name: value for name, value in given.items()}
    if "noise_multiplier" not in parts.get("privacy", {}):
        parts.pop("privacy", None)
    if "max_weight" in parts.get("hidden", {}):
        parts["sites"]["hidden"] = parts["hidden"]
    parts.pop("hidden", None)
    if flat.get("clipping_norm") is not None:
        parts["clipping"] = {"norm": flat["clipping_norm"], "adaptive": flat.get("adaptive_clipping")}
    if "sampling" in parts:
        parts["sampling"] = {"rate": 1.0, "patients_per_site": 1, **parts["sampling"]}
    return JobTerms(**parts)


def flat_of(terms: JobTerms) -> dict[str, Any]:
    """The values of terms by flat names."""
    values = asdict(terms)
    sites = values["sites"]
    hidden = sites.pop("hidden") or {}
    sampling = dict(values["sampling"] or {})
    if sampling:
        sampling["sampling_rate"] = sampling.pop("rate")
    clipping = values["clipping"] or {}
    return {
        **sites,
        **hidden,
        **values["model"],
        **(values["privacy"] or {}),
        **sampling,
        "clipping_norm": clipping.get("norm"),
        "adaptive_clipping": clipping.get("adaptive"),
        **{name: values[name] for name in _WHOLE},
    }


def varied(terms: JobTerms, **flat: Any) -> JobTerms:
    """The terms with some of their values changed; None leaves a part out."""
    return flat_terms(**{**flat_of(terms), **flat})


def round_in_memory(
    model: np.ndarray,
    state: ServerState,
    sites: Mapping[str, LocalTraining],
    terms: JobTerms,
    optimizer: ServerOptimizer,
    *,
    round_index: int = 0,
    stream: Stream | None = None,
    before_noise: Callable[[tuple[GaussianEvent, ...]], object] = lambda events: None,
) -> RoundResult:
    """A round, whose noise comes from `stream`, where one is given, after `before_noise` has seen what it does."""

    def noise(total: np.ndarray) -> np.ndarray:
        before_noise(terms.events)
        return gaussian_noise(terms, model.size, stream=stream)(total)

    opened = OpenRound(terms, model, state, optimizer)
    return run_round(opened, sites, round_index=round_index, noise=noise if terms.private else None)
