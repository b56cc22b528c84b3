"""The append-only chain: what a crash, a full disk, another writer and a forger do to it."""

import errno
import hashlib
import hmac
import json
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecg_flare.errors import LedgerError, StorageError
from ecg_flare.privacy.chain import ChainWriter, Head, check_head, read_chain, read_head

ENTRIES = [{"kind": "a"}, {"kind": "b", "value": 0.1}, {"kind": "c", "text": "é"}]


def sign(message: bytes) -> bytes:
    return hmac.digest(b"key", message, "sha256")


def genuine(message: bytes, signature: bytes) -> bool:
    return hmac.compare_digest(sign(message), signature)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "ledger.jsonl"
    with ChainWriter(path, sign) as chain:
        for entry in ENTRIES:
            chain.append(entry)
    return path


def read_strictly(path: Path) -> list[dict[str, object]]:
    chain, head = read_chain(path), read_head(path)
    assert head is not None
    check_head(path, chain, head)
    if chain.torn:
        raise LedgerError("torn")
    return [dict(line.entry) for line in chain.lines]


def test_entries_come_back_in_order(path: Path) -> None:
    assert read_strictly(path) == ENTRIES
    assert [line.number for line in read_chain(path, genuine).lines] == [1, 2, 3]


def test_lines_are_chained_by_the_hash_of_the_whole_line_before(path: Path) -> None:
    lines = path.read_bytes().splitlines()
    bodies = [json.loads(line) for line in lines]
    assert bodies[0]["prev"] == "0" * 64
    assert bodies[1]["prev"] == hashlib.sha256(lines[0]).hexdigest()
    core = {key: bodies[2][key] for key in ("entry", "line", "prev")}
    canonical = json.dumps(core, sort_keys=True, separators=(",", ":")).encode()
    assert bodies[2]["hash"] == hashlib.sha256(canonical).hexdigest()
    assert read_head(path) == Head(3, hashlib.sha256(lines[2]).hexdigest())


def test_appending_goes_on_after_reopening(path: Path) -> None:
    with ChainWriter(path) as chain:
        assert chain.torn == b""
        chain.append({"kind": "d"})
    assert read_strictly(path) == [*ENTRIES, {"kind": "d"}]


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes]:
    path = tmp_path_factory.mktemp("chain") / "ledger.jsonl"
    with ChainWriter(path, sign) as chain:
        for entry in ENTRIES:
            chain.append(entry)
    return path, path.read_bytes()


@settings(max_examples=300)
@given(data=st.data())
def test_any_changed_byte_is_noticed(pristine: tuple[Path, bytes], data: st.DataObject) -> None:
    path, written = pristine
    raw = bytearray(written)
    position = data.draw(st.integers(0, len(raw) - 1))
    raw[position] ^= data.draw(st.integers(1, 255))
    path.write_bytes(raw)
    with pytest.raises(LedgerError):
        read_strictly(path)


@pytest.mark.parametrize(
    ("order", "wrong"), [((1, 2), 1), ((0, 2), 2), ((0, 1), 3), ((1, 0, 2), 1), ((0, 2, 1), 2), ((0, 1, 1, 2), 3)]
)
def test_removed_swapped_and_repeated_lines_are_named(path: Path, order: tuple[int, ...], wrong: int) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[i] for i in order))
    with pytest.raises(LedgerError, match=f"line {wrong}"):
        read_strictly(path)
    with pytest.raises(LedgerError, match=f"line {wrong}"):
        ChainWriter(path)


def test_a_rewritten_chain_fails_against_a_remembered_head_and_against_the_signer(path: Path) -> None:
    remembered = read_head(path)
    assert remembered is not None
    path.unlink()
    path.with_name("ledger.jsonl.head").unlink()
    with ChainWriter(path) as chain:
        for entry in [{"kind": "forged"}, *ENTRIES[1:]]:
            chain.append(entry)
    assert len(read_strictly(path)) == 3  # nothing in the folder shows it
    with pytest.raises(LedgerError, match="line 3: is not the line that the head anchors"):
        check_head(path, read_chain(path), remembered)
    with pytest.raises(LedgerError, match="line 1: its signature is missing"):
        read_chain(path, genuine)


def test_a_foreign_signature_is_refused(path: Path) -> None:
    with pytest.raises(LedgerError, match="line 1: its signature"):
        read_chain(path, lambda message, signature: False)


