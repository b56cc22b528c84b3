"""The public pages of a run, drawn anew from what run.json says: synthetic ones, or those of the reader's own PTB-XL.

The folder of a run comes from elsewhere. What it names is looked up in a table of two sources, never imported; no path
in it is followed, since a report is handed on, and pages of a folder of the reader's would be in it.
"""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ecg_flare.errors import ConfigError

if TYPE_CHECKING:
    from ecg_flare.task.traces.page_case import PageCase, PageSource

_MOST: Final = 2**63 - 1
_SHOWN: Final = 120


def public_cases(facts: Mapping[str, Any], ptbxl: Path | None) -> Iterator["PageCase"]:
    """The public pages of a run.

    Args:
        facts: of run.json.
        ptbxl: folder of PTB-XL as the reader names it, whatever run.json says.

    Raises ConfigError where the pages are of no source that a report draws, or their settings are none of its own.
    """
    spec = facts.get("public_pages")
    found = spec if isinstance(spec, Mapping) else {}
    path, args = found.get("path"), found.get("args", {})
    make = _SOURCES.get(path) if isinstance(path, str) else None
    if make is None or not isinstance(args, Mapping):
        raise ConfigError(
            f"the public pages of this run are {_short(spec)}: a report draws synthetic pages and those of PTB-XL alone"
        )
    site = str(facts.get("public_site", "public"))
    return make(dict(args), site, ptbxl).cases(site)


def _synthetic(args: dict[str, Any], site: str, ptbxl: Path | None) -> "PageSource":
    from ecg_flare.task.traces.sources import SyntheticPages

    whole = _pick(args, {"pages_per_site": _is_count, "pages_per_patient": _is_count, "seed": _is_seed})
    return SyntheticPages(_profiles(args, site), **whole)


def _ptbxl(args: dict[str, Any], site: str, ptbxl: Path | None) -> "PageSource":
    from ecg_flare.task.traces.sources import PtbxlPages

    if ptbxl is None:
        raise ConfigError(
            "the public pages of this run are of PTB-XL: name its folder on this machine (--ptbxl FOLDER)"
        )
    rules = args.get("sites")
    rule = rules.get(site) if isinstance(rules, Mapping) else None
    if not isinstance(rule, Mapping) or not all(map(_is_rule, rule.values())):
        raise ConfigError(f"run.json: the rule of {site!r} for PTB-XL records is {_short(rule)}")
    rest = _pick(args, {"folds": _are_folds, "limit": _is_limit, "seed": _is_seed})
    return PtbxlPages(str(ptbxl), {site: rule}, _profiles(args, site), **rest)


_SOURCES: Final[Mapping[str, Callable[[dict[str, Any], str, Path | None], "PageSource"]]] = {
    "ecg_flare.task.traces.sources.SyntheticPages": _synthetic,
    "ecg_flare.task.traces.sources.PtbxlPages": _ptbxl,
}


def _profiles(args: Mapping[str, Any], site: str) -> dict[str, str]:
    from ecg_flare.page.site_profile import profile_names

    profiles = args.get("profiles")
    name = profiles.get(site) if isinstance(profiles, Mapping) else None
    if name not in profile_names():
        raise ConfigError(
            f"run.json: the profile of {site!r} is {_short(name)}, expected one that comes with ecg_flare"
        )
    return {site: name}


def _pick(args: Mapping[str, Any], known: Mapping[str, Callable[[Any], bool]]) -> dict[str, Any]:
    chosen = {key: args[key] for key in known if key in args}
    for key, value in chosen.items():
        if not known[key](value):
            raise ConfigError(f"run.json: {key} of the public pages is {_short(value)}")
    return chosen


def _is_count(value: object) -> bool:
    return type(value) is int and 1 <= value <= _MOST


def _is_seed(value: object) -> bool:
    return type(value) is int and 0 <= value <= _MOST


def _is_limit(value: object) -> bool:
    return value is None or _is_count(value)


def _are_folds(value: object) -> bool:
    return value is None or (isinstance(value, list) and all(type(fold) is int for fold in value))


def _is_rule(value: object) -> bool:
    texts = isinstance(value, list) and all(isinstance(one, str) for one in value)
    return texts or isinstance(value, str) or _is_seed(value)


def _short(value: object) -> str:
    return repr(value)[:_SHOWN]
