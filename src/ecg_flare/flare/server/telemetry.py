"""The figures of a round: one readable log line, one JSON line, and FLARE's analytics for TensorBoard or MLflow.

All of them are the server's own, or computed from the released model; what single sites reported (never under
differential privacy) stands under their names.
"""

import math
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from nvflare.apis.analytix import ANALYTIC_EVENT_TYPE, AnalyticsDataType
from nvflare.apis.fl_component import FLComponent
from nvflare.apis.fl_context import FLContext
from nvflare.apis.utils.analytix_utils import create_analytic_dxo, send_analytic_dxo

from ecg_flare.privacy.accountant import Spent


@dataclass(frozen=True)
class RoundFigures:
    """What a round gave and cost; round 0 is the public start.

    Attributes:
        dice: of the global model on the server's public cases, 0 to 1; -1 where it has none.
        sites_dice: the same over the sites' held-out patients, where the job asks for it.
        dice_by_label: that by label, where the sites' counts tell it.
        measures: what the task measures beside Dice on the public cases, by name, where the job asks for it.
        pages: SHA-256 (hex) of those public pages; empty where the model was not measured.
        failure: why the round had too few answers; empty where it did not.
        clipping_norm: C of the round, where it is adaptive.
        update_norm: L2 norm of the step that the global model took.
        answered, missing: the roster's sites by whether their update is in the sum.
        bytes_down, bytes_up: model and update payloads of all sites, without FLARE's framing.
        spent: epsilon so far, as the ledger says; None where the job is not private.
        seconds_by_step: wall seconds of the round's steps: those of the collection, then aggregate and evaluate.
        site_metrics: site -> what its filter let out (loss, update norm, clipped); empty under privacy.
    """

    round: int
    dice: float
    pages: str = ""
    sites_dice: float | None = None
    dice_by_label: Mapping[str, float] = field(default_factory=dict)
    measures: Mapping[str, float] = field(default_factory=dict)
    failure: str = ""
    clipping_norm: float | None = None
    update_norm: float = 0.0
    answered: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    bytes_down: int = 0
    bytes_up: int = 0
    spent: Spent | None = None
    seconds_by_step: Mapping[str, float] = field(default_factory=dict)
    site_metrics: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        """Wall seconds of the whole round."""
        return math.fsum(self.seconds_by_step.values())

    def line(self, rounds: int) -> str:
        """One line for the log."""
        parts = [f"round {self.round}/{rounds}", f"Dice {self.dice:.4f}" if self.dice >= 0 else "Dice not measured"]
        if self.sites_dice is not None:
            parts.append(f"at the sites {self.sites_dice:.4f}")
        parts += [f"{name} {value:.4g}" for name, value in self.measures.items()]
        if self.failure:
            return "  ".join([parts[0], f"FAILED: {self.failure}"])
        if self.round:
            parts += [f"step {self.update_norm:.3g}", f"sites {len(self.answered)}"]
        if self.clipping_norm is not None:
            parts.append(f"C {self.clipping_norm:.3g}")
        if self.missing:
            parts.append(f"missing {', '.join(self.missing)}")
        if self.spent is not None:
            parts.append(f"epsilon {self.spent.epsilon_rdp:.2f}")
        return "  ".join([*parts, f"{self.seconds:.1f} s"])

    def to_json(self) -> dict[str, Any]:
        """As flat JSON values, with the seconds of the whole round."""
        values = {**asdict(self), "seconds": self.seconds}
        del values["spent"]
        return {**values, **self.epsilons()}

    def epsilons(self) -> dict[str, float | None]:
        """Spent so far by Rényi and by PRV accounting; None where the job is not private."""
        rdp, prv = (self.spent.epsilon_rdp, self.spent.epsilon_prv) if self.spent else (None, None)
        return {"epsilon_rdp": rdp, "epsilon_prv": prv}


class Clock:
    """Wall seconds by part of a round."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.monotonic()

    def restart(self) -> None:
        """Begin the next part now."""
        self._last = time.monotonic()

    def lap(self, part: str) -> None:
        """End a part, and begin the next."""
        now = time.monotonic()
        self.seconds[part] = now - self._last
        self._last = now


def publish(figures: RoundFigures, sender: FLComponent, fl_ctx: FLContext) -> None:
    """Hand the round's scalars to whatever analytics receiver the job names (TensorBoard, MLflow)."""
    scalars: dict[str, float | None] = {
        "dice": figures.dice if figures.dice >= 0 else None,
        "update_norm": figures.update_norm,
        "sites_answered": float(len(figures.answered)),
        "seconds": figures.seconds,
        **figures.epsilons(),
        **{f"measures/{name}": value for name, value in figures.measures.items()},
    }
    for tag, value in scalars.items():
        if value is not None:
            dxo = create_analytic_dxo(tag, value, AnalyticsDataType.SCALAR, global_step=figures.round)
            send_analytic_dxo(sender, dxo, fl_ctx, event_type=ANALYTIC_EVENT_TYPE)
