"""What a new embedded venue begins with: markets, an insurance fund, users, and the file of their secrets."""

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from crossbook import private_files
from crossbook.application.accounts import Accounts, User, UserKind, UserStore
from crossbook.application.market_limits import MarketLimits
from crossbook.domain import ledger as journals
from crossbook.domain.accounts import INSURANCE
from crossbook.domain.instruments import USDC, Asset, Instrument, btc_perp, btc_pyusd, eth_perp, eth_pyusd
from crossbook.domain.ledger import LedgerType
from crossbook.private_files import DataFolderError
from crossbook.security.passwords import Passwords
from crossbook.storage import ledger, market_limits, markets
from crossbook.storage.database import Database, Transaction
from crossbook.system import secret_token

DEMO_FILE: Final = "demo.json"
USERS: Final = ("alice", "bob", "carol")
ADMIN: Final = "admin"
MAIL_DOMAIN: Final = "demo.example"
ADMIN_SCOPES: Final = frozenset({"admin", "funds"})
INSURANCE_UNITS: Final = 1_000_000_000_000
"""1,000,000 USDC."""
PASSWORD_BYTES: Final = 18
BAND_BASIS_POINTS: Final = 1_000
HALT_BASIS_POINTS: Final = 500
HALT_WINDOW_MS: Final = 300_000
HALT_MS: Final = 30_000
AUCTION_MS: Final = 30_000

Equip = Callable[[User, Mapping[str, Any]], Awaitable[Mapping[str, Any]]]
"""Gives a demo user more than a login: further entries of the user in the file, made from those before."""


NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})


async def no_more(user: User, before: Mapping[str, Any]) -> Mapping[str, Any]:
    """A login is enough."""
    del user, before
    return {}


def both(first: Equip, second: Equip) -> Equip:
    """What the two give."""

    async def equip(user: User, before: Mapping[str, Any]) -> Mapping[str, Any]:
        return {**await first(user, before), **await second(user, before)}

    return equip


@dataclass(frozen=True)
class DemoMarket:
    """A demo market: its terms, the price it starts near, the least order of a bot in lots, and its limits."""

    instrument: Instrument
    price_ticks: int
    unit_lots: int
    limits: MarketLimits | None = None


def demo_markets() -> tuple[DemoMarket, ...]:
    """BTC-PERP and BTC-PYUSD near 65,000, ETH-PERP and ETH-PYUSD near 3,500."""
    btc, eth = btc_perp(), eth_perp()
    return (
        DemoMarket(btc, btc.price_ticks("65000"), btc.quantity_lots("0.05")),
        DemoMarket(eth, eth.price_ticks("3500"), eth.quantity_lots("1")),
        _spot(btc_pyusd(), "65000", "0.05"),
        _spot(eth_pyusd(), "3500", "1"),
    )


def _spot(instrument: Instrument, price: str, unit: str) -> DemoMarket:
    price_ticks = instrument.price_ticks(price)
    limits = MarketLimits(price_ticks, BAND_BASIS_POINTS, HALT_BASIS_POINTS, HALT_WINDOW_MS, HALT_MS, AUCTION_MS)
    return DemoMarket(instrument, price_ticks, instrument.quantity_lots(unit), limits)


# -- Markets and the insurance fund ------------------------------------------------------------------
async def create_markets(database: Database, now_ms: int) -> None:
    """Store the demo markets and the insurance fund, unless they are there. Raises StorageError."""
    async with database.transaction() as transaction:
        for demo in demo_markets():
            instrument = await _on_stored_assets(transaction, demo.instrument)
            market = await markets.put(transaction, instrument, now_ms)
            if demo.limits is not None:
                await market_limits.put(transaction, market.number, demo.limits)
        await _fund_insurance(transaction, now_ms)


async def _on_stored_assets(transaction: Transaction, instrument: Instrument) -> Instrument:
    """The terms, with the assets as an older venue stored them: their decimals stay once somebody owns some."""
    rows = await transaction.rows("SELECT name, decimals, is_stablecoin FROM assets")
    stored = {row["name"]: Asset(*row) for row in rows}
    base, quote = instrument.base, instrument.quote
    return replace(instrument, base=stored.get(base.name, base), quote=stored.get(quote.name, quote))


