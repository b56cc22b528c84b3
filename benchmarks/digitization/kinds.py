"""A kind of pages: how they are printed and damaged, what is told of them, and how often they are drawn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from ecg_flare.page.site_profile import SiteProfile

_MERGED: Final = ("style", "grid", "ink", "text")


@dataclass(frozen=True)
class Kind:
    """A kind of pages: how they are printed and damaged, and their share of the row; the profile's name is the kind's.

    A row's shares sum to 1. Where the `layout_is_given`, the reader is told it; otherwise it has to find it.
    """

    profile: SiteProfile
    share: float = 1.0
    layout_is_given: bool = False


def over(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """Return the mapping `below` with what `above` says: its style merged, a distribution replaced as a whole."""
    return {
        **below,
        **{key: over(below[key], value) if key in _MERGED and key in below else value for key, value in above.items()},
    }
