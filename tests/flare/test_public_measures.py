"""What the server takes of a task's measures: figures, and nothing that would make its own file unreadable."""

import json
import math

from ecg_flare.flare.server.evaluator import _figures
from ecg_flare.flare.server.telemetry import RoundFigures


def test_only_finite_figures_are_kept() -> None:
    given = {"snr_db": 12.5, "worst": -3, "nan": math.nan, "inf": math.inf, "huge": 1e13, "text": "12", "none": None}
    assert _figures(given) == {"snr_db": 12.5, "worst": -3.0}


def test_a_round_tells_its_measures() -> None:
    figures = RoundFigures(1, 0.5, measures={"snr_db": 12.25})
    assert "Dice 0.5000  snr_db 12.25" in figures.line(3)
    assert json.loads(json.dumps(figures.to_json()))["measures"] == {"snr_db": 12.25}
