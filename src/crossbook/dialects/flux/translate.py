"""Between Flux's words and the venue's numbers: decimal strings to ticks, lots and units, and back.

Requests are read exactly or refused; nothing is rounded on the way in. On the way out only averages and
liquidation prices are rounded, half to even, at the decimals of the quote asset.
"""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Final, cast

from msgspec import UNSET, UnsetType

from crossbook.application.accounts import User, UserKind
from crossbook.application.errors import InvalidOrder, MarketNotFound, OrderNotFound
from crossbook.application.markets import Market, Markets
from crossbook.application.portfolio import Portfolio
from crossbook.application.preview import Preview
from crossbook.application.requests import AmendRequest, NewOrder, PlacedOrder
from crossbook.application.views import BalanceDetails, FillDetails, OrderDetails, PositionDetails
from crossbook.dialects.flux import schemas
from crossbook.dialects.flux.errors import reason_word
from crossbook.dialects.market_ports import Book, PublicTrade
from crossbook.domain.fees import fee_reserve_units, fee_units
from crossbook.domain.holds import hold_for_amount
from crossbook.domain.instruments import Instrument, InstrumentKind
from crossbook.domain.lifecycle import OrderStatus
from crossbook.domain.margin import InsufficientMargin, MarginRow, held_orders_units
from crossbook.domain.money import RATES, Scale
from crossbook.domain.orders import (
    LIMIT_TYPES,
    MAX_BASIS_POINTS,
    MAX_ID,
    MAX_QUANTITY_LOTS,
    MAX_TIME_MS,
    TRIGGERED_TYPES,
    OrderType,
    PriceSource,
    SelfTradePrevention,
    Side,
    TimeInForce,
)
from crossbook.domain.positions import Position, entry_price_text

PERCENT: Final = Scale(2)
"""Percent with two decimals: whole basis points."""
MAX_TRANSFER_UNITS: Final = 10**16
"""Largest deposit or withdrawal: 10 billion USDC. Keeps every sum of a venue inside 64 bits."""

_SIDES: Final[Mapping[Side, schemas.Side]] = {Side.BUY: "BUY", Side.SELL: "SELL"}


# -- Names -------------------------------------------------------------------------------------------
def market_named(markets: Markets, symbol: str) -> Market:
    """The market of this name, if it has an order book. Raises MarketNotFound."""
    market = markets.named(symbol)
    if market.instrument.kind is InstrumentKind.SWAP_PAIR:
        raise MarketNotFound(symbol)
    return market


def market_number(markets: Markets, symbol: str | None) -> int:
    """The number that a list filters by, 0 without a filter. Raises MarketNotFound."""
    return 0 if symbol is None else market_named(markets, symbol).number


def order_number(text: str) -> int:
    """The id of an order. Raises OrderNotFound for text that no order has."""
    if not (text.isascii() and text.isdigit() and len(text) <= 19 and 1 <= int(text) <= MAX_ID):
        raise OrderNotFound(text[:64])
    return int(text)


# -- Requests ----------------------------------------------------------------------------------------
def new_order(body: schemas.SubmitOrder, market: Market, account_id: int) -> NewOrder:
    """The order that a client asks for; one of a market kind still without the protection price that it did not name.

    Raises InvalidOrder, InvalidDecimal and OrderNotFound. A MARKET order never rests: GTC, which is the default,
    enters as IOC, and is shown as it was asked for.
    """
    instrument = market.instrument
    kind = OrderType[body.type]
    if kind is OrderType.MARKET and body.price is not None:
        raise InvalidOrder("price", "must be absent for a MARKET order (MARKET_ORDER_HAS_PRICE)")
    if kind in LIMIT_TYPES and body.price is None:
        raise InvalidOrder("price", f"is needed for a {kind.name} order (LIMIT_ORDER_MISSING_PRICE)")
    if body.trigger_by is not None and kind not in TRIGGERED_TYPES:
        raise InvalidOrder("triggerBy", "is for stop and take-profit orders only")
    asked = TimeInForce[body.time_in_force or "GTC"]
    entered = TimeInForce.IOC if kind is OrderType.MARKET and asked is TimeInForce.GTC else asked
    quantity_lots, budget = _size(body, instrument)
    trail, in_basis_points = _trail(body, instrument)
    return NewOrder(
        account_id=account_id,
        market_id=market.number,
        side=Side[body.side],
        type=kind,
        quantity_lots=quantity_lots,
        price_ticks=0 if body.price is None else instrument.price_ticks(body.price),
        time_in_force=entered,
        post_only=body.post_only,
        reduce_only=body.reduce_only,
        self_trade_prevention=SelfTradePrevention[body.self_trade_prevention or "EXPIRE_TAKER"],
        leverage=_leverage(body.leverage, instrument),
        budget=budget,
        display_quantity_lots=_display_lots(body, instrument),
        trigger_price_ticks=_trigger_ticks(body, instrument),
        trigger_source=PriceSource[body.trigger_by or "LAST"],
        trail=trail,
        trail_in_basis_points=in_basis_points,
        oco_order_id=0 if body.oco_order_id is None else order_number(body.oco_order_id),
        expire_time_ms=_expiry_ms(body),
        client_order_id=body.client_order_id,
        asked_time_in_force=None if asked is entered else asked,
    )


