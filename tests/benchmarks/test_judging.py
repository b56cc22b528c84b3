"""The benchmark knows a wrong gain, a swapped lead and a lead that is not there from a page that was read rightly."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

# before the installed distribution that ships a package of the same name
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.digitization.judging import Print, judge, mistaken_leads, shown_leads

from ecg_flare.ecg.leads import LEADS
from ecg_flare.ecg.metrics import evaluate_recording
from ecg_flare.ecg.record import Recording

TRUE = Print("3x4", 25.0, 10.0, 5.0, LEADS)
FS_HZ = 250.0


@pytest.fixture(scope="module")
def truth() -> Recording:
    """Twelve leads of 10 s: sums of low sines of random phase, no two alike."""
    rng = np.random.default_rng(3)
    times_s = np.arange(2500) / FS_HZ
    waves = [sum(np.sin(2 * np.pi * hz * times_s + rng.uniform(0, 6)) for hz in (1.1, 2.3, 3.7, 5.9)) for _ in LEADS]
    return Recording(0.2 * np.array(waves, dtype=np.float32), FS_HZ)


def noisy(truth: Recording, part: float) -> Recording:
    noise = np.random.default_rng(0).standard_normal(truth.signal_mv.shape)
    return replace(truth, signal_mv=truth.signal_mv + np.float32(part) * truth.signal_mv.std() * noise)


def swapped(recording: Recording, one: str, other: str) -> Recording:
    signal = recording.signal_mv.copy()
    rows = [LEADS.index(one), LEADS.index(other)]
    signal[rows] = signal[rows[::-1]]
    return replace(recording, signal_mv=signal)


def only(recording: Recording, leads: tuple[str, ...]) -> Recording:
    shown = np.array([lead in leads for lead in recording.lead_names])
    return replace(recording, signal_mv=np.where(shown[:, None], recording.signal_mv, np.float32(np.nan)))


def verdict(found: Print, mistaken: dict[str, str] | None = None, true: Print = TRUE) -> tuple[bool, bool, bool, bool]:
    judged = judge(found, true, mistaken or {})
    return judged.layout, judged.speed, judged.gain, judged.leads


def test_what_is_wrong_is_told_apart() -> None:
    assert verdict(TRUE) == (True, True, True, True)
    assert verdict(replace(TRUE, gain_mm_per_mv=10.2)) == (True, True, True, True)
    assert verdict(replace(TRUE, layout="6x2")) == (False, True, True, True)
    assert verdict(replace(TRUE, speed_mm_per_s=50.0)) == (True, False, True, True)
    assert verdict(replace(TRUE, chest_gain_mm_per_mv=10.0)) == (True, True, False, True)
    assert verdict(replace(TRUE, leads=LEADS[:6])) == (True, True, True, False)
    assert verdict(TRUE, {"V4": "V5"}) == (True, True, True, False)


def test_the_gain_of_leads_that_a_page_lacks_is_nothing() -> None:
    limb = replace(TRUE, layout="6x1-limb", leads=LEADS[:6])
    assert verdict(replace(limb, chest_gain_mm_per_mv=10.0), true=limb) == (True, True, True, True)


@pytest.mark.parametrize(("layout", "right"), [("1x1", True), ("3x1", True), ("3x4", False)])
def test_strips_are_right_when_their_leads_are(layout: str, right: bool) -> None:
    true = replace(TRUE, layout=layout, leads=("II",))
    assert judge(replace(true, layout="mine"), true, {}).layout is right
    assert not judge(replace(true, layout="mine", leads=("V1",)), true, {}).layout


def test_extra_leads_are_for_labels_to_say() -> None:
    """The package's 3x5 names V4R, V8 and V9; a page of V3R, V4R and V7 at these places is read by it."""
    leads = (*LEADS, "V3R", "V4R", "V7")
    printed = Print("3x5-V3R", 25.0, 10.0, 10.0, leads)
    assert judge(replace(printed, layout="3x5"), printed, {}).right
    assert not judge(replace(printed, layout="3x5", leads=(*LEADS, "V4R", "V8", "V9")), printed, {}).right
    assert not judge(replace(printed, layout="3x4"), printed, {}).layout


@pytest.mark.parametrize("part", [0.0, 0.1, 0.5, 2.0])
def test_noise_makes_no_other_lead_of_a_lead(truth: Recording, part: float) -> None:
    assert mistaken_leads(noisy(truth, part), truth) == {}


@pytest.mark.parametrize(("one", "other"), [("I", "aVL"), ("V1", "V2"), ("II", "V6")])
def test_leads_that_changed_places_are_named(truth: Recording, one: str, other: str) -> None:
    read = swapped(noisy(truth, 0.1), one, other)
    assert mistaken_leads(read, truth) == {one: other, other: one}
    halved = replace(read, signal_mv=read.signal_mv / 2)  # the gain is another matter
    assert mistaken_leads(halved, truth) == {one: other, other: one}


def test_a_lead_that_is_upside_down_is_named(truth: Recording) -> None:
    signal = truth.signal_mv.copy()
    signal[LEADS.index("aVR")] *= -1
    assert mistaken_leads(replace(truth, signal_mv=signal), truth) == {"aVR": "-aVR"}


def test_a_page_of_limb_leads_alone_is_scored_by_them(truth: Recording) -> None:
    limb = only(truth, LEADS[:6])
    assert shown_leads(limb) == LEADS[:6]
    read = only(noisy(truth, 0.1), LEADS[:6])
    score = evaluate_recording(read, limb)
    assert [lead.lead for lead in score.leads] == list(LEADS[:6])
    assert score.snr_db_kaggle2025 == pytest.approx(20, abs=0.5)
    assert mistaken_leads(read, limb) == {}
    # six more leads that the page has not are wrong, though nothing of the truth says so
    assert shown_leads(noisy(truth, 0.1)) == LEADS


def test_a_strip_under_another_name_is_named(truth: Recording) -> None:
    signal = truth.signal_mv.copy()
    signal[LEADS.index("V6")] = signal[LEADS.index("II")]
    short = only(truth, ("II",)).signal_mv
    short[LEADS.index("V6"), :625] = truth.signal_mv[LEADS.index("V6"), :625]
    assert mistaken_leads(replace(truth, signal_mv=signal), replace(truth, signal_mv=short)) == {"V6": "II"}
