"""Of each model one sum: the rule, its memory, and every strategy of a server against small cohorts."""

from __future__ import annotations

import itertools
import json
import multiprocessing
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from secure_sum_attacks import recover_list
from secure_sum_world import World, make_terms, make_world

from ecg_flare.errors import PolicyError, StorageError
from ecg_flare.privacy.secure_sum import recovered_sums
from ecg_flare.privacy.secure_sum.context import Member, min_threshold
from ecg_flare.privacy.secure_sum.recovered_sums import (
    MAX_RECOVERIES,
    FileModelMemory,
    HiddenSum,
    OncePerModel,
    VolatileModelMemory,
    check_job,
    check_may_recover,
    note_update,
    record_recovery,
)
from ecg_flare.privacy.secure_sum.signing import fingerprint

MODEL = bytes(32)


def over(sites: Sequence[int] | str, job: str = "job", *, noised: bool = False, norm: float = 1.0) -> HiddenSum:
    members = tuple(Member(f"site-{site}", fingerprint(str(site).encode())) for site in sites)
    return HiddenSum(job, members, norm, noised)


# ── the rule ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("other", [over("abd"), over("abcd"), over("ab"), over("abc", norm=0.5)])
def test_a_model_is_recovered_over_one_set_of_sites(other: HiddenSum) -> None:
    memory = VolatileModelMemory()
    record_recovery(memory, MODEL, over("abc"), "none")
    check_may_recover(memory, MODEL, over("abc"), "none")  # lost at the server, and asked for again
    for refuse in (check_may_recover, record_recovery):
        with pytest.raises(PolicyError, match="one sum a model"):
            refuse(memory, MODEL, other, "none")
    record_recovery(memory, bytes([1]) * 32, other, "none")


def test_another_site_under_the_same_name_is_another_set() -> None:
    memory = VolatileModelMemory()
    record_recovery(memory, MODEL, over("abc"), "none")
    forged = HiddenSum("job", (*over("ab").sites, Member("site-c", bytes(32))), 1.0, False)
    with pytest.raises(PolicyError, match="one sum a model"):
        check_may_recover(memory, MODEL, forged, "none")


def test_a_lost_sum_is_recovered_again_a_few_times() -> None:
    memory = VolatileModelMemory()
    for _ in range(MAX_RECOVERIES):
        record_recovery(memory, MODEL, over("abc"), "none")
    with pytest.raises(PolicyError, match="max_recoveries=3"):
        record_recovery(memory, MODEL, over("abc"), "none")


@pytest.mark.parametrize(
    ("once", "earlier_noised", "noised", "refused"),
    [
        ("unnoised", False, False, True),
        ("unnoised", True, False, True),
        ("unnoised", False, True, True),
        ("unnoised", True, True, False),
        ("all", True, True, True),
        ("none", False, False, False),
    ],
)
def test_what_another_job_may_recover_from_the_same_model(
    once: OncePerModel, earlier_noised: bool, noised: bool, refused: bool
) -> None:
    memory, later = VolatileModelMemory(), over("abc", "another", noised=noised)
    record_recovery(memory, MODEL, over("abc", noised=earlier_noised), once)
    check_job(memory, MODEL, "job", noised=earlier_noised, once=once)
    uses = (
        lambda: check_job(memory, MODEL, "another", noised=noised, once=once),
        lambda: check_may_recover(memory, MODEL, later, once),
        lambda: record_recovery(memory, MODEL, later, once),
    )
    for use in uses:
        if not refused:
            use()
            continue
        with pytest.raises(PolicyError, match=f"once_per_model='{once}'"):
            use()


def test_an_update_that_was_never_recovered_binds_nobody() -> None:
    memory = VolatileModelMemory()
    assert memory.load(MODEL) is None
    note_update(memory, MODEL)
    assert memory.load(MODEL) == {}
    record_recovery(memory, MODEL, over("abc", "another"), "all")


# ── the memory ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_what_was_recovered_survives_a_restart_and_is_private(tmp_path: Path) -> None:
    folder = tmp_path / "models"
    record_recovery(FileModelMemory(folder), MODEL, over("abc", norm=2), "all")
    record_recovery(FileModelMemory(folder), MODEL, over("abc", norm=2), "all")
    note_update(FileModelMemory(folder), MODEL)
    again = FileModelMemory(folder)
    assert again.load(MODEL) == {over("abc", norm=2.0): 2}
    assert again.load(bytes([1]) * 32) is None
    (file,) = folder.iterdir()
    assert (file.name, stat.S_IMODE(file.stat().st_mode)) == (f"{'00' * 32}.json", 0o600)


ENTRY = {"job": "j", "sites": {"a": "00"}, "clipping_norm": 1.0, "noised": False, "openings": 1}
BROKEN = [{"job": 1}, {"sites": ["a"]}, {"sites": {"a": "x"}}, {"clipping_norm": "1"}, {"noised": 1}, {"openings": []}]


