"""A watcher that knows the fate of every order of a market from its commands and events alone.

It holds no rule of its own beyond what must be true of any such market (shared/design/reliability.md,
invariants 12 to 19): every lot is accounted for, an ended order is silent, trades keep price and time,
limits and bands, nothing crosses, nobody trades against himself unasked. `Breach` says what was broken.
"""

from collections import deque
from dataclasses import dataclass, field
from typing import Any, Final

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
from crossbook.domain.errors import Reason
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
    LIMIT_TYPES,
    MAX_BASIS_POINTS,
    TRIGGERED_TYPES,
    BandReference,
    MarketState,
    OrderType,
    PriceSource,
    SelfTradePrevention,
    Side,
    TimeInForce,
)
from crossbook.matching.depth import DepthBook

STAYING: Final = (TimeInForce.GTC, TimeInForce.GTD, TimeInForce.DAY)
CONTINUOUS: Final = (MarketState.ACTIVE, MarketState.POST_ONLY)
ALL_LEVELS: Final = 1 << 30
TAKING, RESTING, WAITING = "taking", "resting", "waiting"

Band = tuple[int, int]
"""What a band is measured from, in half ticks, and its width in basis points; 0 for no band."""


class Breach(AssertionError):
    """A market did what no market may do."""


def require(sound: bool, what: str) -> None:
    """Raise `Breach` unless `sound`."""
    if not sound:
        raise Breach(what)


@dataclass
class Watched:
    """One live order: what was asked for, and where each of its lots went."""

    terms: SubmitOrder
    kind: OrderType
    standing: str
    price_ticks: int
    trigger_ticks: int
    display_lots: int
    open_lots: int
    shown_lots: int
    filled_lots: int = 0
    prevented_lots: int = 0
    reduced_lots: int = 0
    amended_lots: int = 0  # by how much amendments changed what was asked for
    spent: int = 0
    sibling_id: int = 0
    band: Band = (0, 0)

    @property
    def side(self) -> Side:
        """Its side."""
        return self.terms.side

    @property
    def by_amount(self) -> bool:
        """Whether it buys or sells for a budget."""
        return self.terms.budget != 0

    def check_lots(self) -> None:
        """Invariant 12: what was asked for is filled, prevented, reduced or open, to the lot."""
        if self.by_amount:
            require(self.spent <= self.terms.budget, f"order {self.terms.order_id} spent more than its budget")
            return
        asked_lots = self.terms.quantity_lots + self.amended_lots
        known_lots = self.filled_lots + self.prevented_lots + self.reduced_lots + self.open_lots
        require(asked_lots == known_lots, f"order {self.terms.order_id}: lots asked for and lots known differ")
        require(self.open_lots >= 0, f"order {self.terms.order_id}: less than nothing is open")


@dataclass
class Queues:
    """The orders of each side by price, in the order in which they joined."""

    levels: dict[Side, dict[int, list[int]]] = field(default_factory=lambda: {side: {} for side in Side})

    def join(self, side: Side, price_ticks: int, order_id: int) -> None:
        """Put an order at the end of its price."""
        self.levels[side].setdefault(price_ticks, []).append(order_id)

    def leave(self, side: Side, price_ticks: int, order_id: int) -> None:
        """Take an order out."""
        self.levels[side][price_ticks].remove(order_id)
        if not self.levels[side][price_ticks]:
            del self.levels[side][price_ticks]

    def prices_ticks(self, side: Side) -> list[int]:
        """The prices of a side, best first."""
        return sorted(self.levels[side], reverse=side is Side.BUY)

    def best_ticks(self, side: Side) -> int:
        """The best price of a side, 0 when it is empty."""
        return next(iter(self.prices_ticks(side)), 0)

    def first(self, side: Side) -> int:
        """The order that is to trade next, 0 when there is none."""
        best_ticks = self.best_ticks(side)
        return self.levels[side][best_ticks][0] if best_ticks else 0

    @property
    def crossed(self) -> bool:
        """Whether the best bid reaches the best ask."""
        return 0 < self.best_ticks(Side.SELL) <= self.best_ticks(Side.BUY)


