"""Between the venue's whole numbers and what Lethean's clients read."""

from datetime import UTC, datetime
from functools import lru_cache
from typing import Final, cast

import msgspec

from crossbook.application.errors import PairNotFound
from crossbook.application.swap_registry import AssetPrices, Currency, Pair
from crossbook.application.swap_views import (
    FinaliserView,
    OfferView,
    PageTip,
    PairStatistics,
    SwapView,
    TradeView,
    UserPage,
    WalletView,
)
from crossbook.application.swaps import PairTerms, PlacedOffer
from crossbook.application.wallets import Wallet
from crossbook.dialects.lethean import replies
from crossbook.dialects.lethean.requests import Kind
from crossbook.domain.candles import Candle, Period
from crossbook.domain.money import POWERS_OF_TEN
from crossbook.domain.orders import Side
from crossbook.domain.swap_amounts import format_units
from crossbook.domain.swaps import OfferStatus, Swap, SwapStatus, is_alive

KINDS: Final[dict[Side, Kind]] = {Side.BUY: "buy", Side.SELL: "sell"}
SIDES: Final[dict[str, Side]] = {"buy": Side.BUY, "sell": Side.SELL}
LIMIT: Final = "limit"
PERIODS: Final = {
    "1min": Period.MINUTE,
    "5min": Period.FIVE_MINUTES,
    "15min": Period.QUARTER,
    "30min": Period.HALF_HOUR,
    "1h": Period.HOUR,
    "4h": Period.FOUR_HOURS,
    "1d": Period.DAY,
    "1w": Period.WEEK,
}
SWAP_STATUS: Final = {
    SwapStatus.PENDING: "pending",
    SwapStatus.CONFIRMED: "confirmed",
    SwapStatus.REJECTED: "rejected",
    SwapStatus.TIMED_OUT: "rejected",
}
MOST_PAIRS: Final = 2**31 - 1
_encode: Final = msgspec.json.Encoder().encode
_ROUNDED: Final = 6
"""Decimals of a percentage."""


def number(value: int | str) -> int:
    """An id that came as a number or as its digits."""
    return int(value)


def pair_number(value: int | str) -> int:
    """The number of a pair. Raises PairNotFound for one that no pair can have."""
    found = int(value)
    if found > MOST_PAIRS:
        raise PairNotFound(f"no pair {found}")
    return found


@lru_cache(1 << 16)
def iso(time_ms: int) -> str:
    """A time as ISO 8601, in UTC, to the millisecond."""
    seconds, rest = divmod(time_ms, 1000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:03d}Z"


def as_number(units: int, decimals: int) -> float:
    """What clients want as a JSON number: the nearest that there is."""
    return units / POWERS_OF_TEN[decimals]


def status_word(status: OfferStatus) -> str:
    """An offer's status."""
    return "active" if status is OfferStatus.ACTIVE else "finished"


# -- Users -------------------------------------------------------------------------------------------
@lru_cache(1 << 14)
def wallet_view(wallet: WalletView) -> replies.WalletUser:
    """A wallet as anybody may see it. A page shows the same ones again and again."""
    return replies.WalletUser(wallet.alias, wallet.address, iso(wallet.created_at_ms), iso(wallet.updated_at_ms))


def self_view(wallet: Wallet) -> replies.Self:
    """The caller."""
    return replies.Self(
        wallet.user_id, wallet.alias, wallet.address, iso(wallet.created_at_ms), iso(wallet.updated_at_ms)
    )


# -- Orders ------------------------------------------------------------------------------------------
def created_view(placed: PlacedOffer, terms: PairTerms) -> replies.CreatedOrder:
    """A new offer."""
    offer = placed.offer
    amount, made = format_units(offer.amount_units, terms.first_decimals), iso(placed.created_at_ms)
    return replies.CreatedOrder(
        False,
        placed.offer_id,
        KINDS[offer.side],
        str(placed.created_at_ms),
        LIMIT,
        format_units(offer.price_units, terms.second_decimals),
        amount,
        format_units(offer.total_units, terms.second_decimals),
        offer.pair_id,
        offer.user_id,
        "active",
        amount,
        made,
        made,
        placed.crosses,
    )


class Forms(msgspec.Struct, gc=False):
    """What is kept of an offer that was shown: its texts, and its JSON without and with a bot behind it."""

    price: str
    amount: str
    total: str
    left: str
    user: msgspec.Raw
    own: list[msgspec.Raw | None]
    public: list[msgspec.Raw | None]