async def _fund_insurance(transaction: Transaction, now_ms: int) -> None:
    """Give the insurance fund its start, once: afterwards it has a balance, whatever it is."""
    if await transaction.value("SELECT true FROM balances WHERE account_id = $1 LIMIT 1", INSURANCE):
        return
    journal = journals.deposit(INSURANCE, USDC.name, INSURANCE_UNITS)
    entry = ledger.Entry(LedgerType.DEPOSIT, journal)
    await ledger.post(transaction, [entry], await markets.asset_ids(transaction), now_ms)


# -- Users -------------------------------------------------------------------------------------------
class DemoUsers:
    """The demo users, and `demo.json`, which holds their passwords.

    The file is written before the users are: a password that is known nowhere opens nothing, so a user whose
    password is not in the file gets a new one.
    """

    def __init__(
        self, file: Path, accounts: Accounts, store: UserStore, passwords: Passwords, equip: Equip = no_more
    ) -> None:
        self._file = file
        self._equip = equip
        self._accounts = accounts
        self._store = store
        self._passwords = passwords

    async def ensure(self, base_url: str, also: Mapping[str, Any] = NOTHING) -> None:
        """Have all users and a file that opens their accounts, with further entries. `also` are some of the venue's.

        Raises DataFolderError and StorageError.
        """
        before = {**_document(self._file), **also}
        known = _passwords_in(before)
        chosen = {name: known.get(_mail(name)) or secret_token(PASSWORD_BYTES) for name in (*USERS, ADMIN)}
        if any(_mail(name) not in known for name in chosen):
            private_files.write(self._file, _text_of(_filled(before, base_url, chosen, {})))
        more: dict[str, Mapping[str, Any]] = {}
        for name, password in chosen.items():
            user = await self._ensure_user(name, password, _mail(name) not in known)
            if name in USERS:
                more[name] = {"user_id": str(user.user_id), **await self._equip(user, _entry(before, name))}
        after = _filled(before, base_url, chosen, more)
        if after != _document(self._file):
            private_files.write(self._file, _text_of(after))

    async def _ensure_user(self, name: str, password: str, password_is_new: bool) -> User:
        email = _mail(name)
        user = await self._store.by_email(email)
        if user is None:
            kind = UserKind.ADMINISTRATOR if name == ADMIN else UserKind.TRADER
            scopes = ADMIN_SCOPES if name == ADMIN else frozenset[str]()
            return await self._accounts.register(email, password, name=name, kind=kind, scopes=scopes)
        if password_is_new:
            await self._store.set_password_hash(user.user_id, await self._passwords.hash(password))
        return user


def _filled(
    before: Mapping[str, Any], base_url: str, passwords: Mapping[str, str], more: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """The content of the file; keys that others put there stay."""
    users = [
        {"name": name, "email": _mail(name), "password": passwords[name], "user_id": "", **more.get(name, {})}
        for name in USERS
    ]
    admin = {"email": _mail(ADMIN), "password": passwords[ADMIN]}
    return {**before, "base_url": base_url, "users": users, "admin": admin}


def _text_of(document: Mapping[str, Any]) -> str:
    return json.dumps(document, indent=2) + "\n"


def _mail(name: str) -> str:
    return f"{name}@{MAIL_DOMAIN}"


def _document(file: Path) -> dict[str, Any]:
    text = private_files.read(file)
    try:
        document = json.loads(text) if text is not None else {}
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise DataFolderError(f"{file} is damaged: move it away, and the next start gives the demo users new passwords")
    return document


def _entry(document: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """What the file says of a user."""
    entries = [entry for entry in document.get("users") or [] if isinstance(entry, dict)]
    return next((entry for entry in entries if entry.get("name") == name), {})


def _passwords_in(document: Mapping[str, Any]) -> dict[str, str]:
    """The passwords in the file, by email."""
    entries = [*(document.get("users") or []), document.get("admin") or {}]
    found = [(entry.get("email"), entry.get("password")) for entry in entries if isinstance(entry, dict)]
    return {email: password for email, password in found if isinstance(email, str) and isinstance(password, str)}