def _size(body: schemas.SubmitOrder, instrument: Instrument) -> tuple[int, int]:
    """Lots, or for an order by amount the most ticks times lots that the amount pays for, fee included."""
    if body.quote_quantity is None:
        if body.quantity is None:
            raise InvalidOrder("quantity", "is needed")
        return instrument.quantity_lots(body.quantity), 0
    if body.quantity is not None:
        raise InvalidOrder("quoteQuantity", "must be absent when a quantity is given")
    if instrument.kind is not InstrumentKind.SPOT or body.type != "MARKET" or body.side != "BUY":
        raise InvalidOrder("quoteQuantity", "is for MARKET buys on spot markets only; others need a quantity")
    amount = instrument.quote.scale.parse(body.quote_quantity, "quoteQuantity", 1, MAX_TRANSFER_UNITS)
    return 0, hold_for_amount(instrument, amount).open_items


def _trigger_ticks(body: schemas.SubmitOrder, instrument: Instrument) -> int:
    return 0 if body.trigger_price is None else instrument.price_ticks(body.trigger_price, "triggerPrice")


def _display_lots(body: schemas.SubmitOrder, instrument: Instrument) -> int:
    if body.display_quantity is None:
        return 0
    return instrument.lot.count(body.display_quantity, "displayQuantity", 1, MAX_QUANTITY_LOTS)


def _trail(body: schemas.SubmitOrder, instrument: Instrument) -> tuple[int, bool]:
    """The distance of a trailing stop: in ticks, or in basis points and True."""
    if body.trail_percent is None:
        return (0 if body.trail is None else instrument.price_ticks(body.trail, "trail")), False
    if body.trail is not None:
        raise InvalidOrder("trailPercent", "must be absent when a trail is given")
    return PERCENT.parse(body.trail_percent, "trailPercent", 1, MAX_BASIS_POINTS - 1), True


def _leverage(asked: int | None, instrument: Instrument) -> int:
    """What is asked for; without it a perpetual has what the account chose, which is 0 here, and spot has none."""
    if asked is not None:
        return instrument.check_leverage(asked)
    return 0 if instrument.kind is InstrumentKind.PERPETUAL else 1


def amendment(body: schemas.AmendOrder, order: OrderDetails, instrument: Instrument) -> AmendRequest:
    """What a client asks to change of an order. Raises InvalidDecimal."""
    return AmendRequest(
        order.account_id,
        order.order_id,
        0 if body.quantity is None else instrument.quantity_lots(body.quantity),
        0 if body.price is None else instrument.price_ticks(body.price),
        0 if body.trigger_price is None else instrument.price_ticks(body.trigger_price, "triggerPrice"),
    )


def _expiry_ms(body: schemas.SubmitOrder) -> int:
    if body.expires_at is None:
        return 0
    if body.expires_at > MAX_TIME_MS:
        raise InvalidOrder("expiresAt", f"must be at most {MAX_TIME_MS}", str(MAX_TIME_MS))
    return body.expires_at