@pytest.mark.parametrize("text", ["", "job-1", "{}x", "[3]", *(json.dumps([{**ENTRY, **one}]) for one in BROKEN)])
def test_a_broken_file_stops_the_site(tmp_path: Path, text: str) -> None:
    (tmp_path / f"{MODEL.hex()}.json").write_text(text)
    memory = FileModelMemory(tmp_path)
    for use in (lambda: memory.load(MODEL), lambda: record_recovery(memory, MODEL, over("abc"), "none")):
        with pytest.raises(StorageError, match="restore it from a backup"):
            use()


def test_an_unwritable_place_stops_the_site(tmp_path: Path) -> None:
    (tmp_path / "models").write_text("no folder")
    memory = FileModelMemory(tmp_path / "models")
    for use in (memory.load, lambda model: note_update(memory, model)):
        with pytest.raises(StorageError):
            use(MODEL)


def _recover(folder: Path, sites: str, recovered: multiprocessing.Queue[str]) -> None:
    try:
        record_recovery(FileModelMemory(folder), MODEL, over(sites), "none")
        recovered.put(sites)
    except PolicyError:
        recovered.put("")


def test_of_deployments_at_once_one_recovers_its_sum(tmp_path: Path) -> None:
    recovered: multiprocessing.Queue[str] = multiprocessing.Queue()
    lists = ["abcd", "bcd", "abd", "acd"] * 3
    processes = [multiprocessing.Process(target=_recover, args=(tmp_path / "models", one, recovered)) for one in lists]
    for process in processes:
        process.start()
    done = {recovered.get(timeout=60) for _ in processes} - {""}
    for process in processes:
        process.join()
    assert len(done) == 1


# ── a server that chooses who is dropped, and when ──────────────────────────────────────────────────────────────────


def shows_a_site(sums: Sequence[frozenset[int]], honest: Sequence[int]) -> bool:
    """Whether some combination of the sums, less what accomplices know, is a single honest site's update."""
    if not sums:
        return False
    rows = np.array([[float(site in one) for site in honest] for one in sums])
    onto_combinations = np.linalg.pinv(rows) @ rows
    return bool((np.diag(onto_combinations) > 1 - 1e-9).any())


def subsets(of: Sequence[int], least: int = 0) -> Iterator[frozenset[int]]:
    for size in range(least, len(of) + 1):
        yield from map(frozenset, itertools.combinations(of, size))


def reachable(n: int, accomplices: int, attempts: int) -> set[frozenset[frozenset[int]]]:
    """Every family of recovered sums to which a server and its accomplices can bring n sites by their own rule.

    In each attempt it chooses the survivors and whom of them it asks for shares; the honest sites answer by
    `record_recovery`. The last `accomplices` sites give it every share.
    """
    threshold, sites = min_threshold(n), range(1, n + 1)
    honest = sites[: n - accomplices]
    Bound = tuple[frozenset[int] | None, ...]
    states: set[tuple[Bound, frozenset[frozenset[int]]]] = {((None,) * len(honest), frozenset())}

    def agrees(bound: frozenset[int] | None, survivors: frozenset[int]) -> bool:
        memory = VolatileModelMemory()
        if bound is not None:
            record_recovery(memory, MODEL, over(sorted(bound)), "none")
        try:
            record_recovery(memory, MODEL, over(sorted(survivors)), "none")
        except PolicyError:
            return False
        return True

    choices = [(survivors, asked) for survivors in subsets(sites, threshold) for asked in subsets(sorted(survivors))]
    answers = {
        (bound, survivors): agrees(bound, survivors)
        for bound in (None, *subsets(sites, threshold))
        for survivors in subsets(sites, threshold)
    }
    for _ in range(attempts):
        following = set(states)
        for (bound, recovered), (survivors, asked) in itertools.product(states, choices):
            released = [site for site in honest if site in asked and answers[bound[site - 1], survivors]]
            after = tuple(survivors if site in released else bound[site - 1] for site in honest)
            is_recovered = len(released) + accomplices >= threshold
            following.add((after, recovered | {survivors} if is_recovered else recovered))
        states = following
    return {recovered for _, recovered in states}


TOLERATED = [(n, k) for n in (3, 4, 5) for k in range(n) if k < 2 * min_threshold(n) - n and k <= min_threshold(n) - 2]


@pytest.mark.parametrize(("n", "accomplices"), TOLERATED)
@pytest.mark.parametrize("attempts", [2, 3])
def test_no_strategy_over_attempts_of_a_round_shows_a_site(n: int, accomplices: int, attempts: int) -> None:
    families = reachable(n, accomplices, attempts)
    assert max(map(len, families)) == 1  # and that is why
    assert not any(shows_a_site(sorted(family, key=sorted), range(1, n - accomplices + 1)) for family in families)


