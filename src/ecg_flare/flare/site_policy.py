"""What a site insists on, whatever a job or the server says: `local/ecg_flare.json` in the site's workspace.

    {"least_cohort": 5, "least_threshold": 4, "most_clipping_norm": 1.0, "pinned": {"site-1": "ab12…", …}}

Every key may be left out. `pinned` maps each site of the cohort to the SHA-256 of its certificate; without it a site
with a startup kit takes part in no secure sum. A site without a startup kit (the simulator) has throw-away keys.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Final

from nvflare.apis.workspace import Workspace

from ecg_flare.errors import ConfigError
from ecg_flare.privacy.secure_sum.context import LEAST_SITES

POLICY_FILE: Final = "ecg_flare.json"


@dataclass(frozen=True)
class SitePolicy:
    """A site's own floors.

    Attributes:
        least_cohort: fewest sites in the roster of a secure sum.
        least_threshold: fewest sites whose sum may be opened.
        most_clipping_norm: largest clipping norm that the site gives its updates to.
        pinned: site -> SHA-256 of its certificate, in hex.

    Raises ConfigError for an entry that is no number, or that would bound nothing.
    """

    least_cohort: int = LEAST_SITES
    least_threshold: int = LEAST_SITES
    most_clipping_norm: float = math.inf
    pinned: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("least_cohort", "least_threshold"):
            value = getattr(self, name)
            if type(value) is not int or value < LEAST_SITES:
                raise ConfigError(f"{POLICY_FILE}: {name} is {value!r}, expected a whole number from {LEAST_SITES}")
        norm = self.most_clipping_norm
        if type(norm) not in (int, float) or not norm > 0:
            raise ConfigError(f"{POLICY_FILE}: most_clipping_norm is {norm!r}, expected a positive number")
        if not isinstance(self.pinned, Mapping):
            raise ConfigError(f"{POLICY_FILE}: pinned is {self.pinned!r}, expected a fingerprint by site")

    @property
    def fingerprints(self) -> dict[str, bytes]:
        """The pinned fingerprints as 32 bytes each; raises ConfigError for one that is no SHA-256."""
        try:
            pins = {site: bytes.fromhex(text.replace(":", "")) for site, text in self.pinned.items()}
        except (ValueError, AttributeError) as error:
            raise ConfigError(f"{POLICY_FILE}: a pinned fingerprint is not hex: {error}") from error
        for site, pin in pins.items():
            if len(pin) != 32:
                raise ConfigError(f"{POLICY_FILE}: the pin of {site} has {len(pin)} bytes, expected 32 of SHA-256")
        return pins


def read_policy(workspace: Workspace) -> SitePolicy:
    """The site's policy, or the defaults where it has none; raises ConfigError for an unknown or impossible entry."""
    path = Path(workspace.get_site_config_dir()) / POLICY_FILE
    if not path.exists():
        return SitePolicy()
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from error
    known = {entry.name for entry in fields(SitePolicy)}
    if not isinstance(entries, dict):
        raise ConfigError(f"{path} holds {entries!r}, expected an object with some of {sorted(known)}")
    if unknown := sorted(set(entries) - known):
        raise ConfigError(f"{path} has unknown entries {unknown}, expected some of {sorted(known)}")
    return SitePolicy(**entries)
