"""What a site insists on, whatever a job or the server says: `local/ecg_flare.json` in the site's workspace.

    {"summations": ["masked"], "min_cohort": 5, "min_threshold": 4, "max_clipping_norm": 1.0,
     "min_noise_multiplier": 0.8, "units": ["patient"], "max_epsilon": 4.0, "delta": 1e-5,
     "weights": {"site-1": 1.0, …}, "pinned": {"site-1": "ab12…", …}}

Every key may be left out. `pinned` maps each site of the cohort to the SHA-256 of its certificate; without it a site
with a startup kit takes no part in secure aggregation. A site without a startup kit (the simulator) has throw-away
keys.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final, get_args

from nvflare.apis.workspace import Workspace

from ecg_flare.documents import parse_object
from ecg_flare.errors import ConfigError, PolicyError
from ecg_flare.extensions import checked_names
from ecg_flare.federated.evaluation import counting_terms
from ecg_flare.federated.summation import names
from ecg_flare.federated.terms import JobTerms
from ecg_flare.privacy.delta import promises
from ecg_flare.privacy.events import Unit
from ecg_flare.privacy.secure_sum.context import MIN_SITES
from ecg_flare.privacy.secure_sum.recovered_sums import OncePerModel

POLICY_FILE: Final = "ecg_flare.json"
SERVER_ENTRIES: Final = ("ledger", "cohort", "unit", "epsilon_budget")
"""Entries that the server reads (`flare.server.policy`). FLARE's simulator gives all parties one and the same file."""
_SHA256: Final = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True)
class SitePolicy:
    """A site's own limits.

    Attributes:
        summations: ways of summing that the site takes part in; without 'plain' no server sees its update.
        min_cohort: fewest sites in the roster of a sum that hides updates.
        min_threshold: fewest sites whose sum may be recovered, where it hides updates.
        max_clipping_norm: largest clipping norm that the site gives its updates to; a job without one is refused, and
            where it is adaptive the bound counts that it never passes.
        min_noise_multiplier: smallest sigma of a job that the site takes part in; above 0 it refuses jobs without
            noise.
        units: privacy units of the jobs with noise that the site takes part in. With 'patient' among them its ledger
            counts what patients lose in jobs of both units, else what the site loses; that stays once there is a
            ledger.
        max_epsilon: what may leave the site in all rounds of all jobs together, by its own ledger
            (`flare.site.ledger`); with a limit it takes part in no job without noise.
        delta: at which the site's ledger counts epsilon; it stays once there is a ledger.
        weights: site -> the public weight that the cohort agreed on; None takes the job's word.
        hidden_weights: whether the site takes part where each weighs by its number of pages and no site sees the
            others' weights; never together with `weights`.
        start_model: SHA-256 of the model, in hex, that the first round of a masked job at this site may start from;
            '' takes any.
        once_per_model: of which secure aggregations a model is used for one job alone, as sums of two jobs over
            different sites could be subtracted: 'unnoised' (a sum without noise is the only one from its model),
            'all' (true), or 'none' (false). Within one job a model is used for one set of sites in any case.
        secret_seeds: refuse a secure aggregation whose job gives the training a public seed.
        pinned: site -> SHA-256 of its certificate, in hex.
        page_folders: absolute folders in which a job may name pages, and profiles of pages, by path.
        results_folders: absolute folders in which a job may name the server's results, and its first model, by path.
        tracking_uris: URIs at which the server may tell MLflow a job's figures.
        extensions: modules of the machine's owner that jobs find loaded here; see `ecg_flare.extensions`.
        ledgers: the servers' ledgers that the site follows, each by the SHA-256 of its first line or by its cohort's
            name, which means the first of that name; empty: the first that it sees, and no other.

    Raises ConfigError for an entry that is of the wrong kind, or that would bound nothing.
    """

    summations: tuple[str, ...] = field(default_factory=names)
    min_cohort: int = MIN_SITES
    min_threshold: int = MIN_SITES
    max_clipping_norm: float = math.inf
    min_noise_multiplier: float = 0.0
    units: tuple[Unit, ...] = get_args(Unit)
    max_epsilon: float = math.inf
    delta: float = 1e-5
    weights: Mapping[str, float] | None = None
    hidden_weights: bool = False
    start_model: str = ""
    once_per_model: OncePerModel = "unnoised"
    secret_seeds: bool = False
    pinned: Mapping[str, str] = field(default_factory=dict)
    page_folders: Sequence[str] = ()
    results_folders: Sequence[str] = ()
    tracking_uris: Sequence[str] = ()
    ledgers: tuple[str, ...] = ()
    extensions: Sequence[str] = ()

    def __post_init__(self) -> None:
        for name, known in (("summations", names()), ("units", get_args(Unit))):
            given = getattr(self, name)
            if not isinstance(given, list | tuple) or not given:
                raise ConfigError(f"{POLICY_FILE}: {name} is {given!r}, expected some of {known}")
            if unknown := [one for one in given if one not in known]:
                raise ConfigError(f"{POLICY_FILE}: {name} has {unknown}, expected some of {known}")
        for name in ("min_cohort", "min_threshold"):
            value = getattr(self, name)
            if type(value) is not int or value < MIN_SITES:
                raise ConfigError(f"{POLICY_FILE}: {name} is {value!r}, expected a whole number from {MIN_SITES}")
        norm, sigma = self.max_clipping_norm, self.min_noise_multiplier
        if not _is_number(norm) or not norm > 0:
            raise ConfigError(f"{POLICY_FILE}: max_clipping_norm is {norm!r}, expected a positive number")
        if not _is_number(sigma) or not 0 <= sigma < math.inf:
            raise ConfigError(f"{POLICY_FILE}: min_noise_multiplier is {sigma!r}, expected a number of at least 0")
        if not _is_number(self.max_epsilon) or not self.max_epsilon > 0:
            raise ConfigError(f"{POLICY_FILE}: max_epsilon is {self.max_epsilon!r}, expected a positive number")
        if not _is_number(self.delta) or not 0 < self.delta < 1:
            raise ConfigError(f"{POLICY_FILE}: delta is {self.delta!r}, expected a number between 0 and 1")
        self._check_weights()
        if self.start_model and not (isinstance(self.start_model, str) and _SHA256.fullmatch(self.start_model)):
            raise ConfigError(f"{POLICY_FILE}: start_model is {self.start_model!r}, expected 64 digits of hex")
        object.__setattr__(self, "once_per_model", _once_per_model(self.once_per_model))
        if self.once_per_model not in get_args(OncePerModel):
            raise ConfigError(
                f"{POLICY_FILE}: once_per_model is {self.once_per_model!r}, expected one of {get_args(OncePerModel)}"
            )
        for name in ("hidden_weights", "secret_seeds"):
            if type(getattr(self, name)) is not bool:
                raise ConfigError(f"{POLICY_FILE}: {name} is {getattr(self, name)!r}, expected true or false")
        if self.hidden_weights and self.weights is not None:
            raise ConfigError(f"{POLICY_FILE}: hidden_weights is true beside weights, expected one of the two")
        if not isinstance(self.pinned, Mapping):
            raise ConfigError(f"{POLICY_FILE}: pinned is {self.pinned!r}, expected a fingerprint by site")
        checked_names(self.extensions, f"{POLICY_FILE}: extensions")
        self._check_texts("page_folders", "results_folders", "tracking_uris", "ledgers")
        for folder in (*self.page_folders, *self.results_folders):
            if not Path(folder).is_absolute():
                raise ConfigError(f"{POLICY_FILE}: {folder!r} is no absolute path, as page_folders and results_folders")

    def _check_texts(self, *names: str) -> None:
        for name in names:
            listed = getattr(self, name)
            if not isinstance(listed, list | tuple) or not all(isinstance(one, str) and one for one in listed):
                raise ConfigError(f"{POLICY_FILE}: {name} is {listed!r}, expected a list of strings")

    def _check_weights(self) -> None:
        if self.weights is None:
            return
        numbers = isinstance(self.weights, Mapping) and all(_is_number(weight) for weight in self.weights.values())
        if not self.weights or not numbers or not all(0 < weight < math.inf for weight in self.weights.values()):
            raise ConfigError(f"{POLICY_FILE}: weights is {self.weights!r}, expected a positive number by site")

    @property
    def fingerprints(self) -> dict[str, bytes]:
        """The pinned fingerprints as 32 bytes each; raises ConfigError for one that is no SHA-256."""
        return read_pins(self.pinned)

    def check(self, terms: JobTerms) -> None:
        """Raise PolicyError, naming the limit, where a job's terms go under it."""
        if terms.summation not in self.summations:
            raise PolicyError(f"summations={list(self.summations)}: the job's is {terms.summation!r}")
        if terms.way.hides_updates:
            if len(terms.roster) < self.min_cohort:
                raise PolicyError(f"min_cohort={self.min_cohort}: the job has {len(terms.roster)} sites")
            if terms.min_sites < self.min_threshold:
                raise PolicyError(f"min_threshold={self.min_threshold}: the job's min_sites is {terms.min_sites}")
        bounded = self.max_clipping_norm < math.inf and not terms.model.counted  # C of counts follows from their number
        if bounded and (terms.max_clipping_norm or math.inf) > self.max_clipping_norm:
            raise PolicyError(f"max_clipping_norm={self.max_clipping_norm}: the job's is {terms.max_clipping_norm}")
        if self.min_noise_multiplier > (terms.noise_multiplier or 0.0):
            raise PolicyError(
                f"min_noise_multiplier={self.min_noise_multiplier}: the job's is {terms.noise_multiplier}"
            )
        if terms.private and terms.unit not in self.units:
            raise PolicyError(f"units={list(self.units)}: the job's is {terms.unit!r}")
        if terms.sites.max_weight is not None and not self.hidden_weights:
            raise PolicyError("hidden_weights=False: the job hides the sites' weights")
        if self.limits_epsilon and not terms.private:
            raise PolicyError(f"max_epsilon={self.max_epsilon}: the job adds no noise")
        if self.limits_epsilon and not promises(self.delta, terms.units):
            raise PolicyError(
                f"delta={self.delta}: the job has {terms.units} {terms.unit}s, of whom a delta of 1 / {terms.units} or "
                "more hides none"
            )
        if (counting := counting_terms(terms)) is not None:
            self.check(counting)
        if self.weights is not None and not terms.model.counted and dict(self.weights) != dict(terms.weights):
            raise PolicyError(f"weights={dict(self.weights)}: the job's are {dict(terms.weights)}")

    def check_seed(self, terms: JobTerms, seed: int | None) -> None:
        """Raise PolicyError where hidden updates would be trained with a public seed, against `secret_seeds`."""
        if self.secret_seeds and terms.way.hides_updates and seed is not None:
            raise PolicyError(f"secret_seeds=True: the job's seed is {seed}")

    @property
    def limits_epsilon(self) -> bool:
        """Whether the site holds jobs to an epsilon of its own."""
        return self.max_epsilon < math.inf

    @property
    def protected_unit(self) -> Unit:
        """Whom the site's own ledger protects."""
        return "patient" if "patient" in self.units else "site"

    def check_start(self, model_sha256: bytes) -> None:
        """Raise PolicyError where a job starts from another model than the one that the site knows."""
        if self.start_model and self.start_model != model_sha256.hex():
            raise PolicyError(f"start_model={self.start_model}: the job starts from {model_sha256.hex()}")


