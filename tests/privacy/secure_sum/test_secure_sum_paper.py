"""The code that docs/secure-aggregation.md shows is run as it stands there, at three sites."""

import re
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from secure_sum_world import LAYOUT, MODEL, limits_for_tests, make_terms, make_world

from ecg_flare.privacy.secure_sum.client import SecureSumClient
from ecg_flare.privacy.secure_sum.encoding import FixedPoint
from ecg_flare.privacy.secure_sum.memory import FileRoundMemory
from ecg_flare.privacy.secure_sum.recovered_sums import FileModelMemory
from ecg_flare.privacy.secure_sum.server import SecureSumServer

PAPER = Path(__file__).resolve().parents[3] / "docs" / "secure-aggregation.md"
SHOWN_SITE = "hospital-a"


def shown_steps() -> Iterator[tuple[bool, str]]:
    """The lines of the paper's code in groups: whether every site does them, and their text."""
    (code,) = re.findall(r"```python\n(.*?)```", PAPER.read_text(), flags=re.DOTALL)
    for each_site, lines in groupby(
        (line for line in code.splitlines() if line),
        key=lambda line: SHOWN_SITE in line or "encode(" in line,
    ):
        yield each_site, "\n".join(lines)


def test_the_code_of_the_paper_gives_the_mean(tmp_path: Path) -> None:
    names = (SHOWN_SITE, "hospital-b", "hospital-c")
    world = make_world(len(names))
    for site, name in zip(world.sites, names, strict=True):
        site.name = name
    fixed_point = FixedPoint.derive(clipping_norm=1.0, weights=(1.0,) * len(names), dimension=4)
    terms = make_terms(world.sites, dimension=4, scale=fixed_point.scale)
    updates = {
        name: np.random.default_rng(index).normal(0, 0.1, 4).astype(np.float32) for index, name in enumerate(names)
    }
    shared: dict[str, Any] = {
        "SecureSumServer": SecureSumServer,
        "SecureSumClient": SecureSumClient,
        "FileRoundMemory": FileRoundMemory,
        "FileModelMemory": FileModelMemory,
        "fixed_point": fixed_point,
        "terms": terms,
        "verifier": world.sites[0].verifier,
        "site_limits": limits_for_tests(layout_digest=LAYOUT),
        "model_sha256": MODEL,
        "weight": 1.0,
        "denominator": len(names),
    }
    own = {
        site.name: {"update": updates[site.name], "signer": site.signer, "path": tmp_path / site.name}
        for site in world.sites
    }
    for each_site, text in shown_steps():
        if not each_site:
            exec(text, shared)
            continue
        for name in names:
            scope = {**shared, **own[name]}
            exec(text.replace(SHOWN_SITE, name), scope)
            own[name] = {key: value for key, value in scope.items() if key not in shared}
    expected = np.mean(list(updates.values()), axis=0)
    np.testing.assert_allclose(shared["mean"], expected, atol=2 / fixed_point.scale)