def forms_of(offer: OfferView, terms: PairTerms) -> Forms:
    """The forms of an offer, made once."""
    kept = offer.shown
    if isinstance(kept, Forms):
        return kept
    first, second = terms.first_decimals, terms.second_decimals
    made = offer.shown = Forms(
        format_units(offer.price_units, second),
        format_units(offer.amount_units, first),
        format_units(offer.total_units, second),
        format_units(offer.left_units, first),
        user_form(offer.wallet),
        [None, None],
        [None, None],
    )
    return made


@lru_cache(1 << 14)
def user_form(wallet: WalletView) -> msgspec.Raw:
    """A wallet as JSON."""
    return msgspec.Raw(_encode(wallet_view(wallet)))


def order_form(offer: OfferView, terms: PairTerms, now_ms: int) -> msgspec.Raw:
    """`order_view` as JSON, made once."""
    forms, alive = forms_of(offer, terms), is_alive(offer.renewed_at_ms, now_ms)
    found = forms.own[alive]
    if found is None:
        found = forms.own[alive] = msgspec.Raw(_encode(order_view(offer, terms, now_ms)))
    return found


def book_form(offer: OfferView, terms: PairTerms, now_ms: int) -> msgspec.Raw:
    """`book_order` as JSON, made once."""
    forms, alive = forms_of(offer, terms), is_alive(offer.renewed_at_ms, now_ms)
    found = forms.public[alive]
    if found is None:
        found = forms.public[alive] = msgspec.Raw(_encode(book_order(offer, terms, now_ms)))
    return found


def order_view(offer: OfferView, terms: PairTerms, now_ms: int) -> replies.OrderView:
    """An own offer."""
    forms = forms_of(offer, terms)
    return replies.OrderView(
        offer.offer_id,
        KINDS[offer.side],
        str(offer.created_at_ms),
        LIMIT,
        forms.price,
        forms.amount,
        forms.total,
        offer.pair_id,
        offer.user_id,
        status_word(offer.status),
        forms.left,
        offer.has_notification,
        iso(offer.created_at_ms),
        iso(offer.updated_at_ms),
        is_alive(offer.renewed_at_ms, now_ms),
    )


def book_order(offer: OfferView, terms: PairTerms, now_ms: int) -> replies.BookOrder:
    """An offer as anybody may see it."""
    forms = forms_of(offer, terms)
    return replies.BookOrder(
        offer.offer_id,
        KINDS[offer.side],
        str(offer.created_at_ms),
        LIMIT,
        forms.price,
        forms.amount,
        forms.total,
        offer.pair_id,
        offer.user_id,
        status_word(offer.status),
        forms.left,
        iso(offer.created_at_ms),
        iso(offer.updated_at_ms),
        is_alive(offer.renewed_at_ms, now_ms),
        wallet_view(offer.wallet),
    )


def user_page_view(page: UserPage, now_ms: int) -> replies.UserPageView:
    """A user's page: what waits for a confirm goes first among the tips. Its parts may be JSON already."""
    terms = page.terms
    tips = [_finaliser_tip(each, terms, now_ms) for each in page.to_confirm]
    tips += [_plain_tip(each, terms, now_ms) for each in page.tips]
    orders = [order_form(offer, terms, now_ms) for offer in page.offers]
    return replies.UserPageView(cast("list[replies.OrderView]", orders), tips)


def _plain_tip(tip: PageTip, terms: PairTerms, now_ms: int) -> replies.ApplyTip:
    own_offer_id, side, entry, left_units = tip
    forms = forms_of(entry, terms)
    return replies.ApplyTip(
        entry.offer_id,
        format_units(left_units, terms.first_decimals),
        forms.price,
        cast("replies.WalletUser", forms.user),
        KINDS[side],
        forms.total,
        own_offer_id,
        False,
        "",
        is_alive(entry.renewed_at_ms, now_ms),
    )


def _finaliser_tip(waiting: FinaliserView, terms: PairTerms, now_ms: int) -> replies.ApplyTip:
    """A swap that waits for the caller: its price is the caller's own, with which the proposal was made."""
    creator = waiting.creator
    return replies.ApplyTip(
        waiting.swap_id,
        format_units(waiting.amount_units, terms.first_decimals),
        forms_of(waiting.own, terms).price,
        wallet_view(creator.wallet),
        KINDS[creator.side],
        forms_of(creator, terms).total,
        waiting.own.offer_id,
        True,
        waiting.proposal,
        is_alive(creator.renewed_at_ms, now_ms),
    )


