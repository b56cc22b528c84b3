"""Each fault of a signal is one sentence, with its leads and its value; a sound signal has none."""

from dataclasses import replace
from types import MappingProxyType

import pytest

from ecg_flare.digitize.confidence import CONFIDENT
from ecg_flare.digitize.leads.cut_tips import CutTip
from ecg_flare.digitize.leads.limb_noise import LimbNoise
from ecg_flare.digitize.leads.repeated_beats import OddBeat
from ecg_flare.digitize.leads.row_lags import RowLag
from ecg_flare.digitize.leads.signal_evidence import SOURCES, SignalEvidence
from ecg_flare.digitize.leads.unread_strokes import UnreadStroke
from ecg_flare.digitize.measure.calibration import Calibration
from ecg_flare.digitize.signal_confidence import signal_confidence
from ecg_flare.digitize.signal_doubts import signal_doubts
from ecg_flare.digitize.units import PxPerMm

SOUND = SignalEvidence(MappingProxyType(dict.fromkeys(SOURCES, 0.0)), energy=1.0)
CALIBRATION = Calibration(PxPerMm(4.0, 4.0), "grid", 0.9, 25.0, "measured", 10.0, "measured", ())
LIMB = LimbNoise(("I", "II", "III"), 1250, 0.1, 0.2, 3.0, 0.31, 0.02)


def doubts(evidence: SignalEvidence) -> list[str]:
    return list(signal_doubts(evidence, signal_confidence(evidence), CALIBRATION))


@pytest.mark.parametrize(
    ("evidence", "expected"),
    [
        (SOUND, []),
        (
            replace(SOUND, lags=(RowLag("II", ("I", "III"), 0.012),)),
            ["II stands 12 ms after I and III: rows may lean"],
        ),
        (
            replace(SOUND, limb=(LIMB,)),
            ["I, II and III contradict each other by 0.31 mV from 3.0 to 3.5 s, and hardly at other times"],
        ),
        (replace(SOUND, limb=(replace(LIMB, worst_mv=0.09),)), []),
        (
            replace(SOUND, cut=(CutTip("V3", 5.12, 0.55), CutTip("V3", 6.0, 0.5))),
            ["peaks of V3 are cut flat, at 0.55 mV (at 5.1, 6.0 s)"],
        ),
        (
            replace(SOUND, unread=tuple(UnreadStroke("V4", time_s, 9.0, 0.01) for time_s in (1.0, 2.0, 3.0, 4.0))),
            [
                "steep ink beside V4 is no part of its line, up to 9 mm high (4 times from 1.0 to 4.0 s): a peak may "
                "be cut off there"
            ],
        ),
        (replace(SOUND, unread=(UnreadStroke("V4", 1.0, 9.0, 0.0001),)), []),
        (
            replace(SOUND, odd=(OddBeat("V5", 7.8, 0.1),)),
            ["beats of V5 are unlike its others, and those of other leads are not (at 7.8 s)"],
        ),
        (replace(SOUND, spiked=("V4",)), ["a spike at the start or end of V4 is like nothing else there"]),
    ],
)
def test_a_fault_is_named(evidence: SignalEvidence, expected: list[str]) -> None:
    assert doubts(evidence) == expected


def test_a_box_is_named_and_makes_the_signal_doubtful() -> None:
    boxed = replace(SOUND, boxes=("V2", "V4"))
    assert doubts(boxed) == ["V2 and V4 begin or end with a box of 1 mV: a calibration pulse was read as signal"]
    assert signal_confidence(boxed).value < CONFIDENT


def test_a_noisy_signal_is_told_with_its_decibels_and_their_cause() -> None:
    noise = {**SOUND.noise, "limb_leads": 10.0}
    (told,) = doubts(replace(SOUND, noise=noise))
    assert told.endswith("the noise is mostly that of limb leads that contradict each other")
    assert "at 40 pixels a millivolt" in told
