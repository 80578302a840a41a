"""Between the dataclasses of the domain and the engine's records."""

from typing import Final

from crossbook.domain.commands import (
    AdvanceTime,
    AmendOrder,
    Batch,
    CancelAll,
    CancelOrder,
    Command,
    CommandKind,
    ConfigureMarket,
    ReduceOrder,
    SetMarketState,
    SetPosition,
    SingleCommand,
    SubmitOrder,
    UpdatePrices,
)
from crossbook.domain.errors import MalformedCommand, Reason
from crossbook.domain.events import (
    AuctionUncrossed,
    CommandRejected,
    Event,
    MarketConfigured,
    OrderAccepted,
    OrderAmended,
    OrderCancelled,
    OrderExpired,
    OrderReduced,
    OrderReplenished,
    OrderRested,
    OrdersCancelled,
    OrderTriggered,
    PositionSet,
    PricesUpdated,
    StateChanged,
    Trade,
    TradePrevented,
)
from crossbook.domain.orders import (
    BandReference,
    MarketState,
    OrderType,
    PriceSource,
    SelfTradePrevention,
    Side,
)
from crossbook.matching.columns import BytesWriter, i64, vec, write_i64_le
from crossbook.matching.layout import (
    ACCEPTED,
    AMENDED,
    CANCELLED,
    COMMAND_WORDS,
    CONFIGURED,
    CONTINUES,
    EVENT_FLAG_SHIFT,
    EVENT_REASON_SHIFT,
    EVENT_SIDE_SHIFT,
    EVENT_SMALL2_SHIFT,
    EVENT_SMALL_SHIFT,
    EVENT_WORDS,
    EXPIRED,
    KIND_MASK,
    ORDERS_CANCELLED,
    POSITION_SET,
    POST_ONLY,
    PREVENTED,
    PRICES_UPDATED,
    REDUCE_ONLY,
    REDUCED,
    REJECTED,
    REPLENISHED,
    RESTED,
    SIDE_MASK,
    SOURCE_MASK,
    SOURCE_SHIFT,
    STATE_CHANGED,
    STP_MASK,
    STP_SHIFT,
    TERMS_SHIFT,
    TIF_MASK,
    TIF_SHIFT,
    TRAIL_BASIS_POINTS,
    TRIGGERED,
    TYPE_MASK,
    TYPE_SHIFT,
    UNCROSSED,
)

# Enumeration members by number; the entry at 0 only fills the place of a number that never occurs.
SIDES: Final[list[Side]] = [Side.BUY, *Side]
TYPES: Final[list[OrderType]] = [OrderType.LIMIT, *OrderType]
STATES: Final[list[MarketState]] = [MarketState.ACTIVE, *MarketState]
SOURCES: Final[list[PriceSource]] = [PriceSource.LAST, *PriceSource]
MODES: Final[list[SelfTradePrevention]] = [SelfTradePrevention.NONE, *SelfTradePrevention]
BAND_REFERENCES: Final[list[BandReference]] = [BandReference.MIDPOINT, *BandReference]
COMMAND_KINDS: Final[list[CommandKind]] = list(CommandKind)
REASONS: Final = {int(reason): reason for reason in Reason}

SMALL_MASK: Final = 0xFF
REASON_MASK: Final = 0xFFFF


def encode(command: Command) -> bytes:
    """The records of a command. Raises MalformedCommand for a field that no record can hold."""
    writer = BytesWriter()
    try:
        if isinstance(command, Batch):
            continues: i64 = 0
            for member in command.commands:
                _encode_single(writer, member, continues)
                continues = CONTINUES
        else:
            _encode_single(writer, command, 0)
    except (TypeError, OverflowError, ValueError, ArithmeticError) as error:
        raise MalformedCommand(f"{type(command).__name__}: {error}") from error
    return writer.getvalue()


