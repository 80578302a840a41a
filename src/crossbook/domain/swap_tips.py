"""Which offers of others a user may swap with: each at most once, for the user's oldest offer that it fits.

Looked up, not multiplied. Going through a user's offers from the oldest, an offer matters only when its price reaches
further than all before it; those make a staircase, and a counter-offer's step is found by halving. So a page costs
the user's offers, and what crosses the best of them, never their product.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from typing import NamedTuple

from crossbook.domain.orders import Side
from crossbook.domain.swap_amounts import total_units
from crossbook.domain.swaps import prices_cross


class Own(NamedTuple):
    """An active offer of the user's with something free."""

    offer_id: int
    price_units: int
    free_units: int


class Counter(NamedTuple):
    """An active offer of somebody else's on the other side, with something free. `place` is the caller's own mark."""

    offer_id: int
    price_units: int
    free_units: int
    place: int


class Tip(NamedTuple):
    """A counter-offer, the user's offer that it fits, and how much the two can swap."""

    own_offer_id: int
    counter: Counter
    left_units: int


def reach_of(side: Side, own: Iterable[Own]) -> int | None:
    """The price beyond which no counter-offer meets any of the user's offers; None without offers."""
    prices = [offer.price_units for offer in own]
    if not prices:
        return None
    return max(prices) if side is Side.BUY else min(prices)


def tips_of(
    side: Side,
    own: Sequence[Own],
    counters: Iterable[Counter],
    swapping: AbstractSet[tuple[int, int]],
    first_decimals: int,
) -> list[Tip]:
    """The tips for the user's offers on one side: by the user's offer, then by the counter-offer, oldest first.

    `own` comes oldest first, `counters` in any order. `swapping` are the pairs (own, counter) that have a pending
    swap: such a counter-offer goes to the next offer that it fits.
    """
    sign = 1 if side is Side.BUY else -1  # a seller's prices are a buyer's, looked at from below
    reaches: list[int] = []
    steps: list[int] = []
    for index, offer in enumerate(own):
        reach = sign * offer.price_units
        if not reaches or reach > reaches[-1]:
            reaches.append(reach)
            steps.append(index)
    found: list[list[Counter]] = [[] for _ in own]
    for counter in counters:
        step = bisect_left(reaches, sign * counter.price_units)
        if step == len(steps):
            continue
        index = steps[step]
        if (own[index].offer_id, counter.offer_id) in swapping:
            index = _next_free(side, own, index + 1, counter, swapping)
        if index < len(own):
            found[index].append(counter)
    tips: list[Tip] = []
    for offer, waiting in zip(own, found, strict=True):
        waiting.sort()
        for counter in waiting:
            left = min(offer.free_units, counter.free_units)
            if total_units(left, counter.price_units, first_decimals):
                tips.append(Tip(offer.offer_id, counter, left))
    return tips


def _next_free(
    side: Side, own: Sequence[Own], first: int, counter: Counter, swapping: AbstractSet[tuple[int, int]]
) -> int:
    """The index of the first offer from `first` on that crosses and is not being swapped with it; len(own) for none."""
    for index in range(first, len(own)):
        offer = own[index]
        crosses = prices_cross(side, offer.price_units, counter.price_units)
        if crosses and (offer.offer_id, counter.offer_id) not in swapping:
            return index
    return len(own)
