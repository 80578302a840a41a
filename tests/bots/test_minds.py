"""What bots decide: the same for the same seed, and never more than they may."""

import itertools

import pytest

from crossbook.bots.market_maker import LEVELS, MakerDecision, MarketMaker
from crossbook.bots.noise_trader import LONGEST_PAUSE, NoiseTrader, Take
from crossbook.bots.walk import Walk
from crossbook.domain.orders import Side
from crossbook.system import random_for

HOME = 650_000
UNIT = 50
MOST = 5_000


def walk(seed: int, start: int = HOME) -> Walk:
    return Walk(random_for(seed, "walk"), HOME, start)


def maker(seed: int) -> MarketMaker:
    return MarketMaker(walk(seed), UNIT, MOST)


def noise(seed: int) -> NoiseTrader:
    return NoiseTrader(random_for(seed, "noise"), 10, MOST)


def decisions(seed: int, count: int) -> list[MakerDecision | Take]:
    """The first decisions of a market maker and a noise trader of this seed."""
    quoting, taking = maker(seed), noise(seed)
    found: list[MakerDecision | Take] = []
    while len(found) < count:
        decision = quoting.decide(0)
        found.append(decision)
        take = taking.decide(decision.price_ticks, 0)
        if take is not None:
            found.append(take)
    return found[:count]


def test_the_same_seed_decides_the_same() -> None:
    assert decisions(7, 50) == decisions(7, 50)


def test_another_seed_decides_something_else() -> None:
    assert decisions(7, 50) != decisions(8, 50)


@pytest.mark.parametrize("start", [1, HOME // 2, HOME, 2 * HOME, 100 * HOME])
def test_the_walk_stays_around_its_home(start: int) -> None:
    steps = walk(3, start)
    prices = [steps.step() for _ in range(20_000)]
    assert all(HOME // 2 <= price <= 2 * HOME for price in prices)
    assert len(set(prices)) > 100
    assert abs(prices[-1] - HOME) < HOME // 20  # pulled back from wherever it began


def test_a_walk_of_small_prices_moves_too() -> None:
    steps = Walk(random_for(1, "small"), 3, 3)
    assert {steps.step() for _ in range(200)} == {1, 2, 3, 4, 5, 6}


def test_a_walk_needs_positive_prices() -> None:
    with pytest.raises(ValueError, match="positive"):
        Walk(random_for(1, "walk"), 0, 1)


def test_quotes_never_cross_each_other() -> None:
    quoting = maker(5)
    for _ in range(2_000):
        quotes = quoting.decide(0).quotes or ()
        bids = [quote.price_ticks for quote in quotes if quote.side is Side.BUY]
        asks = [quote.price_ticks for quote in quotes if quote.side is Side.SELL]
        if quotes:
            assert max(bids) < min(asks)
            assert len(bids) == len(asks) == LEVELS
            assert len(set(bids)) == len(set(asks)) == LEVELS


def test_the_maker_leaves_quotes_that_are_good() -> None:
    quoting = maker(5)
    given = [quoting.decide(0).quotes for _ in range(400)]
    assert given[0] is not None
    kept = sum(quotes is None for quotes in given)
    assert 200 < kept < 399


@pytest.mark.parametrize(("position", "side"), [(MOST, Side.SELL), (-MOST, Side.BUY), (3 * MOST, Side.SELL)])
def test_a_maker_with_its_largest_position_quotes_one_side(position: int, side: Side) -> None:
    quotes = maker(5).decide(position).quotes
    assert quotes
    assert {quote.side for quote in quotes} == {side}


def test_a_maker_whose_quotes_failed_quotes_at_the_next_step() -> None:
    quoting = maker(5)
    quoting.decide(0)
    while quoting.decide(0).quotes is not None:
        pass
    quoting.forget_quotes()
    assert quoting.decide(0).quotes is not None


def test_the_noise_trader_trades_at_once_and_then_now_and_then() -> None:
    taking = noise(9)
    steps = [taking.decide(HOME, 0) is not None for _ in range(1_000)]
    assert steps[0]
    pauses = [len(list(group)) for trades, group in itertools.groupby(steps) if not trades]
    assert max(pauses) <= LONGEST_PAUSE
    assert 50 < sum(steps) < 500


@pytest.mark.parametrize(("position", "side"), [(MOST, Side.SELL), (-MOST, Side.BUY)])
def test_a_noise_trader_with_its_largest_position_makes_it_smaller(position: int, side: Side) -> None:
    taking = noise(9)
    takes = [take for _ in range(300) if (take := taking.decide(HOME, position)) is not None]
    assert {take.side for take in takes} == {side}
    assert all(1 <= take.quantity_lots <= 10 for take in takes)


def test_a_large_position_does_not_change_the_choices_after_it() -> None:
    free, bound = noise(9), noise(9)
    for step in range(300):
        first, second = free.decide(HOME, 0), bound.decide(HOME, MOST)
        assert (first is None) == (second is None), step
        if first is not None and second is not None:
            assert first.quantity_lots == second.quantity_lots


def test_the_protection_is_on_the_right_side_of_the_price() -> None:
    taking = noise(9)
    for _ in range(300):
        take = taking.decide(HOME, 0)
        if take is not None:
            assert (take.price_ticks > HOME) == (take.side is Side.BUY)
