"""What `crossbook keys` does: make, list and revoke the keys that sign requests."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TypeVar

from rich.markup import escape
from rich.table import Table

from crossbook.application.api_keys import ApiKey, ApiKeys, KeyNotFound
from crossbook.application.clients import Clients
from crossbook.settings import Settings
from crossbook.storage.api_keys import KeyStore
from crossbook.storage.clients import ClientStore
from crossbook.storage.database import Database
from crossbook.system import SystemClock
from crossbook.terminal import fail, output, plain_table
from crossbook.venue_commands import on_database, settings_of, user_called
from crossbook.wiring.secrets import sealer_of

T = TypeVar("T")
DAY_MS = 86_400_000


class Desk:
    """The use cases of keys on the venue's database."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self.keys = ApiKeys(KeyStore(database), sealer_of(settings), SystemClock())
        self.clients = Clients(ClientStore(database), SystemClock())
        self._database = database

    async def user_id(self, name: str) -> int:
        """The user of this e-mail or number. Exits with 2 when there is none."""
        return (await user_called(self._database, name)).user_id


def create(
    overrides: Mapping[str, object],
    user: str,
    scopes: Sequence[str],
    name: str,
    networks: Sequence[str],
    days: int | None,
    mnemonic: str,
) -> None:
    """Make a key and print it with its secret, which nobody can read again. Raises CrossbookError."""

    async def work(desk: Desk) -> Table:
        owner = await desk.user_id(user)
        client = await desk.clients.ensure_first(owner, mnemonic)
        ends_ms = None if days is None else SystemClock().now_ms() + days * DAY_MS
        issued = await desk.keys.issue(owner, scopes, name=name, networks=networks, expires_at_ms=ends_ms)
        table = plain_table()
        table.add_row("Organization", str(owner))
        table.add_row("Client", f"{client.account_id} {client.mnemonic}")
        table.add_row("Key", issued.key.key_id)
        table.add_row("Secret", escape(issued.secret))
        return table

    output().print(_with_desk(overrides, work))
    output().print("The secret is shown this once: keep it now.")


def show(overrides: Mapping[str, object], user: str | None) -> None:
    """Print keys without their secrets. Raises CrossbookError."""

    async def work(desk: Desk) -> list[ApiKey]:
        return await desk.keys.list(None if user is None else await desk.user_id(user))

    table = plain_table()
    for key in _with_desk(overrides, work):
        state = "revoked" if key.revoked_at_ms else f"until {_day(key.expires_at_ms)}"
        used = f"used {_day(key.last_used_at_ms)}"
        where = ", ".join(key.networks) or "anywhere"
        table.add_row(
            key.key_id, str(key.organization_id), ", ".join(sorted(key.scopes)), where, state, used, escape(key.name)
        )
    output().print(table)


def revoke(overrides: Mapping[str, object], key_id: str) -> None:
    """Revoke a key. Raises CrossbookError."""

    async def work(desk: Desk) -> None:
        try:
            await desk.keys.revoke(key_id)
        except KeyNotFound as error:
            fail(str(error))

    _with_desk(overrides, work)
    output().print(f"Revoked {key_id}.")


def _with_desk(overrides: Mapping[str, object], work: Callable[[Desk], Awaitable[T]]) -> T:
    settings = settings_of(overrides).settings

    async def at_desk(database: Database) -> T:
        return await work(Desk(database, settings))

    return on_database(settings, at_desk)


def _day(time_ms: int | None) -> str:
    return "never" if time_ms is None else datetime.fromtimestamp(time_ms // 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")
