"""A small honest venue to audit: real admission, the real engine, the real settlement, and no workers."""

import asyncio
from typing import Final

from crossbook.application.accounts import UserKind
from crossbook.application.audit import Check
from crossbook.application.desk import Desk
from crossbook.application.funds import Funds
from crossbook.application.markets import Market, Markets
from crossbook.application.marks import Marks
from crossbook.application.requests import AmendRequest, NewOrder, SystemRequest
from crossbook.application.transfers import News, TransferRequest, Transfers
from crossbook.domain.commands import ApplyFunding, ForceTrade
from crossbook.domain.instruments import BTC, USDC, Instrument, InstrumentKind, btc_perp
from crossbook.domain.money import Step
from crossbook.domain.orders import OrderType, SelfTradePrevention, Side, TimeInForce
from crossbook.domain.transfers import CustodyNews, Payment, TransferPlatform, TransferType
from crossbook.matching import Engine
from crossbook.matching.codec import decode_records
from crossbook.storage import commands_log, snapshots
from crossbook.storage import markets as stored_markets
from crossbook.storage.admission import AdmissionStore
from crossbook.storage.audit import audit
from crossbook.storage.database import Database
from crossbook.storage.funds import FundsStore
from crossbook.storage.settlement import read_terms, settle_batch
from crossbook.storage.simulated_custodian import SimulatedCustodian
from crossbook.storage.transfers import TransferStore
from crossbook.storage.users import UserStore
from crossbook.system import Ids, ManualClock
from tests.storage.swapping import World

SPOT: Final = Instrument(
    "BTC-USDC", InstrumentKind.SPOT, BTC, USDC, Step.of("0.5"), Step.of("0.0001"), maker_fee_ppm=200, taker_fee_ppm=500
)
PERP: Final = btc_perp()
SPOT_TICKS: Final = 130_000
PERP_TICKS: Final = 650_000
ALL: Final = 10**9


class AuditedVenue:
    """One spot and one perpetual market, three traders, and an engine for each market."""

    def __init__(
        self,
        database: Database,
        markets: list[Market],
        traders: list[int],
        desk: Desk,
        transfers: Transfers,
        clock: ManualClock,
    ) -> None:
        self.database = database
        self.spot, self.perp = (market.number for market in markets)
        self.markets = markets
        self.traders = traders
        self.desk = desk
        self.resting: dict[int, int] = {}  # an order of the third trader that rests, by market
        self.transfers = transfers
        self.clock = clock
        self.engines = {market.number: Engine() for market in markets}

    async def submit(
        self,
        trader: int,
        market_id: int,
        side: Side,
        lots: int,
        ticks: int,
        kind: OrderType = OrderType.LIMIT,
        **terms: object,
    ) -> int:
        """Enter an order; gives its id."""
        tif = TimeInForce.IOC if kind is OrderType.MARKET else TimeInForce.GTC
        leverage = 10 if market_id == self.perp else 1
        order = NewOrder(
            self.traders[trader],
            market_id,
            side,
            kind,
            lots,
            ticks,
            **{"time_in_force": tif, "leverage": leverage, **terms},  # type: ignore[arg-type]
        )
        return (await self.desk.submit(order)).order_id

    async def settle(self, at_most: int = ALL) -> None:
        """Match and settle what is in the logs, of each market up to the sequence `at_most`."""
        for market in self.markets:
            engine = self.engines[market.number]
            async with self.database.transaction() as transaction:
                logged = await commands_log.read(transaction, market.number, engine.last_sequence + 1, ALL)
                entries = [
                    (command.sequence, decode_records(engine.process(command.record)))
                    for command in logged
                    if command.sequence <= at_most
                ]
                if entries:
                    await settle_batch(transaction, await read_terms(transaction, market.symbol), entries)

    async def snapshot(self) -> None:
        """Store the state of every engine."""
        async with self.database.transaction() as transaction:
            for number, engine in self.engines.items():
                stored = snapshots.StoredSnapshot(number, engine.last_sequence, engine.snapshot())
                await snapshots.store(transaction, stored, 0)

    async def trade(self) -> None:
        """An honest history of both markets: trades, cancels, rejects, prevention, icebergs, a stop; transfers."""
        for market_id, ticks, unit in ((self.spot, SPOT_TICKS, 100), (self.perp, PERP_TICKS, 10)):
            await self.submit(0, market_id, Side.SELL, 5 * unit, ticks)
            await self.submit(0, market_id, Side.SELL, 5 * unit, ticks + 7, client_order_id=f"mine-{market_id}")
            await self.submit(1, market_id, Side.BUY, 7 * unit, ticks + 9)
            await self.submit(1, market_id, Side.BUY, 3 * unit, ticks - 5, display_quantity_lots=unit)
            gone = await self.submit(2, market_id, Side.BUY, 2 * unit, ticks - 6)
            await self.desk.cancel(self.traders[2], gone)
            await self.submit(2, market_id, Side.SELL, unit, ticks - 5, post_only=True)
            await self.submit(2, market_id, Side.SELL, unit, ticks - 9, OrderType.MARKET)
            await self.submit(
                1, market_id, Side.BUY, unit, ticks - 20, OrderType.STOP_LIMIT, trigger_price_ticks=ticks + 90
            )
            resting = await self.submit(2, market_id, Side.BUY, 2 * unit, ticks - 8)
            self.resting[market_id] = resting
            decrement = SelfTradePrevention.DECREMENT
            await self.submit(1, market_id, Side.SELL, unit, ticks - 5, self_trade_prevention=decrement)
        await self.submit(1, self.spot, Side.BUY, 0, 0, OrderType.MARKET, budget=(SPOT_TICKS + 7) * 10)
        await self.submit(1, self.perp, Side.SELL, 20, PERP_TICKS + 400, reduce_only=True)
        await self.settle()
        await self.snapshot()
        await self._be_funded_and_deleveraged()
        # Closes a part of the long position with a loss, so that something is realised.
        maker = SelfTradePrevention.EXPIRE_MAKER
        await self.submit(1, self.perp, Side.SELL, 15, PERP_TICKS - 8, self_trade_prevention=maker)
        await self.settle()
        # Accepted and not settled: nothing of it is a fault.
        await self.submit(2, self.spot, Side.BUY, 100, SPOT_TICKS - 3)
        await self.submit(1, self.spot, Side.BUY, 0, 0, OrderType.MARKET, budget=SPOT_TICKS * 10)
        await self.submit(2, self.perp, Side.BUY, 10, PERP_TICKS - 3)
        await self.submit(0, self.perp, Side.SELL, 10, PERP_TICKS - 3)
        for _, order_id in sorted(self.resting.items()):
            await self.desk.amend(AmendRequest(self.traders[2], order_id, quantity_lots=4_000))
            await self.desk.amend(AmendRequest(self.traders[2], order_id, price_ticks=100_000))
        for client_id, kind in (("paid", TransferType.DEPOSIT), ("paid out", TransferType.WITHDRAW)):
            payment = Payment(self.traders[2], "BTC", 1_000, kind, TransferPlatform.CRYPTO)
            entered = await self.transfers.request(TransferRequest(payment, "", client_id))
            await self.transfers.note(entered.transfer_id, News(CustodyNews.PAID))
        internal = Payment(
            self.traders[2], "BTC", 10, TransferType.WITHDRAW, TransferPlatform.INTERNAL, self.traders[1]
        )
        await self.transfers.request(TransferRequest(internal))
        waits = Payment(self.traders[2], "BTC", 77, TransferType.WITHDRAW, TransferPlatform.FIAT)
        await self.transfers.request(TransferRequest(waits))

    async def _be_funded_and_deleveraged(self) -> None:
        """A period of funding, and a short of the first trader that is closed against the second."""
        buyer, seller = self.traders[:2]
        makers = (
            lambda sequence, now_ms: ApplyFunding(sequence, now_ms, 0, 123_457, PERP_TICKS),
            lambda sequence, now_ms: ForceTrade(sequence, now_ms, buyer, seller, PERP_TICKS + 3, 2),
        )
        await self.desk.system(SystemRequest(self.perp, makers))

    async def trade_a_little(self, trader: int) -> None:
        """One trader sells and buys around the price, and ends with a cancel of everything."""
        for market_id, ticks, lots in ((self.spot, SPOT_TICKS, 40), (self.perp, PERP_TICKS, 4)):
            await self.submit(trader, market_id, Side.SELL, lots, ticks + trader)
            await self.submit(trader, market_id, Side.BUY, lots + 3, ticks + 2 - trader)
        await self.desk.cancel_all(self.traders[trader])


