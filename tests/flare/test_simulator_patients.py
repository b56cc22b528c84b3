"""Unit patient in FLARE's simulator gives the integers of the round in memory, noise included."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flare_runs import simulate_toy, toy_spec
from toy_app.toy_site import noise_key, toy_patient_update, toy_patients

from ecg_flare.federated.optimizers import FedAdam
from ecg_flare.flare.job.terms import put, subset
from ecg_flare.nnunet.kinds import plan_preset
from ecg_flare.nnunet.plan import parameter_count
from ecg_flare.privacy.chain import witness_path
from ecg_flare.privacy.countersignature import read_countersignatures
from ecg_flare.privacy.gaussian import ChaChaStream
from ecg_flare.privacy.ledger import verify
from ecg_flare.storage import read_arrays
from flat_terms import round_in_memory

pytestmark = pytest.mark.slow


LAST_STAGE = ("decoder.stages.2.*", "decoder.seg_layers.2.*")
UNEQUAL = {"site-1": 1.0, "site-2": 0.5, "site-3": 1.0}
FOLLOWING = {"quantile": 0.3, "rate": 1.0, "count_noise": 2.0, "least": 0.3, "most": 30.0}


@pytest.mark.parametrize(
    ("summation", "trained", "changes"),
    [
        ("plain", ("*",), {"weights": UNEQUAL}),
        ("masked", LAST_STAGE, {"weights": UNEQUAL}),
        ("masked", LAST_STAGE, {"adaptive_clipping": FOLLOWING, "projection": {"size": 200, "seed": 5}}),
    ],
)
def test_two_rounds_give_the_integers_of_the_rounds_in_memory(
    tmp_path: Path, summation: str, trained: tuple[str, ...], changes: dict[str, Any]
) -> None:
    spec = toy_spec(
        unit="patient",
        patients=9,
        patients_per_site=3,
        clipping_norm=3.0,
        noise_multiplier=2.0,
        epsilon_budget=20.0,
        summation=summation,
        min_sites=3,
        trained=trained,
        **changes,
    )
    run = simulate_toy(spec, tmp_path, threads=3, executor="ToyPatientExecutor", mechanism="FixedNoise")
    assert run.code == 0, run.log

    terms, optimizer = spec.terms, FedAdam(learning_rate=0.1)
    model = np.zeros(subset(terms).dimension, np.float32)
    state, config = optimizer.init(model.size), terms
    sums, norms = [], []

    def update(site: str, start: np.ndarray, index: int) -> np.ndarray:
        return np.stack([toy_patient_update(patient, start, index) for patient in toy_patients(site)])

    for index in range(2):
        result = round_in_memory(
            model,
            state,
            {site: lambda start, i, site=site: update(site, start, i) for site in terms.weights},
            config,
            optimizer,
            round_index=index,
            stream=ChaChaStream(noise_key(index)),
        )
        model, state = result.model, result.state
        norms.append(config.clipping_norm)
        config = config.after([] if result.share is None else [result.share])
        sums.append(hashlib.sha256(result.summed.astype("<i8").data).hexdigest())

    report = verify(run.results / "ledger.jsonl")
    signed = read_countersignatures(witness_path(run.results / "ledger.jsonl"))
    assert {(one.site, one.head) for one in signed} == {(site, report.head) for site in terms.weights}
    assert [one.noised_sum_sha256 for one in report.rounds] == sums
    whole = np.zeros(parameter_count(plan_preset("tiny")), np.float32)
    assert np.array_equal(read_arrays(run.results / "state.npz")["model"], put(terms, whole, model))
    assert report.cohort.unit == "patient"
    assert [one.mechanism.clipping_norm for one in report.rounds] == pytest.approx(norms, rel=1e-12)
    assert (len(set(norms)) == 2) == ("adaptive_clipping" in changes)
    assert {one.mechanism.denominator for one in report.rounds} == {9.0}
