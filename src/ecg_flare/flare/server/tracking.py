"""MLflow for the server's figures: FLARE's receiver with a run for the server, which FLARE's own does not make.

`MLflowReceiver` opens a run for each client and drops what the server itself sends. The figures of a round are the
server's (`telemetry.publish`); no site sends any. This module needs the package `mlflow` at the server.
"""

from typing import Any

from nvflare.apis.analytix import ANALYTIC_EVENT_TYPE
from nvflare.apis.fl_context import FLContext
from nvflare.app_opt.tracking.mlflow.mlflow_receiver import MLflowReceiver

from ecg_flare.errors import EcgFlareError
from ecg_flare.flare.job.paths import check_tracking_uri


class ServerMLflow(MLflowReceiver):
    """Writes the rounds' figures to MLflow as one run of the server.

    Args:
        tracking_uri: of the MLflow server, or a folder; by default a database in the job's results. A server with a
            kit takes those of its policy's `tracking_uris` alone, and ends the job at any other.
        experiment: name of the experiment.
    """

    def __init__(self, tracking_uri: str = "", experiment: str = "ecg_flare") -> None:
        super().__init__(
            tracking_uri or None,
            kw_args={"experiment_name": experiment, "experiment_tags": {}, "run_tags": {}},
            events=[ANALYTIC_EVENT_TYPE],  # the server's own; those of sites would come as "fed." events
        )

    def initialize(self, fl_ctx: FLContext) -> None:
        try:
            if self.tracking_uri:
                check_tracking_uri(self.tracking_uri, fl_ctx.get_engine().get_workspace())
        except EcgFlareError as error:
            self.system_panic(f"{type(error).__name__}: {error}", fl_ctx)
            raise
        super().initialize(fl_ctx)

    def _mlflow_setup(self, art_full_path: str, name: str, tags: Any, site_names: list[str], fl_ctx: FLContext) -> None:
        super()._mlflow_setup(art_full_path, name, tags, [fl_ctx.get_identity_name()], fl_ctx)

    def _init_buffer(self, site_names: list[str]) -> None:
        super()._init_buffer(list(self.mlflow_clients))