def transfer_units(amount: str, decimals: int) -> int:
    """The amount of a deposit or a withdrawal in units. Raises InvalidDecimal, with the nearest amount."""
    return Scale(decimals).parse(amount, "amount", 1, MAX_TRANSFER_UNITS)


# -- Orders and fills --------------------------------------------------------------------------------
def accepted_view(placed: PlacedOrder, client_order_id: str | None) -> schemas.Accepted:
    """The answer to a new order."""
    order_id = str(placed.order_id)
    return schemas.Accepted(
        order_id=order_id,
        status=_status(placed.status),
        client_order_id=UNSET if client_order_id is None else client_order_id,
        id=order_id,
    )


def _status(status: OrderStatus) -> schemas.OrderStatus:
    return cast("schemas.OrderStatus", status.name)


def order_view(order: OrderDetails, market: Market, user_id: str) -> schemas.Order:
    """An order as its owner sees it."""
    instrument = market.instrument
    order_id = str(order.order_id)
    remaining = order.open_lots if order.status.is_live else max(0, order.quantity_lots - order.filled_lots)
    return schemas.Order(
        order_id=order_id,
        status=_status(order.status),
        client_order_id=order.client_order_id,
        user_id=user_id,
        market_id=market.symbol,
        side=_SIDES[order.side],
        type=cast("schemas.OrderType", order.type.name),
        quantity=instrument.quantity_text(order.quantity_lots),
        remaining_quantity=instrument.quantity_text(remaining),
        filled_quantity=instrument.quantity_text(order.filled_lots),
        average_price=_average_price(order, instrument),
        price=UNSET if order.type is OrderType.MARKET else _price_text(instrument, order.price_ticks or None) or UNSET,
        time_in_force=cast("schemas.TimeInForce", (order.asked_time_in_force or order.time_in_force).name),
        leverage=order.leverage,
        reduce_only=order.reduce_only,
        post_only=order.post_only,
        held_margin=_held_margin(order, instrument),
        reason=reason_word(order.reason) or UNSET,
        created_at=order.created_at_ms,
        updated_at=order.updated_at_ms,
        id=order_id,
        expires_at=order.expire_time_ms or UNSET,
        trigger_price=_price_text(instrument, order.trigger_price_ticks or None) or UNSET,
        trigger_by=cast("schemas.TriggerBy", order.trigger_source.name) if order.type in TRIGGERED_TYPES else UNSET,
        trail=instrument.price_text(order.trail) if order.trail and not order.trail_in_basis_points else UNSET,
        trail_percent=PERCENT.format(order.trail) if order.trail_in_basis_points else UNSET,
        oco_order_id=str(order.oco_order_id) if order.oco_order_id else UNSET,
        display_quantity=instrument.quantity_text(order.display_quantity_lots)
        if order.display_quantity_lots
        else UNSET,
        quote_quantity=_amount(order, instrument) if order.budget else UNSET,
        last_amendment=_last_amendment(order),
    )


def _last_amendment(order: OrderDetails) -> schemas.LastAmendment | UnsetType:
    found = order.last_amendment
    if found is None:
        return UNSET
    if found.answer is None:
        return schemas.LastAmendment(status="PENDING", requested_at=found.accepted_at_ms)
    reason = reason_word(found.answer)
    status: schemas.AmendmentStatus = "REJECTED" if reason else "ACCEPTED"
    return schemas.LastAmendment(status=status, reason=reason or UNSET, requested_at=found.accepted_at_ms)


def _shown_lots(lots: int, instrument: Instrument) -> str | UnsetType:
    return instrument.quantity_text(lots) if lots else UNSET


def _amount(order: OrderDetails, instrument: Instrument) -> str:
    """What an order by amount may cost at most, with its fee."""
    value = order.budget * instrument.units_per_tick_lot
    return instrument.quote.scale.format(value + fee_units(value, order.taker_fee_ppm))


def _average_price(order: OrderDetails, instrument: Instrument) -> str | None:
    if order.filled_lots == 0:
        return None
    value_of_lots = order.filled_lots * instrument.units_per_tick_lot
    return instrument.tick.ratio_text(order.filled_notional_units, value_of_lots, instrument.quote.decimals)