class Watcher:
    """Watches one market from its first command on: `see` each command with its events, then `compare`."""

    def __init__(self) -> None:
        self.live: dict[int, Watched] = {}
        self.queues = Queues()
        self.public = DepthBook()
        self.positions_lots: dict[int, int] = {}
        self.state = MarketState.ACTIVE
        self.may_be_crossed = False
        self.trades = 0
        self.prices_ticks = dict.fromkeys(PriceSource, 0)
        self.reference_ticks = 0
        self.band_width, self.band_reference = 0, BandReference.MIDPOINT
        self._asked: dict[type, deque[Any]] = {}
        self._due: deque[int] = deque()  # siblings whose cancellation must come next
        self._doomed: deque[int] = deque()  # orders that self-trade prevention must end next
        self._starting: Watched | None = None
        self._auction_lots = 0
        self._auction_ticks: list[int] = []

    def see(self, command: Command, events: list[Event]) -> None:
        """Take one command and all of its events; raises `Breach` at the first that breaks an invariant."""
        members = command.commands if isinstance(command, Batch) else (command,)
        self._asked = {
            kind: deque(each for each in members if type(each) is kind) for kind in (SubmitOrder, AmendOrder)
        }
        for index, event in enumerate(events):
            numbered = (event.sequence, event.index) == (command.sequence, index)
            require(numbered, f"event {index} is numbered {event.sequence}, {event.index}")
            self._take(event)
            self._measure()
            self.public.apply(event)
        if not isinstance(command, Batch):
            _check_outcome(command, events)
        require(not any(self._asked.values()), "a command without an outcome")
        self._check_end()

    def compare(self, engine: Any) -> None:
        """What events say and what the engine says of itself are the same."""
        require(engine.state == self.state and engine.open_orders == len(self.live), "state or number of orders")
        for account_id, position_lots in self.positions_lots.items():
            require(engine.position(account_id) == position_lots, f"position of account {account_id}")
        for order_id, order in self.live.items():
            self._compare_order(engine, order_id, order)
        for side in Side:
            depth = engine.depth(side, ALL_LEVELS)
            require(depth == self.public.levels(side, ALL_LEVELS), "the public book is not the engine's")
            require(depth == self._levels(side), "the book of orders is not the engine's")

    def _compare_order(self, engine: Any, order_id: int, order: Watched) -> None:
        view = engine.order(order_id)
        require(view is not None, f"order {order_id} is live without the engine's knowledge")
        seen = (view.account_id, view.side, view.type, view.price_ticks, view.open_lots, view.visible_lots)
        known = (order.terms.account_id, order.side, order.kind, order.price_ticks, order.open_lots, order.shown_lots)
        require(seen == known, f"order {order_id}: {seen} in the engine, {known} by its events")
        done_lots = order.filled_lots + order.prevented_lots
        same = view.executed_or_prevented_lots == done_lots and view.waiting == (order.standing == WAITING)
        require(same, f"order {order_id}: executed lots or standing")

    def _levels(self, side: Side) -> list[tuple[int, int, int]]:
        rows = [(price_ticks, self.queues.levels[side][price_ticks]) for price_ticks in self.queues.prices_ticks(side)]
        return [(ticks, sum(self.live[order_id].shown_lots for order_id in ids), len(ids)) for ticks, ids in rows]

    # One event.

    def _measure(self) -> None:
        """Note the band of an order that starts to take: when triggered, after its sibling is gone."""
        if self._starting is not None and not self._due:
            self._starting.band = self._band()
            self._starting = None

    def _take(self, event: Event) -> None:
        if self._due:
            sibling_id = self._due.popleft()
            cancelled_id = event.order_id if isinstance(event, OrderCancelled) else 0
            as_sibling = getattr(event, "reason", None) is Reason.OCO_SIBLING
            require(as_sibling and cancelled_id == sibling_id, f"order {sibling_id} outlives its sibling")
        match event:
            case OrderAccepted():
                self._accept(event)
            case CommandRejected():
                self._reject(event)
            case OrderRested():
                self._rest(event)
            case Trade():
                self._trade(event)
            case TradePrevented():
                self._prevent(event)
            case OrderReduced():
                self._reduce(event)
            case OrderReplenished():
                self._replenish(event)
            case OrderAmended():
                self._amend(event)
            case OrderCancelled() | OrderExpired():
                self._end_early(event)
            case OrderTriggered():
                self._trigger(event)
            case _:
                self._take_of_market(event)

    def _take_of_market(self, event: Event) -> None:
        match event:
            case AuctionUncrossed():
                one_price = set(self._auction_ticks) <= {event.price_ticks}
                require(one_price and event.volume_lots == self._auction_lots, "an auction's trades and its result")
                self._auction_lots, self._auction_ticks = 0, []
            case StateChanged():
                require(event.previous == self.state, "a change from a state in which the market is not")
                self.state = event.state
                if event.state in (*CONTINUOUS, MarketState.AUCTION):
                    self.may_be_crossed = event.state is MarketState.AUCTION
            case PricesUpdated():
                self.prices_ticks[PriceSource.MARK] = event.mark_price_ticks
                self.prices_ticks[PriceSource.INDEX] = event.index_price_ticks
            case PositionSet():
                self.positions_lots[event.account_id] = event.position_lots
            case MarketConfigured():
                self.reference_ticks = event.reference_price_ticks
                self.band_width, self.band_reference = event.band_basis_points, event.band_reference
            case ForcedTrade():
                self._force_trade(event)
            case PositionsSettled():
                self._settle(event)

    def _force_trade(self, event: ForcedTrade) -> None:
        """Invariant 23: it takes both positions towards zero, and neither past it."""
        self.trades += 1
        require(event.trade_id == self.trades, f"forced trade {event.trade_id} is not the next")
        short_lots = -self.positions_lots.get(event.buyer_account_id, 0)
        long_lots = self.positions_lots.get(event.seller_account_id, 0)
        reduces = 0 < event.quantity_lots <= min(short_lots, long_lots)
        require(reduces, f"forced trade {event.trade_id} does not reduce both positions")
        self.positions_lots[event.buyer_account_id] += event.quantity_lots
        self.positions_lots[event.seller_account_id] -= event.quantity_lots

    def _settle(self, event: PositionsSettled) -> None:
        require(self.state is MarketState.SETTLEMENT_ONLY, "positions settled in a market that goes on")
        require(not self.live, "positions settled under live orders")
        held = [account_id for account_id, lots in self.positions_lots.items() if lots]
        require(event.positions == len(held), "another number of positions was settled than there were")
        self.positions_lots = dict.fromkeys(self.positions_lots, 0)

    def _order(self, order_id: int, account_id: int) -> Watched:
        """Invariant 13: an event may only be about an order that is live."""
        order = self.live.get(order_id)
        if order is None:
            raise Breach(f"an event about order {order_id}, which is not live")
        require(order.terms.account_id == account_id, f"order {order_id} is not account {account_id}'s")
        return order

    def _answered(self, kind: type, order_id: int) -> Any:
        """The next unanswered command of a kind, which must be about the order."""
        require(bool(self._asked.get(kind)), f"an answer about order {order_id} that nobody asked for")
        asked = self._asked[kind].popleft()
        require(asked.order_id == order_id, f"order {order_id} was answered before order {asked.order_id}")
        return asked

    def _accept(self, event: OrderAccepted) -> None:
        terms: SubmitOrder = self._answered(SubmitOrder, event.order_id)
        require(event.order_id not in self.live, f"order {event.order_id} was accepted twice")
        said = (event.account_id, event.side, event.type, event.quantity_lots, event.price_ticks)
        asked = (terms.account_id, terms.side, terms.type, terms.quantity_lots, terms.price_ticks)
        require(said == asked, f"order {event.order_id} was accepted as another")
        hides = terms.display_quantity_lots not in (0, terms.quantity_lots)
        display_lots = terms.display_quantity_lots if hides else 0
        order = Watched(
            terms,
            terms.type,
            WAITING if terms.type in TRIGGERED_TYPES else TAKING,
            terms.price_ticks,
            terms.trigger_price_ticks,
            display_lots,
            terms.quantity_lots,
            display_lots or terms.quantity_lots,
        )
        self._starting = order
        if terms.oco_order_id:
            order.sibling_id = terms.oco_order_id
            self.live[terms.oco_order_id].sibling_id = event.order_id
        self.live[event.order_id] = order

    def _reject(self, event: CommandRejected) -> None:
        if event.command is CommandKind.AMEND:
            self._answered(AmendOrder, event.order_id)
        if event.command is not CommandKind.SUBMIT:
            return
        terms: SubmitOrder = self._answered(SubmitOrder, event.order_id)
        first = self.live.get(terms.oco_order_id)
        if event.reason is Reason.MALFORMED_COMMAND or first is None or first.sibling_id:
            return
        if first.terms.account_id == terms.account_id:
            self._due.append(terms.oco_order_id)

    def _rest(self, event: OrderRested) -> None:
        order = self._order(event.order_id, event.account_id)
        require(order.standing == TAKING, f"order {event.order_id} rests where it is not free to")
        stays = order.kind is OrderType.LIMIT and order.terms.time_in_force in STAYING
        require(stays, f"order {event.order_id} may not rest")
        require(event.price_ticks == order.price_ticks, f"order {event.order_id} rests at another price")
        _check_inside(order)
        order.standing = RESTING
        self.queues.join(order.side, order.price_ticks, event.order_id)
        order.shown_lots = min(order.display_lots or order.open_lots, order.open_lots)
        self._check_said(event, order)

    def _reduce(self, event: OrderReduced) -> None:
        order = self._order(event.order_id, event.account_id)
        require(event.quantity_lots > 0 and event.open_lots > 0, f"order {event.order_id} was reduced to nothing")
        order.reduced_lots += event.quantity_lots
        order.open_lots -= event.quantity_lots
        order.shown_lots = min(order.shown_lots, order.open_lots)
        self._check_said(event, order)

    def _replenish(self, event: OrderReplenished) -> None:
        order = self._order(event.order_id, event.account_id)
        used_up = order.standing == RESTING and order.display_lots != 0 and order.shown_lots == 0
        require(used_up, f"order {event.order_id} has no part to show yet")
        order.shown_lots = min(order.display_lots, order.open_lots)
        self.queues.leave(order.side, order.price_ticks, event.order_id)
        self.queues.join(order.side, order.price_ticks, event.order_id)
        self._check_said(event, order)

    def _amend(self, event: OrderAmended) -> None:
        order = self._order(event.order_id, event.account_id)
        asked: AmendOrder = self._answered(AmendOrder, event.order_id)
        done_lots = order.filled_lots + order.prevented_lots
        open_lots = asked.quantity_lots - done_lots if asked.quantity_lots else order.open_lots
        price_ticks = asked.price_ticks or order.price_ticks
        same_place = price_ticks == order.price_ticks and open_lots <= order.open_lots
        fresh_lots = order.display_lots
        if order.standing == WAITING:
            same_place = asked.trigger_price_ticks in (0, order.trigger_ticks)
            order.trigger_ticks = event.trigger_price_ticks  # a trailing stop's is the market's to know
        elif same_place:
            fresh_lots = order.shown_lots if order.display_lots else 0
        else:
            # The band is measured while the order still stands: it is a part of its own midpoint.
            order.band = self._band() if price_ticks != order.price_ticks else (0, 0)
            self.queues.leave(order.side, order.price_ticks, event.order_id)
            order.standing = TAKING
        require(event.kept_place == same_place, f"order {event.order_id}: its place after an amendment")
        order.amended_lots += open_lots - order.open_lots
        order.open_lots, order.price_ticks = open_lots, price_ticks
        order.shown_lots = min(fresh_lots or open_lots, open_lots)
        require(event.price_ticks == price_ticks, f"order {event.order_id} was amended to another price")
        self._check_said(event, order)

    def _trigger(self, event: OrderTriggered) -> None:
        order = self._order(event.order_id, event.account_id)
        require(self.state is MarketState.ACTIVE, "a trigger in a market that is not active")
        require(order.standing == WAITING, f"order {event.order_id} was triggered but did not wait")
        require(event.source == order.terms.trigger_source, f"order {event.order_id} was set off by another source")
        rising = (order.kind in (OrderType.TAKE_PROFIT, OrderType.TAKE_PROFIT_LIMIT)) == (order.side is Side.SELL)
        beyond_ticks = event.observed_price_ticks - event.trigger_price_ticks
        require(beyond_ticks >= 0 if rising else beyond_ticks <= 0, f"order {event.order_id} was triggered too early")
        if order.kind is not OrderType.TRAILING_STOP:
            same = event.trigger_price_ticks == order.trigger_ticks
            require(same, f"order {event.order_id} was triggered at another price")
        order.kind = OrderType.LIMIT if order.kind in LIMIT_TYPES else OrderType.MARKET
        order.standing = TAKING
        self._starting = order
        self._part(order)

    # Meetings of two orders.

    def _trade(self, event: Trade) -> None:
        maker, taker = self._meet(event)
        self.trades += 1
        require(event.trade_id == self.trades, f"trade {event.trade_id} is not the next")
        require(event.quantity_lots > 0, "a trade of nothing")
        require(not self._doomed, "a trade of orders that must not trade")
        self._check_prices(event, maker, taker)
        mode = taker.terms.self_trade_prevention
        alone = not _of_one_hand(maker, taker) or mode is SelfTradePrevention.NONE
        require(alone, f"orders {event.maker_order_id} and {event.taker_order_id} are of one hand")
        for order in (maker, taker):
            self._check_reducing(order, event.quantity_lots)
        for order in (maker, taker):
            self._fill(order, event)
        self._check_left(event, maker, taker)
        self.prices_ticks[PriceSource.LAST] = event.price_ticks
        if event.auction:
            self._auction_lots += event.quantity_lots
            self._auction_ticks.append(event.price_ticks)
        for order in (maker, taker):
            self._part(order)
        for order in (maker, taker):
            if order.open_lots == 0 and not order.by_amount:
                self._forget(order)

    def _prevent(self, event: TradePrevented) -> None:
        maker, taker = self._meet(event)
        require(not self._doomed, "a meeting of orders of which one must end")
        mode = taker.terms.self_trade_prevention
        asked = _of_one_hand(maker, taker) and mode is not SelfTradePrevention.NONE and mode is event.mode
        require(asked, f"orders {event.maker_order_id} and {event.taker_order_id} were kept apart unasked")
        decrement = mode is SelfTradePrevention.DECREMENT
        require((event.quantity_lots > 0) == decrement, "lots taken off in the wrong mode")
        for order in (maker, taker):
            order.prevented_lots += event.quantity_lots
            self._lose(order, event)
        self._check_left(event, maker, taker)
        expires_maker = mode in (SelfTradePrevention.EXPIRE_MAKER, SelfTradePrevention.EXPIRE_BOTH)
        expires_taker = mode in (SelfTradePrevention.EXPIRE_TAKER, SelfTradePrevention.EXPIRE_BOTH)
        if expires_maker or (decrement and maker.open_lots == 0):
            self._doomed.append(event.maker_order_id)
        if expires_taker or (decrement and taker.open_lots == 0 and not taker.by_amount):
            self._doomed.append(event.taker_order_id)

    def _meet(self, event: Trade | TradePrevented) -> tuple[Watched, Watched]:
        """Maker and taker of a meeting: invariants 16 (who is next) and 18 (post-only)."""
        maker = self._order(event.maker_order_id, event.maker_account_id)
        taker = self._order(event.taker_order_id, event.taker_account_id)
        require(taker.side == event.taker_side and maker.side != taker.side, "a meeting of one side with itself")
        first_id = self.queues.first(maker.side)
        require(first_id == event.maker_order_id, f"order {event.maker_order_id} met before order {first_id}")
        if event.auction:
            require(self.queues.first(taker.side) == event.taker_order_id, "a buyer met before his turn")
        else:
            require(self.state is MarketState.ACTIVE, "a meeting in a market that is not active")
            require(taker.standing == TAKING, f"order {event.taker_order_id} takes but is not free to")
            require(not taker.terms.post_only, f"order {event.taker_order_id} is post-only and takes")
        return maker, taker

    def _check_prices(self, event: Trade, maker: Watched, taker: Watched) -> None:
        """Invariant 19: the price lies within what both asked for and, for market kinds, within the band."""
        price_ticks = event.price_ticks
        require(event.auction or price_ticks == maker.price_ticks, "a trade not at the resting order's price")
        for order in (maker, taker):
            limit_ticks = order.price_ticks
            within = price_ticks <= limit_ticks if order.side is Side.BUY else price_ticks >= limit_ticks
            require(limit_ticks == 0 or within, f"order {order.terms.order_id} trades beyond its limit")
        if taker.kind is OrderType.LIMIT:
            _check_inside(taker)
        else:
            far = (2 * price_ticks > taker.band[0]) == (taker.side is Side.BUY)
            outside = far and _outside(price_ticks, taker.band)
            require(not outside, f"order {event.taker_order_id} trades beyond the band")

    def _check_reducing(self, order: Watched, quantity_lots: int) -> None:
        """Invariant 18: a reduce-only order takes its account's position towards zero, and not past it."""
        if order.terms.reduce_only:
            position_lots = self.positions_lots.get(order.terms.account_id, 0)
            may_lots = -position_lots if order.side is Side.BUY else position_lots
            require(quantity_lots <= may_lots, f"order {order.terms.order_id} is reduce-only and does not reduce")

    def _fill(self, order: Watched, event: Trade) -> None:
        order.filled_lots += event.quantity_lots
        self._lose(order, event)
        account_id = order.terms.account_id
        signed_lots = event.quantity_lots if order.side is Side.BUY else -event.quantity_lots
        self.positions_lots[account_id] = self.positions_lots.get(account_id, 0) + signed_lots

    @staticmethod
    def _lose(order: Watched, event: Trade | TradePrevented) -> None:
        """Lots leave what is open of an order, or their price its budget; what shows goes first."""
        if order.by_amount:
            order.spent += event.quantity_lots * event.price_ticks
            return
        if order.standing == RESTING and not event.auction:
            require(event.quantity_lots <= order.shown_lots, f"order {order.terms.order_id} lost what it does not show")
        order.open_lots -= event.quantity_lots
        order.shown_lots = max(0, order.shown_lots - event.quantity_lots)
        if not order.display_lots or order.standing != RESTING:
            order.shown_lots = order.open_lots

    @staticmethod
    def _check_left(event: Trade | TradePrevented, maker: Watched, taker: Watched) -> None:
        taker_lots = -1 if taker.by_amount else taker.open_lots
        said = (event.maker_open_lots, event.taker_open_lots)
        require(said == (maker.open_lots, taker_lots), "what a meeting leaves open")
        for order in (maker, taker):
            order.check_lots()

    # Ends.

    def _end_early(self, event: OrderCancelled | OrderExpired) -> None:
        """Invariants 12 and 13: the terminal event, with what was still open."""
        order = self._order(event.order_id, event.account_id)
        if event.reason is Reason.AMENDED_BELOW_FILLED:
            self._answered(AmendOrder, event.order_id)
        if event.reason is Reason.SELF_TRADE_PREVENTION:
            require(bool(self._doomed) and self._doomed.popleft() == event.order_id, "an end by self-trade prevention")
        open_lots = 0 if order.by_amount else order.open_lots
        said = (event.side, event.price_ticks, event.open_lots)
        require(said == (order.side, order.price_ticks, open_lots), f"order {event.order_id} ended as another")
        if isinstance(event, OrderExpired):
            unspent = order.terms.budget - order.spent if order.by_amount else 0
            require(event.unspent_budget == unspent, f"order {event.order_id}: what is left of its budget")
        if order.terms.time_in_force is TimeInForce.FOK:
            untouched = order.filled_lots == 0 and order.prevented_lots == 0
            require(untouched, f"order {event.order_id} is fill-or-kill and was filled in part")
        order.check_lots()
        self._part(order)
        self._forget(order)

    def _forget(self, order: Watched) -> None:
        if order.standing == RESTING:
            self.queues.leave(order.side, order.price_ticks, order.terms.order_id)
        del self.live[order.terms.order_id]

    def _part(self, order: Watched) -> None:
        """Undo a pair: the sibling's end must come next."""
        if order.sibling_id:
            self._due.append(order.sibling_id)
            self.live[order.sibling_id].sibling_id = 0
            order.sibling_id = 0

    # Questions.

    def _band(self) -> Band:
        if self.band_reference is BandReference.MIDPOINT:
            best_ticks = [self.queues.best_ticks(side) for side in Side]
            half_ticks = sum(best_ticks) if all(best_ticks) else 2 * self.reference_ticks
        else:
            half_ticks = 2 * self.prices_ticks[PriceSource[self.band_reference.name]]
        return half_ticks, self.band_width

    @staticmethod
    def _check_said(event: OrderRested | OrderReduced | OrderReplenished | OrderAmended, order: Watched) -> None:
        """What an event says of an order is what the events before it left."""
        said = (event.side, event.open_lots, event.visible_lots)
        known = (order.side, order.open_lots, order.shown_lots)
        require(said == known, f"order {event.order_id}: {said} said, {known} known")
        order.check_lots()

    def _check_end(self) -> None:
        """What must hold between two commands."""
        require(not self._due, "a sibling that nobody cancelled")
        require(not self._doomed, "an order that outlives self-trade prevention")
        for order_id, order in self.live.items():
            require(order.standing != TAKING, f"order {order_id} neither rests nor waits nor ended")
            require(0 < order.shown_lots <= order.open_lots, f"order {order_id} shows {order.shown_lots}")
        if self.queues.crossed:
            require(self.may_be_crossed, "the book is crossed")
        self._check_reducers()

    def _check_reducers(self) -> None:
        """Reduce-only orders that rest never add up to more than the position, and all of them could reduce it."""
        resting_lots: dict[int, int] = {}
        for order in self.live.values():
            if order.terms.reduce_only:
                self._check_reducing(order, 1)
                account_id = order.terms.account_id
                added_lots = order.open_lots if order.standing == RESTING else 0
                resting_lots[account_id] = resting_lots.get(account_id, 0) + added_lots
        for account_id, lots in resting_lots.items():
            most_lots = abs(self.positions_lots.get(account_id, 0))
            require(lots <= most_lots, f"reduce-only orders of account {account_id} exceed its position")


