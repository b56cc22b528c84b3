"""A job as a FLARE recipe: written, run or submitted from Python, the same job folder as from the command line.

    terms = JobTerms(equal_roster(("berlin", "lyon", "porto"), "plain"), rounds=20)
    recipe = FedECGRecipe(JobSpec("fedadam_eu", "FedAdam over three sites.", "FedAdam", terms))
    recipe.execute(SimEnv(clients=list(recipe.sites)))        # or PocEnv(...), or ProdEnv(startup_kit_location=...)

`FedECGRecipe.bundled("fedadam_dp", Changes(sites=(...)))` is the job that `ecg-flare jobs export` writes. A recipe
whose terms have no nonce draws one.

FLARE's helpers that put further components, filters or files into a recipe's job are refused: what a site approves is
what the terms say.
"""

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from nvflare.app_common.default_component_policy import DEFAULT_CLASS_ALLOW_LIST
from nvflare.job_config.api import FedJob
from nvflare.recipe.spec import Recipe

from ecg_flare.errors import ConfigError
from ecg_flare.extensions import VARIABLE, extension_class, loaded_extensions
from ecg_flare.flare.deploy.allowed import SERVER_CLASSES, SITE_CLASSES
from ecg_flare.flare.deploy.provision import ALLOW_LIST
from ecg_flare.flare.job.bundled import BUNDLED
from ecg_flare.flare.job.export import Changes, job_for
from ecg_flare.flare.job.folders import JobSpec, aggregator_path, write_job
from ecg_flare.flare.job.paths import check_workspace
from ecg_flare.flare.job.terms import check_job, fresh_nonce
from ecg_flare.nnunet.kinds import plan_of


class FedECGRecipe(Recipe):
    """Federated training of an nnU-Net on ECG pages.

    Args:
        spec: everything that the job folder says.
        custom: folder of code that a job with `custom=True` carries.

    Raises:
        ConfigError: where the job's terms are impossible, or its pages need code that it does not carry.
    """

    def __init__(self, spec: JobSpec, custom: Path | None = None) -> None:
        check_job(spec.terms)
        if not spec.custom and spec.pages.path not in SITE_CLASSES and extension_class(spec.pages.path) is None:
            raise ConfigError(f"{spec.name} takes its pages from {spec.pages.path}: give `custom`, or other `pages`")
        self.spec = spec if spec.terms.nonce else replace(spec, terms=replace(spec.terms, nonce=fresh_nonce()))
        super().__init__(SpecJob(self.spec, custom))

    @classmethod
    def bundled(cls, name: str, changes: Changes | None = None, custom: Path | None = None) -> "FedECGRecipe":
        """One of the project's jobs, as it is or with `changes`; without `custom` it carries no code.

        Raises ConfigError for a name that there is not, and for a job without code whose pages need it.
        """
        if name not in BUNDLED:
            raise ConfigError(f"there is no job {name!r}: {', '.join(BUNDLED)}")
        spec = BUNDLED[name] if changes is None else job_for(BUNDLED[name], changes)
        return cls(replace(spec, custom=custom is not None), custom)

    @property
    def sites(self) -> tuple[str, ...]:
        """The roster, in sorted order."""
        return self.spec.terms.roster


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
        check_workspace(workspace)
        roster = list(self._spec.terms.roster)
        asked = sorted(clients) if clients else [f"site-{index}" for index in range(1, (n_clients or 0) + 1)]
        if asked != roster:
            raise ConfigError(f"the job is for {', '.join(roster)}; the environment has {', '.join(asked) or 'nobody'}")
        if not self._spec.custom:
            _allow_own_classes(Path(workspace), self._spec)
        with tempfile.TemporaryDirectory() as folder:
            self.export_job(folder)
            command = [sys.executable, "-m", "nvflare.private.fed.app.simulator.simulator"]
            command += [str(Path(folder) / self.name), "-w", workspace, "-c", ",".join(roster)]
            options = {"-t": threads, "-gpu": gpu, "-l": log_config}
            command += [str(part) for key, value in options.items() if value is not None for part in (key, value)]
            environment = {**os.environ, VARIABLE: ":".join(loaded_extensions())}
            return subprocess.run(command, check=False, env=environment).returncode


def _allow_own_classes(workspace: Path, spec: JobSpec) -> None:
    """List the classes of jobs beside FLARE's own, as a job without code may name listed ones alone.

    With them those that the job names of extensions that this process has loaded.

    The simulator's server and sites share one list.
    """
    local = workspace / "local"
    path = next(
        (local / name for name in ("resources.json", "resources.json.default") if (local / name).exists()), None
    )
    resources = json.loads(path.read_text(encoding="utf-8")) if path else {"format_version": 2}
    listed = resources.get(ALLOW_LIST, list(DEFAULT_CLASS_ALLOW_LIST))
    model = spec.terms.model
    task = plan_of(model.plan, model.document).named_class
    named = (aggregator_path(spec.aggregator), spec.pages.path, spec.public_pages.path, task)
    own = [path for path in named if extension_class(path) is not None]
    resources[ALLOW_LIST] = list(dict.fromkeys((*listed, *SITE_CLASSES, *SERVER_CLASSES, *own)))
    local.mkdir(parents=True, exist_ok=True)
    (local / "resources.json").write_text(json.dumps(resources, indent=2), encoding="utf-8")
