"""The price of a ledger by opacus, and what is said where the two disagree."""

from dataclasses import replace

import pytest

from ecg_flare.errors import LedgerError
from ecg_flare.privacy.accountant import spent
from ecg_flare.privacy.events import GaussianEvent
from ecg_flare.privacy.second_accountant import check_second_opinion, spent_by_opacus

EVENTS = [GaussianEvent(0.8, 0.5, 3), GaussianEvent(2.0, 1.0, 2)]


def test_both_accountants_agree_on_sampled_and_whole_releases_together() -> None:
    other = spent_by_opacus(EVENTS, 1e-4)
    ours = spent(EVENTS, 1e-4)
    assert ours.epsilon_rdp == pytest.approx(other.epsilon_rdp, rel=1e-9)
    assert other.epsilon_prv is not None
    assert other.epsilon_prv < other.epsilon_rdp
    check_second_opinion(ours, other)


def test_nothing_released_costs_nothing() -> None:
    assert spent_by_opacus([], 1e-5) == spent([], 1e-5)


@pytest.mark.parametrize("field", ["epsilon_rdp", "epsilon_prv"])
def test_a_figure_that_is_five_percent_off_is_named(field: str) -> None:
    ours = spent(EVENTS, 1e-4)
    wrong = replace(ours, **{field: 1.05 * getattr(ours, field)})
    with pytest.raises(LedgerError, match=f"epsilon by {field[-3:].upper()} is .* by opacus"):
        check_second_opinion(ours, wrong)


def test_a_tight_figure_that_one_of_them_lacks_is_not_compared() -> None:
    ours = spent(EVENTS, 1e-4)
    check_second_opinion(ours, replace(ours, epsilon_prv=None))
