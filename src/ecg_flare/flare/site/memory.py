"""Where a site keeps what it answered: by a job's signed terms and by model, never by the id that FLARE gives a job.

FLARE's signature covers the job's folder, not its id: whoever runs the server can deploy one signed job twice.
"""

from pathlib import Path
from typing import Final

from nvflare.apis.fl_context import FLContext

from ecg_flare.flare.job.components import job_terms
from ecg_flare.flare.job.messages import TrainRequest
from ecg_flare.flare.job.terms import Summation
from ecg_flare.privacy.secure_sum import recovered_sums
from ecg_flare.privacy.secure_sum.memory import FileRoundMemory
from ecg_flare.privacy.secure_sum.recovered_sums import FileModelMemory, OncePerModel

MODELS_FOLDER: Final = "ecg_flare_opened_models"
_ROUNDS_FOLDERS: Final = {"masked": "ecg_flare_answered_rounds", "encrypted": "ecg_flare_opened_rounds"}


def round_memory(fl_ctx: FLContext, summation: Summation) -> FileRoundMemory:
    """This site's memory of the job's rounds: a file a job, named by the digest of its terms."""
    return FileRoundMemory(site_root(fl_ctx) / _ROUNDS_FOLDERS[summation] / f"{job_terms(fl_ctx).digest}.json")


def model_memory(fl_ctx: FLContext) -> FileModelMemory:
    """This site's memory of models, which all its jobs share."""
    return FileModelMemory(site_root(fl_ctx) / MODELS_FOLDER)


def check_model(fl_ctx: FLContext, request: TrainRequest, once: OncePerModel) -> None:
    """Raise PolicyError, before anything is trained, where another job's sum was opened from the request's model."""
    terms = job_terms(fl_ctx)
    if terms.summation != "plain":
        memory = model_memory(fl_ctx)
        recovered_sums.check_job(memory, request.model_sha256, terms.digest, noised=terms.private, once=once)


def site_root(fl_ctx: FLContext) -> Path:
    """The site's workspace."""
    return Path(fl_ctx.get_engine().get_workspace().get_root_dir())
