"""The events of one market: all that settlement and market data need to know about what happened.

Each carries the sequence of its command and its index among that command's events; the pair is unique
for ever. Prices are in ticks, quantities in lots. Meanings and order are in docs/matching.md.
"""

# The classes are frozen, so mypy forbids what only a class's own __init__ does.
# mypy: disable-error-code="misc"

from dataclasses import dataclass
from typing import Final

from crossbook.domain.commands import CommandKind
from crossbook.domain.errors import Reason
from crossbook.domain.orders import (
    BandReference,
    MarketState,
    OrderType,
    PriceSource,
    SelfTradePrevention,
    Side,
)
from crossbook.domain.records import initialise_without_compiler, make_copyable

EVENT_VERSION: Final = 1
"""Version of the event vocabulary; it rises whenever the meaning of a stored event would change."""


@dataclass(frozen=True, init=False)
class OrderAccepted:
    """An order passed every check of entry. Waiting orders (stops and the like) say no more until triggered."""

    sequence: int
    index: int
    order_id: int
    account_id: int
    side: Side
    type: OrderType
    quantity_lots: int
    price_ticks: int

    def __init__(
        self,
        sequence: int,
        index: int,
        order_id: int,
        account_id: int,
        side: Side,
        type: OrderType,
        quantity_lots: int,
        price_ticks: int,
    ) -> None:
        self.sequence = sequence
        self.index = index
        self.order_id = order_id
        self.account_id = account_id
        self.side = side
        self.type = type
        self.quantity_lots = quantity_lots
        self.price_ticks = price_ticks


@dataclass(frozen=True, init=False)
class CommandRejected:
    """A command was refused and changed nothing. `order_id` and `account_id` are those of the command, 0 for none."""

    sequence: int
    index: int
    command: CommandKind
    order_id: int
    account_id: int
    reason: Reason

    def __init__(
        self,
        sequence: int,
        index: int,
        command: CommandKind,
        order_id: int,
        account_id: int,
        reason: Reason,
    ) -> None:
        self.sequence = sequence
        self.index = index
        self.command = command
        self.order_id = order_id
        self.account_id = account_id
        self.reason = reason


@dataclass(frozen=True, init=False)
class OrderRested:
    """What is left of an order joined the queue at its price. `visible_lots` is what the public book shows."""

    sequence: int
    index: int
    order_id: int
    account_id: int
    side: Side
    price_ticks: int
    open_lots: int
    visible_lots: int

    def __init__(
        self,
        sequence: int,
        index: int,
        order_id: int,
        account_id: int,
        side: Side,
        price_ticks: int,
        open_lots: int,
        visible_lots: int,
    ) -> None:
        self.sequence = sequence
        self.index = index
        self.order_id = order_id
        self.account_id = account_id
        self.side = side
        self.price_ticks = price_ticks
        self.open_lots = open_lots
        self.visible_lots = visible_lots


@dataclass(frozen=True, init=False)
class Trade:
    """Two orders traded, at the resting order's price.

    `maker_open_lots` and `taker_open_lots` are what remains open of each afterwards; a taker by amount
    shows -1. In an auction nobody takes: the buyer stands in the taker's fields, the seller in the
    maker's, and `auction` is set.
    """

    sequence: int
    index: int
    trade_id: int
    price_ticks: int
    quantity_lots: int
    taker_side: Side
    maker_order_id: int
    maker_account_id: int
    maker_open_lots: int
    taker_order_id: int
    taker_account_id: int
    taker_open_lots: int
    auction: bool

    def __init__(
        self,
        sequence: int,
        index: int,
        trade_id: int,
        price_ticks: int,
        quantity_lots: int,
        taker_side: Side,
        maker_order_id: int,
        maker_account_id: int,
        maker_open_lots: int,
        taker_order_id: int,
        taker_account_id: int,
        taker_open_lots: int,
        auction: bool,
    ) -> None:
        self.sequence = sequence
        self.index = index
        self.trade_id = trade_id
        self.price_ticks = price_ticks
        self.quantity_lots = quantity_lots
        self.taker_side = taker_side
        self.maker_order_id = maker_order_id
        self.maker_account_id = maker_account_id
        self.maker_open_lots = maker_open_lots
        self.taker_order_id = taker_order_id
        self.taker_account_id = taker_account_id
        self.taker_open_lots = taker_open_lots
        self.auction = auction


