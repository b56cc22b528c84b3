"""Both figures over a grid of (sigma, q, T), against dp-accounting's loss distributions and a closed form."""

import ast
import itertools
from pathlib import Path

import mpmath
import pytest
from dp_accounting import GaussianDpEvent, PoissonSampledDpEvent, SelfComposedDpEvent
from dp_accounting.pld import PLDAccountant
from dp_accounting.rdp import RdpAccountant

import ecg_flare
from ecg_flare.privacy import accountant
from ecg_flare.privacy.accountant import epsilon_prv, epsilon_rdp
from ecg_flare.privacy.events import GaussianEvent

GRID = list(itertools.product((0.8, 2.0, 8.0), (0.02, 0.2, 1.0), (1, 30)))
DELTA = 1e-4


def oracle_event(sigma: float, q: float, count: int) -> SelfComposedDpEvent:
    gaussian = GaussianDpEvent(sigma)
    return SelfComposedDpEvent(gaussian if q == 1 else PoissonSampledDpEvent(q, gaussian), count)


def closed_form(sigma: float, q: float, count: int, orders: range) -> float:
    """Mironov, Talwar & Zhang 2019, section 3.3, at integer orders; converted by Balle et al. 2020, theorem 21."""
    epsilons = []
    for order in orders:
        terms = (
            mpmath.binomial(order, k) * (1 - mpmath.mpf(q)) ** (order - k) * mpmath.mpf(q) ** k
            * mpmath.exp(mpmath.mpf(k * (k - 1)) / (2 * sigma**2))
            for k in range(order + 1)
        )  # fmt: skip
        divergence = count * mpmath.log(mpmath.fsum(terms)) / (order - 1)
        epsilons.append(divergence + mpmath.log1p(-1 / mpmath.mpf(order)) - mpmath.log(DELTA * order) / (order - 1))
    return max(0.0, float(min(epsilons)))


@pytest.mark.parametrize(("sigma", "q", "count"), GRID)
def test_rdp_is_never_below_and_prv_within_one_percent_of_the_loss_distribution(
    sigma: float, q: float, count: int
) -> None:
    exact = PLDAccountant().compose(oracle_event(sigma, q, count)).get_epsilon(DELTA)
    event = GaussianEvent(sigma, q, count)
    assert epsilon_rdp([event], DELTA) >= exact
    # below an epsilon of 0.02 the grids of losses of both are as coarse as the figure
    assert epsilon_prv([event], DELTA) == pytest.approx(exact, rel=0.01, abs=2e-4)


@pytest.mark.parametrize(("sigma", "q", "count"), GRID)
def test_rdp_is_the_closed_form_at_integer_orders(
    monkeypatch: pytest.MonkeyPatch, sigma: float, q: float, count: int
) -> None:
    orders = range(2, 65)
    monkeypatch.setattr(accountant, "ORDERS", tuple(float(order) for order in orders))
    assert epsilon_rdp([GaussianEvent(sigma, q, count)], DELTA) == pytest.approx(
        closed_form(sigma, q, count, orders), rel=1e-6, abs=1e-9
    )


@pytest.mark.parametrize(("sigma", "q", "count"), GRID)
def test_rdp_is_dp_accountings_own(sigma: float, q: float, count: int) -> None:
    oracle = RdpAccountant(orders=list(accountant.ORDERS)).compose(oracle_event(sigma, q, count)).get_epsilon(DELTA)
    assert epsilon_rdp([GaussianEvent(sigma, q, count)], DELTA) == pytest.approx(oracle, rel=1e-6, abs=1e-9)


@pytest.mark.filterwarnings("ignore")
def test_gaussian_dp_falls_below_the_truth() -> None:
    from opacus.accountants import GaussianAccountant

    approximate = GaussianAccountant()
    approximate.history = [(1.0, 0.01, 1000)]
    truth = PLDAccountant().compose(oracle_event(1.0, 0.01, 1000)).get_epsilon(1e-5)
    assert approximate.get_epsilon(1e-5) < 0.9 * truth
    assert epsilon_rdp([GaussianEvent(1.0, 0.01, 1000)], 1e-5) > truth


def test_gaussian_dp_is_used_nowhere() -> None:
    source = Path(ecg_flare.__file__).parent
    for path in source.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            names = {
                *(alias.name for alias in getattr(node, "names", []) if isinstance(alias, ast.alias)),
                getattr(node, "module", None) or "",
                getattr(node, "id", ""),
                getattr(node, "attr", ""),
            }
            used = {name for name in names if "gdp" in str(name).lower() or name == "GaussianAccountant"}
            assert not used, f"{path}: {used}"
