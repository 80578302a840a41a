"""What the reference engine remembers of a market: accounts, orders and the queues they stand in.

Nothing here decides anything; the rules are in `crossbook.matching.reference`.
"""

from bisect import insort
from dataclasses import dataclass, field
from itertools import groupby
from typing import Final, NamedTuple

from crossbook.domain.commands import SubmitOrder
from crossbook.domain.orders import (
    BandReference,
    MarketState,
    OrderType,
    PriceSource,
    SelfTradePrevention,
    Side,
    TimeInForce,
)
from crossbook.matching.views import OrderView

BIDS: Final = 0
ASKS: Final = 1
QUEUE_COUNT: Final = 8
HIGHEST_FIRST: Final = (0, 3, 5, 7)  # bids, and what waits for falling prices


def book_queue(side: Side) -> int:
    """The number of the queue in which orders of `side` rest."""
    return BIDS if side is Side.BUY else ASKS


def waiting_queues(source: PriceSource) -> tuple[int, int]:
    """The numbers of the two queues that wait on `source`: for rising, for falling prices."""
    return 2 * source, 2 * source + 1


def within(side: Side, price_ticks: int, limit_ticks: int) -> bool:
    """Whether an order of `side` with this limit, 0 for none, may trade at `price_ticks`."""
    if limit_ticks == 0:
        return True
    return price_ticks <= limit_ticks if side is Side.BUY else price_ticks >= limit_ticks


class Limits(NamedTuple):
    """What `ConfigureMarket` sets, and what holds before the first of them."""

    reference_price_ticks: int = 0
    band_basis_points: int = 0
    band_reference: BandReference = BandReference.MIDPOINT
    max_open_orders: int = 0
    max_iceberg_parts: int = 100
    max_trailing_orders: int = 1000


@dataclass(eq=False)
class Account:
    """One account: its signed position, and its live orders in order of acceptance."""

    account_id: int
    position_lots: int = 0
    orders: list["Order"] = field(default_factory=list, repr=False)


@dataclass(eq=False)
class Order:
    """One live order. `queue` is None while it takes or has fired; `place` orders the queue at one price."""

    order_id: int
    account: Account = field(repr=False)
    side: Side
    type: OrderType
    time_in_force: TimeInForce
    post_only: bool
    reduce_only: bool
    self_trade_prevention: SelfTradePrevention
    source: PriceSource
    trail_in_basis_points: bool
    price_ticks: int
    open_lots: int
    executed_lots: int = 0  # executed or prevented
    shown_lots: int = 0  # of an iceberg, else 0
    display_lots: int = 0
    trade_group: int = 0
    expire_time_ms: int = 0
    trigger_ticks: int = 0
    trail: int = 0
    mark_ticks: int = 0  # the best price that a trailing stop has seen
    sibling: "Order | None" = field(default=None, repr=False)
    by_amount: bool = False
    budget: int = 0
    observed_ticks: int = 0  # the price that set it off
    queue: int | None = None
    place: int = 0
    live: bool = True

    @classmethod
    def from_command(cls, command: SubmitOrder, account: Account) -> "Order":
        """The order that an accepted `command` enters; a display quantity that hides nothing is dropped."""
        iceberg = command.display_quantity_lots != command.quantity_lots
        display_lots = command.display_quantity_lots if iceberg else 0
        return cls(
            command.order_id,
            account,
            command.side,
            command.type,
            command.time_in_force,
            command.post_only,
            command.reduce_only,
            command.self_trade_prevention,
            command.trigger_source,
            command.trail_in_basis_points,
            command.price_ticks,
            command.quantity_lots,
            shown_lots=display_lots,
            display_lots=display_lots,
            trade_group=command.trade_group,
            expire_time_ms=command.expire_time_ms,
            trigger_ticks=command.trigger_price_ticks,
            trail=command.trail,
            by_amount=command.budget != 0,
            budget=command.budget,
        )

    @property
    def who(self) -> tuple[int, int, Side]:
        """Order id, account id, side: how most events begin."""
        return self.order_id, self.account.account_id, self.side

    @property
    def visible_lots(self) -> int:
        """What the order shows when it stands in the book."""
        return self.shown_lots if self.display_lots else self.open_lots

    @property
    def event_open_lots(self) -> int:
        """What trades say is left of the order: -1 for an order by amount."""
        return -1 if self.by_amount else self.open_lots

    @property
    def resting(self) -> bool:
        """Whether it stands in the book."""
        return self.queue in (BIDS, ASKS)

    @property
    def waiting(self) -> bool:
        """Whether it stands in a queue of triggers."""
        return self.queue is not None and not self.resting

    @property
    def reducible_lots(self) -> int:
        """How much it may trade so that its account's position only shrinks."""
        position_lots = self.account.position_lots
        return max(0, -position_lots if self.side is Side.BUY else position_lots)

    def keeps_place(self, price_ticks: int, open_lots: int) -> bool:
        """Whether a change to this price and open quantity leaves a resting order its place."""
        return price_ticks == self.price_ticks and open_lots <= self.open_lots

    def part(self) -> "Order | None":
        """Undo the pair that the order is in, if any, and give its former sibling."""
        sibling, self.sibling = self.sibling, None
        if sibling is not None:
            sibling.sibling = None
        return sibling

    def rank(self) -> tuple[int, int]:
        """The order inside its queue: best (first to fire) price first, then by place."""
        price_ticks = self.price_ticks if self.resting else self.trigger_ticks
        return (-price_ticks if self.queue in HIGHEST_FIRST else price_ticks), self.place


