"""A venue of one market in memory, to settle in: an engine, rows as they would be stored, and their audit.

`Venue` accepts orders as the application does (a pending row, and what the order ties up), gives them to
the real engine, and writes down what settlement says. Beside it stand the rules that must hold whatever
happened: they look at the rows alone.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from crossbook.application.settlement import orders_named, settle
from crossbook.application.settlement_positions import positions_needed
from crossbook.application.settlement_rows import (
    AmendmentRow,
    CommandEvents,
    MarketTerms,
    OrderRow,
    PositionRow,
    Settlement,
)
from crossbook.domain import holds
from crossbook.domain.accounts import FIRST_USER, clearing_account
from crossbook.domain.commands import Batch, Command, SingleCommand, SubmitOrder
from crossbook.domain.fees import fee_reserve_units
from crossbook.domain.instruments import FeeAsset, Instrument, InstrumentKind
from crossbook.domain.lifecycle import OrderStatus
from crossbook.domain.orders import OrderType, Side
from crossbook.domain.positions import Position
from crossbook.matching import Engine

MARKET: Final = 1
BASE: Final = 10
QUOTE: Final = 20
CLEARING: Final = clearing_account(MARKET)
LEVERAGE: Final = 10


@dataclass
class Order:
    """An order's row, as it is stored."""

    command: SubmitOrder
    status: OrderStatus
    quantity_lots: int
    price_ticks: int
    trigger_price_ticks: int
    open_lots: int
    held_units: int
    maker_fee_ppm: int
    taker_fee_ppm: int
    reason: int = 0
    filled_lots: int = 0
    filled_units: int = 0
    updated_at_ms: int = 0

    @property
    def is_live(self) -> bool:
        return self.status.is_live

    def row(self) -> OrderRow:
        command = self.command
        return OrderRow(
            command.order_id,
            command.account_id,
            command.side,
            command.post_only,
            command.reduce_only,
            self.status,
            self.reason,
            self.quantity_lots,
            self.price_ticks,
            self.trigger_price_ticks,
            command.budget,
            self.open_lots,
            self.filled_lots,
            self.held_units,
            self.maker_fee_ppm,
            self.taker_fee_ppm,
        )


@dataclass
class Sums:
    """Open orders of one account that are not reduce-only."""

    buy_lots: int = 0
    buy_units: int = 0
    sell_lots: int = 0
    sell_units: int = 0
    reserve_units: int = 0

    def add(self, other: "Sums", sign: int = 1) -> None:
        for name, value in vars(other).items():
            setattr(self, name, getattr(self, name) + sign * value)


