"""The naive engine: every rule of docs/matching.md in its plainest form, to read and to compare the fast one with.

It searches and sorts where the fast engine remembers. Its results are the same, event by event and
byte by byte. What happens is here, in the order of the document; beside it stand what a market
remembers (`reference_market`), why a command is refused (`reference_checks`), bands and auction prices
(`reference_prices`), the ranges of fields (`reference_fields`) and the snapshot (`reference_snapshot`).
"""

import copy
from collections.abc import Callable
from typing import Final

from crossbook.domain.commands import (
    OPERATOR,
    AdvanceTime,
    AmendOrder,
    ApplyFunding,
    Batch,
    CancelAll,
    CancelOrder,
    Command,
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
from crossbook.domain.errors import Reason, SequenceError
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
    DAY_MS,
    LIMIT_TYPES,
    MAX_BASIS_POINTS,
    MAX_PRICE_TICKS,
    TRIGGERED_TYPES,
    MarketState,
    OrderType,
    PriceSource,
    SelfTradePrevention,
    Side,
    TimeInForce,
)
from crossbook.matching.reference_checks import (
    STAYING,
    refusal_of_amend,
    refusal_of_cancel,
    refusal_of_change,
    refusal_of_entry,
    refusal_of_force_trade,
    refusal_of_reduce,
    refusal_of_settlement,
)
from crossbook.matching.reference_fields import KINDS, check_words, in_range, with_enums
from crossbook.matching.reference_market import (
    ASKS,
    BIDS,
    Account,
    Limits,
    Market,
    Order,
    book_queue,
    waiting_queues,
    within,
)
from crossbook.matching.reference_prices import auction_price, band_edge_ticks, outside_band
from crossbook.matching.reference_snapshot import content_of, hash_of, pack, read_into

STOPS: Final = (OrderType.STOP, OrderType.STOP_LIMIT, OrderType.TRAILING_STOP)


