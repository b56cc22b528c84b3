"""Site profiles: what one hospital's pages look like. They are data, in profiles/*.yaml.

A profile says how pages are printed (`style`, the fields of PageStyle, each a value or a distribution) and what
happens to them (`degradations`, in order). Different profiles are what makes the sites' data unlike each other.
A layout of one's own is named by the path of its file, seen from the folder of the profile.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, Final

import numpy as np

from ecg_flare.documents import parse_yaml, short
from ecg_flare.ecg.record import Recording
from ecg_flare.errors import LayoutError
from ecg_flare.page.arrange import check_room
from ecg_flare.page.degrade import Degradation, DegradationSpec, apply, draw_degradation, parse_spec
from ecg_flare.page.distribution import Choice, Distribution, Fixed, parse_distribution
from ecg_flare.page.layout import is_yaml_file, load_layout
from ecg_flare.page.page import Page
from ecg_flare.page.render import render_page
from ecg_flare.page.style import GridStyle, InkStyle, PageStyle, PrintStyle

_PARTS: Final[Mapping[str, type]] = {"grid": GridStyle, "ink": InkStyle, "text": PrintStyle}
_CHECKING_DRAWS: Final = 32
_MAX_DEGRADATIONS: Final = 100

Values = Mapping[str, Distribution]


@dataclass(frozen=True)
class SiteProfile:
    """Distributions of a site's page styles and degradations.

    `style` holds the fields of PageStyle itself, `parts` those of its grid, ink and text; fields left out keep
    PageStyle's defaults.
    """

    name: str
    style: Values
    parts: Mapping[str, Values]
    degradations: tuple[DegradationSpec, ...]

    def draw_style(self, rng: np.random.Generator) -> PageStyle:
        """Draw how one page is printed; rhythm_leads beyond the rhythm rows of the drawn layout are dropped."""
        values = {name: distribution.draw(rng) for name, distribution in self.style.items()}
        for part, distributions in self.parts.items():
            values[part] = _PARTS[part](**{name: each.draw(rng) for name, each in distributions.items()})
        if "rhythm_leads" in values:
            rhythm_rows = load_layout(values.get("layout", PageStyle.layout)).rhythm_rows
            values["rhythm_leads"] = values["rhythm_leads"][: len(rhythm_rows)]
        return PageStyle(**values)

    def draw_degradations(self, rng: np.random.Generator) -> tuple[Degradation, ...]:
        """Draw what happens to one page, in order."""
        return tuple(draw_degradation(spec, rng) for spec in self.degradations if rng.random() < spec.probability)


def profile_names() -> tuple[str, ...]:
    """Names of the profiles that come with the package, sorted."""
    files = resources.files(__package__).joinpath("profiles").iterdir()
    return tuple(sorted(file.name.removesuffix(".yaml") for file in files if file.name.endswith(".yaml")))


def load_profile(name: str) -> SiteProfile:
    """Load a profile of the package by its name, or a site's own by the path of its YAML file (ends in .yaml).

    Raises LayoutError if there is none, or if it contradicts itself.
    """
    if is_yaml_file(name):
        return parse_profile(_read(name), name, Path(name).stem, folder=Path(name).parent)
    if name not in profile_names():
        raise LayoutError(
            f"Unknown site profile {name!r}; expected one of {', '.join(profile_names())}, or the path of a .yaml file."
        )
    return _packaged(name)


def profile_layout_files(name: str) -> tuple[str, ...]:
    """Paths of the layouts that a profile names by their files, none of which is read; () for a profile of the package.

    Raises LayoutError where the profile's own file cannot be read or is no profile.
    """
    if not is_yaml_file(name):
        return ()
    profile = _undrawn(_read(name), name, Path(name).stem, Path(name).parent)
    return tuple(layout for layout in _layouts(profile.style.get("layout")) if is_yaml_file(layout))


def parse_profile(text: str, source: str, name: str, *, folder: Path = Path()) -> SiteProfile:
    """Read a profile from YAML; the paths of layouts are seen from `folder`.

    Raises LayoutError naming `source` and the value that is wrong.
    """
    profile = _undrawn(text, source, name, folder)
    _check_draws(profile, source)
    return profile


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise LayoutError(f"Site profile {path} cannot be read: {error}.") from error


def _undrawn(text: str, source: str, name: str, folder: Path) -> SiteProfile:
    data = parse_yaml(text, source, LayoutError)
    if not isinstance(data, dict) or not set(data) <= {"style", "degradations"}:
        raise LayoutError(f"{source}: expected the keys 'style' and 'degradations'; found {short(data)}.")
    raw_style = _mapping(data.get("style", {}), f"{source}, style")
    parts = {
        part: _distributions(_PARTS[part], _mapping(raw_style[part], f"{source}, {part}"), f"{source}, {part}")
        for part in _PARTS
        if part in raw_style
    }
    style = _distributions(
        PageStyle, {key: value for key, value in raw_style.items() if key not in _PARTS}, f"{source}, style"
    )
    if "layout" in style:
        style = {**style, "layout": _seen_from(folder, style["layout"])}
    raw_degradations = data.get("degradations", [])
    if not isinstance(raw_degradations, list) or len(raw_degradations) > _MAX_DEGRADATIONS:
        raise LayoutError(
            f"{source}: degradations must be a list of at most {_MAX_DEGRADATIONS}, found {short(raw_degradations)}."
        )
    degradations = tuple(parse_spec(raw, f"{source}, degradations") for raw in raw_degradations)
    return SiteProfile(name, style, parts, degradations)


def profile_page(recording: Recording, profile: SiteProfile, rng: np.random.Generator) -> Page:
    """Print a recording as this site would: the same rng state gives the same page, to the last pixel."""
    page = render_page(recording, profile.draw_style(rng), rng)
    for degradation in profile.draw_degradations(rng):
        page = apply(page, degradation)
    return page


@cache
def _packaged(name: str) -> SiteProfile:
    text = resources.files(__package__).joinpath("profiles", f"{name}.yaml").read_text(encoding="utf-8")
    return parse_profile(text, f"profiles/{name}.yaml", name)


def _layouts(distribution: Distribution | None) -> tuple[str, ...]:
    """The layouts that may be drawn, by name or path."""
    if isinstance(distribution, Fixed):
        return (distribution.value,) if isinstance(distribution.value, str) else ()
    if isinstance(distribution, Choice):
        return tuple(value for value in distribution.values if isinstance(value, str))
    return ()


def _seen_from(folder: Path, layout: Distribution) -> Distribution:
    def path(value: Any) -> Any:
        return str(folder / value) if isinstance(value, str) and is_yaml_file(value) else value

    if isinstance(layout, Fixed):
        return Fixed(path(layout.value))
    if isinstance(layout, Choice):
        return replace(layout, values=tuple(map(path, layout.values)))
    return layout


def _mapping(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise LayoutError(f"{where}: expected keys and values, found {short(value)}.")
    return value


def _distributions(owner: type, raw: Mapping[str, Any], where: str) -> Values:
    known = [field.name for field in fields(owner)]
    if unknown := sorted(str(name) for name in set(raw) - set(known)):
        raise LayoutError(f"{where}: unknown {', '.join(unknown)}; expected some of {', '.join(known)}.")
    # In the order of the class, not of the file: rearranging a file does not change what is drawn.
    return {name: parse_distribution(raw[name], f"{where} {name}") for name in known if name in raw}


def _check_draws(profile: SiteProfile, source: str) -> None:
    # Values out of range show when they are drawn; better when a profile is loaded than in the middle of a run.
    rng = np.random.default_rng(0)
    for _ in range(_CHECKING_DRAWS):
        try:
            check_room(profile.draw_style(rng))
            profile.draw_degradations(rng)
        except (LayoutError, TypeError) as error:
            raise LayoutError(f"{source}: {error}") from error