@pytest.mark.parametrize("n", [4, 5])
def test_without_the_rule_two_attempts_show_a_site(n: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recovered_sums, "check_same_sites", lambda *_: None)
    assert any(shows_a_site(sorted(family, key=sorted), range(1, n + 1)) for family in reachable(n, 0, 2))


def random_family(rng: np.random.Generator) -> tuple[set[frozenset[int]], list[int]]:
    """The sums that some attempts of jobs with rosters and thresholds of their own recover, and the honest sites."""
    everyone = range(1, int(rng.integers(3, 13)) + 1)
    accomplices = set(rng.choice(everyone, size=int(rng.integers(0, 3)), replace=False).tolist())
    memories = {site: VolatileModelMemory() for site in everyone}

    def some(of: Sequence[int], least: int) -> list[int]:
        return sorted(rng.choice(of, size=int(rng.integers(least, len(of) + 1)), replace=False).tolist())

    recovered = set()
    for number in range(6):
        size = int(rng.integers(3, min(len(everyone), 7) + 1))
        roster = sorted(rng.choice(everyone, size=size, replace=False).tolist())
        threshold = int(rng.integers(min_threshold(len(roster)), len(roster) + 1))
        known, survivors = len(accomplices & set(roster)), some(roster, threshold)
        if known >= 2 * threshold - len(roster) or known > threshold - 2:
            continue  # beyond the bounds of the threat model
        released = known
        for site in rng.permutation(sorted(set(survivors) - accomplices)):
            if released >= threshold:
                break  # to ask more of them would only bind them
            try:
                record_recovery(memories[int(site)], MODEL, over(survivors, str(number)), "all")
            except PolicyError:
                continue
            released += 1
        if released >= threshold:
            recovered.add(frozenset(survivors))
    return recovered, sorted(set(everyone) - accomplices)


def test_no_combination_over_jobs_of_different_rosters_and_thresholds_shows_a_site() -> None:
    rng = np.random.default_rng(0)
    families = [random_family(rng) for _ in range(1000)]
    assert {len(recovered) for recovered, _ in families} >= {0, 1, 2, 3}
    assert not any(shows_a_site(sorted(recovered, key=sorted), honest) for recovered, honest in families)


def test_without_the_rule_jobs_of_different_rosters_show_a_site(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recovered_sums, "check_other_jobs", lambda *_, **__: None)
    rng = np.random.default_rng(0)
    families = [random_family(rng) for _ in range(300)]
    assert any(shows_a_site(sorted(recovered, key=sorted), honest) for recovered, honest in families)


# ── the same with the real protocol ─────────────────────────────────────────────────────────────────────────────────


def attempt(world: World, number: int, survivors: Sequence[int], asked: Sequence[int]) -> np.ndarray | None:
    """One attempt at the round with all its steps; None where it recovers nothing."""
    terms = make_terms(world.sites, 4, attempt=number)
    return recover_list(World(terms, world.sites), survivors, asked)


def test_a_round_that_was_never_recovered_is_run_again_over_other_sites() -> None:
    """The server fell after all had sent their masked updates, and after one had released its shares."""
    world = make_world(5)
    assert attempt(world, 0, (1, 2, 3, 4, 5), ()) is None
    assert attempt(world, 1, (1, 2, 3, 4, 5), (1,)) is None
    total = attempt(world, 2, (2, 3, 4, 5), (2, 3, 4, 5))
    assert total is not None
    assert np.array_equal(total, world.plain_sum([2, 3, 4, 5]))


def test_a_sum_that_the_server_lost_is_recovered_again_over_the_same_sites_alone() -> None:
    world = make_world(4)
    first = attempt(world, 0, (1, 2, 3, 4), (1, 2, 3, 4))
    assert attempt(world, 1, (2, 3, 4), (2, 3, 4)) is None
    again = attempt(world, 2, (1, 2, 3, 4), (1, 2, 3, 4))
    assert first is not None
    assert again is not None
    assert np.array_equal(first, again)


@given(
    strategy=st.lists(
        st.tuples(
            st.frozensets(st.integers(1, 4), min_size=3),  # survivors
            st.frozensets(st.integers(1, 4)),  # whom of them the server asks for shares
        ),
        min_size=2,
        max_size=3,
    )
)
@settings(max_examples=30, deadline=None)
def test_whatever_a_server_asks_for_one_set_of_four_sites_is_recovered(
    strategy: list[tuple[frozenset[int], frozenset[int]]],
) -> None:
    world = make_world(4)
    recovered = set()
    for number, (survivors, asked) in enumerate(strategy):
        total = attempt(world, number, sorted(survivors), sorted(survivors & asked))
        if total is not None:
            assert np.array_equal(total, world.plain_sum(sorted(survivors)))
            recovered.add(survivors)
    assert len(recovered) <= 1
