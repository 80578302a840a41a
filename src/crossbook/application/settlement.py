"""Settlement: what the events of one market change in orders, money and positions.

A pure computation: the stored rows and the events go in, everything to be written comes out, and the
same input gives the same output. Each kind of event does this:

    OrderAccepted                  pending becomes open
    CommandRejected                of a submission: rejected, all that the order tied up is free again;
                                   of anything else: nothing
    Trade                          two fills, one journal, both orders and positions
    TradePrevented, OrderReduced   less is open
    OrderAmended                   another open quantity, price or trigger
    OrderCancelled, OrderExpired   the end, and all that is left is free again
    OrderTriggered                 the order has changed, nothing else
    StateChanged                   the market's status
    PricesUpdated                  the market's mark and index
    FundingApplied                 every position pays or receives
    ForcedTrade                    as a trade, without orders and fees
    PositionsSettled               every position is closed
    all others                     nothing

Whatever came of an amendment: what it had set aside beside its order is free again.

What the events say is compared with the rows wherever both know it. An order without a row, an order
that has ended, a quantity that differs: each raises SettlementFault, because a market must rather stop
than continue wrong.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from crossbook.application.reporting import Reporter
from crossbook.application.settlement_money import money_of
from crossbook.application.settlement_positions import (
    apply_funding,
    force_trade,
    require_perpetual,
    settle_positions,
)
from crossbook.application.settlement_rows import (
    LAST_LIVE,
    PENDING,
    AmendmentRow,
    BalanceRow,
    CommandEvents,
    DecidedAmendment,
    MarketTerms,
    OrderChange,
    OrderRow,
    PositionChange,
    PositionRow,
    Settlement,
    SettlementFault,
    UnknownOrder,
)
from crossbook.domain.commands import CommandKind
from crossbook.domain.errors import CrossbookError, Reason
from crossbook.domain.events import (
    CommandRejected,
    Event,
    ForcedTrade,
    FundingApplied,
    OrderAccepted,
    OrderAmended,
    OrderCancelled,
    OrderExpired,
    OrderReduced,
    OrderReplenished,
    OrderRested,
    OrderTriggered,
    PositionsSettled,
    PricesUpdated,
    StateChanged,
    Trade,
    TradePrevented,
)
from crossbook.domain.fees import LiquidityRole
from crossbook.domain.ledger import Journal, LedgerType, TradeSide, fund_postings
from crossbook.domain.lifecycle import OrderStatus
from crossbook.domain.liquidating import fund_payment_units
from crossbook.domain.orders import Side

OPEN: Final = int(OrderStatus.OPEN)
PARTIALLY_FILLED: Final = int(OrderStatus.PARTIALLY_FILLED)
FILLED: Final = int(OrderStatus.FILLED)
CANCELLED: Final = int(OrderStatus.CANCELLED)
REJECTED: Final = int(OrderStatus.REJECTED)
EXPIRED: Final = int(OrderStatus.EXPIRED)
MAKER: Final = int(LiquidityRole.MAKER)
TAKER: Final = int(LiquidityRole.TAKER)
TRADE: Final = int(LedgerType.TRADE)
NO_ORDER: Final = 0
MOVES_MONEY: Final = (Trade, FundingApplied, ForcedTrade, PositionsSettled)
"""Events that may need a journal: one each."""
BY_AMOUNT: Final = -1
"""What a trade says is left open of an order by amount."""

NO_AMENDMENTS: Final[Mapping[int, AmendmentRow]] = {}

_OF_ONE_ORDER: Final = frozenset(
    (
        OrderAccepted,
        OrderRested,
        OrderReduced,
        OrderReplenished,
        OrderAmended,
        OrderCancelled,
        OrderExpired,
        OrderTriggered,
    )
)


_OF_AN_ORDER: Final = frozenset((CommandKind.SUBMIT, CommandKind.AMEND, CommandKind.CANCEL))


def orders_named(events: Iterable[Event]) -> list[int]:
    """The ids of the orders whose rows these events need, rising, each once."""
    ids: set[int] = set()
    for event in events:
        kind = type(event)
        if kind in _OF_ONE_ORDER:
            ids.add(event.order_id)  # type: ignore[union-attr]
        elif isinstance(event, Trade | TradePrevented):
            ids.add(event.maker_order_id)
            ids.add(event.taker_order_id)
        elif isinstance(event, CommandRejected) and event.command in _OF_AN_ORDER:
            # Even if it has ended: an amendment needs its owner's position, and activity tells of every reject.
            ids.add(event.order_id)
    return sorted(ids)


def amendments_named(events: Iterable[Event]) -> list[int]:
    """The sequences of the commands that were amendments, rising."""
    return [event.sequence for event in events if _ends_amendment(event)]


def _ends_amendment(event: Event) -> bool:
    """Whether this is what came of an amendment: each gives exactly one such event."""
    if isinstance(event, OrderAmended):
        return True
    if isinstance(event, CommandRejected):
        return event.command is CommandKind.AMEND
    return isinstance(event, OrderCancelled) and event.reason is Reason.AMENDED_BELOW_FILLED


def _decided(command: CommandEvents) -> DecidedAmendment:
    """What came of the amendment that a command was."""
    event: Any = next(event for event in command.events if _ends_amendment(event))
    reason = event.reason if isinstance(event, CommandRejected) else Reason.NONE
    return command.sequence, event.order_id, int(reason), command.time_ms


def settle(
    terms: MarketTerms,
    commands: Sequence[CommandEvents],
    orders: dict[int, OrderRow],
    positions: dict[int, PositionRow],
    amendments: Mapping[int, AmendmentRow] = NO_AMENDMENTS,
    fund_units: int = 0,
) -> Settlement:
    """Settle the events of `commands`, which follow each other in the market's log.

    `orders` holds the stored rows of `orders_named`, by id; `positions`, for a perpetual, the rows of
    their accounts. Both are used up: they show the new state afterwards. `amendments` are those of
    `amendments_named` that set something aside, by sequence. `fund_units` is what the insurance fund has, for
    liquidation orders. Raises SettlementFault when the
    events do not fit the rows, UnknownOrder when there is no row, ValueError for a market of swaps.
    """
    batch = _Batch(terms, orders, positions, amendments, fund_units)
    for command in commands:
        batch.settle(command)
    return batch.result()


class _Batch:
    """One batch at work: the rows as they are by now, and what is to be written so far."""

    def __init__(
        self,
        terms: MarketTerms,
        orders: dict[int, OrderRow],
        positions: dict[int, PositionRow],
        amendments: Mapping[int, AmendmentRow],
        fund_units: int,
    ) -> None:
        instrument = terms.instrument
        self._fund_units = fund_units
        self._terms = terms
        self._market_id = terms.market_id
        self._orders = orders
        self._positions = positions
        self._amendments = amendments
        self._money = money_of(terms, positions)
        self._unit = instrument.units_per_tick_lot
        self._asset_ids = {instrument.base.name: terms.base_asset_id, instrument.quote.name: terms.quote_asset_id}
        self._totals: dict[tuple[int, int], int] = {}
        self._written = Settlement()
        self._reporter = Reporter(orders)
        self._now_ms = 0

    def settle(self, command: CommandEvents) -> None:
        """Settle the events of one command."""
        self._now_ms = command.time_ms
        reporter = self._reporter
        for event in command.events:
            handler = _HANDLERS.get(type(event))
            if handler is None:
                continue
            try:
                handler(self, event)
            except SettlementFault:
                raise
            except CrossbookError as error:
                raise self._fault(event, str(error)) from error
            if reporter.is_needed:
                reporter.note(event, self._written.fills)
        amendment = self._amendments.get(command.sequence)
        if amendment is not None:
            self._money.release(amendment)
            self._written.amendments.append(_decided(command))

    def result(self) -> Settlement:
        """Everything to write."""
        written = self._written
        written.steps = self._reporter.steps
        written.balances = self._balance_rows()
        written.positions = [_position_change(row) for _, row in sorted(self._positions.items()) if row.is_changed]
        written.orders = [_order_change(row) for _, row in sorted(self._orders.items()) if row.touched_at_ms >= 0]
        return written

    # The life of an order, one event each.
    def _accepted(self, event: OrderAccepted) -> None:
        order = self._live(event)
        if order.status != PENDING:
            raise self._fault(event, f"order {order.order_id} is accepted a second time")
        order.status = OPEN
        self._touch(order)

    def _rejected(self, event: CommandRejected) -> None:
        if event.command is not CommandKind.SUBMIT:
            return
        order = self._live(event)
        if order.status != PENDING:
            raise self._fault(event, f"order {order.order_id} is rejected after it was accepted")
        self._end(order, REJECTED, event.reason)

    def _trade(self, event: Trade) -> None:
        maker, taker = self._pair(event)
        price_ticks, quantity_lots = event.price_ticks, event.quantity_lots
        if maker.side == taker.side:
            raise self._fault(event, "both sides of a trade are the same")
        # A rebate is paid from the taker's fee of the same trade; in an auction nobody takes.
        taker_role = MAKER if event.auction else TAKER
        taker_ppm = max(0, taker.maker_fee_ppm) if event.auction else taker.taker_fee_ppm
        maker_ppm = max(0 if event.auction else -taker_ppm, maker.maker_fee_ppm)
        journal, of_maker, of_taker = self._money.trade(maker, taker, price_ticks, quantity_lots, maker_ppm, taker_ppm)
        notional_units = price_ticks * quantity_lots * self._unit
        if taker.bankruptcy_ticks:
            journal = self._with_fund_flow(journal, taker, price_ticks, quantity_lots)
        self._record(event, journal)
        self._fill(event, maker, event.maker_open_lots, of_maker, MAKER, maker_ppm, notional_units)
        self._fill(event, taker, event.taker_open_lots, of_taker, taker_role, taker_ppm, notional_units)

    def _prevented(self, event: TradePrevented) -> None:
        maker, taker = self._pair(event)
        if event.quantity_lots == 0:
            return
        for order, open_lots in ((maker, event.maker_open_lots), (taker, event.taker_open_lots)):
            self._money.reduce(order, event.quantity_lots, event.price_ticks)
            self._expect_open(event, order, open_lots)
            self._touch(order)

    def _reduced(self, event: OrderReduced) -> None:
        order = self._live(event)
        self._money.reduce(order, event.quantity_lots, event.price_ticks)
        self._expect_open(event, order, event.open_lots)
        # The total follows, so that an order whose rest trades ends with all of its total filled.
        order.quantity_lots -= event.quantity_lots
        order.reason = int(event.reason)
        self._touch(order)

    def _amended(self, event: OrderAmended) -> None:
        order = self._live(event)
        order.quantity_lots += event.open_lots - order.open_lots
        if event.trigger_price_ticks:
            order.trigger_price_ticks = event.trigger_price_ticks
        self._money.amend(order, event.open_lots, event.price_ticks)
        self._touch(order)

    def _cancelled(self, event: OrderCancelled) -> None:
        order = self._live(event)
        self._expect_open(event, order, event.open_lots)
        self._end(order, CANCELLED, event.reason)

    def _expired(self, event: OrderExpired) -> None:
        order = self._live(event)
        self._expect_open(event, order, event.open_lots)
        if order.budget_left != event.unspent_budget:
            text = f"order {order.order_id} has {order.budget_left} of its budget left, not {event.unspent_budget}"
            raise self._fault(event, text)
        done = event.reason is Reason.BUDGET_SPENT and order.filled_lots > 0
        self._end(order, FILLED if done else EXPIRED, event.reason)

    def _known(self, event: OrderRested | OrderReplenished) -> None:
        """Nothing to write, but the order must be one of ours."""
        self._live(event)

    def _triggered(self, event: OrderTriggered) -> None:
        self._touch(self._live(event))

    def _state_changed(self, event: StateChanged) -> None:
        self._written.status = event.state

    # What is done to positions, without orders.
    def _prices_updated(self, event: PricesUpdated) -> None:
        self._written.prices, self._written.prices_at_ms = event, self._now_ms

    def _funding_applied(self, event: FundingApplied) -> None:
        require_perpetual(self._terms)
        journal, paid = apply_funding(self._terms, self._positions, event, self._now_ms)
        self._record(event, journal, LedgerType.FUNDING_PAYMENT)
        self._written.fundings.append(paid)

    def _forced_trade(self, event: ForcedTrade) -> None:
        require_perpetual(self._terms)
        journal, of_buyer, of_seller = force_trade(self._terms, self._positions, event)
        self._record(event, journal, LedgerType.ADL_SETTLEMENT)
        notional_units = event.price_ticks * event.quantity_lots * self._unit
        for number, side in ((1, of_buyer), (2, of_seller)):
            self._written.fills.append(
                (
                    event.trade_id,
                    number,
                    NO_ORDER,
                    side.account_id,
                    MAKER,
                    event.price_ticks,
                    event.quantity_lots,
                    notional_units,
                    0,
                    0,
                    self._asset_ids[side.fee_asset],
                    side.realised_units,
                    event.sequence,
                    event.index,
                    self._now_ms,
                )
            )

    def _positions_settled(self, event: PositionsSettled) -> None:
        require_perpetual(self._terms)
        journal, closing = settle_positions(self._terms, self._positions, event, self._now_ms)
        self._record(event, journal, LedgerType.REALIZED_PNL)
        self._written.closings.append(closing)

    def _with_fund_flow(self, journal: Journal, taker: OrderRow, price_ticks: int, quantity_lots: int) -> Journal:
        """The journal of a liquidation's fill, with what the insurance fund receives or pays for it (3.6)."""
        instrument = self._terms.instrument
        closed = -quantity_lots if taker.side == int(Side.BUY) else quantity_lots
        flow = fund_payment_units(instrument, closed, price_ticks, taker.bankruptcy_ticks, self._fund_units)
        self._fund_units += flow
        self._positions[taker.account_id].settle_with_fund(flow)
        return Journal(journal.postings + fund_postings(taker.account_id, instrument.quote.name, flow))

    # What they share.
    def _live(self, event: Any) -> OrderRow:
        """The row of the order that an event is about."""
        return self._find(event, event.order_id, event.account_id)

    def _pair(self, event: Trade | TradePrevented) -> tuple[OrderRow, OrderRow]:
        maker = self._find(event, event.maker_order_id, event.maker_account_id)
        return maker, self._find(event, event.taker_order_id, event.taker_account_id)

    def _find(self, event: Any, order_id: int, account_id: int) -> OrderRow:
        order = self._orders.get(order_id)
        if order is None:
            raise UnknownOrder(self._market_id, event.sequence, event.index, f"there is no order {order_id}")
        if order.account_id != account_id:
            text = f"order {order_id} belongs to account {order.account_id}, not {account_id}"
            raise UnknownOrder(self._market_id, event.sequence, event.index, text)
        if order.status > LAST_LIVE:
            raise self._fault(event, f"order {order_id} has ended before")
        return order

    def _expect_open(self, event: Any, order: OrderRow, open_lots: int) -> None:
        """The engine and the row must agree on what is still open."""
        if order.budget == 0 and order.open_lots != open_lots:
            text = f"order {order.order_id} has {order.open_lots} lots open, not {open_lots}"
            raise self._fault(event, text)
        if order.budget_left < 0:
            raise self._fault(event, f"order {order.order_id} spends more than its budget")

    def _touch(self, order: OrderRow) -> None:
        """The order has changed. The clock of those who accept may step back; an order's does not."""
        order.touched_at_ms = max(order.touched_at_ms, self._now_ms)

    def _end(self, order: OrderRow, status: int, reason: Reason) -> None:
        self._money.end(order)
        order.status = status
        order.reason = int(reason)
        self._touch(order)

    def _fill(
        self,
        event: Trade,
        order: OrderRow,
        open_lots: int,
        side: TradeSide,
        role: int,
        fee_ppm: int,
        notional_units: int,
    ) -> None:
        """One side of a trade: its fill, and what it does to the order."""
        self._expect_open(event, order, open_lots)
        self._written.fills.append(
            (
                event.trade_id,
                order.side,
                order.order_id,
                order.account_id,
                role,
                event.price_ticks,
                event.quantity_lots,
                notional_units,
                side.fee_units,
                fee_ppm,
                self._asset_ids[side.fee_asset],
                side.realised_units,
                event.sequence,
                event.index,
                self._now_ms,
            )
        )
        order.filled_lots += event.quantity_lots
        order.traded_units += notional_units
        order.status = PARTIALLY_FILLED
        self._touch(order)
        if open_lots == 0:
            # The last trade of a filled order is its end; no other event follows.
            self._money.end(order)
            order.status = FILLED

    def _record(self, event: Any, journal: Journal, kind: int = TRADE) -> None:
        """Write a journal down, unless nothing moved."""
        if not journal.postings:
            return
        written, totals = self._written, self._totals
        place = len(written.journals)
        written.journals.append((int(kind), event.sequence, event.index, self._now_ms))
        for line, posting in enumerate(journal.postings):
            key = (posting.account_id, self._asset_ids[posting.asset])
            totals[key] = totals.get(key, 0) + posting.amount_units
            written.postings.append((place, line, *key, int(posting.type), posting.amount_units))

    def _balance_rows(self) -> list[BalanceRow]:
        totals, held = self._totals, self._money.held
        keys = sorted(totals.keys() | held.keys())
        rows = [(*key, totals.get(key, 0), held.get(key, 0)) for key in keys]
        return [row for row in rows if row[2] or row[3]]

    def _fault(self, event: Any, message: str) -> SettlementFault:
        return SettlementFault(self._market_id, event.sequence, event.index, message)


