"""How far prices of a market may go: its band, and the window in which a running price halts it."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

from crossbook.application.errors import InvalidOrder


class HaltPhase(IntEnum):
    """Where a market is between a halt and its next opening. Numbers are stored and never change meaning."""

    TRADING = 1
    HALTED = 2
    COLLECTING = 3
    OPENING = 4


@dataclass(frozen=True)
class MarketLimits:
    """The limits of one market. 0 basis points means no such limit; times in milliseconds."""

    reference_price_ticks: int
    band_basis_points: int = 0
    halt_basis_points: int = 0
    halt_window_ms: int = 0
    halt_ms: int = 0
    auction_ms: int = 0

    def __post_init__(self) -> None:
        if (self.halt_basis_points == 0) != (self.halt_window_ms == 0):
            raise InvalidOrder("haltWindowMs", "and haltBasisPoints must be given both or not at all")


class LimitStore(Protocol):
    """Where limits are kept. `crossbook.storage.market_limits` has one."""

    async def set(self, market_id: int, limits: MarketLimits) -> None:
        """Set or replace the limits of a market; its band then goes into its log."""
        ...


class Limits:
    """The limits of every market that has some, by the market's number."""

    def __init__(self, limits: Mapping[int, MarketLimits] | None = None) -> None:
        self._limits = dict(limits or {})

    def of(self, market_id: int) -> MarketLimits | None:
        """The limits of a market, None where it has none."""
        return self._limits.get(market_id)

    def put(self, market_id: int, limits: MarketLimits) -> None:
        """Set or replace the limits of a market."""
        self._limits[market_id] = limits
