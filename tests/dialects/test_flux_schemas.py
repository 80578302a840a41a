"""Flux's shapes: the contract's examples, field by field and in order."""

import inspect
from typing import Any

import msgspec
import pytest

from crossbook.dialects.decoding import BodyDecoder
from crossbook.dialects.flux import schemas
from crossbook.dialects.refusals import Fault

STRUCTS = [
    kind
    for _, kind in inspect.getmembers(schemas, inspect.isclass)
    if issubclass(kind, msgspec.Struct) and kind.__module__ == schemas.__name__
]

SEED_ORDER = b"""{
  "marketId": "BTC-PERP", "side": "BUY", "type": "LIMIT", "quantity": "1.25", "price": "65000",
  "timeInForce": "GTC", "reduceOnly": false, "postOnly": true, "clientOrderId": "client-123", "leverage": 10
}"""

SEED_MARKET = (
    b'{"id":"BTC-PERP","symbol":"BTC-PERP","baseAsset":"BTC","quoteAsset":"USDC","maxLeverage":20,'
    b'"initialMarginRate":"0.05","maintenanceMarginRate":"0.005","makerFeeRate":"0.0002","takerFeeRate":"0.0005",'
    b'"fundingIntervalHours":8,"fundingRateCap":"0.00375","status":"ACTIVE",'
)

FIELDS: dict[type[msgspec.Struct], str] = {
    schemas.Order: "orderId status clientOrderId userId marketId side type quantity remainingQuantity filledQuantity "
    "averagePrice price timeInForce leverage reduceOnly postOnly heldMargin reason createdAt updatedAt id expiresAt "
    "triggerPrice triggerBy trail trailPercent ocoOrderId displayQuantity quoteQuantity lastAmendment",
    schemas.Market: "id symbol baseAsset quoteAsset maxLeverage initialMarginRate maintenanceMarginRate makerFeeRate "
    "takerFeeRate fundingIntervalHours fundingRateCap status marketId tickSize lotSize minNotional kind",
    schemas.Fill: "id tradeId orderId userId marketId side liquidityRole price quantity notional fee "
    "realizedPnl createdAt adl",
    schemas.Position: "userId marketId side quantity entryPrice markPrice notional leverage margin unrealizedPnl "
    "realizedPnl liquidationPrice marginMode maintenanceMargin bankruptcyPrice fundingAccrued adlRank inLiquidation",
    schemas.Balance: "userId asset total locked available",
    schemas.OrderBook: "marketId sequence bids asks",
    schemas.Registered: "userId",
    schemas.LoggedIn: "token userId",
    schemas.CancelAccepted: "orderId status",
    schemas.SubmitOrder: "marketId side type quantity price timeInForce reduceOnly postOnly clientOrderId leverage "
    "expiresAt selfTradePrevention triggerPrice triggerBy trail trailPercent ocoOrderId displayQuantity quoteQuantity",
}


def decode(body: bytes) -> schemas.SubmitOrder:
    return BodyDecoder(schemas.SubmitOrder).decode(body)


def submitted(**changes: object) -> bytes:
    return msgspec.json.encode({**msgspec.json.decode(SEED_ORDER), **changes})


@pytest.mark.parametrize("kind", FIELDS, ids=lambda kind: kind.__name__)
def test_the_fields_are_the_contracts_in_its_order(kind: type[msgspec.Struct]) -> None:
    assert " ".join(kind.__struct_encode_fields__) == FIELDS[kind]


@pytest.mark.parametrize("kind", STRUCTS, ids=lambda kind: kind.__name__)
def test_every_shape_is_frozen_and_has_a_schema(kind: type[msgspec.Struct]) -> None:
    assert kind.__struct_config__.frozen
    schema = msgspec.json.schema(kind)["$defs"][kind.__name__]
    assert "number" not in msgspec.json.encode(schema["properties"]).decode().split('"')


def test_the_seeds_order_is_read() -> None:
    order = decode(SEED_ORDER)
    assert (order.market_id, order.side, order.type, order.quantity, order.price) == (
        "BTC-PERP", "BUY", "LIMIT", "1.25", "65000",
    )  # fmt: skip
    assert (order.time_in_force, order.reduce_only, order.post_only) == ("GTC", False, True)
    assert (order.client_order_id, order.leverage) == ("client-123", 10)


