"""Admission: what a batch of requests does to accounts, decided one by one against rows that are locked.

Pure: it is given what the database holds, keeps the running state of the batch, and says what to write.
A refused request leaves no trace, so one bad order never fails its neighbours. docs: steps 4 and 5 of
the way of an order.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from crossbook.application.errors import (
    DuplicateClientOrderId,
    InsufficientFunds,
    InvalidOrder,
    OrderNotFound,
    OrderNotOpen,
)
from crossbook.application.markets import Market, Markets
from crossbook.application.marks import Marks
from crossbook.application.requests import CancelAllRequest, CancelRequest, NewOrder, PlacedOrder, SystemRequest
from crossbook.domain.commands import CancelAll, CancelOrder, SingleCommand, SubmitOrder
from crossbook.domain.fees import fee_reserve_units
from crossbook.domain.holds import SpotHold, hold_for_amount, hold_for_buy, hold_for_sell
from crossbook.domain.instruments import Instrument, InstrumentKind
from crossbook.domain.lifecycle import OrderStatus
from crossbook.domain.margin import (
    MarginRow,
    check_new_order,
    equity_units,
    initial_margin_units,
    open_loss_units,
    require_margin,
)
from crossbook.domain.orders import Side


@dataclass
class Balance:
    """One account's amount of one asset, in units: all of it, and the parts that open orders and withdrawals hold."""

    total_units: int = 0
    held_units: int = 0
    transfer_hold_units: int = 0

    @property
    def free_units(self) -> int:
        """What nothing holds."""
        return self.total_units - self.held_units - self.transfer_hold_units


@dataclass
class PositionRow:
    """One account in one perpetual market, as stored."""

    margin: MarginRow
    cost_units: int = 0


@dataclass(frozen=True)
class KnownOrder:
    """What admission must know of an order that is stored already."""

    order_id: int
    account_id: int
    market_id: int
    status: OrderStatus
    created_at_ms: int
    fingerprint: bytes | None = None


@dataclass(frozen=True)
class AdmittedOrder:
    """A new order to store: its id, what was asked, and the units that it holds (spot only)."""

    order_id: int
    order: NewOrder
    held_units: int
    fingerprint: bytes | None


CommandMaker = Callable[[int, int], SingleCommand]
"""Makes a command from the sequence and the time that the log gives it."""


@dataclass(frozen=True)
class Needs:
    """What the decisions of a batch must know: accounts whose rows are locked, and orders that are looked up."""

    accounts: list[int]
    client_ids: list[tuple[int, str]]
    order_ids: list[int]
    clearing_accounts: list[int]


@dataclass
class Books:
    """The rows of the accounts of a batch, read under lock, and what the batch makes of them."""

    balances: dict[tuple[int, int], Balance] = field(default_factory=dict)  # by account and asset id
    positions: dict[tuple[int, int], PositionRow] = field(default_factory=dict)  # by account and market number
    by_client_id: dict[tuple[int, str], KnownOrder] = field(default_factory=dict)
    by_id: dict[int, KnownOrder] = field(default_factory=dict)
    live: dict[int, list[KnownOrder]] = field(default_factory=dict)  # by account, for cancel-all

    # What to write.
    orders: list[tuple[int, AdmittedOrder]] = field(default_factory=list)  # with the index of their command
    commands: list[tuple[int, CommandMaker]] = field(default_factory=list)  # market number, in order
    touched_balances: set[tuple[int, int]] = field(default_factory=set)
    touched_positions: set[tuple[int, int]] = field(default_factory=set)


