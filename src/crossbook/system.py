"""The only source of clock, ids and randomness.

Whatever needs one of them is given it: `SystemClock` in a running venue, `ManualClock` in a test. The
rules of the exchange need none of them: time and choices reach the engine inside its commands.
"""

import asyncio
import hashlib
import heapq
import os
import random
import secrets
import threading
import time
import uuid
from collections.abc import Callable
from itertools import count
from typing import Final, Protocol

_NS_PER_MS: Final = 1_000_000
_NS_PER_S: Final = 1_000_000_000


# -- Clock -------------------------------------------------------------------------------------------
class Clock(Protocol):
    """The time of day, the time that passed, and waiting."""

    def now_ms(self) -> int:
        """The time of day: milliseconds since 1970 UTC. It may step back when the machine's clock is set."""
        ...

    def monotonic_s(self) -> float:
        """Seconds since some moment; never steps back. Only differences mean something."""
        ...

    async def sleep(self, duration_s: float) -> None:
        """Let others run for `duration_s` seconds; zero or less lets them run once."""
        ...


class SystemClock:
    """The clock of the machine."""

    def now_ms(self) -> int:
        return time.time_ns() // _NS_PER_MS

    def monotonic_s(self) -> float:
        return time.monotonic()

    async def sleep(self, duration_s: float) -> None:
        await asyncio.sleep(max(duration_s, 0))


class ManualClock:
    """A clock for tests, which moves only when it is told to.

    It starts at `now_ms`, milliseconds since 1970 UTC; the passing of time is counted from zero.
    """

    _PASSES_TO_REST: Final = 25
    """How often the others may run before the next sleeper is woken: enough for a few awaits in a row."""

    def __init__(self, now_ms: int = 1_767_225_600_000) -> None:
        self._start_ms = now_ms
        self._passed_ns = 0
        self._sleepers: list[tuple[int, int, asyncio.Future[None]]] = []
        self._slept = 0

    def now_ms(self) -> int:
        return self._start_ms + self._passed_ns // _NS_PER_MS

    def monotonic_s(self) -> float:
        return self._passed_ns / _NS_PER_S

    async def sleep(self, duration_s: float) -> None:
        if duration_s <= 0:
            await asyncio.sleep(0)
            return
        wake = asyncio.get_running_loop().create_future()
        self._slept += 1  # of two sleepers with one hour, the first to lie down is the first to wake
        heapq.heappush(self._sleepers, (self._passed_ns + round(duration_s * _NS_PER_S), self._slept, wake))
        await wake

    def advance(self, duration_ms: int) -> None:
        """Let `duration_ms` pass at once; every sleeper whose time has come is woken, in order.

        Raises ValueError for a negative duration: passed time never steps back (see `set_now`).
        """
        if duration_ms < 0:
            raise ValueError(f"time can not pass backwards: {duration_ms} ms")
        self._move_to(self._passed_ns + duration_ms * _NS_PER_MS)

    async def run_for(self, duration_ms: int) -> None:
        """Let `duration_ms` pass as a machine would: each sleeper runs at its own time, and may sleep again.

        Good for tasks that wait for nothing but this clock. Raises ValueError for a negative duration.
        """
        if duration_ms < 0:
            raise ValueError(f"time can not pass backwards: {duration_ms} ms")
        await self._let_others_run()
        end_ns = self._passed_ns + duration_ms * _NS_PER_MS
        while self._sleepers and self._sleepers[0][0] <= end_ns:
            self._move_to(self._sleepers[0][0])
            await self._let_others_run()
        self._move_to(end_ns)
        await self._let_others_run()

    def set_now(self, now_ms: int) -> None:
        """Set the time of day, forwards or backwards, as an operator may; no time passes by it."""
        self._start_ms = now_ms - self._passed_ns // _NS_PER_MS

    def _move_to(self, passed_ns: int) -> None:
        self._passed_ns = passed_ns
        while self._sleepers and self._sleepers[0][0] <= passed_ns:
            _, _, wake = heapq.heappop(self._sleepers)
            if not wake.done():  # its sleeper may have been cancelled
                wake.set_result(None)

    async def _let_others_run(self) -> None:
        for _ in range(self._PASSES_TO_REST):
            await asyncio.sleep(0)


# -- Ids ---------------------------------------------------------------------------------------------
EPOCH_MS: Final = 1_735_689_600_000
"""2025-01-01T00:00:00Z, from which ids count their time."""
TIME_BITS: Final = 41
NODE_BITS: Final = 11
COUNT_BITS: Final = 10
NODES: Final = 1 << NODE_BITS
MAX_ID: Final = (1 << (TIME_BITS + NODE_BITS + COUNT_BITS)) - 1
_COUNT_MASK: Final = (1 << COUNT_BITS) - 1


