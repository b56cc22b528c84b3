"""Every attack that we know of fails; `test_guards_mutation` shows that each does so because of its guard."""

from __future__ import annotations

import numpy as np
import pytest
import secure_sum_attacks as attacks
from secure_sum_world import make_world, run_round

from ecg_flare.privacy.secure_sum.context import min_threshold

pytestmark = pytest.mark.usefixtures("every_ring")


def test_overlapping_active_and_dropped_lists_fail() -> None:
    assert not attacks.overlapping_lists()


def test_repeated_survivors_fail() -> None:
    assert not attacks.listed_twice()


def test_second_unmask_request_fails() -> None:
    assert not attacks.second_unmask_request()


def test_two_survivor_lists_fail() -> None:
    assert not attacks.two_survivor_lists()


def test_two_peer_lists_fail() -> None:
    assert not attacks.two_peer_lists()


def test_replayed_round_fails() -> None:
    assert not attacks.replayed_round()


def test_round_run_three_times_fails() -> None:
    assert not attacks.round_run_three_times()


def test_two_jobs_from_one_model_fail() -> None:
    assert not attacks.two_jobs_from_one_model()


def test_recoveries_without_end_fail() -> None:
    assert not attacks.averaged_recoveries()


def test_round_from_two_models_fails() -> None:
    assert not attacks.round_from_two_models()


def test_rolled_back_site_fails() -> None:
    assert not attacks.rolled_back_site()


def test_swapped_keys_fail() -> None:
    assert not attacks.swapped_keys()


def test_altered_sealed_share_fails() -> None:
    assert not attacks.altered_sealed_share()


def test_lowered_threshold_fails() -> None:
    assert not attacks.lowered_threshold()


def test_cohort_of_two_fails() -> None:
    assert not attacks.two_of_two()


def test_altered_model_hash_fails() -> None:
    assert not attacks.altered_model_hash()


def test_another_model_for_the_victim_fails() -> None:
    assert not attacks.another_model_for_the_victim()


def test_forged_certificates_fail() -> None:
    assert not attacks.forged_certificates()


def test_certificates_minted_with_the_ca_fail() -> None:
    assert not attacks.minted_certificates()


def test_throw_away_keys_fail_in_production() -> None:
    assert not attacks.throw_away_keys()


def test_corrupt_seed_share_fails() -> None:
    assert not attacks.corrupt_seed_share()


def test_corrupt_key_share_fails() -> None:
    assert not attacks.corrupt_key_share()


def test_predictable_masks_fail() -> None:
    assert not attacks.predictable_masks()


def test_mask_reuse_fails() -> None:
    assert not attacks.reused_masks()


def test_single_contributor_coordinate_fails() -> None:
    assert not attacks.single_contributor()


def test_different_lengths_fail() -> None:
    assert not attacks.different_lengths()


def test_impostor_fails() -> None:
    assert not attacks.impostor()


def test_higher_clipping_norm_fails() -> None:
    assert not attacks.higher_clipping_norm()


def test_dropped_noise_fails() -> None:
    assert not attacks.dropped_noise()


def test_hidden_weights_unasked_fail() -> None:
    assert not attacks.hidden_weights_unasked()


@pytest.mark.parametrize(("n", "accomplices"), [(n, k) for n in (4, 5, 6, 7) for k in range(n - 1)])
def test_collusion_succeeds_from_2t_minus_n_sites_on(n: int, accomplices: int) -> None:
    """The bound that the threat model states is exact: one accomplice fewer and the sites refuse."""
    assert attacks.colluding(n, accomplices) == (accomplices >= 2 * min_threshold(n) - n)


def test_server_and_all_other_sites_see_the_last_one() -> None:
    """A limit of every sum, stated and not fixed."""
    world = make_world(3)
    assert np.array_equal(run_round(world) - world.plain_sum([2, 3]), world.sites[0].plain)
