"""The vocabulary of an order: its side, type, time in force, and the states of its market.

Numbers are part of the record layout and of stored logs: they never change meaning.
"""

from enum import IntEnum
from typing import Final

MAX_PRICE_TICKS: Final = (1 << 40) - 1
"""Largest price, in ticks. Keeps price arithmetic inside 64 bits."""
MAX_QUANTITY_LOTS: Final = (1 << 40) - 1
"""Largest quantity of one order, in lots."""
MAX_BUDGET: Final = (1 << 61) - 1
"""Largest amount of a market order by amount, in ticks times lots."""
MAX_SIDE_LOTS: Final = (1 << 61) - 1
"""Largest sum of the open quantities of one side of a market, waiting orders included, in lots."""
MAX_POSITION_LOTS: Final = (1 << 60) - 1
"""Largest position, either way, at which an account may still enter orders, in lots."""
MAX_ID: Final = (1 << 62) - 1
"""Largest order, account or trade group id; ids start at 1."""
MAX_TIME_MS: Final = (1 << 53) - 1
"""Largest time, in milliseconds since the epoch."""
MAX_FUNDING_PPB: Final = 1_000_000_000
"""The largest funding rate of one period, in parts per billion: all of a position's value."""
MAX_BASIS_POINTS: Final = 10_000
DAY_MS: Final = 86_400_000


class Side(IntEnum):
    """Which way an order trades."""

    BUY = 1
    SELL = 2


class OrderType(IntEnum):
    """How an order meets the market. Market kinds take a protection price, limit kinds a limit price."""

    LIMIT = 1
    MARKET = 2
    STOP = 3
    STOP_LIMIT = 4
    TAKE_PROFIT = 5
    TAKE_PROFIT_LIMIT = 6
    TRAILING_STOP = 7


class TimeInForce(IntEnum):
    """How long an order stays. DAY ends at the next midnight UTC."""

    GTC = 1
    IOC = 2
    FOK = 3
    GTD = 4
    DAY = 5


class SelfTradePrevention(IntEnum):
    """What happens when an order meets one of its own account or trade group; the taker's mode decides."""

    NONE = 1
    EXPIRE_TAKER = 2
    EXPIRE_MAKER = 3
    EXPIRE_BOTH = 4
    DECREMENT = 5


class PriceSource(IntEnum):
    """The price that a trigger watches."""

    LAST = 1
    MARK = 2
    INDEX = 3


class MarketState(IntEnum):
    """What a market accepts at the moment."""

    ACTIVE = 1
    AUCTION = 2
    CANCEL_ONLY = 3
    POST_ONLY = 4
    PAUSED = 5
    SETTLEMENT_ONLY = 6


class BandReference(IntEnum):
    """What a price band is measured from. MIDPOINT falls back to the reference price on a one-sided book."""

    MIDPOINT = 1
    LAST = 2
    MARK = 3
    INDEX = 4


TRIGGERED_TYPES: Final = frozenset(
    {
        OrderType.STOP,
        OrderType.STOP_LIMIT,
        OrderType.TAKE_PROFIT,
        OrderType.TAKE_PROFIT_LIMIT,
        OrderType.TRAILING_STOP,
    }
)
LIMIT_TYPES: Final = frozenset({OrderType.LIMIT, OrderType.STOP_LIMIT, OrderType.TAKE_PROFIT_LIMIT})
