"""Signed orders of TrueX: `python -m benchmarks.signed_load < PLAN`, as `benchmarks.venue_load`, whose HTTP it speaks.

Every order has a signature of its own, made right before it is sent, since it is good for seconds only; that costs
the machine that is measured a little.
"""

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import Iterator, Sequence
from itertools import count as numbers
from time import perf_counter, time
from typing import Final

from benchmarks.venue_load import (
    HOST,
    MID_PRICE,
    PROBE_PAUSE_S,
    SETTLED_WITHIN_S,
    Connection,
    LoadError,
    Outcome,
    answer_of,
    connect,
    main,
    pour,
)

SYMBOL: Final = "BTC-PYUSD"
QUANTITY: Final = "0.0001"
API: Final = "/api/v1"
OK: Final = 200

Key = dict[str, str]
"""`key_id`, `secret` and `client_id`, as in a venue's demo.json."""


def signed(key: Key, method: str, path: str, body: bytes = b"") -> bytes:
    """The bytes of a signed request."""
    timestamp = str(int(time()))
    payload = timestamp.encode() + method.encode() + path.encode() + body
    signature = base64.b64encode(hmac.digest(key["secret"].encode(), payload, hashlib.sha256)).decode()
    lines = [
        f"{method} {path} HTTP/1.1",
        f"Host: {HOST}",
        f"x-truex-auth-timestamp: {timestamp}",
        f"x-truex-auth-token: {key['key_id']}",
        f"x-truex-auth-signature: {signature}",
    ]
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


def new_order(key: Key, instrument_id: str, side: str, name: str) -> bytes:
    """The body of a LIMIT order that may trade with its own client's, as those of a few clients must."""
    terms = {"qty": QUANTITY, "price": str(MID_PRICE), "side": side, "type": "LIMIT", "tif": "GTC", "stp": "NONE"}
    info = {"client_id": key["client_id"], "instrument_id": instrument_id, **terms, "exec_inst_flags": []}
    return json.dumps({"external_id": name, "info": info}, separators=(",", ":")).encode()


def crossing_orders(keys: Sequence[Key], instrument_id: str) -> Iterator[tuple[str, bytes]]:
    """Signed orders without end, each with the number of its key: buys and sells in turn, all at one price."""
    for number in numbers():
        place = number // 2 % len(keys)
        side = "BUY" if number % 2 == 0 else "SELL"
        if side == "SELL":
            place = (place + 1) % len(keys)
        body = new_order(keys[place], instrument_id, side, f"b{number}")
        yield str(place), signed(keys[place], "POST", f"{API}/orders", body)


async def flood(port: int, keys: list[Key], count: int) -> Outcome:
    """`count` signed orders as fast as the connections get their answers, and on until all of them are settled."""
    asker, *_ = await connect(port, 1)
    asked = f"GET {API}/instruments?symbol={SYMBOL} HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode()
    instrument_id = next(row["id"] for row in await answer_of(asker, asked, OK))

    async def all_settled(connections: Sequence[Connection], last: Sequence[tuple[str, bytes]]) -> None:
        end_s = perf_counter() + SETTLED_WITHIN_S

        async def settled(connection: Connection, key: Key, order_id: str) -> None:
            path = f"{API}/orders/status/{order_id}"
            while (await answer_of(connection, signed(key, "GET", path), OK))["status"] == "NEW_PENDING":
                if perf_counter() > end_s:
                    raise LoadError(f"order {order_id} is still NEW_PENDING")
                await asyncio.sleep(PROBE_PAUSE_S)

        wanted = [(keys[int(place)], json.loads(body)["id"]) for place, body in last]
        await asyncio.gather(*(settled(one, *each) for one, each in zip(connections, wanted, strict=False)))

    return await pour(port, crossing_orders(keys, instrument_id), count, OK, all_settled)


if __name__ == "__main__":
    main({"flood": flood})