def _held_margin(order: OrderDetails, instrument: Instrument) -> str:
    """What the open part of the order alone would hold: its margin at its leverage, and its fee reserve.

    The account as a whole may hold less, since only the heavier side of a market counts.
    """
    if instrument.kind is not InstrumentKind.PERPETUAL:
        asset = instrument.quote if order.side is Side.BUY else instrument.base
        return asset.scale.format(order.held_units)
    if order.reduce_only or not order.status.is_live:
        return "0"
    notional = instrument.notional_units(order.price_ticks, order.open_lots)
    reserve = fee_reserve_units(notional, order.maker_fee_ppm, order.taker_fee_ppm, order.post_only)
    row = MarginRow(order.leverage).with_order(order.side, order.open_lots, notional, reserve)
    return instrument.quote.scale.format(held_orders_units(instrument, row, 1))


def fill_view(fill: FillDetails, market: Market, user_id: str) -> schemas.Fill:
    """One side of a trade, as its owner sees it."""
    instrument, money = market.instrument, market.instrument.quote.scale
    return schemas.Fill(
        id=str(fill.fill_id),
        trade_id=str(fill.trade_id),
        order_id=str(fill.order_id),
        user_id=user_id,
        market_id=market.symbol,
        side=_SIDES[fill.side],
        liquidity_role=cast("schemas.Role", fill.role.name),
        price=instrument.price_text(fill.price_ticks),
        quantity=instrument.quantity_text(fill.quantity_lots),
        notional=money.format(fill.notional_units),
        fee=money.format(fill.fee_units),
        realized_pnl=money.format(fill.realised_pnl_units),
        created_at=fill.created_at_ms,
        adl=fill.order_id == 0,
    )


# -- Accounts ----------------------------------------------------------------------------------------
def me_view(user: User) -> schemas.Me:
    """The user who asks."""
    return schemas.Me(
        user_id=str(user.user_id),
        email=user.email,
        guest=user.kind is UserKind.GUEST,
        scopes=sorted(user.scopes),
        created_at=user.created_at_ms,
    )


def balance_view(balance: BalanceDetails, portfolio: Portfolio, user_id: str) -> schemas.Balance:
    """A balance: available is the total without what orders and positions lock."""
    money = Scale(balance.decimals)
    locked = portfolio.locked_units(balance)
    return schemas.Balance(
        user_id=user_id,
        asset=balance.asset,
        total=money.format(balance.total_units),
        locked=money.format(locked),
        available=money.format(balance.total_units - locked),
    )


def position_view(
    row: PositionDetails, market: Market, portfolio: Portfolio, user_id: str, adl_rank: int | None = None
) -> schemas.Position:
    """A position, valued at the mark, with its rank among those to be deleveraged."""
    instrument, money = market.instrument, market.instrument.quote.scale
    figures = portfolio.figures(row)
    position = Position(row.position_lots, row.cost_units, row.realised_pnl_units)
    return schemas.Position(
        user_id=user_id,
        market_id=market.symbol,
        side=_position_side(row.position_lots),
        quantity=instrument.quantity_text(row.position_lots),
        entry_price=entry_price_text(position, instrument),
        mark_price=_price_text(instrument, figures.mark_ticks),
        notional=money.format(figures.notional_units),
        leverage=row.leverage,
        margin=money.format(figures.margin_units),
        unrealized_pnl=money.format(figures.unrealised_units),
        realized_pnl=money.format(row.realised_pnl_units),
        liquidation_price=_exact_price_text(instrument, figures.liquidation_ticks),
        margin_mode=cast("schemas.MarginMode", row.mode.name),
        maintenance_margin=money.format(figures.maintenance_units),
        bankruptcy_price=_exact_price_text(instrument, figures.bankruptcy_ticks),
        funding_accrued=money.format(row.funding_units),
        adl_rank=adl_rank,
        in_liquidation=row.in_liquidation,
    )