@dataclass(frozen=True, init=False)
class TradePrevented:
    """Self-trade prevention kept two orders apart. `quantity_lots` was taken off both (DECREMENT), else it is 0."""

    sequence: int
    index: int
    mode: SelfTradePrevention
    price_ticks: int
    quantity_lots: int
    taker_side: Side
    maker_order_id: int
    maker_account_id: int
    maker_open_lots: int
    taker_order_id: int
    taker_account_id: int
    taker_open_lots: int
    auction: bool

    def __init__(
        self,
        sequence: int,
        index: int,
        mode: SelfTradePrevention,
        price_ticks: int,
        quantity_lots: int,
        taker_side: Side,
        maker_order_id: int,
        maker_account_id: int,
        maker_open_lots: int,
        taker_order_id: int,
        taker_account_id: int,
        taker_open_lots: int,
        auction: bool,
    ) -> None:
        self.sequence = sequence
        self.index = index
        self.mode = mode
        self.price_ticks = price_ticks
        self.quantity_lots = quantity_lots
        self.taker_side = taker_side
        self.maker_order_id = maker_order_id
        self.maker_account_id = maker_account_id
        self.maker_open_lots = maker_open_lots
        self.taker_order_id = taker_order_id
        self.taker_account_id = taker_account_id
        self.taker_open_lots = taker_open_lots
        self.auction = auction


@dataclass(frozen=True, init=False)
class OrderReduced:
    """An order lost `quantity_lots` of what was open and kept its place."""

    sequence: int
    index: int
    order_id: int
    account_id: int
    side: Side
    price_ticks: int
    quantity_lots: int
    open_lots: int
    visible_lots: int
    reason: Reason

    def __init__(
        self,
        sequence: int,
        index: int,
        order_id: int,
        account_id: int,
        side: Side,
        price_ticks: int,
        quantity_lots: int,
        open_lots: int,
        visible_lots: int,
        reason: Reason,
    ) -> None:
        self.sequence = sequence
        self.index = index
        self.order_id = order_id
        self.account_id = account_id
        self.side = side
        self.price_ticks = price_ticks
        self.quantity_lots = quantity_lots
        self.open_lots = open_lots
        self.visible_lots = visible_lots
        self.reason = reason


@dataclass(frozen=True, init=False)
class OrderReplenished:
    """An iceberg showed its next part, at the end of the queue."""

    sequence: int
    index: int
    order_id: int
    account_id: int
    side: Side
    price_ticks: int
    open_lots: int
    visible_lots: int

    def __init__(
        self,
        sequence: int,
        index: int,
        order_id: int,
        account_id: int,
        side: Side,
        price_ticks: int,
        open_lots: int,
        visible_lots: int,
    ) -> None:
        self.sequence = sequence
        self.index = index
        self.order_id = order_id
        self.account_id = account_id
        self.side = side
        self.price_ticks = price_ticks
        self.open_lots = open_lots
        self.visible_lots = visible_lots


@dataclass(frozen=True, init=False)
class OrderAmended:
    """An order was changed. Without its place it left the book, and may trade and rest in the events that follow."""

    sequence: int
    index: int
    order_id: int
    account_id: int
    side: Side
    price_ticks: int
    open_lots: int
    visible_lots: int
    trigger_price_ticks: int
    kept_place: bool

    def __init__(
        self,
        sequence: int,
        index: int,
        order_id: int,
        account_id: int,
        side: Side,
        price_ticks: int,
        open_lots: int,
        visible_lots: int,
        trigger_price_ticks: int,
        kept_place: bool,
    ) -> None:
        self.sequence = sequence
        self.index = index
        self.order_id = order_id
        self.account_id = account_id
        self.side = side
        self.price_ticks = price_ticks
        self.open_lots = open_lots
        self.visible_lots = visible_lots
        self.trigger_price_ticks = trigger_price_ticks
        self.kept_place = kept_place


