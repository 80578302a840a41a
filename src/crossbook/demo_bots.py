"""The bots of the demo markets: their users, their money, and where they begin."""

from collections.abc import Mapping
from typing import Final

from crossbook.application.accounts import Accounts, User, UserKind, UserStore
from crossbook.application.desk import Desk
from crossbook.application.funds import Funds
from crossbook.application.markets import Market, Markets
from crossbook.application.marks import Marks
from crossbook.bots.market_maker import MarketMaker
from crossbook.bots.noise_trader import NoiseTrader
from crossbook.bots.pit import Maker, Noise, Pit
from crossbook.bots.walk import Walk
from crossbook.demo import DemoMarket, demo_markets
from crossbook.domain.instruments import USDC, InstrumentKind
from crossbook.storage.database import Database
from crossbook.storage.market_history import recent_trades
from crossbook.storage.queries import Queries
from crossbook.system import Clock, random_for, secret_token

MAKER: Final = "maker"
TRADERS: Final = ("noise-1", "noise-2")
MAIL_DOMAIN: Final = "bots.example"
FUNDS_UNITS: Final = 1_000_000_000_000
"""What a bot starts with, and is brought up to again: 1,000,000 of each money."""
MAKER_MOST_UNITS: Final = 100
"""The market maker's largest position, in the market's unit of bots."""
STOCK_UNITS: Final = 2 * MAKER_MOST_UNITS
"""What a bot owns of a spot market's base asset at the start, in the market's unit of bots: its position is then 0."""
NOISE_MOST_UNITS: Final = 20
NOISE_PART: Final = 5
"""A noise trader's largest order is one part in so many of the unit."""


class BotAgency:
    """Finds the bots of the demo markets. It is their purse, and knows their positions, too.

    `walks` are the prices that they believe in, by market, once they are hired.
    """

    def __init__(
        self,
        accounts: Accounts,
        store: UserStore,
        desk: Desk,
        marks: Marks,
        queries: Queries,
        funds: Funds,
        clock: Clock,
    ) -> None:
        self._accounts = accounts
        self._store = store
        self._desk = desk
        self._marks = marks
        self._queries = queries
        self._funds = funds
        self._clock = clock
        self.walks: dict[int, Walk] = {}
        self._wanted: dict[str, int] = {USDC.name: FUNDS_UNITS}
        self._stock_lots: dict[int, int] = {}

    async def hire(self, markets: Markets, database: Database, seed: int, interval_ms: int) -> list[Pit]:
        """The bots of every demo market, with money. They begin at the last trade. Raises StorageError."""
        self._plan(markets)
        ids = {name: (await self._ensure(name)).account_id for name in (MAKER, *TRADERS)}
        for account_id in ids.values():
            await self.fill(account_id)
        pits = []
        for demo in demo_markets():
            market = markets.named(demo.instrument.symbol)
            last_ticks = await _last_price_ticks(database, market)
            walk = Walk(random_for(seed, f"{market.symbol}/walk"), demo.price_ticks, last_ticks or demo.price_ticks)
            self.walks[market.number] = walk
            self._marks.set(market.number, walk.price_ticks)
            pits.append(self._pit(market, demo, walk, ids, seed, interval_ms))
        return pits

    async def clear_out(self) -> None:
        """Take out the orders of bots that do not trade any more: nobody would move them with the price."""
        for name in (MAKER, *TRADERS):
            user = await self._store.by_email(_mail(name))
            if user is not None:
                await self._desk.cancel_all(user.account_id)

    async def fill(self, account_id: int) -> None:
        """Bring the account up to what a bot starts with, in every asset. Raises StorageError."""
        owned = {balance.asset: balance.total_units for balance in await self._queries.balances(account_id)}
        for asset, wanted_units in self._wanted.items():
            missing_units = wanted_units - owned.get(asset, 0)
            if missing_units > 0:
                await self._funds.deposit(account_id, asset, missing_units)

    async def position_lots(self, account_id: int, market: Market) -> int:
        """The position in a perpetual; in a spot market what is owned beyond the stock of the start, in lots."""
        instrument = market.instrument
        if instrument.kind is InstrumentKind.PERPETUAL:
            rows = await self._queries.positions(account_id)
            return sum(row.position_lots for row in rows if row.market_id == market.number)
        balances = await self._queries.balances(account_id)
        owned_units = sum(balance.total_units for balance in balances if balance.asset == instrument.base.name)
        return owned_units // instrument.base_units_per_lot - self._stock_lots[market.number]

    def _plan(self, markets: Markets) -> None:
        """What a bot starts with: money for every market, and of each spot market's base asset a stock."""
        for demo in demo_markets():
            market = markets.named(demo.instrument.symbol)
            instrument = market.instrument
            if instrument.kind is InstrumentKind.SPOT:
                stock_lots = STOCK_UNITS * demo.unit_lots
                self._stock_lots[market.number] = stock_lots
                self._wanted[instrument.base.name] = stock_lots * instrument.base_units_per_lot
                self._wanted[instrument.quote.name] = FUNDS_UNITS

    async def _ensure(self, name: str) -> User:
        """The user of a bot. Nobody knows its password."""
        user = await self._store.by_email(_mail(name))
        if user is not None:
            return user
        return await self._accounts.register(_mail(name), secret_token(), name=name, kind=UserKind.BOT)

    def _pit(
        self, market: Market, demo: DemoMarket, walk: Walk, ids: Mapping[str, int], seed: int, interval_ms: int
    ) -> Pit:
        maker = MarketMaker(walk, demo.unit_lots, MAKER_MOST_UNITS * demo.unit_lots)
        traders = [
            Noise(
                ids[name],
                NoiseTrader(
                    random_for(seed, f"{market.symbol}/{name}"),
                    max(1, demo.unit_lots // NOISE_PART),
                    NOISE_MOST_UNITS * demo.unit_lots,
                ),
            )
            for name in TRADERS
        ]
        return Pit(
            market,
            Maker(ids[MAKER], maker),
            traders,
            self._desk,
            self,
            self,
            self._clock,
            interval_ms,
        )


def _mail(name: str) -> str:
    return f"{name}@{MAIL_DOMAIN}"


async def _last_price_ticks(database: Database, market: Market) -> int | None:
    """Where the market traded last, None before its first trade."""
    async with database.transaction(read_only=True) as transaction:
        trades = await recent_trades(transaction, market.number, 1)
    return trades[0].price_ticks if trades else None
