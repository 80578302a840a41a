"""The life of an order as its owner sees it: from accepted into the log to its one end."""

from enum import IntEnum


class OrderStatus(IntEnum):
    """Where an order stands. Numbers are stored and never change meaning; 4 and above are ends."""

    PENDING = 1
    OPEN = 2
    PARTIALLY_FILLED = 3
    FILLED = 4
    CANCELLED = 5
    REJECTED = 6
    EXPIRED = 7

    @property
    def is_live(self) -> bool:
        """Whether the order may still trade."""
        return self <= OrderStatus.PARTIALLY_FILLED


def open_status(filled_lots: int) -> OrderStatus:
    """The status of an order that the engine holds, by what it has traded."""
    return OrderStatus.PARTIALLY_FILLED if filled_lots else OrderStatus.OPEN
