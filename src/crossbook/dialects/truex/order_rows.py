"""Orders, trades, activity and transfers as TrueX shows them, and the texts of reasons that programs match on."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, cast

import msgspec

from crossbook.application.activity import Activity, ActivityKind
from crossbook.application.client_orders import ClientOrder, ClientTrade
from crossbook.application.markets import Market
from crossbook.application.order_filters import OrderStage
from crossbook.application.transfers import Transfer
from crossbook.dialects.truex import order_schemas as schemas
from crossbook.dialects.truex.translate import PREVENTION_NAME
from crossbook.domain.errors import Reason
from crossbook.domain.fees import LiquidityRole
from crossbook.domain.instruments import Instrument
from crossbook.domain.money import RATES, Scale
from crossbook.domain.orders import OrderType, Side

NS_PER_MS: Final = 1_000_000
OUTSIDE_BAND: Final = "Order outside book price bands"
PARAMETER_REQUEST: Final = "Order parameter request"

REASONS: Final[Mapping[Reason, str]] = MappingProxyType(
    {
        Reason.PRICE_OUTSIDE_BAND: OUTSIDE_BAND,
        Reason.IOC_UNFILLED: PARAMETER_REQUEST,
        Reason.FOK_UNFILLED: PARAMETER_REQUEST,
        Reason.MARKET_LIQUIDITY_EXHAUSTED: PARAMETER_REQUEST,
        Reason.PROTECTION_PRICE: PARAMETER_REQUEST,
        Reason.BUDGET_SPENT: PARAMETER_REQUEST,
        Reason.POST_ONLY_WOULD_TAKE: "Order would take liquidity",
        Reason.USER_REQUEST: "Client request",
        Reason.OPERATOR_REQUEST: "Exchange request",
        Reason.AMENDED_BELOW_FILLED: "Quantity executed",
        Reason.SELF_TRADE_PREVENTION: "Self trade prevention",
        Reason.ORDER_NOT_FOUND: "Unknown order",
    }
)


def reason_text(reason: int) -> str:
    """A reason as a text: one that programs know, else its name in words."""
    known = Reason(reason)
    return REASONS.get(known) or known.name.replace("_", " ").capitalize()


# -- Orders ------------------------------------------------------------------------------------------
def price_text(instrument: Instrument, price_ticks: int) -> str:
    """A price; 0 where there is none."""
    return instrument.price_text(price_ticks) if price_ticks else "0"


def order_row(order: ClientOrder, market: Market, new_type: str = "") -> schemas.Order:
    """An order as its client sees it. `new_type` is what a change asked for just now."""
    instrument = market.instrument
    is_market = order.type is OrderType.MARKET
    is_new = order.stage is OrderStage.NEW_PENDING
    executed = instrument.quantity_text(order.filled_lots)
    info = schemas.OrderInfo(
        client_id=str(order.account_id),
        instrument_id=str(order.market_id),
        qty=instrument.quantity_text(order.quantity_lots),
        price="0" if is_market else price_text(instrument, order.price_ticks),
        side=cast("schemas.Side", order.side.name),
        type=order.type.name,
        tif=order.time_in_force.name,
        exec_inst_flags=["ALO"] if order.post_only else [],
        stp=PREVENTION_NAME.get(order.self_trade_prevention, "INVALID"),
    )
    return schemas.Order(
        id=str(order.order_id),
        status=cast("schemas.Status", order.stage.name),
        order_info=info,
        modify_info=_modify_info(order, instrument, new_type),
        external_id=order.external_id,
        ref_external_id=order.ref_external_id,
        pending_qty=info.qty if is_new else "0",
        leaves_qty="0" if is_new else instrument.quantity_text(order.open_lots),
        executed_qty=executed,
        exeuted_qty=executed,
        executed_vwap=_vwap(order, instrument),
    )


def _modify_info(order: ClientOrder, instrument: Instrument, new_type: str) -> schemas.ModifyInfo:
    if order.new_quantity_lots is None or order.new_price_ticks is None:
        return schemas.ModifyInfo(client_id=str(order.account_id), new_type=new_type)
    return schemas.ModifyInfo(
        client_id=str(order.account_id),
        new_qty=instrument.quantity_text(order.new_quantity_lots),
        new_price=price_text(instrument, order.new_price_ticks),
        new_type=new_type or order.type.name,
    )


def _vwap(order: ClientOrder, instrument: Instrument) -> str:
    if order.filled_lots == 0:
        return "0"
    value_of_lots = order.filled_lots * instrument.units_per_tick_lot
    return instrument.tick.ratio_text(order.filled_notional_units, value_of_lots, instrument.quote.decimals)


# -- Trades and activity -----------------------------------------------------------------------------
def trade_row(trade: ClientTrade, market: Market) -> schemas.Trade:
    """One side of a trade as its client sees it."""
    return schemas.Trade(
        client_id=str(trade.account_id),
        external_id=trade.external_id,
        instrument_id=str(trade.market_id),
        msg_type="REPORT_TRADE",
        timestamp=str(trade.created_at_ms * NS_PER_MS),
        side=cast("schemas.Side", trade.side.name),
        order_id=str(trade.order_id),
        trade_price=market.instrument.price_text(trade.price_ticks),
        trade_qty=market.instrument.quantity_text(trade.quantity_lots),
        trade_fee_rate=RATES.format(trade.fee_ppm),
        liq_flag=cast("schemas.Role", trade.role.name),
        match_id=str(trade.trade_id),
    )


_WITH_TERMS: Final = frozenset(
    {
        ActivityKind.REQUEST_NEW,
        ActivityKind.REQUEST_MODIFY,
        ActivityKind.REPORT_CONFIRM,
        ActivityKind.REPORT_REJECT,
        ActivityKind.REPORT_MODIFIED,
    }
)
_WITH_REASON: Final = frozenset({ActivityKind.REPORT_REJECT, ActivityKind.REPORT_CANCELED})


def activity_row(step: Activity, market: Market) -> schemas.ActivityRow:
    """A step as its client sees it: terms, a trade or a reason, by its kind. A new order's request has no id yet."""
    row = schemas.ActivityRow(
        client_id=str(step.account_id),
        external_id=step.external_id or "",
        instrument_id=str(step.market_id),
        msg_type=cast("schemas.MsgType", step.kind.name),
        timestamp=str(step.recorded_at_ns),
        side=cast("schemas.Side", Side(step.side).name),
    )
    if step.kind is not ActivityKind.REQUEST_NEW:
        row = msgspec.structs.replace(row, order_id=str(step.order_id))
    instrument = market.instrument
    if step.kind in _WITH_TERMS:
        price, quantity = price_text(instrument, step.price_ticks), instrument.quantity_text(step.quantity_lots)
        row = msgspec.structs.replace(row, order_price=price, order_qty=quantity)
    if step.kind in _WITH_REASON:
        row = msgspec.structs.replace(row, reason=reason_text(step.reason))
    if step.trade_id is not None and step.role is not None and step.fee_ppm is not None:
        row = msgspec.structs.replace(
            row,
            trade_price=instrument.price_text(step.price_ticks),
            trade_qty=instrument.quantity_text(step.quantity_lots),
            trade_fee_rate=RATES.format(step.fee_ppm),
            liq_flag=LiquidityRole(step.role).name,
            match_id=str(step.trade_id),
        )
    return row


# -- Transfers ---------------------------------------------------------------------------------------
def transfer_row(transfer: Transfer) -> schemas.Transfer:
    """A transfer as its client sees it, with the instructions as they came."""
    payment, text = transfer.payment, transfer.request.instructions
    request = schemas.TransferRequest(
        amount=Scale(transfer.decimals).format(payment.amount_units),
        asset_id=str(transfer.asset_id),
        client_id=str(payment.account_id),
        type=cast("schemas.TransferType", payment.type.name),
        platform=cast("schemas.Platform", payment.platform.name),
        instructions=msgspec.json.decode(text) if text else {},
    )
    return schemas.Transfer(
        id=str(transfer.transfer_id),
        status=cast("schemas.TransferStatus", transfer.status.name),
        request=request,
        reason=transfer.reason,
    )
