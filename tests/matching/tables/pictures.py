"""Pictures of a market: the same lines for what a table says and for what an engine holds."""

from collections.abc import Iterable

from crossbook.domain.orders import PriceSource, Side

from .ladders import Order, Rung
from .language import Expected
from .snapshot_view import StoredMarket, StoredOrder
from .words import name_of


def picture_of(market: StoredMarket) -> list[str]:
    """The book and the waiting orders of `market`, a line each."""
    bids, asks = market.resting(Side.BUY), market.resting(Side.SELL)
    prices = sorted({order.price_ticks for order in (*bids, *asks)}, reverse=True)
    rungs = tuple(
        Rung(
            tuple(_order(order) for order in bids if order.price_ticks == price),
            price,
            tuple(_order(order) for order in asks if order.price_ticks == price),
        )
        for price in prices
    )
    return [*_ladder(rungs), *_waiting(market)]


def _order(order: StoredOrder) -> Order:
    return Order(order.order_id, order.open_lots, order.shown, order.account_id)


def _waiting(market: StoredMarket) -> list[str]:
    lines: list[str] = []
    for source in PriceSource:
        for rising in (True, False):
            queues: dict[int, list[Order]] = {}
            for order in market.waiting(source, rising):
                queues.setdefault(order.trigger_price_ticks, []).append(_order(order))
            lines.extend(_waiting_line(source, rising, trigger, queue) for trigger, queue in queues.items())
    return lines


def _waiting_line(source: PriceSource, rising: bool, trigger: int, orders: Iterable[Order]) -> str:
    return f"{source.name.lower()} {'>=' if rising else '<='} {trigger} | {_queue(orders)}"


def expected_picture(after: Expected) -> list[str]:
    """The same lines for what an `after` block says."""
    waiting = [_waiting_line(line.source, line.rising, line.trigger, line.orders) for line in after.waiting]
    return [*_ladder(after.rungs or ()), *waiting]


def _ladder(rungs: tuple[Rung, ...]) -> list[str]:
    return [f"{_queue(rung.bids):>40} | {rung.price:>5} | {_queue(rung.asks)}" for rung in rungs]


def _queue(orders: Iterable[Order]) -> str:
    return " ".join(
        f"{order.order_id}:{order.open_lots}{'' if order.shown is None else f'/{order.shown}'}"
        f"@{name_of(order.account_id)}"
        for order in orders
    )
