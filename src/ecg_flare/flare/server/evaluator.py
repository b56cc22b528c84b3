"""What the server measures and writes with the network: the Dice on public cases and the exported model.

Public cases are no site's: pages rendered from seeds and habits that none uses, say, so that measuring on them costs no
privacy. The network runs in a process of its own, as at the sites.
"""

import logging
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import numpy as np
from jaxtyping import Float32
from nvflare.apis.fl_component import FLComponent
from nvflare.apis.fl_context import FLContext

from ecg_flare.errors import ConfigError, PlanMismatchError, WorkerError
from ecg_flare.federated.terms import JobTerms
from ecg_flare.flare.job.components import cache_folder, page_source
from ecg_flare.flare.job.paths import check_path
from ecg_flare.nnunet.case import NoCases
from ecg_flare.nnunet.commands import ConcludeCommand, EvaluateCommand, ExportCommand, InitializeCommand
from ecg_flare.nnunet.export import load_bundled, load_model
from ecg_flare.nnunet.learnt import AgreedPlan, SiteCases
from ecg_flare.nnunet.sources import to_spec
from ecg_flare.nnunet.worker import Worker

PUBLIC_SITE: Final = "public"
"""The site whose cases of the public source the server measures on."""

UNMEASURED: Final = -1.0
"""The Dice of a model that was not measured, as the server has no public data."""

_TIMEOUT_S: Final = 3600.0
_MAX_FIGURE: Final = 1e12

_logger = logging.getLogger(__name__)


class PublicEvaluator(FLComponent):
    """Runs the network for the server.

    Args:
        source: id of the component that gives the public cases.
        threads: CPU threads of its process.
        device: torch device.
        measures: whether to report what the task measures beside Dice, of ECG pages decibels.

    Attributes:
        pages_digest: SHA-256 (hex) of the public cases that were last measured on; empty before.
        measures: what the task measured of the last model beside Dice, by name.
    """

    pages_digest: str = ""
    measures: Mapping[str, float] = MappingProxyType({})

    def __init__(
        self, source: str = "public_pages", threads: int = 1, device: str = "cpu", *, measures: bool = False
    ) -> None:
        super().__init__()
        self._source_id = source
        self._asks_measures = measures
        self._worker = Worker(threads=threads, device=device, log=_logger.info)

    def close(self) -> None:
        """End the process."""
        self._worker.close()

    def start_model(self, start: str, plan: AgreedPlan, fl_ctx: FLContext) -> Float32[np.ndarray, " d"]:
        """The first global model: 'bundled:NAME', 'random:SEED', or the path of a model file (.npz).

        Raises:
            ConfigError: where there is no such model, or the seed is no number.
            PlanMismatchError: where the model belongs to another plan.
            PolicyError: where it is a file that the server's policy does not allow a job to name.
        """
        kind, _, name = start.partition(":")
        if kind == "random":
            if not name.isdigit():
                raise ConfigError(f"start='random:SEED' needs a whole number. Found {start!r}.")
            return self._worker.call("initialize", InitializeCommand(plan, int(name)).to_params()).arrays["model"]
        if kind == "bundled":
            stored = load_bundled(name)
        else:
            check_path(start, fl_ctx.get_engine().get_workspace(), "results_folders")
            stored = load_model(Path(start).expanduser())
        if stored.plan.hash != plan.hash:
            raise PlanMismatchError(
                f"start={start!r} is a model of plan '{stored.plan.name}', the job's is '{plan.name}'."
            )
        return stored.vector

    def evaluate(self, model: Float32[np.ndarray, " d"], plan: AgreedPlan, fl_ctx: FLContext) -> float:
        """Mean Dice of the model over the public cases, 0 to 1; UNMEASURED where there are none."""
        source = page_source(fl_ctx, self._source_id, PUBLIC_SITE)
        if isinstance(source, NoCases):
            return UNMEASURED
        command = EvaluateCommand(SiteCases(source, PUBLIC_SITE, plan, cache_folder(fl_ctx)), self._asks_measures)
        call = partial(
            self._worker.call,
            "evaluate",
            command.to_params(),
            {"model": model},
            should_abort=partial(_aborted, fl_ctx),
            timeout_s=_TIMEOUT_S,
        )
        try:
            measured = call().params
        except WorkerError as error:  # a process that died, of memory say, gets one more try
            if _aborted(fl_ctx):
                raise
            self.log_warning(fl_ctx, f"measuring failed and is tried again: {error}", fire_event=False)
            measured = call().params
        self.pages_digest = str(measured["digest"])
        self.measures = _figures(measured["measures"])
        return float(measured["dice"])

    def export(self, model: Float32[np.ndarray, " d"], plan: AgreedPlan, folder: Path) -> None:
        """Write the model for use elsewhere: of nnU-Net, a folder that stock nnU-Net predicts from."""
        self._worker.call("export", ExportCommand(plan, folder).to_params(), {"model": model}, timeout_s=_TIMEOUT_S)

    def conclude(self, mean: Float32[np.ndarray, " d"], plan: AgreedPlan, terms: JobTerms, folder: Path) -> None:
        """Write what follows from the mean of the counts, of a task that counts."""
        command = ConcludeCommand(plan, terms, folder)
        self._worker.call("conclude", command.to_params(), {"model": mean}, timeout_s=_TIMEOUT_S)

    def source_spec(self, fl_ctx: FLContext) -> dict[str, Any]:
        """Class path and arguments of the public cases' source."""
        return to_spec(page_source(fl_ctx, self._source_id, PUBLIC_SITE))


def _figures(measures: Mapping[str, Any]) -> Mapping[str, float]:
    """The measures that are finite numbers of a size that a report draws; the others are told and left out."""
    kept = {}
    for name, value in measures.items():
        if isinstance(value, int | float) and abs(value) < _MAX_FIGURE:
            kept[str(name)] = float(value)
        else:
            _logger.warning("the measure %s is no figure and is left out: %s", name, value)
    return kept


def _aborted(fl_ctx: FLContext) -> bool:
    signal = fl_ctx.get_run_abort_signal()
    return signal is not None and bool(signal.triggered)
