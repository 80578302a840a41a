"""A venue that speaks Flux on loopback ports: database, desk, workers and servers in one thread of its own.

It speaks TrueX too, on the same markets. It is served seven times: embedded, as production, with budgets that are
soon spent, with its database away, without patience for slow bodies, with the older version of TrueX deprecated, and
with a fault in its code.
"""

import asyncio
import socket
import threading
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date
from itertools import count
from typing import Any, TypeVar

from starlette.routing import WebSocketRoute

from crossbook.application.accounts import Accounts, UserKind, session_hash
from crossbook.application.api_keys import ApiKeys
from crossbook.application.books import Books, Needs
from crossbook.application.clients import Clients
from crossbook.application.desk import Desk
from crossbook.application.funds import Funds
from crossbook.application.margin_terms import MarginTerms
from crossbook.application.market_limits import Limits, MarketLimits
from crossbook.application.markets import Market, Markets
from crossbook.application.marks import Marks
from crossbook.application.operations import Operations
from crossbook.application.requests import SystemRequest
from crossbook.application.transfers import Transfers
from crossbook.application.views import Holdings
from crossbook.dialects.endpoint import Surroundings
from crossbook.dialects.flux.endpoints import flux_dialect
from crossbook.dialects.flux.services import Services
from crossbook.dialects.flux.socket import FluxSocket
from crossbook.dialects.truex.endpoints import truex_dialect
from crossbook.dialects.truex.services import Services as TruexServices
from crossbook.dialects.truex.socket import TruexSocket
from crossbook.dialects.truex.versions import V2024, versions_of
from crossbook.dialects.versions import Retirement
from crossbook.domain import ledger as journals
from crossbook.domain.accounts import INSURANCE
from crossbook.domain.commands import SingleCommand
from crossbook.domain.instruments import BTC, USDC, Instrument, InstrumentKind, btc_perp, btc_pyusd, eth_perp
from crossbook.domain.ledger import Journal, LedgerType
from crossbook.domain.money import Step
from crossbook.domain.transfers import CustodyNews
from crossbook.security.passwords import HashCost, Passwords
from crossbook.security.sealing import Sealer
from crossbook.security.tokens import Tokens
from crossbook.server.app import Listening, Server, build_app, make_server
from crossbook.server.limits import Budget, LoginThrottle, RateLimiter, RateLimits
from crossbook.server.websocket import SocketLimits, SocketRoom
from crossbook.settings import RuntimeMode
from crossbook.storage import commands_log, ledger
from crossbook.storage import markets as stored_markets
from crossbook.storage.activity import ActivityReader
from crossbook.storage.admission import AdmissionStore
from crossbook.storage.api_keys import KeyStore
from crossbook.storage.assets import AssetList
from crossbook.storage.client_orders import ClientOrders
from crossbook.storage.clients import ClientStore
from crossbook.storage.database import Database
from crossbook.storage.errors import DatabaseUnavailable, StatementTooSlow, TransactionConflict
from crossbook.storage.funding_queries import FundingQueries
from crossbook.storage.funds import FundsStore
from crossbook.storage.liquidation_queries import LiquidationQueries, Ranks
from crossbook.storage.liquidations import repay_bad_debt
from crossbook.storage.margin_terms import MarginStore
from crossbook.storage.market_limits import LimitStore
from crossbook.storage.operations import OperationsRecord
from crossbook.storage.queries import Queries
from crossbook.storage.simulated_custodian import SimulatedCustodian
from crossbook.storage.transfers import TransferStore
from crossbook.storage.users import UserStore
from crossbook.streams.in_process import InProcessStreams
from crossbook.streams.port import StreamKind
from crossbook.system import Ids, SystemClock
from crossbook.workers.account_feed import AccountFeed
from crossbook.workers.market_data import MarketData, MarketDataUnavailable, MarketFeed
from crossbook.workers.matcher import Matcher
from crossbook.workers.names import MarketName
from crossbook.workers.relay import Relay
from crossbook.workers.settler import Settler
from crossbook.workers.transfers import TransferDriver
from crossbook.workers.wake import Wake
from tests.server.running import Recorded, setup_for

T = TypeVar("T")
DEADLINE_S = 60
CUSTODY_MS = 3_600_000
"""Longer than any test: the custodian ends what it is told to end."""
"""When a wait is given up."""
SPOT = Instrument(
    "BTC-USDC", InstrumentKind.SPOT, BTC, USDC, Step.of("0.5"), Step.of("0.0001"), maker_fee_ppm=200, taker_fee_ppm=500
)
UNAVAILABLE = (DatabaseUnavailable, TransactionConflict, StatementTooSlow, MarketDataUnavailable)
CHEAP = HashCost(memory_kib=64, passes=1)
SOCKET_LIMITS = SocketLimits(messages_per_s=1_000, messages_burst=1_000, heartbeat_s=2.0, idle_s=3_600)
RETIREMENT = Retirement(date(2026, 6, 1), date(2027, 6, 1))
FRIEND = "https://friend.example"
"""A web origin whose pages may open WebSockets."""


