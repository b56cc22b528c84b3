"""Tampering with a ledger, exhaustively, with and without the server's signatures."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from ecg_flare.errors import ConfigError, LedgerError
from ecg_flare.privacy.chain import LineVerifier
from ecg_flare.privacy.cohort import Cohort, Mechanism
from ecg_flare.privacy.ledger import Ledger, verify
from ecg_flare.privacy.ledger_signature import ledger_signer, ledger_verifier
from secure_sum_certs import Authority, rsa_key

COHORT = Cohort("north", "patient", ("site-1", "site-2", "site-3"), delta=1e-4, epsilon_budget=20.0)


@pytest.fixture(scope="module")
def kit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of a server's startup kit."""
    folder, authority = tmp_path_factory.mktemp("kit"), Authority()
    pem = serialization.Encoding.PEM
    key = rsa_key("server").private_bytes(
        pem, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    (folder / "server.key").write_bytes(key)
    (folder / "server.crt").write_bytes(authority.issue("server", rsa_key("server")).public_bytes(pem))
    (folder / "other.crt").write_bytes(authority.issue("server", rsa_key("other")).public_bytes(pem))
    (folder / "rootCA.pem").write_bytes(authority.pem)
    (folder / "otherCA.pem").write_bytes(Authority("elsewhere").pem)
    return folder


def write(path: Path, kit: Path | None = None) -> Path:
    signer = None if kit is None else ledger_signer(kit / "server.key", kit / "server.crt")
    with Ledger(path, COHORT, signer=signer) as ledger:
        for index in range(2):
            charged = ledger.charge(
                Mechanism(
                    "job",
                    index,
                    clipping_norm=0.05,
                    noise_multiplier=2.0,
                    weights=dict.fromkeys(COHORT.roster, 1.0),
                    denominator=36.0,
                    sampling="poisson",
                    sampling_rate=1.0,
                    patients=36,
                    unit="patient",
                )
            )
            ledger.release(charged, model_sha256=f"{index:064x}", noised_sum_sha256="a" * 64)
    return path


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("plain") / "ledger.jsonl")


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory, kit: Path) -> Path:
    return write(tmp_path_factory.mktemp("signed") / "ledger.jsonl", kit)


def wrong_line(path: Path, text: bytes, verifier: LineVerifier | None = None) -> int:
    """Number of the line at which `verify` gives up; 0 where it accepts the text."""
    before = path.read_bytes()
    try:
        path.write_bytes(text)
        verify(path, verifier=verifier)
    except LedgerError as error:
        return int(str(error).partition(", line ")[2].partition(":")[0])
    finally:
        path.write_bytes(before)
    return 0


def changed_bytes(text: bytes) -> Iterator[tuple[int, bytes]]:
    """Each byte changed once: the line that it stands in, and the text."""
    line = 1
    for position, byte in enumerate(text):
        yield line, text[:position] + bytes([byte ^ 1]) + text[position + 1 :]
        line += byte == ord("\n")


def test_any_one_changed_byte_is_found_in_its_line(plain: Path) -> None:
    text = plain.read_bytes()
    assert len(text.splitlines()) == 5
    assert wrong_line(plain, text) == 0
    missed = [line for line, changed in changed_bytes(text) if wrong_line(plain, changed) != line]
    assert missed == []


def test_any_one_changed_byte_of_a_signed_ledger_is_found_in_its_line(signed: Path, kit: Path) -> None:
    text, verifier = signed.read_bytes(), ledger_verifier(kit / "server.crt", kit / "rootCA.pem")
    assert wrong_line(signed, text, verifier) == 0
    missed = [line for line, changed in changed_bytes(text) if wrong_line(signed, changed, verifier) != line]
    assert missed == []


@pytest.mark.parametrize("check", [False, True])
def test_a_removed_line_and_two_swapped_ones_are_found_where_they_begin(signed: Path, kit: Path, check: bool) -> None:
    lines = signed.read_bytes().splitlines(keepends=True)
    checked_by = ledger_verifier(kit / "server.crt") if check else None
    for first in range(5):
        assert wrong_line(signed, b"".join(lines[:first] + lines[first + 1 :]), checked_by) == first + 1
        for second in range(first + 1, 5):
            swapped = list(lines)
            swapped[first], swapped[second] = lines[second], lines[first]
            assert wrong_line(signed, b"".join(swapped), checked_by) == first + 1


def test_only_the_servers_own_key_is_believed(signed: Path, plain: Path, kit: Path) -> None:
    told = verify(signed, verifier=ledger_verifier(kit / "server.crt", kit / "rootCA.pem"))
    assert (told.signed, told.head.lines) == (5, 5)
    with pytest.raises(LedgerError, match="line 1: its signature is missing or not genuine"):
        verify(signed, verifier=ledger_verifier(kit / "other.crt"))
    with pytest.raises(LedgerError, match="line 1: its signature is missing or not genuine"):
        verify(plain, verifier=ledger_verifier(kit / "server.crt"))
    with pytest.raises(LedgerError, match="was not issued by"):
        ledger_verifier(kit / "server.crt", kit / "otherCA.pem")
    with pytest.raises(ConfigError, match="no certificate"):
        ledger_verifier(kit / "server.key")


def test_a_ledger_rewritten_from_its_first_line_fails_by_its_signatures_alone(
    tmp_path: Path, signed: Path, kit: Path
) -> None:
    """Whoever holds ledger and head can make a new chain, but cannot sign it."""
    forged = write(tmp_path / "ledger.jsonl")
    assert verify(forged).anchored
    with pytest.raises(LedgerError, match="line 1"):
        verify(forged, verifier=ledger_verifier(kit / "server.crt"))
