"""Puts a venue together: the only place that chooses adapters.

Numbers are those of the way of an order (ARCHITECTURE.md): 1 request, 2 dialect, 3 use case, 4 risk, 5 accept,
6 relay, 7 match, 8 settle, 9 read, 10 publish.
"""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Final

from starlette.routing import BaseRoute, Mount, WebSocketRoute
from starlette.types import ASGIApp

from crossbook import __version__, private_files
from crossbook.application.accounts import Accounts
from crossbook.application.api_keys import ApiKeys
from crossbook.application.clients import Clients
from crossbook.application.desk import Desk
from crossbook.application.errors import Overloaded
from crossbook.application.funding_views import FundingBoard
from crossbook.application.funds import Funds
from crossbook.application.margin_terms import MarginTerms
from crossbook.application.market_limits import Limits
from crossbook.application.markets import Market, Markets
from crossbook.application.marks import Marks
from crossbook.application.operations import Operations
from crossbook.application.pricing import PricingRules
from crossbook.application.requests import SystemRequest
from crossbook.application.transfers import Transfers
from crossbook.bots.walk import WalkSource
from crossbook.demo import DEMO_FILE, USERS, DemoUsers, both, create_markets
from crossbook.demo_bots import BotAgency
from crossbook.demo_swaps import BoardUseCases, SwapDemo
from crossbook.demo_truex import TruexKit
from crossbook.dialects.endpoint import Surroundings
from crossbook.dialects.feed_ports import NoAccountFeed
from crossbook.dialects.flux.endpoints import flux_dialect, flux_reading_dialect
from crossbook.dialects.flux.services import Services, StreamServices
from crossbook.dialects.flux.socket import FluxSocket
from crossbook.dialects.lethean.endpoints import lethean_dialect
from crossbook.dialects.ports import Limiter
from crossbook.dialects.truex.endpoints import truex_dialect
from crossbook.dialects.truex.services import Services as TruexServices
from crossbook.dialects.truex.socket import TruexSocket
from crossbook.dialects.truex.versions import versions_of
from crossbook.dialects.versions import Retirement, Versions
from crossbook.domain.commands import SingleCommand
from crossbook.domain.index import IndexRules
from crossbook.domain.instruments import InstrumentKind
from crossbook.domain.transfers import CustodyNews
from crossbook.logs import REQUEST_ID, Log, LogFormat, LogLevel, log_fields
from crossbook.measuring import MeasuredStore, WorkerMetrics, note_lags
from crossbook.rates import brake_of, limiter_of
from crossbook.readiness import Worker, checks_of
from crossbook.security.passwords import Passwords
from crossbook.security.sealing import Sealer, new_sealing_key, sealing_key
from crossbook.security.tokens import Tokens
from crossbook.server.access_log import LOGGER, JsonAccessLog, log_access
from crossbook.server.app import Setup, build_app
from crossbook.server.health import Check, readiness
from crossbook.server.metrics import Metrics
from crossbook.server.middleware import AccessLog
from crossbook.server.websocket import SocketLimits, SocketRoom
from crossbook.settings import Settings, deprecation_in
from crossbook.storage import leases
from crossbook.storage import market_limits as stored_limits
from crossbook.storage import markets as stored_markets
from crossbook.storage.activity import ActivityReader
from crossbook.storage.admission import AdmissionStore
from crossbook.storage.api_keys import KeyStore
from crossbook.storage.assets import AssetList
from crossbook.storage.client_orders import ClientOrders
from crossbook.storage.clients import ClientStore
from crossbook.storage.commands_log import LoggedCommand
from crossbook.storage.database import Database
from crossbook.storage.embedded import EmbeddedPostgres
from crossbook.storage.errors import DatabaseUnavailable, StatementTooSlow, StorageError, TransactionConflict
from crossbook.storage.funding_queries import FundingQueries
from crossbook.storage.funds import FundsStore
from crossbook.storage.lag import MarketLag, lags, last_order_id, take_id_node
from crossbook.storage.liquidation_queries import LiquidationQueries, Ranks
from crossbook.storage.margin_terms import MarginStore
from crossbook.storage.migrate import migrate, pending
from crossbook.storage.operations import OperationsRecord
from crossbook.storage.queries import Queries
from crossbook.storage.simulated_custodian import SimulatedCustodian
from crossbook.storage.swap_pages import SwapPages
from crossbook.storage.transfers import TransferStore
from crossbook.storage.users import UserStore
from crossbook.storage.wallets import WalletStore
from crossbook.streams.in_process import InProcessStreams
from crossbook.streams.port import Stream, StreamError, StreamKind
from crossbook.streams.redis_streams import RedisStreams
from crossbook.streams.refill import RefillSettings
from crossbook.swap_board import Herald, Operators, build_board, sockets_of
from crossbook.system import Clock, Ids, SystemClock, request_ids, secret_token
from crossbook.venue import ALL_ROLES, Ground, Parts, Plan, Role, Venue, VenueError
from crossbook.wallet_sim.chain import Asset as NativeAsset
from crossbook.workers.account_feed import AccountFeed
from crossbook.workers.activity_cleaner import ActivityCleaner
from crossbook.workers.fresh import FreshCommands
from crossbook.workers.health import Condition
from crossbook.workers.liquidator import Liquidator
from crossbook.workers.market_data import MarketData, MarketDataUnavailable, MarketFeed
from crossbook.workers.matcher import Matcher, MatcherSettings
from crossbook.workers.names import MarketName
from crossbook.workers.pauses import pause
from crossbook.workers.price_guard import PriceGuard
from crossbook.workers.pricing import PricingSettings, PricingWorker
from crossbook.workers.public_prices import PublicPrice, load_venues
from crossbook.workers.relay import Relay
from crossbook.workers.settler import Settler, SettlerSettings
from crossbook.workers.timers import Timers
from crossbook.workers.transfers import TransferDriver
from crossbook.workers.wake import Wake

