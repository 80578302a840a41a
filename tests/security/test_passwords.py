"""Passwords: argon2id, beside the event loop, the same work for everybody."""

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, Literal, TypeVar

import argon2
import pytest

from crossbook.security.passwords import (
    LONGEST_BYTES,
    HashCost,
    PasswordHashDamaged,
    PasswordRefused,
    Passwords,
    PasswordsBusy,
    Verdict,
    check_password,
)

T = TypeVar("T")
CHEAP = HashCost(memory_kib=64, passes=1)
PASSWORD = "correct horse"


def run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(work)


def test_the_usual_cost_is_above_the_least_that_is_advised() -> None:
    passwords = Passwords()
    stored = run(passwords.hash(PASSWORD))
    parameters = argon2.extract_parameters(stored)
    assert parameters.type is argon2.Type.ID
    assert (parameters.memory_cost, parameters.time_cost, parameters.parallelism) == (32 * 1024, 2, 1)
    assert (parameters.salt_len, parameters.hash_len) == (16, 32)
    assert run(passwords.verify(PASSWORD, stored)) == Verdict(accepted=True)
    passwords.close()


def test_only_the_right_password_is_accepted() -> None:
    passwords = Passwords(CHEAP)
    stored = run(passwords.hash(PASSWORD))
    assert run(passwords.verify(PASSWORD, stored)) == Verdict(accepted=True, rehash=False)
    for wrong in ("", PASSWORD + " ", PASSWORD.upper(), PASSWORD[:-1], "x" * 5000, "\ud800" * 8):
        assert run(passwords.verify(wrong, stored)) == Verdict(accepted=False)


def test_the_same_password_is_never_stored_the_same() -> None:
    passwords = Passwords(CHEAP)
    assert run(passwords.hash(PASSWORD)) != run(passwords.hash(PASSWORD))


def test_how_a_keyboard_spells_a_password_does_not_matter() -> None:
    passwords = Passwords(CHEAP)
    stored = run(passwords.hash("cafe\u0301 \ufb01lter"))
    assert run(passwords.verify("caf\u00e9 filter", stored)).accepted


def test_a_hash_of_another_cost_is_accepted_and_asked_to_be_made_anew() -> None:
    stored = run(Passwords(CHEAP).hash(PASSWORD))
    dearer = Passwords(HashCost(memory_kib=128, passes=1))
    assert run(dearer.verify(PASSWORD, stored)) == Verdict(accepted=True, rehash=True)
    assert run(dearer.verify("something else", stored)) == Verdict(accepted=False)
    renewed = run(dearer.hash(PASSWORD))
    assert run(dearer.verify(PASSWORD, renewed)) == Verdict(accepted=True)


class Counting(argon2.PasswordHasher):
    """Counts comparisons, and keeps what they were with."""

    def __init__(self) -> None:
        super().__init__(time_cost=1, memory_cost=64, parallelism=1)
        self.compared: list[str] = []

    def verify(self, hash: str | bytes, password: str | bytes) -> Literal[True]:
        self.compared.append(str(hash))
        return super().verify(hash, password)


def test_every_refusal_takes_the_work_of_one_comparison(monkeypatch: pytest.MonkeyPatch) -> None:
    passwords = Passwords(CHEAP)
    stored = run(passwords.hash(PASSWORD))
    counting = Counting()
    monkeypatch.setattr(passwords, "_hasher", counting)
    for password in ("wrong password", "x" * 5000, "\ud800", ""):
        for known in (stored, None):
            counting.compared.clear()
            assert run(passwords.verify(password, known)) == Verdict(accepted=False)
            assert len(counting.compared) == 1
            made_with = argon2.extract_parameters(counting.compared[0])
            assert made_with == argon2.extract_parameters(stored)


def test_guessing_nobody_s_password_opens_nothing() -> None:
    assert run(Passwords(CHEAP).verify("nobody has this password", None)) == Verdict(accepted=False)


@pytest.mark.parametrize(
    "stored",
    [
        "",
        "plain text",
        "$argon2id$",
        "$argon2id$v=19$m=64,t=1,p=1$AAAA",
        argon2.PasswordHasher(1, 64, 1).hash("x")[:50],
    ],
)
def test_a_damaged_hash_is_an_error_and_not_a_refusal(stored: str) -> None:
    with pytest.raises(PasswordHashDamaged):
        run(Passwords(CHEAP).verify(PASSWORD, stored))


def test_another_kind_of_argon2_is_not_accepted() -> None:
    weaker = argon2.PasswordHasher(1, 64, 1, type=argon2.Type.I).hash(PASSWORD)
    with pytest.raises(PasswordHashDamaged):
        run(Passwords(CHEAP).verify(PASSWORD, weaker))


@pytest.mark.parametrize(
    ("password", "reason"),
    [
        ("1234567", "at least 8 characters"),
        ("e\u0301" * 7, "at least 8 characters"),
        ("x" * (LONGEST_BYTES + 1), "at most 1024 bytes"),
        ("\u00e9" * (LONGEST_BYTES // 2 + 1), "at most 1024 bytes"),
        ("\ufdfa" * 1000, "at most 1024 bytes"),
        ("\ud800" * 8, "valid text"),
    ],
)
def test_passwords_that_can_not_be_taken(password: str, reason: str) -> None:
    with pytest.raises(PasswordRefused, match=reason) as caught:
        check_password(password)
    assert password not in str(caught.value)
    with pytest.raises(PasswordRefused):
        run(Passwords(CHEAP).hash(password))


def test_the_shortest_and_the_longest_are_taken() -> None:
    assert check_password("12345678") == "12345678"
    assert len(check_password("x" * LONGEST_BYTES)) == LONGEST_BYTES


def test_the_event_loop_goes_on_meanwhile_and_the_crowd_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    may_end = threading.Event()

    class Slow(argon2.PasswordHasher):
        def hash(self, password: str | bytes, *, salt: bytes | None = None) -> str:
            assert may_end.wait(30)
            return "done"

    passwords = Passwords(CHEAP, threads=1, waiting_limit=3)
    monkeypatch.setattr(passwords, "_hasher", Slow())

    async def main() -> list[str]:
        tasks = [asyncio.create_task(passwords.hash(PASSWORD)) for _ in range(3)]
        await asyncio.sleep(0)
        with pytest.raises(PasswordsBusy):
            await passwords.hash(PASSWORD)
        with pytest.raises(PasswordsBusy):
            await passwords.verify(PASSWORD, None)
        may_end.set()  # the loop came here although every thread is taken
        done = await asyncio.gather(*tasks)
        return [*done, await passwords.hash(PASSWORD)]

    assert run(main()) == ["done"] * 4
    passwords.close()


def test_a_cancelled_caller_gives_its_place_back() -> None:
    passwords = Passwords(CHEAP, threads=1, waiting_limit=1)

    async def main() -> str:
        task = asyncio.create_task(passwords.hash(PASSWORD))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return await passwords.hash(PASSWORD)

    assert run(main()).startswith("$argon2id$")
    passwords.close()