class AwayStore:
    """A store of orders that cannot be reached."""

    async def commit(
        self, needs: Needs, decide: Callable[[Books], list[Any]], now_ms: int, followed: Callable[[], bool]
    ) -> list[Any]:
        raise DatabaseUnavailable("gone")

    async def close(self) -> None:
        pass


class FaultyQueries(Queries):
    """Queries with a fault in the code of one of them."""

    async def holdings(self, account_id: int) -> Holdings:
        raise RuntimeError("secret detail")


@dataclass
class Parts:
    """What runs, and what tests reach for."""

    database: Database
    markets: Markets
    marks: Marks
    users: UserStore
    accounts: Accounts
    tokens: Tokens
    feeds: dict[int, MarketFeed]
    services: Services
    truex: TruexServices
    keys: ApiKeys
    away: Desk


class FluxVenue:
    """A running venue as tests use it, from another thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop, parts: Parts, addresses: dict[str, str]) -> None:
        self.addresses = addresses
        self.recorded = Recorded()
        self.parts = parts
        self._loop = loop
        self._names = count(1)

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Let the venue's loop run a coroutine."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(DEADLINE_S)

    def settle(self) -> None:
        """Return when all that was accepted is settled, and seen in the public data."""
        self.run(settled(self.parts.database, self.parts.feeds))

    def log(self, symbol: str, make: Callable[[int, int], SingleCommand]) -> None:
        """Put a command of the venue itself into a market's log, and settle it."""
        number = self.parts.markets.named(symbol).number
        self.run(self.parts.services.desk.system(SystemRequest(number, (make,))))
        self.settle()

    def account_of(self, user_id: str) -> int:
        """The account of a user."""
        user = self.run(self.parts.users.by_id(int(user_id)))
        assert user is not None
        return user.account_id

    def set_mark(self, symbol: str, price: str) -> None:
        """State a mark price."""
        market = self.parts.markets.named(symbol)
        self.parts.marks.set(market.number, market.instrument.price_ticks(price))

    def operator(self, scopes: frozenset[str]) -> str:
        """The token of a new user with these scopes."""

        async def make() -> str:
            email = f"operator{next(self._names)}@example.com"
            kind = UserKind.ADMINISTRATOR
            await self.parts.accounts.register(email, "long-password", kind=kind, scopes=scopes)
            return (await self.parts.accounts.login(email, "long-password")).token

        return self.run(make())

    async def lose(self, asset: str, amount: int) -> None:
        """A loss that neither its owner nor the insurance fund can pay, in whole units of the asset: bad debt."""
        user = await self.parts.users.create(
            UserKind.GUEST, 0, email=None, password_hash=None, name="loser", scopes=frozenset()
        )
        units = amount * 10 ** await self.parts.services.funds.decimals_of(asset)
        await self._post(LedgerType.LIQUIDATION_LOSS, journals.cover_loss(user.account_id, asset, units, 0), asset)

    async def repay(self, asset: str, amount: int) -> None:
        """Money for the insurance fund, out of which open bad debt is repaid."""
        units = amount * 10 ** await self.parts.services.funds.decimals_of(asset)
        await self._post(LedgerType.DEPOSIT, journals.deposit(INSURANCE, asset, units), asset)
        async with self.parts.database.transaction() as transaction:
            asset_id = (await stored_markets.asset_ids(transaction))[asset]
            assert await repay_bad_debt(transaction, asset, asset_id, SystemClock().now_ms())

    async def _post(self, kind: LedgerType, journal: Journal, asset: str) -> None:
        async with self.parts.database.transaction() as transaction:
            asset_ids = await stored_markets.asset_ids(transaction)
            await ledger.post(transaction, [ledger.Entry(kind, journal)], asset_ids, SystemClock().now_ms())

    def break_feed(self, symbol: str) -> None:
        """Let a market's feed lose its place, as when the stream no longer has what it needs."""

        async def lose() -> None:
            feed = self.parts.feeds[self.parts.markets.named(symbol).number]
            feed._left_behind = True

        self.run(lose())

    def revoke(self, token: str) -> None:
        """End the session of a token."""
        digest = session_hash(self.parts.tokens.read(token).token_id)
        self.run(self.parts.users.revoke_session(digest, SystemClock().now_ms()))