POSTGRES_FOLDER: Final = "postgres"
SECRET_FILE: Final = "jwt_secret"  # noqa: S105 - a file's name
SEALING_FILE: Final = "sealing_key"
MATCHER_STOP_MS: Final = 1_200
SETTLEMENTS_APART_MS: Final = 10
MARKS_EVERY_MS: Final = 100
LAG_EVERY_MS: Final = 1_000
RELAY_LOOKS_APART_MS: Final = 250
LIMITS_EVERY_MS: Final = 500
FUNDING_EVERY_MS: Final = 5_000
DRAIN_TIMEOUT_S: Final = 10.0
DRAIN_LOOK_MS: Final = 5
SECRET_BYTES: Final = 48
UNAVAILABLE: Final = (DatabaseUnavailable, StatementTooSlow, TransactionConflict, StreamError, MarketDataUnavailable)
"""What dialects answer with 503."""

_log: Final = Log("bootstrap")
_access: Final = Log(LOGGER)


# -- The two kinds of venue --------------------------------------------------------------------------
def embedded(settings: Settings, clock: Clock | None = None) -> Venue:
    """A venue whole in one process: with its own PostgreSQL and streams, unless the settings name others."""
    clock = clock or SystemClock()
    server = None if settings.database_url else EmbeddedPostgres(settings.data_dir / POSTGRES_FOLDER)
    return Venue(settings, clock, _Builder(settings, clock, ALL_ROLES, server).plan())


def production(settings: Settings, roles: Iterable[Role], clock: Clock | None = None) -> Venue:
    """A part of a venue, on the database and the streams that the settings name. It brings nothing of its own."""
    clock = clock or SystemClock()
    return Venue(settings, clock, _Builder(settings, clock, frozenset(roles), None).plan())


