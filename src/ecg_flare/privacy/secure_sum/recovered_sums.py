"""Of each model one sum: what a site remembers of the sums that it helped to recover, over all jobs and attempts.

Sums over two sets of sites, of updates from one model, can be subtracted: where the sets differ by one site, that
site's update is left. So a site helps to recover one sum a model: over one set of sites, whatever round, attempt or
deployment asks for it. An attempt that ended before this site helped binds nobody, and the round goes on. A sum that
was recovered, and lost by the server, is recovered again over the very same sites. A masked sum is recovered by
unmasking, an encrypted one by decryption.

Why nothing can be subtracted then
----------------------------------
Let sums over the sets U_i of sites be recovered, of rosters of n_i sites with thresholds t_i, of which k_i work with
the server. At least t_i - k_i honest sites helped with each, all of them in U_i, and no honest site helps with two of
the sets. Suppose that the sums a_1, …, a_m, none of them times zero, add up to one honest site's update, even if every
site sent the same update to all of them. Let N be the number of honest sites in these sets. The honest parts of the
sets have at most n_i - k_i sites each, and sum(t_i - k_i) <= N. With k_i < 2 t_i - n_i, which is n_i - k_i <=
2 (t_i - k_i) - 1, the sizes of the honest parts add up to at most 2 N - m: at least m sites are in one set alone. The
updates of those stay in the combination, so that m = 1; but one set has t - k >= 2 honest sites. (For two attempts of
one roster it is shorter: 2 (t - k) sites are more than the n - k that there are.) docs/threat-model.md says it in
words, and tests/privacy/secure_sum/test_recovered_sums.py tries every strategy of a server over small cohorts.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, Protocol

from ecg_flare.documents import Fields, parse_json, short
from ecg_flare.errors import PolicyError, StorageError
from ecg_flare.privacy.secure_sum.context import Member
from ecg_flare.storage import locked, write_atomically

MAX_RECOVERIES: Final = 3
"""How often the sum of one model over one set of sites is recovered.

The updates are of new seeds each time: a server that could ask without end would average the seeds out."""

_MAX_NORM: Final = 1e300

OncePerModel = Literal["all", "unnoised", "none"]
"""Of which sums a model is used for one job alone; within a job it is used for one set of sites in any case."""


@dataclass(frozen=True)
class HiddenSum:
    """A sum from some model, as far as another one may not be subtracted from it.

    Attributes:
        job: digest of the job's terms.
        sites: the sites in it, sorted by name; a fingerprint is empty where all sites hold one key.
        clipping_norm: C that the updates were clipped to.
        noised: whether noise goes on it before it is released.
    """

    job: str
    sites: tuple[Member, ...]
    clipping_norm: float
    noised: bool

    @property
    def names(self) -> str:
        """The sites, for a message."""
        return ", ".join(site.name for site in self.sites)


Recoveries = Mapping[HiddenSum, int]
"""The sums from one model that a site helped to recover, and how often each."""


class ModelMemory(Protocol):
    """Where a site keeps what it did with each model that it was sent."""

    def load(self, model_sha256: bytes) -> Recoveries | None:
        """The sums recovered from a model; None where no hidden update from it ever left this site."""

    def update(self, model_sha256: bytes, change: Callable[[Recoveries], Recoveries]) -> None:
        """Replace what is known of a model by what `change` makes of it, in one step, durably.

        No other process comes between, and where `change` raises, all stays as it was.
        """


class VolatileModelMemory:
    """A memory of models that ends with the process: for tests."""

    def __init__(self) -> None:
        self._models: dict[bytes, Recoveries] = {}

    def load(self, model_sha256: bytes) -> Recoveries | None:
        """The sums recovered from a model, or None."""
        return self._models.get(model_sha256)

    def update(self, model_sha256: bytes, change: Callable[[Recoveries], Recoveries]) -> None:
        """Replace what is known of a model."""
        self._models[model_sha256] = change(self._models.get(model_sha256, {}))


class FileModelMemory:
    """A file a model, named by its SHA-256, in a folder that all jobs of the site share; mode 0600.

    Raises `StorageError` where a file cannot be read or written, or holds something else: forgetting what was recovered
    would be worse than stopping.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def load(self, model_sha256: bytes) -> Recoveries | None:
        """The sums recovered from a model, or None."""
        path = self._path(model_sha256)
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StorageError(f"cannot read the recovered sums in {path}: {error}; restore access") from error
        where = (
            f"{path} does not hold recovered sums, restore it from a backup (deleting it lets a server recover a "
            "second sum from this model)"
        )
        entries = parse_json(data, where, StorageError)
        if not isinstance(entries, list):
            raise StorageError(f"{where}: expected a list, found {short(entries)}.")
        return dict(_read_entry(Fields(entry, where, StorageError)) for entry in entries)

    def update(self, model_sha256: bytes, change: Callable[[Recoveries], Recoveries]) -> None:
        """Replace what is known of a model on disk; two processes of the site take turns."""
        with locked(self._folder):
            recoveries = change(self.load(model_sha256) or {})
            text = json.dumps([_entry(one, count) for one, count in recoveries.items()], indent=1)
            write_atomically(self._path(model_sha256), lambda file: file.write(text.encode()), mode=0o600)

    def _path(self, model_sha256: bytes) -> Path:
        return self._folder / f"{model_sha256.hex()}.json"


