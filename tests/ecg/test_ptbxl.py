"""The PTB-XL table and its records."""

import csv
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ecg_flare.ecg.leads import einthoven_residual_mv
from ecg_flare.ecg.ptbxl import (
    DATABASE_FILE,
    PtbxlEntry,
    at_sites,
    in_folds,
    load_record,
    read_database,
)
from ecg_flare.ecg.record import write_wfdb
from ecg_flare.ecg.synthetic import synthesize
from ecg_flare.errors import RecordError

ROW = {
    "ecg_id": "7",
    "patient_id": "15709.0",
    "site": "0.0",
    "device": "CS-12   E",
    "strat_fold": "3",
    "scp_codes": "{'NORM': 100.0, 'SR': 0.0}",
    "filename_hr": "records500/00000/00007_hr",
    "report": 'sinus, "normal"\nsecond line',
}


def write_table(root: Path, *rows: dict[str, str]) -> Path:
    with (root / DATABASE_FILE).open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return root


def entry(ecg_id: int, patient_id: str, site: str = "0", fold: int = 1) -> PtbxlEntry:
    return PtbxlEntry(ecg_id, patient_id, site, "CS-12", fold, (), f"records500/{ecg_id:05d}_hr")


class TestReadDatabase:
    def test_a_row_becomes_an_entry(self, tmp_path: Path) -> None:
        assert read_database(write_table(tmp_path, ROW)) == (
            PtbxlEntry(7, "15709", "0", "CS-12 E", 3, (("NORM", 100.0), ("SR", 0.0)), "records500/00000/00007_hr"),
        )

    def test_an_empty_site_is_unknown(self, tmp_path: Path) -> None:
        assert read_database(write_table(tmp_path, ROW | {"site": ""}))[0].site == "unknown"

    def test_missing_table(self, tmp_path: Path) -> None:
        with pytest.raises(RecordError, match=rf"Cannot read .*{DATABASE_FILE} .*give the folder of PTB-XL"):
            read_database(tmp_path)

    def test_missing_column(self, tmp_path: Path) -> None:
        with pytest.raises(RecordError, match=r"no column \['patient_id', 'site'\]"):
            read_database(write_table(tmp_path, {k: v for k, v in ROW.items() if k not in ("patient_id", "site")}))

    @pytest.mark.parametrize(
        ("column", "text"),
        [
            ("patient_id", ""),
            ("patient_id", "17.5"),
            ("patient_id", "nan"),
            ("ecg_id", "x"),
            ("site", "north"),
            ("strat_fold", ""),
            ("scp_codes", "{'NORM': "),
            ("scp_codes", "[1, 2]"),
            ("scp_codes", "__import__('os')"),
            ("filename_hr", ""),
            ("filename_hr", "/etc/passwd"),
            ("filename_hr", "../outside"),
        ],
    )
    def test_a_row_that_cannot_be_read_is_named(self, tmp_path: Path, column: str, text: str) -> None:
        with pytest.raises(RecordError, match=rf"Line \d+ of .*{DATABASE_FILE} cannot be read"):
            read_database(write_table(tmp_path, ROW, ROW | {column: text}))

    def test_a_row_cut_short_is_named(self, tmp_path: Path) -> None:
        table = write_table(tmp_path, ROW) / DATABASE_FILE
        table.write_text(table.read_text() + "8,15\n")
        with pytest.raises(RecordError, match="cannot be read"):
            read_database(tmp_path)

    def test_a_table_that_is_no_text(self, tmp_path: Path) -> None:
        (tmp_path / DATABASE_FILE).write_bytes(b"ecg_id\xff\xfe\x00")
        with pytest.raises(RecordError, match="not a CSV table in UTF-8"):
            read_database(tmp_path)


class TestLoadRecord:
    def test_reads_the_signal_and_keeps_the_patient(self, tmp_path: Path) -> None:
        wanted = entry(7, "15709")
        written = synthesize(np.random.default_rng(0))
        write_wfdb(written, tmp_path / "records500", "00007_hr")
        recording = load_record(tmp_path, wanted)
        assert recording.patient_id == "15709"
        np.testing.assert_allclose(recording.signal_mv, written.signal_mv, atol=0.51e-3)

    def test_a_missing_record_says_what_to_do(self, tmp_path: Path) -> None:
        with pytest.raises(RecordError, match=r"record 7 is missing: no file .*00007_hr\.hea\. Download records500"):
            load_record(tmp_path, entry(7, "1"))

    def test_a_missing_signal_file_is_named(self, tmp_path: Path) -> None:
        write_wfdb(synthesize(np.random.default_rng(0)), tmp_path / "records500", "00007_hr").with_suffix(
            ".dat"
        ).unlink()
        with pytest.raises(RecordError, match=r"00007_hr\.dat"):
            load_record(tmp_path, entry(7, "1"))


class TestFilters:
    entries = (entry(1, "a", "0", 1), entry(2, "b", "1", 2), entry(3, "a", "unknown", 2), entry(4, "c", "0", 10))

    def test_each_keeps_the_order(self) -> None:
        assert [e.ecg_id for e in at_sites(self.entries, ("0", "unknown"))] == [1, 3, 4]
        assert [e.ecg_id for e in in_folds(self.entries, {2, 10})] == [2, 3, 4]


@pytest.mark.realdata
class TestRealRecords:
    @pytest.fixture(scope="class")
    def root(self, data_root: Path) -> Path:
        return data_root / "ptbxl"

    def test_table(self, root: Path) -> None:
        entries = read_database(root)
        assert len(entries) == 434
        assert len({e.patient_id for e in entries}) == 407
        assert Counter(e.site for e in entries) == {"0": 214, "1": 146, "3": 58, "2": 16}
        assert entries[0] == replace(entries[0], ecg_id=1, patient_id="15709", site="0", strat_fold=3)

    def test_records_are_ecgs_in_millivolts(self, root: Path) -> None:
        for wanted in read_database(root)[::40]:
            recording = load_record(root, wanted)
            assert (recording.signal_mv.shape, recording.fs_hz) == ((12, 5000), 500.0)
            assert 0.3 < np.ptp(recording.lead("II")) < 10
            # Stored in steps of 1 µV (5 µV on some devices): the law holds to their rounding.
            assert np.abs(einthoven_residual_mv(recording.signal_mv[:6])).max() < 0.01

    def test_writing_a_record_again_loses_nothing(self, root: Path, tmp_path: Path) -> None:
        recording = load_record(root, read_database(root)[5])
        write_wfdb(recording, tmp_path, "00006_hr")
        dat = (root / f"{read_database(root)[5].path}.dat").read_bytes()
        assert (tmp_path / "00006_hr.dat").read_bytes() == dat