# -- Transactions, trades, candles -------------------------------------------------------------------
def active_view(swap: Swap, terms: PairTerms) -> replies.ActiveView:
    """A pending swap."""
    return replies.ActiveView(
        swap.swap_id,
        swap.buy_id,
        swap.sell_id,
        format_units(swap.amount_units, terms.first_decimals),
        swap.created_at_ms,
        SWAP_STATUS[swap.status],
        KINDS[swap.creator],
        swap.proposal,
        iso(swap.created_at_ms),
        iso(swap.updated_at_ms),
    )


def transaction_view(found: SwapView) -> replies.TransactionView:
    """A swap of the caller's."""
    swap, terms = found.swap, found.terms
    return replies.TransactionView(
        swap.swap_id,
        swap.pair_id,
        swap.buy_id,
        swap.sell_id,
        format_units(swap.amount_units, terms.first_decimals),
        format_units(swap.price_units, terms.second_decimals),
        format_units(swap.total_units, terms.second_decimals),
        swap.created_at_ms,
        SWAP_STATUS[swap.status],
        KINDS[swap.creator],
        KINDS[found.side],
        iso(swap.created_at_ms),
        iso(swap.updated_at_ms),
    )


def trade_view(trade: TradeView, terms: PairTerms) -> replies.Trade:
    """A trade."""
    point = chart_view(trade, terms)
    return replies.Trade(
        point.id,
        point.timestamp,
        point.amount,
        point.price,
        point.total,
        point.type,
        wallet_view(trade.buyer),
        wallet_view(trade.seller),
    )


def chart_view(trade: TradeView, terms: PairTerms) -> replies.ChartOrder:
    """A trade without its users."""
    return replies.ChartOrder(
        trade.swap_id,
        trade.time_ms,
        format_units(trade.amount_units, terms.first_decimals),
        format_units(trade.price_units, terms.second_decimals),
        format_units(trade.total_units, terms.second_decimals),
        KINDS[trade.taker_side],
    )


def candle_view(candle: Candle, terms: PairTerms) -> replies.CandleView:
    """A candle."""
    prices = (candle.high_units, candle.low_units, candle.open_units, candle.close_units)
    return replies.CandleView(candle.start_ms, *(format_units(each, terms.second_decimals) for each in prices))


# -- Currencies and pairs ----------------------------------------------------------------------------
def currency_view(currency: Currency, prices: AssetPrices) -> replies.CurrencyView:
    """A currency."""
    terms = currency.terms
    price = prices.price(terms.asset_id)
    info = replies.AssetInfo(
        str(currency.currency_id),
        terms.logo,
        None if price is None else float(price),
        terms.code,
        terms.asset_id,
        terms.full_name or terms.name,
        terms.meta_info,
        terms.price_url,
        terms.decimals,
        str(terms.current_supply_units),
        str(terms.total_max_supply_units),
    )
    return replies.CurrencyView(
        currency.currency_id,
        terms.name,
        terms.code,
        terms.kind,
        terms.asset_id,
        terms.auto_parsed,
        info,
        terms.whitelisted,
        iso(currency.created_at_ms),
        iso(currency.updated_at_ms),
    )


def stats_view(stats: PairStatistics, second_decimals: int) -> replies.Stats:
    """Statistics of a pair, as numbers."""
    change = 0.0
    if stats.reference_units:
        change = round(100 * (stats.rate_units - stats.reference_units) / stats.reference_units, _ROUNDED)
    return replies.Stats(
        as_number(stats.rate_units, second_decimals),
        change,
        as_number(stats.high_units, second_decimals),
        as_number(stats.low_units, second_decimals),
        as_number(stats.volume_units, second_decimals),
    )


def pair_view(pair: Pair, stats: PairStatistics, prices: AssetPrices) -> replies.PairView:
    """A pair with its currencies and its statistics."""
    shown = stats_view(stats, pair.second.terms.decimals)
    return replies.PairView(
        pair.pair_id,
        pair.first.currency_id,
        pair.second.currency_id,
        shown.rate,
        shown.coefficient,
        shown.high,
        shown.low,
        shown.volume,
        pair.featured,
        iso(pair.created_at_ms),
        iso(pair.updated_at_ms),
        currency_view(pair.first, prices),
        currency_view(pair.second, prices),
    )
