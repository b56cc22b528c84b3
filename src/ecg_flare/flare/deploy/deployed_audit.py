"""An audit of the path that jobs run: canary patients in a job of FLARE's simulator, judged by what it releases.

The other audits drive the round in memory. This one writes a job under unit patient with a masked sum, starts FLARE's
simulator on it and waits. Draw, nnU-Net, clipping, encoding, masks, sum, noise and both ledgers are then whatever FLARE
has made of them, in its processes. Of the job's parts two are the auditor's own: the case source, which is what a
hospital would write, and the evaluator, which keeps the released models. The auditor takes nothing else out of the run
but the server's ledger, for the claim.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from jaxtyping import Bool, Float32, Float64

from ecg_flare.errors import ConfigError, PrivacyError
from ecg_flare.federated.parts import Clipping, Privacy, Roster, Sampling, TrainedModel
from ecg_flare.federated.terms import JobTerms
from ecg_flare.flare.deploy import audit_app
from ecg_flare.flare.job.folders import JobSpec, Pages, Training, write_job
from ecg_flare.flare.job.messages import model_sha256
from ecg_flare.flare.job.terms import subset, take
from ecg_flare.flare.summation import masked
from ecg_flare.nnunet.kinds import plan_preset
from ecg_flare.privacy.audit.one_run import OneRun, audit_one_run
from ecg_flare.privacy.ledger import LedgerReport, verify
from ecg_flare.task.traces.canaries import CanaryPages, canary_name

if TYPE_CHECKING:
    from ecg_flare.privacy.audit.path import AuditResult

_SITES: Final = ("site-1", "site-2", "site-3")
_LEARNING_RATE: Final = 0.01
_REFERENCES: Final = 2  # trainings, under as many seeds, whose mean is a canary's expected direction
_START_SEED: Final = 0
_AUDITOR: Final = "auditor"

Directions = Float64[np.ndarray, "canaries d"]


@dataclass(frozen=True)
class Design:
    """Size and claim of the audited job.

    Attributes:
        canaries: of each site; each has a coin of its own.
        rounds: of the job.
        noise_multiplier: sigma, as claimed.
        sampling_rate: q, as claimed.
        delta: of the claim.
        clipping_norm: C; shorter than any canary's update, so that each is clipped.
        trained: tensors that are trained: those of the decoder whose updates depend least on what is drawn in training.
        seed: of the coins and the canaries' pages, not of the job.

    Raises ConfigError where there are too few canaries to tell anything.
    """

    canaries: int = 24
    rounds: int = 6
    noise_multiplier: float = 0.8
    sampling_rate: float = 0.8
    delta: float = 1e-5
    clipping_norm: float = 0.004
    trained: tuple[str, ...] = ("decoder.stages.1.*", "decoder.stages.2.*")
    seed: int = 0

    def __post_init__(self) -> None:
        if self.canaries < 4:
            raise ConfigError(f"canaries is {self.canaries}, expected at least 4 at each of {len(_SITES)} sites")
        if empty := [site for site, held in self.patients.items() if not held]:
            raise ConfigError(f"the coins of seed {self.seed} leave {', '.join(empty)} without a patient: take another")

    @property
    def terms(self) -> JobTerms:
        """Of the job."""
        return JobTerms(
            sites=Roster(dict.fromkeys(_SITES, 1.0), min_sites=len(_SITES)),
            rounds=self.rounds,
            model=TrainedModel(trained=self.trained),
            clipping=Clipping(self.clipping_norm),
            # The audit's own patients are pictures of gratings: any budget will do.
            privacy=Privacy(self.noise_multiplier, epsilon_budget=1000.0, delta=self.delta),
            sampling=Sampling(self.sampling_rate, len(_SITES) * self.canaries, self.canaries),
            summation=masked.SUMMATION.name,
        )

    @property
    def coins(self) -> Bool[np.ndarray, " canaries"]:
        """Which canaries are put in: fair coins, independent of each other; the sites' canaries one after the other."""
        rng = np.random.default_rng([self.seed, len(_SITES) * self.canaries])
        return rng.random(len(_SITES) * self.canaries) < 0.5

    @property
    def patients(self) -> dict[str, list[int]]:
        """Site -> numbers of the canaries that are its patients."""
        drawn = [int(number) for number in np.flatnonzero(self.coins)]
        return {site: [n for n in drawn if n // self.canaries == index] for index, site in enumerate(_SITES)}


@dataclass(frozen=True)
class AuditApp:
    """The auditor's two parts of the job; tests plant faults by others.

    Attributes:
        custom: folder of the code that the job carries.
        pages, evaluator: class paths.
    """

    custom: Path = field(default_factory=lambda: Path(audit_app.__file__).parent)
    pages: str = "audited.CanaryPages"
    evaluator: str = "audited.KeepModels"


def audit_deployed(
    folder: Path,
    design: Design | None = None,
    *,
    app: AuditApp | None = None,
    directions: Directions | None = None,
    log: Callable[[str], None] = print,
) -> tuple[AuditResult, ...]:
    """Run the job below `folder`, which keeps all that it wrote, and judge what it released.

    `directions` are `canary_directions` of the same seed and canaries, where they are known already.

    Raises PrivacyError where the job did not end in order: a round that failed, no ledger, or a ledger whose
    releases are not the models that came out. An audit that could not be made is never a passed one.
    """
    design = design or Design()
    started = time.monotonic()
    run_job(folder, design, app or AuditApp(), log=log)
    log(f"the job ended after {time.monotonic() - started:.0f} s; finding the canaries' directions")
    run = observe(folder, design, directions)
    return audit_one_run(run, seconds=time.monotonic() - started)


def run_job(folder: Path, design: Design, app: AuditApp, *, log: Callable[[str], None] = print) -> None:
    """Write the job and run it in FLARE's simulator; raises PrivacyError where it ends with an error."""
    spec = JobSpec(
        name="audit",
        about="An audit: canary patients under a masked sum with noise.",
        aggregator="FedAvg",
        terms=design.terms,
        pages=Pages(app.pages, {"included": design.patients, "seed": design.seed}),
        public_pages=Pages(app.pages, {"included": {"public": [0]}, "seed": design.seed}),
        optimizer={"learning_rate": 1.0},
        training=Training(steps=1, learning_rate=_LEARNING_RATE),
        start=f"random:{_START_SEED}",
    )
    job = write_job(spec, folder / "jobs", app.custom)
    _name_evaluator(job, app.evaluator, folder / "models")
    command = [str(Path(sys.executable).with_name("nvflare")), "simulator", str(job), "-w", str(folder / "run")]
    log(f"running {len(_SITES)} sites with {int(design.coins.sum())} of {design.coins.size} canaries in the simulator")
    with (folder / "simulator.log").open("w") as written:
        done = subprocess.run(
            [*command, "-t", str(len(_SITES))],
            cwd=folder,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            stdout=written,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if done.returncode:
        raise PrivacyError(
            f"the audited job ended with {done.returncode}, expected 0: nothing was audited, see {written.name}"
        )


def observe(folder: Path, design: Design, directions: Directions | None = None) -> OneRun:
    """What the job below `folder` released and claimed; raises PrivacyError where a release is missing or another."""
    report = verify(folder / "run" / "server" / "simulate_job" / "ecg_flare" / "ledger.jsonl")
    terms = design.terms
    models = _released_models(folder / "models", report, terms)
    steps = np.diff(np.stack([take(terms, model) for model in models]).astype(np.float64), axis=0)
    epsilon = report.spent.epsilon_prv
    return OneRun(
        released=steps * (terms.denominator / design.clipping_norm),
        directions=canary_directions(folder / "auditor", models[0], design) if directions is None else directions,
        included=design.coins,
        noise_multiplier=design.noise_multiplier,
        sampling_rate=design.sampling_rate,
        delta=design.delta,
        claimed_epsilon=report.spent.epsilon_rdp if epsilon is None else epsilon,
    )


def canary_directions(cache: Path, model: Float32[np.ndarray, " d"], design: Design) -> Directions:
    """Where each canary's update points, each of length 1: the mean over some seeds that the job does not use.

    The auditor trains from the first model alone, as a few noised rounds hardly move it.
    """
    from ecg_flare.nnunet.dataset import prepare
    from ecg_flare.nnunet.settings import ALL_FOR_TRAINING
    from ecg_flare.nnunet.trainer import LocalTrainer, TrainOptions

    numbers, plan = range(design.coins.size), plan_preset(design.terms.model.plan)
    pages = CanaryPages({_AUDITOR: numbers}, design.seed)
    dataset = prepare(pages, _AUDITOR, plan, cache, ALL_FOR_TRAINING, log=_silent)
    trainer = LocalTrainer(plan, dataset)
    means = np.zeros((len(numbers), subset(design.terms).dimension))
    for number in numbers:
        for reference in range(_REFERENCES):
            seed = 1 + number * _REFERENCES + reference
            options = TrainOptions(1, _LEARNING_RATE, seed=seed, trained=design.trained)
            update = take(design.terms, trainer.train(model, options, cases=[canary_name(number)]).update)
            means[number] += update / np.linalg.norm(update)
    return means / np.linalg.norm(means, axis=1, keepdims=True)


def _released_models(folder: Path, report: LedgerReport, terms: JobTerms) -> list[Float32[np.ndarray, " d"]]:
    """The first model and that of each round, which must be the ones that the ledger says were released."""
    paths = [folder / f"model-{index}.npy" for index in range(terms.rounds + 1)]
    if missing := [path.name for path in paths if not path.exists()]:
        raise PrivacyError(f"the audited job released no {', '.join(missing)}: expected {terms.rounds} rounds")
    models = [np.load(path, allow_pickle=False) for path in paths]
    found = [model_sha256(model).hex() for model in models[1:]]
    told = [each.model_sha256 for each in report.rounds]
    if found != told:
        raise PrivacyError(f"the ledger tells of the releases {told}, the audited job released {found}")
    return models


def _name_evaluator(job: Path, path: str, folder: Path) -> None:
    file = job / "app" / "config" / "config_fed_server.json"
    config = json.loads(file.read_text())
    for component in config["components"]:
        if component["id"] == "evaluator":
            component |= {"path": path, "args": {"folder": str(folder)}}
    file.write_text(json.dumps(config, indent=2))


def _silent(line: str) -> None:
    """Preparing a few dozen gratings is not worth a line."""
