"""A job as a FLARE recipe: written, run or submitted from Python, the same job folder as from the command line.

    recipe = FedECGRecipe(sites=("berlin", "lyon", "porto"), algorithm="fedadam", summation="masked", rounds=20)
    recipe.execute(SimEnv(clients=list(recipe.sites)))        # or PocEnv(...), or ProdEnv(startup_kit_location=...)

Its job is a `JobSpec`, so that the files are those of `ecg-flare jobs export`, with a nonce that each recipe draws.
FLARE's helpers that put further components, filters or files into a recipe's job are refused: what a site approves is
what the terms say.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal, cast

from nvflare.app_common.default_component_policy import DEFAULT_CLASS_ALLOW_LIST
from nvflare.job_config.api import FedJob
from nvflare.recipe.spec import Recipe

from ecg_flare.errors import ConfigError
from ecg_flare.federated.subset import EVERY_TENSOR
from ecg_flare.federated.summation import summation as summation_of
from ecg_flare.flare.deploy.allowed import SERVER_CLASSES, SITE_CLASSES
from ecg_flare.flare.deploy.provision import ALLOW_LIST
from ecg_flare.flare.job.bundled import BUNDLED, PUBLIC_PAGES
from ecg_flare.flare.job.folders import Aggregator, JobSpec, Pages, Training, write_job
from ecg_flare.flare.job.terms import RoundTerms, fresh_nonce

Algorithm = Literal["fedavg", "fedprox", "fedadam", "fedyogi", "fedadagrad"]

OWN_PAGES: Final = Pages("ecg_flare.site.own_pages.SitesOwn")
"""Each site's own, named by `ecg-flare site prepare`."""

_TRAINING: Final = Training()
_AGGREGATORS: Final[Mapping[Algorithm, Aggregator]] = {
    "fedavg": "FedAvg",
    "fedprox": "FedProx",
    "fedadam": "FedAdam",
    "fedyogi": "FedYogi",
    "fedadagrad": "FedAdagrad",
}


@dataclass(frozen=True)
class SitePrivacy:
    """Differential privacy of each site as a whole; see `RoundTerms`."""

    noise_multiplier: float
    epsilon_budget: float
    delta: float = 1e-5


@dataclass(frozen=True)
class PatientPrivacy:
    """Differential privacy of each patient over all of that patient's pages; see `RoundTerms`."""

    noise_multiplier: float
    epsilon_budget: float
    patients: int
    patients_per_site: int
    sampling_rate: float
    delta: float = 1e-5
    shared_patients: bool = False
    adaptive_clipping: Mapping[str, float] | None = None


class FedECGRecipe(Recipe):
    """Federated training of an nnU-Net on ECG pages.

    Args:
        sites: names of the sites, or their public weights by name.
        name: of the job; by default the algorithm's.
        about: one sentence of what it is.
        algorithm: what the server does with the mean of the updates; `optimizer` holds its settings.
        rounds: how many.
        min_sites: fewest sites of a round; by default two thirds of them, and more where the sum is hidden.
        summation: 'plain', 'masked' or 'encrypted'; see `RoundTerms`.
        clipping_norm: C; needed where updates are hidden or private.
        privacy: `SitePrivacy` or `PatientPrivacy`; None adds no noise.
        max_weight: hides the sites' weights, at most so many pages each; see `RoundTerms`.
        plan: name of the nnU-Net plan.
        trained: patterns of the tensors that are trained, by default all; see `RoundTerms`.
        projection: size and public seed of what updates are folded into; see `RoundTerms`.
        training: of the sites, a round; without a seed each site draws a secret one for each attempt.
        pages: the sites' pages; by default each site's own.
        public_pages: what the server measures the model on.
        start: the first model; see `ModelStore`.
        folder: what outlives the job at the server; see `JobSpec`.
        mlflow: see `JobSpec`.
        custom: folder of code that the job carries; None carries none.
        nonce: of the terms; by default a fresh one, so that this is a job of its own.

    Raises:
        ConfigError: where a value is impossible.
    """

    def __init__(
        self,
        sites: Sequence[str] | Mapping[str, float],
        *,
        name: str = "",
        about: str = "",
        algorithm: Algorithm = "fedavg",
        optimizer: Mapping[str, float] | None = None,
        rounds: int = 3,
        min_sites: int | None = None,
        summation: str = "plain",
        clipping_norm: float | None = None,
        privacy: SitePrivacy | PatientPrivacy | None = None,
        max_weight: int | None = None,
        plan: str = "tiny",
        trained: Sequence[str] = EVERY_TENSOR,
        projection: Mapping[str, int] | None = None,
        training: Training = _TRAINING,
        pages: Pages = OWN_PAGES,
        public_pages: Pages = PUBLIC_PAGES,
        start: str = "bundled:start",
        folder: str = "",
        mlflow: str | None = None,
        custom: Path | None = None,
        nonce: str = "",
    ) -> None:
        if algorithm not in _AGGREGATORS:
            raise ConfigError(f"algorithm is {algorithm!r}, expected one of {', '.join(_AGGREGATORS)}")
        weights = dict(sites) if isinstance(sites, Mapping) else dict.fromkeys(sites, 1.0)
        terms = RoundTerms(
            weights=weights,
            rounds=rounds,
            min_sites=summation_of(summation).default_threshold(len(weights)) if min_sites is None else min_sites,
            plan=plan,
            trained=trained,
            projection=projection,
            clipping_norm=clipping_norm,
            summation=summation,
            max_weight=max_weight,
            nonce=nonce or fresh_nonce(),
            **_promise(privacy),
        )
        spec = JobSpec(
            name=name or algorithm,
            about=about or f"{_AGGREGATORS[algorithm]} over a {summation} sum of {len(weights)} sites.",
            aggregator=_AGGREGATORS[algorithm],
            terms=terms,
            pages=pages,
            public_pages=public_pages,
            optimizer=dict(optimizer or {}),
            training=training,
            start=start,
            folder=folder,
            mlflow=mlflow,
            custom=custom is not None,
        )
        self._set(spec, custom)

    @classmethod
    def of(cls, spec: JobSpec, custom: Path | None = None) -> "FedECGRecipe":
        """The recipe of a job that is described already; `custom` holds the code of one with `custom=True`."""
        recipe = cls.__new__(cls)
        recipe._set(spec, custom)
        return recipe

    @classmethod
    def bundled(cls, name: str, custom: Path | None = None, **changes: Any) -> "FedECGRecipe":
        """One of the project's jobs, with fields of its `JobSpec` changed; without `custom` it carries no code.

        Raises ConfigError for a name that there is not, and for a job without code whose pages need it.
        """
        if name not in BUNDLED:
            raise ConfigError(f"there is no job {name!r}: {', '.join(BUNDLED)}")
        spec = replace(BUNDLED[name], custom=custom is not None, **changes)
        if custom is None and spec.pages.path not in SITE_CLASSES:
            raise ConfigError(f"{name} takes its pages from {spec.pages.path}: give `custom`, or other `pages`")
        return cls.of(spec, custom)

    @property
    def sites(self) -> tuple[str, ...]:
        """The roster, in sorted order."""
        return self.spec.terms.roster

    def _set(self, spec: JobSpec, custom: Path | None) -> None:
        self.spec = spec
        super().__init__(SpecJob(spec, custom))


