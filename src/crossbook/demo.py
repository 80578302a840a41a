"""What a new embedded venue begins with: markets, an insurance fund, users, and the file of their secrets."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from crossbook import private_files
from crossbook.application.accounts import Accounts, User, UserKind, UserStore
from crossbook.domain import ledger as journals
from crossbook.domain.accounts import INSURANCE
from crossbook.domain.instruments import USDC, Instrument, btc_perp, eth_perp
from crossbook.domain.ledger import LedgerType
from crossbook.private_files import DataFolderError
from crossbook.security.passwords import Passwords
from crossbook.storage import ledger, markets
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


@dataclass(frozen=True)
class DemoMarket:
    """A demo market: its terms, the price it starts near, and the least order of a bot in lots."""

    instrument: Instrument
    price_ticks: int
    unit_lots: int


def demo_markets() -> tuple[DemoMarket, ...]:
    """BTC-PERP near 65,000 and ETH-PERP near 3,500."""
    btc, eth = btc_perp(), eth_perp()
    return (
        DemoMarket(btc, btc.price_ticks("65000"), btc.quantity_lots("0.05")),
        DemoMarket(eth, eth.price_ticks("3500"), eth.quantity_lots("1")),
    )


# -- Markets and the insurance fund ------------------------------------------------------------------
async def create_markets(database: Database, now_ms: int) -> None:
    """Store the demo markets and the insurance fund, unless they are there. Raises StorageError."""
    async with database.transaction() as transaction:
        for market in demo_markets():
            await markets.put(transaction, market.instrument, now_ms)
        await _fund_insurance(transaction, now_ms)


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

    def __init__(self, file: Path, accounts: Accounts, store: UserStore, passwords: Passwords) -> None:
        self._file = file
        self._accounts = accounts
        self._store = store
        self._passwords = passwords

    async def ensure(self, base_url: str) -> None:
        """Have all users and a file that opens their accounts. Raises DataFolderError and StorageError."""
        before = _document(self._file)
        known = _passwords_in(before)
        chosen = {name: known.get(_mail(name)) or secret_token(PASSWORD_BYTES) for name in (*USERS, ADMIN)}
        if any(_mail(name) not in known for name in chosen):
            private_files.write(self._file, _text_of(_filled(before, base_url, chosen, {})))
        ids = {}
        for name, password in chosen.items():
            user = await self._ensure_user(name, password, _mail(name) not in known)
            ids[name] = str(user.user_id)
        after = _filled(before, base_url, chosen, ids)
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
    before: Mapping[str, Any], base_url: str, passwords: Mapping[str, str], ids: Mapping[str, str]
) -> dict[str, Any]:
    """The content of the file; keys that others put there stay."""
    users = [
        {"name": name, "email": _mail(name), "password": passwords[name], "user_id": ids.get(name, "")}
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


def _passwords_in(document: Mapping[str, Any]) -> dict[str, str]:
    """The passwords in the file, by email."""
    entries = [*(document.get("users") or []), document.get("admin") or {}]
    found = [(entry.get("email"), entry.get("password")) for entry in entries if isinstance(entry, dict)]
    return {email: password for email, password in found if isinstance(email, str) and isinstance(password, str)}
