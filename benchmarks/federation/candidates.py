"""The methods with the rates that did best on validation patients, and all that was tried for them."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType
from typing import Final

from benchmarks.federation.methods import ALONE, CENTRALIZED, FEDEXP, Method
from benchmarks.federation.pages import SITES

PLAN: Final = "tiny"
"""The network whose rates these are."""

_ALONE: Final = Method(ALONE, 0.02, starts="kept")

TUNED: Final = MappingProxyType(
    {
        method.name: method
        for method in (
            Method(CENTRALIZED, 0.02, starts="kept"),
            Method("fedavg", 0.4, server_rate=1.5),
            Method("fedprox", 0.4, server_rate=1.5, proximal_mu=0.01),
            Method("fedadam", 0.4, server_rate=0.02),
        )
    }
)
"""Each method with the rates that did best on validation patients."""

SITES_ALONE: Final = tuple(replace(_ALONE, site=site) for site in SITES)
"""Each site on its own pages, with as many steps as in the federation; the rate is that of centralized training."""

GRID: Final = (
    *(Method(CENTRALIZED, rate, starts="kept") for rate in (0.01, 0.02, 0.04)),
    *(Method(CENTRALIZED, rate, 0.9, "kept") for rate in (0.1, 0.2)),
    *(Method("fedavg", rate, server_rate=server) for rate, server in ((0.2, 1.5), (0.4, 1.0), (0.4, 1.5), (0.8, 1.0))),
    *(Method("fedprox", 0.4, server_rate=1.5, proximal_mu=mu) for mu in (0.001, 0.01)),
    *(Method("fedavgm", rate, server_rate=server) for rate, server in ((0.4, 0.3), (0.4, 0.7), (0.2, 0.7))),
    *(Method("fedadam", rate, server_rate=server) for rate, server in ((0.4, 0.01), (0.4, 0.02), (0.8, 0.01))),
)
"""What `--tune` tries; a site alone as in `ALONE_GRID`, too."""

ALONE_GRID: Final = tuple(replace(method, learning_rate=rate) for rate in (0.01, 0.02, 0.04) for method in SITES_ALONE)

LEVERS: Final = (
    TUNED["fedadam"],
    *(replace(TUNED["fedadam"], learning_rate=rate, momentum=0.9) for rate in (0.2, 0.4, 0.8)),
    *(replace(TUNED["fedadam"], learning_rate=rate, starts="trajectory") for rate in (0.02, 0.08)),
    replace(TUNED["fedadam"], learning_rate=0.2, momentum=0.9, starts="trajectory"),
    *(replace(TUNED["fedadam"], learning_rate=rate, starts="kept") for rate in (0.02, 0.08)),
    *(replace(TUNED["fedadam"], averaged=share) for share in (0.5, 0.8)),
    replace(TUNED["fedadam"], server={"tau": 0.01}, server_rate=0.05),
    replace(TUNED["fedadam"], server={"beta1": 0.5}),
    *(Method("fedavgm", rate, 0.9, server_rate=0.7) for rate in (0.1, 0.2)),
    Method("fedavgm", 0.08, starts="trajectory", server_rate=0.7),
    *(Method(FEDEXP, rate) for rate in (0.2, 0.4)),
    *(Method("fedavg", rate, 0.9) for rate in (0.2, 0.4)),
)
"""What `--levers` tries: momentum of the sites and of the server, longer server steps, averages over rounds."""