def _encode_single(writer: BytesWriter, command: SingleCommand, continues: i64) -> None:
    if isinstance(command, SubmitOrder):
        _encode_submit(writer, command, continues)
    elif isinstance(command, CancelOrder):
        _start(writer, CommandKind.CANCEL, continues, command.sequence, command.time_ms)
        _finish(writer, command.order_id, command.account_id, 0, 0, 0, 0)
    elif isinstance(command, AmendOrder):
        _start(writer, CommandKind.AMEND, continues, command.sequence, command.time_ms)
        _finish(
            writer,
            command.order_id,
            command.account_id,
            command.quantity_lots,
            command.price_ticks,
            command.trigger_price_ticks,
            0,
        )
    elif isinstance(command, ReduceOrder):
        _start(writer, CommandKind.REDUCE, continues, command.sequence, command.time_ms)
        _finish(writer, command.order_id, command.account_id, command.quantity_lots, 0, 0, 0)
    elif isinstance(command, CancelAll):
        side = 0 if command.side is None else _enum(command.side, SIDE_MASK)
        head = CommandKind.CANCEL_ALL | side << TERMS_SHIFT
        _start(writer, head, continues, command.sequence, command.time_ms)
        _finish(writer, 0, command.account_id, 0, 0, 0, 0)
    elif isinstance(command, AdvanceTime):
        _start(writer, CommandKind.ADVANCE_TIME, continues, command.sequence, command.time_ms)
        _finish(writer, 0, 0, 0, 0, 0, 0)
    elif isinstance(command, UpdatePrices):
        _start(writer, CommandKind.UPDATE_PRICES, continues, command.sequence, command.time_ms)
        _finish(writer, 0, 0, command.mark_price_ticks, command.index_price_ticks, 0, 0)
    elif isinstance(command, SetPosition):
        _start(writer, CommandKind.SET_POSITION, continues, command.sequence, command.time_ms)
        _finish(writer, 0, command.account_id, command.position_lots, 0, 0, 0)
    elif isinstance(command, SetMarketState):
        _start(writer, CommandKind.SET_STATE, continues, command.sequence, command.time_ms)
        _finish(writer, command.state, 0, 0, command.reference_price_ticks, 0, 0)
    elif isinstance(command, ConfigureMarket):
        _encode_configure(writer, command, continues)
    else:
        raise MalformedCommand(f"{type(command).__name__} is no command")


def _start(writer: BytesWriter, head: i64, continues: i64, sequence: i64, time_ms: i64) -> None:
    write_i64_le(writer, head | continues)
    write_i64_le(writer, sequence)
    write_i64_le(writer, time_ms)


def _finish(writer: BytesWriter, a: i64, b: i64, c: i64, d: i64, e: i64, f: i64) -> None:
    """Words 3 to 8, and zeros to the end of the record."""
    write_i64_le(writer, a)
    write_i64_le(writer, b)
    write_i64_le(writer, c)
    write_i64_le(writer, d)
    write_i64_le(writer, e)
    write_i64_le(writer, f)
    for _ in range(i64(COMMAND_WORDS) - 9):
        write_i64_le(writer, 0)


def _enum(value: i64, mask: i64) -> i64:
    """A small field of a head; a number that does not fit its bits becomes 0, which no field allows."""
    return value if value & mask == value else 0


def _encode_submit(writer: BytesWriter, command: SubmitOrder, continues: i64) -> None:
    terms = (
        _enum(command.side, SIDE_MASK)
        | _enum(command.type, TYPE_MASK) << TYPE_SHIFT
        | _enum(command.time_in_force, TIF_MASK) << TIF_SHIFT
        | _enum(command.self_trade_prevention, STP_MASK) << STP_SHIFT
        | _enum(command.trigger_source, SOURCE_MASK) << SOURCE_SHIFT
    )
    if command.post_only:
        terms |= POST_ONLY
    if command.reduce_only:
        terms |= REDUCE_ONLY
    if command.trail_in_basis_points:
        terms |= TRAIL_BASIS_POINTS
    _start(writer, CommandKind.SUBMIT | terms << TERMS_SHIFT, continues, command.sequence, command.time_ms)
    write_i64_le(writer, command.order_id)
    write_i64_le(writer, command.account_id)
    write_i64_le(writer, command.quantity_lots)
    write_i64_le(writer, command.price_ticks)
    write_i64_le(writer, command.trigger_price_ticks)
    write_i64_le(writer, command.display_quantity_lots)
    write_i64_le(writer, command.expire_time_ms)
    write_i64_le(writer, command.trade_group)
    write_i64_le(writer, command.budget)
    write_i64_le(writer, command.oco_order_id)
    write_i64_le(writer, command.trail)