async def settled(database: Database, feeds: dict[int, MarketFeed]) -> None:
    """Return when everything accepted before the call is settled and in the public data."""
    async with database.snapshot() as transaction:
        wanted = {number: pair[0] for number, pair in (await commands_log.last_sequences(transaction)).items()}
    async with asyncio.timeout(DEADLINE_S):
        while True:
            async with database.snapshot() as transaction:
                reached = await commands_log.last_sequences(transaction)
            if all(
                reached[number][1] >= sequence and feeds[number].sequence >= sequence
                for number, sequence in wanted.items()
            ):
                return
            await asyncio.sleep(0.005)


@contextmanager
def running_venue(url: str) -> Iterator[FluxVenue]:
    """A venue on this database, while the block runs."""
    made: list[FluxVenue] = []
    failed: list[BaseException] = []
    ready, end = threading.Event(), threading.Event()

    def thread() -> None:
        try:
            asyncio.run(_live(url, made.append, ready, end))
        except BaseException as error:
            failed.append(error)
            ready.set()
            raise

    running = threading.Thread(target=thread, daemon=True)
    running.start()
    assert ready.wait(DEADLINE_S)
    assert not failed, failed
    try:
        yield made[0]
    finally:
        end.set()
        running.join(DEADLINE_S)
        assert not running.is_alive()


async def _live(url: str, made: Callable[[FluxVenue], None], ready: threading.Event, end: threading.Event) -> None:
    """Start everything, tell, and stop when asked to."""
    database = await Database.connect(url, max_connections=12)
    clock, stop = SystemClock(), asyncio.Event()
    async with database.transaction() as transaction:
        listed = [
            await stored_markets.put(transaction, terms, 1) for terms in (btc_perp(), eth_perp(), SPOT, btc_pyusd())
        ]
    parts, work, passwords = _build(database, listed, clock)
    tasks: list[asyncio.Task[None]] = [asyncio.create_task(each(stop)) for each in work]
    venue = FluxVenue(asyncio.get_running_loop(), parts, {})
    servers = _servers(parts, venue, clock)
    tasks += [asyncio.create_task(server.serve(sockets=[listener])) for server, listener in servers]
    try:
        async with asyncio.timeout(DEADLINE_S):
            while not all(server.started for server, _ in servers) or not _have_data(parts.feeds):
                failed = [task for task in tasks if task.done()]
                assert not failed, failed
                await asyncio.sleep(0.01)
        made(venue)
        ready.set()
        while not end.is_set():
            await asyncio.sleep(0.02)
    finally:
        for server, _ in servers:
            server.should_exit = True
        stop.set()
        await asyncio.gather(*tasks)
        passwords.close()
        await database.close()


def _have_data(feeds: dict[int, MarketFeed]) -> bool:
    try:
        return all(feed.sequence >= 0 for feed in feeds.values())
    except MarketDataUnavailable:
        return False


Work = Callable[[asyncio.Event], Coroutine[Any, Any, None]]


