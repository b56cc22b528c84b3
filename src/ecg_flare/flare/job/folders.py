"""The jobs of ecg_flare as FLARE job folders, written from one place.

`BUNDLED` holds the jobs that stand in the project's `jobs/`; `JobSpec` with other sites, pages or settings gives
one for a real consortium. The configs are plain JSON that an administrator can read before approving.
"""

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from nvflare.apis.analytix import ANALYTIC_EVENT_TYPE

from ecg_flare.errors import ConfigError
from ecg_flare.extensions import extension_class
from ecg_flare.federated.promise import check_promise
from ecg_flare.federated.site_names import check_job_name, check_site_names
from ecg_flare.federated.terms import JobTerms
from ecg_flare.flare.deploy.allowed import is_class_path
from ecg_flare.flare.job.components import TASK
from ecg_flare.flare.job.ledger_messages import WITNESS
from ecg_flare.flare.server import aggregators, robust
from ecg_flare.flare.server.aggregators import UpdateAggregator
from ecg_flare.nnunet.kinds import plan_of
from ecg_flare.nnunet.settings import Compute, TrainingSettings, names

_EVALUATOR: Final = "ecg_flare.flare.server.evaluator.PublicEvaluator"
_WORKFLOW: Final = "ecg_flare.flare.server.workflow.FederatedRounds"
_MECHANISM: Final = "ecg_flare.flare.server.mechanism.GaussianMechanism"
_WITNESS: Final = "ecg_flare.flare.site.heads.LedgerWitness"
_WITNESS_EXECUTOR: Final = "ecg_flare.flare.site.heads.WitnessExecutor"
_TENSORBOARD: Final = "nvflare.app_opt.tracking.tb.tb_receiver.TBAnalyticsReceiver"
_MLFLOW: Final = "ecg_flare.flare.server.tracking.ServerMLflow"
_AGGREGATORS: Final[Mapping[str, type[UpdateAggregator]]] = {
    kind.__name__: kind
    for kind in (
        *(aggregators.FedAvg, aggregators.FedProx, aggregators.FedAvgM),
        *(aggregators.FedAdam, aggregators.FedYogi, aggregators.FedAdagrad),
        *(robust.Median, robust.TrimmedMean, robust.Krum, robust.MultiKrum, robust.GeometricMedian),
    )
}


_NO_CODE: Final = """This job carries no code.

FLARE's simulator builds ecg_flare's classes only in a job that carries something here. A job for sites with kits goes
without this folder: ecg-flare jobs export --no-code.
"""


@dataclass(frozen=True)
class Training(TrainingSettings):
    """A site's local training, and what it runs on (`nnunet.settings`).

    Without a seed each site draws a secret one for each attempt; see `NnunetExecutor`.
    """

    seed: int | None = None
    threads: int = Compute.threads
    device: str = Compute.device

    def executor_args(self) -> dict[str, Any]:
        """The arguments of `NnunetExecutor`."""
        values = asdict(self)
        seed, compute = values.pop("seed"), {name: values.pop(name) for name in names(Compute)}
        return {"training": values, "compute": compute, "seed": seed}


@dataclass(frozen=True)
class Pages:
    """Where pages come from: the class path of a case source and its arguments."""

    path: str
    args: Mapping[str, Any] = field(default_factory=dict)


OWN_PAGES: Final = Pages("ecg_flare.site.own_pages.SitesOwn")
"""Each site's own, named by `ecg-flare site prepare`."""

PUBLIC_PAGES: Final = Pages(
    "ecg_flare.task.traces.sources.SyntheticPages", {"profiles": {"public": "public"}, "pages_per_site": 4, "seed": 900}
)
"""Synthetic pages that the server measures the global model on."""


NO_PUBLIC_CASES: Final = Pages("ecg_flare.nnunet.case.NoCases")
"""The server has no data to measure the global model on."""


