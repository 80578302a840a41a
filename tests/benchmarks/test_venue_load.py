"""The load generator must ask what it says it asks, and read answers however they arrive."""

import json
from itertools import islice
from random import Random

from benchmarks.report import Row
from benchmarks.venue_load import MID_PRICE, SAFE_PRICE, Connection, crossing_orders, request, resting_order

ANSWER = b"HTTP/1.1 202 Accepted\r\ncontent-length: 15\r\nx: y\r\n\r\n" + b'{"orderId":"7"}'


def test_an_answer_is_read_however_it_is_cut() -> None:
    for cut in range(1, len(ANSWER)):
        connection = Connection()
        answers: list[tuple[int, bytes]] = []

        def answered(status: int, body: bytes, answers: list[tuple[int, bytes]] = answers) -> None:
            answers.append((status, body))

        connection._answered = answered
        connection.data_received(ANSWER[:cut])
        assert answers == []
        connection.data_received(ANSWER[cut:])
        assert answers == [(202, b'{"orderId":"7"}')]


def test_a_request_says_how_long_its_body_is() -> None:
    head, _, body = request("POST", "/orders", "token", {"a": "b"}).partition(b"\r\n\r\n")
    assert head.startswith(b"POST /orders HTTP/1.1\r\n")
    assert b"Authorization: Bearer token" in head
    assert b"Content-Length: %d" % len(body) in head


def test_crossing_orders_are_buys_and_sells_in_turn_at_one_price() -> None:
    tokens = ["a", "b", "c", "d"]
    orders = [
        (token, json.loads(asked.partition(b"\r\n\r\n")[2])) for token, asked in islice(crossing_orders(tokens), 8)
    ]
    assert [order["side"] for _, order in orders] == ["BUY", "SELL"] * 4
    assert {order["price"] for _, order in orders} == {str(MID_PRICE)}
    assert all(buyer[0] != seller[0] for buyer, seller in zip(orders[::2], orders[1::2], strict=True))


def test_resting_orders_are_out_of_reach() -> None:
    rng = Random(1)
    orders = [resting_order(rng) for _ in range(500)]
    assert all(float(order["price"]) < MID_PRICE for order in orders if order["side"] == "BUY")
    assert all(float(order["price"]) > SAFE_PRICE for order in orders if order["side"] == "SELL")
    assert {order["side"] for order in orders} == {"BUY", "SELL"}


def test_a_row_without_an_aim_is_met_or_missed() -> None:
    assert Row("lag", 900, "ms", 1_000).verdict == "met"
    assert Row("lag", 1_100, "ms", 1_000).verdict == "missed"
    assert Row("ratio", 0.95, "", 0.9, more_is_better=True).verdict == "met"
    assert Row("rate", 9.0, "orders/s", 5, 8, more_is_better=True).verdict == "aim met"
