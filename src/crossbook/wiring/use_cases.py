"""What a venue can be asked to do: the desk, and the other use cases on their stores. Steps 3 to 5, and 9."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from crossbook.application.accounts import Accounts
from crossbook.application.api_keys import ApiKeys
from crossbook.application.clients import Clients
from crossbook.application.desk import Desk
from crossbook.application.errors import Overloaded
from crossbook.application.funding_views import FundingBoard
from crossbook.application.funds import Funds
from crossbook.application.market_limits import Limits, MarketLimits
from crossbook.application.requests import SystemRequest
from crossbook.application.transfers import Transfers
from crossbook.domain.commands import SingleCommand
from crossbook.domain.transfers import CustodyNews
from crossbook.measuring import MeasuredStore
from crossbook.readiness import Helper
from crossbook.security.passwords import Passwords
from crossbook.security.tokens import Tokens
from crossbook.storage import market_limits as stored_limits
from crossbook.storage.admission import AdmissionStore
from crossbook.storage.api_keys import KeyStore
from crossbook.storage.clients import ClientStore
from crossbook.storage.commands_log import LoggedCommand
from crossbook.storage.database import Database
from crossbook.storage.funding_queries import FundingQueries
from crossbook.storage.funds import FundsStore
from crossbook.storage.lag import MarketLag, lags, last_order_id, take_id_node
from crossbook.storage.queries import Queries
from crossbook.storage.simulated_custodian import SimulatedCustodian
from crossbook.storage.transfers import TransferStore
from crossbook.storage.users import UserStore
from crossbook.system import Ids
from crossbook.venue import Role
from crossbook.wiring.core import Core
from crossbook.wiring.secrets import sealer_of, signing_secret
from crossbook.workers.activity_cleaner import ActivityCleaner
from crossbook.workers.liquidator import Liquidator
from crossbook.workers.price_guard import PriceGuard
from crossbook.workers.timers import Timers
from crossbook.workers.transfers import TransferDriver

LIMITS_EVERY_MS: Final = 500
FUNDING_EVERY_MS: Final = 5_000
DRAIN_TIMEOUT_S: Final = 10.0
DRAIN_LOOK_MS: Final = 5


@dataclass(frozen=True)
class Membership:
    """Who the users are, and how they say so."""

    users: UserStore
    passwords: Passwords
    tokens: Tokens
    accounts: Accounts


@dataclass(frozen=True)
class UseCases:
    """What the dialects translate to."""

    members: Membership
    keys: ApiKeys
    clients: Clients
    desk: Desk
    funds: Funds
    custodian: SimulatedCustodian
    transfers: Transfers
    limits: Limits
    queries: Queries
    funding_reads: FundingQueries
    funding: FundingBoard


def membership(core: Core) -> Membership:
    """The users of the venue. Raises DataFolderError."""
    settings, clock = core.settings, core.clock
    passwords = core.parts.passwords = Passwords(threads=settings.password_threads)
    users = UserStore(core.database)
    tokens = Tokens(clock, signing_secret(settings), settings.jwt_expiry_s)
    return Membership(users, passwords, tokens, Accounts(users, passwords, tokens, clock))


async def build_use_cases(core: Core) -> UseCases:
    """All use cases, and the workers that only a process has that takes requests.

    Raises StorageError, DataFolderError and VenueError.
    """
    database, clock, parts = core.database, core.clock, core.parts
    desk = parts.desk = await _desk(core)
    members = membership(core)
    funds = Funds(FundsStore(database), core.markets, core.marks, clock)
    custodian = _custodian(core)
    transfers = Transfers(TransferStore(database), custodian, funds, clock, core.settings.transfers_open_limit)
    parts.helpers += [
        Helper("timers", Timers(database, _system_door(desk), clock)),
        Helper("transfers", TransferDriver(transfers, clock)),
        Helper("activity", ActivityCleaner(database, clock), vital=False),
    ]
    reads = FundingQueries(database)
    return UseCases(
        members=members,
        keys=ApiKeys(KeyStore(database), sealer_of(core.settings), clock),
        clients=Clients(ClientStore(database), clock),
        desk=desk,
        funds=funds,
        custodian=custodian,
        transfers=transfers,
        limits=await _limits(core, desk),
        queries=Queries(database),
        funding_reads=reads,
        funding=_funding_board(core, reads),
    )


async def _desk(core: Core) -> Desk:
    database, settings = core.database, core.settings
    async with database.transaction() as transaction:
        ids = Ids(core.clock, await take_id_node(transaction), await last_order_id(transaction))
    relayed_here = Role.RELAY in core.roles

    def logged(commands: Sequence[LoggedCommand]) -> None:
        for command in commands if relayed_here else ():
            core.fresh[command.market_id].add(command.sequence, command.record)

    store = MeasuredStore(AdmissionStore(database, logged), core.markets, core.metrics)

    def committed(market_ids: Iterable[int]) -> None:
        for market_id in market_ids:
            core.wakes[market_id].set()

    def batch_taken(size: int) -> None:
        core.metrics.note_batch("accepted", size)

    def taken(commands: Sequence[LoggedCommand]) -> None:
        logged(commands)
        committed(sorted({command.market_id for command in commands}))

    core.parts.helpers.append(Helper("liquidation", Liquidator(database, core.markets, core.clock, ids.next, taken)))
    most = settings.commit_batch_limit, settings.commit_queue_limit
    return Desk(store, core.markets, core.marks, core.clock, ids, committed, batch_taken, *most)


def _system_door(desk: Desk) -> Callable[[int, Sequence[SingleCommand]], Awaitable[None]]:
    """The desk for commands of the venue itself, which come with sequence 0 and get theirs from the log."""

    async def submit(market_id: int, commands: Sequence[SingleCommand]) -> None:
        makers = tuple(partial(_placed, command) for command in commands)
        await desk.system(SystemRequest(market_id, makers))

    return submit


def _placed(command: SingleCommand, sequence: int, now_ms: int) -> SingleCommand:
    return replace(command, sequence=sequence, time_ms=now_ms)


def _custodian(core: Core) -> SimulatedCustodian:
    settings = core.settings
    outcome = CustodyNews[settings.custodian_outcome.name]
    return SimulatedCustodian(core.database, core.clock, settings.custodian_delay_ms, outcome)


# -- Tasks beside the way ----------------------------------------------------------------------------
async def _limits(core: Core, desk: Desk) -> Limits:
    """The limits of prices, kept as they are stored, and what happens at them. Raises StorageError."""
    limits = Limits(await _stored_limits(core.database))

    async def refresh() -> None:
        for market_id, row in (await _stored_limits(core.database)).items():
            limits.put(market_id, row)

    by_market = {feed.market.market_id: feed for feed in core.parts.feeds}
    guard = PriceGuard(core.database, by_market, _system_door(desk), core.clock)
    core.parts.helpers.append(Helper("priceGuard", guard))
    core.parts.watches["limits"] = core.repeat(LIMITS_EVERY_MS, refresh)
    return limits


async def _stored_limits(database: Database) -> dict[int, MarketLimits]:
    async with database.each_alone() as transaction:
        return {row.market_id: row.limits for row in await stored_limits.load(transaction)}


def _funding_board(core: Core, reads: FundingQueries) -> FundingBoard:
    """The funding of every perpetual, at hand for who follows it."""
    board = FundingBoard(reads, core.clock)

    async def refresh() -> None:
        await board.refresh(core.markets)

    core.parts.watches["funding"] = core.repeat(FUNDING_EVERY_MS, refresh)
    return board


# -- Waiting for settlement --------------------------------------------------------------------------
async def drain(core: Core) -> None:
    """Wait until everything accepted up to now is settled. Raises Overloaded when that takes too long."""
    wanted = {lag.market_id: lag.accepted for lag in await _lags(core.database)}
    end_s = core.clock.monotonic_s() + DRAIN_TIMEOUT_S
    while any(lag.settled < wanted.get(lag.market_id, 0) for lag in await _lags(core.database)):
        if core.clock.monotonic_s() > end_s:
            raise Overloaded("settlement is behind: try again")
        await core.clock.sleep(DRAIN_LOOK_MS / 1000)


async def _lags(database: Database) -> list[MarketLag]:
    async with database.transaction(read_only=True) as transaction:
        return await lags(transaction)