def _encode_configure(writer: BytesWriter, command: ConfigureMarket, continues: i64) -> None:
    _start(writer, CommandKind.CONFIGURE, continues, command.sequence, command.time_ms)
    write_i64_le(writer, 0)
    write_i64_le(writer, 0)
    write_i64_le(writer, command.band_basis_points)
    write_i64_le(writer, command.reference_price_ticks)
    write_i64_le(writer, command.band_reference)
    write_i64_le(writer, command.max_open_orders)
    write_i64_le(writer, command.max_iceberg_parts)
    write_i64_le(writer, command.max_trailing_orders)
    for _ in range(i64(COMMAND_WORDS) - 11):
        write_i64_le(writer, 0)


def decode(words: vec[i64], count: i64) -> list[Event]:
    """The events in the first `count` words of a column of event records."""
    events: list[Event] = []
    at: i64 = 0
    while at < count:
        events.append(_decode_one(words, at))
        at += EVENT_WORDS
    return events


def _decode_one(words: vec[i64], at: i64) -> Event:
    head = words[at]
    kind = head & KIND_MASK
    sequence = words[at + 1]
    index = words[at + 2]
    a = words[at + 3]
    b = words[at + 4]
    c = words[at + 5]
    if kind == POSITION_SET:
        return PositionSet(sequence, index, a, b)
    if kind == PRICES_UPDATED:
        return PricesUpdated(sequence, index, a, b)
    if kind == ORDERS_CANCELLED:
        return OrdersCancelled(sequence, index, a, b)
    if kind == UNCROSSED:
        return AuctionUncrossed(sequence, index, a, b, c)
    small = head >> EVENT_SMALL_SHIFT & SMALL_MASK
    if kind == STATE_CHANGED:
        state = head >> EVENT_SMALL2_SHIFT & SMALL_MASK
        return StateChanged(sequence, index, STATES[small], STATES[state])
    if kind == REJECTED:
        reason = REASONS[head >> EVENT_REASON_SHIFT & REASON_MASK]
        return CommandRejected(sequence, index, COMMAND_KINDS[small], a, b, reason)
    d = words[at + 6]
    e = words[at + 7]
    if kind == CONFIGURED:
        return MarketConfigured(sequence, index, a, b, BAND_REFERENCES[small], c, d, e)
    side = SIDES[head >> EVENT_SIDE_SHIFT & SIDE_MASK]
    if kind == ACCEPTED:
        return OrderAccepted(sequence, index, a, b, side, TYPES[small], c, d)
    if kind == RESTED:
        return OrderRested(sequence, index, a, b, side, c, d, e)
    if kind == CANCELLED:
        reason = REASONS[head >> EVENT_REASON_SHIFT & REASON_MASK]
        return OrderCancelled(sequence, index, a, b, side, c, d, reason)
    if kind == EXPIRED:
        reason = REASONS[head >> EVENT_REASON_SHIFT & REASON_MASK]
        return OrderExpired(sequence, index, a, b, side, c, d, reason, e)
    if kind == REPLENISHED:
        return OrderReplenished(sequence, index, a, b, side, c, d, e)
    if kind == TRIGGERED:
        return OrderTriggered(sequence, index, a, b, side, SOURCES[small], c, d)
    f = words[at + 8]
    if kind == REDUCED:
        reason = REASONS[head >> EVENT_REASON_SHIFT & REASON_MASK]
        return OrderReduced(sequence, index, a, b, side, c, d, e, f, reason)
    g = words[at + 9]
    flagged = head >> EVENT_FLAG_SHIFT & 1 == 1
    if kind == AMENDED:
        return OrderAmended(sequence, index, a, b, side, c, d, e, f, flagged)
    h = words[at + 10]
    if kind == PREVENTED:
        return TradePrevented(sequence, index, MODES[small], a, b, side, c, d, e, f, g, h, flagged)
    i = words[at + 11]
    return Trade(sequence, index, a, b, c, side, d, e, f, g, h, i, flagged)
