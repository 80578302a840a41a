"""Activity: every step in the life of an order, for those whose dialect keeps it (`NewOrder.keeps_activity`).

Requests are written by the transaction that accepts them, reports by the one that settles them. Orders that keep no
activity cost nothing here.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

KEPT_MS: Final = 28 * 24 * 3_600_000
"""How long activity is kept."""
NS_PER_MS: Final = 1_000_000


class ActivityKind(IntEnum):
    """What happened. Numbers are stored and never change meaning."""

    REQUEST_NEW = 1
    REQUEST_CANCEL = 2
    REQUEST_MODIFY = 3
    REPORT_CONFIRM = 4
    REPORT_REJECT = 5
    REPORT_TRADE = 6
    REPORT_CANCELED = 7
    REPORT_MODIFIED = 8


@dataclass(frozen=True)
class Step:
    """One thing that happened to an order, before it is stored. Ticks, lots, parts per million; 0 for none.

    `sequence` is the command that asked for it or caused it. `role`, `fee_ppm` and `trade_id` are a trade's; of a
    step that is no trade they are None.
    """

    order_id: int
    kind: ActivityKind
    sequence: int
    price_ticks: int = 0
    quantity_lots: int = 0
    role: int | None = None
    fee_ppm: int | None = None
    trade_id: int | None = None
    reason: int = 0


@dataclass(frozen=True)
class Activity:
    """A step as stored."""

    activity_id: int
    account_id: int
    order_id: int
    market_id: int
    kind: ActivityKind
    side: int
    external_id: str | None
    price_ticks: int
    quantity_lots: int
    role: int | None
    fee_ppm: int | None
    trade_id: int | None
    reason: int
    recorded_at_ns: int
