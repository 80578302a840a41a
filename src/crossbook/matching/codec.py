"""Between the dataclasses of the domain and the engine's records."""

from array import array
from typing import Final

from crossbook.domain.commands import (
    AdvanceTime,
    AmendOrder,
    ApplyFunding,
    Batch,
    CancelAll,
    CancelOrder,
    Command,
    CommandKind,
    ConfigureMarket,
    ForceTrade,
    ReduceOrder,
    SetMarketState,
    SetPosition,
    SettlePositions,
    SingleCommand,
    SubmitOrder,
    UpdatePrices,
)
from crossbook.domain.errors import MalformedCommand, Reason
from crossbook.domain.events import (
    AuctionUncrossed,
    CommandRejected,
    Event,
    ForcedTrade,
    FundingApplied,
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
    PositionsSettled,
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
from crossbook.matching.book import zeros
from crossbook.matching.columns import i64, vec
from crossbook.matching.layout import (
    ACCEPTED,
    ACCOUNT_ID,
    ADVANCE_TIME,
    AMEND,
    AMENDED,
    APPLY_FUNDING,
    BAND_BASIS_POINTS,
    BAND_REFERENCE,
    BUDGET,
    CANCEL,
    CANCEL_ALL,
    CANCELLED,
    COMMAND_WORDS,
    CONFIGURE,
    CONTINUES,
    DISPLAY,
    EVENT_BYTES,
    EVENT_FLAG_SHIFT,
    EVENT_REASON_SHIFT,
    EVENT_SIDE_SHIFT,
    EVENT_SMALL2_SHIFT,
    EVENT_SMALL_SHIFT,
    EVENT_WORDS,
    EXPIRE_MS,
    EXPIRED,
    EXTENDED,
    FORCE_TRADE,
    FORCED_TRADE,
    FUNDING_APPLIED,
    INDEX_PRICE,
    KIND_MASK,
    MARK_PRICE,
    MAX_ICEBERG_PARTS,
    MAX_OPEN_ORDERS,
    MAX_TRAILING_ORDERS,
    OCO_ORDER_ID,
    ORDER_ID,
    ORDERS_CANCELLED,
    PERIOD_START_MS,
    POSITION,
    POSITION_SET,
    POSITIONS_SETTLED,
    POST_ONLY,
    PREVENTED,
    PRICE,
    PRICES_UPDATED,
    QUANTITY,
    RATE_PPB,
    REDUCE,
    REDUCE_ONLY,
    REDUCED,
    REFERENCE_PRICE,
    REJECTED,
    REPLENISHED,
    RESTED,
    SELLER_ACCOUNT_ID,
    SEQUENCE,
    SET_POSITION,
    SET_STATE,
    SETTLE_POSITIONS,
    SIDE_MASK,
    SOURCE_MASK,
    SOURCE_SHIFT,
    STATE,
    STATE_CHANGED,
    STP_MASK,
    STP_SHIFT,
    SUBMIT,
    TERMS_SHIFT,
    TIF_MASK,
    TIF_SHIFT,
    TIME_MS,
    TRADE,
    TRADE_GROUP,
    TRAIL,
    TRAIL_BASIS_POINTS,
    TRIGGER_PRICE,
    TRIGGERED,
    TYPE_MASK,
    TYPE_SHIFT,
    UNCROSSED,
    UPDATE_PRICES,
)
from crossbook.matching.writer import INTERPRETED, words_to_bytes

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


def encode(command: Command) -> vec[i64]:
    """The records of a command, as words. Raises MalformedCommand for a field that no word can hold."""
    try:
        if isinstance(command, Batch):
            words = zeros(i64(len(command.commands)) * COMMAND_WORDS)
            at: i64 = 0
            for member in command.commands:
                _fill(words, at, member)
                if at != 0:
                    words[at] = words[at] | CONTINUES
                at += COMMAND_WORDS
        else:
            words = zeros(COMMAND_WORDS)
            _fill(words, 0, command)
        if INTERPRETED:
            _check_types(command, words)
    except (TypeError, AttributeError, OverflowError, ValueError) as error:
        raise MalformedCommand(f"{type(command).__name__}: {error}") from error
    return words


def _check_types(command: Command, words: vec[i64]) -> None:
    """Refuse from source what the compiled dataclasses and columns refuse by themselves."""
    array("q", words)  # whole numbers of 64 bits
    for member in command.commands if isinstance(command, Batch) else (command,):
        if isinstance(member, SubmitOrder):
            for value in (member.post_only, member.reduce_only, member.trail_in_basis_points):
                if value is not True and value is not False:
                    raise TypeError(f"{value!r} is no bool")
            array("q", (member.side, member.type, member.time_in_force))
            array("q", (member.self_trade_prevention, member.trigger_source))
        elif isinstance(member, CancelAll) and member.side is not None:
            array("q", (member.side,))


def _fill(words: vec[i64], at: i64, command: SingleCommand) -> None:
    """Write one command at word `at` of a column of zeros."""
    if isinstance(command, SubmitOrder):
        _fill_submit(words, at, command)
    elif isinstance(command, CancelOrder):
        words[at] = CANCEL
        words[at + SEQUENCE] = command.sequence
        words[at + TIME_MS] = command.time_ms
        words[at + ORDER_ID] = command.order_id
        words[at + ACCOUNT_ID] = command.account_id
    elif isinstance(command, AmendOrder):
        words[at] = AMEND
        words[at + SEQUENCE] = command.sequence
        words[at + TIME_MS] = command.time_ms
        words[at + ORDER_ID] = command.order_id
        words[at + ACCOUNT_ID] = command.account_id
        words[at + QUANTITY] = command.quantity_lots
        words[at + PRICE] = command.price_ticks
        words[at + TRIGGER_PRICE] = command.trigger_price_ticks
    elif isinstance(command, ReduceOrder):
        words[at] = REDUCE
        words[at + SEQUENCE] = command.sequence
        words[at + TIME_MS] = command.time_ms
        words[at + ORDER_ID] = command.order_id
        words[at + ACCOUNT_ID] = command.account_id
        words[at + QUANTITY] = command.quantity_lots
    elif isinstance(command, CancelAll):
        side: i64 = 0
        if command.side is not None:
            side = _small(command.side, SIDE_MASK, 3)
        words[at] = CANCEL_ALL | side << TERMS_SHIFT
        words[at + SEQUENCE] = command.sequence
        words[at + TIME_MS] = command.time_ms
        words[at + ACCOUNT_ID] = command.account_id
    else:
        _fill_operator(words, at, command)


def _fill_operator(words: vec[i64], at: i64, command: SingleCommand) -> None:
    """Write one command of the venue itself."""
    words[at + SEQUENCE] = command.sequence
    words[at + TIME_MS] = command.time_ms
    if isinstance(command, AdvanceTime):
        words[at] = ADVANCE_TIME
    elif isinstance(command, UpdatePrices):
        words[at] = UPDATE_PRICES
        words[at + MARK_PRICE] = command.mark_price_ticks
        words[at + INDEX_PRICE] = command.index_price_ticks
    elif isinstance(command, SetPosition):
        words[at] = SET_POSITION
        words[at + ACCOUNT_ID] = command.account_id
        words[at + POSITION] = command.position_lots
    elif isinstance(command, SetMarketState):
        words[at] = SET_STATE
        words[at + STATE] = command.state
        words[at + REFERENCE_PRICE] = command.reference_price_ticks
    elif isinstance(command, ConfigureMarket):
        words[at] = CONFIGURE
        words[at + BAND_BASIS_POINTS] = command.band_basis_points
        words[at + REFERENCE_PRICE] = command.reference_price_ticks
        words[at + BAND_REFERENCE] = command.band_reference
        words[at + MAX_OPEN_ORDERS] = command.max_open_orders
        words[at + MAX_ICEBERG_PARTS] = command.max_iceberg_parts
        words[at + MAX_TRAILING_ORDERS] = command.max_trailing_orders
    else:
        _fill_positions(words, at, command)


def _fill_positions(words: vec[i64], at: i64, command: SingleCommand) -> None:
    """Write one command about positions rather than orders; sequence and time are written."""
    if isinstance(command, ApplyFunding):
        words[at] = APPLY_FUNDING
        words[at + PERIOD_START_MS] = command.period_start_ms
        words[at + RATE_PPB] = command.rate_ppb
        words[at + INDEX_PRICE] = command.index_price_ticks
    elif isinstance(command, ForceTrade):
        words[at] = FORCE_TRADE
        words[at + ACCOUNT_ID] = command.buyer_account_id
        words[at + SELLER_ACCOUNT_ID] = command.seller_account_id
        words[at + QUANTITY] = command.quantity_lots
        words[at + PRICE] = command.price_ticks
    elif isinstance(command, SettlePositions):
        words[at] = SETTLE_POSITIONS
        words[at + PRICE] = command.price_ticks
    else:
        raise TypeError("no command")


def _small(value: i64, mask: i64, otherwise: i64) -> i64:
    """A small field of a head; a number that does not fit its bits becomes one that is never valid."""
    return value if value & mask == value else otherwise


def _fill_submit(words: vec[i64], at: i64, command: SubmitOrder) -> None:
    terms = (
        _small(command.side, SIDE_MASK, 0)
        | _small(command.type, TYPE_MASK, 0) << TYPE_SHIFT
        | _small(command.time_in_force, TIF_MASK, 0) << TIF_SHIFT
        | _small(command.self_trade_prevention, STP_MASK, 0) << STP_SHIFT
        | _small(command.trigger_source, SOURCE_MASK, 0) << SOURCE_SHIFT
    )
    if command.post_only:
        terms |= POST_ONLY
    if command.reduce_only:
        terms |= REDUCE_ONLY
    if command.trail_in_basis_points:
        terms |= TRAIL_BASIS_POINTS
    words[at] = SUBMIT | terms << TERMS_SHIFT
    words[at + SEQUENCE] = command.sequence
    words[at + TIME_MS] = command.time_ms
    words[at + ORDER_ID] = command.order_id
    words[at + ACCOUNT_ID] = command.account_id
    words[at + QUANTITY] = command.quantity_lots
    words[at + PRICE] = command.price_ticks
    words[at + TRIGGER_PRICE] = command.trigger_price_ticks
    words[at + DISPLAY] = command.display_quantity_lots
    words[at + EXPIRE_MS] = command.expire_time_ms
    words[at + TRADE_GROUP] = command.trade_group
    words[at + BUDGET] = command.budget
    words[at + OCO_ORDER_ID] = command.oco_order_id
    words[at + TRAIL] = command.trail
    used = words[at + TRIGGER_PRICE] | words[at + DISPLAY] | words[at + EXPIRE_MS] | words[at + TRADE_GROUP]
    if used | words[at + BUDGET] | words[at + OCO_ORDER_ID] | words[at + TRAIL] != 0:
        words[at] = words[at] | EXTENDED


def decode(words: vec[i64], count: i64) -> list[Event]:
    """The events in the first `count` words of a column of event records."""
    events: list[Event] = []
    at: i64 = 0
    while at < count:
        events.append(_decode_one(words, at))
        at += EVENT_WORDS
    return events


def decode_records(records: bytes) -> list[Event]:
    """The events in event records. Raises MalformedCommand for bytes that are no whole number of records."""
    if len(records) % EVENT_BYTES != 0:
        raise MalformedCommand(f"{len(records)} bytes are no whole number of event records")
    words = vec[i64](memoryview(records).cast("q"))
    return decode(words, len(words))


def encode_records(command: Command) -> bytes:
    """The records of a command, as a log stores them. Raises MalformedCommand for a field that no word can hold."""
    words = encode(command)
    return words_to_bytes(words, len(words))


def _decode_one(words: vec[i64], at: i64) -> Event:
    """One event; the common ones are looked for first."""
    head = words[at]
    kind = head & KIND_MASK
    sequence = words[at + 1]
    index = words[at + 2]
    a = words[at + 3]
    b = words[at + 4]
    c = words[at + 5]
    d = words[at + 6]
    side = SIDES[head >> EVENT_SIDE_SHIFT & SIDE_MASK]
    if kind == ACCEPTED:
        return OrderAccepted(sequence, index, a, b, side, TYPES[head >> EVENT_SMALL_SHIFT & SMALL_MASK], c, d)
    if kind == CANCELLED:
        return OrderCancelled(sequence, index, a, b, side, c, d, REASONS[head >> EVENT_REASON_SHIFT & REASON_MASK])
    e = words[at + 7]
    if kind == RESTED:
        return OrderRested(sequence, index, a, b, side, c, d, e)
    if kind == EXPIRED:
        reason = REASONS[head >> EVENT_REASON_SHIFT & REASON_MASK]
        return OrderExpired(sequence, index, a, b, side, c, d, reason, e)
    f = words[at + 8]
    flagged = head >> EVENT_FLAG_SHIFT & 1 == 1
    if kind == AMENDED:
        return OrderAmended(sequence, index, a, b, side, c, d, e, f, flagged)
    g = words[at + 9]
    h = words[at + 10]
    if kind == TRADE:
        return Trade(sequence, index, a, b, c, side, d, e, f, g, h, words[at + 11], flagged)
    small = head >> EVENT_SMALL_SHIFT & SMALL_MASK
    if kind == PREVENTED:
        return TradePrevented(sequence, index, MODES[small], a, b, side, c, d, e, f, g, h, flagged)
    if kind == REJECTED:
        reason = REASONS[head >> EVENT_REASON_SHIFT & REASON_MASK]
        return CommandRejected(sequence, index, COMMAND_KINDS[small], a, b, reason)
    if kind == REDUCED:
        reason = REASONS[head >> EVENT_REASON_SHIFT & REASON_MASK]
        return OrderReduced(sequence, index, a, b, side, c, d, e, f, reason)
    if kind == REPLENISHED:
        return OrderReplenished(sequence, index, a, b, side, c, d, e)
    if kind == TRIGGERED:
        return OrderTriggered(sequence, index, a, b, side, SOURCES[small], c, d)
    return _decode_market_event(words, at)


def _decode_market_event(words: vec[i64], at: i64) -> Event:
    """An event of the market rather than of an order."""
    head = words[at]
    kind = head & KIND_MASK
    sequence = words[at + 1]
    index = words[at + 2]
    a = words[at + 3]
    b = words[at + 4]
    c = words[at + 5]
    small = head >> EVENT_SMALL_SHIFT & SMALL_MASK
    if kind == ORDERS_CANCELLED:
        return OrdersCancelled(sequence, index, a, b)
    if kind == UNCROSSED:
        return AuctionUncrossed(sequence, index, a, b, c)
    if kind == STATE_CHANGED:
        state = head >> EVENT_SMALL2_SHIFT & SMALL_MASK
        return StateChanged(sequence, index, STATES[small], STATES[state])
    if kind == PRICES_UPDATED:
        return PricesUpdated(sequence, index, a, b)
    if kind == POSITION_SET:
        return PositionSet(sequence, index, a, b)
    if kind == FUNDING_APPLIED:
        return FundingApplied(sequence, index, a, b, c)
    d = words[at + 6]
    e = words[at + 7]
    if kind == FORCED_TRADE:
        return ForcedTrade(sequence, index, a, b, c, d, e)
    if kind == POSITIONS_SETTLED:
        return PositionsSettled(sequence, index, a, b)
    return MarketConfigured(sequence, index, a, b, BAND_REFERENCES[small], c, d, e)