class SpecJob(FedJob):
    """FLARE's job object over a `JobSpec`: written by `write_job`, and closed to changes."""

    def __init__(self, spec: JobSpec, custom: Path | None) -> None:
        super().__init__(name=spec.name, min_clients=spec.terms.min_sites)
        self._spec = spec
        self._custom = custom

    def to(self, obj: Any, target: str, id: str | None = None, **kwargs: Any) -> Any:
        """Refuse; raises ConfigError, always."""
        raise ConfigError(
            f"{type(obj).__name__} cannot be added to the job {self.name!r} at {target!r}: its filters and components "
            "are those that its terms need. Change the recipe's arguments."
        )

    def export_job(self, job_root: str) -> None:
        """Write the job's folder below `job_root`."""
        write_job(self._spec, Path(job_root), self._custom)

    def simulator_run(
        self,
        workspace: str,
        n_clients: int | None = None,
        clients: list[str] | None = None,
        threads: int | None = None,
        gpu: str | None = None,
        log_config: str | None = None,
    ) -> int:
        """Run the job in FLARE's simulator, in a process of its own; gives its exit code.

        Raises ConfigError where clients are asked for that are not the job's sites.
        """
        roster = list(self._spec.terms.roster)
        asked = sorted(clients) if clients else [f"site-{index}" for index in range(1, (n_clients or 0) + 1)]
        if asked != roster:
            raise ConfigError(f"the job is for {', '.join(roster)}; the environment has {', '.join(asked) or 'nobody'}")
        if not self._spec.custom:
            _allow_own_classes(Path(workspace))
        with tempfile.TemporaryDirectory() as folder:
            self.export_job(folder)
            command = [sys.executable, "-m", "nvflare.private.fed.app.simulator.simulator"]
            command += [str(Path(folder) / self.name), "-w", workspace, "-c", ",".join(roster)]
            options = {"-t": threads, "-gpu": gpu, "-l": log_config}
            command += [str(part) for key, value in options.items() if value is not None for part in (key, value)]
            return subprocess.run(command, check=False).returncode


def _allow_own_classes(workspace: Path) -> None:
    """List the classes of jobs beside FLARE's own, as a job without code may name listed ones alone.

    The simulator's server and sites share one list.
    """
    local = workspace / "local"
    path = next(
        (local / name for name in ("resources.json", "resources.json.default") if (local / name).exists()), None
    )
    resources = json.loads(path.read_text(encoding="utf-8")) if path else {"format_version": 2}
    listed = resources.get(ALLOW_LIST, list(DEFAULT_CLASS_ALLOW_LIST))
    resources[ALLOW_LIST] = list(dict.fromkeys((*listed, *SITE_CLASSES, *SERVER_CLASSES)))
    local.mkdir(parents=True, exist_ok=True)
    (local / "resources.json").write_text(json.dumps(resources, indent=2), encoding="utf-8")


def _promise(privacy: SitePrivacy | PatientPrivacy | None) -> dict[str, Any]:
    if privacy is None:
        return {}
    unit = "patient" if isinstance(privacy, PatientPrivacy) else "site"
    return {"unit": unit, **asdict(cast(Any, privacy))}
