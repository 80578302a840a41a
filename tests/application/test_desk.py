"""The order desk on a real database: what it accepts is in the log, what it refuses leaves no trace."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from msgspec.structs import replace

from crossbook.application.accounts import UserKind
from crossbook.application.desk import Desk
from crossbook.application.errors import (
    DuplicateClientOrderId,
    InsufficientFunds,
    InvalidOrder,
    MarketNotFound,
    OrderNotFound,
    OrderNotOpen,
    StoreRefused,
)
from crossbook.application.funds import Funds
from crossbook.application.markets import Market, Markets
from crossbook.application.marks import Marks
from crossbook.application.requests import NewOrder, PlacedOrder
from crossbook.application.views import Page
from crossbook.domain.instruments import BTC, USDC, Instrument, InstrumentKind, btc_perp, eth_perp
from crossbook.domain.lifecycle import OrderStatus
from crossbook.domain.margin import InsufficientMargin
from crossbook.domain.money import Step
from crossbook.domain.orders import OrderType, Side, TimeInForce
from crossbook.matching import Engine
from crossbook.storage import commands_log
from crossbook.storage import markets as market_statements
from crossbook.storage.admission import AdmissionStore
from crossbook.storage.database import Database
from crossbook.storage.funds import FundsStore
from crossbook.storage.lag import take_id_node
from crossbook.storage.queries import Queries
from crossbook.storage.users import UserStore
from crossbook.system import NODES, Ids, SystemClock

SPOT = Instrument(
    "BTC-USDC", InstrumentKind.SPOT, BTC, USDC, Step.of("0.5"), Step.of("0.0001"), maker_fee_ppm=200, taker_fee_ppm=500
)
UNIT = 1_000_000


class Venue:
    """The parts that a test needs, on one database."""

    def __init__(self, database: Database, markets: list[Market]) -> None:
        clock = SystemClock()
        self.database = database
        self.markets = Markets(markets)
        self.perp, self.other_perp, self.spot = markets
        self.marks = Marks()
        self.marks.set(self.perp.number, 650_000)
        self.batches: list[int] = []
        self.committed: list[int] = []
        self.queries = Queries(database)
        self.funds = Funds(FundsStore(database), self.markets, self.marks, clock)
        self.users = UserStore(database)
        self.desk = Desk(
            AdmissionStore(database),
            self.markets,
            self.marks,
            clock,
            Ids(clock, 1),
            self.committed.extend,
            self.batches.append,
        )

    async def trader(self, usdc: int) -> int:
        """A new account with this much USDC."""
        user = await self.users.create(UserKind.GUEST, 1, email=None, password_hash=None, name="", scopes=frozenset())
        if usdc:
            await self.funds.deposit(user.account_id, "USDC", usdc * UNIT)
        return user.account_id

    def buy(self, account_id: int, quantity_lots: int = 1_250, price_ticks: int = 650_000) -> NewOrder:
        """The seed's order: 1.25 at 65,000 with leverage 10, post-only."""
        return NewOrder(
            account_id,
            self.perp.number,
            Side.BUY,
            OrderType.LIMIT,
            quantity_lots,
            price_ticks,
            post_only=True,
            leverage=10,
        )

    async def log(self, market: Market) -> list[commands_log.LoggedCommand]:
        """Everything in a market's log."""
        async with self.database.snapshot() as transaction:
            return await commands_log.read(transaction, market.number, 1, 1_000)


def at_the_desk(url: str, scenario: Callable[[Venue], Awaitable[None]]) -> None:
    """Run `scenario` with an open desk."""

    async def run() -> None:
        database = await Database.connect(url, max_connections=4)
        try:
            async with database.transaction() as transaction:
                markets = [await market_statements.put(transaction, i, 1) for i in (btc_perp(), eth_perp(), SPOT)]
                assert await market_statements.load(transaction) == markets
            venue = Venue(database, markets)
            stop = asyncio.Event()
            working = asyncio.create_task(venue.desk.run(stop))
            async with asyncio.timeout(60):
                await scenario(venue)
            stop.set()
            await working
        finally:
            await database.close()

    asyncio.run(run())


