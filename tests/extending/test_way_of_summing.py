"""A way of summing of one's own: each party knows it where its owner listed it, and the sites are asked in turn."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from extending_recipes import Recipe
from flare_loader import Party

from ecg_flare.extensions import load_extensions
from ecg_flare.federated import summation as summations
from ecg_flare.flare.job.extensions import LoadExtensions

HEADING = "A way of summing"


@pytest.fixture(autouse=True)
def forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(summations, "_registered", {})


@pytest.mark.parametrize("side", ["client", "server"])
def test_each_party_that_lists_it_takes_the_job(
    recipe: Callable[[str], Recipe], kits: Callable[..., Path], side: str
) -> None:
    own = recipe(HEADING)
    own.write()
    own.run()
    config = config_of(own, side)
    listed = kits(yaml.safe_load(own.text("builders.yml")), names=False)
    terms = Party(listed, side, own.folder / "app", [LoadExtensions()]).load(config).components["terms"]
    assert terms.summation == "one_by_one"


@pytest.mark.parametrize("side", ["client", "server"])
def test_a_party_that_lists_nothing_refuses_the_job(
    recipe: Callable[[str], Recipe], kits: Callable[..., Path], side: str
) -> None:
    own = recipe(HEADING)
    own.write()
    own.run()
    config = config_of(own, side)
    with pytest.raises(Exception, match="summation is 'one_by_one', expected one of"):
        Party(kits(names=False), side, own.folder / "app", [LoadExtensions()]).load(config)


def test_a_site_is_asked_when_the_one_before_it_has_answered(recipe: Callable[[str], Recipe]) -> None:
    recipe(HEADING).write()
    load_extensions(["hospital_sum", "hospital_sum_server"], "the test")
    import hospital_sum_server  # type: ignore[import-not-found]

    asked: list[tuple[list[str], int]] = []

    def ask(task: str, messages: Any, receive: Any, *, enough: int, grace_s: float | None = None) -> tuple[str, ...]:
        asked.append((list(messages), enough))
        for site in messages:
            receive(site, f"{task} of {site}")
        return tuple(site for site in messages if site != "lyon")

    received: list[tuple[str, str]] = []
    messages = dict.fromkeys(("berlin", "lyon", "porto"), "model")
    in_turn = hospital_sum_server.one_by_one(ask)
    answered = in_turn("train", messages, lambda site, answer: received.append((site, answer)), enough=2)
    assert answered == ("berlin", "porto")
    assert asked == [(["berlin"], 1), (["lyon"], 1), (["porto"], 1)]
    assert [site for site, _ in received] == ["berlin", "lyon", "porto"]
    assert summations.summation("one_by_one").collection == "hospital_sum_server.OneByOne"


def config_of(own: Recipe, side: str) -> dict[str, Any]:
    file = own.folder / "jobs" / "fedavg_one_by_one" / "app" / "config" / f"config_fed_{side}.json"
    config: dict[str, Any] = json.loads(file.read_text())
    return config
