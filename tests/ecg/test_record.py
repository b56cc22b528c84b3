"""Recordings in memory and as WFDB files."""

import re
from dataclasses import FrozenInstanceError
from pathlib import Path

import numpy as np
import pytest
import wfdb
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ecg_flare.ecg.leads import LEADS
from ecg_flare.ecg.record import Recording, read_wfdb, resample, write_wfdb
from ecg_flare.errors import RecordError, StorageError


def sines(n_samples: int = 500, fs_hz: float = 500.0) -> Recording:
    times_s = np.arange(n_samples) / fs_hz
    rows = [np.sin(2 * np.pi * (1 + row) * times_s) for row in range(12)]
    return Recording(np.array(rows, dtype=np.float32), fs_hz, name="sines", patient_id="17")


class TestRecording:
    def test_properties(self) -> None:
        recording = sines(1000, 250.0)
        assert recording.n_samples == 1000
        assert recording.duration_s == 4.0
        np.testing.assert_array_equal(recording.lead("aVF"), recording.signal_mv[5])

    def test_float64_becomes_float32(self) -> None:
        assert Recording(np.zeros((12, 3)), 500).signal_mv.dtype == np.float32

    def test_is_frozen(self) -> None:
        with pytest.raises(FrozenInstanceError):
            sines().fs_hz = 1.0  # type: ignore[misc]

    @pytest.mark.parametrize(
        ("signal", "fs_hz", "leads", "message"),
        [
            (np.zeros((11, 4)), 500, LEADS, "11 rows for 12 lead names"),
            (np.zeros(12), 500, LEADS, r"shape \(leads, samples\), found float64 \(12,\)"),
            (np.zeros((12, 4), dtype=int), 500, LEADS, "found int64"),
            ([[0.0]], 500, ("I",), "found list"),
            (np.zeros((12, 4)), 0, LEADS, "found 0"),
            (np.zeros((12, 4)), np.nan, LEADS, "found nan"),
            (np.zeros((2, 4)), 500, ("I", "AVR"), r"Unknown leads \['AVR'\]"),
            (np.zeros((2, 4)), 500, ("I", "I"), "distinct"),
            (np.full((12, 4), np.inf), 500, LEADS, "infinite"),
            (np.full((12, 4), 1e300), 500, LEADS, "infinite"),
        ],
    )
    def test_impossible_fields_are_refused(
        self, signal: np.ndarray, fs_hz: float, leads: tuple[str, ...], message: str
    ) -> None:
        with pytest.raises(RecordError, match=message):
            Recording(signal, fs_hz, leads)

    def test_a_lead_that_is_not_there_is_an_error(self) -> None:
        with pytest.raises(RecordError, match="has no lead 'V1'"):
            Recording(np.zeros((1, 4)), 500, ("I",)).lead("V1")

    def test_arranged_reorders_and_fills_with_nan(self) -> None:
        signal = np.array([[1.0, 2.0], [3.0, 4.0]], dtype=np.float32)
        arranged = Recording(signal, 500, ("V1", "I")).arranged(("I", "II", "V1"))
        np.testing.assert_array_equal(arranged.signal_mv, [[3, 4], [np.nan, np.nan], [1, 2]])
        assert arranged.lead_names == ("I", "II", "V1")