class Market:
    """Everything that a snapshot keeps, and the questions that need no rule to answer."""

    def __init__(self) -> None:
        self.state = MarketState.ACTIVE
        self.last_sequence = 0
        self.event_count = 0  # under last_sequence
        self.now_ms = 0
        self.prices_ticks = dict.fromkeys(PriceSource, 0)
        self.limits = Limits()
        self.trade_count = 0
        self.place_count = 0
        self.accounts: dict[int, Account] = {}  # in the order in which the market first saw them
        self.orders: dict[int, Order] = {}  # every live order by its id
        self.queues: list[list[Order]] = [[] for _ in range(QUEUE_COUNT)]
        self.trailing: dict[PriceSource, list[Order]] = {source: [] for source in PriceSource}
        self.expiring: list[Order] = []  # by expiry, then acceptance

    @property
    def open_orders(self) -> int:
        """The number of live orders."""
        return len(self.orders)

    def position(self, account_id: int) -> int:
        """The signed position of an account, in lots; 0 for an unknown one."""
        account = self.accounts.get(account_id)
        return account.position_lots if account else 0

    def order(self, order_id: int) -> OrderView | None:
        """A live order, or None."""
        order = self.orders.get(order_id)
        if order is None:
            return None
        return OrderView(
            *order.who,
            order.type,
            order.price_ticks,
            order.open_lots,
            order.visible_lots,
            order.executed_lots,
            order.trigger_ticks,
            order.waiting,
        )

    def depth(self, side: Side, levels: int) -> list[tuple[int, int, int]]:
        """The best `levels` levels of one side of the book: `(price_ticks, visible_lots, orders)`, best first."""
        found = []
        for price_ticks, group in groupby(self.queues[book_queue(side)], lambda order: order.price_ticks):
            visible_lots = [order.visible_lots for order in group]
            found.append((price_ticks, sum(visible_lots), len(visible_lots)))
        return found[: max(0, levels)]

    def best_ticks(self, side: Side) -> int:
        """The best price of one side of the book, 0 when it is empty."""
        queue = self.queues[book_queue(side)]
        return queue[0].price_ticks if queue else 0

    @property
    def crossed(self) -> bool:
        """Whether the best bid reaches the best ask, as it may in an auction."""
        return 0 < self.best_ticks(Side.SELL) <= self.best_ticks(Side.BUY)

    @property
    def is_continuous(self) -> bool:
        """Whether the market is in a state in which its book is never crossed."""
        return self.state in (MarketState.ACTIVE, MarketState.POST_ONLY)

    def crosses(self, side: Side, price_ticks: int) -> bool:
        """Whether an order of `side` at `price_ticks` would reach the best price of the other side."""
        best_ticks = self.best_ticks(Side.SELL if side is Side.BUY else Side.BUY)
        return best_ticks != 0 and within(side, best_ticks, price_ticks)

    def side_lots(self, side: Side) -> int:
        """The open lots of all live orders of one side, waiting ones included."""
        return sum(order.open_lots for order in self.orders.values() if order.side is side)

    def join(self, order: Order, queue: int) -> None:
        """Put `order` at the end of its price in `queue`, out of the queue where it stood."""
        self.leave(order)
        self.place_count += 1
        order.queue, order.place = queue, self.place_count
        insort(self.queues[queue], order, key=Order.rank)

    def leave(self, order: Order) -> None:
        """Take `order` out of the queue in which it stands, if any."""
        if order.queue is not None:
            self.queues[order.queue].remove(order)
            order.queue = None

    def forget(self, order: Order) -> None:
        """Take an ended `order` out of everything."""
        self.leave(order)
        order.live = False
        del self.orders[order.order_id]
        order.account.orders.remove(order)
        for row in (self.expiring, self.trailing[order.source]):
            if order in row:
                row.remove(order)
        order.part()