def test_an_accepted_order_is_pending_held_and_in_the_log(database_url: str) -> None:
    async def scenario(venue: Venue) -> None:
        account = await venue.trader(10_000)
        placed = await venue.desk.submit(venue.buy(account))
        order = await venue.queries.order(account, placed.order_id)
        assert order is not None
        assert (order.status, order.open_lots, order.price_ticks) == (OrderStatus.PENDING, 1_250, 650_000)
        (command,) = await venue.log(venue.perp)
        assert command.sequence == 1
        engine = Engine()
        engine.process(command.record)
        view = engine.order(placed.order_id)
        assert view is not None
        assert (view.account_id, view.open_lots, view.price_ticks) == (account, 1_250, 650_000)
        assert venue.committed == [venue.perp.number]

    at_the_desk(database_url, scenario)


def test_the_seeds_order_needs_its_margin_to_the_last_unit(database_url: str) -> None:
    async def scenario(venue: Venue) -> None:
        # Initial margin 8,125 and, post-only, the maker's fee 16.25.
        account = await venue.trader(0)
        await venue.funds.deposit(account, "USDC", 8_141_250_000 - 1)
        with pytest.raises(InsufficientMargin) as refused:
            await venue.desk.submit(venue.buy(account))
        assert (refused.value.required_units, refused.value.available_units) == (8_141_250_000, 8_141_249_999)
        assert await venue.log(venue.perp) == []
        await venue.funds.deposit(account, "USDC", 1)
        assert (await venue.desk.submit(venue.buy(account))).status is OrderStatus.PENDING

    at_the_desk(database_url, scenario)


def test_of_fifty_orders_at_once_on_a_balance_for_nine_exactly_nine_are_accepted(database_url: str) -> None:
    async def scenario(venue: Venue) -> None:
        account = await venue.trader(0)
        await venue.funds.deposit(account, "USDC", 9 * 8_141_250_000)
        answers = await venue.desk.submit_many([venue.buy(account) for _ in range(50)])
        assert sum(isinstance(answer, PlacedOrder) for answer in answers) == 9
        assert sum(isinstance(answer, InsufficientMargin) for answer in answers) == 41
        assert len(await venue.log(venue.perp)) == 9
        assert len(await venue.queries.orders(account, Page(100))) == 9
        assert max(venue.batches) > 1

    at_the_desk(database_url, scenario)


def test_a_repeat_under_one_client_id_gives_the_same_order_and_another_body_is_refused(database_url: str) -> None:
    async def scenario(venue: Venue) -> None:
        account = await venue.trader(100_000)
        order = replace(venue.buy(account), client_order_id="client-123")
        first, second = await asyncio.gather(venue.desk.submit(order), venue.desk.submit(order))
        third = await venue.desk.submit(order)
        assert first.order_id == second.order_id == third.order_id
        assert [first.repeated, second.repeated, third.repeated] == [False, True, True]
        with pytest.raises(DuplicateClientOrderId):
            await venue.desk.submit(replace(order, price_ticks=650_001))
        assert len(await venue.log(venue.perp)) == 1
        stranger = await venue.trader(100_000)
        assert not (await venue.desk.submit(replace(order, account_id=stranger))).repeated

    at_the_desk(database_url, scenario)


def test_two_desks_that_meet_over_one_client_id_agree_on_one_order(database_url: str) -> None:
    async def scenario(venue: Venue) -> None:
        account = await venue.trader(100_000)
        order = replace(venue.buy(account), client_order_id="shared")
        clock = SystemClock()
        other = Desk(AdmissionStore(venue.database), venue.markets, venue.marks, clock, Ids(clock, 2), lambda _: None)
        stop = asyncio.Event()
        working = asyncio.create_task(other.run(stop))
        answers = await asyncio.gather(*(desk.submit(order) for _ in range(10) for desk in (venue.desk, other)))
        stop.set()
        await working
        assert len({answer.order_id for answer in answers}) == 1
        assert len(await venue.log(venue.perp)) == 1

    at_the_desk(database_url, scenario)


class TakenIds:
    """Gives ids that others have, before it gives free ones."""

    def __init__(self, taken: list[int], free: Ids) -> None:
        self._taken = taken
        self._free = free

    def next(self) -> int:
        return self._taken.pop() if self._taken else self._free.next()


