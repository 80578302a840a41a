"""The log of a market, played again from nothing, and what it must have made.

The engine is the judge: the trades that it makes must be the fills that are stored, the orders that it
holds must be those that live, and its state must be what the snapshots say.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from crossbook.application.audit import LiveOrder
from crossbook.domain.commands import COMMAND_VERSION
from crossbook.domain.errors import CrossbookError, MalformedCommand, SequenceError
from crossbook.domain.events import ForcedTrade, Trade
from crossbook.domain.fees import LiquidityRole
from crossbook.domain.orders import Side
from crossbook.matching import Engine
from crossbook.matching.codec import decode_records
from crossbook.matching.layout import (
    ACCOUNT_ID,
    COMMAND_BYTES,
    COMMAND_WORDS,
    EVENT_BYTES,
    EVENT_WORDS,
    FORCED_TRADE,
    HEAD,
    KIND_MASK,
    ORDER_ID,
    POST_ONLY,
    REDUCE_ONLY,
    SEQUENCE,
    SIDE_MASK,
    SUBMIT,
    TERMS_SHIFT,
    TIF_MASK,
    TIF_SHIFT,
    TRADE,
    TYPE_MASK,
    TYPE_SHIFT,
)

_TRADES: Final = frozenset((TRADE, FORCED_TRADE))
_SNAPSHOT_HEAD_BYTES: Final = 16
_SNAPSHOT_TAIL_BYTES: Final = 8


class ReplayFault(CrossbookError):
    """The log can not be played on from `sequence`."""

    def __init__(self, market_id: int, sequence: int, message: str) -> None:
        super().__init__(f"market {market_id}, command {sequence}: {message}")
        self.market_id = market_id
        self.sequence = sequence


class Logged(NamedTuple):
    """One command as the log holds it."""

    sequence: int
    version: int
    record: bytes


class Fill(NamedTuple):
    """One side of a trade: what is stored of it and follows from the log. Prices in ticks, quantities in lots."""

    trade_id: int
    side: int
    order_id: int
    account_id: int
    role: int
    price_ticks: int
    quantity_lots: int
    sequence: int
    event_index: int


class Entered(NamedTuple):
    """What never changes of an order, as the log entered it and as its row must say."""

    order_id: int
    account_id: int
    market_id: int
    sequence: int
    side: int
    type: int
    time_in_force: int
    post_only: bool
    reduce_only: bool


@dataclass(frozen=True)
class Played:
    """What a part of the log gave: both sides of each trade, by trade and side, and the orders that it entered."""

    fills: list[Fill]
    entered: list[Entered]


class Replay:
    """The engine of one market, played from an empty one. Memory does not grow with the log.

    `last_trade_id` is the last trade that it made, `entered` how many orders the log entered so far.
    """

    def __init__(self, market_id: int) -> None:
        self.market_id = market_id
        self.engine = Engine()
        self.last_trade_id = 0
        self.entered = 0

    @property
    def sequence(self) -> int:
        """The last command that was played; 0 before the first."""
        return self.engine.last_sequence

    def play(self, commands: Sequence[Logged]) -> Played:
        """Play the next commands of the log. Raises ReplayFault at the first that does not follow, or is of no use."""
        expected = self.sequence
        for command in commands:
            expected += 1
            self._look_at(command, expected)
        records = b"".join([command.record for command in commands])
        try:
            events = self.engine.process(records)
        except (MalformedCommand, SequenceError) as error:
            raise ReplayFault(self.market_id, self.sequence + 1, str(error)) from error
        fills = list(self._fills(events))
        entered = list(_entered(records, self.market_id))
        self.entered += len(entered)
        return Played(fills, entered)

    def _look_at(self, command: Logged, expected: int) -> None:
        """Refuse what is not the next command, or holds records of another one."""
        if command.sequence != expected:
            raise ReplayFault(self.market_id, expected, f"the log goes on with {command.sequence}")
        if command.version != COMMAND_VERSION:
            text = f"it is of version {command.version}, this program plays {COMMAND_VERSION}"
            raise ReplayFault(self.market_id, expected, text)
        if not command.record or len(command.record) % COMMAND_BYTES:
            raise ReplayFault(self.market_id, expected, f"{len(command.record)} bytes are no whole number of records")
        named = memoryview(command.record).cast("q")[SEQUENCE::COMMAND_WORDS].tolist()
        if any(sequence != expected for sequence in named):
            raise ReplayFault(self.market_id, expected, f"its records say that they are command {named[0]}")

    def _fills(self, events: bytes) -> Iterator[Fill]:
        heads = memoryview(events).cast("q")[::EVENT_WORDS].tolist()
        for place, head in enumerate(heads):
            kind = head & KIND_MASK
            if kind in _TRADES:
                (trade,) = decode_records(events[place * EVENT_BYTES : (place + 1) * EVENT_BYTES])
                assert isinstance(trade, Trade | ForcedTrade)
                self.last_trade_id = trade.trade_id
                yield from fills_of(trade) if isinstance(trade, Trade) else forced_fills_of(trade)


def fills_of(trade: Trade) -> tuple[Fill, Fill]:
    """Both sides of a trade as they must be stored, the buyer first. In an auction nobody takes: both are makers."""
    taker_role = LiquidityRole.MAKER if trade.auction else LiquidityRole.TAKER
    taker = _fill(trade, trade.taker_side, trade.taker_order_id, trade.taker_account_id, taker_role)
    maker_side = Side.SELL if trade.taker_side is Side.BUY else Side.BUY
    maker = _fill(trade, maker_side, trade.maker_order_id, trade.maker_account_id, LiquidityRole.MAKER)
    return (taker, maker) if trade.taker_side is Side.BUY else (maker, taker)


def forced_fills_of(trade: ForcedTrade) -> tuple[Fill, Fill]:
    """Both sides of a forced trade as they must be stored, the buyer first: of no order, and both makers."""
    maker = LiquidityRole.MAKER
    return (
        _fill(trade, Side.BUY, 0, trade.buyer_account_id, maker),
        _fill(trade, Side.SELL, 0, trade.seller_account_id, maker),
    )


def _fill(trade: Trade | ForcedTrade, side: Side, order_id: int, account_id: int, role: LiquidityRole) -> Fill:
    return Fill(
        trade.trade_id,
        int(side),
        order_id,
        account_id,
        int(role),
        trade.price_ticks,
        trade.quantity_lots,
        trade.sequence,
        trade.index,
    )


def _entered(records: bytes, market_id: int) -> Iterator[Entered]:
    """The orders that command records enter."""
    words = memoryview(records).cast("q").tolist()
    for at in range(0, len(words), COMMAND_WORDS):
        if words[at + HEAD] & KIND_MASK == SUBMIT:
            terms = words[at + HEAD] >> TERMS_SHIFT
            yield Entered(
                words[at + ORDER_ID],
                words[at + ACCOUNT_ID],
                market_id,
                words[at + SEQUENCE],
                terms & SIDE_MASK,
                terms >> TYPE_SHIFT & TYPE_MASK,
                terms >> TIF_SHIFT & TIF_MASK,
                terms & POST_ONLY != 0,
                terms & REDUCE_ONLY != 0,
            )


# -- Comparing ---------------------------------------------------------------------------------------
def fills_difference(market_id: int, made: Sequence[Fill], stored: Sequence[Fill]) -> str | None:
    """The first difference between the fills of a part of the log and those stored; None when there is none.

    Both are in order of trade and side.
    """
    for place, fill in enumerate(made):
        if place >= len(stored) or stored[place][:2] > fill[:2]:
            return f"{_named(market_id, fill)}: not stored"
        found = stored[place]
        if found[:2] < fill[:2]:
            return f"{_named(market_id, found)}: stored, and the log does not give it"
        for name, value, other in zip(Fill._fields, fill, found, strict=True):
            if value != other:
                return f"{_named(market_id, fill)}: {name} is stored as {other}, the log gives {value}"
    if len(stored) > len(made):
        return f"{_named(market_id, stored[len(made)])}: stored, and the log does not give it"
    return None


def _named(market_id: int, fill: Fill) -> str:
    return f"market {market_id}, sequence {fill.sequence}, trade {fill.trade_id}, {Side(fill.side).name.lower()}er"


def entered_difference(made: Sequence[Entered], stored: Mapping[int, Entered]) -> str | None:
    """The first order that the log entered and that is not stored so; None when all are."""
    for order in made:
        found = stored.get(order.order_id)
        if found is None:
            return f"market {order.market_id}, sequence {order.sequence}: order {order.order_id} is not stored"
        for name, value, other in zip(Entered._fields, order, found, strict=True):
            if value != other:
                return f"order {order.order_id}: {name} is stored as {other}, the log gives {value}"
    return None


def live_difference(order: LiveOrder, engine: Engine) -> str | None:
    """What differs between a live order's row and the engine that has seen its command; None when nothing does."""
    view = engine.order(order.order_id)
    if view is None:
        return f"order {order.order_id} is stored as {order.status.name}, the engine holds none"
    compared = (
        ("account", order.account_id, view.account_id),
        ("side", order.side, view.side),
        ("price_ticks", order.price_ticks, view.price_ticks),
        ("open_lots", order.open_lots, view.open_lots),
        # What self-trade prevention took off counts as done in the engine, and nowhere in the row.
        ("quantity_lots", order.quantity_lots, view.open_lots + view.executed_or_prevented_lots),
    )
    for name, stored, held in compared:
        if stored != held:
            return f"order {order.order_id}: {name} is stored as {stored}, the engine holds {held}"
    return None


def snapshot_difference(market_id: int, sequence: int, data: bytes, engine: Engine) -> str | None:
    """What is wrong with a stored snapshot, given the engine at its sequence; None when nothing is."""
    if data == engine.snapshot():
        return None
    content = data[_SNAPSHOT_HEAD_BYTES:-_SNAPSHOT_TAIL_BYTES]
    stored = hashlib.blake2b(content, digest_size=32).hexdigest()
    made = engine.state_hash()
    if stored == made:
        return f"market {market_id}, snapshot {sequence}: its frame is damaged"
    return f"market {market_id}, snapshot {sequence}: state {stored}, the log gives {made}"