def preview_view(found: Preview, market: Market) -> schemas.OrderPreview:
    """What an order would do."""
    instrument, money = market.instrument, market.instrument.quote.scale.format
    refusal, position = found.refusal, found.position
    short = isinstance(refusal, InsufficientMargin)
    return schemas.OrderPreview(
        market_id=market.symbol,
        accepted=refusal is None,
        reason=None if refusal is None else "INSUFFICIENT_MARGIN" if short else "IN_LIQUIDATION",
        quantity=instrument.quantity_text(found.order.quantity_lots),
        price=instrument.price_text(found.order.price_ticks),
        notional=money(found.notional_units),
        leverage=found.order.leverage,
        held_margin=None if found.held_units is None else money(found.held_units),
        required=money(refusal.required_units) if isinstance(refusal, InsufficientMargin) else None,
        available=money(found.available_units),
        fee=money(found.fee_units),
        position_side=_position_side(position.quantity_lots),
        position_quantity=instrument.quantity_text(position.quantity_lots),
        entry_price=entry_price_text(position, instrument),
        margin=money(found.margin_units),
        maintenance_margin=money(found.maintenance_units),
        liquidation_price=_exact_price_text(instrument, found.liquidation_ticks),
        bankruptcy_price=_exact_price_text(instrument, found.bankruptcy_ticks),
    )


def _position_side(position_lots: int) -> schemas.PositionSide:
    if position_lots == 0:
        return "FLAT"
    return "LONG" if position_lots > 0 else "SHORT"


def _price_text(instrument: Instrument, price_ticks: int | None) -> str | None:
    return None if price_ticks is None else instrument.price_text(price_ticks)


def _exact_price_text(instrument: Instrument, price_ticks: Fraction | None) -> str | None:
    if price_ticks is None:
        return None
    return instrument.tick.ratio_text(price_ticks.numerator, price_ticks.denominator, instrument.quote.decimals)


# -- Markets -----------------------------------------------------------------------------------------
def market_view(market: Market) -> schemas.Market:
    """A market's terms."""
    terms = market.instrument
    return schemas.Market(
        id=market.symbol,
        symbol=market.symbol,
        base_asset=terms.base.name,
        quote_asset=terms.quote.name,
        max_leverage=terms.max_leverage,
        initial_margin_rate=RATES.format(terms.initial_margin_ppm),
        maintenance_margin_rate=RATES.format(terms.maintenance_margin_ppm),
        maker_fee_rate=RATES.format(terms.maker_fee_ppm),
        taker_fee_rate=RATES.format(terms.taker_fee_ppm),
        funding_interval_hours=terms.funding_interval_hours,
        funding_rate_cap=RATES.format(terms.funding_rate_cap_ppm),
        status=cast("schemas.MarketStatus", terms.status.name),
        market_id=market.symbol,
        tick_size=terms.tick.text(1),
        lot_size=terms.lot.text(1),
        min_notional=terms.quote.scale.format(terms.min_notional_units),
        kind=cast("schemas.MarketKind", terms.kind.name),
    )


def book_view(book: Book, market: Market) -> schemas.OrderBook:
    """The public book: nobody's identity, and not how many orders stand at a price."""
    return schemas.OrderBook(
        market_id=market.symbol,
        sequence=book.sequence,
        bids=level_texts(book.bids, market.instrument),
        asks=level_texts(book.asks, market.instrument),
    )


def level_texts(levels: Sequence[tuple[int, int, int]], instrument: Instrument) -> list[list[str]]:
    """Levels as price and quantity in text."""
    return [[instrument.price_text(price), instrument.quantity_text(lots)] for price, lots, _ in levels]


def trade_view(trade: PublicTrade, market: Market) -> schemas.Trade:
    """A trade as the public sees it."""
    return schemas.Trade(
        trade_id=str(trade.trade_id),
        market_id=market.symbol,
        side=_SIDES[trade.taker_side],
        price=market.instrument.price_text(trade.price_ticks),
        quantity=market.instrument.quantity_text(trade.quantity_lots),
        created_at=trade.time_ms,
    )


def price_view(
    market: Market,
    mark_ticks: int | None,
    index_ticks: int | None,
    last_ticks: int | None,
    last_trade: PublicTrade | None,
) -> schemas.Price:
    """What a market is worth; the time is that of the last trade."""
    return schemas.Price(
        market_id=market.symbol,
        mark_price=_price_text(market.instrument, mark_ticks),
        index_price=_price_text(market.instrument, index_ticks),
        last_price=_price_text(market.instrument, last_ticks),
        updated_at=None if last_trade is None else last_trade.time_ms,
    )
