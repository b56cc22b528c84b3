"""The end of a ledger in the hands of somebody who holds an earlier head: growth is seen, and nothing else passes."""

import hashlib
import itertools
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecg_flare.errors import ConfigError, LedgerError
from ecg_flare.privacy.chain import EMPTY, ChainWriter, Head, read_chain
from ecg_flare.privacy.chain_tail import ChainTail

LINES = 5


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("chain") / "ledger.jsonl")


def written(path: Path, *, fork_at: int = LINES + 1) -> Path:
    """A chain whose entries are others from line `fork_at` on."""
    with ChainWriter(path) as chain:
        for number in range(1, LINES + 1):
            chain.append({"kind": "entry", "name": "north", "value": number + 100 * (number >= fork_at)})
    return path


def head_at(path: Path, line: int) -> Head:
    """By hand: the SHA-256 of the line's bytes."""
    return Head(line, hashlib.sha256(path.read_bytes().split(b"\n")[line - 1]).hexdigest()) if line else EMPTY


def test_whoever_holds_a_head_follows_from_any_line_before_it(path: Path) -> None:
    end = read_chain(path).head
    for base, held in itertools.product(range(LINES + 1), range(1, LINES + 1)):
        tail = ChainTail.read(path, head_at(path, base))
        assert len(tail.texts) == LINES - base
        if base <= held:
            assert tail.follow(head_at(path, held)) == end == head_at(path, LINES)
        else:
            with pytest.raises(LedgerError, match=f"sent from line {base + 1} on, expected it from line {held + 1} on"):
                tail.follow(head_at(path, held))


def test_who_holds_nothing_wants_it_all(path: Path) -> None:
    assert ChainTail.read(path).follow(None) == head_at(path, LINES)
    for base in range(1, LINES + 1):
        with pytest.raises(LedgerError, match="expected all of it"):
            ChainTail.read(path, head_at(path, base)).follow(None)


def test_a_base_that_the_ledger_never_had_brings_all_of_it(path: Path) -> None:
    for base in (Head(2, "0" * 64), Head(LINES + 9, "1" * 64)):
        assert ChainTail.read(path, base) == ChainTail.read(path)


def test_a_ledger_that_was_cut_is_rolled_back_and_one_that_forked_is_another(path: Path, tmp_path: Path) -> None:
    for kept in range(1, LINES):
        cut = replace(ChainTail.read(path), texts=ChainTail.read(path).texts[:kept])
        assert cut.follow(head_at(path, kept)) == head_at(path, kept)
        with pytest.raises(LedgerError, match=f"ends at line {kept}, though line {LINES} was seen"):
            cut.follow(head_at(path, LINES))
    for fork_at in range(2, LINES + 1):
        other = ChainTail.read(written(tmp_path / f"{fork_at}.jsonl", fork_at=fork_at))
        for held in range(1, LINES + 1):
            if held < fork_at:
                other.follow(head_at(path, held))
            else:
                with pytest.raises(LedgerError, match=f"line {held} of the ledger is another one"):
                    other.follow(head_at(path, held))


def test_a_tail_that_names_another_ledger_is_refused(path: Path) -> None:
    with pytest.raises(LedgerError, match="named 000000000000"):
        replace(ChainTail.read(path), ledger="0" * 64).follow(None)


@settings(max_examples=200)
@given(data=st.data())
def test_no_changed_byte_passes(path: Path, data: st.DataObject) -> None:
    tail = ChainTail.read(path)
    text = b"".join(line + b"\n" for line in tail.texts)
    position = data.draw(st.integers(0, len(text) - 1))
    changed = text[:position] + bytes([text[position] ^ data.draw(st.integers(1, 255))]) + text[position + 1 :]
    with pytest.raises(LedgerError):
        replace(tail, texts=tuple(changed.split(b"\n")[:-1])).follow(head_at(path, LINES))


@settings(max_examples=200)
@given(texts=st.lists(st.binary(max_size=40), max_size=3))
def test_rubbish_is_a_ledger_error(texts: list[bytes]) -> None:
    tail = ChainTail("0" * 64, EMPTY, (*texts, b"[" * 100_000))
    with pytest.raises(LedgerError):
        tail.follow(None)


@pytest.mark.parametrize("text", ["", "7", "7:", "x:" + "0" * 64, "7:" + "g" * 64, "-1:" + "0" * 64, "7:" + "0" * 63])
def test_a_head_is_read_as_it_is_written_or_not_at_all(text: str) -> None:
    assert Head.parse(f"12:{'ab' * 32}") == Head(12, "ab" * 32)
    with pytest.raises(ConfigError, match="LINES:DIGEST"):
        Head.parse(text)
