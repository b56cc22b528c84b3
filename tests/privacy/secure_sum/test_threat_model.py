"""The threat model's claims name tests that exist, and leave no attack out."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ecg_flare.privacy.secure_sum.context import min_threshold

ROOT = Path(__file__).resolve().parents[3]
CITED = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", (ROOT / "docs" / "threat-model.md").read_text())


@pytest.mark.parametrize(("path", "name"), sorted(set(CITED)))
def test_cited_test_exists(path: str, name: str) -> None:
    assert re.search(rf"^def {name}\(", (ROOT / path).read_text(), flags=re.MULTILINE)


def test_every_attack_is_cited() -> None:
    path = "tests/privacy/secure_sum/test_secure_sum_attacks.py"
    written = set(re.findall(r"^def (test_\w+)\(", (ROOT / path).read_text(), flags=re.MULTILINE))
    assert written == {name for cited, name in CITED if cited == path}


def test_collusion_table() -> None:
    """Each row by the definitions: tolerated is the largest k with k < 2t - n and k <= t - 2."""
    text = (ROOT / "docs" / "threat-model.md").read_text()
    rows = [
        tuple(map(int, row)) for row in re.findall(r"^\| (\d+) \| (\d+) \| (\d+) \| (\d+) \| (\d+) \|$", text, re.M)
    ]
    assert [row[0] for row in rows] == [3, 4, 5, 10, 30, 50]
    for n, threshold, dropouts, accomplices, honest in rows:
        tolerated = max(k for k in range(n) if k < 2 * threshold - n and k <= threshold - 2)
        assert (min_threshold(n), n - threshold, tolerated) == (threshold, dropouts, accomplices)
        assert honest == threshold - accomplices