@dataclass(frozen=True, init=False)
class OrderCancelled:
    """An order ended by request or by rule, with `open_lots` untraded. Its last event."""

    sequence: int
    index: int
    order_id: int
    account_id: int
    side: Side
    price_ticks: int
    open_lots: int
    reason: Reason

    def __init__(
        self,
        sequence: int,
        index: int,
        order_id: int,
        account_id: int,
        side: Side,
        price_ticks: int,
        open_lots: int,
        reason: Reason,
    ) -> None:
        self.sequence = sequence
        self.index = index
        self.order_id = order_id
        self.account_id = account_id
        self.side = side
        self.price_ticks = price_ticks
        self.open_lots = open_lots
        self.reason = reason


@dataclass(frozen=True, init=False)
class OrderExpired:
    """An order ended by its own terms or by self-trade prevention, with `open_lots` untraded. Its last event."""

    sequence: int
    index: int
    order_id: int
    account_id: int
    side: Side
    price_ticks: int
    open_lots: int
    reason: Reason
    unspent_budget: int

    def __init__(
        self,
        sequence: int,
        index: int,
        order_id: int,
        account_id: int,
        side: Side,
        price_ticks: int,
        open_lots: int,
        reason: Reason,
        unspent_budget: int,
    ) -> None:
        self.sequence = sequence
        self.index = index
        self.order_id = order_id
        self.account_id = account_id
        self.side = side
        self.price_ticks = price_ticks
        self.open_lots = open_lots
        self.reason = reason
        self.unspent_budget = unspent_budget


@dataclass(frozen=True, init=False)
class OrderTriggered:
    """A waiting order was set off by `observed_price_ticks` and now enters the market."""

    sequence: int
    index: int
    order_id: int
    account_id: int
    side: Side
    source: PriceSource
    trigger_price_ticks: int
    observed_price_ticks: int

    def __init__(
        self,
        sequence: int,
        index: int,
        order_id: int,
        account_id: int,
        side: Side,
        source: PriceSource,
        trigger_price_ticks: int,
        observed_price_ticks: int,
    ) -> None:
        self.sequence = sequence
        self.index = index
        self.order_id = order_id
        self.account_id = account_id
        self.side = side
        self.source = source
        self.trigger_price_ticks = trigger_price_ticks
        self.observed_price_ticks = observed_price_ticks


@dataclass(frozen=True, init=False)
class OrdersCancelled:
    """A cancel-all is done; `count` orders ended in the events before it, pair siblings included."""

    sequence: int
    index: int
    account_id: int
    count: int

    def __init__(
        self,
        sequence: int,
        index: int,
        account_id: int,
        count: int,
    ) -> None:
        self.sequence = sequence
        self.index = index
        self.account_id = account_id
        self.count = count


@dataclass(frozen=True, init=False)
class AuctionUncrossed:
    """An auction matched `volume_lots` at one price; price 0 means that nothing crossed.

    `imbalance_lots` is demand less supply at that price, before it was matched.
    """

    sequence: int
    index: int
    price_ticks: int
    volume_lots: int
    imbalance_lots: int

    def __init__(
        self,
        sequence: int,
        index: int,
        price_ticks: int,
        volume_lots: int,
        imbalance_lots: int,
    ) -> None:
        self.sequence = sequence
        self.index = index
        self.price_ticks = price_ticks
        self.volume_lots = volume_lots
        self.imbalance_lots = imbalance_lots


@dataclass(frozen=True, init=False)
class StateChanged:
    """The market moved to another state."""

    sequence: int
    index: int
    previous: MarketState
    state: MarketState

    def __init__(
        self,
        sequence: int,
        index: int,
        previous: MarketState,
        state: MarketState,
    ) -> None:
        self.sequence = sequence
        self.index = index
        self.previous = previous
        self.state = state


@dataclass(frozen=True, init=False)
class PricesUpdated:
    """The mark and index prices now in force, 0 for unknown."""

    sequence: int
    index: int
    mark_price_ticks: int
    index_price_ticks: int

    def __init__(
        self,
        sequence: int,
        index: int,
        mark_price_ticks: int,
        index_price_ticks: int,
    ) -> None:
        self.sequence = sequence
        self.index = index
        self.mark_price_ticks = mark_price_ticks
        self.index_price_ticks = index_price_ticks


