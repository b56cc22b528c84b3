"""What the server's administrator lays down, whatever a job says: `local/ecg_flare.json` in the server's workspace.

    {"ledger": "/srv/ecg/ledger.jsonl", "cohort": "north", "unit": "patient", "delta": 1e-5, "epsilon_budget": 8.0,
     "pinned": {"site-1": "ab12…", …}}

Every key may be left out. A server has one ledger for all its jobs, since their patients are the same: no job can name
another.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Final, get_args

from nvflare.apis.workspace import Workspace

from ecg_flare.errors import ConfigError, LedgerError
from ecg_flare.federated.terms import JobTerms
from ecg_flare.flare.site.policy import POLICY_FILE, read_entries, read_pins
from ecg_flare.privacy.cohort import Cohort
from ecg_flare.privacy.events import Unit
from ecg_flare.privacy.ledger import read_cohort

LEDGER_FILE: Final = Path("ecg_flare_ledger") / "cohort.jsonl"


@dataclass(frozen=True)
class ServerPolicy:
    """The server's own settings.

    Attributes:
        ledger: path of the cohort's ledger, from the server's workspace where it is relative.
        cohort: the cohort's name in it.
        unit: whose presence the ledger is about. One of unit 'patient' takes the rounds of jobs of unit 'site', too;
            one of unit 'site' no others. None: the unit of the first job.
        delta, epsilon_budget: what the ledger promises over all jobs. None: as the first job says.
        pinned: site -> SHA-256 of its certificate, in hex.

    Raises ConfigError for an impossible entry.
    """

    ledger: str = str(LEDGER_FILE)
    cohort: str = "cohort"
    unit: Unit | None = None
    delta: float | None = None
    epsilon_budget: float | None = None
    pinned: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("ledger", "cohort"):
            if not isinstance(getattr(self, name), str) or not getattr(self, name):
                raise ConfigError(f"{POLICY_FILE}: {name} is {getattr(self, name)!r}, expected text")
        if self.unit is not None and self.unit not in get_args(Unit):
            raise ConfigError(f"{POLICY_FILE}: unit is {self.unit!r}, expected one of {get_args(Unit)}")
        for name, below in (("delta", 1.0), ("epsilon_budget", math.inf)):
            value = getattr(self, name)
            if value is not None and not (type(value) in (int, float) and 0 < value < below):
                raise ConfigError(f"{POLICY_FILE}: {name} is {value!r}, expected a number between 0 and {below}")
        if not isinstance(self.pinned, Mapping):
            raise ConfigError(f"{POLICY_FILE}: pinned is {self.pinned!r}, expected a fingerprint by site")

    @property
    def fingerprints(self) -> dict[str, bytes]:
        """The pinned fingerprints as 32 bytes each; raises ConfigError for one that is no SHA-256."""
        return read_pins(self.pinned)

    def ledger_path(self, root: Path) -> Path:
        """Where the ledger lies, for a server whose workspace is `root`."""
        return root / Path(self.ledger).expanduser()

    def cohort_of(self, terms: JobTerms, path: Path) -> Cohort:
        """The promise of the ledger at `path`: what this policy says, else what stands in it, else the job's terms.

        Raises LedgerError for a job that does not keep to it: its delta must be the ledger's, its budget no larger, and
        its unit one that the ledger takes.
        """
        promised = terms.privacy
        if promised is None or promised.epsilon_budget is None:
            raise ConfigError("noise needs terms with an epsilon_budget. Found null.")
        found = read_cohort(path)
        cohort = Cohort(
            self.cohort,
            self.unit or (terms.unit if found is None else found.unit),
            terms.roster,
            self.delta or (promised.delta if found is None else found.delta),
            self.epsilon_budget or (promised.epsilon_budget if found is None else found.epsilon_budget),
        )
        if cohort.unit == "site" and terms.unit == "patient":
            raise LedgerError(
                f"the ledger {path} is of unit 'site', the job of unit 'patient', expected a ledger of patients, which "
                f'takes both: set "unit": "patient" in the server\'s local/{POLICY_FILE} before its first job'
            )
        if promised.delta != cohort.delta or promised.epsilon_budget > (cohort.epsilon_budget or math.inf):
            raise LedgerError(
                f"the ledger {path} promises epsilon {cohort.epsilon_budget} at delta {cohort.delta} over all jobs; "
                f"the job says {promised.epsilon_budget} at {promised.delta}: export it with the ledger's delta and at "
                "most its budget (`ecg-flare jobs export --delta --epsilon-budget`)"
            )
        return cohort


def read_server_policy(workspace: Workspace) -> ServerPolicy:
    """The server's policy, or the defaults where it has none; raises ConfigError for an unknown or impossible entry."""
    own = {entry.name for entry in fields(ServerPolicy)}
    entries = read_entries(Path(workspace.get_site_config_dir()) / POLICY_FILE)
    return ServerPolicy(**{name: value for name, value in entries.items() if name in own})