class TestResample:
    @pytest.mark.parametrize("new_fs_hz", [250.0, 1000.0, 360.0])
    def test_slow_sine_keeps_its_values_at_the_same_instants(self, new_fs_hz: float) -> None:
        times_s = np.arange(5000) / 500.0
        signal = np.sin(2 * np.pi * 5 * times_s)[None].astype(np.float32)
        resampled = resample(signal, 500.0, new_fs_hz)[0]
        expected = np.sin(2 * np.pi * 5 * np.arange(resampled.size) / new_fs_hz)
        inner = slice(resampled.size // 20, -resampled.size // 20)
        np.testing.assert_allclose(resampled[inner], expected[inner], atol=2e-3)
        assert resampled.size == np.ceil(5000 * new_fs_hz / 500)

    def test_what_the_lower_rate_cannot_hold_is_removed(self) -> None:
        hum = np.sin(2 * np.pi * 90 * np.arange(5000) / 500.0)[None].astype(np.float32)
        assert np.abs(resample(hum, 500.0, 100.0)[0, 50:-50]).max() < 0.02

    def test_gaps_stay_where_they_are(self) -> None:
        signal = np.ones((1, 1000), dtype=np.float32)
        signal[0, 200:400] = np.nan
        finer = resample(signal, 500.0, 1000.0)[0]
        expected = np.ones(2000, dtype=bool)
        expected[399:800] = False  # from after the last sample that is known to before the next
        assert np.isfinite(finer[:-1]).tolist() == expected[:-1].tolist()
        np.testing.assert_allclose(finer[np.isfinite(finer)], 1.0, atol=5e-3)

    def test_a_lead_that_was_never_recorded_stays_so(self) -> None:
        assert np.isnan(resample(np.full((2, 100), np.nan, dtype=np.float32), 500.0, 250.0)).all()

    def test_same_rate_copies(self) -> None:
        recording = sines()
        np.testing.assert_array_equal(recording.resampled(500.0).signal_mv, recording.signal_mv)

    @pytest.mark.parametrize("fs_hz", [0.0, -1.0, np.nan, np.inf])
    def test_impossible_rates_are_refused(self, fs_hz: float) -> None:
        with pytest.raises(RecordError, match="positive"):
            sines().resampled(fs_hz)


class TestWfdb:
    def test_round_trip_is_within_half_a_microvolt(self, tmp_path: Path) -> None:
        recording = sines()
        header = write_wfdb(recording, tmp_path / "new" / "folder", "rec_1")
        assert header == tmp_path / "new" / "folder" / "rec_1.hea"
        again = read_wfdb(header)
        assert np.abs(again.signal_mv - recording.signal_mv).max() <= 0.5e-3 + 1e-6
        assert (again.fs_hz, again.lead_names) == (500.0, LEADS)
        assert (again.name, again.patient_id) == ("rec_1", "17")

    def test_path_works_without_its_ending(self, tmp_path: Path) -> None:
        write_wfdb(sines(), tmp_path, "a")
        np.testing.assert_array_equal(read_wfdb(tmp_path / "a").signal_mv, read_wfdb(tmp_path / "a.hea").signal_mv)

    @settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        signal=hnp.arrays(np.float32, (12, 7), elements=st.one_of(st.floats(-32, 32, width=32), st.just(np.nan))),
        fs_hz=st.sampled_from([100.0, 193.8, 360.0, 500.0, 1000.0]),
    )
    def test_any_signal_survives_and_nan_stays_nan(self, tmp_path: Path, signal: np.ndarray, fs_hz: float) -> None:
        again = read_wfdb(write_wfdb(Recording(signal, fs_hz), tmp_path, "any"))
        np.testing.assert_array_equal(np.isnan(again.signal_mv), np.isnan(signal))
        np.testing.assert_allclose(again.signal_mv, signal, rtol=0, atol=0.501e-3)
        assert again.fs_hz == fs_hz

    def test_invalid_samples_are_minus_32768_on_disk(self, tmp_path: Path) -> None:
        signal = np.zeros((12, 4), dtype=np.float32)
        signal[3, 1] = np.nan
        write_wfdb(Recording(signal, 500), tmp_path, "gap")
        adu = np.fromfile(tmp_path / "gap.dat", dtype="<i2").reshape(4, 12)
        assert adu[1, 3] == -32768
        assert np.count_nonzero(adu) == 1

    def test_very_large_signals_get_a_lower_gain(self, tmp_path: Path) -> None:
        signal = np.zeros((12, 2), dtype=np.float32)
        signal[0] = -400.0, 123.0
        again = read_wfdb(write_wfdb(Recording(signal, 500), tmp_path, "large"))
        np.testing.assert_allclose(again.signal_mv, signal, atol=0.5 * 400 / 32767 + 1e-4)

    def test_other_order_names_and_units_are_understood(self, tmp_path: Path) -> None:
        samples = np.array([[100.0, 2.0, 5.0], [-100.0, 1.0, 6.0]])
        wfdb.wrsamp(
            "other",
            fs=250,
            units=["uV", "mV", "pm"],
            sig_name=["avf", "MLII", "RESP"],
            p_signal=samples,
            fmt=["16"] * 3,
            adc_gain=[10.0, 1000.0, 1000.0],
            baseline=[0, 0, 0],
            write_dir=str(tmp_path),
        )
        recording = read_wfdb(tmp_path / "other")
        np.testing.assert_allclose(recording.lead("aVF"), [0.1, -0.1], atol=1e-6)
        np.testing.assert_allclose(recording.lead("II"), [2.0, 1.0], atol=1e-6)
        assert np.isnan(recording.lead("V1")).all()

    @pytest.mark.parametrize("name", ["", "a b", "a.b", "../a", "ä"])
    def test_names_wfdb_cannot_hold_are_refused(self, tmp_path: Path, name: str) -> None:
        with pytest.raises(RecordError, match=f"found {re.escape(repr(name))}"):
            write_wfdb(sines(), tmp_path, name)

    def test_an_empty_recording_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(RecordError, match="no samples"):
            write_wfdb(Recording(np.zeros((12, 0)), 500), tmp_path, "empty")

    def test_a_folder_that_cannot_be_made_is_a_storage_error(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("in the way")
        with pytest.raises(StorageError, match="file"):
            write_wfdb(sines(), tmp_path / "file" / "below", "a")


class TestDamagedWfdb:
    @pytest.fixture
    def header(self, tmp_path: Path) -> Path:
        return write_wfdb(sines(), tmp_path, "rec")

    def assert_refused(self, header: Path, message: str = "rec") -> None:
        with pytest.raises(RecordError, match=message) as caught:
            read_wfdb(header)
        assert str(header) in str(caught.value) or str(header.with_suffix(".dat")) in str(caught.value)

    def test_missing_header(self, tmp_path: Path) -> None:
        with pytest.raises(RecordError, match=r"No WFDB header at .*nothing\.hea"):
            read_wfdb(tmp_path / "nothing")

    def test_missing_signal_file(self, header: Path) -> None:
        header.with_suffix(".dat").unlink()
        self.assert_refused(header, r"missing: .*rec\.dat")

    @pytest.mark.parametrize("kept", [0, 1, 24, 11_999])
    def test_signal_file_cut_short(self, header: Path, kept: int) -> None:
        dat = header.with_suffix(".dat")
        dat.write_bytes(dat.read_bytes()[:kept])
        self.assert_refused(header, "cut short")

    def test_flipped_bit(self, header: Path) -> None:
        dat = header.with_suffix(".dat")
        content = bytearray(dat.read_bytes())
        content[2 * 12 * 7 + 2 * 4] ^= 1
        dat.write_bytes(content)
        self.assert_refused(header, "'aVL' of .* is corrupt: its checksum")

    @pytest.mark.parametrize("content", ["", "rec", "rec 12 500 500", "rec x y z\n", "\0\0\0", "rec 12 0 500\n"])
    def test_header_without_sense(self, header: Path, content: str) -> None:
        header.write_text(content)
        self.assert_refused(header)

    def test_any_damage_to_a_header_is_a_record_error(self, header: Path) -> None:
        content = header.read_bytes()
        rng = np.random.default_rng(3)
        n_refused = 0
        for _ in range(150):
            damaged = bytearray(content)
            for position in rng.integers(0, len(content), 3):
                damaged[position] = rng.integers(256)
            header.write_bytes(damaged[: rng.integers(1, len(content) + 1)])
            try:
                read_wfdb(header)
            except RecordError:
                n_refused += 1
        assert n_refused > 100

    @pytest.mark.parametrize("elsewhere", ["/etc/passwd", "../rec.dat", "..\\rec.dat"])
    def test_signal_files_outside_the_folder_are_refused(self, header: Path, elsewhere: str) -> None:
        header.write_text(header.read_text().replace("rec.dat", elsewhere))
        self.assert_refused(header)

    def test_unknown_unit(self, header: Path) -> None:
        header.write_text(header.read_text().replace("/mV", "/psi"))
        self.assert_refused(header, "in 'psi'; expected one of mV")

    def test_no_known_lead(self, header: Path) -> None:
        first, *signals = header.read_text().splitlines()
        renamed = [f"{line.rsplit(' ', 1)[0]} EEG{number}" for number, line in enumerate(signals[:12])]
        header.write_text("\n".join([first, *renamed, ""]))
        self.assert_refused(header, "none of the leads I, .*V9; its signals are .*EEG0")

    def test_a_lead_twice(self, header: Path) -> None:
        header.write_text(header.read_text().replace(" 0 aVF\n", " 0 L2\n"))
        self.assert_refused(header, "lead II twice")
