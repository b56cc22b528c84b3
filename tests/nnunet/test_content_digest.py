"""The digest of prepared pages follows their pixels, and nothing else."""

from dataclasses import replace
from pathlib import Path

import pytest

from ecg_flare.nnunet.content import content_digest
from ecg_flare.nnunet.dataset import prepare
from ecg_flare.nnunet.kinds import plan_preset
from ecg_flare.nnunet.settings import TO_EVALUATE
from ecg_flare.task.traces.sources import SyntheticPages

PAGES = SyntheticPages({"public": "public", "other": "public"}, pages_per_site=1, seed=3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def digest(folder: Path, source: SyntheticPages = PAGES) -> str:
    return content_digest(prepare(source, "public", plan_preset("tiny"), folder, TO_EVALUATE, log=lambda _: None))


def test_equal_pages_have_one_digest_wherever_they_lie(folder: Path, tmp_path: Path) -> None:
    assert digest(folder) == digest(tmp_path)


def test_other_pages_have_another(folder: Path) -> None:
    assert digest(folder) != digest(folder, replace(PAGES, seed=4))