def test_an_order_whose_id_is_taken_gets_another_one(database_url: str) -> None:
    async def scenario(venue: Venue) -> None:
        account = await venue.trader(1_000_000)
        first = await venue.desk.submit(venue.buy(account, 1))
        clock = SystemClock()
        ids = TakenIds([first.order_id] * 3, Ids(clock, 2))
        other = Desk(AdmissionStore(venue.database), venue.markets, venue.marks, clock, ids, lambda _: None)
        stop = asyncio.Event()
        working = asyncio.create_task(other.run(stop))
        answers = await asyncio.gather(*(other.submit(venue.buy(account, 1)) for _ in range(2)))
        assert len({first.order_id, *(answer.order_id for answer in answers)}) == 3
        ids._taken += [first.order_id] * 4
        with pytest.raises(StoreRefused):
            await other.submit(venue.buy(account, 1))
        stop.set()
        await working
        assert len(await venue.log(venue.perp)) == 3

    at_the_desk(database_url, scenario)


def test_every_start_makes_its_ids_on_another_node(database_url: str) -> None:
    async def scenario(venue: Venue) -> None:
        async def node() -> int:
            async with venue.database.transaction() as transaction:
                return await take_id_node(transaction)

        nodes = await asyncio.gather(*(node() for _ in range(50)))
        assert len(set(nodes)) == 50
        assert set(nodes) <= set(range(NODES))
        async with venue.database.transaction() as transaction:
            await transaction.execute("SELECT setval('id_nodes', $1)", NODES - 1)
        assert await node() == 0

    at_the_desk(database_url, scenario)


def test_a_bad_order_never_fails_its_neighbours(database_url: str) -> None:
    async def scenario(venue: Venue) -> None:
        rich, poor = await venue.trader(100_000), await venue.trader(1)
        good = venue.buy(rich)
        answers = await venue.desk.submit_many(
            [
                good,
                venue.buy(poor),
                replace(good, market_id=99),
                replace(good, quantity_lots=0),
                replace(good, leverage=21),
                good,
            ]
        )
        kinds = [type(answer) for answer in answers]
        assert kinds == [PlacedOrder, InsufficientMargin, MarketNotFound, InvalidOrder, InvalidOrder, PlacedOrder]
        assert [command.sequence for command in await venue.log(venue.perp)] == [1, 2]

    at_the_desk(database_url, scenario)


def test_a_spot_order_holds_its_value_and_the_takers_fee(database_url: str) -> None:
    async def scenario(venue: Venue) -> None:
        account = await venue.trader(1_000)
        # 0.01 BTC at 50,000.0 is 500 USDC, the fee at most 0.25.
        order = NewOrder(account, venue.spot.number, Side.BUY, OrderType.LIMIT, 100, 100_000)
        placed = await venue.desk.submit(order)
        (balance,) = await venue.queries.balances(account)
        assert (balance.total_units, balance.held_units) == (1_000 * UNIT, 500_250_000)
        details = await venue.queries.order(account, placed.order_id)
        assert details is not None
        assert details.held_units == 500_250_000
        with pytest.raises(InsufficientFunds) as refused:
            await venue.desk.submit(order)
        assert (refused.value.required_units, refused.value.available_units) == (500_250_000, 499_750_000)
        with pytest.raises(InsufficientFunds):
            await venue.desk.submit(replace(order, side=Side.SELL))

    at_the_desk(database_url, scenario)


def test_only_the_owner_may_cancel_and_only_what_is_live(database_url: str) -> None:
    async def scenario(venue: Venue) -> None:
        account, stranger = await venue.trader(100_000), await venue.trader(0)
        placed = await venue.desk.submit(venue.buy(account))
        with pytest.raises(OrderNotFound):
            await venue.desk.cancel(stranger, placed.order_id)
        with pytest.raises(OrderNotFound):
            await venue.desk.cancel(account, placed.order_id + 1)
        await venue.desk.cancel(account, placed.order_id)
        first, second = await venue.log(venue.perp)
        engine = Engine()
        engine.process(first.record + second.record)
        assert engine.open_orders == 0
        async with venue.database.transaction() as transaction:
            await transaction.execute("UPDATE orders SET status = 5, reason = 400, open_lots = 0")
        with pytest.raises(OrderNotOpen):
            await venue.desk.cancel(account, placed.order_id)

    at_the_desk(database_url, scenario)


