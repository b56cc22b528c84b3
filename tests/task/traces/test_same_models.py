"""ECG jobs train the models of before tasks became values: plans, pages, start and steps, as recorded at f4b6ddc."""

from typing import Final

import numpy as np
import pytest

from ecg_flare.nnunet.content import content_digest
from ecg_flare.nnunet.dataset import PreparedDataset, prepare
from ecg_flare.nnunet.kinds import plan_preset
from ecg_flare.nnunet.plan import initial_vector
from ecg_flare.nnunet.trainer import LocalTrainer, TrainOptions
from ecg_flare.task.traces.sources import SyntheticPages

HASHES: Final = {
    "tiny": "b77734cff5951f8c4fc6e146c0fb5c88521bc1ddf5bc6c300badc6fac4e9dca0",
    "small": "85633c82b2add4391bd677e2fcdfd6e9fa6bb0d1fc5cbca6d7314b6e9640f917",
    "paper": "811e4e67ef25b09360258eb2771643ba2dcc3bd3d3e5ece40309d58b7632a745",
}
LAYOUT: Final = "7bab02a3ae37dbff889d68bb1c8bca191aade8221662055c98a73c1c7123adf2"
LOSSES: Final = {
    0.0: (1.562042474746704, 1.4627957344055176, 1.4944946765899658),
    0.1: (1.562042474746704, 1.4627957344055176, 1.4945347309112549),
}
NORMS: Final = {0.0: 0.06626365593514472, 0.1: 0.0661845481936842}
COUNTS: Final = (
    (513712, 3047, 901, 4107),
    (3795, 68008, 319300, 85050),
    (430023, 34884, 1070, 10176),
)


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> PreparedDataset:
    source = SyntheticPages({"a": "university"}, pages_per_site=4, pages_per_patient=1, seed=5)
    return prepare(source, "a", plan_preset("tiny"), tmp_path_factory.mktemp("cache"), log=lambda _: None)


def test_plans_keep_their_hashes_and_their_order_of_parameters() -> None:
    assert {name: plan_preset(name).hash for name in HASHES} == HASHES
    assert plan_preset("tiny").layout_digest == LAYOUT


def test_rendered_pages_are_stored_as_before(pages: PreparedDataset) -> None:
    assert content_digest(pages) == "440ebdf637c78f722c599883dcb7ebc514b37290e54593ee88b33f6402157039"


def test_steps_and_counts_are_those_of_before(pages: PreparedDataset) -> None:
    """Nearly: the bits themselves hang on the processor. On the machine of the record they were the same."""
    plan = plan_preset("tiny")
    start = initial_vector(plan, 3)
    trainer = LocalTrainer(plan, pages)
    for mu, expected in LOSSES.items():
        losses: list[float] = []
        options = TrainOptions(steps=3, seed=7, proximal_mu=mu, schedule="poly")
        update = trainer.train(start, options, on_step=lambda _, loss, kept=losses: kept.append(loss)).update
        assert losses == pytest.approx(expected, rel=1e-5)
        assert np.linalg.norm(update.astype(float)) == pytest.approx(NORMS[mu], rel=1e-4)
    counts = trainer.validate(start + update)
    for found, before in zip((counts.tp, counts.fp, counts.fn), COUNTS, strict=True):
        assert found == pytest.approx(before, rel=1e-2, abs=50)
