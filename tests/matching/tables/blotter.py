"""Writes events in the words of the tables, after a check of every field that the words leave out."""

from dataclasses import dataclass, field

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
from crossbook.domain.orders import MarketState, PriceSource, SelfTradePrevention, Side

from .words import MODES, name_of

_KINDS: dict[type[SingleCommand], tuple[CommandKind, str]] = {
    SubmitOrder: (CommandKind.SUBMIT, ""),
    CancelOrder: (CommandKind.CANCEL, "cancel "),
    CancelAll: (CommandKind.CANCEL_ALL, "cancel-all "),
    ReduceOrder: (CommandKind.REDUCE, "reduce "),
    AmendOrder: (CommandKind.AMEND, "amend "),
    SetMarketState: (CommandKind.SET_STATE, "state "),
    UpdatePrices: (CommandKind.UPDATE_PRICES, "prices "),
    AdvanceTime: (CommandKind.ADVANCE_TIME, "clock "),
    SetPosition: (CommandKind.SET_POSITION, "position "),
    ConfigureMarket: (CommandKind.CONFIGURE, "configure "),
    ApplyFunding: (CommandKind.APPLY_FUNDING, "funding "),
    ForceTrade: (CommandKind.FORCE_TRADE, "force "),
    SettlePositions: (CommandKind.SETTLE_POSITIONS, "settle "),
}
_NAMES = dict(_KINDS.values())
_MODE_NAMES = {mode: name for name, mode in MODES.items()}

_OfOrder = OrderRested | OrderReduced | OrderReplenished | OrderAmended | OrderCancelled | OrderExpired | OrderTriggered


@dataclass
class _Known:
    """What was entered of an order, and its price now."""

    account_id: int
    side: Side
    price_ticks: int


def _equal(what: str, got: object, expected: object) -> None:
    if got != expected:
        raise AssertionError(f"{what} is {got!r}, expected {expected!r}")


