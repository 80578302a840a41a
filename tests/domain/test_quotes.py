"""Quotes: the golden vectors of 3.12, and a walk lot by lot as the model."""

from fractions import Fraction

import pytest
from hypothesis import strategies as st

from crossbook.domain.instruments import btc_perp
from crossbook.domain.money import InvalidValue
from crossbook.domain.orders import Side
from crossbook.domain.quotes import Level, Quote, protection_price_ticks, quote_amount, quote_base
from tests.domain.cases import holds_for, perp, usdc

MARKET = btc_perp()
ASKS = tuple(
    (MARKET.price_ticks(price), MARKET.quantity_lots(size))
    for price, size in (("100", "2"), ("100.5", "3"), ("101", "5"))
)


def lots(text: str) -> int:
    return MARKET.quantity_lots(text)


def test_base_basis() -> None:
    quote = quote_base(MARKET, ASKS, lots("4"))
    assert quote == Quote(lots("4"), usdc("401"), 1005, 0, 0, False)
    assert quote.vwap_text(MARKET, 6) == "100.25"


def test_base_basis_beyond_the_depth() -> None:
    assert quote_base(MARKET, ASKS, lots("12")) == Quote(lots("10"), usdc("1006.5"), 1010, lots("2"), 0, True)


def test_quote_basis() -> None:
    quote = quote_amount(MARKET, ASKS, usdc("400"))
    assert quote == Quote(lots("3.990"), usdc("399.995"), 1005, 0, usdc("0.005"), False)
    assert quote.vwap_text(MARKET, 6) == "100.249373"
    assert quote.vwap_ticks(MARKET) == Fraction(399_995, 3_990) * 10


def test_quote_basis_beyond_the_depth() -> None:
    assert quote_amount(MARKET, ASKS, usdc("2000")) == Quote(lots("10"), usdc("1006.5"), 1010, 0, usdc("993.5"), True)
    assert quote_amount(MARKET, ASKS, usdc("1006.5")) == Quote(lots("10"), usdc("1006.5"), 1010, 0, 0, False)


def test_an_empty_book_has_no_price() -> None:
    for quote in (quote_base(MARKET, (), 5), quote_amount(MARKET, (), 5)):
        assert (quote.filled_lots, quote.cost_units, quote.worst_price_ticks, quote.is_partial) == (0, 0, 0, True)
        assert quote.vwap_text(MARKET, 6) is None
        assert quote.vwap_ticks(MARKET) is None


def test_an_amount_below_one_lot_fills_nothing_and_is_not_short_of_depth() -> None:
    assert quote_amount(MARKET, ASKS, usdc("0.05")) == Quote(0, 0, 0, 0, usdc("0.05"), False)


@pytest.mark.parametrize("amount", [0, -1])
def test_a_quote_is_for_something(amount: int) -> None:
    for ask in (quote_base, quote_amount):
        with pytest.raises(InvalidValue):
            ask(MARKET, ASKS, amount)


PROTECTION = [
    (Side.BUY, 1000, 1000, 500, 1050),
    (Side.BUY, 1100, 1000, 500, 1100),
    (Side.BUY, 1000, 1001, 500, 1051),
    (Side.SELL, 1000, 1000, 500, 950),
    (Side.SELL, 900, 1000, 500, 900),
    (Side.SELL, 1000, 1001, 500, 951),
    (Side.SELL, 1, 1, 10_000, 1),
]


@pytest.mark.parametrize(("side", "worst", "mark", "part", "limit"), PROTECTION)
def test_the_limit_of_a_market_order(side: Side, worst: int, mark: int, part: int, limit: int) -> None:
    assert protection_price_ticks(side, worst, mark, part) == limit


books = st.lists(st.tuples(st.integers(1, 1000), st.integers(1, 20)), max_size=6).map(
    lambda steps: tuple((sum(rise for rise, _ in steps[: at + 1]), size) for at, (_, size) in enumerate(steps))
)


def lot_by_lot(levels: tuple[Level, ...]) -> list[int]:
    return [price for price, size in levels for _ in range(size)]


@holds_for(1000, levels=books, quantity=st.integers(1, 150))
def test_base_basis_takes_the_cheapest_lots(levels: tuple[Level, ...], quantity: int) -> None:
    market = perp()
    taken = lot_by_lot(levels)[:quantity]
    quote = quote_base(market, levels, quantity)
    assert (quote.filled_lots, quote.cost_units) == (len(taken), sum(taken) * 10**6)
    assert quote.missing_lots == quantity - len(taken)
    assert quote.is_partial == (len(taken) < quantity)
    assert quote.worst_price_ticks == (taken[-1] if taken else 0)
    assert quote.vwap_ticks(market) == (Fraction(sum(taken), len(taken)) if taken else None)


@holds_for(1000, levels=books, amount=st.integers(1, 5 * 10**10))
def test_quote_basis_takes_the_cheapest_lots_that_fit(levels: tuple[Level, ...], amount: int) -> None:
    market = perp()
    left, taken = amount, 0
    every = lot_by_lot(levels)
    while taken < len(every) and every[taken] * 10**6 <= left:
        left -= every[taken] * 10**6
        taken += 1
    quote = quote_amount(market, levels, amount)
    assert (quote.filled_lots, quote.unspent_units, quote.cost_units) == (taken, left, amount - left)
    assert quote.is_partial == (taken == len(every) and left > 0)
    assert quote.worst_price_ticks == (every[taken - 1] if taken else 0)
    assert quote.missing_lots == 0