def _build(database: Database, listed: Sequence[Market], clock: SystemClock) -> tuple[Parts, list[Work], Passwords]:
    """The venue's parts, and the loops that make it run."""
    commands, events = InProcessStreams(StreamKind.COMMANDS), InProcessStreams(StreamKind.EVENTS)
    markets, marks, wake = Markets(listed), Marks(), {market.number: Wake() for market in listed}
    ids = Ids(clock, 1)

    def committed(numbers: Any) -> None:
        for number in numbers:
            wake[number].set()

    def desk_on(store: Any) -> Desk:
        return Desk(store, markets, marks, clock, ids, committed)

    desk, away = desk_on(AdmissionStore(database)), desk_on(AwayStore())
    users, tokens, passwords = UserStore(database), Tokens(clock, "s" * 40, 3600), Passwords(CHEAP)
    accounts = Accounts(users, passwords, tokens, clock)
    account_feed = AccountFeed(Queries(database), clock)
    work: list[Work] = [desk.run, away.run, account_feed.run]
    feeds: dict[int, MarketFeed] = {}
    for market in listed:
        name = MarketName(market.number, market.symbol)
        feeds[market.number] = MarketFeed(
            name, database, commands, events, clock, tap=account_feed, on_state=markets.set_status
        )
        work += [
            Relay(name, database, commands, clock, committed=wake[market.number]).run,
            Matcher(name, database, commands, events, clock, "test").run,
            Settler(name, database, events, clock).run,
            feeds[market.number].run,
        ]

    async def drain() -> None:
        await settled(database, feeds)

    keys = ApiKeys(KeyStore(database), Sealer([b"k" * 32]), clock)
    clients = Clients(ClientStore(database), clock)
    operations = Operations(OperationsRecord(database), markets, clock, lambda number: committed([number]))
    custodian = SimulatedCustodian(database, clock, CUSTODY_MS, CustodyNews.PAID)
    services = Services(
        keys=keys,
        clients=clients,
        limits=LimitStore(database),
        accounts=accounts,
        tokens=tokens,
        desk=desk,
        funds=Funds(FundsStore(database), markets, marks, clock),
        custodian=custodian,
        margin_terms=MarginTerms(MarginStore(database), markets, marks),
        liquidations=LiquidationQueries(database),
        ranks=Ranks(database, clock),
        queries=Queries(database),
        fills=Queries(database),
        markets=markets,
        marks=marks,
        market_data=MarketData(feeds.values()),
        funding_reads=FundingQueries(database),
        operations=operations,
        clock=clock,
        runtime_mode=RuntimeMode.EMBEDDED,
        drain=drain,
        unavailable=UNAVAILABLE,
        account_feed=account_feed,
        socket_subscriptions=10,
    )

    async def healthy() -> bool:
        return True

    spot = markets.named("BTC-PYUSD")
    limits = Limits({spot.number: MarketLimits(spot.instrument.price_ticks("65000"), 1_000, 500, 300_000)})
    transfers = Transfers(TransferStore(database), custodian, services.funds, clock, open_limit=5)
    work.append(TransferDriver(transfers, clock).run)
    truex = TruexServices(
        keys=keys,
        clients=clients,
        desk=desk,
        assets=AssetList(database),
        markets=markets,
        limits=limits,
        marks=marks,
        market_data=services.market_data,
        clock=clock,
        balances=Queries(database),
        client_orders=ClientOrders(database),
        activity=ActivityReader(database),
        transfers=transfers,
        transfer_lists=TransferStore(database),
        healthy=healthy,
        unavailable=UNAVAILABLE,
        account_feed=account_feed,
    )
    parts = Parts(database, markets, marks, users, accounts, tokens, feeds, services, truex, keys, away)
    return parts, work, passwords


def _servers(parts: Parts, venue: FluxVenue, clock: SystemClock) -> list[tuple[Server, socket.socket]]:
    """One server for each way of being served; their addresses go into the venue."""
    services = parts.services
    limits = RateLimits(
        by_key={"orders": Budget(2, 60_000), "cancels": Budget(1, 60_000)},
        by_address={"registrations": Budget(1, 60_000)},
    )
    limiter = RateLimiter(limits, lambda: 0)

    async def never() -> None:
        raise AssertionError("production does not drain")

    variants: dict[str, tuple[Services, Surroundings]] = {
        "embedded": (services, Surroundings()),
        "production": (replace(services, runtime_mode=RuntimeMode.PRODUCTION, drain=never), Surroundings()),
        "limited": (
            replace(services, limiter=limiter, login_brake=LoginThrottle(lambda: 0, pair=Budget(2, 60_000))),
            Surroundings(limiter=limiter),
        ),
        "away": (replace(services, desk=parts.away), Surroundings()),
        "impatient": (services, Surroundings(body_timeout_s=0.1)),
        "retired": (services, Surroundings()),
        "faulty": (replace(services, queries=FaultyQueries(parts.database)), Surroundings()),
    }
    made = []
    for name, (variant, surroundings) in variants.items():
        room = SocketRoom(SOCKET_LIMITS, clock.monotonic_s, origins=[FRIEND])
        truex = _truex_variant(name, parts, variant)
        sockets = [
            WebSocketRoute("/ws", room.app("flux", FluxSocket(variant))),
            WebSocketRoute("/{path:path}", room.app("truex", TruexSocket(truex, 10))),
        ]
        dialects = [flux_dialect(variant, "1"), truex_dialect(truex, "1")]
        app = build_app(dialects, replace(setup_for(venue.recorded, surroundings), routes=sockets))
        # With its protocol named, asyncio lets small packets go at once.
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listener.bind(("127.0.0.1", 0))
        venue.addresses[name] = f"http://127.0.0.1:{listener.getsockname()[1]}"
        made.append((make_server(app, Listening(port=0, drain_s=1), room.close), listener))
    return made


def _truex_variant(name: str, parts: Parts, flux: Services) -> TruexServices:
    """TrueX as this variant serves it: with the variant's desk and limits, and unwell where that is away."""

    async def unwell() -> bool:
        return False

    found = replace(parts.truex, desk=flux.desk, limiter=flux.limiter)
    if name == "retired":
        return replace(found, versions=versions_of({V2024: RETIREMENT}))
    return replace(found, healthy=unwell) if name == "away" else found
