"""What settlement reads of a market, and what it gives back to be written: plain rows, whole numbers only."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from crossbook.application.activity import Step
from crossbook.application.markets import Market
from crossbook.domain.errors import CrossbookError
from crossbook.domain.events import Event, FundingApplied, PositionsSettled, PricesUpdated
from crossbook.domain.instruments import Instrument
from crossbook.domain.isolated import margin_after_fill
from crossbook.domain.lifecycle import OrderStatus
from crossbook.domain.orders import MarketState, Side
from crossbook.domain.positions import Position, apply_fill
from crossbook.domain.risk import MarginMode

PENDING: Final = int(OrderStatus.PENDING)
LAST_LIVE: Final = int(OrderStatus.PARTIALLY_FILLED)

FLAT: Final = Position()
CROSS: Final = int(MarginMode.CROSS)


class SettlementFault(CrossbookError):
    """Events that can not have come from the orders that are stored: the market must stop, not continue wrong.

    `sequence` and `index` name the event; nothing of its batch is settled.
    """

    def __init__(self, market_id: int, sequence: int, index: int, message: str) -> None:
        super().__init__(f"market {market_id}, event {sequence}/{index}: {message}")
        self.market_id = market_id
        self.sequence = sequence
        self.index = index


class UnknownOrder(SettlementFault):
    """An event of an order that has no row, or whose row names another owner."""


@dataclass(frozen=True)
class MarketTerms:
    """What settlement must know of a market: its number, its terms, and the numbers of its assets.

    `perpetuals` are all that are settled in its quote asset, itself included: what cross positions stand together in.
    """

    market_id: int
    instrument: Instrument
    base_asset_id: int
    quote_asset_id: int
    perpetuals: tuple[Market, ...] = ()


class CommandEvents(NamedTuple):
    """The events of one command, in order, and when the command was accepted."""

    sequence: int
    time_ms: int
    events: Sequence[Event]


class OrderRow:
    """A working copy of the part of an order's row that settlement reads and changes.

    `budget_left` is what a live order by amount may still spend, in ticks times lots; such an order has
    never anything in `open_lots`. `traded_units` is the worth of the fills of this batch, in quote units.
    `touched_at_ms` is the time of the last change, -1 for none. `bankruptcy_ticks` is 0 for all but a liquidation
    order.
    """

    __slots__ = (
        "account_id",
        "bankruptcy_ticks",
        "budget",
        "budget_left",
        "filled_lots",
        "held_units",
        "keeps_activity",
        "maker_fee_ppm",
        "open_lots",
        "order_id",
        "post_only",
        "price_ticks",
        "quantity_lots",
        "read_held_units",
        "reason",
        "reduce_only",
        "side",
        "status",
        "taker_fee_ppm",
        "touched_at_ms",
        "traded_units",
        "trigger_price_ticks",
    )

    def __init__(
        self,
        order_id: int,
        account_id: int,
        side: int,
        post_only: bool,
        reduce_only: bool,
        status: int,
        reason: int,
        quantity_lots: int,
        price_ticks: int,
        trigger_price_ticks: int,
        budget: int,
        open_lots: int,
        filled_lots: int,
        held_units: int,
        maker_fee_ppm: int,
        taker_fee_ppm: int,
        keeps_activity: bool = False,
        bankruptcy_ticks: int = 0,
    ) -> None:
        self.order_id = order_id
        self.account_id = account_id
        self.side = side
        self.post_only = post_only
        self.reduce_only = reduce_only
        self.status = status
        self.reason = reason
        self.quantity_lots = quantity_lots
        self.price_ticks = price_ticks
        self.trigger_price_ticks = trigger_price_ticks
        self.budget = budget
        # An order by amount never rests: one that is read has spent nothing yet, or has ended.
        self.budget_left = budget if status <= LAST_LIVE else 0
        self.open_lots = open_lots
        self.filled_lots = filled_lots
        self.held_units = held_units
        self.read_held_units = held_units
        self.maker_fee_ppm = maker_fee_ppm
        self.taker_fee_ppm = taker_fee_ppm
        self.keeps_activity = keeps_activity
        self.bankruptcy_ticks = bankruptcy_ticks
        self.traded_units = 0
        self.touched_at_ms = -1


class AmendmentRow(NamedTuple):
    """What an amendment under way set aside: in its account's row of a perpetual, or of a spot balance."""

    sequence: int
    account_id: int
    side: int
    lots: int
    notional_units: int
    fee_reserve_units: int
    held_units: int


