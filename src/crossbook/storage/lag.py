"""How far settlement is behind the log, and which order ids were given out: what a start and a health page ask."""

from typing import NamedTuple

from crossbook.storage.database import Transaction


class MarketLag(NamedTuple):
    """A market's last accepted and last settled sequence, and when its oldest unsettled command was accepted."""

    market_id: int
    accepted: int
    settled: int
    waiting_since_ms: int | None


async def lags(transaction: Transaction) -> list[MarketLag]:
    """The lag of every market, lowest number first."""
    rows = await transaction.rows(
        """
        SELECT s.market_id, s.last_accepted_sequence, t.last_settled_sequence, c.accepted_at_ms
        FROM market_sequences s JOIN market_settlements t USING (market_id)
        LEFT JOIN commands c ON c.market_id = s.market_id AND c.sequence = t.last_settled_sequence + 1
        ORDER BY s.market_id
        """
    )
    return [MarketLag(*row) for row in rows]


async def last_order_id(transaction: Transaction) -> int:
    """The highest order id that was stored; 0 for none."""
    order_id: int = await transaction.value("SELECT coalesce(max(order_id), 0) FROM orders")
    return order_id


async def take_id_node(transaction: Transaction) -> int:
    """The node of a process that makes ids: one that none of the 2,047 starts before it has. Needs no commit."""
    node: int = await transaction.value("SELECT nextval('id_nodes')")
    return node
