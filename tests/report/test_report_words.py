"""What the report says about privacy follows from the terms and the figures, and from nothing else."""

import math
from collections.abc import Callable
from pathlib import Path

import pytest

from ecg_flare.privacy.planning import noise_words
from ecg_flare.report.agreed import trained_parameters
from ecg_flare.report.build import write_report
from ecg_flare.report.run import read_run
from ecg_flare.report.watch import look, watch_lines
from ecg_flare.report.words import headlines, noise_to_signal, privacy_words

WriteRun = Callable[..., Path]

PATIENTS = {"sampling_rate": 0.5, "patients": 80, "patients_per_site": 40, "noise_multiplier": 2.0}


def test_the_promise_names_unit_epsilon_delta_and_rounds(write_run: WriteRun) -> None:
    words = privacy_words(read_run(write_run()))
    assert words.promise == "Each site is hidden with epsilon 3.00 at delta 10⁻⁵ over all 3 rounds (moderate)."
    details = " ".join(words.details)
    assert f"at most {math.exp(3):.1f}-fold" in details
    assert "(PRV) finds 2.70" in details
    assert "Of the budget of 8, 5.00 is left" in details


@pytest.mark.parametrize(("epsilon", "strength"), [(1.0, "strong"), (10.0, "moderate"), (10.1, "weak, formal only")])
def test_the_strength_follows_the_published_tiers(
    write_run: WriteRun, report_line: Callable[..., dict], epsilon: float, strength: str
) -> None:
    run = read_run(write_run([report_line(0), report_line(1, epsilon_rdp=epsilon)]))
    assert f"({strength})" in privacy_words(run).promise


def test_without_noise_nothing_is_promised(write_run: WriteRun) -> None:
    run = read_run(write_run(terms={"noise_multiplier": None}))
    words = privacy_words(run)
    assert words.promise == "The released models are not differentially private."
    assert any("promises nothing" in detail for detail in words.details)


def test_noise_without_a_recorded_epsilon_is_called_not_private(
    write_run: WriteRun, report_line: Callable[..., dict]
) -> None:
    run = read_run(write_run([report_line(0, epsilon_rdp=None, epsilon_prv=None)]))
    assert "treat the models as not private" in privacy_words(run).promise


def test_of_an_old_run_whose_delta_promises_nothing_the_report_says_so(write_run: WriteRun) -> None:
    patients = {"patients": 19_000, "patients_per_site": 8_000, "sampling_rate": 0.05, "delta": 1e-3}
    promise = privacy_words(read_run(write_run(terms=patients))).promise
    assert "hides nobody of 19000 patients" in promise
    assert "Treat the models as not private" in promise
    assert "hidden with" not in promise


@pytest.mark.parametrize("private", [True, False])
def test_what_the_server_saw_is_a_limit_in_the_clear_and_a_protection_under_masks(
    write_run: WriteRun, private: bool
) -> None:
    noise = {} if private else {"noise_multiplier": None}
    plain = privacy_words(read_run(write_run(terms={"summation": "plain", **noise}, workspace="plain")))
    masked = privacy_words(read_run(write_run(terms={"summation": "masked", **noise}, workspace="masked")))
    assert "saw each site's update by itself" in plain.limits[0]
    assert "only the sum of masked updates" in masked.details[0]
    assert "all sites but one, working together" in masked.limits[0]


def test_the_shared_key_of_an_encrypted_sum_is_a_limit(write_run: WriteRun) -> None:
    words = privacy_words(read_run(write_run(terms={"summation": "encrypted"})))
    assert "the server and any site, working together, see every update" in words.limits[0]


def test_noise_to_signal_of_equal_sites_is_sigma_root_d_over_n(write_run: WriteRun) -> None:
    run = read_run(write_run(terms={"weights": {"a": 1.0, "b": 1.0, "c": 1.0}, "noise_multiplier": 3.7}))
    # research: sigma 3.7, d = 121,348, three sites: noise 430 times as long as the clipping norm
    assert noise_to_signal(run, 121_348) == pytest.approx(3.7 * math.sqrt(121_348) / 3)
    assert noise_to_signal(read_run(write_run(terms={"noise_multiplier": None}, workspace="plain")), 10) is None


def test_noise_to_signal_of_patients_is_over_those_expected_in_a_round(write_run: WriteRun) -> None:
    run = read_run(write_run(terms=PATIENTS | {"weights": {"a": 1.0, "b": 0.5, "c": 1.0}}))
    assert noise_to_signal(run, 10_000) == pytest.approx(2.0 * 100 / 40)
    last = read_run(write_run(terms=PATIENTS | {"trained": ["decoder.seg_layers.2.*"]}, workspace="last"))
    assert trained_parameters(last.terms) == 36
    assert any("Every patient's own update was clipped" in detail for detail in privacy_words(run).details)


def test_a_norm_that_follows_is_told_and_noise_counts_the_folded_coordinates(write_run: WriteRun) -> None:
    rule = {"quantile": 0.5, "rate": 0.2, "count_noise": 2.0, "least": 0.1, "most": 2.0}
    levers = {"adaptive_clipping": rule, "projection": {"size": 400, "seed": 1}}
    run = read_run(write_run(terms=PATIENTS | levers | {"weights": {"a": 1.0, "b": 1.0, "c": 1.0}}))
    # (2^-2 - 4^-2)^(-1/2) = 2.3094 is left for the update
    assert noise_to_signal(run, 10_000) == pytest.approx(2.3094011 * 20 / 40)
    assert "at first, then following the 0.5 quantile" in " ".join(privacy_words(run).details)


@pytest.mark.parametrize(("ratio", "said"), [(0.5, "can follow"), (5.0, "slowed"), (500.0, "little is learnt")])
def test_noise_in_words(ratio: float, said: str) -> None:
    assert said in noise_words(ratio)


def test_headlines(write_run: WriteRun) -> None:
    tiles = {tile.label: tile for tile in headlines(read_run(write_run()))}
    assert tiles["trace Dice"].value == "0.800"
    assert tiles["trace Dice"].note == "start 0.500, best 0.900 in round 2"
    assert tiles["epsilon"].value == "3.00"
    assert tiles["rounds"].value == "3 of 3"
    assert tiles["time"].value == "41.0 s"  # 2 + 3 * 13
    assert tiles["time"].note.startswith("13.5 MB")  # 3 * 4.5 MB


def test_a_model_that_nobody_measured_is_said_to_be_so(
    write_run: WriteRun, report_line: Callable[..., dict], tmp_path: Path
) -> None:
    run = read_run(write_run(lines=[report_line(number, dice=-1.0) for number in range(4)]))
    tile = {each.label: each for each in headlines(run)}["trace Dice"]
    assert (tile.value, tile.note) == ("–", "no public data")
    assert run.best is run.final
    text = write_report(run, tmp_path / "report.html", pages=0).read_text("utf-8")
    assert "-1.0" not in text
    assert "Dice of the global model" not in text
    assert "–, best – in round 3" in "\n".join(watch_lines(look(run.folder)))