@dataclass
class Blotter:
    """Follows the orders of one case. `lines` takes a command with its events and gives their words."""

    _orders: dict[int, _Known] = field(default_factory=dict)
    _trades: int = 0
    _pending: list[SingleCommand] = field(default_factory=list)

    def lines(self, command: Command, events: list[Event]) -> list[str]:
        """The events in words. Raises AssertionError when a field that the words leave out is wrong."""
        self._pending = list(command.commands) if isinstance(command, Batch) else [command]
        written: list[str] = []
        for index, event in enumerate(events):
            line = self._line(event)
            _equal(f"sequence of '{line}'", event.sequence, command.sequence)
            _equal(f"index of '{line}'", event.index, index)
            written.append(line)
        return written

    def _cause(self, event: Event, kind: type[SingleCommand], order_id: int = 0) -> SingleCommand:
        """The next command of the call that can have caused `event`."""
        for place, command in enumerate(self._pending):
            if isinstance(command, kind) and order_id == getattr(command, "order_id", 0):
                del self._pending[: place + 1]
                return command
        raise AssertionError(f"no command of the call asked for {event}")

    def _known(self, event: _OfOrder) -> _Known:
        known = self._orders.get(event.order_id)
        if known is None:
            raise AssertionError(f"never accepted: {event}")
        _equal(f"account of {event}", event.account_id, known.account_id)
        _equal(f"side of {event}", event.side, known.side)
        if isinstance(event, OrderAmended):
            known.price_ticks = event.price_ticks
        elif not isinstance(event, OrderTriggered):
            _equal(f"price of {event}", event.price_ticks, known.price_ticks)
        return known

    def _pair(self, event: Trade | TradePrevented) -> str:
        maker, taker = self._orders.get(event.maker_order_id), self._orders.get(event.taker_order_id)
        if maker is None or taker is None:
            raise AssertionError(f"never accepted: {event}")
        _equal(f"maker's account of {event}", event.maker_account_id, maker.account_id)
        _equal(f"taker's account of {event}", event.taker_account_id, taker.account_id)
        _equal(f"taker's side of {event}", event.taker_side, taker.side)
        _equal(f"maker's side of {event}", 3 - event.taker_side, maker.side)
        roles = ("seller", "buyer") if event.auction else ("maker", "taker")
        taker_left = "amount" if event.taker_open_lots == -1 else event.taker_open_lots
        return (
            f"at {event.price_ticks} {roles[0]} {event.maker_order_id} {roles[1]} {event.taker_order_id}"
            f" left {event.maker_open_lots} / {taker_left}"
        )

    def _line(self, event: Event) -> str:
        match event:
            case OrderAccepted():
                return self._accepted(event)
            case CommandRejected():
                return self._rejected(event)
            case Trade():
                self._trades += 1
                _equal(f"trade_id of {event}", event.trade_id, self._trades)
                return f"{'auction-' * event.auction}trade {event.quantity_lots} {self._pair(event)}"
            case TradePrevented():
                return self._prevented(event)
            case OrderTriggered():
                self._known(event)
                source = PriceSource(event.source).name.lower()
                return (
                    f"triggered {event.order_id} on {source} {event.trigger_price_ticks}"
                    f" seen {event.observed_price_ticks}"
                )
            case OrdersCancelled():
                _equal(f"account of {event}", event.account_id, self._cause(event, CancelAll).account_id)  # type: ignore[union-attr]
                return f"all-cancelled {name_of(event.account_id)} {event.count}"
            case AuctionUncrossed():
                return f"uncrossed {event.price_ticks} volume {event.volume_lots} imbalance {event.imbalance_lots}"
            case StateChanged():
                names = [MarketState(state).name.lower().replace("_", "-") for state in (event.previous, event.state)]
                return f"state {names[0]} -> {names[1]}"
            case PricesUpdated():
                return f"prices mark {event.mark_price_ticks} index {event.index_price_ticks}"
            case PositionSet():
                return f"position {name_of(event.account_id)} {event.position_lots}"
            case MarketConfigured():
                return self._configured(event)
            case FundingApplied():
                return f"funding {event.rate_ppb} of {event.index_price_ticks} period {event.period_start_ms}"
            case ForcedTrade():
                self._trades += 1
                _equal(f"trade_id of {event}", event.trade_id, self._trades)
                parties = f"buyer {name_of(event.buyer_account_id)} seller {name_of(event.seller_account_id)}"
                return f"forced {event.quantity_lots} at {event.price_ticks} {parties}"
            case PositionsSettled():
                return f"settled {event.positions} at {event.price_ticks}"
            case _:
                return self._of_order(event)

    def _of_order(self, event: _OfOrder) -> str:
        self._known(event)
        order_id = event.order_id
        match event:
            case OrderRested():
                side = "buy" if event.side == Side.BUY else "sell"
                return f"rested {order_id} {side} {event.price_ticks} open {event.open_lots}{_shown(event)}"
            case OrderReduced():
                left = f"left {event.open_lots}{_shown(event)}"
                return f"reduced {order_id} by {event.quantity_lots} {left} {event.reason.name}"
            case OrderReplenished():
                return f"replenished {order_id} open {event.open_lots} shown {event.visible_lots}"
            case OrderAmended():
                trigger = f" trigger {event.trigger_price_ticks}" if event.trigger_price_ticks else ""
                place = "kept" if event.kept_place else "lost"
                return (
                    f"amended {order_id} at {event.price_ticks} open {event.open_lots}{_shown(event)}"
                    f"{trigger} {place} its place"
                )
            case OrderCancelled():
                return f"cancelled {order_id} open {event.open_lots} {event.reason.name}"
            case OrderExpired():
                unspent = f" unspent {event.unspent_budget}" if event.unspent_budget else ""
                return f"expired {order_id} open {event.open_lots} {event.reason.name}{unspent}"
        raise AssertionError(f"an event without words: {event}")

    def _accepted(self, event: OrderAccepted) -> str:
        command = self._cause(event, SubmitOrder, event.order_id)
        assert isinstance(command, SubmitOrder)
        for name in ("account_id", "side", "type", "quantity_lots", "price_ticks"):
            _equal(f"{name} of {event}", getattr(event, name), getattr(command, name))
        self._orders[event.order_id] = _Known(command.account_id, command.side, command.price_ticks)
        return f"accepted {event.order_id}"

    def _rejected(self, event: CommandRejected) -> str:
        kinds = {kind: command for command, (kind, _) in _KINDS.items()}
        command = self._cause(event, kinds[event.command], event.order_id)
        _equal(f"account of {event}", event.account_id, getattr(command, "account_id", 0))
        has_id = isinstance(command, SubmitOrder | CancelOrder | ReduceOrder | AmendOrder)
        return f"rejected {_NAMES[event.command]}{f'{event.order_id} ' * has_id}{event.reason.name}"

    def _prevented(self, event: TradePrevented) -> str:
        word = f"{'auction-' * event.auction}prevented {_MODE_NAMES[event.mode]} "
        if event.mode == SelfTradePrevention.DECREMENT:
            word += f"{event.quantity_lots} "
        else:
            _equal(f"quantity of {event}", event.quantity_lots, 0)
        return word + self._pair(event)

    def _configured(self, event: MarketConfigured) -> str:
        command = self._cause(event, ConfigureMarket)
        for name in (
            "reference_price_ticks",
            "band_basis_points",
            "band_reference",
            "max_open_orders",
            "max_iceberg_parts",
            "max_trailing_orders",
        ):
            _equal(f"{name} of {event}", getattr(event, name), getattr(command, name))
        return "configured"


def _shown(event: OrderRested | OrderReduced | OrderAmended) -> str:
    return "" if event.visible_lots == event.open_lots else f" shown {event.visible_lots}"