@dataclass
class Venue:
    """One market: its engine, and everything that is stored about it."""

    instrument: Instrument
    engine: Engine = field(default_factory=Engine)
    orders: dict[int, Order] = field(default_factory=dict)
    positions: dict[int, Position] = field(default_factory=dict)
    funding: dict[int, int] = field(default_factory=dict)
    sums: dict[int, Sums] = field(default_factory=dict)
    totals: dict[tuple[int, int], int] = field(default_factory=lambda: defaultdict(int))
    held: dict[tuple[int, int], int] = field(default_factory=lambda: defaultdict(int))
    log: list[tuple[Command, CommandEvents]] = field(default_factory=list)
    waiting: list[CommandEvents] = field(default_factory=list)
    amendments: dict[int, AmendmentRow] = field(default_factory=dict)  # what they set aside, by sequence
    settlements: list[Settlement] = field(default_factory=list)
    status: int = 1

    @property
    def terms(self) -> MarketTerms:
        return MarketTerms(MARKET, self.instrument, BASE, QUOTE)

    @property
    def is_spot(self) -> bool:
        return self.instrument.kind is InstrumentKind.SPOT

    def enter(self, command: Command) -> None:
        """Accept a command into the log, and let the engine have it."""
        members: Sequence[SingleCommand] = command.commands if isinstance(command, Batch) else (command,)
        for member in members:
            if isinstance(member, SubmitOrder):
                self._accept(member)
        events = CommandEvents(command.sequence, max(0, members[0].time_ms), self.engine.apply(command))
        self.log.append((command, events))
        self.waiting.append(events)

    def _accept(self, command: SubmitOrder) -> None:
        held = 0
        if self.is_spot:
            held = self._hold(command).held_units
            asset = QUOTE if command.side is Side.BUY else BASE
            self.held[command.account_id, asset] += held
        order = Order(
            command,
            OrderStatus.PENDING,
            command.quantity_lots,
            command.price_ticks,
            command.trigger_price_ticks,
            command.quantity_lots,
            held,
            self.instrument.maker_fee_ppm,
            self.instrument.taker_fee_ppm,
            updated_at_ms=command.time_ms,
        )
        self.orders[command.order_id] = order
        if not self.is_spot:
            self.positions.setdefault(command.account_id, Position())
            self.sums.setdefault(command.account_id, Sums()).add(self.counted(order))

    def _hold(self, command: SubmitOrder) -> holds.SpotHold:
        if command.side is Side.SELL:
            return holds.hold_for_sell(self.instrument, command.quantity_lots or command.budget)
        if command.budget:
            value = command.budget * self.instrument.units_per_tick_lot
            # As a client would say it: an amount that pays for the budget, and three units that nothing costs.
            rate = 0 if self.instrument.fee_asset is FeeAsset.RECEIVED else self.instrument.taker_fee_ppm
            hold = holds.hold_for_amount(self.instrument, value + -(-value * rate // 1_000_000))
            return replace(hold, held_units=hold.held_units + 3)
        return holds.hold_for_buy(self.instrument, command.price_ticks, command.quantity_lots)

    def counted(self, order: Order) -> Sums:
        """What a live order counts for in its account's row."""
        command = order.command
        if command.reduce_only or not order.is_live or order.open_lots == 0:
            return Sums()
        terms = self.instrument
        units = terms.notional_units(order.price_ticks, order.open_lots)
        reserve = fee_reserve_units(units, terms.maker_fee_ppm, terms.taker_fee_ppm, command.post_only)
        if command.side is Side.BUY:
            return Sums(buy_lots=order.open_lots, buy_units=units, reserve_units=reserve)
        return Sums(sell_lots=order.open_lots, sell_units=units, reserve_units=reserve)

    def settle(self, count: int | None = None) -> Settlement:
        """Settle the commands that wait, or the first `count` of them, and store what comes out."""
        batch = self.waiting[:count]
        del self.waiting[:count]
        ids = orders_named(event for command in batch for event in command.events)
        orders = {order_id: self.orders[order_id].row() for order_id in ids if order_id in self.orders}
        accounts = {order.account_id for order in orders.values()}
        needed = positions_needed(event for command in batch for event in command.events)
        accounts |= self.positions.keys() if needed.all else needed.accounts
        positions = {
            account: PositionRow(account, self.positions[account], funding_units=self.funding.get(account, 0))
            for account in accounts & self.positions.keys()
        }
        settlement = settle(self.terms, batch, orders, positions, self.amendments)
        self.store(settlement)
        return settlement

    def store(self, settlement: Settlement) -> None:
        self.settlements.append(settlement)
        for account, asset, more, more_held in settlement.balances:
            self.totals[account, asset] += more
            self.held[account, asset] += more_held
        for account, lots, cost, realised, *changes in settlement.positions:
            assert self.positions[account] == Position(*changes[5:8])
            self.positions[account] = Position(lots, cost, realised)
            self.sums[account].add(Sums(*changes[:5]))
            self.funding[account] = changes[9]
        for row in settlement.orders:
            order = self.orders[row[0]]
            order.status = OrderStatus(row[1])
            order.reason, order.quantity_lots, order.price_ticks, order.trigger_price_ticks = row[2:6]
            order.open_lots, order.filled_lots = row[6:8]
            order.filled_units += row[8]
            assert order.held_units == row[10]
            order.held_units = row[9]
            order.updated_at_ms = max(order.updated_at_ms, row[11])
        if settlement.status is not None:
            self.status = settlement.status

    # -- What must hold ------------------------------------------------------------------------------
    def audit(self) -> None:
        """Everything that can be said about the rows while no command waits for settlement."""
        self.audit_money()
        self.audit_orders()
        if self.is_spot:
            self.audit_holds()
        else:
            self.audit_positions()
            self.audit_sums()

    def audit_money(self) -> None:
        sums: dict[int, int] = defaultdict(int)
        posted: dict[tuple[int, int], int] = defaultdict(int)
        fees: dict[int, int] = defaultdict(int)
        for settlement in self.settlements:
            for _, _, account, asset, _, units in settlement.postings:
                sums[asset] += units
                posted[account, asset] += units
            for fill in settlement.fills:
                fees[fill[10]] += fill[8]
        assert not any(sums.values())
        assert {key: units for key, units in self.totals.items() if units} == {
            key: units for key, units in posted.items() if units
        }
        assert {asset: posted[2, asset] for asset in (BASE, QUOTE)} == {asset: fees[asset] for asset in (BASE, QUOTE)}

    def audit_orders(self) -> None:
        """The rows say of every order what the engine says."""
        for order_id, order in self.orders.items():
            view = self.engine.order(order_id)
            assert order.is_live == (view is not None), order
            assert order.status is not OrderStatus.PENDING
            if view is not None:
                assert (order.open_lots, order.price_ticks) == (view.open_lots, view.price_ticks)
                if view.waiting and view.type is not OrderType.TRAILING_STOP:
                    assert order.trigger_price_ticks == view.trigger_price_ticks
            else:
                assert order.open_lots == 0
                assert order.held_units == 0
            assert order.open_lots + order.filled_lots <= order.quantity_lots or order.command.budget
        assert sum(order.is_live for order in self.orders.values()) == self.engine.open_orders

    def audit_holds(self) -> None:
        """Each order holds what it needs, and each account what its orders hold: to the last unit."""
        held: dict[tuple[int, int], int] = defaultdict(int)
        for order in self.orders.values():
            command = order.command
            held[command.account_id, QUOTE if command.side is Side.BUY else BASE] += order.held_units
            if order.is_live:
                now = replace(command, quantity_lots=order.open_lots, price_ticks=order.price_ticks)
                assert order.held_units == self._hold(now).held_units
        assert {key: units for key, units in self.held.items() if units} == {
            key: units for key, units in held.items() if units
        }

    def audit_positions(self) -> None:
        assert sum(position.quantity_lots for position in self.positions.values()) == 0
        costs = sum(position.cost_units for position in self.positions.values())
        assert self.totals[CLEARING, QUOTE] + costs == 0
        realised = sum(position.realised_units for position in self.positions.values())
        assert self.totals[CLEARING, QUOTE] == -realised

    def audit_sums(self) -> None:
        """The sums over open orders, changed by differences, are those of the orders."""
        for account, sums in self.sums.items():
            fresh = Sums()
            for order in self.orders.values():
                if order.command.account_id == account:
                    fresh.add(self.counted(order))
            assert sums == fresh


def account_of(number: int) -> int:
    """The account of the n-th user."""
    return FIRST_USER + number
