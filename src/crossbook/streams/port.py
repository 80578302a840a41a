"""The port of the streams: what a worker asks of the carrier of its commands or events.

A stream is a carrier, not a store. Each market has one, and in it every entry has the sequence that
the log gave it: from 1, without a gap. It may lose everything at any moment (an emptied server), and
its owner fills it again from the log. It never holds two different entries for one sequence, never
an entry without the one before it, and delivers at least once: a reader keeps its own position, and
whoever reads from an earlier position reads the same entries again.

    StreamError
      StreamUnavailable   the carrier does not answer: wait, and try the same again
        StreamFull        it answers that it has no room: wait until somebody trims
      StreamGap           an append would leave a hole: append what is missing first
      StreamTrimmed       a read of what is no longer there: start again from the log
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple, Protocol

from crossbook.streams.entries import Entry


class StreamKind(StrEnum):
    """What a stream carries."""

    COMMANDS = "commands"
    EVENTS = "events"


class StreamError(Exception):
    """A stream could not do what it was asked."""


class StreamUnavailable(StreamError):
    """The carrier does not answer, or refuses. What was asked may have been done or not."""


class StreamFull(StreamUnavailable):
    """The stream holds its greatest number of entries. `last_sequence` is the last one that it took."""

    def __init__(self, name: str, last_sequence: int) -> None:
        super().__init__(f"{name} is full at {last_sequence}")
        self.last_sequence = last_sequence


class StreamGap(StreamError):
    """An append that would leave a hole; the entries `first_missing` to `last_missing` must come before it.

    A stream that was emptied has nothing, so it misses everything from 1; see `Stream.start_after`.
    """

    def __init__(self, name: str, first_missing: int, last_missing: int) -> None:
        super().__init__(f"{name} misses {first_missing} to {last_missing}")
        self.first_missing = first_missing
        self.last_missing = last_missing


class StreamTrimmed(StreamError):
    """A read of an entry that the stream holds no more. `first_sequence` is the first that it can still give."""

    def __init__(self, name: str, asked_sequence: int, first_sequence: int) -> None:
        super().__init__(f"{name} begins at {first_sequence}, after the asked {asked_sequence}")
        self.asked_sequence = asked_sequence
        self.first_sequence = first_sequence


class AppendResult(NamedTuple):
    """How many entries of an append are new to the stream, and how many it had already."""

    appended: int
    duplicates: int


class Stream(Protocol):
    """The streams of one kind, one for each market. Every method raises StreamUnavailable."""

    async def append(self, market: str, entries: Sequence[Entry]) -> AppendResult:
        """Put `entries`, whose sequences rise by one, at the end of the market's stream.

        An entry whose sequence is not above the last one is a duplicate: it is counted and left out.
        Raises StreamGap, and appends nothing, when the first sequence is above the last one plus 1;
        StreamFull when there is room for the first part only, which is then appended; ValueError when
        the sequences do not rise by one. After StreamUnavailable the same append may be made again. A
        long append may be done in parts: what another client does to the stream can come between them,
        and is answered as it would be at that moment.
        """

    async def read(self, market: str, after_sequence: int, limit: int, block_ms: int = 0) -> list[Entry]:
        """The entries from `after_sequence` plus 1, in order and without a gap, `limit` of them at most.

        With none there, waits for the first for `block_ms` at most, perhaps less, and may return none.
        A position beyond the end is no error: an emptied stream is filled again. Raises StreamTrimmed
        when the stream holds later entries, or held them, and not the asked one.
        """

    async def first_sequence(self, market: str) -> int:
        """The lowest sequence that can be read now or, with no entry there, the one that is appended next."""

    async def last_sequence(self, market: str) -> int:
        """The highest sequence that was appended, trimmed or not; 0 for a stream that is new or was emptied."""

    async def start_after(self, market: str, sequence: int) -> bool:
        """Let a new or emptied stream begin at `sequence` plus 1; False, and no effect, when it has begun.

        For the one who fills an emptied stream from the middle of a log: its readers need no more.
        """

    async def trim(self, market: str, up_to_sequence: int) -> int:
        """Drop the entries up to `up_to_sequence` and return their number. The last sequence stays.

        The caller guarantees that no reader needs them: a durable snapshot covers them.
        """

    async def clear(self, market: str) -> None:
        """Empty the market's stream, as a lost server would: its last sequence is 0 again."""

    async def close(self) -> None:
        """Give back the connections. The stream is of no use after."""


def stream_name(kind: StreamKind, market: str) -> str:
    """The name of a market's stream, such as engine.commands.BTC-PERP."""
    return f"engine.{kind}.{market}"
