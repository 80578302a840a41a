"""Tips against the rule as it is written: every own offer, every counter-offer, each counter-offer once."""

from hypothesis import given
from hypothesis import strategies as st

from crossbook.domain.orders import Side
from crossbook.domain.swap_tips import Counter, Own, Tip, reach_of, tips_of
from crossbook.domain.swaps import prices_cross

DECIMALS = 1


def naive(side: Side, own: list[Own], counters: list[Counter], swapping: set[tuple[int, int]]) -> list[Tip]:
    tips, seen = [], set()
    for mine in own:
        for counter in sorted(counters):
            fits = prices_cross(side, mine.price_units, counter.price_units)
            if fits and counter.offer_id not in seen and (mine.offer_id, counter.offer_id) not in swapping:
                seen.add(counter.offer_id)
                left = min(mine.free_units, counter.free_units)
                if left * counter.price_units >= 10**DECIMALS:
                    tips.append(Tip(mine.offer_id, counter, left))
    return tips


PRICES = st.integers(1, 9)
AMOUNTS = st.integers(1, 20)


@given(
    side=st.sampled_from(list(Side)),
    own=st.lists(st.tuples(PRICES, AMOUNTS), max_size=8),
    counters=st.lists(st.tuples(PRICES, AMOUNTS), max_size=12),
    swapping=st.sets(st.tuples(st.integers(1, 8), st.integers(101, 112)), max_size=12),
    data=st.data(),
)
def test_tips_are_those_of_the_rule(
    side: Side,
    own: list[tuple[int, int]],
    counters: list[tuple[int, int]],
    swapping: set[tuple[int, int]],
    data: st.DataObject,
) -> None:
    mine = [Own(number, *each) for number, each in enumerate(own, start=1)]
    theirs = [Counter(number, *each, number) for number, each in enumerate(counters, start=101)]
    shuffled = data.draw(st.permutations(theirs))
    assert tips_of(side, mine, shuffled, swapping, DECIMALS) == naive(side, mine, theirs, swapping)


def test_the_reach_is_the_best_price() -> None:
    own = [Own(1, 5, 1), Own(2, 7, 1)]
    assert (reach_of(Side.BUY, own), reach_of(Side.SELL, own), reach_of(Side.BUY, [])) == (7, 5, None)
