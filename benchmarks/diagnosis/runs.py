"""The methods that the superclasses are trained by, and how long."""

from __future__ import annotations

from typing import Final

from benchmarks.diagnosis.cases import SITES
from benchmarks.learning.bench import POOL
from benchmarks.learning.methods import Budget, Method

BUDGET: Final = Budget(rounds=15, steps=15, learning_rate=0.05)
HEAD: Final = ("head.*",)
LAST_STAGE: Final = ("stages.3.*", "head.*")

METHODS: Final = {
    method.name: method
    for method in (
        Method("public-start", start="public", trains=False),
        *(Method(f"local-{site}", site=site) for site in SITES),
        Method("centralized", site=POOL),
        Method("fedavg"),
        Method("fedadam", optimizer="fedadam", server_rate=0.01),
        Method("secure", optimizer="fedadam", server_rate=0.01, clipping_norm=5.0, summation="masked"),
        *(
            Method(
                f"private-{name}-eps{epsilon:g}" if epsilon else f"clipped-{name}",
                start="public",
                optimizer="fedadam",
                server_rate=rate,
                server_tau=1e-5,
                clipping_norm=norm,
                summation="masked",
                by_patient=True,
                epsilon=epsilon,
                trained=trained,
            )
            for name, trained, norm, rate in (("head", HEAD, 0.05, 0.03), ("stage", LAST_STAGE, 0.1, 0.003))
            for epsilon in (None, 8.0, 2.0)
        ),
    )
}
