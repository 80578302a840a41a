"""All bots of one market: one step after the other, each through the order desk, whatever goes wrong."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from crossbook.application.desk import Desk
from crossbook.application.errors import InsufficientFunds, Overloaded
from crossbook.application.markets import Market
from crossbook.application.requests import NewOrder, PlacedOrder
from crossbook.bots.market_maker import MakerDecision, MarketMaker, Quote
from crossbook.bots.noise_trader import NoiseTrader, Take
from crossbook.domain.errors import CrossbookError
from crossbook.domain.margin import InsufficientMargin
from crossbook.domain.orders import OrderType, TimeInForce
from crossbook.logs import Log
from crossbook.system import Clock
from crossbook.workers.pauses import pause

LOOK_EVERY: Final = 8
"""Steps between two looks at the positions."""
FIRST_PAUSE_MS: Final = 250
LONGEST_PAUSE_MS: Final = 5_000
"""The pause after an error, which doubles."""

_log: Final = Log("bots")


class Holdings(Protocol):
    """What accounts have."""

    async def position_lots(self, account_id: int, market: Market) -> int:
        """The signed position: in a spot market, what is owned beyond what a bot starts with."""
        ...


class Purse(Protocol):
    """Gives a bot fresh money."""

    async def fill(self, account_id: int) -> None:
        """Bring the account's money up to what a bot starts with. Raises CrossbookError."""
        ...


@dataclass(frozen=True)
class Maker:
    """The market maker and its account."""

    account_id: int
    mind: MarketMaker


@dataclass(frozen=True)
class Noise:
    """A noise trader and its account."""

    account_id: int
    mind: NoiseTrader


class Pit:
    """The bots of one market."""

    def __init__(
        self,
        market: Market,
        maker: Maker,
        traders: Sequence[Noise],
        desk: Desk,
        holdings: Holdings,
        purse: Purse,
        clock: Clock,
        interval_ms: int,
    ) -> None:
        self._market = market
        self._maker = maker
        self._traders = traders
        self._desk = desk
        self._holdings = holdings
        self._purse = purse
        self._clock = clock
        self._interval_ms = interval_ms
        self._positions: dict[int, int] = {}
        self._steps = 0

    async def run(self, stop: asyncio.Event) -> None:
        """Trade until `stop`. An error ends a step, never the bots."""
        pause_ms = FIRST_PAUSE_MS
        while not stop.is_set():
            try:
                await self.step()
            except CrossbookError as error:
                _log.warning("bots pause", market=self._market.symbol, error=str(error), again_in_ms=pause_ms)
                await pause(self._clock, stop, pause_ms)
                pause_ms = min(2 * pause_ms, LONGEST_PAUSE_MS)
            else:
                pause_ms = FIRST_PAUSE_MS
                await pause(self._clock, stop, self._interval_ms)

    async def step(self) -> None:
        """Let every bot decide once, and do what it decided. Raises CrossbookError when the venue can not answer."""
        if self._steps % LOOK_EVERY == 0:
            await self._look()
        self._steps += 1
        decision = self._maker.mind.decide(self._positions.get(self._maker.account_id, 0))
        takes = [
            (trader.account_id, trader.mind.decide(decision.price_ticks, self._positions.get(trader.account_id, 0)))
            for trader in self._traders
        ]
        try:
            await self._quote(decision)
        except CrossbookError:
            self._maker.mind.forget_quotes()
            raise
        for account_id, take in takes:
            if take is not None:
                await self._submit(account_id, [self._taking(account_id, take)])

    async def _look(self) -> None:
        for account_id in (self._maker.account_id, *(trader.account_id for trader in self._traders)):
            self._positions[account_id] = await self._holdings.position_lots(account_id, self._market)

    async def _quote(self, decision: MakerDecision) -> None:
        """The old quotes out and the new ones in; first in, first out, so that the desk takes them as one batch."""
        if decision.quotes is None:
            return
        account_id = self._maker.account_id
        orders = [self._resting(account_id, quote) for quote in decision.quotes]
        cancelling = asyncio.ensure_future(self._desk.cancel_all(account_id, self._market.number))
        await asyncio.sleep(0)  # the cancel stands in the line before the quotes
        results = await asyncio.gather(cancelling, self._submit(account_id, orders), return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result

    async def _submit(self, account_id: int, orders: Sequence[NewOrder]) -> None:
        """Enter orders. A refused one is left out; an account without money gets some."""
        refused = [answer for answer in await self._desk.submit_many(orders) if not isinstance(answer, PlacedOrder)]
        if any(isinstance(answer, InsufficientMargin | InsufficientFunds) for answer in refused):
            await self._purse.fill(account_id)
        if refused:
            first = refused[0]
            _log.debug("a bot's order refused", market=self._market.symbol, error=str(first), orders=len(refused))
            if isinstance(first, Overloaded) or len(refused) == len(orders):
                raise first

    def _resting(self, account_id: int, quote: Quote) -> NewOrder:
        return NewOrder(
            account_id,
            self._market.number,
            quote.side,
            OrderType.LIMIT,
            quote.quantity_lots,
            quote.price_ticks,
            leverage=self._market.instrument.max_leverage,
        )

    def _taking(self, account_id: int, take: Take) -> NewOrder:
        return NewOrder(
            account_id,
            self._market.number,
            take.side,
            OrderType.MARKET,
            take.quantity_lots,
            take.price_ticks,
            TimeInForce.IOC,
            leverage=self._market.instrument.max_leverage,
        )
