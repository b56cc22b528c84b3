"""The mathematics of a round, in numpy alone: what is clipped, encoded, summed, noised and averaged."""

from typing import TYPE_CHECKING

from ecg_flare.lazy import face

_NAMES = {
    "clipping": (
        "Clipped",
        "clip",
    ),
    "optimizers": (
        "Adaptive",
        "FedAdagrad",
        "FedAdam",
        "FedAvg",
        "FedAvgM",
        "FedYogi",
        "ServerOptimizer",
        "ServerState",
        "optimizer_by_name",
        "register_optimizer",
    ),
    "parts": (
        "Clipping",
        "HiddenWeights",
        "Privacy",
        "Roster",
        "Sampling",
        "TrainedModel",
    ),
    "patients": (
        "PatientEncoding",
        "PatientTraining",
        "poisson_sample",
    ),
    "projection": ("RandomProjection",),
    "promise": ("mechanism_of",),
    "robust": (
        "GeometricMedian",
        "Krum",
        "Median",
        "MultiKrum",
        "RobustRule",
        "TrimmedMean",
    ),
    "round": (
        "LocalTraining",
        "OpenRound",
        "RoundResult",
        "SiteUpdate",
        "contribution",
        "gaussian_noise",
        "run_round",
    ),
    "running_sum": ("RunningSum",),
    "single_updates": ("SingleUpdates",),
    "subset": (
        "EVERY_TENSOR",
        "TrainableSubset",
    ),
    "terms": ("JobTerms",),
    "update": (
        "check_update",
        "flatten",
        "layout_digest",
        "layout_size",
    ),
}

if TYPE_CHECKING:
    from ecg_flare.federated.clipping import Clipped, clip
    from ecg_flare.federated.optimizers import (
        Adaptive,
        FedAdagrad,
        FedAdam,
        FedAvg,
        FedAvgM,
        FedYogi,
        ServerOptimizer,
        ServerState,
        optimizer_by_name,
        register_optimizer,
    )
    from ecg_flare.federated.parts import Clipping, HiddenWeights, Privacy, Roster, Sampling, TrainedModel
    from ecg_flare.federated.patients import PatientEncoding, PatientTraining, poisson_sample
    from ecg_flare.federated.projection import RandomProjection
    from ecg_flare.federated.promise import mechanism_of
    from ecg_flare.federated.robust import GeometricMedian, Krum, Median, MultiKrum, RobustRule, TrimmedMean
    from ecg_flare.federated.round import (
        LocalTraining,
        OpenRound,
        RoundResult,
        SiteUpdate,
        contribution,
        gaussian_noise,
        run_round,
    )
    from ecg_flare.federated.running_sum import RunningSum
    from ecg_flare.federated.single_updates import SingleUpdates
    from ecg_flare.federated.subset import EVERY_TENSOR, TrainableSubset
    from ecg_flare.federated.terms import JobTerms
    from ecg_flare.federated.update import check_update, flatten, layout_digest, layout_size
else:
    __getattr__, __dir__ = face(__name__, _NAMES)

__all__ = [
    "EVERY_TENSOR",
    "Adaptive",
    "Clipped",
    "Clipping",
    "FedAdagrad",
    "FedAdam",
    "FedAvg",
    "FedAvgM",
    "FedYogi",
    "GeometricMedian",
    "HiddenWeights",
    "JobTerms",
    "Krum",
    "LocalTraining",
    "Median",
    "MultiKrum",
    "OpenRound",
    "PatientEncoding",
    "PatientTraining",
    "Privacy",
    "RandomProjection",
    "RobustRule",
    "Roster",
    "RoundResult",
    "RunningSum",
    "Sampling",
    "ServerOptimizer",
    "ServerState",
    "SingleUpdates",
    "SiteUpdate",
    "TrainableSubset",
    "TrainedModel",
    "TrimmedMean",
    "check_update",
    "clip",
    "contribution",
    "flatten",
    "gaussian_noise",
    "layout_digest",
    "layout_size",
    "mechanism_of",
    "optimizer_by_name",
    "poisson_sample",
    "register_optimizer",
    "run_round",
]
