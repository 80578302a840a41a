"""How the rows of a tape reach an engine: as command objects one by one, or as records, many a call.

A tape names no owners. Every order belongs to one account that may trade with itself; cancels and
reductions come from the venue's operator.
"""

from collections.abc import Sequence
from struct import Struct
from typing import Final, NamedTuple, Protocol, Self

from crossbook.domain.commands import (
    OPERATOR,
    AmendOrder,
    CancelOrder,
    Command,
    CommandKind,
    ReduceOrder,
    SetMarketState,
    SingleCommand,
    SubmitOrder,
)
from crossbook.domain.events import CommandRejected, Event, Trade
from crossbook.domain.orders import (
    MarketState,
    OrderType,
    PriceSource,
    SelfTradePrevention,
    Side,
    TimeInForce,
)
from crossbook.matching import layout
from crossbook.matching.views import OrderView
from crossbook.replay.tape import Op, TapeRow, TapeTif
from crossbook.replay.trades import TapeTrade

TAPE_ACCOUNT: Final = 1
"""The account that all orders of a tape belong to."""

TIME_IN_FORCE: Final = {
    TapeTif.GTC: TimeInForce.GTC,
    TapeTif.IOC: TimeInForce.IOC,
    TapeTif.AUCTION: TimeInForce.GTC,
    TapeTif.DAY: TimeInForce.DAY,
    TapeTif.FOK: TimeInForce.FOK,
}


class MatchingEngine(Protocol):
    """What a replay asks of an engine; docs/matching.md, section 1."""

    def apply(self, command: Command) -> list[Event]:
        """The events of one command."""

    def snapshot(self) -> bytes:
        """The whole state."""

    @classmethod
    def restore(cls, data: bytes) -> Self:
        """An engine in that state."""

    def state_hash(self) -> str:
        """The hash of the whole state, in hex."""

    def depth(self, side: Side, levels: int) -> Sequence[tuple[int, int, int]]:
        """Price in ticks, visible lots and orders of the best levels of a side, best first."""

    def order(self, order_id: int) -> OrderView | None:
        """A live order, or None."""


class RecordEngine(MatchingEngine, Protocol):
    """An engine that also takes records; docs/matching.md, section 9."""

    def process(self, records: bytes) -> bytes:
        """The event records of command records."""


class Outcome(NamedTuple):
    """What a run of commands led to. `refused` is the number of commands that the engine refused."""

    trades: list[TapeTrade]
    refused: int


class Feed(Protocol):
    """Collects commands, hands them to an engine, and tells the trades they made."""

    @property
    def engine(self) -> MatchingEngine:
        """The engine in use."""

    def add_row(self, sequence: int, row: TapeRow, quantity_lots: int) -> None:
        """Add the command of `row`, with this quantity in place of the row's."""

    def add_state(self, sequence: int, time_ms: int, state: MarketState) -> None:
        """Add a change of the market's state."""

    def run(self) -> None:
        """Hand everything added since the last call to the engine."""

    def outcome(self, first_sequence: int, tape_seqs: Sequence[int]) -> Outcome:
        """What that led to; `tape_seqs` are the tape's numbers of the commands from `first_sequence` on."""

    def restore(self) -> None:
        """Go on with a new engine, restored from a snapshot of the one in use."""


class CommandFeed:
    """Hands over one command object at a time, and reads event objects."""

    def __init__(self, engine: MatchingEngine) -> None:
        self.engine = engine
        self._commands: list[SingleCommand] = []
        self._events: list[Event] = []

    def add_row(self, sequence: int, row: TapeRow, quantity_lots: int) -> None:
        """Add the command of `row`, with this quantity in place of the row's."""
        self._commands.append(_command(sequence, row, quantity_lots))

    def add_state(self, sequence: int, time_ms: int, state: MarketState) -> None:
        """Add a change of the market's state."""
        self._commands.append(SetMarketState(sequence, time_ms, state))

    def run(self) -> None:
        """Hand everything added since the last call to the engine."""
        apply, self._events = self.engine.apply, []
        for command in self._commands:
            self._events += apply(command)
        self._commands = []

    def outcome(self, first_sequence: int, tape_seqs: Sequence[int]) -> Outcome:
        """What that led to; see `Feed`."""
        trades = [
            _tape_trade(event, tape_seqs[event.sequence - first_sequence])
            for event in self._events
            if isinstance(event, Trade)
        ]
        return Outcome(trades, sum(isinstance(event, CommandRejected) for event in self._events))

    def restore(self) -> None:
        """Go on with a new engine, restored from a snapshot of the one in use."""
        self.engine = self.engine.restore(self.engine.snapshot())


