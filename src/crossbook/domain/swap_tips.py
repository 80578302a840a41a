"""Which offers of others a user may swap with: each at most once, for the user's oldest offer that it fits.

Looked up, not multiplied. Going through a user's offers from the oldest, an offer matters only when its price reaches
further than all before it; those make a staircase, and a counter-offer's step is found by halving. So a page costs
the user's offers, and what crosses the best of them, never their product.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from typing import NamedTuple

from crossbook.domain.money import POWERS_OF_TEN
from crossbook.domain.orders import Side
from crossbook.domain.swaps import prices_cross


class Own(NamedTuple):
    """An active offer of the user's with something free."""

    offer_id: int
    price_units: int
    free_units: int


class Counters(NamedTuple):
    """Active offers of others on the other side, with something free: columns of equal length, oldest first."""

    offer_ids: Sequence[int]
    prices_units: Sequence[int]
    free_units: Sequence[int]


Tip = tuple[int, int, int]
"""The user's offer, the place in the columns of the counter-offer that fits it, and how much the two can swap."""


def reach_of(side: Side, own: Iterable[Own]) -> int | None:
    """The price beyond which no counter-offer meets any of the user's offers; None without offers."""
    prices = [offer.price_units for offer in own]
    if not prices:
        return None
    return max(prices) if side is Side.BUY else min(prices)


def tips_of(
    side: Side,
    own: Sequence[Own],
    counters: Counters,
    swapping: AbstractSet[tuple[int, int]],
    first_decimals: int,
) -> list[Tip]:
    """The tips for the user's offers on one side: by the user's offer, then by the counter-offer, oldest first.

    `own` comes oldest first. `swapping` are the pairs (own, counter) that have a pending swap: such a counter-offer
    goes to the next offer that it fits.
    """
    sign = 1 if side is Side.BUY else -1  # a seller's prices are a buyer's, looked at from below
    reaches: list[int] = []
    waiting: list[list[int]] = []
    places: list[list[int]] = [[] for _ in own]
    for index, offer in enumerate(own):
        if not reaches or sign * offer.price_units > reaches[-1]:
            reaches.append(sign * offer.price_units)
            waiting.append(places[index])
    waiting.append([])  # beyond every reach
    for place, price in enumerate(counters.prices_units):
        waiting[bisect_left(reaches, sign * price)].append(place)
    if swapping:
        _pass_on(side, own, counters, places, swapping)
    one = POWERS_OF_TEN[first_decimals]
    tips: list[Tip] = []
    for offer, found in zip(own, places, strict=True):
        for place in found:
            left = min(offer.free_units, counters.free_units[place])
            if left * counters.prices_units[place] >= one:  # it is worth a unit
                tips.append((offer.offer_id, place, left))
    return tips


def _pass_on(
    side: Side,
    own: Sequence[Own],
    counters: Counters,
    places: list[list[int]],
    swapping: AbstractSet[tuple[int, int]],
) -> None:
    """Give counter-offers that are being swapped with an offer to the next one that they fit."""
    for index, offer in enumerate(own):
        stay: list[int] = []
        for place in sorted(places[index]):
            counter_id = counters.offer_ids[place]
            if (offer.offer_id, counter_id) not in swapping:
                stay.append(place)
                continue
            price = counters.prices_units[place]
            for later in range(index + 1, len(own)):
                if prices_cross(side, own[later].price_units, price):
                    places[later].append(place)  # looked at again when its turn comes
                    break
        places[index] = stay