@dataclass(frozen=True)
class JobSpec:
    """Everything that a job folder says.

    Attributes:
        name: of the job and its folder.
        about: one sentence for meta.json.
        aggregator: class in `flare.server.aggregators` or `flare.server.robust`, or the class path of an extension's,
            which the server's kit has to allow (docs/extending.md); optimizer holds its arguments.
        terms: the public terms, the same at the server and each site.
        pages: the sites' pages; public_pages those that the server measures the global model on.
        start: where the first global model comes from; see `ModelStore`.
        site_metrics: what a site may tell about its training when the job is not private.
        folder: where the server keeps the results; see `ModelStore`.
        validate_every: see `FederatedRounds`.
        measures: whether the server reports what the task measures beside Dice; see `PublicEvaluator`.
        mlflow: where the server tells MLflow the rounds' figures, beside TensorBoard: a tracking URI, or '' for a
            database in the job's results; None tells it nothing. Needs the package mlflow at the server.
        custom: whether the job carries the hospital's own code (`custom/site_pages.py`), which FLARE then asks the
            'byoc' right for, and which lets a bare simulator run classes outside FLARE's own allow-list.
    """

    name: str
    about: str
    aggregator: str
    terms: JobTerms
    pages: Pages = OWN_PAGES
    public_pages: Pages = PUBLIC_PAGES
    optimizer: Mapping[str, float] = field(default_factory=dict)
    training: Training = field(default_factory=Training)
    start: str = "bundled:start"
    site_metrics: tuple[str, ...] = ("loss", "update_norm", "clipped")
    folder: str = ""
    validate_every: int = 0
    measures: bool = False
    mlflow: str | None = None
    custom: bool = True

    def __post_init__(self) -> None:
        check_job_name(self.name)
        check_site_names(self.terms.roster)
        check_promise(self.terms)
        if self.measures and (self.public_pages == NO_PUBLIC_CASES or self.terms.model.local):
            why = "its sites keep tensors" if self.terms.model.local else "its server has no public data"
            raise ConfigError(f"measures: {self.name} measures no model at the server, as {why}; leave them out")
        if self.aggregator not in _AGGREGATORS and not is_class_path(self.aggregator):
            raise ConfigError(
                f"aggregator must be one of {', '.join(_AGGREGATORS)}, or the class path of one of an extension. "
                f"Found {self.aggregator!r}."
            )
        if self.training.proximal_mu and self.aggregator != "FedProx":
            raise ConfigError(
                f"proximal_mu={self.training.proximal_mu} belongs to FedProx. Found aggregator {self.aggregator!r}."
            )
        kind = _aggregator_class(self.aggregator)
        if kind is None:  # the server has it, this machine need not
            return
        try:
            built = kind(**self.optimizer)
        except TypeError as error:
            raise ConfigError(
                f"{self.aggregator} does not take the optimizer's {dict(self.optimizer)}: {error}"
            ) from error
        built.check(self.terms)


def aggregator_path(name: str) -> str:
    """Class path of an aggregator: of the package's own by its name, or of an extension's as it is."""
    kind = _AGGREGATORS.get(name)
    return name if kind is None else f"{kind.__module__}.{name}"


def _aggregator_class(name: str) -> Callable[..., UpdateAggregator] | None:
    """The class, where it is here; raises ConfigError for one of an extension that is no aggregator."""
    kind = _AGGREGATORS.get(name) or extension_class(name)
    if kind is not None and not issubclass(kind, UpdateAggregator):
        raise ConfigError(f"{name} is no aggregator, expected a class that extends UpdateAggregator")
    return kind


def job_files(spec: JobSpec) -> dict[str, str]:
    """The job folder as relative path -> text, without the custom code."""
    sites = list(spec.terms.roster)
    meta = {
        "name": spec.name,
        "about": spec.about,
        "resource_spec": {},
        "min_clients": spec.terms.min_sites,
        "deploy_map": {"app": ["server", *sites]},
    }
    return {
        "meta.json": _json(meta),
        "app/config/config_fed_server.json": _json(_server_config(spec)),
        "app/config/config_fed_client.json": _json(_client_config(spec)),
    }


def write_job(spec: JobSpec, folder: Path, custom: Path | None = None) -> Path:
    """Write the job below `folder`; `custom` is the folder of the code that a job with `custom=True` carries.

    Where there is no such folder the job carries a note instead, with which FLARE's simulator takes it.

    Raises:
        ConfigError: where the job should carry code and `custom` holds none.
    """
    carried = _carried(spec, custom)
    target = folder / spec.name
    shutil.rmtree(target / "app" / "custom", ignore_errors=True)
    for name, text in {**job_files(spec), **carried}.items():
        path = target / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return target


def _carried(spec: JobSpec, custom: Path | None) -> dict[str, str]:
    """Relative path -> text of the code that the job carries, or of the note in its place."""
    if not spec.custom:
        return {}
    if custom is None:
        return {"app/custom/README.txt": _NO_CODE}
    modules = sorted(custom.glob("*.py"))
    if not modules:
        raise ConfigError(
            f"{spec.name} carries the hospital's own code, but there is none in {custom}: run this in the "
            "project's folder, name another by --custom, or carry none (--no-code, for sites with kits)"
        )
    return {f"app/custom/{module.name}": module.read_text("utf-8") for module in modules}