@pytest.mark.parametrize("cut", [1, 7, 60])
def test_a_line_torn_by_a_crash_is_cut_off_on_opening(path: Path, cut: int) -> None:
    whole = path.read_bytes()
    torn = whole.splitlines(keepends=True)[0][:cut]
    path.write_bytes(whole + torn)
    assert read_chain(path).torn == torn
    with ChainWriter(path) as chain:
        assert chain.torn == torn
        chain.append({"kind": "d"})
    assert read_strictly(path) == [*ENTRIES, {"kind": "d"}]


def test_a_line_that_was_on_disk_once_is_never_cut_off(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])
    for _ in range(2):
        with pytest.raises(LedgerError, match=r"line 3: missing or incomplete, though 3 lines were on disk"):
            ChainWriter(path)


def test_a_crash_between_line_and_head_keeps_the_line(path: Path) -> None:
    head = path.with_name("ledger.jsonl.head")
    before = head.read_bytes()
    with ChainWriter(path) as chain:
        chain.append({"kind": "d"})
    head.write_bytes(before)
    with ChainWriter(path) as chain:
        assert len(chain.lines) == 4
    assert read_head(path) == Head(4, chain.head.digest)


def test_a_missing_head_is_refused_unless_the_file_just_began(path: Path) -> None:
    path.with_name("ledger.jsonl.head").unlink()
    with pytest.raises(LedgerError, match="head is missing"):
        ChainWriter(path)
    path.write_bytes(path.read_bytes().splitlines(keepends=True)[0])
    with ChainWriter(path) as chain:
        assert len(chain.lines) == 1


def test_a_second_writer_is_refused_until_the_first_closes(path: Path) -> None:
    with ChainWriter(path), pytest.raises(LedgerError, match="another job writes"):
        ChainWriter(path)
    ChainWriter(path).close()


def full_disk_after(n_bytes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    room, write = [n_bytes], os.write

    def limited(fd: int, data: bytes) -> int:
        if room[0] == 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written = write(fd, data[: room[0]])
        room[0] -= written
        return written

    monkeypatch.setattr("ecg_flare.privacy.chain.os.write", limited)


@pytest.mark.parametrize("room", [0, 10])
def test_a_full_disk_leaves_the_file_as_it_was(path: Path, room: int, monkeypatch: pytest.MonkeyPatch) -> None:
    before = path.read_bytes()
    with ChainWriter(path) as chain:
        with monkeypatch.context() as patch:
            full_disk_after(room, patch)
            with pytest.raises(StorageError, match=r"line 4 .* was not recorded .*No space left"):
                chain.append({"kind": "d"})
        assert path.read_bytes() == before
        chain.append({"kind": "e"})
    assert read_strictly(path) == [*ENTRIES, {"kind": "e"}]


def test_a_disk_that_fills_before_the_head_keeps_the_line(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, write: object) -> None:
        raise StorageError("No space left")

    with ChainWriter(path) as chain:
        with monkeypatch.context() as patch:
            patch.setattr("ecg_flare.privacy.chain.write_atomically", full)
            with pytest.raises(StorageError, match=r"line 4 of .* is recorded, but its head is not"):
                chain.append({"kind": "d"})
        assert len(chain.lines) == 4
    with ChainWriter(path) as chain:
        assert len(chain.lines) == 4
        assert read_head(path) == chain.head


def test_a_writer_that_could_not_cut_back_writes_no_more(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(fd: int, length: int) -> None:
        raise OSError(errno.EIO, "broken disk")

    with ChainWriter(path) as chain:
        with monkeypatch.context() as patch:
            full_disk_after(10, patch)
            patch.setattr("ecg_flare.privacy.chain.os.ftruncate", broken)
            with pytest.raises(StorageError, match="was not recorded"):
                chain.append({"kind": "d"})
        with pytest.raises(StorageError, match="bytes after line 3"):
            chain.append({"kind": "d"})
    with ChainWriter(path) as chain:
        assert len(chain.torn) == 10
    assert read_strictly(path) == ENTRIES


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="file"):
        ChainWriter(tmp_path / "file" / "ledger.jsonl")
    with pytest.raises(LedgerError, match="cannot be read"):
        read_chain(tmp_path / "absent.jsonl")