def _outside(price_ticks: int, band: Band) -> bool:
    half_ticks, width = band
    return width != 0 and abs(2 * price_ticks - half_ticks) * MAX_BASIS_POINTS > half_ticks * width and half_ticks != 0


def _check_inside(order: Watched) -> None:
    require(not _outside(order.price_ticks, order.band), f"order {order.terms.order_id} entered outside the band")


def _of_one_hand(maker: Watched, taker: Watched) -> bool:
    """Whether two orders are of one account or one trade group."""
    same_group = taker.terms.trade_group != 0 and taker.terms.trade_group == maker.terms.trade_group
    return same_group or taker.terms.account_id == maker.terms.account_id


OUTCOMES: Final[dict[type, tuple[CommandKind, tuple[type, ...]]]] = {
    SubmitOrder: (CommandKind.SUBMIT, (OrderAccepted,)),
    CancelOrder: (CommandKind.CANCEL, (OrderCancelled,)),
    CancelAll: (CommandKind.CANCEL_ALL, (OrdersCancelled,)),
    ReduceOrder: (CommandKind.REDUCE, (OrderReduced, OrderCancelled)),
    AmendOrder: (CommandKind.AMEND, (OrderAmended, OrderCancelled)),
    SetMarketState: (CommandKind.SET_STATE, (StateChanged,)),
    UpdatePrices: (CommandKind.UPDATE_PRICES, (PricesUpdated,)),
    AdvanceTime: (CommandKind.ADVANCE_TIME, ()),
    SetPosition: (CommandKind.SET_POSITION, (PositionSet,)),
    ConfigureMarket: (CommandKind.CONFIGURE, (MarketConfigured,)),
    ApplyFunding: (CommandKind.APPLY_FUNDING, (FundingApplied,)),
    ForceTrade: (CommandKind.FORCE_TRADE, (ForcedTrade,)),
    SettlePositions: (CommandKind.SETTLE_POSITIONS, (PositionsSettled,)),
}
AT_ONCE: Final = (SubmitOrder, CancelOrder, ReduceOrder, AmendOrder)


def _check_outcome(command: SingleCommand, events: list[Event]) -> None:
    """Invariant 15: exactly one answer, a refusal or what the command is for."""
    kind, wanted = OUTCOMES[type(command)]
    refusals = [event for event in events if isinstance(event, CommandRejected)]
    answers = [event for event in events if isinstance(event, wanted)]
    if refusals:
        require(len(refusals) == 1 and refusals[0] is events[0], "more than one refusal, or a late one")
        require(refusals[0].command is kind, "the refusal of another command")
        others = [event for event in events[1:] if getattr(event, "reason", None) is not Reason.OCO_SIBLING]
        require(not others, "a refused command that did something")
    elif isinstance(command, AT_ONCE):
        require(bool(answers) and events[0] is answers[0], f"{kind.name} is not answered at once")
    elif wanted:
        require(len(answers) == 1, f"{kind.name} is answered {len(answers)} times")
