"""Prices that the reference engine computes: the price band and the auction (section 5 of docs/matching.md)."""

from itertools import pairwise
from typing import Final

from crossbook.domain.orders import MAX_BASIS_POINTS, BandReference, PriceSource, Side
from crossbook.matching.reference_market import ASKS, BIDS, Market

BAND_SOURCES: Final = {
    BandReference.LAST: PriceSource.LAST,
    BandReference.MARK: PriceSource.MARK,
    BandReference.INDEX: PriceSource.INDEX,
}


def outside_band(market: Market, price_ticks: int) -> bool:
    """Whether a price is outside the market's price band."""
    reference = _band_reference_half_ticks(market)
    distance = abs(2 * price_ticks - reference)
    return reference != 0 and distance * MAX_BASIS_POINTS > reference * market.limits.band_basis_points


def band_edge_ticks(market: Market, side: Side) -> int:
    """The furthest price inside the band for a taker of `side`, 0 for no band."""
    reference, width = _band_reference_half_ticks(market), market.limits.band_basis_points
    if side is Side.BUY:
        return reference * (MAX_BASIS_POINTS + width) // (2 * MAX_BASIS_POINTS)
    return -(-reference * (MAX_BASIS_POINTS - width) // (2 * MAX_BASIS_POINTS))


def _band_reference_half_ticks(market: Market) -> int:
    """Twice the price that the band is measured from, 0 for no band."""
    if market.limits.band_basis_points == 0:
        return 0
    if market.limits.band_reference is not BandReference.MIDPOINT:
        return 2 * market.prices_ticks[BAND_SOURCES[market.limits.band_reference]]
    if market.queues[BIDS] and market.queues[ASKS]:
        return market.best_ticks(Side.BUY) + market.best_ticks(Side.SELL)
    return 2 * market.limits.reference_price_ticks


def auction_price(market: Market, reference_ticks: int) -> tuple[int, int, int]:
    """Price, volume and imbalance of an auction now; zeros when nothing crosses.

    `reference_ticks` decides between equally good prices; 0 takes what the market has for it.
    """
    if not market.crossed:
        return 0, 0, 0
    wishes = (reference_ticks, market.limits.reference_price_ticks, *market.prices_ticks.values())
    nearest_to = next((price_ticks for price_ticks in wishes if price_ticks), 0)

    def preference(result: tuple[int, int, int]) -> tuple[int, int, int, int]:
        price_ticks, volume_lots, imbalance_lots = result
        return -volume_lots, abs(imbalance_lots), abs(price_ticks - nearest_to), price_ticks

    results = [_auction_result(market, price_ticks) for price_ticks in _candidates(market, nearest_to)]
    return min(results, key=preference)


def _auction_result(market: Market, price_ticks: int) -> tuple[int, int, int]:
    """What an auction at `price_ticks` gives: the price, the volume, demand less supply."""
    demand_lots = sum(order.open_lots for order in market.queues[BIDS] if order.price_ticks >= price_ticks)
    supply_lots = sum(order.open_lots for order in market.queues[ASKS] if order.price_ticks <= price_ticks)
    return price_ticks, min(demand_lots, supply_lots), demand_lots - supply_lots


def _candidates(market: Market, nearest_to: int) -> list[int]:
    """The prices worth comparing: where orders stand and, as nothing changes between two such, the nearest there."""
    lowest, highest = market.best_ticks(Side.SELL), market.best_ticks(Side.BUY)
    all_ticks = sorted(order.price_ticks for order in market.queues[BIDS] + market.queues[ASKS])
    stands = [price_ticks for price_ticks in all_ticks if lowest <= price_ticks <= highest]
    gaps = [(below + 1, above - 1) for below, above in pairwise(stands) if above - below > 1]
    return stands + [min(max(nearest_to, first), last) for first, last in gaps]
