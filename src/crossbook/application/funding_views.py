"""Funding as it is shown: periods that were paid, the one that runs, and what an account paid or received."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from crossbook.application.views import Page
from crossbook.domain.funding_period import FundingPeriod, interval_ms, period_start_ms
from crossbook.domain.instruments import Instrument


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
