"""Keeps a stream equal to its log, whatever happens to the stream.

The log is the truth and the stream its carrier. Where to go on is asked of the stream itself, so two
who refill the same stream do no harm: the second one's entries are duplicates. It starts from there
again, never assuming, after everything that it did not expect:

- a gap: the stream lost its end, or was emptied; append again from what it has;
- an emptied stream: begin where its readers need it, not at the beginning of the log;
- a stream that cannot serve its readers, or that holds another log's entries: empty it, then the same;
- an unavailable stream or log: the same after a growing pause.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from crossbook.streams.entries import Entry
from crossbook.streams.port import Stream, StreamError, StreamFull, StreamGap

ReadLog = Callable[[int, int], Awaitable[Sequence[Entry]]]
"""Entries of the log after a sequence, in order, up to a number of them. The same bytes at every call."""

FromSequence = Callable[[], Awaitable[int]]
"""The lowest sequence that some reader of the stream still needs, 1 or more."""

Pause = Callable[[float], Awaitable[object]]
"""Returns after that many seconds, or earlier."""

_logger: Final = logging.getLogger(__name__)


class LogGap(Exception):
    """The log gave an entry that is not the next: the log is damaged, or does not reach back far enough."""

    def __init__(self, market: str, expected_sequence: int, sequence: int) -> None:
        super().__init__(f"the log of {market} gives {sequence} where {expected_sequence} belongs")
        self.expected_sequence = expected_sequence
        self.sequence = sequence


@dataclass(frozen=True, slots=True)
class RefillSettings:
    """How many entries are moved at once, and the pauses: without work, and after a failure, which doubles."""

    batch_length: int = 512
    idle_ms: int = 20
    backoff_first_ms: int = 5
    backoff_limit_ms: int = 1_000


@dataclass(slots=True)
class RefillCounters:
    """What happened so far: entries moved, and how often each fault was met."""

    appended: int = 0
    duplicates: int = 0
    started: int = 0
    replaced: int = 0
    gaps: int = 0
    full: int = 0
    unavailable: int = 0


class Refill:
    """Moves the entries of one market from its log to its stream.

    `sleep` is the clock of the pauses, in seconds. `wait_for_log` is awaited instead when there is
    nothing to move, and may return earlier, when the log has grown. `log_errors` are what `read_log`,
    `from_sequence` and `wait_for_log` raise while the log is out of reach for a time; anything else
    ends `run`. `read_log` must give every entry from `from_sequence` on.
    """

    def __init__(
        self,
        market: str,
        stream: Stream,
        read_log: ReadLog,
        from_sequence: FromSequence,
        sleep: Pause,
        *,
        wait_for_log: Pause | None = None,
        log_errors: tuple[type[Exception], ...] = (),
        settings: RefillSettings | None = None,
    ) -> None:
        self.counters = RefillCounters()
        self._market = market
        self._stream = stream
        self._read_log = read_log
        self._from_sequence = from_sequence
        self._sleep = sleep
        self._wait_for_log = wait_for_log or sleep
        self._faults: tuple[type[Exception], ...] = (StreamError, *log_errors)
        self._settings = settings or RefillSettings()
        self._backoff_ms = self._settings.backoff_first_ms
        self._position: int | None = None
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Let `run` return after the batch in hand; a pause is cut short. For good."""
        self._stopping.set()

    async def run(self) -> None:
        """Keep the stream equal to the log until `stop`. Raises LogGap, and what is not in `log_errors`."""
        while not self._stopping.is_set():
            try:
                if not await self.step():
                    await self._pause(self._wait_for_log(self._settings.idle_ms / 1000))
                self._backoff_ms = self._settings.backoff_first_ms
            except StreamFull:
                self.counters.full += 1
                await self._pause(self._sleep(self._settings.idle_ms / 1000))
            except self._faults as error:
                await self._back_off(error)

    async def step(self) -> int:
        """Move one batch. Returns the number of entries in it; 0 when the stream has all that the log has.

        Raises StreamError, LogGap, and what the log raises.
        """
        if self._position is None:
            self._position = await self._locate()
        entries = await self._read_log(self._position, self._settings.batch_length)
        if not entries:
            # Nothing new would notice that what is there was lost.
            if await self._stream.last_sequence(self._market) != self._position:
                self._position = None
            return 0
        if entries[0][0] != self._position + 1:
            raise LogGap(self._market, self._position + 1, entries[0][0])
        try:
            result = await self._stream.append(self._market, entries)
        except StreamFull as full:
            self.counters.appended += full.last_sequence - self._position
            self._position = full.last_sequence
            raise
        self.counters.appended += result.appended
        self.counters.duplicates += result.duplicates
        self._position = entries[-1][0]
        return len(entries)

    async def _locate(self) -> int:
        """The sequence to go on after: the stream's last one or, for an emptied one, before what is needed."""
        needed = await self._from_sequence()
        while True:
            last = await self._stream.last_sequence(self._market)
            if last == 0 and await self._stream.start_after(self._market, needed - 1):
                self.counters.started += 1
                return needed - 1
            if last > 0 and await self._serves(needed, last):
                return last
            if last > 0:
                _logger.warning("stream of %s does not carry this log from %d: emptied", self._market, needed)
                self.counters.replaced += 1
                await self._stream.clear(self._market)

    async def _serves(self, needed: int, last: int) -> bool:
        """Whether a stream up to `last` gives its readers what they need, and gives it from this log."""
        if last < needed - 1 or await self._stream.first_sequence(self._market) > needed:
            return False
        return last < needed or await self._agrees(last)

    async def _agrees(self, last: int) -> bool:
        """Whether the stream's last entry is the log's: it is not when the stream outlived another log."""
        logged = await self._read_log(last - 1, 1)
        return await self._stream.read(self._market, last - 1, 1) == list(logged)

    async def _back_off(self, error: Exception) -> None:
        if isinstance(error, StreamGap):
            self.counters.gaps += 1
        else:
            self.counters.unavailable += 1
        _logger.warning("stream of %s: %s; again in %d ms", self._market, error, self._backoff_ms)
        self._position = None
        await self._pause(self._sleep(self._backoff_ms / 1000))
        self._backoff_ms = min(2 * self._backoff_ms, self._settings.backoff_limit_ms)

    async def _pause(self, pause: Awaitable[object]) -> None:
        """Await `pause`, or `stop` if that comes first."""
        paused = asyncio.ensure_future(pause)
        stopped = asyncio.ensure_future(self._stopping.wait())
        try:
            await asyncio.wait((paused, stopped), return_when=asyncio.FIRST_COMPLETED)
            if paused.done():
                paused.result()
        finally:
            paused.cancel()
            stopped.cancel()
            await asyncio.gather(paused, stopped, return_exceptions=True)
