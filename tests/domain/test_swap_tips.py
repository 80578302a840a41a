"""Tips against the rule as it is written: every own offer, every counter-offer, each counter-offer once."""

from hypothesis import given
from hypothesis import strategies as st

from crossbook.domain.orders import Side
from crossbook.domain.swap_tips import Counters, Own, Tip, reach_of, tips_of
from crossbook.domain.swaps import prices_cross

DECIMALS = 1


def naive(side: Side, own: list[Own], counters: Counters, swapping: set[tuple[int, int]]) -> list[Tip]:
    tips, seen = [], set()
    for mine in own:
        for place, (offer_id, price, free) in enumerate(zip(*counters, strict=True)):
            fits = prices_cross(side, mine.price_units, price)
            if fits and offer_id not in seen and (mine.offer_id, offer_id) not in swapping:
                seen.add(offer_id)
                left = min(mine.free_units, free)
                if left * price >= 10**DECIMALS:
                    tips.append((mine.offer_id, place, left))
    return tips


PRICES = st.integers(1, 9)
AMOUNTS = st.integers(1, 20)


@given(
    side=st.sampled_from(list(Side)),
    own=st.lists(st.tuples(PRICES, AMOUNTS), max_size=8),
    counters=st.lists(st.tuples(PRICES, AMOUNTS), max_size=12),
    swapping=st.sets(st.tuples(st.integers(1, 8), st.integers(101, 112)), max_size=12),
)
def test_tips_are_those_of_the_rule(
    side: Side,
    own: list[tuple[int, int]],
    counters: list[tuple[int, int]],
    swapping: set[tuple[int, int]],
) -> None:
    mine = [Own(number, *each) for number, each in enumerate(own, start=1)]
    ids = range(101, 101 + len(counters))
    theirs = Counters(ids, [price for price, _ in counters], [amount for _, amount in counters])
    assert tips_of(side, mine, theirs, swapping, DECIMALS) == naive(side, mine, theirs, swapping)


def test_the_reach_is_the_best_price() -> None:
    own = [Own(1, 5, 1), Own(2, 7, 1)]
    assert (reach_of(Side.BUY, own), reach_of(Side.SELL, own), reach_of(Side.BUY, [])) == (7, 5, None)
