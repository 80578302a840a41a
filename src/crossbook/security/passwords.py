"""Passwords are kept as argon2id hashes, computed beside the event loop.

The cost (see `HashCost`) is above what OWASP asks for as least (19 MiB, 2 passes) and keeps a login at a
few hundredths of a second of one core. It is written into every hash: a hash made at another cost still
verifies, and `Verdict.rehash` then asks the caller to store a new one.
"""

import asyncio
import unicodedata
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError, VerifyMismatchError

from crossbook.domain.errors import CrossbookError

SHORTEST_CHARACTERS: Final = 8
LONGEST_BYTES: Final = 1024
"""More would only be a cheap way to keep the venue busy."""
_PREFIX: Final = "$argon2id$"


class PasswordRefused(CrossbookError, ValueError):
    """A password that can not be taken; the message says why, and never repeats it."""


class PasswordHashDamaged(CrossbookError):
    """A stored hash that is no argon2id hash: nobody can log in with it."""


class PasswordsBusy(CrossbookError):
    """More passwords wait to be hashed than are allowed to; the client may try again."""


@dataclass(frozen=True)
class HashCost:
    """What one hash costs. The parameters are those of RFC 9106."""

    memory_kib: int = 32_768
    passes: int = 2
    lanes: int = 1
    salt_bytes: int = 16
    hash_bytes: int = 32


@dataclass(frozen=True)
class Verdict:
    """Whether the password was right, and whether its stored hash should be made anew at today's cost."""

    accepted: bool
    rehash: bool = False


def check_password(password: str) -> str:
    """The form in which `password` is hashed: NFKC, so that every keyboard's spelling of it is the same.

    Raises PasswordRefused for less than SHORTEST_CHARACTERS, more than LONGEST_BYTES, or text that is not
    Unicode.
    """
    prepared = _prepared(password)
    if prepared is None:
        raise PasswordRefused(f"password must be valid text of at most {LONGEST_BYTES} bytes")
    if len(prepared) < SHORTEST_CHARACTERS:
        raise PasswordRefused(f"password must have at least {SHORTEST_CHARACTERS} characters")
    return prepared


class Passwords:
    """Hashes and verifies, `threads` at a time, each on its own thread with `cost.memory_kib` of memory.

    At most `waiting_limit` calls are under way at once, those that wait for a thread included.
    """

    def __init__(self, cost: HashCost | None = None, threads: int = 2, waiting_limit: int = 200) -> None:
        self._cost = cost or HashCost()
        self._hasher = PasswordHasher(
            time_cost=self._cost.passes,
            memory_cost=self._cost.memory_kib,
            parallelism=self._cost.lanes,
            hash_len=self._cost.hash_bytes,
            salt_len=self._cost.salt_bytes,
            type=Type.ID,
        )
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="passwords")
        self._waiting = 0
        self._waiting_limit = waiting_limit
        # What a user who does not exist is compared with. Made now: made at the first need, that need would show.
        self._nobody = self._hasher.hash("nobody has this password")

    async def hash(self, password: str) -> str:
        """The text to store for `password`. Raises PasswordRefused (see `check_password`) or PasswordsBusy."""
        prepared = check_password(password)
        with self._place():
            return await asyncio.get_running_loop().run_in_executor(self._executor, self._hasher.hash, prepared)

    async def verify(self, password: str, stored: str | None) -> Verdict:
        """Whether `password` is the one behind `stored`; None for a user who does not exist.

        Every refusal takes the work of one comparison: the time of an answer does not tell whether the
        user exists. Raises PasswordHashDamaged or PasswordsBusy.
        """
        with self._place():
            return await asyncio.get_running_loop().run_in_executor(self._executor, self._compare, password, stored)

    def close(self) -> None:
        """Let the threads go: what runs ends, what waits is cancelled."""
        self._executor.shutdown(wait=True, cancel_futures=True)

    def _compare(self, password: str, stored: str | None) -> Verdict:
        if stored is not None and not stored.startswith(_PREFIX):
            raise PasswordHashDamaged("a stored password is not an argon2id hash")
        prepared = _prepared(password)
        if stored is None or prepared is None:
            self._matches(self._nobody, prepared or "")
            return Verdict(accepted=False)  # whoever guesses nobody's password has opened nothing
        if not self._matches(stored, prepared):
            return Verdict(accepted=False)
        return Verdict(accepted=True, rehash=self._hasher.check_needs_rehash(stored))

    def _matches(self, stored: str, prepared: str) -> bool:
        try:
            return self._hasher.verify(stored, prepared)
        except VerifyMismatchError:
            return False
        except (InvalidHashError, VerificationError) as error:
            raise PasswordHashDamaged("a stored argon2id hash can not be read") from error

    @contextmanager
    def _place(self) -> Iterator[None]:
        """One of the calls under way."""
        if self._waiting >= self._waiting_limit:
            raise PasswordsBusy(f"{self._waiting} passwords are waiting already")
        self._waiting += 1
        try:
            yield
        finally:
            self._waiting -= 1


def _prepared(password: str) -> str | None:
    """`password` in NFKC; None when it is too long or no text that can be stored."""
    if len(password) > LONGEST_BYTES:
        return None  # before any work on it
    normal = unicodedata.normalize("NFKC", password)
    try:
        return normal if len(normal.encode()) <= LONGEST_BYTES else None
    except UnicodeEncodeError:
        return None
