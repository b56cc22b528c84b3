"""A tiny plan, a start model and prepared small pages: fixtures of the tests of nnunet/ and of task/traces/."""

import numpy as np
import pytest
from nnunet_scribbles import ScribbledPages

from ecg_flare.nnunet.dataset import PreparedDataset, prepare
from ecg_flare.nnunet.kinds import plan_preset
from ecg_flare.nnunet.plan import Plan, initial_vector
from ecg_flare.nnunet.trainer import LocalTrainer, TrainOptions


@pytest.fixture(scope="session")
def tiny() -> Plan:
    return plan_preset("tiny")


@pytest.fixture(scope="session")
def start(tiny: Plan) -> np.ndarray:
    return initial_vector(tiny, seed=1)


@pytest.fixture(scope="session")
def scribbles() -> ScribbledPages:
    return ScribbledPages()


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory, tiny: Plan, scribbles: ScribbledPages) -> PreparedDataset:
    return prepare(scribbles, "site-1", tiny, tmp_path_factory.mktemp("cache"), log=lambda _: None)


@pytest.fixture(scope="session")
def trainer(tiny: Plan, prepared: PreparedDataset) -> LocalTrainer:
    return LocalTrainer(tiny, prepared)


@pytest.fixture(scope="session")
def trained(trainer: LocalTrainer, start: np.ndarray) -> np.ndarray:
    return start + trainer.train(start, TrainOptions(steps=40, schedule="poly")).update
