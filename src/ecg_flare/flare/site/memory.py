"""Where a site keeps what it answered: by a job's signed terms and by model, never by the id that FLARE gives a job.

FLARE's signature covers the job's folder, not its id: whoever runs the server can deploy one signed job twice.
"""

from pathlib import Path
from typing import Final

from nvflare.apis.fl_context import FLContext

from ecg_flare.federated.terms import JobTerms
from ecg_flare.flare.job.messages import TrainRequest
from ecg_flare.nnunet.kinds import local_subset
from ecg_flare.privacy.secure_sum import recovered_sums
from ecg_flare.privacy.secure_sum.memory import FileRoundMemory
from ecg_flare.privacy.secure_sum.recovered_sums import FileModelMemory, OncePerModel
from ecg_flare.site.own_tensors import OWN_TENSORS_FOLDER, OwnTensors

MODELS_FOLDER: Final = "ecg_flare_opened_models"


def round_memory(fl_ctx: FLContext, folder: str, terms: JobTerms) -> FileRoundMemory:
    """This site's memory of rounds under these terms, in that folder: a file named by their digest."""
    return FileRoundMemory(site_root(fl_ctx) / folder / f"{terms.digest}.json")


def model_memory(fl_ctx: FLContext) -> FileModelMemory:
    """This site's memory of models, which all its jobs share."""
    return FileModelMemory(site_root(fl_ctx) / MODELS_FOLDER)


def check_model(fl_ctx: FLContext, request: TrainRequest, terms: JobTerms, once: OncePerModel) -> None:
    """Raise PolicyError, before anything is trained, where another job had a sum from the request's model."""
    if terms.way.hides_updates:
        memory = model_memory(fl_ctx)
        recovered_sums.check_job(memory, request.model_sha256, terms.digest, noised=terms.private, once=once)


def own_tensors(fl_ctx: FLContext, terms: JobTerms, plan_hash: str) -> OwnTensors | None:
    """The tensors that this site trains and keeps under these terms; None where they are all exchanged."""
    subset = local_subset(terms.model)
    if subset is None:
        return None
    return OwnTensors(site_root(fl_ctx) / OWN_TENSORS_FOLDER / f"{terms.digest}.npz", subset, plan_hash)


def site_root(fl_ctx: FLContext) -> Path:
    """The site's workspace."""
    return Path(fl_ctx.get_engine().get_workspace().get_root_dir())
