"""The plan that the four hippocampus sites agree on: under masks, and what noise makes of it.

    python -m benchmarks.tasks.agree [--draws N] [--seed N] [--sigmas 0.5,1,2] [--bins 4,8,16]

The sums are those of a round in memory (`federated.round`), whose masks cancel. The plan without noise is what
`tests/task/agreement` compares with nnU-Net's own extractor and planner on all cases together. Under noise each of the
160 cases is a patient; delta is 1e-3. A plan counts as the same where patch, strides, features, normalization and
target spacing are.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import click
import numpy as np

from benchmarks.markdown import row
from benchmarks.tasks.sites import SITES, cases_by_site, hippocampus
from ecg_flare.errors import ConfigError
from ecg_flare.federated.counts import CaseCounts, counts_of_cases
from ecg_flare.federated.optimizers import FedAvg
from ecg_flare.federated.parts import Privacy
from ecg_flare.federated.round import LocalTraining, OpenRound, gaussian_noise, run_round
from ecg_flare.federated.terms import JobTerms
from ecg_flare.flare.job.agreement import AgreementSettings, agreement_job
from ecg_flare.nnunet.environment import limit_threads
from ecg_flare.nnunet.kinds import plan_of, required_counting
from ecg_flare.nnunet.learnt import AgreedPlan
from ecg_flare.nnunet.plan import Plan
from ecg_flare.privacy.accountant import epsilon_rdp
from ecg_flare.privacy.gaussian import ChaChaStream
from ecg_flare.task.agreement import FingerprintBins, agreement_plan
from ecg_flare.task.datasets.folder import NnunetFolder

_DELTA: Final = 1e-3
_HEAD: Final = ("way", "bins a doubling", "d", "epsilon", "same plan", "same spacing", "patch sizes")
Counted = Mapping[str, list[CaseCounts]]


@click.command(help=__doc__)
@click.option("--draws", default=20, show_default=True)
@click.option("--seed", default=0, show_default=True)
@click.option("--sigmas", default="0.5,1,2,4", show_default=True)
@click.option("--bins", default="4,8,16", show_default=True)
def main(draws: int, seed: int, sigmas: str, bins: str) -> None:
    limit_threads(1)
    folder = hippocampus()
    click.echo(row(*_HEAD))
    click.echo(row(*("---" for _ in _HEAD)))
    fine = agreement_plan(folder / "dataset.json")
    reference = _said(_concluded(_masked(fine), _counted(fine, folder)))
    click.echo(row("masked", "1024", f"{_size(fine):,}", "none promised", "reference", "", _sides(reference)))
    for per_octave in map(int, bins.split(",")):
        plan = agreement_plan(folder / "dataset.json", bins=FingerprintBins.coarse(per_octave))
        counted = _counted(plan, folder)
        for sigma in map(float, sigmas.split(",")):
            terms = _private(plan, sigma, sum(map(len, counted.values())))
            found = [_said(_concluded(terms, counted, _stream(seed, draw))) for draw in range(draws)]
            click.echo(_line(terms, plan, found, reference))


def _counted(plan: Plan, folder: Path) -> Counted:
    """The histograms of each site's cases, each case a patient."""
    source = NnunetFolder(str(folder), cases_are_patients=True)
    found = {one.case: one for one in required_counting(plan).count(source, "all", lambda _: None)}
    return {site: [found[case] for case in cases] for site, cases in cases_by_site(folder).items()}


def _masked(plan: Plan) -> JobTerms:
    return agreement_job(plan, AgreementSettings(SITES, "masked")).terms


def _private(plan: Plan, sigma: float, patients: int) -> JobTerms:
    privacy = Privacy(sigma, epsilon_budget=1e6, delta=_DELTA)
    settings = AgreementSettings(SITES, "masked", privacy=privacy, patients=patients, patients_per_site=patients)
    return agreement_job(plan, settings).terms


def _stream(seed: int, draw: int) -> ChaChaStream:
    return ChaChaStream(np.random.default_rng([seed, draw]).bytes(32))


def _concluded(terms: JobTerms, counted: Counted, stream: ChaChaStream | None = None) -> dict[str, Any] | None:
    """The plans.json of a round in memory; None where the planner makes none of what noise left."""
    plan = plan_of(terms.model.plan, terms.model.document)
    size, step = _size(plan), FedAvg(1.0)
    nothing = np.zeros(size, np.float32)
    opened = OpenRound(terms, nothing, step.init(size), step)
    noise = None if stream is None else gaussian_noise(terms, size, stream=stream)
    mean = run_round(opened, {site: _update(cases, terms, size) for site, cases in counted.items()}, noise=noise).model
    with tempfile.TemporaryDirectory() as scratch:
        try:
            required_counting(plan).conclude(mean, terms, Path(scratch))
        except ConfigError:
            return None
        plans: dict[str, Any] = json.loads((Path(scratch) / "plans.json").read_text())
    return plans


def _update(cases: list[CaseCounts], terms: JobTerms, size: int) -> LocalTraining:
    if terms.unit == "patient":
        rows = np.stack([one.counts for one in cases]).astype(np.float32)
        return lambda model, index: rows
    return lambda model, index: counts_of_cases(cases, terms, size)


def _said(plans: dict[str, Any] | None) -> dict[str, Any] | None:
    """What of a plan is compared."""
    if plans is None or "3d_fullres" not in plans["configurations"]:
        return None
    found = plans["configurations"]["3d_fullres"]
    network = found["architecture"]["arch_kwargs"]
    names = ("patch_size", "spacing", "normalization_schemes")
    return {
        **{name: found[name] for name in names},
        **{name: network[name] for name in ("strides", "features_per_stage")},
    }


def _line(terms: JobTerms, plan: Plan, found: list[dict[str, Any] | None], reference: dict[str, Any] | None) -> str:
    def share(same: Callable[[dict[str, Any]], bool]) -> str:
        return f"{sum(each is not None and same(each) for each in found)} of {len(found)}"

    assert reference is not None
    assert terms.privacy is not None
    bins = plan.plans["bins"]["per_octave"]
    patches = sorted({_sides(each) for each in found})
    return row(
        f"private, sigma {terms.privacy.noise_multiplier:g}",
        str(bins),
        f"{_size(plan):,}",
        f"{epsilon_rdp(terms.events, _DELTA):.2f}",
        share(lambda each: each == reference),
        share(lambda each: bool(each["spacing"] == reference["spacing"])),
        ", ".join(patches[:3]) + (f" and {len(patches) - 3} more" if len(patches) > 3 else ""),
    )


def _sides(said: dict[str, Any] | None) -> str:
    return "none" if said is None else " x ".join(map(str, said["patch_size"]))


def _size(plan: AgreedPlan) -> int:
    return required_counting(plan).size


if __name__ == "__main__":
    main()
