"""The mathematics of a round, in numpy alone: what is clipped, encoded, summed, noised and averaged."""

from typing import TYPE_CHECKING

from ecg_flare.lazy import face

_NAMES = {
    "averaging": ("Average",),
    "clipping": ("Clipped", "clip"),
    "optimizers": (
        "Adaptive",
        "FedAdagrad",
        "FedAdam",
        "FedAvg",
        "FedYogi",
        "ServerOptimizer",
        "ServerState",
        "optimizer_by_name",
        "register_optimizer",
    ),
    "patients": ("PatientEncoding", "PatientTraining", "poisson_sample"),
    "projection": ("RandomProjection",),
    "round": ("LocalTraining", "RoundConfig", "RoundResult", "SiteUpdate", "contribution", "run_round"),
    "running_sum": ("RunningSum",),
    "subset": ("EVERY_TENSOR", "TrainableSubset"),
    "update": ("check_update", "flatten", "layout_digest", "layout_size"),
}

if TYPE_CHECKING:
    from ecg_flare.federated.averaging import Average
    from ecg_flare.federated.clipping import Clipped, clip
    from ecg_flare.federated.optimizers import (
        Adaptive,
        FedAdagrad,
        FedAdam,
        FedAvg,
        FedYogi,
        ServerOptimizer,
        ServerState,
        optimizer_by_name,
        register_optimizer,
    )
    from ecg_flare.federated.patients import PatientEncoding, PatientTraining, poisson_sample
    from ecg_flare.federated.projection import RandomProjection
    from ecg_flare.federated.round import LocalTraining, RoundConfig, RoundResult, SiteUpdate, contribution, run_round
    from ecg_flare.federated.running_sum import RunningSum
    from ecg_flare.federated.subset import EVERY_TENSOR, TrainableSubset
    from ecg_flare.federated.update import check_update, flatten, layout_digest, layout_size
else:
    __getattr__, __dir__ = face(__name__, _NAMES)

__all__ = [
    "EVERY_TENSOR",
    "Adaptive",
    "Average",
    "Clipped",
    "FedAdagrad",
    "FedAdam",
    "FedAvg",
    "FedYogi",
    "LocalTraining",
    "PatientEncoding",
    "PatientTraining",
    "RandomProjection",
    "RoundConfig",
    "RoundResult",
    "RunningSum",
    "ServerOptimizer",
    "ServerState",
    "SiteUpdate",
    "TrainableSubset",
    "check_update",
    "clip",
    "contribution",
    "flatten",
    "layout_digest",
    "layout_size",
    "optimizer_by_name",
    "poisson_sample",
    "register_optimizer",
    "run_round",
]