class Admission:
    """Decides the requests of one batch, in order."""

    def __init__(self, books: Books, markets: Markets, marks: Marks, now_ms: int) -> None:
        self._books = books
        self._markets = markets
        self._marks = marks
        self._now_ms = now_ms

    def submit(self, order: NewOrder, order_id: int) -> PlacedOrder:
        """Admit a new order, or give the one that its client id names already.

        Raises DuplicateClientOrderId, InsufficientMargin, InsufficientFunds, InvalidOrder.
        """
        fingerprint = None
        if order.client_order_id is not None:
            fingerprint = order.fingerprint()
            known = self._books.by_client_id.get((order.account_id, order.client_order_id))
            if known is not None:
                return _repeat(known, order.client_order_id, fingerprint)
        market = self._markets.numbered(order.market_id)
        if market.instrument.kind is InstrumentKind.PERPETUAL:
            held_units = 0
            self._reserve_margin(order, market)
        else:
            held_units = self._hold_funds(order, market)
        index = self._log(market.number, _submission(order, order_id))
        self._books.orders.append((index, AdmittedOrder(order_id, order, held_units, fingerprint)))
        known = KnownOrder(order_id, order.account_id, market.number, OrderStatus.PENDING, self._now_ms, fingerprint)
        self._books.by_id[order_id] = known
        if order.client_order_id is not None:
            self._books.by_client_id[order.account_id, order.client_order_id] = known
        return PlacedOrder(order_id, market.number, OrderStatus.PENDING, self._now_ms)

    def cancel(self, request: CancelRequest) -> None:
        """Log the cancel of an order. Raises OrderNotFound (also for another's order) and OrderNotOpen."""
        known = self._books.by_id.get(request.order_id)
        if known is None or known.account_id != request.account_id:
            raise OrderNotFound(str(request.order_id))
        if not known.status.is_live:
            raise OrderNotOpen(str(request.order_id))
        self._log(
            known.market_id, lambda sequence, now: CancelOrder(sequence, now, request.order_id, request.account_id)
        )

    def cancel_all(self, request: CancelAllRequest) -> list[int]:
        """Log a cancel-all in every market where the account has live orders; gives the ids of those orders."""
        live = [
            known for known in self._books.live.get(request.account_id, []) if request.market_id in (0, known.market_id)
        ]
        for market_id in sorted({known.market_id for known in live}):
            self._log(market_id, lambda sequence, now: CancelAll(sequence, now, request.account_id, request.side))
        return [known.order_id for known in live]

    def system(self, request: SystemRequest) -> None:
        """Log commands of the venue itself."""
        for maker in request.makers:
            self._log(request.market_id, maker)

    def _log(self, market_id: int, maker: CommandMaker) -> int:
        self._books.commands.append((market_id, maker))
        return len(self._books.commands) - 1

    def _reserve_margin(self, order: NewOrder, market: Market) -> None:
        """Count the order in its account's row of the market, if the account's equity carries it (3.2)."""
        key = (order.account_id, market.number)
        before = self._books.positions.get(key) or PositionRow(MarginRow(order.leverage))
        if order.price_ticks == 0 and not order.reduce_only:
            raise InvalidOrder("price", "is needed to know what the order can cost")
        row = before.margin if _has_risk(before.margin) else replace(before.margin, leverage=order.leverage)
        if order.reduce_only:
            return
        instrument = market.instrument
        notional = instrument.notional_units(order.price_ticks, order.quantity_lots)
        reserve = fee_reserve_units(notional, instrument.maker_fee_ppm, instrument.taker_fee_ppm, order.post_only)
        after = row.with_order(order.side, order.quantity_lots, notional, reserve)
        # A lower leverage asked for with a later order holds for the whole row: it only raises the margin.
        after = replace(after, leverage=min(after.leverage, order.leverage))
        mark = self._mark(market.number, order.price_ticks)
        decision = check_new_order(
            instrument,
            row,
            after,
            mark,
            self._equity(order.account_id, market),
            self._margin_elsewhere(order.account_id, market.number),
            open_loss_units(instrument, order.side, order.price_ticks, order.quantity_lots, mark),
        )
        require_margin(decision)
        self._books.positions[key] = PositionRow(after, before.cost_units)
        self._books.touched_positions.add(key)

    def _mark(self, market_id: int, otherwise_ticks: int) -> int:
        """The mark price; before there is one, the price that the order itself names."""
        return self._marks.mark_ticks(market_id) or otherwise_ticks

    def _equity(self, account_id: int, market: Market) -> int:
        """Wallet, less what orders and withdrawals hold, plus unrealised PnL of all positions in this quote asset."""
        balance = self._books.balances.get((account_id, market.quote_asset_id), Balance())
        unrealised = 0
        for other, row in self._rows(account_id, market.quote_asset_id):
            mark = self._marks.mark_ticks(other.number)
            if row.margin.position_lots and mark is not None:
                unrealised += other.instrument.notional_units(mark, row.margin.position_lots) - row.cost_units
        return equity_units(balance.free_units, unrealised)

    def _margin_elsewhere(self, account_id: int, but_market_id: int) -> int:
        """Initial margin and fee reserves of the account's other markets."""
        quote = self._markets.numbered(but_market_id).quote_asset_id
        total = 0
        for market, row in self._rows(account_id, quote):
            if market.number != but_market_id:
                mark = self._mark(market.number, 1)
                total += initial_margin_units(market.instrument, row.margin, mark) + row.margin.fee_reserve_units
        return total

    def _rows(self, account_id: int, quote_asset_id: int) -> Iterable[tuple[Market, PositionRow]]:
        for market in self._markets:
            row = self._books.positions.get((account_id, market.number))
            if row is not None and market.quote_asset_id == quote_asset_id:
                yield market, row

    def _hold_funds(self, order: NewOrder, market: Market) -> int:
        """Hold what the order can cost (3.13); gives the units held. Raises InsufficientFunds."""
        hold = _spot_hold(order, market.instrument)
        asset_id = market.quote_asset_id if hold.asset == market.instrument.quote.name else market.base_asset_id
        key = (order.account_id, asset_id)
        balance = self._books.balances.get(key, Balance())
        if hold.held_units > balance.free_units:
            raise InsufficientFunds(hold.asset, hold.held_units, balance.free_units)
        self._books.balances[key] = replace(balance, held_units=balance.held_units + hold.held_units)
        self._books.touched_balances.add(key)
        return hold.held_units