def test_an_order_needs_four_fields() -> None:
    order = decode(b'{"marketId":"BTC-PERP","side":"SELL","type":"MARKET","quantity":"1","price":null}')
    assert (order.price, order.time_in_force, order.reduce_only, order.leverage) == (None, None, False, None)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("quantity", 1.25),
        ("quantity", 1),
        ("quantity", "-1"),
        ("quantity", "1e5"),
        ("quantity", ".5"),
        ("quantity", "5."),
        ("quantity", "NaN"),
        ("quantity", "Infinity"),
        ("quantity", ""),
        ("quantity", " 1"),
        ("quantity", "1" * 41),
        ("quantity", "\u0661"),
        ("price", 65000),
        ("side", "buy"),
        ("type", "STOP_MARKET"),
        ("timeInForce", "DAY"),
        ("reduceOnly", "true"),
        ("reduceOnly", 1),
        ("leverage", "10"),
        ("leverage", 1.5),
        ("leverage", 0),
        ("clientOrderId", ""),
        ("clientOrderId", "x" * 65),
        ("clientOrderId", 7),
        ("marketId", "../x"),
        ("reduceonly", True),
    ],
)
def test_a_wrong_order_is_refused_by_the_name_of_its_field(field: str, value: object) -> None:
    with pytest.raises(Fault) as caught:
        decode(submitted(**{field: value}))
    assert caught.value.field == field
    assert caught.value.rule


def test_the_seeds_market_is_written() -> None:
    fields: dict[str, Any] = msgspec.json.decode(SEED_MARKET[:-1] + b"}")
    added = {"marketId": "BTC-PERP", "tickSize": "0.1", "lotSize": "0.001", "minNotional": "10", "kind": "PERPETUAL"}
    market = msgspec.convert({**fields, **added}, schemas.Market)
    assert msgspec.json.encode(market).startswith(SEED_MARKET)


def an_order(**changes: Any) -> schemas.Order:
    values: dict[str, Any] = {
        "order_id": "order_123", "status": "PENDING", "client_order_id": None, "user_id": "user_123",
        "market_id": "BTC-PERP", "side": "BUY", "type": "MARKET", "quantity": "1", "remaining_quantity": "1",
        "filled_quantity": "0", "average_price": None, "time_in_force": "IOC", "leverage": 10, "reduce_only": False,
        "post_only": False, "held_margin": "0", "created_at": 1, "updated_at": 1, "id": "order_123",
    }  # fmt: skip
    return schemas.Order(**{**values, **changes})


def test_an_order_leaves_out_the_price_and_reason_that_it_has_not() -> None:
    bare = msgspec.json.decode(msgspec.json.encode(an_order()))
    assert {"price", "reason", "expiresAt"}.isdisjoint(bare)
    assert (bare["id"], bare["averagePrice"]) == ("order_123", None)
    full = msgspec.json.decode(msgspec.json.encode(an_order(price="65000", reason="IOC_UNFILLED")))
    assert (full["price"], full["reason"]) == ("65000", "IOC_UNFILLED")


def test_the_accepted_order_starts_with_the_seeds_fields() -> None:
    accepted = schemas.Accepted(order_id="order_123", status="PENDING")
    assert msgspec.json.encode(accepted) == b'{"orderId":"order_123","status":"PENDING"}'
    assert msgspec.json.encode(schemas.CancelAccepted(order_id="o")) == b'{"orderId":"o","status":"PENDING_CANCEL"}'


def test_a_batch_has_one_to_fifty_orders() -> None:
    batch = BodyDecoder(schemas.SubmitBatch)
    for count in (0, schemas.MAX_BATCH + 1):
        with pytest.raises(Fault, match="orders must be array of length"):
            batch.decode(b'{"orders":[' + b",".join([SEED_ORDER] * count) + b"]}")
    assert len(batch.decode(b'{"orders":[' + SEED_ORDER + b"]}").orders) == 1


def test_a_wrong_order_of_a_batch_is_found_by_its_place() -> None:
    with pytest.raises(Fault) as caught:
        BodyDecoder(schemas.SubmitBatch).decode(b'{"orders":[' + SEED_ORDER + b"," + submitted(price=1) + b"]}")
    assert caught.value.field == "orders[1].price"
    assert caught.value.got == "the number 1"


@pytest.mark.parametrize("amount", [10000, 0.5, "1,5", "-5", None])
def test_a_deposits_amount_is_a_decimal_string(amount: object) -> None:
    with pytest.raises(Fault, match="amount must be a decimal number in a string"):
        BodyDecoder(schemas.Transfer).decode(msgspec.json.encode({"asset": "USDC", "amount": amount}))


def test_a_request_about_a_user_may_hold_more_than_is_known() -> None:
    body = b'{"email":"trader@example.com","password":"long-password","newsletter":true}'
    assert BodyDecoder(schemas.Credentials).decode(body).email == "trader@example.com"


@pytest.mark.parametrize("field", ["email", "password"])
def test_registering_checks_its_fields(field: str) -> None:
    body = {"email": "trader@example.com", "password": "long-password", field: "x"}
    with pytest.raises(Fault) as caught:
        BodyDecoder(schemas.Credentials).decode(msgspec.json.encode(body))
    assert caught.value.field == field
