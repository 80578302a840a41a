"""Bands, halts and the auction after them, on a running venue whose guard is moved by hand."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import count

import pytest

from crossbook.application.market_limits import HaltPhase, MarketLimits
from crossbook.application.markets import Market
from crossbook.application.requests import NewOrder, SystemRequest
from crossbook.application.views import Page
from crossbook.domain.commands import SingleCommand
from crossbook.domain.errors import Reason
from crossbook.domain.lifecycle import OrderStatus
from crossbook.domain.orders import MarketState, OrderType, Side
from crossbook.storage import market_limits
from crossbook.storage.market_limits import StoredLimits
from crossbook.system import ManualClock, SystemClock
from crossbook.workers.price_guard import PriceGuard
from tests.dialects.flux.venue import FluxVenue, running_venue
from tests.dialects.truex.signing import Organization
from tests.dialects.truex.venue import organization
from tests.storage.conftest import module_url, server, template

__all__ = ["module_url", "server", "template"]

_numbers = count(1)
SYMBOL = "BTC-PYUSD"
HALT_MS, AUCTION_MS = 30_000, 20_000


@pytest.fixture(scope="module")
def venue(module_url: str) -> Iterator[FluxVenue]:
    with running_venue(module_url) as made:
        yield made


class Floor:
    """One market, two clients with plenty, and guards on one clock that a test moves."""

    def __init__(self, venue: FluxVenue) -> None:
        self.venue = venue
        self.market: Market = venue.parts.markets.named(SYMBOL)
        self.clock = ManualClock(SystemClock().now_ms())
        self.guard = self.new_guard()
        self.traders = [
            organization(venue, f"guard-{next(_numbers)}", {"PYUSD": "9000000", "BTC": "90"}) for _ in range(2)
        ]
        terms = self.market.instrument
        limits = MarketLimits(terms.price_ticks("60000"), 1_000, 500, 300_000, HALT_MS, AUCTION_MS)

        async def store() -> None:
            async with venue.parts.database.transaction() as transaction:
                await market_limits.put(transaction, self.market.number, limits)

        venue.run(store())

    def new_guard(self) -> PriceGuard:
        """Another guard, as after a restart: it knows nothing but what is stored."""
        desk = self.venue.parts.services.desk

        async def submit(market_id: int, commands: Sequence[SingleCommand]) -> None:
            def placed(command: SingleCommand, sequence: int, now_ms: int) -> SingleCommand:
                return replace(command, sequence=sequence, time_ms=now_ms)

            await desk.system(SystemRequest(market_id, tuple(partial(placed, command) for command in commands)))

        return PriceGuard(self.venue.parts.database, self.venue.parts.feeds, submit, self.clock)

    def look(self, after_ms: int = 0) -> StoredLimits:
        """Let time pass and the guard look, until all that follows is settled; what is stored then."""
        self.clock.advance(after_ms)
        self.venue.run(self.guard.look())
        self.venue.settle()

        async def load() -> StoredLimits:
            async with self.venue.parts.database.snapshot() as transaction:
                return (await market_limits.load(transaction))[0]

        return self.venue.run(load())

    def enter(self, who: Organization, side: Side, price: str, qty: str = "0.1") -> tuple[OrderStatus, Reason]:
        """Enter an order and say what became of it."""
        terms = self.market.instrument
        order = NewOrder(
            who.client_id,
            self.market.number,
            side,
            OrderType.LIMIT,
            terms.quantity_lots(qty),
            terms.price_ticks(price),
        )
        placed = self.venue.run(self.venue.parts.services.desk.submit(order))
        self.venue.settle()
        found = self.venue.run(self.venue.parts.services.queries.order(who.client_id, placed.order_id))
        assert found is not None
        return found.status, found.reason

    def trade(self, price: str) -> None:
        """Let the two trade at a price."""
        buyer, seller = self.traders
        assert self.enter(buyer, Side.BUY, price)[0] is OrderStatus.OPEN
        assert self.enter(seller, Side.SELL, price)[0] is OrderStatus.FILLED


def test_a_band_a_halt_and_the_way_back(venue: FluxVenue) -> None:
    floor = Floor(venue)
    buyer, seller = floor.traders

    # The band goes into the log once: 10 % around the reference price while the book is empty.
    assert floor.look().is_configured
    rejected = (OrderStatus.REJECTED, Reason.PRICE_OUTSIDE_BAND)
    assert floor.enter(buyer, Side.BUY, "53999.5") == rejected
    assert floor.enter(seller, Side.SELL, "66000.5") == rejected

    # A move of 5 % is allowed, one of more halts the market: orders can only be cancelled.
    floor.trade("60000")
    floor.trade("63000")
    assert floor.look().phase is HaltPhase.TRADING
    floor.trade("63000.5")
    row = floor.look()
    assert (row.phase, row.status) == (HaltPhase.HALTED, MarketState.CANCEL_ONLY)
    assert floor.enter(buyer, Side.BUY, "60000") == (OrderStatus.REJECTED, Reason.MARKET_CANCEL_ONLY)
    assert floor.look(HALT_MS - 1).phase is HaltPhase.HALTED

    # Another guard goes on where the first one was: the auction collects crossing orders, and opens.
    floor.guard = floor.new_guard()
    row = floor.look(1)
    assert (row.phase, row.status) == (HaltPhase.COLLECTING, MarketState.AUCTION)
    assert floor.enter(buyer, Side.BUY, "62000")[0] is OrderStatus.OPEN
    assert floor.enter(seller, Side.SELL, "61000")[0] is OrderStatus.OPEN
    assert floor.look(AUCTION_MS - 1).phase is HaltPhase.COLLECTING
    floor.guard = floor.new_guard()
    assert floor.look(1).status is MarketState.ACTIVE
    assert floor.look().phase is HaltPhase.TRADING
    last = floor.venue.parts.feeds[floor.market.number].trades(1)[0]
    assert 122_000 <= last.price_ticks <= 124_000
    live = floor.venue.run(floor.venue.parts.services.queries.orders(buyer.client_id, Page(5), floor.market.number))
    assert live[0].status is OrderStatus.FILLED

    # The trades of before do not halt it again.
    assert floor.look().phase is HaltPhase.TRADING
    assert floor.look().status is MarketState.ACTIVE


def test_a_phase_whose_command_was_lost_is_told_again(venue: FluxVenue) -> None:
    floor = Floor(venue)
    number = floor.market.number

    async def crash_before_the_command() -> None:
        async with venue.parts.database.transaction() as transaction:
            before, after = HaltPhase.TRADING, HaltPhase.HALTED
            assert await market_limits.set_phase(transaction, number, before, after, floor.clock.now_ms())
            assert not await market_limits.set_phase(transaction, number, before, after, floor.clock.now_ms())

    floor.look()
    venue.run(crash_before_the_command())
    assert floor.look().status is MarketState.CANCEL_ONLY
    assert floor.look(HALT_MS).status is MarketState.AUCTION
    assert floor.look(AUCTION_MS).status is MarketState.ACTIVE
