"""A venue made for one tape: its own market, its own accounts with money, and every worker of a real one.

Prices and quantities of a tape are whole numbers, so its market has ticks and lots of 1, in assets without
decimals: every notional is exact.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from crossbook.application.accounts import UserKind
from crossbook.application.audit import Check
from crossbook.application.desk import Desk
from crossbook.application.funds import Funds
from crossbook.application.markets import Market, Markets
from crossbook.application.marks import Marks
from crossbook.domain.errors import CrossbookError
from crossbook.domain.holds import hold_for_buy
from crossbook.domain.instruments import Asset, Instrument, InstrumentKind
from crossbook.domain.money import Step
from crossbook.domain.orders import Side
from crossbook.matching import Engine
from crossbook.replay.tape import Op, TapeRow
from crossbook.storage import markets as stored_markets
from crossbook.storage.admission import AdmissionStore
from crossbook.storage.audit import audit
from crossbook.storage.database import Database
from crossbook.storage.funds import FundsStore
from crossbook.storage.lag import lags, last_order_id, take_id_node
from crossbook.storage.migrate import migrate
from crossbook.storage.trades import StoredTrade, trades_after
from crossbook.storage.users import UserStore
from crossbook.streams.in_process import InProcessStreams
from crossbook.streams.port import StreamKind
from crossbook.system import Ids, SystemClock
from crossbook.workers.health import Condition
from crossbook.workers.matcher import Matcher
from crossbook.workers.names import MarketName
from crossbook.workers.relay import Relay
from crossbook.workers.settler import Settler
from crossbook.workers.wake import Wake

ACCOUNTS: Final = 8
"""The orders of a tape, which names nobody, are dealt out to so many accounts."""
SHARE: Final = Asset("TAPESHARE", 0)
CASH: Final = Asset("TAPECASH", 0)
MAKER_FEE_PPM: Final = 200
TAKER_FEE_PPM: Final = 500
MOST_UNITS: Final = 1 << 60
"""The most of an asset that the accounts of a tape may get, all together: balances have 64 bits."""
POLL_S: Final = 0.002
PAGE: Final = 1_000


class ReplayFailed(CrossbookError):
    """The tape can not go through the venue; the message says why."""


def tape_instrument(symbol: str) -> Instrument:
    """The terms of a tape's market: spot, one unit of cash for one lot at one tick, with fees."""
    return Instrument(
        symbol=symbol,
        kind=InstrumentKind.SPOT,
        base=SHARE,
        quote=CASH,
        tick=Step(1, 0),
        lot=Step(1, 0),
        maker_fee_ppm=MAKER_FEE_PPM,
        taker_fee_ppm=TAKER_FEE_PPM,
    )


@dataclass
class Need:
    """What an account needs of each asset, in units, so that it could hold all orders of a tape at once."""

    share_units: int = 1
    cash_units: int = 1

    def add(self, rows: Iterable[TapeRow]) -> "Need":
        """Count the orders of `rows`. Raises ReplayFailed when no account can hold so much."""
        terms = tape_instrument("TAPE")
        for row in rows:
            if row.op not in {Op.NEW, Op.REPLACE}:
                continue
            if row.side is not Side.BUY or row.op is Op.REPLACE:
                self.share_units += row.quantity_lots
            if row.side is not Side.SELL or row.op is Op.REPLACE:
                self.cash_units += hold_for_buy(terms, row.price_ticks, row.quantity_lots).held_units
        if max(self.share_units, self.cash_units) * ACCOUNTS > MOST_UNITS:
            raise ReplayFailed("the orders of this tape are worth more than accounts can hold")
        return self


class GivenIds:
    """Gives the desk the order id that was drawn for the order: cancels name it before the order is stored."""

    def __init__(self, ids: Ids) -> None:
        self._ids = ids
        self._given = 0

    def draw(self) -> int:
        """A new id."""
        return self._ids.next()

    def give(self, order_id: int) -> None:
        """Let the desk's next order have this id."""
        self._given = order_id

    def next(self) -> int:
        """The id that was given."""
        return self._given


