"""The live orders of a flow while it is being made.

A flow cancels and amends orders that are really live, and sizes its sweeps by what really rests, so
its maker has to know the book. This is the shortest model that does: plain limit orders, price-time
priority, self-trade prevention EXPIRE_TAKER. It is independent of the engine it makes flows for.
"""

from collections import deque
from heapq import heappop, heappush
from random import Random

from crossbook.domain.orders import Side


class LiveOrder:
    """One order. `open_lots` 0 says that it left the place in the queue where it may still be found."""

    __slots__ = ("account_id", "executed_lots", "open_lots", "order_id", "place", "price_ticks", "side")

    def __init__(self, order_id: int, account_id: int, side: Side, price_ticks: int, open_lots: int) -> None:
        self.order_id = order_id
        self.account_id = account_id
        self.side = side
        self.price_ticks = price_ticks
        self.open_lots = open_lots
        self.executed_lots = 0
        self.place = 0


class _BookSide:
    """The queues of one side. Orders that left stay in their queue, closed, until it comes to them."""

    def __init__(self, side: Side) -> None:
        self._sign = -1 if side is Side.BUY else 1  # the heap's smallest is the best price
        self._queues: dict[int, deque[LiveOrder]] = {}
        self._heap: list[int] = []

    def join(self, order: LiveOrder) -> None:
        queue = self._queues.get(order.price_ticks)
        if queue is None:
            queue = self._queues[order.price_ticks] = deque()
            heappush(self._heap, self._sign * order.price_ticks)
        queue.append(order)

    def first(self) -> LiveOrder | None:
        """The order that trades next, or None on an empty side."""
        while self._heap:
            price_ticks = self._sign * self._heap[0]
            queue = self._queues[price_ticks]
            while queue:
                if queue[0].open_lots:
                    return queue[0]
                queue.popleft()
            heappop(self._heap)
            del self._queues[price_ticks]
        return None

    def reaches(self, maker: LiveOrder, limit_ticks: int) -> bool:
        """Whether a taker with this limit (0 for none) may trade with `maker`."""
        return limit_ticks == 0 or self._sign * maker.price_ticks <= self._sign * limit_ticks


class LiveOrders:
    """Every live order of a flow, to be picked at random, and the book they form."""

    def __init__(self) -> None:
        self._orders: list[LiveOrder] = []
        self._sides = {side: _BookSide(side) for side in Side}
        self.trades = 0

    def __len__(self) -> int:
        return len(self._orders)

    def pick(self, rng: Random) -> LiveOrder:
        """One of the live orders, each as likely as the others."""
        return self._orders[int(rng.random() * len(self._orders))]

    def best_price(self, side: Side) -> int:
        """The best price of a side in ticks, 0 when it is empty."""
        first = self._sides[side].first()
        return first.price_ticks if first else 0

    def rest(self, order: LiveOrder) -> None:
        """Let `order` join the end of the queue at its price."""
        order.place = len(self._orders)
        self._orders.append(order)
        self._sides[order.side].join(order)

    def remove(self, order: LiveOrder) -> None:
        """Take `order` out; its place among those to pick goes to the last of them."""
        last = self._orders.pop()
        if last is not order:
            self._orders[order.place] = last
            last.place = order.place
        order.open_lots = 0

    def take(self, taker: LiveOrder, limit_ticks: int) -> None:
        """Trade `taker` up to its limit (0 for none). Meeting its own account closes it, as EXPIRE_TAKER does."""
        makers = self._sides[Side.SELL if taker.side is Side.BUY else Side.BUY]
        while taker.open_lots:
            maker = makers.first()
            if maker is None or not makers.reaches(maker, limit_ticks):
                return
            if maker.account_id == taker.account_id:
                taker.open_lots = 0
                return
            self._trade(taker, maker, min(taker.open_lots, maker.open_lots))

    def sweep(self, account_id: int, side: Side, makers: int) -> tuple[int, int]:
        """Trade away the first `makers` orders that `side` meets; fewer before an own order or the end.

        Gives the lots that took and the price of the last of them, in ticks.
        """
        taker = LiveOrder(0, account_id, side, 0, 0)
        queues = self._sides[Side.SELL if side is Side.BUY else Side.BUY]
        last_price_ticks = 0
        for _ in range(makers):
            maker = queues.first()
            if maker is None or maker.account_id == account_id:
                break
            last_price_ticks = maker.price_ticks
            taker.open_lots = maker.open_lots
            self._trade(taker, maker, maker.open_lots)
        return taker.executed_lots, last_price_ticks

    def _trade(self, taker: LiveOrder, maker: LiveOrder, lots: int) -> None:
        self.trades += 1
        for order in (taker, maker):
            order.open_lots -= lots
            order.executed_lots += lots
        if maker.open_lots == 0:
            self.remove(maker)
