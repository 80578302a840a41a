"""The load on the board of swaps: `python -m benchmarks.swap_load < PLAN`, a process of its own, as `venue_load`.

Every order comes over HTTP, from wallets that signed in with real keys.
"""

import asyncio
import hashlib
import json
from collections.abc import Iterator, Sequence
from random import Random
from statistics import median
from time import perf_counter
from typing import Any, Final

from benchmarks.venue_load import CONNECTIONS, Connection, LoadError, Outcome, answer_of, connect, main, request
from crossbook.security.wallet_keys import WalletKeys

DONE: Final = 200
DECIMALS: Final = 6
AMOUNT: Final = "10.5"


def asset(name: str) -> str:
    """The id of an asset."""
    return hashlib.sha256(name.encode()).hexdigest()


def order(token: str, pair_id: int, kind: str, price: int) -> bytes:
    """A request that posts an offer; the price in millionths."""
    text = f"{price // 10**DECIMALS}.{price % 10**DECIMALS:06d}"
    data = {"type": kind, "side": "limit", "price": text, "amount": AMOUNT, "pairId": pair_id}
    return request("POST", "/api/orders/create", body={"token": token, "orderData": data})


async def make_pair(connection: Connection, operator: str, name: str) -> int:
    """A new pair of two new assets; its number."""
    for side in ("first", "second"):
        body = {"asset_id": asset(f"{name} {side}"), "name": name, "code": side.upper(), "decimal_point": DECIMALS}
        await answer_of(connection, request("POST", "/api/admin/put-asset", body={"token": operator, **body}), DONE)
    both = {"first": asset(f"{name} first"), "second": asset(f"{name} second")}
    made = await answer_of(connection, request("POST", "/api/admin/put-pair", body={"token": operator, **both}), DONE)
    pair_id: int = made["data"]["id"]
    return pair_id


async def sign_in(connection: Connection, number: int) -> str:
    """A wallet's token."""
    keys = WalletKeys.of_seed(hashlib.sha256(f"wallet {number}".encode()).digest())
    message = f"benchmark {number}"
    signature = keys.sign(message.encode())
    data = {
        "address": keys.address().text,
        "alias": f"wallet{number}",
        "message": message,
        "signature": signature,
    }
    body = {"data": data, "neverExpires": True}
    token: str = (await answer_of(connection, request("POST", "/api/auth", body=body), DONE))["data"]
    return token


async def post_all(connections: Sequence[Connection], orders: Iterator[bytes]) -> list[float]:
    """Post offers over all connections; how long each took, in seconds."""
    waits_s: list[float] = []

    async def work(connection: Connection) -> None:
        for each in orders:
            started_s = perf_counter()
            await answer_of(connection, each, DONE)
            waits_s.append(perf_counter() - started_s)

    await asyncio.gather(*(work(connection) for connection in connections))
    return waits_s


async def timed(connection: Connection, asked: Sequence[bytes]) -> tuple[list[float], Any]:
    """How long each request takes by itself, in seconds, and the last answer; the first does not count."""
    waits_s, answer = [], None
    for each in asked:
        started_s = perf_counter()
        status, body = await connection.ask(each)
        waits_s.append(perf_counter() - started_s)
        if status != DONE:
            raise LoadError(f"{status}: {body[:300].decode(errors='replace')}")
        answer = body
    assert answer is not None
    return waits_s[1:], json.loads(answer)


def page(token: str, pair_id: int) -> bytes:
    """A request for a user's page."""
    return request("POST", "/api/orders/get-user-page", body={"token": token, "pairId": pair_id})


async def swaps(
    port: int, email: str, password: str, creates: int, own: int, crossing: int, wallets: int, looks: int, seed: int
) -> Outcome:
    """All measurements of the board, one after the other, each on a pair of its own."""
    rng = Random(seed)
    connections = await connect(port, CONNECTIONS)
    first = connections[0]
    login = request("POST", "/auth/login", body={"email": email, "password": password})
    operator = (await answer_of(first, login, DONE))["token"]
    tokens = [await sign_in(first, number) for number in range(wallets)]
    flood, crossed, alone = [await make_pair(first, operator, name) for name in ("flood", "crossed", "alone")]

    def resting(count: int) -> Iterator[bytes]:
        for number in range(count):
            kind, price = ("buy", 10**6) if number % 2 else ("sell", 2 * 10**6)
            yield order(tokens[number % wallets], flood, kind, price + rng.randrange(10**6 - 1) + 1)

    made = list(resting(creates))
    started_s = perf_counter()
    waits_s = await post_all(connections, iter(made))
    per_s = creates / (perf_counter() - started_s)
    me, others = tokens[0], tokens[1:]
    await post_all(connections, (order(me, crossed, "buy", 5 * 10**6 + number) for number in range(own)))
    sells = (order(others[n % len(others)], crossed, "sell", rng.randrange(10**6, 5 * 10**6)) for n in range(crossing))
    await post_all(connections, sells)
    await post_all(connections, (order(me, alone, "sell", 3 * 10**6 + number) for number in range(crossing)))
    pages_s, shown = await timed(first, [page(me, crossed)] * looks)
    _check(len(shown["data"]["applyTips"]), crossing, "tips")
    own_s, shown = await timed(first, [page(me, alone)] * looks)
    _check(len(shown["data"]["orders"]), crossing, "own orders")
    enters_s, shown = await timed(first, [order(me, crossed, "buy", 5 * 10**6)] * looks)
    _check(shown["data"].get("immediateMatch"), True, "a match")
    book = request("POST", "/api/orders/get-page", body={"pairId": alone})
    book_s, shown = await timed(first, [book] * looks)
    _check(len(shown["data"]), crossing, "orders of the book")
    for connection in connections:
        connection.close()
    figures = {"page": pages_s, "own": own_s, "enter": enters_s, "book": book_s, "create": waits_s}
    return {
        "create_per_s": per_s,
        **{f"{name}_p50_ms": 1_000 * median(times) for name, times in figures.items()},
        **{f"{name}_worst_ms": 1_000 * max(times) for name, times in figures.items()},
    }


def _check(found: object, wanted: object, what: str) -> None:
    if found != wanted:
        raise LoadError(f"{found} {what} instead of {wanted}")


if __name__ == "__main__":
    main({"swaps": swaps})
