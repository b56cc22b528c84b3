"""A site's cases prepared before the first round, by the call that the executor makes in it, and reused there."""

import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ecg_flare.errors import ConfigError
from ecg_flare.federated.terms import JobTerms
from ecg_flare.nnunet.commands import PrepareCommand, prepare_command
from ecg_flare.nnunet.learnt import AgreedPlan, SiteCases
from ecg_flare.nnunet.memory import machine_memory, memory_need
from ecg_flare.nnunet.plan import Plan
from ecg_flare.nnunet.settings import Compute
from ecg_flare.nnunet.worker import Worker
from ecg_flare.site.kit import JobFolder, entries, entry
from ecg_flare.storage import nearest_existing
from ecg_flare.task.inspection import Finding

_GB = 1e9


@dataclass(frozen=True)
class JobNeeds:
    """What of a job's terms decides how cases are prepared.

    Attributes:
        plan: name of the nnU-Net plan.
        document: the plan itself, where it is no preset.
        unit: whose presence the job hides. Under 'patient' every case is for training, unless `held_out`.
        patients_per_site: under unit 'patient', how many patients the job counts at a site.
        device: the torch device that the job trains on.
        held_out: whether the job counts on held-out cases what the model finds.
    """

    plan: str
    document: str = ""
    unit: str = "site"
    patients_per_site: int | None = None
    device: str = Compute.device
    held_out: bool = False

    @classmethod
    def of(cls, job: JobFolder, site: str) -> "JobNeeds":
        """The needs of a job at a site; raises ConfigError where it does not name its terms, or they are impossible."""
        args = entry(job.client_config(site), "terms").get("args", {})
        try:
            terms = JobTerms(**args)
        except TypeError as error:
            raise ConfigError(f"the terms of the job {job.folder} cannot be read: {error}") from error
        executors = [one.get("executor", {}) for one in entries(job.client_config(site), "executors")]
        computes = [one.get("args", {}).get("compute") for one in executors if "compute" in one.get("args", {})]
        device = Compute.of_job(computes[0] if computes else None, f"the job {job.folder}, compute").device
        held_out = terms.evaluation is not None
        return cls(terms.model.plan, terms.model.document, terms.unit, terms.patients_per_site, device, held_out)

    def command(self, cases: SiteCases) -> PrepareCommand:
        """What the training process is asked for these cases, as in the job's first round."""
        return prepare_command(cases, self.unit, self.patients_per_site, held_out=self.held_out)


@dataclass(frozen=True)
class Preparation:
    """Prepared cases: how many, of how many patients, on which side of the split, where, how large, how long it took.

    `reused` says that they had been prepared before.
    """

    cases: int
    patients: int
    train: int
    val: int
    folder: Path
    size_bytes: int
    seconds: float
    reused: bool


def prepare_cases(
    cases: SiteCases, needs: JobNeeds, *, log: Callable[[str], None], threads: int = Compute.threads
) -> Preparation:
    """Prepare a site's cases for a job, in a process of its own.

    Raises:
        SiteDataError: where a case cannot be read, or there are too few patients.
        StorageError: where the cache cannot be written.
        WorkerError: where the process died.
    """
    started = time.monotonic()
    with Worker(threads=threads, log=log) as worker:
        reply = worker.call("prepare", needs.command(cases).to_params()).params
    folder = Path(reply["folder"])
    return Preparation(
        **{key: reply[key] for key in ("cases", "patients", "train", "val", "reused")},
        folder=folder,
        size_bytes=sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()),
        seconds=time.monotonic() - started,
    )


def check_memory(plan: AgreedPlan, needs: JobNeeds) -> Iterator[Finding]:
    """What to do where training by a plan that the job brings would not fit this machine's memory.

    On another device than the CPU nothing is said: its memory is not known here. Nor is what a module of somebody else
    takes.
    """
    total = machine_memory()
    if not isinstance(plan, Plan) or not needs.document or total is None or needs.device != "cpu":
        return
    need = memory_need(plan)
    size = f"{need.parameters:,} parameters"
    said = f"training by the plan {plan.name!r} ({size}) takes about {need.total_bytes / _GB:.1f} GB"
    if need.total_bytes > total:
        yield Finding(
            "",
            f"{said}, this machine has {total / _GB:.1f} GB",
            "ask for a plan of a smaller patch or batch, or train on a larger machine",
            stops=True,
        )


def check_disk(cache: Path, needed_bytes: int) -> Iterator[Finding]:
    """What to do where the disk of the cache has less free than prepared cases need."""
    free = shutil.disk_usage(nearest_existing(cache)).free
    if free >= needed_bytes:
        return
    yield Finding(
        "",
        f"prepared cases need about {needed_bytes / _GB:.1f} GB, the disk of {cache} has {free / _GB:.1f} GB free",
        "name a folder on a larger disk by --cache",
        stops=True,
    )