class TapeVenue:
    """The running venue. `accounts` are its traders."""

    def __init__(self, database: Database, market: Market, ids: Ids) -> None:
        self.market = market
        self.accounts: list[int] = []
        self.ids = GivenIds(ids)
        self._database = database
        self._clock = SystemClock()
        self._markets = Markets([market])
        self._marks = Marks()
        self._wake = Wake()
        name = MarketName(market.number, market.symbol)
        commands, events = InProcessStreams(StreamKind.COMMANDS), InProcessStreams(StreamKind.EVENTS)
        self.desk = Desk(
            AdmissionStore(database), self._markets, self._marks, self._clock, self.ids, lambda _: self._wake.set()
        )
        self._relay = Relay(name, database, commands, self._clock, committed=self._wake)
        self._matcher = Matcher(name, database, commands, events, self._clock, f"replay-{os.getpid()}")
        self._settler = Settler(name, database, events, self._clock)
        self._tasks: dict[str, asyncio.Task[None]] = {}

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run the desk and the workers meanwhile, and stop them in the order of an order's way."""
        stops = {name: asyncio.Event() for name in ("desk", "relay", "matcher", "settler")}
        works = (self.desk.run, self._relay.run, self._matcher.run, self._settler.run)
        for (name, stop), work in zip(stops.items(), works, strict=True):
            self._tasks[name] = asyncio.create_task(work(stop), name=name)
        try:
            yield
        finally:
            for name, stop in stops.items():
                stop.set()
                await asyncio.gather(self._tasks[name], return_exceptions=True)

    async def fund(self, need: Need) -> None:
        """Open the accounts, and let each deposit what the tape needs. Raises StorageError."""
        users = UserStore(self._database)
        funds = Funds(FundsStore(self._database), self._markets, self._marks, self._clock)
        for number in range(1, ACCOUNTS + 1):
            now_ms = self._clock.now_ms()
            user = await users.create(
                UserKind.GUEST, now_ms, email=None, password_hash=None, name=f"tape-{number}", scopes=frozenset()
            )
            await funds.deposit(user.account_id, SHARE.name, need.share_units)
            await funds.deposit(user.account_id, CASH.name, need.cash_units)
            self.accounts.append(user.account_id)

    # -- How far it is -------------------------------------------------------------------------------
    @property
    def settled(self) -> int:
        """The last settled sequence."""
        return self._settler.settled_sequence

    def check(self) -> None:
        """Raise ReplayFailed unless every part works."""
        for name, task in self._tasks.items():
            if task.done():
                raise ReplayFailed(f"the {name} ended: {task.exception()!r}")
        for name, worker in (("relay", self._relay), ("matcher", self._matcher), ("settler", self._settler)):
            if worker.health.condition is Condition.FAILED:
                raise ReplayFailed(f"the {name} stopped the market: {worker.health.reason}")

    async def accepted(self) -> int:
        """The last sequence of the log. Raises StorageError."""
        async with self._database.transaction(read_only=True) as transaction:
            found = await lags(transaction)
        return next(lag.accepted for lag in found if lag.market_id == self.market.number)

    async def settle(self) -> None:
        """Wait until everything in the log is settled. Raises ReplayFailed and StorageError."""
        accepted = await self.accepted()
        while self.settled < accepted:
            self.check()
            await asyncio.sleep(POLL_S)

    async def matched_engine(self) -> Engine:
        """The engine, with everything in the log applied; to be read only. Raises as `settle`."""
        accepted = await self.accepted()
        while (engine := self._matcher.engine) is None or engine.last_sequence < accepted:
            self.check()
            await asyncio.sleep(POLL_S)
        return engine

    # -- What came of it -----------------------------------------------------------------------------
    async def trades(self) -> AsyncIterator[list[StoredTrade]]:
        """The stored trades, in order, a page at a time. Raises StorageError."""
        last = 0
        while True:
            async with self._database.transaction(read_only=True) as transaction:
                page = await trades_after(transaction, self.market.number, last, PAGE)
            if not page:
                return
            yield page
            last = page[-1].trade_id

    async def audit(self) -> list[Check]:
        """The audit of all books. Raises StorageError."""
        return await audit(self._database)


@asynccontextmanager
async def tape_venue(address: str) -> AsyncIterator[TapeVenue]:
    """A venue on the database at `address`, with a new market, running meanwhile. Raises StorageError."""
    database = await Database.connect(address)
    try:
        await migrate(database)
        clock = SystemClock()
        async with database.transaction() as transaction:
            symbol = f"TAPE-{len(await stored_markets.load(transaction)) + 1}"
            market = await stored_markets.put(transaction, tape_instrument(symbol), clock.now_ms())
            ids = Ids(clock, await take_id_node(transaction), await last_order_id(transaction))
        venue = TapeVenue(database, market, ids)
        async with venue.running():
            yield venue
    finally:
        await database.close()