def _once_per_model(value: object) -> object:
    """The value by its name; true and false are short for 'all' and 'none'."""
    if type(value) is not bool:
        return value
    return "all" if value else "none"


def _is_number(value: object) -> bool:
    return type(value) in (int, float)


def read_pins(pinned: Mapping[str, str]) -> dict[str, bytes]:
    """Fingerprints in hex, colons allowed, as 32 bytes each; raises ConfigError for one that is no SHA-256."""
    try:
        pins = {site: bytes.fromhex(text.replace(":", "")) for site, text in pinned.items()}
    except (ValueError, AttributeError) as error:
        raise ConfigError(f"{POLICY_FILE}: a pinned fingerprint is not hex: {error}") from error
    for site, pin in pins.items():
        if len(pin) != 32:
            raise ConfigError(f"{POLICY_FILE}: the pin of {site} has {len(pin)} bytes, expected 32 of SHA-256")
    return pins


def read_policy(workspace: Workspace) -> SitePolicy:
    """The site's policy, or the defaults where it has none; raises ConfigError for an unknown or impossible entry."""
    own = {entry.name for entry in fields(SitePolicy)}
    entries = read_entries(Path(workspace.get_site_config_dir()) / POLICY_FILE)
    return SitePolicy(**{name: value for name, value in entries.items() if name in own})


def read_entries(path: Path) -> dict[str, Any]:
    """What a party's policy file says, {} where there is none; raises ConfigError for an entry that no party knows."""
    if not path.exists():
        return {}
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error}") from error
    known = {*(entry.name for entry in fields(SitePolicy)), *SERVER_ENTRIES}
    entries = parse_object(data, f"{path} cannot be read, expected some of {sorted(known)}", ConfigError)
    if unknown := sorted(set(entries) - known):
        raise ConfigError(f"{path} has unknown entries {unknown}, expected some of {sorted(known)}")
    return entries