def stale_files(spec: JobSpec, folder: Path, custom: Path | None = None) -> list[str]:
    """Files of the job below `folder` that differ from what `write_job` would write, as relative paths."""
    expected = {**job_files(spec), **_carried(spec, custom)}
    target = folder / spec.name
    found = {
        str(path.relative_to(target)): path.read_text("utf-8")
        for path in target.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    return sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))


def _server_config(spec: JobSpec) -> dict[str, Any]:
    rounds_args: dict[str, Any] = {"validate_every": spec.validate_every}
    if spec.terms.private:
        rounds_args["mechanism"] = "mechanism"
    components = [
        _component("terms", "ecg_flare.federated.terms.JobTerms", _terms_args(spec.terms)),
        _component("aggregator", aggregator_path(spec.aggregator), dict(spec.optimizer)),
        _component(
            "persistor", "ecg_flare.flare.server.persistor.ModelStore", {"folder": spec.folder, "start": spec.start}
        ),
        _component("public_pages", spec.public_pages.path, dict(spec.public_pages.args)),
        _component("evaluator", _EVALUATOR, {"source": "public_pages"} | ({"measures": True} if spec.measures else {})),
        _component("tensorboard", _TENSORBOARD, {"events": [ANALYTIC_EVENT_TYPE]}),  # the server's figures alone
    ]
    if spec.mlflow is not None:
        components.append(_component("mlflow", _MLFLOW, {"tracking_uri": spec.mlflow}))
    if spec.terms.private:
        components.append(_component("mechanism", _MECHANISM, {}))
    if spec.start.startswith("random:"):  # the server initializes the network
        components += _task(spec)
    return {
        "format_version": 2,
        "workflows": [_component("rounds", _WORKFLOW, rounds_args)],
        "components": components,
        "task_data_filters": [],
        "task_result_filters": [],
    }


def _client_config(spec: JobSpec) -> dict[str, Any]:
    hiding = spec.terms.way.site
    strip = {"path": "ecg_flare.flare.site.filters.StripResult", "args": {"metrics": _told(spec)}}
    clip = _plain("ecg_flare.flare.site.filters.ClipUpdate")
    training = spec.training.executor_args()
    return {
        "format_version": 2,
        "executors": [
            {
                "tasks": ["train", "validate"],
                "executor": {"path": "ecg_flare.flare.site.executor.NnunetExecutor", "args": training},
            },
            *([{"tasks": list(hiding.tasks), "executor": _plain(hiding.executor)}] if hiding.steps else []),
            *([{"tasks": [WITNESS], "executor": _plain(_WITNESS_EXECUTOR)}] if spec.terms.private else []),
        ],
        "task_data_filters": [],
        "task_result_filters": [
            {
                "tasks": ["train"],
                "filters": [
                    *([clip] if spec.terms.clips_updates else []),
                    strip,
                    *([_plain(hiding.result_filter)] if hiding.result_filter else []),
                ],
            },
            {"tasks": ["validate"], "filters": [strip]},
        ],
        "components": [
            _component("terms", "ecg_flare.federated.terms.JobTerms", _terms_args(spec.terms)),
            _component("pages", spec.pages.path, dict(spec.pages.args)),
            *_task(spec),
            *([_component(hiding.component_id, hiding.component, {})] if hiding.component else []),
            *([_component(WITNESS, _WITNESS, {})] if spec.terms.private else []),
        ],
    }


def _task(spec: JobSpec) -> list[dict[str, Any]]:
    """The component of somebody else's task, so that FLARE holds its class to each party's own rules."""
    if not spec.terms.model.document:
        return []
    plan = plan_of(spec.terms.model.plan, spec.terms.model.document)
    return [_component(TASK, plan.named_class, plan.named_args)] if plan.named_class else []


def _told(spec: JobSpec) -> list[str]:
    return list(spec.site_metrics) if spec.terms.reports_metrics else []


def _terms_args(terms: JobTerms) -> dict[str, Any]:
    return asdict(terms)


def _plain(path: str) -> dict[str, Any]:
    return {"path": path, "args": {}}


def _component(component_id: str, path: str, args: Mapping[str, Any]) -> dict[str, Any]:
    return {"id": component_id, "path": path, "args": dict(args)}


def _json(value: Any) -> str:
    return json.dumps(value, indent=2) + "\n"
