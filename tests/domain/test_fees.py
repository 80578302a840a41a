"""Fees: rounded toward plus infinity, for rebates too (3.9); what orders set aside (3.2)."""

from fractions import Fraction

import pytest
from hypothesis import strategies as st

from crossbook.domain.fees import LiquidityRole, fee_reserve_units, fee_units, order_rates, rate_of, reserve_rate
from tests.domain.cases import ceil_of, holds_for, perp, ppm, usdc

VECTORS = [
    (1, 500, 1),
    (2_000, 500, 1),
    (2_001, 500, 2),
    (81_250_000_000, 500, 40_625_000),
    (81_250_000_000, 200, 16_250_000),
    (2_001, -500, -1),
    (1_999, -500, 0),
    (4_000, -500, -2),
    (-2_001, 500, 2),
    (-2_001, -500, -1),
    (10**12, 0, 0),
]


@pytest.mark.parametrize(("notional", "rate", "fee"), VECTORS)
def test_a_fee_is_rounded_up_and_a_rebate_down_in_magnitude(notional: int, rate: int, fee: int) -> None:
    assert fee_units(notional, rate) == fee


def test_the_seed_order_reserves_its_takers_fee_or_posting_only_its_makers() -> None:
    notional = perp("0.1", "0.001").notional_units(650_000, 1_250)
    assert fee_reserve_units(notional, 200, 500, post_only=False) == usdc("40.625")
    assert fee_reserve_units(notional, 200, 500, post_only=True) == usdc("16.25")


def test_a_rebate_is_not_set_aside() -> None:
    assert reserve_rate(-200, 500, post_only=True) == 0
    assert reserve_rate(-200, 500, post_only=False) == 500


def test_the_numbers_of_roles_are_for_ever() -> None:
    assert [(role.name, role.value) for role in LiquidityRole] == [("MAKER", 1), ("TAKER", 2)]


def test_the_role_decides_the_rate() -> None:
    assert rate_of(LiquidityRole.MAKER, -200, 500) == -200
    assert rate_of(LiquidityRole.TAKER, -200, 500) == 500


@holds_for(2000, notional=st.integers(-(10**18), 10**18), rate=ppm(-1_000_000), more=st.integers(0, 10**9))
def test_a_fee_is_the_exact_one_rounded_up(notional: int, rate: int, more: int) -> None:
    exact = abs(notional) * Fraction(rate, 10**6)
    assert fee_units(notional, rate) == ceil_of(exact)
    assert 0 <= fee_units(notional, rate) - exact < 1
    # A trade never costs the fee account anything while the taker pays at least the rebate.
    assert fee_units(notional, abs(rate)) + fee_units(notional, -abs(rate)) in (0, 1)
    assert fee_units(abs(notional) + more, abs(rate)) >= fee_units(notional, abs(rate))


@pytest.mark.parametrize(
    ("maker", "taker", "received", "rates"),
    [
        (200, 500, False, (200, 500)),
        (600, 500, False, (500, 500)),  # a maker never pays more than was set aside
        (-200, 500, False, (-200, 500)),
        (-200, 500, True, (0, 500)),  # and gets no rebate of a fee that was paid in another asset
        (200, 0, True, (0, 0)),
    ],
)
def test_rates_that_were_set_apart_fit_together(maker: int, taker: int, received: bool, rates: tuple[int, int]) -> None:
    assert order_rates(maker, taker, received) == rates