class _Builder:
    """Opens what a venue stands on, and builds its parts."""

    def __init__(
        self, settings: Settings, clock: Clock, roles: frozenset[Role], postgres: EmbeddedPostgres | None
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._roles = roles
        self._postgres = postgres
        self._holder = f"{os.getpid()}-{secret_token(16)}"

    def plan(self) -> Plan:
        """How the venue is made."""
        return Plan(self._port(), self._postgres, self.prepare, self.open_ground, self.wire)

    def _port(self) -> int | None:
        """Where the process listens; None for one that serves nobody."""
        if Role.API in self._roles:
            return self._settings.port
        return self._settings.market_data_port if Role.MARKET_DATA in self._roles else None

    # -- The ground ----------------------------------------------------------------------------------
    def prepare(self) -> None:
        """Make the data folder of an embedded venue. Raises DataFolderError."""
        if not self._settings.production:
            private_files.make_folder(self._settings.data_dir)

    async def open_ground(self) -> Ground:
        """Connect; an embedded venue brings the schema up to date and sets up what is missing."""
        database = await open_database(self._settings, self._postgres)
        try:
            if self._settings.production:
                await _require_schema(database)
            else:
                await self._set_up(database)
            async with database.transaction(read_only=True) as transaction:
                markets = await stored_markets.load(transaction)
        except BaseException:
            await database.close()
            raise
        if not markets:
            _log.warning("there are no markets; `crossbook migrate --demo-markets` makes two")
        commands, events = (self._stream(kind) for kind in (StreamKind.COMMANDS, StreamKind.EVENTS))
        return Ground(self._clock, database, commands, events, markets)

    async def _set_up(self, database: Database) -> None:
        await migrate(database)
        if self._postgres is not None:
            # Nobody else can be on this database: a venue that was killed must not be waited for.
            async with database.transaction() as transaction:
                await leases.release_all(transaction)
        if self._settings.demo:
            await create_markets(database, self._clock.now_ms())

    def _stream(self, kind: StreamKind) -> Stream:
        settings = self._settings
        if settings.redis_url is None:
            return InProcessStreams(kind)
        return RedisStreams(
            settings.redis_url, kind, timeout_ms=settings.redis_timeout_ms, max_connections=settings.redis_pool_max
        )

    # -- The parts -----------------------------------------------------------------------------------
    async def wire(self, ground: Ground, base_url: str) -> Parts:
        """Build the parts that the roles need."""
        return await _Wiring(self._settings, ground, self._roles, self._holder).build(base_url)


class _Wiring:
    """Builds the parts of one venue, in the order of the way of an order."""

    def __init__(self, settings: Settings, ground: Ground, roles: frozenset[Role], holder: str) -> None:
        self._settings = settings
        self._ground = ground
        self._roles = roles
        self._holder = holder
        self._clock = ground.clock
        self._markets = Markets(ground.markets)
        self._names = [MarketName(market.number, market.symbol) for market in ground.markets]
        self._marks = Marks()
        self._metrics = Metrics()
        self._worker_metrics = WorkerMetrics(self._metrics)
        self._wakes = {name.market_id: Wake() for name in self._names}
        self._fresh = {name.market_id: FreshCommands() for name in self._names}
        self._parts = Parts()

    async def build(self, base_url: str) -> Parts:
        """All parts. Raises StorageError, DataFolderError and VenueError."""
        if Role.RELAY in self._roles:
            self._parts.relays = [self._relay(name) for name in self._names]  # 6
        if Role.MATCHER in self._roles:
            self._parts.matchers = [self._matcher(name) for name in self._names]  # 7
        if Role.SETTLER in self._roles:
            self._parts.settlers = [self._settler(name) for name in self._names]  # 8
        if self._roles & {Role.API, Role.MARKET_DATA}:
            self._parts.account_feed = AccountFeed(
                Queries(self._ground.database), self._clock, metrics=self._worker_metrics
            )
        if self._roles & {Role.API, Role.MARKET_DATA, Role.PRICING}:
            self._parts.feeds = [self._feed(name) for name in self._names]  # 10
        if Role.PRICING in self._roles:
            self._parts.pricing = self._pricing()
        if Role.API in self._roles:
            await self._build_door(base_url)  # 1 to 5, and 9
        elif Role.MARKET_DATA in self._roles:
            self._build_window()  # 1, 2 and 10, for those who only read
        return self._parts

    def _relay(self, name: MarketName) -> Relay:
        ground = self._ground
        return Relay(
            name,
            ground.database,
            ground.commands,
            self._clock,
            committed=self._wakes[name.market_id],
            fresh=self._fresh[name.market_id],
            metrics=self._worker_metrics,
            # Where everybody who commits is of this process, and tells, looking for others' commits can wait.
            settings=RefillSettings(idle_ms=RELAY_LOOKS_APART_MS) if self._roles == ALL_ROLES else None,
        )

    def _matcher(self, name: MarketName) -> Matcher:
        ground, settings = self._ground, self._settings
        terms = MatcherSettings(
            lease_ms=settings.lease_ms, snapshot_every=settings.snapshot_every_commands, shutdown_ms=MATCHER_STOP_MS
        )
        return Matcher(
            name,
            ground.database,
            ground.commands,
            ground.events,
            self._clock,
            self._holder,
            metrics=self._worker_metrics,
            settings=terms,
        )

    def _settler(self, name: MarketName) -> Settler:
        ground = self._ground
        return Settler(
            name,
            ground.database,
            ground.events,
            self._clock,
            metrics=self._worker_metrics,
            settings=SettlerSettings(batch_length=self._settings.settle_batch_limit, apart_ms=SETTLEMENTS_APART_MS),
        )

    def _feed(self, name: MarketName) -> MarketFeed:
        ground = self._ground
        return MarketFeed(
            name,
            ground.database,
            ground.commands,
            ground.events,
            self._clock,
            tap=self._parts.account_feed,
            metrics=self._worker_metrics,
            on_state=self._markets.set_status,
        )

    def _pricing(self) -> list[PricingWorker]:
        """Who states the prices of each perpetual."""
        ground, settings = self._ground, self._settings
        index = IndexRules(settings.index_max_age_ms, settings.index_outlier_bp, settings.index_min_sources)
        terms = PricingSettings(
            settings.prices_interval_ms, settings.lease_ms, PricingRules(index, settings.mark_band_bp)
        )
        feeds = {feed.market.market_id: feed for feed in self._parts.feeds}
        public = self._public_prices()
        return [
            PricingWorker(
                market,
                ground.database,
                feeds[market.number],
                self._clock,
                self._holder,
                self._logged,
                sources=public.get(market.symbol, []),
                metrics=self._worker_metrics,
                settings=terms,
            )
            for market in self._markets
            if market.instrument.kind is InstrumentKind.PERPETUAL
        ]

    def _public_prices(self) -> dict[str, list[PublicPrice]]:
        """The public venues that the settings name, by market; each is followed beside the way."""
        found: dict[str, list[PublicPrice]] = {}
        file = self._settings.index_venues_file
        for venue in [] if file is None else load_venues(file):
            tick = self._perpetual(venue.market).instrument.tick
            price = PublicPrice(venue, tick, self._clock, self._settings.prices_interval_ms)
            found.setdefault(venue.market, []).append(price)
            self._parts.watches[f"price {venue.market} {venue.source}"] = price.run
        return found

    def _perpetual(self, symbol: str) -> Market:
        for market in self._markets:
            if market.symbol == symbol and market.instrument.kind is InstrumentKind.PERPETUAL:
                return market
        raise VenueError(f"{self._settings.index_venues_file}: there is no perpetual market {symbol}")

    def _logged(self, market_id: int) -> None:
        """Somebody beside the desk put commands into a market's log."""
        self._fresh[market_id].forget()
        self._wakes[market_id].set()

    async def _build_door(self, base_url: str) -> None:
        ground, settings = self._ground, self._settings
        desk = self._parts.desk = await self._desk()  # 3 to 5
        passwords = self._parts.passwords = Passwords(threads=settings.password_threads)
        users = UserStore(ground.database)
        tokens = Tokens(self._clock, signing_secret(settings), settings.jwt_expiry_s)
        accounts = Accounts(users, passwords, tokens, self._clock)
        funds = Funds(FundsStore(ground.database), self._markets, self._marks, self._clock)
        queries = Queries(ground.database)  # 9
        custodian = self._custodian()
        transfers = Transfers(
            TransferStore(ground.database), custodian, funds, self._clock, settings.transfers_open_limit
        )
        self._parts.transfer_driver = TransferDriver(transfers, self._clock)
        self._parts.activity_cleaner = ActivityCleaner(ground.database, self._clock)
        self._parts.timers = Timers(ground.database, _system_door(desk), self._clock)
        self._keys = ApiKeys(KeyStore(ground.database), sealer_of(settings), self._clock)
        self._clients = Clients(ClientStore(ground.database), self._clock)
        self._limits = await _stored_limits(ground.database)
        self._watch_feeds()
        self._watch_limits()
        limiter = limiter_of(settings, self._clock)
        reads = FundingQueries(ground.database)
        board = self._funding_board(reads)
        services = Services(
            accounts=accounts,
            tokens=tokens,
            keys=self._keys,
            clients=self._clients,
            limits=stored_limits.LimitStore(ground.database),
            desk=desk,
            funds=funds,
            custodian=custodian,
            margin_terms=MarginTerms(MarginStore(ground.database), self._markets, self._marks),
            liquidations=LiquidationQueries(ground.database),
            ranks=Ranks(ground.database, self._clock),
            queries=queries,
            markets=self._markets,
            marks=self._marks,
            market_data=MarketData(self._parts.feeds),
            funding_reads=reads,
            funding=board,
            operations=Operations(OperationsRecord(ground.database), self._markets, self._clock, self._logged),
            clock=self._clock,
            runtime_mode=settings.runtime_mode,
            drain=self._drain,
            unavailable=UNAVAILABLE,
            login_brake=brake_of(settings, self._clock),
            limiter=limiter,
            account_feed=self._parts.account_feed or NoAccountFeed(),
            socket_subscriptions=settings.socket_subscriptions,
        )
        herald = Herald()
        self._board = await build_board(
            settings,
            ground.database,
            self._clock,
            secret=signing_secret(settings),
            holder=self._holder,
            operators=Operators(tokens, accounts),
            publisher=herald,
            unavailable=UNAVAILABLE,
        )
        sockets = self._parts.socket_io = sockets_of(settings, self._board.services, self._clock)
        herald.attach(sockets)
        self._parts.watches.update(self._board.work, **{"sockets of swaps": sockets.run})
        demo = self._swap_demo() if settings.demo else None
        routes = demo.routes if demo is not None else []
        self._parts.app = self._application(services, transfers, routes)  # 1 and 2
        if demo is not None:
            await demo.set_up(base_url)
            kit = both(TruexKit(self._clients, self._keys, funds, queries), demo.equip)
            also = {"lethean": demo.entry()}
            await DemoUsers(settings.data_dir / DEMO_FILE, accounts, users, passwords, kit).ensure(base_url, also)
            await self._hire_bots(BotAgency(accounts, users, desk, self._marks, queries, funds, self._clock), demo)

    def _build_window(self) -> None:
        """What a process serves that takes no orders: Flux's public data, and its WebSocket."""
        database, settings = self._ground.database, self._settings
        passwords = self._parts.passwords = Passwords(threads=settings.password_threads)
        tokens = Tokens(self._clock, signing_secret(settings), settings.jwt_expiry_s)
        self._watch_feeds()
        streams = StreamServices(
            accounts=Accounts(UserStore(database), passwords, tokens, self._clock),
            tokens=tokens,
            markets=self._markets,
            marks=self._marks,
            market_data=MarketData(self._parts.feeds),
            clock=self._clock,
            unavailable=UNAVAILABLE,
            account_feed=self._parts.account_feed or NoAccountFeed(),
            socket_subscriptions=settings.socket_subscriptions,
        )
        routes = [WebSocketRoute("/ws", self._room().app("flux", FluxSocket(streams)))]
        setup = self._setup(limiter_of(settings, self._clock), self._checks(), routes)
        self._parts.app = build_app([flux_reading_dialect(streams, __version__)], setup)

    def _swap_demo(self) -> SwapDemo:
        """The demo of the board of swaps, and a watch that puts its file away at the end."""
        settings, services, database = self._settings, self._board.services, self._ground.database
        use_cases = BoardUseCases(services.swaps, SwapPages(database), services.registry, WalletStore(database))
        native = NativeAsset(
            settings.lethean_native_asset_id,
            settings.lethean_native_code,
            settings.lethean_native_name,
            settings.lethean_native_decimals,
        )
        demo = SwapDemo(settings.data_dir, use_cases, self._clock, native)

        async def keep(stop: asyncio.Event) -> None:
            await stop.wait()
            demo.close()

        self._parts.watches["wallet-sim"] = keep
        return demo

    async def _hire_bots(self, agency: BotAgency, swaps: SwapDemo) -> None:
        settings = self._settings
        if not settings.bots:

            async def clear_out() -> None:
                await agency.clear_out()
                await swaps.clear_out()

            self._parts.when_ready = clear_out
            return
        interval_ms = settings.bot_interval_ms
        markets = await agency.hire(self._markets, self._ground.database, settings.seed, interval_ms)
        self._parts.pits = [*markets, await swaps.hire(settings.seed, interval_ms)]
        walks = agency.walks
        for worker in self._parts.pricing:
            if (walk := walks.get(worker.market_id)) is not None:
                worker.sources.append(WalkSource(walk))

    def _funding_board(self, reads: FundingQueries) -> FundingBoard:
        """The funding of every perpetual, at hand for who follows it."""
        board = FundingBoard(reads, self._clock)

        async def refresh(stop: asyncio.Event) -> None:
            while not stop.is_set():
                with suppress(StorageError):
                    await board.refresh(self._markets)
                await pause(self._clock, stop, FUNDING_EVERY_MS)

        self._parts.watches["funding"] = refresh
        return board

    def _custodian(self) -> SimulatedCustodian:
        settings = self._settings
        outcome = CustodyNews[settings.custodian_outcome.name]
        return SimulatedCustodian(self._ground.database, self._clock, settings.custodian_delay_ms, outcome)

    async def _desk(self) -> Desk:
        database = self._ground.database
        async with database.transaction() as transaction:
            ids = Ids(self._clock, await take_id_node(transaction), await last_order_id(transaction))
        relayed_here = Role.RELAY in self._roles

        def logged(commands: Sequence[LoggedCommand]) -> None:
            for command in commands if relayed_here else ():
                self._fresh[command.market_id].add(command.sequence, command.record)

        store = MeasuredStore(AdmissionStore(database, logged), self._markets, self._metrics)

        def committed(market_ids: Iterable[int]) -> None:
            for market_id in market_ids:
                self._wakes[market_id].set()

        def batch_taken(size: int) -> None:
            self._metrics.note_batch("accepted", size)

        def taken(commands: Sequence[LoggedCommand]) -> None:
            logged(commands)
            committed(sorted({command.market_id for command in commands}))

        self._parts.liquidator = Liquidator(database, self._markets, self._clock, ids.next, taken)
        limits = self._settings.commit_batch_limit, self._settings.commit_queue_limit
        return Desk(store, self._markets, self._marks, self._clock, ids, committed, batch_taken, *limits)

    def _watch_feeds(self) -> None:
        """Tasks beside the way: marks from the logs, and the lag for the metrics."""
        database, feeds = self._ground.database, self._parts.feeds
        pricing = {worker.market_id: worker for worker in self._parts.pricing}

        async def marks(stop: asyncio.Event) -> None:
            while not stop.is_set():
                for feed in feeds:
                    if feed.health.condition is Condition.RUNNING:
                        number = feed.market.market_id
                        mark_ticks = _mark_of(feed, pricing.get(number))
                        if mark_ticks:
                            self._marks.set(number, mark_ticks)
                await pause(self._clock, stop, MARKS_EVERY_MS)

        async def lag(stop: asyncio.Event) -> None:
            while not stop.is_set():
                with suppress(StorageError):
                    await note_lags(database, self._markets, self._metrics)
                await pause(self._clock, stop, LAG_EVERY_MS)

        self._parts.watches |= {"marks": marks, "lag": lag}

    def _watch_limits(self) -> None:
        """Tasks beside the way: the limits of prices, and what happens at them."""
        database, feeds = self._ground.database, self._parts.feeds

        async def limits(stop: asyncio.Event) -> None:
            while not stop.is_set():
                with suppress(StorageError):
                    async with database.each_alone() as transaction:
                        for row in await stored_limits.load(transaction):
                            self._limits.put(row.market_id, row.limits)
                await pause(self._clock, stop, LIMITS_EVERY_MS)

        assert self._parts.desk is not None
        by_market = {feed.market.market_id: feed for feed in feeds}
        guard = PriceGuard(database, by_market, _system_door(self._parts.desk), self._clock)
        self._parts.watches |= {"limits": limits, "price guard": guard.run}

    # -- 1 and 2: the server and its dialects --------------------------------------------------------
    def _application(self, services: Services, transfers: Transfers, demo: Sequence[BaseRoute]) -> ASGIApp:
        settings, checks = self._settings, self._checks()
        truex = self._truex(services, transfers, checks)
        dialects = [
            replace(dialect, body_limit_bytes=settings.body_limit_bytes, depth_limit=settings.json_depth_limit)
            for dialect in (
                flux_dialect(services, __version__),
                truex_dialect(truex, __version__),
            )
        ]
        # Its bodies hold proposals, so they have a limit of their own.
        dialects.append(
            replace(lethean_dialect(self._board.services, __version__), depth_limit=settings.json_depth_limit)
        )
        routes = [*demo, *self._sockets(services, truex)]
        return build_app(dialects, self._setup(services.limiter, checks, routes))

    def _checks(self) -> dict[str, Check]:
        """What `/ready` looks at."""
        parts, ground = self._parts, self._ground
        workers: dict[str, Sequence[Worker]] = {
            "matching": parts.matchers,
            "settling": parts.settlers,
            "relay": parts.relays,
            "marketData": parts.feeds,
        }
        symbols = [name.symbol for name in self._names]
        limit_ms = self._settings.ready_lag_limit_ms
        return checks_of(ground.database, ground.commands, symbols, workers, self._clock, limit_ms)

    def _setup(self, limiter: Limiter, checks: Mapping[str, Check], routes: Sequence[BaseRoute]) -> Setup:
        """What the application is built with, besides the dialects."""
        access, self._parts.flush_logs = _access_log(self._settings, self._clock)
        return Setup(
            new_id=request_ids(),
            monotonic_s=self._clock.monotonic_s,
            surroundings=Surroundings(limiter=limiter, crash=_note_crash),
            bind=lambda request_id: log_fields(**{REQUEST_ID: request_id}),
            access=access,
            checks=checks,
            metrics=self._metrics,
            origins=self._settings.web_origins,
            notes=_notes(self._settings),
            routes=routes,
        )

    def _truex(self, flux: Services, transfers: Transfers, checks: Mapping[str, Check]) -> TruexServices:
        """The venue as TrueX sees it: the same desk, markets and data."""
        database, settings = self._ground.database, self._settings

        async def healthy() -> bool:
            return (await readiness(checks)).status == "ready"

        return TruexServices(
            keys=self._keys,
            clients=self._clients,
            desk=flux.desk,
            assets=AssetList(database),
            markets=self._markets,
            limits=self._limits,
            marks=self._marks,
            market_data=flux.market_data,
            clock=self._clock,
            balances=Queries(database),
            client_orders=ClientOrders(database),
            activity=ActivityReader(database),
            transfers=transfers,
            transfer_lists=TransferStore(database),
            healthy=healthy,
            unavailable=UNAVAILABLE,
            limiter=flux.limiter,
            versions=_truex_versions(settings),
            account_feed=flux.account_feed,
        )

    def _sockets(self, flux: Services, truex: TruexServices) -> list[BaseRoute]:
        """The WebSockets of the dialects. TrueX's clients dial any path, so it takes those that no other wants."""
        assert self._parts.socket_io is not None
        room, most = self._room(), self._settings.socket_subscriptions
        return [
            WebSocketRoute("/ws", room.app("flux", FluxSocket(flux))),
            Mount("/socket.io", self._parts.socket_io.app),
            WebSocketRoute("/{path:path}", room.app("truex", TruexSocket(truex, most))),
        ]

    def _room(self) -> SocketRoom:
        """The one room of the WebSockets."""
        settings = self._settings
        limits = SocketLimits(
            connections=settings.sockets_limit,
            per_address=settings.sockets_per_address,
            waiting_messages=settings.socket_queue_limit,
            messages_per_s=settings.socket_messages_per_s,
        )
        room = SocketRoom(limits, self._clock.monotonic_s, origins=settings.web_origins, metrics=self._metrics)
        self._parts.sockets = room
        return room

    async def _drain(self) -> None:
        """Wait until everything accepted up to now is settled. Raises VenueError when that takes too long."""
        wanted = {lag.market_id: lag.accepted for lag in await self._lags()}
        end_s = self._clock.monotonic_s() + DRAIN_TIMEOUT_S
        while any(lag.settled < wanted.get(lag.market_id, 0) for lag in await self._lags()):
            if self._clock.monotonic_s() > end_s:
                raise Overloaded("settlement is behind: try again")
            await self._clock.sleep(DRAIN_LOOK_MS / 1000)

    async def _lags(self) -> list[MarketLag]:
        async with self._ground.database.transaction(read_only=True) as transaction:
            return await lags(transaction)


# -- Small pieces of wiring --------------------------------------------------------------------------
async def open_database(settings: Settings, postgres: EmbeddedPostgres | None = None) -> Database:
    """A pool on the database of the settings, or on the embedded server. Raises StorageError and VenueError."""
    address = settings.database_url or (postgres.dsn if postgres is not None else None)
    if address is None:
        raise VenueError("there is no database: set DATABASE_URL")
    return await Database.connect(
        address,
        min_connections=settings.database_pool_min,
        max_connections=settings.database_pool_max,
        acquire_timeout_ms=settings.database_connect_timeout_ms,
        statement_timeout_ms=settings.statement_timeout_ms,
    )


async def _require_schema(database: Database) -> None:
    """Refuse a database whose schema is not this program's: in production nothing is migrated by the way."""
    if left := await pending(database):
        raise VenueError(f"migrations {', '.join(map(str, left))} are missing: run `crossbook migrate`")


def signing_secret(settings: Settings) -> str:
    """What signs tokens: from the settings, else from the data folder, made there at the first start.

    Raises DataFolderError.
    """
    if settings.jwt_secret is not None:
        return settings.jwt_secret
    file = settings.data_dir / SECRET_FILE
    secret = (private_files.read(file) or "").strip()
    if not secret:
        secret = secret_token(SECRET_BYTES)
        private_files.write(file, secret + "\n")
    return secret


async def _stored_limits(database: Database) -> Limits:
    """The limits of prices. Raises StorageError."""
    async with database.each_alone() as transaction:
        return Limits({row.market_id: row.limits for row in await stored_limits.load(transaction)})


def _truex_versions(settings: Settings) -> Versions:
    """The versions of TrueX, with those that the settings deprecate. Raises VenueError for an unknown one."""
    found = map(deprecation_in, settings.truex_deprecated_versions)
    try:
        return versions_of({name: Retirement(since, until) for name, since, until in found})
    except ValueError as error:
        raise VenueError(f"truex_deprecated_versions: {error}") from error


def sealer_of(settings: Settings) -> Sealer:
    """What seals secrets in the database: keys of the settings, else of the data folder, made there once.

    Raises DataFolderError and VenueError.
    """
    if settings.sealing_keys:
        return Sealer([sealing_key(key) for key in settings.sealing_keys])
    file = settings.data_dir / SEALING_FILE
    text = (private_files.read(file) or "").strip()
    if not text:
        text = new_sealing_key()
        private_files.write(file, text + "\n")
    try:
        return Sealer([sealing_key(text)])
    except ValueError as error:
        raise VenueError(f"{file} is damaged: {error}; put it back from a backup") from error


def _notes(settings: Settings) -> list[str]:
    """What the page at `/` says besides: where the demo users' secrets are."""
    if not settings.demo:
        return []
    file = settings.data_dir / DEMO_FILE
    return [f"Demo users {', '.join(USERS)}: their secrets are in {file}, on the machine that runs the venue."]


def _system_door(desk: Desk) -> Callable[[int, Sequence[SingleCommand]], Awaitable[None]]:
    """The desk for commands of the venue itself, which come with sequence 0 and get theirs from the log."""

    async def submit(market_id: int, commands: Sequence[SingleCommand]) -> None:
        makers = tuple(partial(_placed, command) for command in commands)
        await desk.system(SystemRequest(market_id, makers))

    return submit


def _mark_of(feed: MarketFeed, pricing: PricingWorker | None) -> int:
    """The mark of a market, 0 for none: from its log; of a market for which nobody states prices, the last trade.

    Where pricing runs in another process, a log that has stated a mark goes on to do so.
    """
    if pricing is not None and not pricing.governs:
        return feed.last_price_ticks or 0
    return feed.mark_price_ticks or (feed.last_price_ticks or 0 if pricing is None else 0)


def _placed(command: SingleCommand, sequence: int, now_ms: int) -> SingleCommand:
    return replace(command, sequence=sequence, time_ms=now_ms)


def _note_crash(error: BaseException, request_id: str, route: str) -> None:
    del error  # it is being handled: the log takes it from there
    _access.exception("request crashed", request_id=request_id, route=route)


def _access_log(settings: Settings, clock: Clock) -> tuple[AccessLog | None, Callable[[], None]]:
    """Who takes the lines of requests, and what writes those that still wait at the end."""
    if not _access.enabled(LogLevel.INFO):
        return None, _nothing
    if settings.log_format is LogFormat.JSON or (settings.log_format is LogFormat.AUTO and not sys.stderr.isatty()):
        lines = JsonAccessLog(sys.stderr, clock)
        return lines, lines.flush
    return log_access, _nothing


def _nothing() -> None:
    """There is nothing to do."""
