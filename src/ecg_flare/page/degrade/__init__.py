"""What happens to a page between the printer and the archive: each degradation is a file.

Drawing the parameters is apart from applying them, so that a page can be degraded again in the same way:

    degradation = draw_degradation(spec, rng)    # frozen parameters
    page = apply(page, degradation)              # a pure function

Geometry moves image and truth together, and with the truth the mask. Everything else changes the image alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any, Final

import numpy as np

from ecg_flare.documents import short
from ecg_flare.errors import ConfigError, LayoutError
from ecg_flare.extensions import Registry
from ecg_flare.page.degrade.base import Degradation
from ecg_flare.page.degrade.blur import Defocus, Motion
from ecg_flare.page.degrade.bow import Bow
from ecg_flare.page.degrade.crop import Crop
from ecg_flare.page.degrade.curl import Curl
from ecg_flare.page.degrade.fax import Fax
from ecg_flare.page.degrade.fold import Fold
from ecg_flare.page.degrade.invert import Invert
from ecg_flare.page.degrade.jpeg import Jpeg
from ecg_flare.page.degrade.light import Light, Shadow
from ecg_flare.page.degrade.messenger import Messenger
from ecg_flare.page.degrade.noise import Noise
from ecg_flare.page.degrade.pen import Pen
from ecg_flare.page.degrade.perspective import Perspective
from ecg_flare.page.degrade.photocopy import Photocopy
from ecg_flare.page.degrade.rescan import Rescan
from ecg_flare.page.degrade.rotation import Rotation
from ecg_flare.page.degrade.stain import Stain
from ecg_flare.page.distribution import Distribution, parse_distribution
from ecg_flare.page.page import Page

__all__ = ["KINDS", "Degradation", "DegradationSpec", "apply", "draw_degradation", "parse_spec", "register_degradation"]

_PAPER = (Pen, Stain, Fold, Photocopy)
_CAMERA = (Crop, Curl, Bow, Rotation, Perspective, Light, Shadow)
_DEVICE = (Defocus, Motion, Rescan, Invert, Noise, Jpeg, Messenger, Fax)


KINDS: Final = Registry[type[Degradation]](
    "degradation", {kind.__name__.lower(): kind for kind in (*_PAPER, *_CAMERA, *_DEVICE)}
)
"""Degradations by name, in about the order in which they happen to a page, and then those of extensions."""


@dataclass(frozen=True)
class DegradationSpec:
    """A degradation that happens with `probability`, and the parameters whose range differs from the usual."""

    kind: str
    probability: float = 1.0
    parameters: Mapping[str, Distribution] = field(default_factory=dict)


def register_degradation(kind: type[Degradation]) -> type[Degradation]:
    """Let site profiles name a degradation of an extension by its class's name in lower case; usable as a decorator.

    Raises ConfigError for a name that is taken, and for a class that is no dataclass of parameters that can be drawn.
    """
    if not (isinstance(kind, type) and issubclass(kind, Degradation) and is_dataclass(kind)):
        raise ConfigError(f"{kind!r} is no degradation, expected a frozen dataclass that extends Degradation")
    undrawn = [each.name for each in fields(kind) if each.name != "seed" and "draw" not in each.metadata]
    if undrawn:
        raise ConfigError(f"{kind.__name__} does not say how {', '.join(undrawn)} is drawn: give it by `between`")
    KINDS.add(kind.__name__.lower(), kind)
    return kind


def draw_degradation(spec: DegradationSpec, rng: np.random.Generator) -> Degradation:
    """Draw the parameters of a degradation (its probability is the caller's affair: see SiteProfile)."""
    values: dict[str, Any] = {}
    for parameter in fields(KINDS[spec.kind]):
        if parameter.name == "seed":
            values["seed"] = int(rng.integers(2**31))
        else:
            distribution = spec.parameters.get(parameter.name) or parameter.metadata["draw"]
            values[parameter.name] = distribution.draw(rng)
    return KINDS[spec.kind](**values)


def apply(page: Page, degradation: Degradation) -> Page:
    """Return the page after `degradation` happened to it; the page that came in is unchanged."""
    return degradation.apply(page)


def parse_spec(value: Any, where: str) -> DegradationSpec:
    """Read `{kind: ..., probability: ..., parameter: distribution, ...}`; LayoutError names `where` and the value."""
    if not isinstance(value, dict) or not _is_kind(value.get("kind")):
        raise LayoutError(
            f"{where}: expected a degradation with kind, one of {', '.join(KINDS)}; found {short(value)}."
        )
    kind = value["kind"]
    probability = value.get("probability", 1.0)
    if isinstance(probability, bool) or not isinstance(probability, int | float) or not 0 <= probability <= 1:
        raise LayoutError(f"{where}: probability of {kind} must be from 0 to 1, found {short(probability)}.")
    known = {parameter.name for parameter in fields(KINDS[kind])} - {"seed"}
    given = {name: argument for name, argument in value.items() if name not in ("kind", "probability")}
    if unknown := sorted(str(name) for name in set(given) - known):
        raise LayoutError(f"{where}: {kind} has no parameter {', '.join(unknown)}; it has {', '.join(sorted(known))}.")
    parameters = {name: parse_distribution(argument, f"{where}, {kind} {name}") for name, argument in given.items()}
    return DegradationSpec(kind, float(probability), parameters)


def _is_kind(value: Any) -> bool:
    return isinstance(value, str) and value in KINDS