def note_update(memory: ModelMemory, model_sha256: bytes) -> None:
    """Record that a hidden update from this model is about to leave."""
    memory.update(model_sha256, lambda recoveries: recoveries)


def check_job(memory: ModelMemory, model_sha256: bytes, job: str, *, noised: bool, once: OncePerModel) -> None:
    """Refuse a job, before anything is trained, from whose model another job had a sum; raises `PolicyError`."""
    check_other_jobs(memory.load(model_sha256) or {}, job, noised=noised, once=once)


def check_may_recover(memory: ModelMemory, model_sha256: bytes, asked: HiddenSum, once: OncePerModel) -> None:
    """Refuse a sum that this site may not help to recover, and record nothing; raises `PolicyError`."""
    _check(memory.load(model_sha256) or {}, asked, once)


def record_recovery(memory: ModelMemory, model_sha256: bytes, asked: HiddenSum, once: OncePerModel) -> None:
    """Record that this site is about to help to recover the sum; raises `PolicyError` where it may not.

    Of two deployments that ask at the same time for sums over two sets of sites, one is refused.
    """

    def add(recoveries: Recoveries) -> Recoveries:
        _check(recoveries, asked, once)
        return {**recoveries, asked: recoveries.get(asked, 0) + 1}

    memory.update(model_sha256, add)


def _check(recoveries: Recoveries, asked: HiddenSum, once: OncePerModel) -> None:
    check_other_jobs(recoveries, asked.job, noised=asked.noised, once=once)
    check_same_sites(recoveries, asked)
    check_recoveries(recoveries, asked)


def check_other_jobs(recoveries: Recoveries, job: str, *, noised: bool, once: OncePerModel) -> None:
    """Refuse a model from which another job had a sum, as far as `once` says: 'unnoised' if one has no noise.

    Raises `PolicyError`.
    """
    for earlier in recoveries:
        both_noised = earlier.noised and noised
        if earlier.job != job and (once == "all" or (once == "unnoised" and not both_noised)):
            raise PolicyError(
                f"once_per_model={once!r}: another job recovered a sum from the model that this one starts from, and "
                "the two could be subtracted; start from another model"
            )


def check_same_sites(recoveries: Recoveries, asked: HiddenSum) -> None:
    """Refuse a sum of the same job over other sites than the one recovered from this model; raises `PolicyError`."""
    for earlier in recoveries:
        if earlier.job == asked.job and earlier != asked:
            raise PolicyError(
                f"one sum a model: the sum over {earlier.names} at clipping norm {earlier.clipping_norm} was recovered "
                f"from it, and one over {asked.names} at {asked.clipping_norm} could be subtracted; run the round with "
                "the same sites"
            )


def check_recoveries(recoveries: Recoveries, asked: HiddenSum) -> None:
    """Refuse a sum that was recovered as often as one may be; raises `PolicyError`."""
    if recoveries.get(asked, 0) >= MAX_RECOVERIES:
        raise PolicyError(
            f"max_recoveries={MAX_RECOVERIES}: the sum over {asked.names} from this model was recovered so "
            "often and lost each time; mend the server, and start from another model"
        )


def _entry(one: HiddenSum, recoveries: int) -> dict[str, Any]:
    sites = {site.name: site.fingerprint.hex() for site in one.sites}
    norm = float(one.clipping_norm)
    return {"job": one.job, "sites": sites, "clipping_norm": norm, "noised": one.noised, "openings": recoveries}


def _read_entry(fields: Fields) -> tuple[HiddenSum, int]:
    prints = fields.mapping("sites")
    try:
        sites = tuple(Member(name, bytes.fromhex(text)) for name, text in prints.items())
    except (ValueError, TypeError):
        fields.refuse("sites", prints, "fingerprints in hex by site")
    norm = fields.number("clipping_norm", 0, _MAX_NORM)
    recovered = HiddenSum(fields.text("job"), sites, norm, fields.flag("noised"))
    return recovered, fields.whole("openings", 0, 2**31)
