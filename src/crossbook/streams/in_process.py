"""Streams inside one process, for the embedded venue. As weak as Redis, on purpose.

Nothing is kept when the process ends, everything is awaited, a full stream refuses, and a reader runs
when the loop gives it its turn: never within the call that appended.
"""

import asyncio
from collections.abc import Sequence
from typing import Final

from crossbook.streams.entries import Entry, check_entries, check_read, check_sequence
from crossbook.streams.port import AppendResult, StreamFull, StreamGap, StreamKind, StreamTrimmed, stream_name

DEFAULT_MAX_LENGTH: Final = 100_000
"""The entries of one market that wait in memory at most; more than come between two trims."""


class _MarketStream:
    """The entries of one market: always consecutive, the last of them at `last`."""

    def __init__(self) -> None:
        self.payloads: dict[int, bytes] = {}
        self.last = 0
        self.appended = asyncio.Event()

    @property
    def first(self) -> int:
        return self.last - len(self.payloads) + 1

    def wake_readers(self) -> None:
        """Let those who wait now go on; who waits from now on waits for the next append."""
        self.appended.set()
        self.appended = asyncio.Event()


class InProcessStreams:
    """The streams of one kind, in the memory of this process; see `Stream`.

    `max_length` bounds the entries of each market: an append beyond it is refused with StreamFull, so
    it must be greater than the number of entries between two trims.
    """

    def __init__(self, kind: StreamKind, *, max_length: int = DEFAULT_MAX_LENGTH) -> None:
        if max_length < 1:
            raise ValueError(f"max_length {max_length} is not 1 or more")
        self._kind = kind
        self._max_length = max_length
        self._markets: dict[str, _MarketStream] = {}

    async def append(self, market: str, entries: Sequence[Entry]) -> AppendResult:
        """Add to the memory what is new; see `Stream.append`."""
        check_entries(entries)
        await _turn()
        if not entries:
            return AppendResult(0, 0)
        stream = self._stream(market)
        first = entries[0][0]
        if first > stream.last + 1:
            raise StreamGap(self._name(market), stream.last + 1, first - 1)
        duplicates = min(stream.last + 1 - first, len(entries))
        fresh = entries[duplicates:]
        taken = fresh[: max(0, self._max_length - len(stream.payloads))]
        self._take(stream, taken)
        if len(taken) < len(fresh):
            raise StreamFull(self._name(market), stream.last)
        return AppendResult(len(fresh), duplicates)

    async def read(self, market: str, after_sequence: int, limit: int, block_ms: int = 0) -> list[Entry]:
        """Wait for the market's next append if need be; see `Stream.read`."""
        check_read(after_sequence, limit, block_ms)
        await _turn()
        stream = self._stream(market)
        try:
            async with asyncio.timeout(block_ms / 1000):
                while stream.last <= after_sequence:
                    await stream.appended.wait()
        except TimeoutError:
            return []
        if after_sequence + 1 < stream.first:
            raise StreamTrimmed(self._name(market), after_sequence + 1, stream.first)
        end = min(after_sequence + limit, stream.last)
        return [(sequence, stream.payloads[sequence]) for sequence in range(after_sequence + 1, end + 1)]

    async def first_sequence(self, market: str) -> int:
        """See `Stream.first_sequence`."""
        await _turn()
        return self._stream(market).first

    async def last_sequence(self, market: str) -> int:
        """See `Stream.last_sequence`."""
        await _turn()
        return self._stream(market).last

    async def start_after(self, market: str, sequence: int) -> bool:
        """See `Stream.start_after`."""
        check_sequence(sequence)
        await _turn()
        stream = self._stream(market)
        if stream.last:
            return False
        stream.last = sequence
        return True

    async def trim(self, market: str, up_to_sequence: int) -> int:
        """Free the memory of the entries; see `Stream.trim`."""
        check_sequence(up_to_sequence)
        await _turn()
        stream = self._stream(market)
        dropped = range(stream.first, min(up_to_sequence, stream.last) + 1)
        for sequence in dropped:
            del stream.payloads[sequence]
        return len(dropped)

    async def clear(self, market: str) -> None:
        """See `Stream.clear`; who waits goes on waiting."""
        await _turn()
        stream = self._stream(market)
        stream.payloads.clear()
        stream.last = 0

    async def close(self) -> None:
        """Nothing to give back: the entries go with the process."""

    def _take(self, stream: _MarketStream, entries: Sequence[Entry]) -> None:
        if entries:
            stream.payloads.update((sequence, bytes(payload)) for sequence, payload in entries)
            stream.last = entries[-1][0]
            stream.wake_readers()

    def _stream(self, market: str) -> _MarketStream:
        return self._markets.setdefault(market, _MarketStream())

    def _name(self, market: str) -> str:
        return stream_name(self._kind, market)


async def _turn() -> None:
    """Let others run, as every call over a network does."""
    await asyncio.sleep(0)
