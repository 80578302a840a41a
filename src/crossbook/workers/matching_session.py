"""What a matcher does between taking its lease and losing it: one engine, kept at the end of its log.

The engine starts from a snapshot and first plays the log itself, up to where it stood at the start, then what the
stream of commands brings. Whatever the stream of events has not yet, it gets; the log and the engine give the same
events every time.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from crossbook.logs import Log
from crossbook.matching import Engine
from crossbook.storage.database import Database
from crossbook.streams.entries import Entry
from crossbook.streams.port import Stream, StreamError, StreamFull, StreamGap, StreamTrimmed, StreamUnavailable
from crossbook.system import Clock
from crossbook.workers import recovery
from crossbook.workers.lease_keeper import LeaseKeeper
from crossbook.workers.metrics import Metrics
from crossbook.workers.names import MarketName
from crossbook.workers.recovery import REFUSED, MarketStopped
from crossbook.workers.snapshot_taker import SnapshotTaker

_log: Final = Log("matcher")
_REPLAYED_BATCHES: Final = 8
"""Batches that are read from the log at once: nobody waits for the first of them."""


@dataclass(frozen=True)
class MatcherSettings:
    """How a matcher works.

    `snapshot_every` commands there is a snapshot; it must be well below the greatest length of a stream, for streams
    are trimmed behind a snapshot only. `events_kept` settled events stay on their stream for slow readers.
    """

    batch_length: int = 512
    read_block_ms: int = 200
    lease_ms: int = 3_000
    snapshot_every: int = 25_000
    snapshots_kept: int = 2
    events_kept: int = 5_000
    shutdown_ms: int = 2_000


@dataclass(frozen=True)
class Ports:
    """What a session works with."""

    database: Database
    commands: Stream
    events: Stream
    clock: Clock
    metrics: Metrics
    keeper: LeaseKeeper


class EventsLost(StreamError):
    """The stream of events does not hold what it was given, or holds something else: start again from a snapshot."""


class MatchingSession:
    """One engine from its recovery on. `turn` is the unit of work: after a lost database or stream, call it again."""

    def __init__(
        self, market: MarketName, ports: Ports, settings: MatcherSettings, engine: Engine, durable: int, replay_to: int
    ) -> None:
        self.engine = engine
        self._market = market
        self._ports = ports
        self._settings = settings
        self._replay_to = replay_to
        self._taker = SnapshotTaker(
            market,
            ports.database,
            ports.keeper,
            ports.clock,
            ports.metrics,
            durable=durable,
            every=settings.snapshot_every,
            kept=settings.snapshots_kept,
        )
        self._sent = 0
        self._witness: Entry | None = None
        self._outbox: Sequence[Entry] = ()
        self._trimmed = 0
        self._stream_is_ours = False

    @classmethod
    async def open(cls, market: MarketName, ports: Ports, settings: MatcherSettings) -> "MatchingSession":
        """A session whose engine can make every event that the stream of events still needs.

        Raises StorageError and StreamUnavailable.
        """
        last, accepted, settled = await _open_events(market, ports)
        # One before the last unsettled event, so that it is made again and can be compared.
        restored = await recovery.restore(
            ports.database, market, last - 1 if last > settled else settled, ports.metrics
        )
        durable = restored.snapshot.sequence if restored.snapshot else 0
        session = cls(market, ports, settings, restored.engine, durable, accepted)
        session._sent = last
        if last > settled:
            session._witness = await _entry_of(ports.events, market.symbol, last)
        _log.info("engine restored", market=market.symbol, sequence=durable, log_ends=accepted, events_end=last)
        return session

    @property
    def replaying(self) -> bool:
        """Whether the engine is still on its way to where the log stood at the start."""
        return self.engine.last_sequence < self._replay_to

    async def turn(self) -> None:
        """Match one batch of commands and hand over its events; wait a little when there is none.

        Raises StorageError, LeaseLost among them, and StreamUnavailable: nothing is lost then. Raises EventsLost when
        another session must begin, MarketStopped when none must.
        """
        renewed = await self._ports.keeper.keep()
        await self._send()
        entries = await self._next()
        if entries:
            played = await self._play(entries)
            await self._compare(played)
            self._outbox = [entry for entry in played if entry[0] > self._sent]
            await self._send()
        elif not self.replaying:
            await self._check_events()
        durable = self._taker.durable
        self._taker.take_if_due(self.engine)
        if renewed or self._taker.durable > durable:
            await self._trim()

    async def finish(self) -> None:
        """End in order: the last events handed over, a snapshot stored, the streams trimmed. Raises as `turn` does."""
        await self._ports.keeper.keep()
        await self._send()
        await self._taker.finish(self.engine)
        await self._trim()

    async def close(self) -> None:
        """Give up what is under way."""
        await self._taker.cancel()

    async def _next(self) -> list[Entry]:
        position, length = self.engine.last_sequence, self._settings.batch_length
        if self.replaying:
            limit = length * _REPLAYED_BATCHES
            return await recovery.read_log(self._ports.database, self._market.market_id, position, limit)
        if not self._stream_is_ours:
            await self._check_commands()
        return await recovery.read_commands(
            self._ports.database, self._ports.commands, self._market, position, length, self._settings.read_block_ms
        )

    async def _play(self, entries: Sequence[Entry]) -> list[Entry]:
        """The events of commands. Raises MarketStopped, after the events of the commands before are handed over."""
        try:
            played = recovery.play(self.engine, entries)
        except REFUSED:
            return await self._play_from_log(len(entries))
        except MarketStopped:
            raise
        except Exception as error:
            raise MarketStopped(f"the engine broke after {self.engine.last_sequence}: {error!r}") from error
        self._ports.metrics.count("commands_matched", self._market.symbol, len(entries))
        self._ports.metrics.gauge("matched_sequence", self._market.symbol, self.engine.last_sequence)
        return played

    async def _play_from_log(self, limit: int) -> list[Entry]:
        """The engine refused what came: the log decides, one command after the other."""
        position, market_id = self.engine.last_sequence, self._market.market_id
        entries = await recovery.read_log(self._ports.database, market_id, position, limit)
        if not entries:
            raise StreamUnavailable(f"{self._market.symbol}: the stream brings commands that the log does not have")
        played: list[Entry] = []
        for entry in entries:
            try:
                played += recovery.play(self.engine, [entry])
            except REFUSED as error:
                self._outbox = [made for made in played if made[0] > self._sent]
                await self._send()
                raise MarketStopped(f"command {entry[0]} of the log can not be played: {error}") from error
        return played

    async def _compare(self, played: Sequence[Entry]) -> None:
        """Whether the stream of events held, when we came, what this log gives. It is emptied if not."""
        if self._witness is None or played[-1][0] < self._witness[0]:
            return
        witness, self._witness = self._witness, None
        if witness not in played:
            await self._ports.events.clear(self._market.symbol)
            raise EventsLost(f"event entry {witness[0]} of {self._market.symbol} is of another log")

    async def _send(self) -> None:
        """Hand over what is in the outbox."""
        if not self._outbox:
            return
        try:
            await self._ports.events.append(self._market.symbol, self._outbox)
        except StreamFull as error:
            self._outbox = [entry for entry in self._outbox if entry[0] > error.last_sequence]
            self._taker.take_if_due(self.engine, force=True)
            await self._trim()
            raise
        except StreamGap as error:
            raise EventsLost(str(error)) from error
        self._sent = self._outbox[-1][0]
        self._outbox = ()

    async def _check_events(self) -> None:
        """With nothing to do: whether what was handed over is still there."""
        last = await self._ports.events.last_sequence(self._market.symbol)
        if last < self.engine.last_sequence:
            raise EventsLost(f"the events of {self._market.symbol} end at {last}, not {self.engine.last_sequence}")

    async def _check_commands(self) -> None:
        """Whether the stream of commands can be that of our log; the relay mends it otherwise."""
        last = await self._ports.commands.last_sequence(self._market.symbol)
        accepted, _ = await recovery.progress(self._ports.database, self._market.market_id)
        if last > accepted:
            raise StreamUnavailable(f"the commands of {self._market.symbol} go on beyond the log")
        self._stream_is_ours = True

    async def _trim(self) -> None:
        """Drop from the streams what is both settled and behind a stored snapshot."""
        accepted, settled = await recovery.progress(self._ports.database, self._market.market_id)
        symbol = self._market.symbol
        self._ports.metrics.gauge("unmatched_commands", symbol, max(0, accepted - self.engine.last_sequence))
        self._ports.metrics.gauge("unsettled_commands", symbol, accepted - settled)
        covered = min(self._taker.durable, settled)
        if covered > self._trimmed:
            await self._ports.commands.trim(symbol, covered)
            await self._ports.events.trim(symbol, max(0, covered - self._settings.events_kept))
            self._trimmed = covered


async def _open_events(market: MarketName, ports: Ports) -> tuple[int, int, int]:
    """Make the stream of events one that goes on; its last sequence, and those accepted and settled."""
    last = await ports.events.last_sequence(market.symbol)
    accepted, settled = await recovery.progress(ports.database, market.market_id)
    if last and not (settled <= last <= accepted and await _reaches_back(ports, market, settled)):
        _log.warning("events stream does not belong to the log: emptied", market=market.symbol, last=last)
        ports.metrics.count("event_streams_replaced", market.symbol)
        await ports.events.clear(market.symbol)
        last = 0
    if last == 0 and settled and not await ports.events.start_after(market.symbol, settled):
        raise EventsLost(f"somebody else fills the events of {market.symbol}")
    return max(last, settled), accepted, settled


async def _reaches_back(ports: Ports, market: MarketName, settled: int) -> bool:
    """Whether the stream still holds every event that is not settled."""
    return await ports.events.first_sequence(market.symbol) <= settled + 1


async def _entry_of(events: Stream, symbol: str, sequence: int) -> Entry | None:
    """The entry of a sequence, None when the stream does not give it."""
    try:
        found = await events.read(symbol, sequence - 1, 1)
    except StreamTrimmed:
        return None
    return found[0] if found else None
