"""The demo users and the file of their secrets fit together, whatever became of either."""

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import pytest

from crossbook.application.accounts import Accounts, User, UserKind
from crossbook.demo import DemoUsers
from crossbook.private_files import DataFolderError
from crossbook.security.passwords import HashCost, Passwords
from crossbook.security.tokens import Tokens
from crossbook.system import ManualClock

URL = "http://127.0.0.1:8000"
CHEAP = HashCost(memory_kib=8, passes=1)


class Store:
    """Users in memory."""

    def __init__(self) -> None:
        self.users: dict[str, User] = {}

    async def create(
        self,
        kind: UserKind,
        now_ms: int,
        *,
        email: str | None,
        password_hash: str | None,
        name: str,
        scopes: frozenset[str],
    ) -> User:
        assert email is not None
        number = 1_000 + len(self.users)
        user = User(number, 999_000 + number, kind, name, email, password_hash, scopes, now_ms, False)
        self.users[email] = user
        return user

    async def by_email(self, email: str) -> User | None:
        return self.users.get(email)

    async def by_id(self, user_id: int) -> User | None:
        return next((user for user in self.users.values() if user.user_id == user_id), None)

    async def set_password_hash(self, user_id: int, password_hash: str) -> None:
        (email,) = (email for email, user in self.users.items() if user.user_id == user_id)
        self.users[email] = replace(self.users[email], password_hash=password_hash)

    async def open_session(self, session_hash: bytes, user_id: int, now_ms: int, expires_at_ms: int) -> None:
        pass

    async def session_user(self, session_hash: bytes, now_ms: int) -> User | None:
        return None


def ensure(file: Path, store: Store, url: str = URL) -> dict[str, str]:
    """Have the users; the passwords in the file, by email, each of which opens its account."""
    clock, passwords = ManualClock(), Passwords(CHEAP)
    accounts = Accounts(store, passwords, Tokens(clock, "s" * 40, 60), clock)

    async def work() -> dict[str, str]:
        await DemoUsers(file, accounts, store, passwords).ensure(url)
        document = json.loads(file.read_text())
        found = {entry["email"]: entry["password"] for entry in [*document["users"], document["admin"]]}
        for email, password in found.items():
            assert (await accounts.login(email, password)).user.email == email
        return found

    try:
        return asyncio.run(work())
    finally:
        passwords.close()


def test_passwords_are_random_and_kept(tmp_path: Path) -> None:
    file, store = tmp_path / "demo.json", Store()
    first = ensure(file, store)
    text = file.read_text()
    assert ensure(file, store) == first
    assert file.read_text() == text
    assert len(set(first.values())) == 4
    assert set(ensure(tmp_path / "other.json", Store()).values()).isdisjoint(first.values())


def test_a_lost_database_gets_the_same_passwords_again(tmp_path: Path) -> None:
    file = tmp_path / "demo.json"
    assert ensure(file, Store()) == ensure(file, Store())


def test_a_lost_file_gets_new_passwords_for_the_same_users(tmp_path: Path) -> None:
    file, store = tmp_path / "demo.json", Store()
    first = ensure(file, store)
    file.unlink()
    second = ensure(file, store)
    assert first.keys() == second.keys()
    assert set(first.values()).isdisjoint(second.values())
    assert len(store.users) == 4


def test_keys_of_others_stay_and_the_address_follows(tmp_path: Path) -> None:
    file, store = tmp_path / "demo.json", Store()
    ensure(file, store)
    document = json.loads(file.read_text())
    file.write_text(json.dumps({**document, "truex": {"keys": []}}))
    ensure(file, store, "http://127.0.0.1:9000")
    after = json.loads(file.read_text())
    assert after["truex"] == {"keys": []}
    assert after["base_url"] == "http://127.0.0.1:9000"
    assert after["users"] == document["users"]


@pytest.mark.parametrize("text", ["{", "[]", "nothing", '"text"'])
def test_a_damaged_file_is_left_alone_and_said(tmp_path: Path, text: str) -> None:
    file, store = tmp_path / "demo.json", Store()
    file.write_text(text)
    with pytest.raises(DataFolderError, match=r"demo\.json is damaged: move it away"):
        ensure(file, store)
    assert file.read_text() == text
    assert not store.users