class Ids:
    """Makes ids: positive integers of 62 bits that rise with time.

    From the top: 41 bits of milliseconds since 2025 (enough until 2094), 11 bits of node, 10 bits of
    count. Inside one object they strictly rise: when the clock steps back, or more than 1,024 ids are
    asked for in a millisecond, the time in them runs ahead of the clock and never repeats.

    Two makers can only meet on the same node. So `node` comes from a counter in the store, modulo NODES,
    raised at every start: a node comes back after 2,047 others. Even then they meet only inside the same
    millisecond, and the store refuses the second order of one id.
    `after` is the highest id known from before: a restart with a clock set back then still goes on above it.

    Safe between threads. Not across a fork: make it in the process that uses it.
    """

    def __init__(self, clock: Clock, node: int, after: int = 0) -> None:
        """Raises ValueError for a node outside 0 to NODES - 1, or an `after` that is no id (0 for none)."""
        if not 0 <= node < NODES:
            raise ValueError(f"node must be from 0 to {NODES - 1}, not {node}")
        if not 0 <= after <= MAX_ID:
            raise ValueError(f"after must be an id, or 0 for none, not {after}")
        self._clock = clock
        self._node_part = node << COUNT_BITS
        # A slot is an id without its node: time and count in one number that only rises.
        first_ms = (after >> (NODE_BITS + COUNT_BITS)) + 1 if after else 0
        self._last_slot = first_ms << COUNT_BITS
        self._process = os.getpid()
        self._lock = threading.Lock()

    def next(self) -> int:
        """One new id. Raises as `take` does."""
        return self._id_of(self._take_slots(1))

    def take(self, count: int) -> list[int]:
        """`count` new ids, rising.

        Raises ValueError for a count below 1, RuntimeError in a forked child (it would repeat its parent),
        OverflowError when 62 bits are used up.
        """
        if count < 1:
            raise ValueError(f"count must be at least 1, not {count}")
        first = self._take_slots(count)
        return [self._id_of(slot) for slot in range(first, first + count)]

    def _take_slots(self, count: int) -> int:
        """The first of `count` slots that nobody had."""
        if os.getpid() != self._process:
            raise RuntimeError("this maker of ids belongs to another process; make one after the fork")
        with self._lock:
            now_slot = (self._clock.now_ms() - EPOCH_MS) << COUNT_BITS
            first = max(self._last_slot + 1, now_slot)
            last = first + count - 1
            if last >> (TIME_BITS + COUNT_BITS):
                raise OverflowError("the clock is past the last id, in the year 2094")
            self._last_slot = last
        return first

    def _id_of(self, slot: int) -> int:
        return (slot >> COUNT_BITS) << (NODE_BITS + COUNT_BITS) | self._node_part | (slot & _COUNT_MASK)


def made_at_ms(id_: int) -> int:
    """The time inside an id: milliseconds since 1970 UTC. Under load it can be a little ahead of the clock."""
    return EPOCH_MS + (id_ >> (NODE_BITS + COUNT_BITS))


# -- Randomness --------------------------------------------------------------------------------------
def secret_token(size_bytes: int = 32) -> str:
    """A random text that nobody can guess, safe in URLs and headers.

    Raises ValueError below 16 bytes, which could be guessed.
    """
    if size_bytes < 16:
        raise ValueError(f"a secret needs at least 16 bytes, not {size_bytes}")
    return secrets.token_urlsafe(size_bytes)


def request_ids() -> Callable[[], str]:
    """Makes ids that tell requests apart, in this process and others; no secrets, and cheaper than them."""
    process = secrets.token_urlsafe(12)
    numbers = count(1)
    return lambda: f"{process}-{next(numbers):x}"


def random_bytes(size_bytes: int) -> bytes:
    """Random bytes that nobody can guess, for keys and nonces."""
    return secrets.token_bytes(size_bytes)


def random_uuid() -> str:
    """A random UUID (version 4) in its usual form: a name that nobody else gives, not a secret."""
    return str(uuid.UUID(bytes=secrets.token_bytes(16), version=4))


def random_for(seed: int, name: str) -> random.Random:
    """Repeatable choices for one purpose, such as one bot: same seed and name, same choices.

    Names do not disturb each other: adding a bot does not change what the others do. Never for secrets.
    """
    digest = hashlib.sha256(f"{seed}/{name}".encode()).digest()
    return random.Random(int.from_bytes(digest, "big"))  # noqa: S311 - repeatable on purpose, guards nothing
