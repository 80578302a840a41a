"""What each dialect needs of the venue, and the dialects themselves: step 2."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from typing import Final

from crossbook import __version__
from crossbook.application.margin_terms import MarginTerms
from crossbook.application.operations import Operations
from crossbook.dialects.endpoint import Dialect
from crossbook.dialects.feed_ports import NoAccountFeed
from crossbook.dialects.flux.endpoints import flux_dialect, flux_reading_dialect
from crossbook.dialects.flux.services import Services as FluxServices
from crossbook.dialects.flux.services import StreamServices
from crossbook.dialects.lethean.endpoints import lethean_dialect
from crossbook.dialects.lethean.services import Services as LetheanServices
from crossbook.dialects.truex.endpoints import truex_dialect
from crossbook.dialects.truex.services import Services as TruexServices
from crossbook.dialects.truex.versions import versions_of
from crossbook.dialects.versions import Retirement, Versions
from crossbook.rates import brake_of, limiter_of
from crossbook.settings import Settings
from crossbook.settings_rules import deprecation_in
from crossbook.storage.activity import ActivityReader
from crossbook.storage.assets import AssetList
from crossbook.storage.client_orders import ClientOrders
from crossbook.storage.errors import DatabaseUnavailable, StatementTooSlow, TransactionConflict
from crossbook.storage.liquidation_queries import LiquidationQueries, Ranks
from crossbook.storage.margin_terms import MarginStore
from crossbook.storage.market_limits import LimitStore
from crossbook.storage.operations import OperationsRecord
from crossbook.storage.queries import Queries
from crossbook.storage.transfers import TransferStore
from crossbook.streams.port import StreamError
from crossbook.venue import VenueError
from crossbook.wiring.core import Core
from crossbook.wiring.secrets import signing_secret
from crossbook.wiring.swap_board import Herald, Operators, SwapBoard, build_board, sockets_of
from crossbook.wiring.use_cases import Membership, UseCases, drain
from crossbook.workers.market_data import MarketData, MarketDataUnavailable

UNAVAILABLE: Final = (DatabaseUnavailable, StatementTooSlow, TransactionConflict, StreamError, MarketDataUnavailable)
"""What dialects answer with 503."""


def flux_services(core: Core, use: UseCases) -> FluxServices:
    """The venue as Flux sees it."""
    database, settings, clock = core.database, core.settings, core.clock
    return FluxServices(
        accounts=use.members.accounts,
        tokens=use.members.tokens,
        keys=use.keys,
        clients=use.clients,
        limits=LimitStore(database),
        desk=use.desk,
        funds=use.funds,
        custodian=use.custodian,
        margin_terms=MarginTerms(MarginStore(database), core.markets, core.marks),
        liquidations=LiquidationQueries(database),
        ranks=Ranks(database, clock),
        queries=use.queries,
        fills=use.queries,
        markets=core.markets,
        marks=core.marks,
        market_data=MarketData(core.parts.feeds),
        funding_reads=use.funding_reads,
        funding=use.funding,
        operations=Operations(OperationsRecord(database), core.markets, clock, core.logged_elsewhere),
        clock=clock,
        runtime_mode=settings.runtime_mode,
        drain=partial(drain, core),
        unavailable=UNAVAILABLE,
        login_brake=brake_of(settings, clock),
        limiter=limiter_of(settings, clock),
        account_feed=core.parts.account_feed or NoAccountFeed(),
        socket_subscriptions=settings.socket_subscriptions,
    )


def stream_services(core: Core, members: Membership) -> StreamServices:
    """The venue as those see it who only read Flux's public data, and listen at its WebSocket."""
    return StreamServices(
        accounts=members.accounts,
        tokens=members.tokens,
        markets=core.markets,
        marks=core.marks,
        market_data=MarketData(core.parts.feeds),
        clock=core.clock,
        unavailable=UNAVAILABLE,
        account_feed=core.parts.account_feed or NoAccountFeed(),
        socket_subscriptions=core.settings.socket_subscriptions,
        ranks=Ranks(core.database, core.clock),
        fills=Queries(core.database),
    )


def truex_services(
    core: Core, use: UseCases, flux: FluxServices, healthy: Callable[[], Awaitable[bool]]
) -> TruexServices:
    """The venue as TrueX sees it: the same desk, markets and data. Raises VenueError for an unknown version."""
    database = core.database
    return TruexServices(
        keys=use.keys,
        clients=use.clients,
        desk=use.desk,
        assets=AssetList(database),
        markets=core.markets,
        limits=use.limits,
        marks=core.marks,
        market_data=flux.market_data,
        clock=core.clock,
        balances=use.queries,
        client_orders=ClientOrders(database),
        activity=ActivityReader(database),
        transfers=use.transfers,
        transfer_lists=TransferStore(database),
        healthy=healthy,
        unavailable=UNAVAILABLE,
        limiter=flux.limiter,
        versions=_truex_versions(core.settings),
        account_feed=flux.account_feed,
    )


def _truex_versions(settings: Settings) -> Versions:
    """The versions of TrueX, with those that the settings deprecate. Raises VenueError for an unknown one."""
    found = map(deprecation_in, settings.truex_deprecated_versions)
    try:
        return versions_of({name: Retirement(since, until) for name, since, until in found})
    except ValueError as error:
        raise VenueError(f"truex_deprecated_versions: {error}") from error


async def swap_board(core: Core, members: Membership) -> SwapBoard:
    """The board of swaps, which Lethean's dialect shows, and its sockets. Raises StorageError and DataFolderError."""
    settings, parts = core.settings, core.parts
    herald = Herald()
    board = await build_board(
        settings,
        core.database,
        core.clock,
        secret=signing_secret(settings),
        holder=core.holder,
        operators=Operators(members.tokens, members.accounts),
        publisher=herald,
        unavailable=UNAVAILABLE,
    )
    sockets = parts.socket_io = sockets_of(settings, board.services, core.clock)
    herald.attach(sockets)
    parts.helpers += board.helpers
    parts.watches["sockets of swaps"] = sockets.run
    return board


def all_dialects(
    settings: Settings, flux: FluxServices, truex: TruexServices, lethean: LetheanServices
) -> list[Dialect]:
    """The dialects of a venue that takes requests, with the limits of the settings."""
    limited = [
        replace(dialect, body_limit_bytes=settings.body_limit_bytes, depth_limit=settings.json_depth_limit)
        for dialect in (flux_dialect(flux, __version__), truex_dialect(truex, __version__))
    ]
    # Its bodies hold proposals, so they have a limit of their own.
    return [*limited, replace(lethean_dialect(lethean, __version__), depth_limit=settings.json_depth_limit)]


def reading_dialects(streams: StreamServices) -> list[Dialect]:
    """The dialect of a process that takes no orders."""
    return [flux_reading_dialect(streams, __version__)]
