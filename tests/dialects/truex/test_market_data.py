"""Statistics and best prices follow from what traded."""

from decimal import Decimal
from typing import Any

import httpx2

from crossbook.application.requests import NewOrder
from crossbook.domain.orders import MarketState, OrderType, Side
from tests.dialects.flux.venue import FluxVenue
from tests.dialects.truex.signing import Organization
from tests.dialects.truex.venue import organization

SYMBOL = "BTC-PYUSD"


def rest(venue: FluxVenue, who: Organization, side: Side, qty: str, price: str) -> None:
    market = venue.parts.markets.named(SYMBOL)
    terms = market.instrument
    lots, ticks = terms.quantity_lots(qty), terms.price_ticks(price)
    order = NewOrder(who.client_id, market.number, side, OrderType.LIMIT, lots, ticks)
    venue.run(venue.parts.services.desk.submit(order))


def get(venue: FluxVenue, path: str) -> dict[str, Any]:
    number = venue.parts.markets.named(SYMBOL).number
    name = "id" if path == "instruments" else "instrument_id"
    address = f"{venue.addresses['embedded']}/api/v1/{path}?{name}={number}"
    (row,) = httpx2.get(address, timeout=30).json()
    assert isinstance(row, dict)
    return row


def test_stats_and_the_best_prices_follow_from_trades(venue: FluxVenue) -> None:
    buyer = organization(venue, "stats-buyer", {"PYUSD": "100000"})
    seller = organization(venue, "stats-seller", {"BTC": "1"})
    before = get(venue, "instruments")["stats"]
    rest(venue, buyer, Side.BUY, "0.5", "60000")
    rest(venue, seller, Side.SELL, "0.2", "60000")
    venue.settle()
    after = get(venue, "instruments")["stats"]
    assert Decimal(after["last_24hr_quantity"]) - Decimal(before["last_24hr_quantity"]) == Decimal("0.2")
    assert Decimal(after["last_24hr_notional"]) - Decimal(before["last_24hr_notional"]) == Decimal(12000)
    quote = get(venue, "markets/quote")["info"]
    assert (quote["last_trade"]["price"], quote["last_trade"]["qty"]) == ("60000", "0.2")
    assert quote["best_bid"] == {"price": "60000", "qty": "0.3", "order_count": "1"}
    assert quote["best_ask"] == {"price": "0", "qty": "0", "order_count": "0"}
    assert len(quote["last_trade"]["timestamp"]) == len(quote["last_update"]) == 19
    venue.run(venue.parts.services.desk.cancel_all(buyer.client_id))
    venue.settle()


def test_a_halted_instrument_and_one_that_opens_say_so(venue: FluxVenue) -> None:
    number = venue.parts.markets.named(SYMBOL).number
    words = {
        MarketState.CANCEL_ONLY: "HALTED",
        MarketState.PAUSED: "HALTED",
        MarketState.AUCTION: "OPENING",
        MarketState.SETTLEMENT_ONLY: "DISABLED",
        MarketState.ACTIVE: "ACTIVE",
    }
    for state, word in words.items():
        venue.parts.markets.set_status(number, state)
        assert get(venue, "instruments")["status"] == word
