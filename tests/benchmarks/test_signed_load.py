"""Signed load: each request is signed as the contract says, and no two are alike."""

import base64
import hashlib
import hmac
import json
from itertools import islice

from benchmarks.signed_load import crossing_orders, signed

KEYS = [{"key_id": f"key-{n}", "secret": f"secret-{n}", "client_id": str(n)} for n in range(3)]


def test_a_request_is_signed_over_what_is_sent() -> None:
    head, _, body = signed(KEYS[1], "POST", "/api/v1/orders", b'{"a":1}').decode().partition("\r\n\r\n")
    headers = dict(line.split(": ", 1) for line in head.split("\r\n")[1:])
    payload = headers["x-truex-auth-timestamp"] + "POST/api/v1/orders" + body
    digest = hmac.new(b"secret-1", payload.encode(), hashlib.sha256).digest()
    assert headers["x-truex-auth-signature"] == base64.b64encode(digest).decode()
    assert headers["Content-Length"] == str(len(body))


def test_orders_are_buys_and_sells_in_turn_of_different_clients_and_all_different() -> None:
    orders = list(islice(crossing_orders(KEYS, "4"), 12))
    bodies = [json.loads(asked.partition(b"\r\n\r\n")[2]) for _, asked in orders]
    assert [body["info"]["side"] for body in bodies] == ["BUY", "SELL"] * 6
    assert {body["info"]["price"] for body in bodies} == {"65000"}
    assert all(buyer[0] != seller[0] for buyer, seller in zip(orders[::2], orders[1::2], strict=True))
    assert [body["info"]["client_id"] for body in bodies] == [place for place, _ in orders]
    assert len({body["external_id"] for body in bodies}) == len(bodies)
