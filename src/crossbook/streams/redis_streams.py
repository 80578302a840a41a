"""Streams on a Redis server (or Valkey), for production. One key for each market: a cluster can spread them."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, cast

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialWithJitterBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from crossbook.streams.entries import Entry, check_entries, check_read, check_sequence
from crossbook.streams.port import (
    AppendResult,
    StreamFull,
    StreamGap,
    StreamKind,
    StreamTrimmed,
    StreamUnavailable,
    stream_name,
)
from crossbook.streams.redis_scripts import APPEND, BOUNDS, START

DEFAULT_MAX_LENGTH: Final = 1_000_000
"""The entries of one market that the server holds at most; more than come between two trims."""

APPEND_PART: Final = 256
"""The entries that one run of the script appends: the server serves nobody else meanwhile."""

_LAST_OF_SEQUENCE: Final = 2**64 - 1
"""The highest second part of an id: reading after it passes by what others may have put behind our entry."""


class RedisStreams:
    """The streams of one kind, on the server at `url`; see `Stream`.

    `protocol` is the RESP version, 2 or 3. No answer within `timeout_ms`, beyond what a read may wait,
    is StreamUnavailable. A lost connection is opened again `retries` times within that time, with
    growing pauses up to `backoff_limit_ms`, before that is StreamUnavailable too. `max_length` bounds
    the entries of each market, as StreamFull says. Each read that waits holds one of `max_connections`.
    """

    def __init__(
        self,
        url: str,
        kind: StreamKind,
        *,
        protocol: int = 3,
        timeout_ms: int = 5_000,
        retries: int = 3,
        backoff_limit_ms: int = 500,
        max_connections: int = 256,
        max_length: int = DEFAULT_MAX_LENGTH,
    ) -> None:
        if max_length < 1:
            raise ValueError(f"max_length {max_length} is not 1 or more")
        self._kind = kind
        self._max_length = max_length
        self._timeout_ms = timeout_ms
        backoff = ExponentialWithJitterBackoff(base=0.01, cap=backoff_limit_ms / 1000)
        self._client: Redis = Redis.from_url(
            url,
            protocol=protocol,
            legacy_responses=False,  # the same shapes in both protocols
            # The client's own time limit can lose a task's cancellation (asyncio.wait_for before Python 3.12),
            # and would cut short a read that waits. _answered() sets the limit.
            socket_timeout=None,
            socket_connect_timeout=timeout_ms / 1000,
            # Every command here may be done twice.
            retry=Retry(backoff, retries, supported_errors=(RedisConnectionError,)),
            max_connections=max_connections,
        )

    async def append(self, market: str, entries: Sequence[Entry]) -> AppendResult:
        """Add by script, in parts of APPEND_PART, all sent at once; see `Stream.append`."""
        check_entries(entries)
        if not entries:
            return AppendResult(0, 0)
        name = self._name(market)
        pipeline = self._client.pipeline(transaction=False)
        for start in range(0, len(entries), APPEND_PART):
            part = entries[start : start + APPEND_PART]
            payloads = [payload for _, payload in part]
            pipeline.eval(APPEND, 1, name, str(part[0][0]), str(self._max_length), *cast("list[str]", payloads))
        async with self._answered(name):
            results = await pipeline.execute()
        return _append_result(name, entries, results)

    async def read(self, market: str, after_sequence: int, limit: int, block_ms: int = 0) -> list[Entry]:
        """One XREAD, blocking on the server; see `Stream.read`."""
        check_read(after_sequence, limit, block_ms)
        name = self._name(market)
        position = f"{after_sequence}-{_LAST_OF_SEQUENCE}"
        async with self._answered(name, block_ms):
            # To the server, blocking for 0 means for ever.
            reply = await self._client.xread({name: position}, count=limit, block=block_ms or None)
        entries = _consecutive(after_sequence + 1, reply)
        if entries:
            return entries
        first = _first_id(reply) or await self.first_sequence(market)
        if after_sequence + 1 < first:
            raise StreamTrimmed(name, after_sequence + 1, first)
        return []

    async def first_sequence(self, market: str) -> int:
        """See `Stream.first_sequence`."""
        first, _ = await self._run(BOUNDS, market)
        return int(first)

    async def last_sequence(self, market: str) -> int:
        """See `Stream.last_sequence`."""
        _, last = await self._run(BOUNDS, market)
        return int(last)

    async def start_after(self, market: str, sequence: int) -> bool:
        """See `Stream.start_after`."""
        check_sequence(sequence)
        return bool(await self._run(START, market, str(sequence)))

    async def trim(self, market: str, up_to_sequence: int) -> int:
        """XTRIM to an exact id; see `Stream.trim`."""
        check_sequence(up_to_sequence)
        name = self._name(market)
        async with self._answered(name):
            return int(await self._client.xtrim(name, minid=f"{up_to_sequence + 1}-0", approximate=False))

    async def clear(self, market: str) -> None:
        """Delete the key; see `Stream.clear`."""
        name = self._name(market)
        async with self._answered(name):
            await self._client.delete(name)

    async def close(self) -> None:
        """Close every connection; see `Stream.close`."""
        await self._client.aclose()

    async def _run(self, script: str, market: str, *arguments: str) -> Any:
        name = self._name(market)
        async with self._answered(name):
            return await self._client.eval(script, 1, name, *arguments)

    @asynccontextmanager
    async def _answered(self, name: str, wait_ms: int = 0) -> AsyncIterator[None]:
        """Limit the time of what is inside, and say every failure of the server or of the way as StreamUnavailable."""
        try:
            async with asyncio.timeout((wait_ms + self._timeout_ms) / 1000):
                yield
        except (RedisError, OSError) as error:
            raise StreamUnavailable(f"{name}: {str(error) or 'no answer in time'}") from error

    def _name(self, market: str) -> str:
        return stream_name(self._kind, market)


def _append_result(name: str, entries: Sequence[Entry], results: Sequence[Any]) -> AppendResult:
    """What the answers to the parts of an append say together. Raises what the first part that failed says."""
    appended = 0
    for start, (status, last, count) in zip(range(0, len(entries), APPEND_PART), results, strict=True):
        if status == b"gap":
            raise StreamGap(name, last + 1, entries[start][0] - 1)
        if status == b"full":
            raise StreamFull(name, last)
        appended += count
    return AppendResult(appended, len(entries) - appended)


def _rows(reply: Any) -> Sequence[tuple[bytes, Mapping[bytes, bytes]]]:
    """The rows of the one stream that was read, ids and fields."""
    return next(iter(reply.values()), []) if reply else []


def _first_id(reply: Any) -> int:
    """The sequence of the first row, 0 without one."""
    return next((_sequence(row_id) for row_id, _ in _rows(reply)), 0)


def _sequence(row_id: bytes) -> int:
    return int(row_id.partition(b"-")[0])


def _consecutive(first: int, reply: Any) -> list[Entry]:
    """The entries from `first` up to the first hole, which only somebody else can have made."""
    entries: list[Entry] = []
    for row_id, fields in _rows(reply):
        if row_id != b"%d-0" % (first + len(entries)) or b"payload" not in fields:
            break
        entries.append((first + len(entries), fields[b"payload"]))
    return entries
