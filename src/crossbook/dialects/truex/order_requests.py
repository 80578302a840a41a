"""TrueX's requests for orders as the order desk takes them. Refusals name the field, or say what programs match on."""

import re
from typing import Final

from crossbook.application.client_orders import ClientOrder
from crossbook.application.clients import Client, ClientStatus, FeeTier
from crossbook.application.errors import MarketNotFound
from crossbook.application.markets import Market, Markets
from crossbook.application.marks import Marks
from crossbook.application.requests import AmendRequest, NewOrder
from crossbook.dialects.market_ports import MarketData
from crossbook.dialects.truex import order_schemas as schemas
from crossbook.dialects.truex.errors import Kind, Problem, invalid
from crossbook.dialects.truex.translate import self_trade_prevention_of
from crossbook.domain.fees import order_rates
from crossbook.domain.instruments import FeeAsset, Instrument, InstrumentKind
from crossbook.domain.orders import MAX_ID, OrderType, Side, TimeInForce
from crossbook.domain.protection import InsufficientLiquidity, protection_price_ticks

EXTERNAL_ID: Final = re.compile(
    r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}|[A-Za-z0-9_.~-]{1,18}"
)
ORDER_ID: Final = re.compile(r"[1-9][0-9]{0,18}")
ADD_ONLY: Final = "ALO"
VISIBLE_LEVELS: Final = 1_000


# -- Ids ---------------------------------------------------------------------------------------------
def external_id(text: str | None) -> str | None:
    """A client's own id of an order; None for none. Raises Problem `Invalid ClOrdID`."""
    if text is None or EXTERNAL_ID.fullmatch(text):
        return text
    rule = "must be a UUIDv4 in lower case with hyphens, or 1 to 18 of A-Z, a-z, 0-9 and -_.~"
    raise Problem(Kind.INVALID_EXTERNAL_ID, f"Invalid ClOrdID: external_id {rule}", field="external_id", rule=rule)


def order_number(text: str) -> int:
    """An order's id; 0, which no order has, for a text that is none."""
    number = int(text) if ORDER_ID.fullmatch(text) else 0
    return number if number <= MAX_ID else 0


def ids_in(text: str | None, field: str) -> list[int]:
    """The ids of a comma-separated list. Raises Problem."""
    words = [] if text is None else text.split(",")
    if any(not ORDER_ID.fullmatch(word) or int(word) > MAX_ID for word in words):
        raise invalid(field, "must be ids parted by commas")
    return [int(word) for word in words]


def spot_market(markets: Markets, number: int | str) -> Market:
    """A spot market by its number. Raises MarketNotFound."""
    market = markets.numbered(int(number) if len(str(number)) <= 9 else 0)
    if market.instrument.kind is not InstrumentKind.SPOT:
        raise MarketNotFound(str(number))
    return market


def require_active(client: Client, field: str = "info.client_id") -> None:
    """Refuse a client that may not trade, or move money. Raises Problem."""
    if client.status is not ClientStatus.ACTIVE:
        rule = "must be active"
        raise Problem(Kind.INVALID_CLIENT, f"Invalid client: it {rule}", field=field, rule=rule)


# -- New orders --------------------------------------------------------------------------------------
def new_order(
    body: schemas.CreateOrder, market: Market, client: Client, rates: tuple[int | None, int | None]
) -> NewOrder:
    """The order that a body asks for; a MARKET order has no price yet. `rates` are the client's, maker's first.

    Raises Problem and InvalidDecimal for a field that breaks a rule.
    """
    info, instrument = body.info, market.instrument
    is_market = info.type == "MARKET"
    tif = info.tif or ("IOC" if is_market else "GTC")
    if is_market and tif != "IOC":
        raise invalid("info.tif", "must be IOC for a MARKET order", "IOC")
    if ADD_ONLY in info.exec_inst_flags and (is_market or tif == "IOC"):
        raise invalid("info.exec_inst_flags", "must not have ALO with IOC or MARKET: such an order only takes")
    return NewOrder(
        account_id=client.account_id,
        market_id=market.number,
        side=Side[info.side],
        type=OrderType[info.type],
        quantity_lots=instrument.quantity_lots(info.qty, "info.qty"),
        price_ticks=0 if is_market else _limit_ticks(info.price, instrument),
        time_in_force=TimeInForce[tif],
        post_only=ADD_ONLY in info.exec_inst_flags,
        self_trade_prevention=self_trade_prevention_of(info.stp, client),
        external_id=external_id(body.external_id),
        maker_fee_ppm=rates[0],
        taker_fee_ppm=rates[1],
        keeps_activity=True,
    )


def _limit_ticks(price: str | None, instrument: Instrument) -> int:
    if price is None:
        raise invalid("info.price", "is required for a LIMIT order")
    return instrument.price_ticks(price, "info.price")


def rates_of(client: Client, tiers: dict[int, FeeTier], instrument: Instrument) -> tuple[int, int]:
    """The rates of a client by its tiers, as maker and as taker; tier 0 is the instrument's own."""
    maker, taker = tiers.get(client.maker_fee_tier), tiers.get(client.taker_fee_tier)
    return order_rates(
        instrument.maker_fee_ppm if maker is None else maker.maker_fee_ppm,
        instrument.taker_fee_ppm if taker is None else taker.taker_fee_ppm,
        instrument.fee_asset is FeeAsset.RECEIVED,
    )


def protection_ticks(side: Side, quantity_lots: int, market: Market, data: MarketData, marks: Marks) -> int:
    """The worst price at which a MARKET order may trade; what the book does not offer is cancelled later.

    Raises Problem when neither the book nor a price before it says what the order could cost.
    """
    book = data.orderbook(market.symbol, VISIBLE_LEVELS)
    levels = [(price, lots) for price, lots, _ in (book.asks if side is Side.BUY else book.bids)]
    mark_ticks = marks.mark_ticks(market.number)
    try:
        return protection_price_ticks(side, levels, quantity_lots, mark_ticks)
    except InsufficientLiquidity as error:
        if error.available_lots:
            return protection_price_ticks(side, levels, error.available_lots, mark_ticks)
    if mark_ticks is None:
        raise Problem(
            Kind.NOT_ENOUGH_DEPTH, "the book is empty, and nothing has traded yet: a MARKET order has no price"
        )
    return protection_price_ticks(side, [(mark_ticks, quantity_lots)], quantity_lots, mark_ticks)


# -- Changes -----------------------------------------------------------------------------------------
def amendment(body: schemas.ModifyOrder, order: ClientOrder, market: Market) -> AmendRequest:
    """The change that a body asks for. With `id`, `external_id` is the new name; alone, it chose the order.

    Raises Problem and InvalidDecimal.
    """
    info, instrument = body.info, market.instrument
    renamed = external_id(body.external_id) if body.id is not None else None
    if renamed == order.external_id:
        renamed = None
    lots = 0 if info.new_qty is None else instrument.quantity_lots(info.new_qty, "info.new_qty")
    ticks = 0 if info.new_price is None else instrument.price_ticks(info.new_price, "info.new_price")
    if info.new_type == "MARKET":
        if info.new_price is not None:
            raise invalid("info.new_price", "must be absent when the order becomes a MARKET order")
    elif not lots and not ticks and renamed is None:
        raise invalid("info", "must have new_qty, new_price or new_type, or the body a new external_id")
    return AmendRequest(order.account_id, order.order_id, lots, ticks, external_id=renamed)
