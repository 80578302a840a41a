"""Waiting between two tries, and what is worth a second try."""

import asyncio
from typing import Final

from crossbook.storage.errors import DatabaseUnavailable, StatementTooSlow, TransactionConflict
from crossbook.streams.port import StreamUnavailable
from crossbook.system import Clock

TRANSIENT_LOG: Final = (DatabaseUnavailable, StatementTooSlow, TransactionConflict)
"""What the database raises when the same may succeed later."""

TRANSIENT: Final = (*TRANSIENT_LOG, StreamUnavailable)
"""What the database or a stream raises when the same may succeed later."""


class Backoff:
    """Pauses that double from `first_ms` to `limit_ms`, until `reset`."""

    def __init__(self, first_ms: int = 10, limit_ms: int = 1_000) -> None:
        self._first_ms = first_ms
        self._limit_ms = limit_ms
        self._next_ms = first_ms

    def next_ms(self) -> int:
        """The length of the next pause."""
        pause_ms = self._next_ms
        self._next_ms = min(2 * pause_ms, self._limit_ms)
        return pause_ms

    def reset(self) -> None:
        """The last try succeeded: start from the shortest pause again."""
        self._next_ms = self._first_ms


async def pause(clock: Clock, stop: asyncio.Event, duration_ms: int) -> None:
    """Return after `duration_ms`, or when `stop` is set."""
    slept = asyncio.ensure_future(clock.sleep(duration_ms / 1000))
    stopped = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait((slept, stopped), return_when=asyncio.FIRST_COMPLETED)
    finally:
        slept.cancel()
        stopped.cancel()
        await asyncio.gather(slept, stopped, return_exceptions=True)