@dataclass(frozen=True, init=False)
class PositionSet:
    """An account's position as stated by a command."""

    sequence: int
    index: int
    account_id: int
    position_lots: int

    def __init__(
        self,
        sequence: int,
        index: int,
        account_id: int,
        position_lots: int,
    ) -> None:
        self.sequence = sequence
        self.index = index
        self.account_id = account_id
        self.position_lots = position_lots


@dataclass(frozen=True, init=False)
class MarketConfigured:
    """The market's limits were set."""

    sequence: int
    index: int
    reference_price_ticks: int
    band_basis_points: int
    band_reference: BandReference
    max_open_orders: int
    max_iceberg_parts: int
    max_trailing_orders: int

    def __init__(
        self,
        sequence: int,
        index: int,
        reference_price_ticks: int,
        band_basis_points: int,
        band_reference: BandReference,
        max_open_orders: int,
        max_iceberg_parts: int,
        max_trailing_orders: int,
    ) -> None:
        self.sequence = sequence
        self.index = index
        self.reference_price_ticks = reference_price_ticks
        self.band_basis_points = band_basis_points
        self.band_reference = band_reference
        self.max_open_orders = max_open_orders
        self.max_iceberg_parts = max_iceberg_parts
        self.max_trailing_orders = max_trailing_orders


@dataclass(frozen=True, init=False)
class FundingApplied:
    """The funding of one period fell due: every position open at this event pays or receives.

    `rate_ppb` is signed, in parts per billion of the value at the index price; positive, longs pay.
    """

    sequence: int
    index: int
    period_start_ms: int
    rate_ppb: int
    index_price_ticks: int

    def __init__(
        self,
        sequence: int,
        index: int,
        period_start_ms: int,
        rate_ppb: int,
        index_price_ticks: int,
    ) -> None:
        self.sequence = sequence
        self.index = index
        self.period_start_ms = period_start_ms
        self.rate_ppb = rate_ppb
        self.index_price_ticks = index_price_ticks


@dataclass(frozen=True, init=False)
class ForcedTrade:
    """A short and a long were closed against each other outside the book; `trade_id` counts with those of trades."""

    sequence: int
    index: int
    trade_id: int
    buyer_account_id: int
    seller_account_id: int
    price_ticks: int
    quantity_lots: int

    def __init__(
        self,
        sequence: int,
        index: int,
        trade_id: int,
        buyer_account_id: int,
        seller_account_id: int,
        price_ticks: int,
        quantity_lots: int,
    ) -> None:
        self.sequence = sequence
        self.index = index
        self.trade_id = trade_id
        self.buyer_account_id = buyer_account_id
        self.seller_account_id = seller_account_id
        self.price_ticks = price_ticks
        self.quantity_lots = quantity_lots


@dataclass(frozen=True, init=False)
class PositionsSettled:
    """Every position was closed at this price; `positions` is how many there were."""

    sequence: int
    index: int
    price_ticks: int
    positions: int

    def __init__(
        self,
        sequence: int,
        index: int,
        price_ticks: int,
        positions: int,
    ) -> None:
        self.sequence = sequence
        self.index = index
        self.price_ticks = price_ticks
        self.positions = positions


Event = (
    OrderAccepted
    | CommandRejected
    | OrderRested
    | Trade
    | TradePrevented
    | OrderReduced
    | OrderReplenished
    | OrderAmended
    | OrderCancelled
    | OrderExpired
    | OrderTriggered
    | OrdersCancelled
    | AuctionUncrossed
    | StateChanged
    | PricesUpdated
    | PositionSet
    | MarketConfigured
    | FundingApplied
    | ForcedTrade
    | PositionsSettled
)

EVENT_TYPES: Final = (
    OrderAccepted,
    CommandRejected,
    OrderRested,
    Trade,
    TradePrevented,
    OrderReduced,
    OrderReplenished,
    OrderAmended,
    OrderCancelled,
    OrderExpired,
    OrderTriggered,
    OrdersCancelled,
    AuctionUncrossed,
    StateChanged,
    PricesUpdated,
    PositionSet,
    MarketConfigured,
    FundingApplied,
    ForcedTrade,
    PositionsSettled,
)
"""Every event class; its place, from 1, is its number in records."""

make_copyable(EVENT_TYPES)
if __file__.endswith(".py"):
    initialise_without_compiler(EVENT_TYPES)
