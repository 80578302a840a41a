"""Price bands: how far from its reference an order may trade. docs/matching.md, section 5."""

from crossbook.matching.book import LEVEL_PRICE
from crossbook.matching.columns import i64
from crossbook.matching.market import LAST_PRICE, NO_LIMIT, Market


def doubled_reference(market: Market) -> i64:
    """Twice the reference price of the band, so that a midpoint in half ticks stays whole; 0 for none."""
    kind = market.band_reference
    if kind != 1:
        return 2 * market.source_price(LAST_PRICE + kind - 2)
    book = market.book
    bid = book.bids.best
    ask = book.asks.best
    if bid == 0 or ask == 0:
        return 2 * market.reference_price
    return book.levels[bid + LEVEL_PRICE] + book.levels[ask + LEVEL_PRICE]


def outside(market: Market, price: i64) -> bool:
    """Whether a limit price lies outside the band."""
    if market.band_basis_points == 0:
        return False
    reference = doubled_reference(market)
    if reference == 0:
        return False
    distance = 2 * price - reference
    if distance < 0:
        distance = -distance
    return distance * 10_000 > reference * market.band_basis_points


def worst_price(market: Market, buying: bool, price: i64) -> i64:
    """The furthest price of a market kind with protection price `price` (0 for none): inside the band too."""
    limit = price
    if limit == 0 and buying:
        limit = NO_LIMIT
    if market.band_basis_points == 0:
        return limit
    reference = doubled_reference(market)
    if reference == 0:
        return limit
    if buying:
        edge = reference * (10_000 + market.band_basis_points) // 20_000
        return edge if edge < limit else limit
    edge = (reference * (10_000 - market.band_basis_points) + 19_999) // 20_000
    return edge if edge > limit else limit