def _has_risk(row: MarginRow) -> bool:
    """Whether anything in the row depends on its leverage."""
    return row.position_lots != 0 or row.buy_lots != 0 or row.sell_lots != 0


def _repeat(known: KnownOrder, client_order_id: str, fingerprint: bytes) -> PlacedOrder:
    if known.fingerprint != fingerprint:
        raise DuplicateClientOrderId(client_order_id)
    return PlacedOrder(known.order_id, known.market_id, known.status, known.created_at_ms, repeated=True)


def _spot_hold(order: NewOrder, instrument: Instrument) -> SpotHold:
    if order.side is Side.SELL:
        if order.budget:
            raise InvalidOrder("quantity", "is needed to sell")
        return hold_for_sell(instrument, order.quantity_lots)
    if order.budget:
        amount = order.budget * instrument.units_per_tick_lot
        held = amount + fee_reserve_units(amount, 0, instrument.taker_fee_ppm, post_only=False)
        return hold_for_amount(instrument, held)
    if order.price_ticks == 0:
        raise InvalidOrder("price", "is needed to know what the order can cost")
    return hold_for_buy(instrument, order.price_ticks, order.quantity_lots)


def _submission(order: NewOrder, order_id: int) -> CommandMaker:
    def make(sequence: int, now_ms: int) -> SingleCommand:
        return SubmitOrder(
            sequence,
            now_ms,
            order_id,
            order.account_id,
            order.side,
            order.type,
            order.quantity_lots,
            order.price_ticks,
            order.time_in_force,
            order.post_only,
            order.reduce_only,
            order.self_trade_prevention,
            order.trade_group,
            order.expire_time_ms,
            order.budget,
            order.display_quantity_lots,
            order.trigger_price_ticks,
            order.trigger_source,
            order.trail,
            order.trail_in_basis_points,
            order.oco_order_id,
        )

    return make
