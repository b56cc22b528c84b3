"""The shapes of beats, lead by lead, as a cardiologist would check them."""

import numpy as np
import pytest

from ecg_flare.ecg import morphology
from ecg_flare.ecg.leads import LEADS, limb_leads
from ecg_flare.ecg.morphology import Beat, Part, Territory, Wave
from ecg_flare.ecg.synthetic import DOWER, electrical_axis_deg

TIMES_S = np.arange(-0.4, 0.6, 0.001)


def leads_of(beat: Beat, parts: tuple[Part, ...] = tuple(Part)) -> dict[str, np.ndarray]:
    dipole = np.zeros((3, TIMES_S.size))
    for wave in beat.waves:
        if wave.part in parts:
            dipole += np.outer(wave.dipole_mv, np.exp(-0.5 * ((TIMES_S - wave.centre_s) / wave.width_s) ** 2))
    independent = DOWER @ dipole
    rows = np.concatenate([limb_leads(independent[0], independent[1]), independent[2:]])
    return dict(zip(LEADS, rows, strict=True))


def qrs_duration_ms(beat: Beat) -> float:
    active = np.max([np.abs(lead) for lead in leads_of(beat, (Part.QRS,)).values()], axis=0) > 0.04
    return float(np.ptp(TIMES_S[active]) * 1000)


def at(lead: np.ndarray, time_s: float) -> float:
    return float(lead[np.argmin(np.abs(TIMES_S - time_s))])


class TestNormalBeat:
    leads = leads_of(morphology.normal_beat())
    qrs = leads_of(morphology.normal_beat(), (Part.QRS,))

    def test_durations(self) -> None:
        assert 75 <= qrs_duration_ms(morphology.normal_beat()) <= 105
        p_wave = leads_of(morphology.normal_beat(), (Part.P,))["II"]
        assert 80 <= np.ptp(TIMES_S[p_wave > 0.01]) * 1000 <= 120

    def test_r_in_v5_is_one_to_two_millivolts(self) -> None:
        assert 1.0 < self.qrs["V5"].max() < 2.0

    def test_v1_is_rs(self) -> None:
        v1 = self.qrs["V1"]
        assert 0.1 < v1.max() < 0.5
        assert -1.5 < v1.min() < -0.5
        assert v1.argmax() < v1.argmin()

    def test_r_over_s_grows_from_v1_to_v5(self) -> None:
        share = [self.qrs[lead].max() / np.ptp(self.qrs[lead]) for lead in ("V1", "V2", "V3", "V4", "V5")]
        assert share == sorted(share)
        assert share[1] < 0.5 < share[3]  # the transition is at V3 or V4

    def test_septal_q_in_v6(self) -> None:
        before_r = self.qrs["V6"][: self.qrs["V6"].argmax()]
        assert -0.3 < before_r.min() < -0.03

    def test_p_is_upright_in_ii_and_biphasic_in_v1(self) -> None:
        p_wave = leads_of(morphology.normal_beat(), (Part.P,))
        assert 0.08 < p_wave["II"].max() < 0.25
        assert p_wave["V1"].max() > 0.02
        assert p_wave["V1"].min() < -0.02
        assert p_wave["aVR"].min() < -0.05

    def test_t_follows_the_qrs(self) -> None:
        for lead in ("I", "II", "V3", "V4", "V5", "V6"):
            assert at(self.leads[lead], 0.27) > 0.1
        assert at(self.leads["aVR"], 0.27) < -0.1

    def test_st_is_isoelectric(self) -> None:
        assert max(abs(at(lead, 0.09)) for lead in self.leads.values()) < 0.05


class TestBundleBranchBlocks:
    def test_qrs_is_wide(self) -> None:
        assert 120 < qrs_duration_ms(morphology.left_bundle_branch_block()) < 180
        assert 120 < qrs_duration_ms(morphology.right_bundle_branch_block()) < 180

    def test_left_is_negative_in_v1_and_has_no_q_in_v6(self) -> None:
        qrs = leads_of(morphology.left_bundle_branch_block(), (Part.QRS,))
        assert qrs["V1"].min() < -0.6
        assert qrs["V1"].max() < 0.15
        for lead in ("I", "V5", "V6"):
            assert qrs[lead].min() > -0.05
            assert qrs[lead].max() > 0.4

    def test_left_has_discordant_t(self) -> None:
        leads = leads_of(morphology.left_bundle_branch_block())
        assert at(leads["V1"], 0.31) > 0.2
        assert at(leads["V6"], 0.31) < -0.15

    def test_right_ends_positive_in_v1_and_negative_in_i_and_v6(self) -> None:
        qrs = leads_of(morphology.right_bundle_branch_block(), (Part.QRS,))
        assert at(qrs["V1"], 0.056) > 0.4
        assert at(qrs["I"], 0.056) < -0.15
        assert at(qrs["V6"], 0.056) < -0.25
        v1 = qrs["V1"]
        r, s = v1[TIMES_S < -0.015].max(), v1[(TIMES_S > -0.015) & (TIMES_S < 0.04)].min()
        assert r > 0.08  # rsR'
        assert s < -0.15

    def test_right_inverts_t_in_v1_alone(self) -> None:
        leads = leads_of(morphology.right_bundle_branch_block())
        assert at(leads["V1"], 0.295) < -0.1
        assert at(leads["V6"], 0.295) > 0.1


