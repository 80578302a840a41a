"""What `crossbook truex` does: clients, their status, and what they pay."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final, TypeVar

from crossbook.application.clients import (
    OWN_RATES,
    Client,
    ClientClosed,
    ClientNotFound,
    Clients,
    ClientType,
    FeeTier,
    NewClient,
)
from crossbook.application.desk import Desk
from crossbook.application.errors import InvalidOrder
from crossbook.application.markets import Markets
from crossbook.application.marks import Marks
from crossbook.dialects.recent import KEPT_S
from crossbook.domain.money import MILLION, RATES, InvalidDecimal
from crossbook.storage import markets
from crossbook.storage.admission import AdmissionStore
from crossbook.storage.clients import ClientStore
from crossbook.storage.database import Database
from crossbook.system import Ids, SystemClock
from crossbook.terminal import fail, output, plain_table
from crossbook.venue_commands import on_database, settings_of, user_called

T = TypeVar("T")
SOON: Final = f"A running venue knows within {KEPT_S} seconds."


# -- Clients -----------------------------------------------------------------------------------------
def show_clients(overrides: Mapping[str, object], user: str | None) -> None:
    """Print clients, a user's or everybody's. Raises CrossbookError."""

    async def work(database: Database) -> list[Client]:
        owner = None if user is None else (await user_called(database, user)).user_id
        return await _clients(database).of_organization(owner)

    table = plain_table()
    for client in _on_database(overrides, work):
        table.add_row(
            str(client.account_id),
            client.mnemonic,
            f"user {client.organization_id}",
            client.status.name,
            client.type.name,
            f"maker tier {client.maker_fee_tier}",
            f"taker tier {client.taker_fee_tier}",
            f"self-trades: {client.self_trade_prevention.name}",
        )
    output().print(table)


def add_client(
    overrides: Mapping[str, object], user: str, mnemonic: str, kind: str, maker_tier: int, taker_tier: int
) -> None:
    """Set a client up and print its id. Raises CrossbookError."""

    async def work(database: Database) -> Client:
        owner = (await user_called(database, user)).user_id
        new = NewClient(owner, mnemonic, type=ClientType[kind], maker_fee_tier=maker_tier, taker_fee_tier=taker_tier)
        return await _clients(database).create(new)

    made = _refusing_bad_input(lambda: _on_database(overrides, work))
    output().print(f"Client {made.account_id} {made.mnemonic} of user {made.organization_id}.")


def suspend_client(overrides: Mapping[str, object], name: str, cancels: bool) -> None:
    """Refuse a client's orders and transfers; with `cancels`, log the cancel of what rests. Raises CrossbookError."""

    async def work(database: Database) -> tuple[Client, int]:
        clients = _clients(database)
        client = await clients.suspend(await clients.called(name))
        if not cancels:
            return client, 0
        await asyncio.sleep(KEPT_S + 1)  # what still came in before every process knew is cancelled too
        return client, len(await _cancel_all(database, client.account_id))

    client, count = _refusing_bad_input(lambda: _on_database(overrides, work))
    rest = f"Orders that are being cancelled: {count}." if cancels else "What rests goes on trading."
    output().print(f"Suspended {client.mnemonic}. {SOON} {rest}")


def resume_client(overrides: Mapping[str, object], name: str) -> None:
    """Let a client trade again. Raises CrossbookError."""
    client = _with_client(overrides, name, Clients.resume)
    output().print(f"{client.mnemonic} may trade. {SOON}")


def close_client(overrides: Mapping[str, object], name: str) -> None:
    """Close a client for ever. Raises CrossbookError, and says what is left of one that is not empty."""

    async def close(clients: Clients, client: Client) -> Client:
        await clients.close(client)
        return client

    client = _with_client(overrides, name, close)
    output().print(f"Closed {client.mnemonic}.")


def set_client_tiers(overrides: Mapping[str, object], name: str, maker: int | None, taker: int | None) -> None:
    """Change what a client's later orders pay; None leaves a tier as it is. Raises CrossbookError."""
    if maker is None and taker is None:
        fail("name --maker, --taker or both")

    async def change(clients: Clients, client: Client) -> Client:
        return await clients.set_fee_tiers(
            client,
            client.maker_fee_tier if maker is None else maker,
            client.taker_fee_tier if taker is None else taker,
        )

    client = _with_client(overrides, name, change)
    tiers = f"maker tier {client.maker_fee_tier}, taker tier {client.taker_fee_tier}"
    output().print(f"{client.mnemonic} has {tiers}. {SOON} Open orders keep the rates that they have.")


# -- Fees --------------------------------------------------------------------------------------------
def show_fees(overrides: Mapping[str, object]) -> None:
    """Print the fee tiers. Raises CrossbookError."""

    async def work(database: Database) -> Sequence[FeeTier]:
        return await _clients(database).fee_tiers()

    table = plain_table()
    table.add_row(str(OWN_RATES), "each market's own rates")
    for tier in _on_database(overrides, work):
        rates = f"maker {RATES.format(tier.maker_fee_ppm)}  taker {RATES.format(tier.taker_fee_ppm)}"
        table.add_row(str(tier.tier), rates)
    output().print(table)


def set_fee(overrides: Mapping[str, object], tier: int, maker: str, taker: str) -> None:
    """Add or change a fee tier. `maker` and `taker` are parts of the notional. Raises CrossbookError."""

    async def work(database: Database) -> None:
        rates = RATES.parse(maker, "maker", -MILLION, MILLION), RATES.parse(taker, "taker", 0, MILLION)
        await _clients(database).put_fee_tier(FeeTier(tier, *rates))

    _refusing_bad_input(lambda: _on_database(overrides, work))
    output().print(f"Tier {tier}: maker {maker}, taker {taker}. {SOON} Open orders keep the rates that they have.")


# -- Pieces ------------------------------------------------------------------------------------------
def _on_database(overrides: Mapping[str, object], work: Callable[[Database], Awaitable[T]]) -> T:
    return on_database(settings_of(overrides).settings, work)


def _clients(database: Database) -> Clients:
    return Clients(ClientStore(database), SystemClock())


async def _cancel_all(database: Database, account_id: int) -> list[int]:
    """Log the cancel of an account's live orders, which a running venue reads there; their ids."""
    async with database.transaction(read_only=True) as transaction:
        listed = Markets(await markets.load(transaction))
    clock, stop = SystemClock(), asyncio.Event()
    # New orders would need ids of a node of their own, and marks; cancels need neither.
    desk = Desk(AdmissionStore(database), listed, Marks(), clock, Ids(clock, 0), lambda _: None)
    running = asyncio.create_task(desk.run(stop))
    try:
        return await desk.cancel_all(account_id)
    finally:
        stop.set()
        await running


def _with_client(
    overrides: Mapping[str, object], name: str, change: Callable[[Clients, Client], Awaitable[Client]]
) -> Client:
    async def work(database: Database) -> Client:
        clients = _clients(database)
        return await change(clients, await clients.called(name))

    return _refusing_bad_input(lambda: _on_database(overrides, work))


def _refusing_bad_input(work: Callable[[], T]) -> T:
    """What `work` gives. Bad input ends the command with 2."""
    try:
        return work()
    except (InvalidOrder, InvalidDecimal, ClientNotFound, ClientClosed) as error:
        fail(str(error))