def test_cancel_all_names_the_accounts_live_orders_of_the_market_asked_for(database_url: str) -> None:
    async def scenario(venue: Venue) -> None:
        account, stranger = await venue.trader(100_000), await venue.trader(100_000)
        venue.marks.set(venue.other_perp.number, 300_000)
        mine = [await venue.desk.submit(venue.buy(account, 1)) for _ in range(3)]
        other = await venue.desk.submit(replace(venue.buy(account, 1, 300_000), market_id=venue.other_perp.number))
        theirs = await venue.desk.submit(venue.buy(stranger, 1))
        assert await venue.desk.cancel_all(account, venue.perp.number) == [order.order_id for order in mine]
        assert set(await venue.desk.cancel_all(account)) == {*(order.order_id for order in mine), other.order_id}
        engine = Engine()
        engine.process(b"".join(command.record for command in await venue.log(venue.perp)))
        assert engine.open_orders == 1
        assert engine.order(theirs.order_id) is not None

    at_the_desk(database_url, scenario)


def test_an_order_that_no_row_can_hold_is_refused_alone(database_url: str) -> None:
    async def scenario(venue: Venue) -> None:
        account = await venue.trader(100_000)
        good = venue.buy(account, 1)
        wrong = replace(good, client_order_id="x" * 200)  # longer than the schema allows
        answers = await asyncio.gather(*(venue.desk.submit(o) for o in (good, wrong, good)), return_exceptions=True)
        assert [isinstance(answer, PlacedOrder) for answer in answers] == [True, False, True]
        assert len(await venue.log(venue.perp)) == 2

    at_the_desk(database_url, scenario)


def test_what_a_market_order_can_cost_must_be_known(database_url: str) -> None:
    async def scenario(venue: Venue) -> None:
        account = await venue.trader(100_000)
        order = replace(
            venue.buy(account, 1), type=OrderType.MARKET, time_in_force=TimeInForce.IOC, post_only=False, price_ticks=0
        )
        with pytest.raises(InvalidOrder, match="price"):
            await venue.desk.submit(order)
        assert (await venue.desk.submit(replace(order, price_ticks=682_500))).status is OrderStatus.PENDING
        with pytest.raises(InvalidOrder, match="budget"):
            await venue.desk.submit(replace(order, quantity_lots=0, budget=10**6))

    at_the_desk(database_url, scenario)


def test_money_comes_in_and_goes_out_but_never_what_orders_need(database_url: str) -> None:
    async def scenario(venue: Venue) -> None:
        account = await venue.trader(10_000)
        await venue.desk.submit(venue.buy(account))
        with pytest.raises(InsufficientFunds) as refused:
            await venue.funds.withdraw(account, "USDC", 10_000 * UNIT)
        assert refused.value.available_units == 10_000 * UNIT - 8_141_250_000
        balance = await venue.funds.withdraw(account, "USDC", refused.value.available_units)
        assert balance.total_units == 8_141_250_000
        with pytest.raises(InvalidOrder, match="amount"):
            await venue.funds.deposit(account, "USDC", 0)
        await venue.funds.deposit(account, "USDC", 1 << 62)
        with pytest.raises(InvalidOrder, match="more than the venue can hold"):
            await venue.funds.deposit(account, "USDC", 1 << 62)
        async with venue.database.snapshot() as transaction:
            assert await transaction.value("SELECT sum(total_units) FROM balances") == 0
            assert await transaction.value("SELECT sum(amount_units) FROM postings") == 0

    at_the_desk(database_url, scenario)


def test_lists_are_newest_first_and_pages_lose_nothing(database_url: str) -> None:
    async def scenario(venue: Venue) -> None:
        account = await venue.trader(100_000)
        placed = [(await venue.desk.submit(venue.buy(account, 1))).order_id for _ in range(7)]
        seen: list[int] = []
        page = Page(3)
        while rows := await venue.queries.orders(account, page):
            seen += [row.order_id for row in rows]
            await venue.desk.submit(venue.buy(account, 1))  # rows that arrive meanwhile do not disturb
            page = Page(3, rows[-1].order_id)
        assert seen == placed[::-1]
        assert await venue.queries.orders(account, Page(10), status=OrderStatus.FILLED) == []
        assert await venue.queries.order(account + 1, placed[0]) is None

    at_the_desk(database_url, scenario)