class TestIschaemia:
    @pytest.mark.parametrize(
        ("territory", "raised", "lowered"),
        [
            (Territory.ANTERIOR, ("V2", "V3", "V4"), ()),
            (Territory.INFERIOR, ("II", "III", "aVF"), ("aVL",)),
            (Territory.LATERAL, ("I", "aVL", "V5", "V6"), ("III",)),
        ],
    )
    def test_st_rises_over_the_injured_wall(
        self, territory: Territory, raised: tuple[str, ...], lowered: tuple[str, ...]
    ) -> None:
        leads = leads_of(morphology.st_elevation(territory, 1.0), (Part.ST,))
        for lead in raised:
            assert 0.1 < at(leads[lead], 0.12) < 0.45
        for lead in lowered:
            assert at(leads[lead], 0.12) < -0.05

    def test_plateau_is_flat(self) -> None:
        plateau = leads_of(morphology.st_elevation(Territory.INFERIOR, 1.0), (Part.ST,))["aVF"]
        within = plateau[(TIMES_S > 0.08) & (TIMES_S < 0.15)]
        assert np.ptp(within) < 0.06 * within.mean()
        vector = np.array(Territory.INFERIOR.value)
        assert within.mean() == pytest.approx(float((DOWER[1] - DOWER[0] / 2) @ vector), rel=0.05)

    def test_subendocardial_depression(self) -> None:
        leads = leads_of(morphology.st_depression(1.0), (Part.ST,))
        assert all(at(leads[lead], 0.12) < -0.1 for lead in ("V4", "V5"))
        assert at(leads["aVR"], 0.12) > 0.05


def test_ectopic_is_wide_without_p_and_its_t_is_discordant() -> None:
    beat = morphology.ventricular_ectopic((0.55, 1.3, 0.7))
    assert 130 < qrs_duration_ms(beat) < 200
    assert not any(wave.part is Part.P for wave in beat.waves)
    leads = leads_of(beat)
    for lead in ("II", "V1", "V6"):
        assert np.sign(at(leads[lead], 0.32)) == -np.sign(at(leads[lead], 0.0))


def test_hypertrophy_meets_sokolow_and_lyon() -> None:
    qrs = leads_of(morphology.left_ventricular_hypertrophy(), (Part.QRS,))
    assert qrs["V5"].max() - qrs["V1"].min() > 3.5


def test_long_conduction_moves_p_alone() -> None:
    beat, delayed = morphology.normal_beat(), morphology.normal_beat().delayed_conduction(0.1)
    for before, after in zip(beat.waves, delayed.waves, strict=True):
        assert before.centre_s - after.centre_s == pytest.approx(0.1 if before.part is Part.P else 0.0)


def test_rotation_keeps_lengths_and_turns_x_into_y() -> None:
    beat = Beat((Wave(Part.QRS, 0.0, 0.01, (1.0, 0.0, 0.0)), Wave(Part.T, 0.3, 0.05, (0.3, -0.4, 1.2))))
    turned = beat.rotated(frontal_deg=90)
    np.testing.assert_allclose(turned.waves[0].dipole_mv, (0, 1, 0), atol=1e-15)
    assert np.linalg.norm(turned.waves[1].dipole_mv) == pytest.approx(1.3)
    np.testing.assert_allclose(beat.rotated(horizontal_deg=90).waves[0].dipole_mv, (0, 0, 1), atol=1e-15)


def test_scaling_touches_the_named_parts_alone() -> None:
    beat = morphology.normal_beat().scaled(0.5, (Part.QRS,))
    for before, after in zip(morphology.normal_beat().waves, beat.waves, strict=True):
        factor = 0.5 if before.part is Part.QRS else 1.0
        np.testing.assert_allclose(after.dipole_mv, factor * np.array(before.dipole_mv))


def test_qrs_area_is_the_integral() -> None:
    beat = morphology.normal_beat()
    dipole = np.zeros((3, TIMES_S.size))
    for wave in beat.waves:
        if wave.part is Part.QRS:
            dipole += np.outer(wave.dipole_mv, np.exp(-0.5 * ((TIMES_S - wave.centre_s) / wave.width_s) ** 2))
    np.testing.assert_allclose(beat.qrs_area(), dipole.sum(axis=1) * 0.001, rtol=1e-9)


@pytest.mark.parametrize(
    ("dipole_mv", "axis_deg"),
    [
        ((1.0, 0.081 / 1.1835, 0.0), 0.0),  # aVF = II - I/2 is zero
        ((0.235, 0.632, 0.0), 90.0),  # I is zero
        ((-1.0, -0.081 / 1.1835, 0.0), 180.0),
    ],
)
def test_axis_is_read_from_leads_i_and_avf(dipole_mv: tuple[float, float, float], axis_deg: float) -> None:
    beat = Beat((Wave(Part.QRS, 0.0, 0.01, dipole_mv),))
    assert abs(electrical_axis_deg(beat)) == pytest.approx(axis_deg, abs=1e-6)
