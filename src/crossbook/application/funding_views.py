"""Funding as it is shown: periods that were paid, the one that runs, and what an account paid or received."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from crossbook.application.markets import Market, Markets
from crossbook.application.views import Page
from crossbook.domain.funding_period import FundingPeriod, interval_ms, period_start_ms
from crossbook.domain.instruments import Instrument, InstrumentKind


@dataclass(frozen=True)
class PaidFunding:
    """One period of a market that was paid."""

    period_start_ms: int
    rate_ppb: int
    index_price_ticks: int
    positions: int
    created_at_ms: int


@dataclass(frozen=True)
class FundingPaymentDetails:
    """What one position received (negative: paid) in one period."""

    payment_id: int
    market_id: int
    period_start_ms: int
    position_lots: int
    rate_ppb: int
    index_price_ticks: int
    amount_units: int
    created_at_ms: int


@dataclass(frozen=True)
class FundingNow:
    """The running period of a market: the rate if it stays as it was so far, and when it is paid.

    `estimate_ppb` and `index_price_ticks` are None while the market has no index.
    """

    period_start_ms: int
    next_funding_ms: int
    estimate_ppb: int | None
    index_price_ticks: int | None
    samples: int


@dataclass(frozen=True)
class FundingState:
    """A funding rate, in parts per billion of the position's value, and when it is paid next."""

    rate_ppb: int
    next_at_ms: int | None


class Clock(Protocol):
    """The time of day."""

    def now_ms(self) -> int:
        """Milliseconds since the epoch."""
        ...


class FundingReads(Protocol):
    """What is stored of funding. `crossbook.storage.funding_queries` is one."""

    async def running(self, market_id: int, start_ms: int) -> FundingPeriod | None:
        """The period of a market that began then, as far as it was looked at."""
        ...

    async def paid(self, market_id: int, page: Page) -> Sequence[PaidFunding]:
        """A page of the periods that were paid, newest first; `before` is the start of a period."""
        ...

    async def payments(self, account_id: int, page: Page, market_id: int = 0) -> Sequence[FundingPaymentDetails]:
        """A page of what an account paid and received, newest first."""
        ...


async def funding_now(reads: FundingReads, market_id: int, instrument: Instrument, now_ms: int) -> FundingNow:
    """The running period of a perpetual: what its page and its channel show."""
    start_ms = period_start_ms(instrument, now_ms)
    period = await reads.running(market_id, start_ms)
    next_ms = start_ms + interval_ms(instrument)
    if period is None:
        return FundingNow(start_ms, next_ms, None, None, 0)
    return FundingNow(
        start_ms, next_ms, period.estimate_ppb(instrument), period.index_price_ticks or None, period.samples
    )


class FundingBoard:
    """The running funding of every perpetual, as it was at the last refresh: to be looked at without waiting."""

    def __init__(self, reads: FundingReads, clock: Clock) -> None:
        self._reads = reads
        self._clock = clock
        self._states: dict[int, FundingState] = {}

    async def refresh(self, markets: Markets) -> None:
        """Look at every perpetual. Raises what the reads raise."""
        now_ms = self._clock.now_ms()
        for market in list(markets):
            if market.instrument.kind is not InstrumentKind.PERPETUAL:
                continue
            running = await funding_now(self._reads, market.number, market.instrument, now_ms)
            if running.estimate_ppb is None:
                self._states.pop(market.number, None)
            else:
                self._states[market.number] = FundingState(running.estimate_ppb, running.next_funding_ms)

    def current(self, market: Market) -> FundingState | None:
        """The funding of a market as it stands, None when there is none."""
        return self._states.get(market.number)
