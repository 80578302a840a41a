"""What amendments under way may add: enough for whatever happens, and nothing for asking less."""

import itertools

from hypothesis import strategies as st

from crossbook.domain.amendments import Growth, Terms, growth, growth_between, possible_terms
from crossbook.domain.holds import held_for_growth, hold_for_buy, hold_for_sell
from crossbook.domain.orders import Side
from tests.domain.cases import holds_for, spot

ORDER = Terms(10, 100)
totals = st.integers(1, 30)
prices = st.integers(1, 30)
terms = st.builds(Terms, totals, prices)
asked_terms = st.builds(Terms, st.just(0) | totals, st.just(0) | prices)


def test_what_is_not_asked_stays_as_it_is() -> None:
    assert ORDER.amended_by(Terms(12, 0)) == Terms(12, 100)
    assert ORDER.amended_by(Terms(0, 90)) == Terms(10, 90)


def test_more_lots_and_a_higher_price_are_counted() -> None:
    assert growth(ORDER, [], Terms(12, 0), 4) == Growth(2, 200)
    assert growth(ORDER, [], Terms(0, 110), 4) == Growth(0, 60)
    assert growth(ORDER, [], Terms(12, 110), 4) == Growth(2, 8 * 110 - 6 * 100)


def test_less_needs_nothing() -> None:
    assert growth(ORDER, [], Terms(8, 0), 4).is_nothing
    assert growth(ORDER, [], Terms(0, 99), 4).is_nothing
    assert growth(ORDER, [], Terms(3, 0), 4).is_nothing


def test_more_lots_at_a_lower_price_are_needed_once_the_rest_has_traded_at_the_higher_one() -> None:
    # Nothing traded: 20 x 60 replace 10 x 100. All traded: 10 x 60 come on top of nothing.
    assert growth_between(ORDER, Terms(20, 60), 0) == Growth(10, 600)


def test_an_amendment_is_weighed_against_all_that_wait_before_it() -> None:
    # If the order has shrunk to 5 by then, 12 are 7 more; if that was refused, 2 more.
    assert growth(ORDER, [Terms(5, 0)], Terms(12, 0), 0) == Growth(7, 700)
    assert growth(ORDER, [Terms(0, 50)], Terms(0, 100), 0) == Growth(0, 500)
    assert set(possible_terms(ORDER, [Terms(5, 0), Terms(0, 50)])) == {
        Terms(total, price) for total in (10, 5) for price in (100, 50)
    }


def _open(at: Terms, done_lots: int) -> tuple[int, int]:
    lots = max(0, at.total_lots - done_lots)
    return lots, lots * at.price_ticks


@holds_for(400, order=terms, waiting=st.lists(asked_terms, max_size=3), data=st.data())
def test_what_is_set_aside_covers_every_way_things_can_go(
    order: Terms, waiting: list[Terms], data: st.DataObject
) -> None:
    """Each amendment is taken or refused, and any number of lots trade before it, while it is covered step by step."""
    done = data.draw(st.integers(0, order.total_lots - 1))
    aside = [growth(order, waiting[:place], asked, done) for place, asked in enumerate(waiting)]
    for outcome in itertools.product((True, False), repeat=len(waiting)):
        now, traded = order, done
        covered = [_open(order, done)[place] + sum((g.lots, g.tick_lots)[place] for g in aside) for place in (0, 1)]
        for asked, more, taken in zip(waiting, aside, outcome, strict=True):
            fills = data.draw(st.integers(0, max(0, now.total_lots - traded)))
            before = _open(now, traded)
            traded += fills
            if now.total_lots <= traded:
                break  # filled: the order has ended, and nothing comes after it
            covered[0] -= before[0] - _open(now, traded)[0]
            covered[1] -= before[1] - _open(now, traded)[1]
            after = now.amended_by(asked) if taken else now
            if after.total_lots <= traded:
                break
            # What the step needs more is at most what was set aside for it.
            assert _open(after, traded)[0] - _open(now, traded)[0] <= more.lots
            assert _open(after, traded)[1] - _open(now, traded)[1] <= more.tick_lots
            covered[0] -= more.lots - (_open(after, traded)[0] - _open(now, traded)[0])
            covered[1] -= more.tick_lots - (_open(after, traded)[1] - _open(now, traded)[1])
            now = after
            assert covered[0] >= _open(now, traded)[0]
            assert covered[1] >= _open(now, traded)[1]


@holds_for(200, before=terms, after=terms, rate=st.integers(0, 10_000))
def test_a_hold_and_its_growth_cover_the_amended_order(before: Terms, after: Terms, rate: int) -> None:
    market = spot()
    more = growth_between(before, after, 0)
    buy = hold_for_buy(market, before.price_ticks, before.total_lots, rate).held_units
    needed = hold_for_buy(market, after.price_ticks, after.total_lots, rate).held_units
    assert needed <= buy + held_for_growth(market, Side.BUY, more, rate)
    sell = hold_for_sell(market, before.total_lots).held_units
    needed = hold_for_sell(market, after.total_lots).held_units
    assert needed <= sell + held_for_growth(market, Side.SELL, more, rate)
