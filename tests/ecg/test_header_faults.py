"""What is said of a WFDB header that wfdb cannot parse, and what is read for all its oddities."""

from pathlib import Path

import numpy as np
import pytest

from ecg_flare.ecg.leads import LEADS
from ecg_flare.ecg.record import Recording, read_wfdb, write_wfdb
from ecg_flare.errors import RecordError


@pytest.fixture
def header(tmp_path: Path) -> Path:
    signal = np.random.default_rng(1).normal(size=(12, 500)).astype(np.float32)
    return write_wfdb(Recording(signal, 500.0, patient_id="17"), tmp_path, "rec")


@pytest.mark.parametrize(
    "written",
    [
        lambda text: text.replace("\n", "\r\n").encode(),
        lambda text: b"\xef\xbb\xbf" + text.encode(),
        lambda text: b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode(),
        lambda text: ("# a comment first\n\n" + text.replace("\n", "\n\n")).encode(),
        lambda text: text.replace(" 0 I\n", " 0 Lead I\n").replace(" 0 V1\n", " 0 V1 \n").encode(),
        lambda text: text.replace(" 0 aVR\n", " 0 AVR\n").replace(" 0 II\n", " 0 MLII\n").encode(),
    ],
    ids=["CRLF", "BOM", "BOM and CRLF", "comments and empty lines", "spaces", "spellings"],
)
def test_a_header_that_another_program_wrote_is_read(header: Path, written) -> None:  # type: ignore[no-untyped-def]
    expected = read_wfdb(header)
    header.write_bytes(written(header.read_text()))
    again = read_wfdb(header)
    assert np.array_equal(again.signal_mv, expected.signal_mv)
    assert (again.fs_hz, again.left_out, again.patient_id) == (500.0, (), "17")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("rec 12 ", "st.mary 12 ", "line 1 is 'st.mary 12 500 500', expected 'NAME SIGNALS FS SAMPLES'"),
        ("rec 12 ", "Uni Koeln 12 ", "line 1 is 'Uni Koeln 12 500 500'"),
        ("rec 12 ", "rec twelve ", "line 1 is 'rec twelve 500 500'"),
        ("rec.dat 16", "my rec.dat 16", "the format is 'rec.dat', expected a number such as 16"),
        ("rec.dat 16", "re.c.dat 16", "the file is 're.c.dat'"),
        ("1000.0(0)/mV", "nan(0)/mV", "the gain is 'nan(0)/mV', expected a number"),
        ("1000.0(0)/mV 16 0", "1000.0(0)/mV 16 nan", "the zero is 'nan', expected a whole number"),
        ("rec 12 ", "rec 13 ", "it says 13 signals and has lines for 12: fetch it again"),
    ],
)
def test_the_line_that_cannot_be_parsed_is_named(header: Path, old: str, new: str, said: str) -> None:
    header.write_text(header.read_text().replace(old, new, 1))
    with pytest.raises(RecordError) as refused:
        read_wfdb(header)
    assert str(refused.value).startswith(f"The WFDB header {header} cannot be parsed: ")
    assert said in str(refused.value)


def shortened(text: str, *last: str) -> str:
    """The header without the fields between a signal's gain and its name, which header(5) allows to leave out."""
    record, *signals = text.splitlines()
    lines = [" ".join([*line.split()[:3], line.split()[-1]]) for line in signals if line.startswith("rec.dat")]
    return "\n".join([record, *lines[: len(lines) - len(last)], *last]) + "\n"


@pytest.mark.parametrize("name", ["Resp", "Resp 2", "ABP imp"])
def test_fields_may_be_left_out_before_a_name_that_is_no_lead(header: Path, name: str) -> None:
    expected = read_wfdb(header)
    header.write_text(shortened(header.read_text(), f"rec.dat 16 1000/mV {name}"))
    again = read_wfdb(header)
    assert again.left_out == (name,)
    assert np.array_equal(again.signal_mv[:11], expected.signal_mv[:11])
    assert np.isnan(again.lead("V6")).all()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("rec.dat 16 1000;0/mV V6", "the gain is '1000;0/mV'"),
        ("rec.dat 16 1000/mV 1x6 0 V6", "the resolution is '1x6'"),
        ("rec.dat 16 1000/mV nan Lead V6", "the resolution is"),
    ],
)
def test_a_lead_whose_fields_were_taken_for_a_name_is_not_lost_in_silence(header: Path, line: str, said: str) -> None:
    header.write_text(shortened(header.read_text(), line))
    with pytest.raises(RecordError) as refused:
        read_wfdb(header)
    assert "cannot be parsed" in str(refused.value)
    assert line in str(refused.value)


def test_a_header_in_utf_16_is_said_to_be_that(header: Path) -> None:
    header.write_bytes(header.read_text().encode("utf-16"))
    with pytest.raises(RecordError, match="not text in ASCII but UTF-16"):
        read_wfdb(header)


def test_a_header_in_order_beside_a_short_signal_file_is_not_blamed(header: Path) -> None:
    header.with_suffix(".dat").write_bytes(b"\0" * 100)
    with pytest.raises(RecordError, match=r"corrupt or cut short .*fetch it again"):
        read_wfdb(header)


@pytest.mark.parametrize("name", ["-aVR", "-AVR", "- aVR"])
def test_an_inverted_lead_is_turned_back(header: Path, name: str) -> None:
    upright = read_wfdb(header)
    header.write_text(header.read_text().replace(" 0 aVR\n", f" 0 {name}\n"))
    turned = read_wfdb(header)
    assert np.array_equal(turned.lead("aVR"), -upright.lead("aVR"))
    others = [row for row, lead in enumerate(LEADS) if lead != "aVR"]
    assert np.array_equal(turned.signal_mv[others], upright.signal_mv[others])


def test_a_record_that_holds_a_lead_both_ways_is_refused(header: Path) -> None:
    header.write_text(header.read_text().replace(" 0 V1\n", " 0 -aVR\n"))
    with pytest.raises(RecordError, match="lead aVR twice"):
        read_wfdb(header)
