"""Ways of summing: the package's own by their names, and what a descriptor may not say."""

import importlib
import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest

from ecg_flare.errors import ConfigError
from ecg_flare.federated import summation
from ecg_flare.federated.summation import SUMMATIONS, SiteParts, Summation, SumStep, find, names, register, ways
from ecg_flare.flare.deploy.allowed import SITE_CLASSES

OWN = Summation("tally", "tally", "hospital.sum.Tally", "The server saw all.", 4)


@pytest.fixture(autouse=True)
def nothing_registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(summation, "_registered", {})


def test_the_packages_own_ways_are_found_by_name() -> None:
    assert names() == ("plain", "masked", "encrypted")
    assert [summation.summation(one).name for one in names()] == list(names())
    with pytest.raises(ConfigError, match=r"summation is 'veiled', expected one of 'plain', 'masked', 'encrypted'"):
        summation.summation("veiled")
    assert find("veiled") is None


@pytest.mark.parametrize("name", ["plain", "masked", "encrypted"])
def test_every_class_that_a_descriptor_names_is_there_and_on_the_list(name: str) -> None:
    one = summation.summation(name)
    for path in (one.collection, *one.site.classes):
        module, _, attribute = path.rpartition(".")
        found = getattr(importlib.import_module(module), attribute)
        assert f"{found.__module__}.{found.__qualname__}" == path
    assert set(one.site.classes) <= set(SITE_CLASSES)


def test_looking_a_way_up_loads_nothing_of_flare_and_nothing_heavy() -> None:
    program = (
        "import sys\nfrom ecg_flare.federated.summation import names\nnames()\n"
        "print(*sorted({'nvflare', 'torch', 'tenseal'} & {name.split('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
    assert len(SUMMATIONS) == 3


@pytest.mark.parametrize(
    ("name", "hides", "thresholds"),
    [
        ("plain", (False, False), [1, 1, 1, 1]),
        ("masked", (True, True), [3, 3, 4, 7]),
        ("encrypted", (True, False), [3, 3, 4, 7]),
    ],
)
def test_what_hides_updates_needs_more_than_two_thirds_of_three_sites_or_more(
    name: str, hides: tuple[bool, bool], thresholds: list[int]
) -> None:
    one = summation.summation(name)
    assert (one.hides_updates, one.hides_weights) == hides
    assert one.min_roster == (3 if one.hides_updates else 1)
    assert [one.min_threshold(sites) for sites in (3, 4, 5, 10)] == thresholds
    assert [one.default_threshold(sites) for sites in (3, 4, 5, 10)] == (
        thresholds if one.hides_updates else [2, 3, 4, 7]
    )


@pytest.mark.parametrize(("sites", "threshold", "named"), [(2, 2, "over 2 sites"), (10, 6, "6 of 10 sites")])
def test_a_cohort_that_could_show_one_update_is_refused_where_updates_are_hidden(
    sites: int, threshold: int, named: str
) -> None:
    summation.summation("plain").check_threshold(sites, threshold)
    with pytest.raises(ConfigError, match=named):
        summation.summation("masked").check_threshold(sites, threshold)


def test_noise_goes_on_ciphertexts_before_they_are_decrypted_and_on_other_sums_after() -> None:
    assert [one.name for one in ways() if one.noise_before_recovery] == ["encrypted"]


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"name": "Tally!"}, "'Tally!'"),
        ({"collection": "Tally"}, "the class 'Tally'"),
        ({"site": SiteParts(result_filter="hospital/sum.py")}, "'hospital/sum.py'"),
        ({"hides_updates": True}, "expected a result_filter"),
        ({"hides_weights": True}, "hides weights"),
        ({"narrow_words": True, "noise_before_recovery": True}, "no room for noise in the ring"),
        ({"site": SiteParts(steps=(SumStep("count", "count", "a number"),))}, "expected an executor"),
        ({"site": SiteParts(executor="hospital.sum.Count")}, "expected an executor for its steps, or neither"),
        ({"site": SiteParts(component="hospital.sum.Memory")}, "a component and its id"),
    ],
)
def test_a_descriptor_that_contradicts_itself_is_refused(changes: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        replace(OWN, **changes)


def test_a_name_and_a_task_belong_to_one_way() -> None:
    assert register(OWN) is OWN
    assert register(OWN) is OWN
    assert names() == ("plain", "masked", "encrypted", "tally")
    assert summation.registered() == (OWN,)
    with pytest.raises(ConfigError, match="'tally' already"):
        register(replace(OWN, update_bytes=8))
    with pytest.raises(ConfigError, match="'masked' already"):
        register(replace(OWN, name="masked"))
    for task in ("sum_keys", "train"):
        steps = SiteParts(executor="hospital.sum.Keys", steps=(SumStep(task, "keys", "keys"),))
        with pytest.raises(ConfigError, match=rf"\['{task}'\], which are taken"):
            register(replace(OWN, name="other", site=steps))
