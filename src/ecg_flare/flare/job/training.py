"""How a job has its sites train, as the server finds it beside its own configuration, for run.json."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from nvflare.apis.workspace import Workspace

from ecg_flare.documents import Fields
from ecg_flare.errors import ConfigError
from ecg_flare.flare.job.messages import TRAIN
from ecg_flare.nnunet.settings import TrainingSettings
from ecg_flare.site.kit import entries, read_object

_EXECUTOR: Final = "ecg_flare.flare.site.executor.NnunetExecutor"
_CLIENT_CONFIG: Final = "config_fed_client.json"


def deployed_training(workspace: Workspace, job_id: str) -> TrainingSettings | None:
    """The settings of local training in a deployed job; None where the server's app has no configuration for sites.

    Raises ConfigError as `stated_training`.
    """
    path = Path(workspace.get_app_config_dir(job_id)) / _CLIENT_CONFIG
    if not path.is_file():
        return None
    return stated_training(read_object(path, "Export the job again."))


def stated_training(config: Mapping[str, Any]) -> TrainingSettings | None:
    """The settings of local training in a job's configuration for sites; None where another executor trains.

    Raises ConfigError for settings that are unknown or impossible.
    """
    for one in entries(config, "executors"):
        executor = one.get("executor")
        if TRAIN in one.get("tasks", ()) and isinstance(executor, Mapping) and executor.get("path") == _EXECUTOR:
            where = f"{_CLIENT_CONFIG}, executor of {TRAIN!r}"
            args = Fields(executor, where, ConfigError).mapping("args")
            return TrainingSettings.of_job(args.get("training"), f"{where}, training")
    return None