class ReferenceEngine(Market):
    """One market: commands in, events out. Section numbers are those of docs/matching.md."""

    def __init__(self) -> None:
        super().__init__()
        self._events: list[Event] = []
        self._fired: list[Order] = []
        self._touched: list[Account] = []  # whose reduce-only orders the end of the step looks at
        self._traded_ticks: list[int] = []  # prices of the step's trades

    # Section 1: the interface.

    def apply(self, command: Command) -> list[Event]:
        """Apply one command or batch and give its events.

        Raises `MalformedCommand` for a field that no record can hold and `SequenceError` for a command
        that is not the next one; then nothing was applied.
        """
        members = command.commands if isinstance(command, Batch) else (command,)
        for member in members:
            check_words(member)
        for member in members:
            if member.sequence != self.last_sequence + 1:
                raise SequenceError(f"sequence {member.sequence} after {self.last_sequence}")
        if not members:
            return []
        self.last_sequence += 1
        self._events = []
        for member in members:
            self._apply_one(member)
        self.event_count = len(self._events)
        return self._events

    def snapshot(self) -> bytes:
        """The whole state as bytes (section 8)."""
        return pack(content_of(self))

    @classmethod
    def restore(cls, data: bytes) -> "ReferenceEngine":
        """An engine in the state of a snapshot; raises `SnapshotError` when no engine wrote it."""
        engine = cls()
        read_into(engine, data)
        return engine

    def state_hash(self) -> str:
        """BLAKE2b-256 of the snapshot's content, as hex."""
        return hash_of(content_of(self))

    def indicative(self) -> tuple[int, int, int]:
        """`(price_ticks, volume_lots, imbalance_lots)` that an auction would give now; zeros if nothing crosses."""
        return auction_price(self, 0)

    def _apply_one(self, command: SingleCommand) -> None:
        if not in_range(command):
            self._reject(command, Reason.MALFORMED_COMMAND)
            return
        command = with_enums(command)
        self.now_ms = max(self.now_ms, command.time_ms)
        match command:
            case SubmitOrder():
                self._submit(command)
            case CancelOrder():
                self._cancel_one(command)
            case CancelAll():
                self._cancel_all(command)
            case ReduceOrder():
                self._reduce(command)
            case AmendOrder():
                self._amend(command)
            case SetMarketState():
                self._set_state(command)
            case UpdatePrices():
                self._update_prices(command)
            case AdvanceTime():
                self._expire_due()
            case SetPosition():
                self._set_position(command)
            case ConfigureMarket():
                self._configure(command)
            case ApplyFunding():
                self._apply_funding(command)
            case ForceTrade():
                self._force_trade(command)
            case SettlePositions():
                self._settle_positions(command)
        while self._fired:
            self._trigger(self._fired.pop(0))

    def _emit(self, event: Callable[..., Event], *values: object) -> None:
        self._events.append(event(self.last_sequence, len(self._events), *values))

    def _reject(self, command: SingleCommand, reason: Reason) -> None:
        order_id, account_id = getattr(command, "order_id", 0), getattr(command, "account_id", 0)
        self._emit(CommandRejected, KINDS[type(command)], order_id, account_id, reason)

    # Section 2: entry.

    def _submit(self, command: SubmitOrder) -> None:
        reason = refusal_of_entry(self, command)
        if reason:
            self._reject(command, reason)
            self._cancel_intended_sibling(command)
            return
        order = self._accept(command)
        if order.type in TRIGGERED_TYPES:
            self._wait(order)
        else:
            self._enter(order)

    def _cancel_intended_sibling(self, command: SubmitOrder) -> None:
        first = self.orders.get(command.oco_order_id)
        if first and first.account.account_id == command.account_id and first.sibling is None:
            self._cancel(first, Reason.OCO_SIBLING)

    def _accept(self, command: SubmitOrder) -> Order:
        account = self.accounts.setdefault(command.account_id, Account(command.account_id))
        order = Order.from_command(command, account)
        if order.time_in_force is TimeInForce.DAY:
            order.expire_time_ms = (self.now_ms // DAY_MS + 1) * DAY_MS
        if order.expire_time_ms:
            self.expiring.append(order)
            self.expiring.sort(key=lambda each: each.expire_time_ms)
        if command.oco_order_id:
            order.sibling = self.orders[command.oco_order_id]
            order.sibling.sibling = order
        self.orders[order.order_id] = order
        account.orders.append(order)
        self._emit(OrderAccepted, *order.who, order.type, order.open_lots, order.price_ticks)
        return order

    # Section 2: what an order takes, and how its remainder ends.

    def _enter(self, order: Order) -> None:
        """One step: `order`, in no queue, takes what it can and then rests or ends."""
        if self.state is not MarketState.ACTIVE:
            self._rest(order)
        elif order.time_in_force is TimeInForce.FOK and not self._would_fill(order):
            self._expire(order, Reason.FOK_UNFILLED)
        else:
            self._take(order)
        self._finish_step()

    def _take(self, taker: Order) -> None:
        stopped_by = self._match(taker)
        if not taker.live:
            return
        if taker.type is OrderType.MARKET:
            self._expire(taker, stopped_by)
        elif taker.time_in_force in STAYING:
            self._rest(taker)
        else:
            self._expire(taker, Reason.IOC_UNFILLED)

    def _rest(self, order: Order) -> None:
        order.shown_lots = min(order.display_lots, order.open_lots)
        self.join(order, book_queue(order.side))
        self._emit(OrderRested, *order.who, order.price_ticks, order.open_lots, order.visible_lots)
        if order.reduce_only:
            self._touch(order.account)

    def _would_fill(self, taker: Order) -> bool:
        """The dry run of FOK: let a copy of the whole market match it and look at what traded."""
        events, self._events = self._events, []  # what was said so far is no part of the market
        trial = copy.deepcopy(self)
        self._events = events
        trial._match(trial.orders[taker.order_id])
        traded_lots = sum(event.quantity_lots for event in trial._events if isinstance(event, Trade))
        return traded_lots == taker.open_lots

    def _cancel(self, order: Order, reason: Reason) -> None:
        self._emit(OrderCancelled, *order.who, order.price_ticks, order.open_lots, reason)
        self._end(order)

    def _expire(self, order: Order, reason: Reason) -> None:
        self._emit(OrderExpired, *order.who, order.price_ticks, order.open_lots, reason, order.budget)
        self._end(order)

    def _end(self, order: Order) -> None:
        """The last event of `order` is out: its sibling is cancelled, and it is forgotten."""
        self._cancel_sibling(order)
        if order in self._fired:
            self._fired.remove(order)
        self.forget(order)

    def _cancel_sibling(self, order: Order) -> None:
        """`order` traded or was triggered: its pair is undone, and its sibling cancelled (section 4)."""
        sibling = order.part()
        if sibling is not None:
            self._cancel(sibling, Reason.OCO_SIBLING)

    # Section 3: matching.

    def _match(self, taker: Order) -> Reason:
        """Match `taker` as far as it goes; gives why a MARKET order that is still live stopped."""
        makers = self.queues[ASKS if taker.side is Side.BUY else BIDS]
        limits_ticks = self._limits_of(taker)
        while taker.live:
            if taker.by_amount and taker.budget == 0:
                return Reason.BUDGET_SPENT
            if not makers:
                return Reason.MARKET_LIQUIDITY_EXHAUSTED
            maker = makers[0]
            if not all(within(taker.side, maker.price_ticks, limit_ticks) for limit_ticks in limits_ticks):
                return Reason.PROTECTION_PRICE
            if taker.by_amount and taker.budget < maker.price_ticks:
                return Reason.BUDGET_SPENT
            self._meet(maker, taker)
        return Reason.NONE

    def _limits_of(self, taker: Order) -> tuple[int, ...]:
        """The worst prices at which `taker` may trade, fixed when it starts; 0 for none."""
        if taker.type is OrderType.LIMIT:
            return (taker.price_ticks,)
        return taker.price_ticks, band_edge_ticks(self, taker.side)

    def _meet(self, maker: Order, taker: Order) -> None:
        price_ticks = maker.price_ticks
        taker_lots = taker.budget // price_ticks if taker.by_amount else taker.open_lots
        if taker.reduce_only and taker.reducible_lots == 0:
            self._cancel(taker, Reason.REDUCE_ONLY)
        elif self._prevents(maker, taker):
            self._prevent(maker, taker, price_ticks, min(taker_lots, maker.visible_lots))
        elif maker.reduce_only and maker.reducible_lots == 0:
            self._cancel(maker, Reason.REDUCE_ONLY)
        else:
            quantity_lots = min([taker_lots, maker.visible_lots, *self._reduce_limits(maker, taker)])
            self._trade(maker, taker, price_ticks, quantity_lots)

    @staticmethod
    def _reduce_limits(*orders: Order) -> list[int]:
        return [order.reducible_lots for order in orders if order.reduce_only]

    @staticmethod
    def _prevents(maker: Order, taker: Order) -> bool:
        same_group = taker.trade_group != 0 and taker.trade_group == maker.trade_group
        same = taker.account is maker.account or same_group
        return same and taker.self_trade_prevention is not SelfTradePrevention.NONE

    def _prevent(self, maker: Order, taker: Order, price_ticks: int, common_lots: int, auction: bool = False) -> None:
        """Self-trade: no trade; the taker's mode says who loses what. `common_lots` is what a DECREMENT takes."""
        mode = taker.self_trade_prevention
        decrement = mode is SelfTradePrevention.DECREMENT
        lost_lots = common_lots if decrement else 0
        for order in (maker, taker):
            self._lose(order, lost_lots, price_ticks)
        self._emit_meeting(TradePrevented, mode, price_ticks, lost_lots, maker, taker, auction)
        expires_maker = mode in (SelfTradePrevention.EXPIRE_MAKER, SelfTradePrevention.EXPIRE_BOTH)
        expires_taker = mode in (SelfTradePrevention.EXPIRE_TAKER, SelfTradePrevention.EXPIRE_BOTH)
        if expires_maker or (decrement and maker.open_lots == 0):
            self._expire(maker, Reason.SELF_TRADE_PREVENTION)
        elif decrement:
            self._show_next(maker, lost_lots)
        if expires_taker or (decrement and taker.event_open_lots == 0):
            self._expire(taker, Reason.SELF_TRADE_PREVENTION)
        elif decrement:
            self._show_next(taker, lost_lots)

    def _trade(self, maker: Order, taker: Order, price_ticks: int, quantity_lots: int, auction: bool = False) -> None:
        self.trade_count += 1
        for order in (maker, taker):
            self._lose(order, quantity_lots, price_ticks)
            order.account.position_lots += quantity_lots if order.side is Side.BUY else -quantity_lots
            self._touch(order.account)
        self._emit_meeting(Trade, self.trade_count, price_ticks, quantity_lots, maker, taker, auction)
        self.prices_ticks[PriceSource.LAST] = price_ticks
        self._traded_ticks.append(price_ticks)
        for order in (maker, taker):
            self._cancel_sibling(order)
        for order in (maker, taker):
            if order.event_open_lots == 0:
                self.forget(order)
            else:
                self._show_next(order, quantity_lots)

    def _emit_meeting(
        self,
        event: Callable[..., Event],
        number: int,
        price_ticks: int,
        quantity_lots: int,
        maker: Order,
        taker: Order,
        auction: bool,
    ) -> None:
        maker_values = maker.order_id, maker.account.account_id, maker.event_open_lots
        taker_values = taker.order_id, taker.account.account_id, taker.event_open_lots
        self._emit(event, number, price_ticks, quantity_lots, taker.side, *maker_values, *taker_values, auction)

    @staticmethod
    def _lose(order: Order, quantity_lots: int, price_ticks: int) -> None:
        order.executed_lots += quantity_lots
        if order.by_amount:
            order.budget -= quantity_lots * price_ticks
        else:
            order.open_lots -= quantity_lots

    def _show_next(self, order: Order, lost_lots: int) -> None:
        """A resting iceberg lost lots: its shown part shrinks, or is used up and the next one is shown."""
        if not (order.resting and order.display_lots):
            return
        order.shown_lots -= lost_lots
        if order.shown_lots <= 0:
            order.shown_lots = min(order.display_lots, order.open_lots)
            self.join(order, book_queue(order.side))
            self._emit(OrderReplenished, *order.who, order.price_ticks, order.open_lots, order.shown_lots)

    # Section 3: reduce-only upkeep.

    def _touch(self, account: Account) -> None:
        if account not in self._touched:
            self._touched.append(account)

    def _finish_step(self) -> None:
        """The end of a step: reduce-only upkeep, then the looks at the prices that traded."""
        for account in self._touched:
            self._keep_reducing(account)
        self._touched = []
        traded_ticks, self._traded_ticks = self._traded_ticks, []
        for price_ticks in dict.fromkeys(traded_ticks[:1] + traded_ticks[-1:]):
            self._look(PriceSource.LAST, price_ticks)

    def _keep_reducing(self, account: Account) -> None:
        for order in list(account.orders):
            if order.live and order.reduce_only and order.reducible_lots == 0:
                self._cancel(order, Reason.REDUCE_ONLY)
        resting = [order for order in account.orders if order.reduce_only and order.resting]
        left_lots = abs(account.position_lots)
        for order in sorted(resting, key=lambda each: each.rank()[0]):
            if not order.live:
                continue
            if left_lots == 0:
                self._cancel(order, Reason.REDUCE_ONLY)
            elif order.open_lots > left_lots:
                self._take_off(order, order.open_lots - left_lots, Reason.REDUCE_ONLY)
            left_lots = max(0, left_lots - order.open_lots)

    def _take_off(self, order: Order, quantity_lots: int, reason: Reason) -> None:
        """Reduce what is open of `order`, the hidden part first; it keeps its place."""
        order.open_lots -= quantity_lots
        order.shown_lots = min(order.shown_lots, order.open_lots)
        left = order.open_lots, order.visible_lots
        self._emit(OrderReduced, *order.who, order.price_ticks, quantity_lots, *left, reason)

    # Section 4: changing orders.

    @staticmethod
    def _requested_by(account_id: int) -> Reason:
        return Reason.OPERATOR_REQUEST if account_id == OPERATOR else Reason.USER_REQUEST

    def _cancel_one(self, command: CancelOrder) -> None:
        reason = refusal_of_cancel(self, command)
        if reason:
            self._reject(command, reason)
        else:
            self._cancel(self.orders[command.order_id], self._requested_by(command.account_id))

    def _cancel_all(self, command: CancelAll) -> None:
        before = self.open_orders
        accounts = [each for each in self.accounts.values() if command.account_id in (OPERATOR, each.account_id)]
        self._clear(accounts, command.side, self._requested_by(command.account_id))
        self._emit(OrdersCancelled, command.account_id, before - self.open_orders)

    def _clear(self, accounts: list[Account], side: Side | None, reason: Reason) -> None:
        for account in accounts:
            for order in list(account.orders):
                if order.live and side in (None, order.side):
                    self._cancel(order, reason)

    def _reduce(self, command: ReduceOrder) -> None:
        reason = refusal_of_reduce(self, command)
        if reason:
            self._reject(command, reason)
            return
        order, reason = self.orders[command.order_id], self._requested_by(command.account_id)
        if command.quantity_lots >= order.open_lots:
            self._cancel(order, reason)
        else:
            self._take_off(order, command.quantity_lots, reason)

    def _amend(self, command: AmendOrder) -> None:
        reason = refusal_of_amend(self, command)
        if reason:
            self._reject(command, reason)
            return
        order = self.orders[command.order_id]
        if 0 < command.quantity_lots <= order.executed_lots:
            self._cancel(order, Reason.AMENDED_BELOW_FILLED)
            return
        open_lots = command.quantity_lots - order.executed_lots if command.quantity_lots else order.open_lots
        price_ticks = command.price_ticks or order.price_ticks
        reason = refusal_of_change(self, order, price_ticks, open_lots)
        if reason:
            self._reject(command, reason)
        elif order.waiting:
            self._amend_waiting(order, price_ticks, open_lots, command.trigger_price_ticks)
        else:
            self._amend_resting(order, price_ticks, open_lots)

    def _amend_resting(self, order: Order, price_ticks: int, open_lots: int) -> None:
        kept_place = order.keeps_place(price_ticks, open_lots)
        fresh_lots = order.shown_lots if kept_place else order.display_lots
        if not kept_place:
            self.leave(order)
        order.price_ticks, order.open_lots = price_ticks, open_lots
        order.shown_lots = min(fresh_lots, open_lots)
        self._emit_amended(order, kept_place)
        if not kept_place:
            self._enter(order)

    def _amend_waiting(self, order: Order, price_ticks: int, open_lots: int, trigger_ticks: int) -> None:
        order.price_ticks, order.open_lots = price_ticks, open_lots
        order.shown_lots = min(order.display_lots, open_lots)
        kept_place = trigger_ticks in (0, order.trigger_ticks)
        if not kept_place:
            self._set_trigger(order, trigger_ticks)
        self._emit_amended(order, kept_place)
        if not kept_place:
            self._look(order.source, self.prices_ticks[order.source])

    def _emit_amended(self, order: Order, kept_place: bool) -> None:
        left = order.open_lots, order.visible_lots
        self._emit(OrderAmended, *order.who, order.price_ticks, *left, order.trigger_ticks, kept_place)

    # Section 5: the market.

    def _set_state(self, command: SetMarketState) -> None:
        previous = self.state
        if command.state in (MarketState.ACTIVE, MarketState.POST_ONLY):
            self._uncross(command.reference_price_ticks)
        self.state = command.state
        self._emit(StateChanged, previous, self.state)
        if self.state is MarketState.SETTLEMENT_ONLY:
            self._clear(list(self.accounts.values()), None, Reason.MARKET_SETTLEMENT)
        for source, price_ticks in self.prices_ticks.items():
            self._look(source, price_ticks)

    def _uncross(self, reference_ticks: int) -> None:
        """The auction, one step: as many rounds as it takes for the book not to be crossed."""
        if self.state is MarketState.AUCTION and not self.crossed:
            self._emit(AuctionUncrossed, 0, 0, 0)
        while self.crossed:
            price_ticks, _, imbalance_lots = auction_price(self, reference_ticks)
            self._emit(AuctionUncrossed, price_ticks, self._pair_at(price_ticks), imbalance_lots)
        self._finish_step()

    def _pair_at(self, price_ticks: int) -> int:
        """Pair the orders that an auction at `price_ticks` reaches; gives the lots that traded."""
        volume_lots = 0
        while self.best_ticks(Side.BUY) >= price_ticks and 0 < self.best_ticks(Side.SELL) <= price_ticks:
            buyer, seller = self.queues[BIDS][0], self.queues[ASKS][0]
            open_lots = min(buyer.open_lots, seller.open_lots)
            if buyer.reduce_only and buyer.reducible_lots == 0:
                self._cancel(buyer, Reason.REDUCE_ONLY)
            elif seller.reduce_only and seller.reducible_lots == 0:
                self._cancel(seller, Reason.REDUCE_ONLY)
            elif self._prevents(seller, buyer):
                self._prevent(seller, buyer, price_ticks, open_lots, auction=True)
            else:
                quantity_lots = min([open_lots, *self._reduce_limits(buyer, seller)])
                self._trade(seller, buyer, price_ticks, quantity_lots, auction=True)
                volume_lots += quantity_lots
        return volume_lots

    def _update_prices(self, command: UpdatePrices) -> None:
        given = {PriceSource.MARK: command.mark_price_ticks, PriceSource.INDEX: command.index_price_ticks}
        for source, price_ticks in given.items():
            self.prices_ticks[source] = price_ticks or self.prices_ticks[source]
        self._emit(PricesUpdated, self.prices_ticks[PriceSource.MARK], self.prices_ticks[PriceSource.INDEX])
        for source, price_ticks in given.items():
            self._look(source, price_ticks)

    def _expire_due(self) -> None:
        while self.expiring and self.expiring[0].expire_time_ms <= self.now_ms:
            self._expire(self.expiring[0], Reason.TIME_EXPIRED)

    def _set_position(self, command: SetPosition) -> None:
        account = self.accounts.setdefault(command.account_id, Account(command.account_id))
        account.position_lots = command.position_lots
        self._touch(account)
        self._emit(PositionSet, account.account_id, account.position_lots)
        self._finish_step()

    def _configure(self, command: ConfigureMarket) -> None:
        self.limits = Limits(
            command.reference_price_ticks,
            command.band_basis_points,
            command.band_reference,
            command.max_open_orders,
            command.max_iceberg_parts,
            command.max_trailing_orders,
        )
        self._emit(MarketConfigured, *self.limits)

    def _apply_funding(self, command: ApplyFunding) -> None:
        self._emit(FundingApplied, command.period_start_ms, command.rate_ppb, command.index_price_ticks)

    def _force_trade(self, command: ForceTrade) -> None:
        buyer, seller = self.accounts.get(command.buyer_account_id), self.accounts.get(command.seller_account_id)
        short_lots = -buyer.position_lots if buyer else 0
        long_lots = seller.position_lots if seller else 0
        reason = refusal_of_force_trade(command, min(short_lots, long_lots))
        if reason or buyer is None or seller is None:
            self._reject(command, reason)
            return
        quantity_lots = min(command.quantity_lots, short_lots, long_lots)
        self.trade_count += 1
        buyer.position_lots += quantity_lots
        seller.position_lots -= quantity_lots
        parties = buyer.account_id, seller.account_id
        self._emit(ForcedTrade, self.trade_count, *parties, command.price_ticks, quantity_lots)
        self._touch(seller)
        self._touch(buyer)
        self._finish_step()

    def _settle_positions(self, command: SettlePositions) -> None:
        reason = refusal_of_settlement(self, command)
        if reason:
            self._reject(command, reason)
            return
        held = [account for account in self.accounts.values() if account.position_lots != 0]
        for account in held:
            account.position_lots = 0
        self._emit(PositionsSettled, command.price_ticks, len(held))

    # Section 6: triggers.

    def _wait(self, order: Order) -> None:
        """A waiting kind was accepted: it joins its queue, and its source is looked at."""
        if order.type is OrderType.TRAILING_STOP:
            self.trailing[order.source].append(order)
            order.mark_ticks = self.prices_ticks[order.source]
            self._set_trigger(order, self._trailing_trigger_ticks(order))
        else:
            self._set_trigger(order, order.trigger_ticks)
        self._look(order.source, self.prices_ticks[order.source])

    def _set_trigger(self, order: Order, trigger_ticks: int) -> None:
        """Put `order` at the end of the queue at a trigger price."""
        self.leave(order)
        order.trigger_ticks = trigger_ticks
        rising, falling = waiting_queues(order.source)
        fires_rising = (order.type in STOPS) == (order.side is Side.BUY)
        self.join(order, rising if fires_rising else falling)

    @staticmethod
    def _trailing_trigger_ticks(order: Order) -> int:
        """The trigger of a trailing stop: its mark less (sell) or plus (buy) its trail, rounded away from the mark."""
        away = 1 if order.side is Side.BUY else -1
        if order.trail_in_basis_points:
            distance_ticks = -(-order.mark_ticks * order.trail // MAX_BASIS_POINTS)  # rounded up: away
        else:
            distance_ticks = order.trail
        return min(max(1, order.mark_ticks + away * distance_ticks), MAX_PRICE_TICKS)

    def _look(self, source: PriceSource, price_ticks: int) -> None:
        """One look at a source: trailing stops follow, and all orders that fire join the queue of the fired."""
        if self.state is not MarketState.ACTIVE or price_ticks == 0:
            return
        for order in self.trailing[source]:
            better = min if order.side is Side.BUY else max
            order.mark_ticks = better(order.mark_ticks, price_ticks)
            trigger_ticks = self._trailing_trigger_ticks(order)
            if trigger_ticks != order.trigger_ticks:
                self._set_trigger(order, trigger_ticks)
        rising, falling = (self.queues[number] for number in waiting_queues(source))
        for order in [each for each in rising if price_ticks >= each.trigger_ticks] + [
            each for each in falling if price_ticks <= each.trigger_ticks
        ]:
            self._fire(order, price_ticks)

    def _fire(self, order: Order, price_ticks: int) -> None:
        self.leave(order)
        if order in self.trailing[order.source]:
            self.trailing[order.source].remove(order)
        order.observed_ticks = price_ticks
        self._fired.append(order)

    def _trigger(self, order: Order) -> None:
        """A fired order's turn: one step in which it enters the market."""
        self._emit(OrderTriggered, *order.who, order.source, order.trigger_ticks, order.observed_ticks)
        order.type = OrderType.LIMIT if order.type in LIMIT_TYPES else OrderType.MARKET
        order.trigger_ticks = order.trail = order.mark_ticks = 0
        self._cancel_sibling(order)
        limit = order.type is OrderType.LIMIT
        if order.reduce_only and order.reducible_lots == 0:
            self._cancel(order, Reason.REDUCE_ONLY)
        elif limit and outside_band(self, order.price_ticks):
            self._expire(order, Reason.PRICE_OUTSIDE_BAND)
        elif order.post_only and self.crosses(order.side, order.price_ticks):
            self._expire(order, Reason.POST_ONLY_WOULD_TAKE)
        else:
            self._enter(order)
