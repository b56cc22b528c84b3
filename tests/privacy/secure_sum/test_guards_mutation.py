"""Each guard taken away: the attack that it stops succeeds, so the attack's test would fail without it."""

from __future__ import annotations

import inspect
from collections.abc import Callable

import pytest
import secure_sum_attacks as attacks

from ecg_flare.privacy.secure_sum import checks, client, keys, limits, memory, recovered_sums, signing

Removal = tuple[object, str, Callable[..., object]]


def _nothing(*_: object, **__: object) -> None:
    return None


def _true(*_: object) -> bool:
    return True


def _both_kinds(peers: tuple[int, ...], survivors: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    return survivors, peers


def _ten_bits() -> bytearray:
    return bytearray(30) + keys.secrets.randbelow(1 << 10).to_bytes(2, "big")


class _Repeating:
    """The same secrets in every round: the n-th caller gets the n-th, modulo one round's number of them."""

    def __init__(self, a_round: int) -> None:
        self._a_round, self._drawn = a_round, 0

    def __call__(self) -> bytearray:
        self._drawn += 1
        return bytearray(31) + bytes([(self._drawn - 1) % self._a_round + 1])


def _without_context(purpose: bytes, ctx: bytes, first: int, second: int) -> bytes:
    return purpose + bytes([first, second])


def _unauthenticated(private: bytes, public: bytes, ctx: bytes, sender: int, recipient: int, sealed: bytes) -> bytes:
    return bytes(66)


REMOVALS: dict[str, tuple[Removal, ...]] = {
    "overlapping_lists": ((checks, "shares_to_release", _both_kinds),),
    "listed_twice": ((checks, "check_indices", _nothing),),
    "second_unmask_request": (
        (checks, "check_step", _nothing),
        (memory, "check_never_answered", _nothing),
        (recovered_sums, "check_same_sites", _nothing),
        (client.SecureSumClient, "close", _nothing),
    ),
    "two_survivor_lists": ((checks, "check_consents", _nothing),),
    "two_peer_lists": ((checks, "check_consents", _nothing),),
    "replayed_round": ((recovered_sums, "check_same_sites", _nothing),),
    "round_run_three_times": ((recovered_sums, "check_same_sites", _nothing),),
    "two_jobs_from_one_model": ((recovered_sums, "check_other_jobs", _nothing),),
    "averaged_recoveries": ((recovered_sums, "check_recoveries", _nothing), (memory, "check_updates", _nothing)),
    "round_from_two_models": ((memory, "check_never_answered", _nothing),),
    "rolled_back_site": ((memory, "check_never_answered", _nothing),),
    "swapped_keys": ((signing.TestVerifier, "verify", _nothing),),
    "altered_sealed_share": ((keys, "unseal", _unauthenticated),),
    "lowered_threshold": ((limits, "check_threshold", _nothing),),
    "two_of_two": ((limits, "check_cohort", _nothing), (limits, "check_threshold", _nothing)),
    "altered_model_hash": ((limits, "check_model", _nothing),),
    "another_model_for_the_victim": ((checks, "check_trained_from", _nothing),),
    "forged_certificates": ((signing.CertificateVerifier, "check_issued", _nothing),),
    "minted_certificates": ((limits, "check_pins", _nothing),),
    "throw_away_keys": ((limits, "check_signing_mode", _nothing),),
    "corrupt_seed_share": ((checks, "is_seed", _true),),
    "corrupt_key_share": ((checks, "is_mask_key", _true),),
    "predictable_masks": ((keys, "fresh_secret", _ten_bits), (checks, "check_unique_keys", _nothing)),
    "reused_masks": ((keys, "fresh_secret", _Repeating(9)), (keys, "_info", _without_context)),
    "single_contributor": ((limits, "check_weights", _nothing),),
    "different_lengths": ((signing.TestVerifier, "verify", _nothing),),
    "impostor": ((checks, "check_sender", _nothing),),
    "higher_clipping_norm": ((limits, "check_clipping", _nothing),),
    "dropped_noise": ((limits, "check_dp", _nothing),),
    "hidden_weights_unasked": ((limits, "check_weights", _nothing),),
}
LAYERED = [name for name, removals in REMOVALS.items() if len(removals) > 1 and name != "predictable_masks"]


@pytest.mark.parametrize("name", sorted(REMOVALS))
def test_attack_succeeds_without_its_guard(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for target, guard, replacement in REMOVALS[name]:
        monkeypatch.setattr(target, guard, replacement)
    assert getattr(attacks, name)()


@pytest.mark.parametrize("name", LAYERED)
def test_attack_fails_while_one_of_several_guards_stands(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for kept in REMOVALS[name]:
        with monkeypatch.context() as patch:
            for target, guard, replacement in REMOVALS[name]:
                if guard != kept[1]:
                    patch.setattr(target, guard, replacement)
            assert not getattr(attacks, name)(), f"{name} succeeds although {kept[1]} stands"


def test_every_attack_has_a_guard_and_a_test() -> None:
    plays = {
        name
        for name, play in inspect.getmembers(attacks, inspect.isfunction)
        if play.__qualname__ == "refused.<locals>.outcome"
    }
    tested = inspect.getsource(__import__("test_secure_sum_attacks"))
    assert plays == set(REMOVALS)
    assert all(f"not attacks.{name}()" in tested for name in plays)