async def open_venue(database: Database) -> tuple[AuditedVenue, "asyncio.Task[None]", asyncio.Event]:
    """A venue whose desk runs until the event is set."""
    async with database.transaction() as transaction:
        # The perpetual first: its quote is a margin asset.
        perp = await stored_markets.put(transaction, PERP, 0)
        spot = await stored_markets.put(transaction, SPOT, 0)
    markets = Markets([spot, perp])
    clock = ManualClock()
    marks = Marks()
    marks.set(perp.number, PERP_TICKS)
    funds = Funds(FundsStore(database), markets, marks, clock)
    users = UserStore(database)
    traders = []
    for _ in range(3):
        user = await users.create(UserKind.GUEST, 1, email=None, password_hash=None, name="", scopes=frozenset())
        await funds.deposit(user.account_id, "USDC", 10**12)
        await funds.deposit(user.account_id, "BTC", 10**10)
        traders.append(user.account_id)
    desk = Desk(AdmissionStore(database), markets, marks, clock, Ids(clock, 1), lambda _: None)
    stop = asyncio.Event()
    running = asyncio.ensure_future(desk.run(stop))
    custodian = SimulatedCustodian(database, clock, 0, CustodyNews.PAID)
    transfers = Transfers(TransferStore(database), custodian, funds, clock, open_limit=10)
    return AuditedVenue(database, [spot, perp], traders, desk, transfers, clock), running, stop


async def with_history(database: Database) -> AuditedVenue:
    """A venue that has traded, its desk at rest."""
    venue, running, stop = await open_venue(database)
    await venue.trade()
    stop.set()
    await running
    await _swap(database)
    return venue


async def _swap(database: Database) -> None:
    """A confirmed swap, one that is pending, and an offer that was cancelled."""
    world = World(database)
    alice, bob, carol = await world.start()
    buy, sell = await world.offer(alice, Side.BUY), await world.offer(bob, Side.SELL, amount="25")
    await world.swaps.confirm(bob, await world.swaps.apply(alice, buy, sell, "ab"))
    await world.swaps.apply(carol, await world.offer(carol, Side.BUY, "3", "5"), sell, "cd")
    await world.swaps.cancel(alice, await world.offer(alice, Side.BUY))


def differences(checks: list[Check]) -> dict[str, str]:
    """What the checks found, by their names."""
    return {check.name: check.difference for check in checks if check.difference is not None}


async def audited(database: Database) -> dict[str, str]:
    """The differences that an audit finds."""
    return differences(await audit(database))