class PositionRow:
    """A working copy of an account's row in one perpetual market.

    The position is the new one, and so are the margin of an isolated position and what funding brought; the open
    sums and the fee reserve are changes, to be added to what is stored, because orders are accepted into the same row
    at the same time.
    """

    __slots__ = (
        "account_id",
        "buy_lots",
        "buy_notional_units",
        "fee_reserve_units",
        "funding_units",
        "in_liquidation",
        "leverage",
        "margin_units",
        "mode",
        "position",
        "read",
        "read_funding_units",
        "read_margin_units",
        "sell_lots",
        "sell_notional_units",
    )

    def __init__(
        self,
        account_id: int,
        position: Position = FLAT,
        leverage: int = 1,
        mode: int = CROSS,
        margin_units: int = 0,
        in_liquidation: bool = False,
        funding_units: int = 0,
    ) -> None:
        self.account_id = account_id
        self.position = position
        self.read = position
        self.leverage = leverage
        self.mode = mode
        self.margin_units = self.read_margin_units = margin_units
        self.in_liquidation = in_liquidation
        self.funding_units = self.read_funding_units = funding_units
        self.buy_lots = 0
        self.buy_notional_units = 0
        self.sell_lots = 0
        self.sell_notional_units = 0
        self.fee_reserve_units = 0

    def fill(self, instrument: Instrument, side: Side, quantity_lots: int, price_ticks: int) -> int:
        """Apply a fill to the position and to its margin; gives what it realised, in quote units."""
        before = self.position
        self.position, realised = apply_fill(before, side, quantity_lots, price_ticks, instrument.units_per_tick_lot)
        if self.mode != CROSS:
            self.margin_units = margin_after_fill(
                instrument, self.leverage, self.margin_units, before, self.position, price_ticks, self.in_liquidation
            )
        if self.funding_units and self.position.quantity_lots * before.quantity_lots <= 0:
            self.funding_units = 0  # another position from now on
        return realised

    def pay(self, units: int) -> None:
        """Funding was received, or paid when negative: from the margin of an isolated position."""
        self.funding_units += units
        if self.mode != CROSS:
            self.margin_units += units

    def settle_with_fund(self, flow_units: int) -> None:
        """The insurance fund received so much from the position, or paid it: its isolated margin changes too."""
        if self.mode == CROSS:
            return
        left = self.margin_units - flow_units
        # Of a position that is gone only a debt stays; all else went back to the wallet.
        self.margin_units = left if self.position.quantity_lots else min(0, left) if self.margin_units < 0 else 0

    @property
    def is_changed(self) -> bool:
        """Whether anything is to be written."""
        return (
            self.position is not self.read
            or self.margin_units != self.read_margin_units
            or self.funding_units != self.read_funding_units
            or self.buy_lots != 0
            or self.buy_notional_units != 0
            or self.sell_lots != 0
            or self.sell_notional_units != 0
            or self.fee_reserve_units != 0
        )


FundingPaymentRow = tuple[int, int, int]
"""account, lots, units received (negative: paid)."""
ClosedRow = tuple[int, int, int, int]
"""account, lots that were closed, their cost, what was realised."""


@dataclass(frozen=True)
class Funding:
    """One period of funding that was paid: its event, when, and what each position paid or received."""

    event: FundingApplied
    time_ms: int
    payments: tuple[FundingPaymentRow, ...]
    dust_units: int


@dataclass(frozen=True)
class Closing:
    """The final settlement of a market: its event, when, and every position that it closed."""

    event: PositionsSettled
    time_ms: int
    closed: tuple[ClosedRow, ...]


FillRow = tuple[int, int, int, int, int, int, int, int, int, int, int, int, int, int, int]
"""trade, side, order, account, role, price, lots, notional, fee, its ppm and asset, realised, sequence, index, ms.

The order is 0 for a side of a forced trade."""
JournalRow = tuple[int, int, int, int]
"""kind, sequence, event index, ms. Its place in the list is its number in the postings."""
PostingRow = tuple[int, int, int, int, int, int]
"""place of the journal, line, account, asset, kind, units."""
BalanceRow = tuple[int, int, int, int]
"""account, asset, more of the total, more held."""
PositionChange = tuple[int, int, int, int, int, int, int, int, int, int, int, int, int, int, int, int, bool]
"""account; new lots, cost, realised; more bought open lots, notional, sold open lots, notional, fee reserve; lots,
cost, realised as they were read; new isolated margin and funding; margin, mode and flag as they were read."""
OrderChange = tuple[int, int, int, int, int, int, int, int, int, int, int, int]
"""order; new status, reason, quantity, price, trigger, open, filled; more filled notional; new held; held as it was
read; ms."""

DecidedAmendment = tuple[int, int, int, int]
"""sequence, order, reason why it was refused or 0, ms."""


@dataclass
class Settlement:
    """Everything that a batch of commands changes. Balances, positions and orders are in the order of their locks."""

    fills: list[FillRow] = field(default_factory=list)
    journals: list[JournalRow] = field(default_factory=list)
    postings: list[PostingRow] = field(default_factory=list)
    balances: list[BalanceRow] = field(default_factory=list)
    positions: list[PositionChange] = field(default_factory=list)
    orders: list[OrderChange] = field(default_factory=list)
    amendments: list[DecidedAmendment] = field(default_factory=list)  # those that are no longer under way
    steps: list[Step] = field(default_factory=list)
    status: MarketState | None = None
    prices: PricesUpdated | None = None
    """The last mark and index of the batch."""
    prices_at_ms: int = 0
    fundings: list[Funding] = field(default_factory=list)
    closings: list[Closing] = field(default_factory=list)
