"""Shapes of Flux's funding, its price feed and its operators' calls."""

from typing import Annotated, Literal

from msgspec import Meta

from crossbook.dialects.flux.schemas import (
    DEFAULT_PAGE,
    Cursor,
    DecimalText,
    Limit,
    MarketId,
    PriceText,
    Request,
    TimeMs,
    View,
)

MAX_QUOTES = 100
RateText = Annotated[str, Meta(description="a rate in a string, positive when longs pay", examples=["0.0001"])]
MarketStateName = Literal["ACTIVE", "AUCTION", "CANCEL_ONLY", "POST_ONLY", "PAUSED", "SETTLEMENT_ONLY"]
SourceName = Annotated[
    str,
    Meta(
        pattern=r"^[a-z0-9][a-z0-9._-]{0,31}$",
        description="a price source: small letters, digits and . _ -, at most 32",
        examples=["desk"],
    ),
]
Reason = Annotated[str, Meta(min_length=1, max_length=500, description="why; it is kept for ever")]


class PaidFunding(View, frozen=True, kw_only=True):
    """One period that was paid."""

    period_start: TimeMs
    funding_time: TimeMs
    rate: RateText
    index_price: DecimalText


class Funding(View, frozen=True, kw_only=True):
    """A market's funding: the period that runs, and those that were paid, newest first."""

    market_id: MarketId
    interval_hours: int
    period_start: TimeMs
    next_funding_time: TimeMs
    estimated_rate: RateText | None
    index_price: DecimalText | None
    rate_cap: RateText
    history: list[PaidFunding]


class FundingQuery(Request, frozen=True, kw_only=True):
    """A page of the history, newest first."""

    limit: Limit = DEFAULT_PAGE
    cursor: Cursor | None = None


class FundingPayment(View, frozen=True, kw_only=True):
    """What one position received in one period; a negative amount was paid."""

    id: str
    user_id: str
    market_id: MarketId
    period_start: TimeMs
    funding_time: TimeMs
    position_quantity: DecimalText
    rate: RateText
    index_price: DecimalText
    amount: DecimalText
    created_at: TimeMs


class FundingPaymentsQuery(Request, frozen=True, kw_only=True):
    """A page of own payments, newest first."""

    market: MarketId | None = None
    limit: Limit = DEFAULT_PAGE
    cursor: Cursor | None = None


class FedPrice(Request, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One source's price of one market. Without a time, it is of now."""

    market_id: MarketId
    source: SourceName
    price: PriceText
    time: TimeMs | None = None


class FeedPrices(Request, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Prices of sources that an operator feeds."""

    prices: Annotated[list[FedPrice], Meta(min_length=1, max_length=MAX_QUOTES)]


class PricesFed(View, frozen=True, kw_only=True):
    """How many prices were taken."""

    accepted: int


class ChangeState(Request, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The state that a market is to have, and why."""

    state: MarketStateName
    reason: Reason


class StateOrdered(View, frozen=True, kw_only=True):
    """The state is ordered: it is in the market's log."""

    market_id: MarketId
    state: MarketStateName
    sequence: int


class SettleMarket(Request, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The price at which every position is closed (the last index if it is left out), and why."""

    reason: Reason
    price: PriceText | None = None


class SettlementOrdered(View, frozen=True, kw_only=True):
    """The final settlement is ordered: it is in the market's log."""

    market_id: MarketId
    price: DecimalText
    sequence: int


class AdminEntry(View, frozen=True, kw_only=True):
    """One line of the operators' record."""

    id: str
    user_id: str
    action: str
    market_id: str | None
    reason: str
    details: dict[str, str]
    created_at: TimeMs


class AdminLogQuery(Request, frozen=True, kw_only=True):
    """A page of the record, newest first."""

    limit: Limit = DEFAULT_PAGE
    cursor: Cursor | None = None
