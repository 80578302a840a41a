"""Two perpetuals in a real database, with desk, engines, settlement and liquidator, driven step by step.

Nothing runs by itself: `pump` matches and settles what is in the logs, `liquidate` takes steps until there are none.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, TypeVar

from crossbook.application.audit import is_clean
from crossbook.application.desk import Desk
from crossbook.application.funds import Funds
from crossbook.application.margin_terms import MarginTerms
from crossbook.application.markets import Market, Markets
from crossbook.application.marks import Marks
from crossbook.application.requests import NewOrder, SystemRequest
from crossbook.domain import ledger as journals
from crossbook.domain.accounts import FIRST_USER, INSURANCE
from crossbook.domain.commands import ApplyFunding, SetMarketState, SingleCommand, UpdatePrices
from crossbook.domain.instruments import Instrument, btc_perp, eth_perp
from crossbook.domain.ledger import LedgerType
from crossbook.domain.money import Step
from crossbook.domain.orders import MarketState, OrderType, Side, TimeInForce
from crossbook.matching import Engine
from crossbook.matching.codec import decode_records
from crossbook.storage import commands_log, ledger
from crossbook.storage import markets as stored_markets
from crossbook.storage.admission import AdmissionStore
from crossbook.storage.audit import audit
from crossbook.storage.commands_log import LoggedCommand
from crossbook.storage.database import Database, Row
from crossbook.storage.funds import FundsStore
from crossbook.storage.liquidations import Taken
from crossbook.storage.margin_terms import MarginStore
from crossbook.storage.queries import Queries
from crossbook.storage.settlement import read_terms, settle_batch
from crossbook.system import Ids, SystemClock
from crossbook.workers.liquidator import Liquidator

BUY, SELL = Side
T = TypeVar("T")
UNIT = 10**6


def whole(symbol_of: Instrument) -> Instrument:
    """The instrument with a tick and a lot of 1: prices and quantities are what they say."""
    return replace(symbol_of, tick=Step.of("1"), lot=Step.of("1"))


class RiskVenue:
    """The venue. Users are numbered from 0; money is in whole USDC."""

    def __init__(self, database: Database, markets: Sequence[Market]) -> None:
        self.database = database
        self.markets = Markets(markets)
        self.btc, self.eth = markets
        self.marks = Marks()
        self.clock = SystemClock()
        ids = Ids(self.clock, 1)
        self.desk = Desk(AdmissionStore(database), self.markets, self.marks, self.clock, ids, lambda _: None)
        self.funds = Funds(FundsStore(database), self.markets, self.marks, self.clock)
        self.margin = MarginTerms(MarginStore(database), self.markets, self.marks)
        self.queries = Queries(database)
        self.logged: list[LoggedCommand] = []
        self.liquidator = Liquidator(database, self.markets, self.clock, ids.next, self.logged.extend)
        self.engines = {market.number: Engine() for market in markets}

    # -- People --------------------------------------------------------------------------------------
    async def user(self, number: int, usdc: int) -> int:
        account = FIRST_USER + number
        async with self.database.transaction() as transaction:
            await transaction.execute(
                "INSERT INTO users (user_id, kind, created_at_ms) VALUES ($1, 2, 0)", 2000 + number
            )
            await transaction.execute(
                "INSERT INTO accounts (account_id, user_id, created_at_ms) VALUES ($1, $2, 0)", account, 2000 + number
            )
        if usdc:
            await self.funds.deposit(account, "USDC", usdc * UNIT)
        return account

    async def fund(self, usdc: int) -> None:
        if usdc == 0:
            return
        async with self.database.transaction() as transaction:
            entry = ledger.Entry(LedgerType.DEPOSIT, journals.deposit(INSURANCE, "USDC", usdc * UNIT))
            await ledger.post(transaction, [entry], await stored_markets.asset_ids(transaction), 0)

    async def order(
        self, account: int, market: Market, side: Side, lots: int, price: int, leverage: int = 20, **more: Any
    ) -> int:
        order = NewOrder(account, market.number, side, OrderType.LIMIT, lots, price, leverage=leverage, **more)
        placed = await self.desk.submit(order)
        return placed.order_id

    async def trade(self, buyer: int, seller: int, market: Market, lots: int, price: int, leverage: int = 20) -> None:
        """A trade between two accounts, settled."""
        await self.order(seller, market, SELL, lots, price, leverage)
        await self.order(buyer, market, BUY, lots, price, leverage, time_in_force=TimeInForce.IOC)
        await self.pump()

    # -- The way -------------------------------------------------------------------------------------
    async def pump(self) -> None:
        """Match and settle everything that is in the logs."""
        for market in self.markets:
            engine = self.engines[market.number]
            async with self.database.transaction() as transaction:
                found = await commands_log.read(transaction, market.number, engine.last_sequence + 1, 10_000)
                entries = [(command.sequence, decode_records(engine.process(command.record))) for command in found]
                if entries:
                    terms = await read_terms(transaction, market.symbol)
                    await settle_batch(transaction, terms, entries)

    async def mark(self, market: Market, price: int) -> None:
        """A new mark, and index, settled."""
        self.marks.set(market.number, price)
        await self.log(market, UpdatePrices(0, 0, price, price))

    async def log(self, market: Market, command: SingleCommand) -> None:
        def make(sequence: int, now_ms: int) -> SingleCommand:
            return replace(command, sequence=sequence, time_ms=now_ms)

        await self.desk.system(SystemRequest(market.number, (make,)))
        await self.pump()

    async def state(self, market: Market, state: MarketState) -> None:
        await self.log(market, SetMarketState(0, 0, state))

    async def funding(self, market: Market, period: int, rate_ppb: int, index: int) -> None:
        await self.log(market, ApplyFunding(0, 0, period, rate_ppb, index))

    async def step(self) -> list[Taken]:
        """One step of every open liquidation, settled."""
        taken = list(await self.liquidator.turn())
        await self.pump()
        return taken

    async def liquidate(self) -> list[str]:
        """Take steps until there are none; the kinds of them."""
        kinds: list[str] = []
        for _ in range(100):
            taken = await self.step()
            if not taken:
                return kinds
            kinds += [type(one.step).__name__ for one in taken]
        raise AssertionError(f"no end: {kinds}")

    # -- What is there -------------------------------------------------------------------------------
    async def rows(self, statement: str, *values: object) -> list[Row]:
        async with self.database.transaction(read_only=True) as transaction:
            return list(await transaction.rows(statement, *values))

    async def total(self, account: int) -> float:
        rows = await self.rows("SELECT total_units FROM balances WHERE account_id = $1 AND asset_id = 2", account)
        return int(rows[0][0]) / UNIT if rows else 0

    async def position(self, account: int, market: Market) -> int:
        rows = await self.rows(
            "SELECT position_lots FROM positions WHERE account_id = $1 AND market_id = $2", account, market.number
        )
        return int(rows[0][0]) if rows else 0

    async def flagged(self) -> list[tuple[int, int]]:
        rows = await self.rows(
            "SELECT account_id, market_id FROM liquidations WHERE closed_at_ms IS NULL ORDER BY 1, 2"
        )
        return [(row[0], row[1]) for row in rows]

    async def audited(self) -> None:
        checks = await audit(self.database)
        assert is_clean(checks), [check for check in checks if not check.ok]


@asynccontextmanager
async def open_venue(url: str) -> AsyncIterator[RiskVenue]:
    database = await Database.connect(url, statement_timeout_ms=60_000)
    try:
        async with database.transaction() as transaction:
            markets = [await stored_markets.put(transaction, whole(terms), 0) for terms in (btc_perp(), eth_perp())]
        venue = RiskVenue(database, markets)
        stop = asyncio.Event()
        desk = asyncio.create_task(venue.desk.run(stop))
        try:
            yield venue
        finally:
            stop.set()
            await desk
    finally:
        await database.close()


def in_venue(url: str, scenario: Callable[[RiskVenue], Coroutine[Any, Any, T]]) -> T:
    """Run a scenario in a fresh venue, and audit what it leaves."""

    async def run() -> T:
        async with open_venue(url) as venue:
            result = await scenario(venue)
            await venue.audited()
            return result

    return asyncio.run(run())