def _command(sequence: int, row: TapeRow, quantity_lots: int) -> SingleCommand:
    match row.op:
        case Op.NEW:
            assert row.side is not None
            assert row.tif is not None
            return SubmitOrder(
                sequence,
                row.time_ms,
                row.order_id,
                TAPE_ACCOUNT,
                row.side,
                OrderType.LIMIT,
                quantity_lots,
                row.price_ticks,
                TIME_IN_FORCE[row.tif],
                self_trade_prevention=SelfTradePrevention.NONE,
            )
        case Op.CANCEL:
            return CancelOrder(sequence, row.time_ms, row.order_id, OPERATOR)
        case Op.REDUCE:
            return ReduceOrder(sequence, row.time_ms, row.order_id, OPERATOR, quantity_lots)
        case Op.REPLACE:
            return AmendOrder(sequence, row.time_ms, row.order_id, TAPE_ACCOUNT, quantity_lots, row.price_ticks)
        case Op.UNCROSS:
            return SetMarketState(sequence, row.time_ms, MarketState.ACTIVE, row.price_ticks)


def _tape_trade(trade: Trade, seq: int) -> TapeTrade:
    maker, taker = trade.maker_order_id, trade.taker_order_id
    buy, sell = (taker, maker) if trade.taker_side is Side.BUY else (maker, taker)
    return TapeTrade(seq, buy, sell, maker, trade.price_ticks, trade.quantity_lots, trade.auction)


class RecordFeed:
    """Hands over many commands a call as records, and picks the trades out of the records that come back."""

    def __init__(self, engine: RecordEngine) -> None:
        self.engine = engine
        self._records = bytearray()
        self._events = b""

    def add_row(self, sequence: int, row: TapeRow, quantity_lots: int) -> None:
        """Add the command of `row`, with this quantity in place of the row's."""
        price = row.price_ticks
        account = OPERATOR
        match row.op:
            case Op.NEW:
                assert row.side is not None
                assert row.tif is not None
                head, account = _NEW_HEADS[row.side, row.tif], TAPE_ACCOUNT
            case Op.CANCEL:
                head, quantity_lots, price = CommandKind.CANCEL, 0, 0
            case Op.REDUCE:
                head, price = CommandKind.REDUCE, 0
            case Op.REPLACE:
                head, account = CommandKind.AMEND, TAPE_ACCOUNT
            case Op.UNCROSS:
                self._add_state(sequence, row.time_ms, MarketState.ACTIVE, price)
                return
        self._records += _COMMAND.pack(
            head, sequence, row.time_ms, row.order_id, account, quantity_lots, price, 0, 0, 0, 0, 0, 0, 0
        )

    def add_state(self, sequence: int, time_ms: int, state: MarketState) -> None:
        """Add a change of the market's state."""
        self._add_state(sequence, time_ms, state, 0)

    def _add_state(self, sequence: int, time_ms: int, state: MarketState, reference: int) -> None:
        self._records += _COMMAND.pack(
            CommandKind.SET_STATE, sequence, time_ms, state, 0, 0, reference, 0, 0, 0, 0, 0, 0, 0
        )

    def run(self) -> None:
        """Hand everything added since the last call to the engine."""
        self._events = self.engine.process(bytes(self._records))
        self._records.clear()

    def outcome(self, first_sequence: int, tape_seqs: Sequence[int]) -> Outcome:
        """What that led to; see `Feed`."""
        trades = []
        refused = 0
        for words in _EVENT.iter_unpack(self._events):
            kind = words[layout.HEAD] & layout.KIND_MASK
            if kind == layout.TRADE:
                trades.append(_trade_of_words(words, tape_seqs[words[1] - first_sequence]))
            elif kind == layout.REJECTED:
                refused += 1
        return Outcome(trades, refused)

    def restore(self) -> None:
        """Go on with a new engine, restored from a snapshot of the one in use."""
        self.engine = self.engine.restore(self.engine.snapshot())


_COMMAND: Final = Struct(f"<{layout.COMMAND_WORDS}q")
_EVENT: Final = Struct(f"<{layout.EVENT_WORDS}q")


def _new_head(side: Side, tif: TapeTif) -> int:
    terms = (
        side
        | OrderType.LIMIT << layout.TYPE_SHIFT
        | TIME_IN_FORCE[tif] << layout.TIF_SHIFT
        | SelfTradePrevention.NONE << layout.STP_SHIFT
        | PriceSource.LAST << layout.SOURCE_SHIFT
    )
    return CommandKind.SUBMIT | terms << layout.TERMS_SHIFT


_NEW_HEADS: Final = {(side, tif): _new_head(side, tif) for side in Side for tif in TapeTif}


def _trade_of_words(words: tuple[int, ...], seq: int) -> TapeTrade:
    head, price, quantity, maker, taker = words[0], words[4], words[5], words[6], words[9]
    taker_side = head >> layout.EVENT_SIDE_SHIFT & layout.SIDE_MASK
    buy, sell = (taker, maker) if taker_side == Side.BUY else (maker, taker)
    auction = bool(head >> layout.EVENT_FLAG_SHIFT & 1)
    return TapeTrade(seq, buy, sell, maker, price, quantity, auction)