_HANDLERS: Final[Mapping[type, Callable[[_Batch, Any], None]]] = {
    OrderAccepted: _Batch._accepted,
    CommandRejected: _Batch._rejected,
    OrderRested: _Batch._known,
    Trade: _Batch._trade,
    TradePrevented: _Batch._prevented,
    OrderReduced: _Batch._reduced,
    OrderReplenished: _Batch._known,
    OrderAmended: _Batch._amended,
    OrderCancelled: _Batch._cancelled,
    OrderExpired: _Batch._expired,
    OrderTriggered: _Batch._triggered,
    StateChanged: _Batch._state_changed,
    PricesUpdated: _Batch._prices_updated,
    FundingApplied: _Batch._funding_applied,
    ForcedTrade: _Batch._forced_trade,
    PositionsSettled: _Batch._positions_settled,
}
"""What each kind of event does. Not bound to a batch: it would hold itself, and wait for the collector of garbage."""


def _position_change(row: PositionRow) -> PositionChange:
    after, read = row.position, row.read
    return (
        row.account_id,
        after.quantity_lots,
        after.cost_units,
        after.realised_units,
        row.buy_lots,
        row.buy_notional_units,
        row.sell_lots,
        row.sell_notional_units,
        row.fee_reserve_units,
        read.quantity_lots,
        read.cost_units,
        read.realised_units,
        row.margin_units,
        row.funding_units,
        row.read_margin_units,
        row.mode,
        row.in_liquidation,
    )


def _order_change(row: OrderRow) -> OrderChange:
    return (
        row.order_id,
        row.status,
        row.reason,
        row.quantity_lots,
        row.price_ticks,
        row.trigger_price_ticks,
        row.open_lots,
        row.filled_lots,
        row.traded_units,
        row.held_units,
        row.read_held_units,
        row.touched_at_ms,
    )
