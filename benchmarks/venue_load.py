"""The load on a venue: `python -m benchmarks.venue_load < PLAN`, a process of its own, on loopback only.

It speaks HTTP/1.1 by hand over connections that stay open, with requests made beforehand, so that it takes
little of the machine that it measures. A plan is one JSON object: `phase`, `port`, and what the phase takes.
The outcome is one JSON object too. Every phase ends by itself.
"""

import asyncio
import json
import sys
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from itertools import cycle, islice
from random import Random
from statistics import quantiles
from time import perf_counter
from typing import Any, Final, cast

HOST: Final = "127.0.0.1"
MARKET: Final = "BTC-PERP"
CONNECTIONS: Final = 64
BATCH_ORDERS: Final = 50
BATCH_CONNECTIONS: Final = 4
PROBE_EVERY: Final = 25
PROBE_CONNECTIONS: Final = 16
PROBE_PAUSE_S: Final = 0.002
LOOK_S: Final = 0.001
FUNDS: Final = "10000000"
MID_PRICE: Final = 65_000
SAFE_PRICE: Final = MID_PRICE + 1
"""Where the stock for the probes is offered: above all that the load trades at."""
NEAREST_RESTING: Final = 10
RESTING_PRICES: Final = 2_500
"""Prices on each side at which resting orders stand, a tick of 0.1 apart, NEAREST_RESTING from the middle."""
SETTLED_WITHIN_S: Final = 60.0
CONNECTION_LOST: Final = 0
ACCEPTED: Final = 202

Outcome = dict[str, Any]
AllSettled = Callable[[Sequence["Connection"], Sequence[tuple[str, bytes]]], Awaitable[None]]
"""Waits until orders are settled, each with its sender and the body that answered it."""


class LoadError(Exception):
    """The venue answered what it must not, or not at all."""


# -- HTTP --------------------------------------------------------------------------------------------
class Connection(asyncio.Protocol):
    """One connection with one request under way at most. `answered` gets the status and the body."""

    def __init__(self) -> None:
        self._buffer = b""
        self._transport: asyncio.Transport | None = None
        self._answered: Callable[[int, bytes], None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one only in what it does

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell who waits."""
        self._answer(CONNECTION_LOST, str(exc).encode())

    def send(self, request: bytes, answered: Callable[[int, bytes], None]) -> None:
        """Send one request."""
        assert self._transport is not None
        assert self._answered is None
        self._answered = answered
        self._transport.write(request)

    def ask(self, request: bytes) -> "asyncio.Future[tuple[int, bytes]]":
        """Send one request and await its answer."""
        future: asyncio.Future[tuple[int, bytes]] = asyncio.get_running_loop().create_future()
        self.send(request, lambda status, body: future.set_result((status, body)))
        return future

    def data_received(self, data: bytes) -> None:
        """Gather one answer: a head with a Content-Length, and the body."""
        buffer = self._buffer = self._buffer + data
        head_ends = buffer.find(b"\r\n\r\n")
        if head_ends < 0:
            return
        at = buffer.find(b"content-length: ", 0, head_ends)
        length = int(buffer[at + 16 : buffer.find(b"\r", at)]) if at >= 0 else 0
        if len(buffer) >= head_ends + 4 + length:
            self._buffer = b""
            self._answer(int(buffer[9:12]), buffer[head_ends + 4 :])

    def close(self) -> None:
        """Hang up."""
        if self._transport is not None:
            self._transport.abort()

    def _answer(self, status: int, body: bytes) -> None:
        answered, self._answered = self._answered, None
        if answered is not None:
            answered(status, body)


async def connect(port: int, count: int) -> list[Connection]:
    """Open connections to the venue."""
    loop = asyncio.get_running_loop()
    return [(await loop.create_connection(Connection, HOST, port))[1] for _ in range(count)]


def request(method: str, path: str, token: str = "", body: object = None) -> bytes:
    """The bytes of a request."""
    content = b"" if body is None else json.dumps(body, separators=(",", ":")).encode()
    lines = [f"{method} {path} HTTP/1.1", f"Host: {HOST}"]
    if token:
        lines.append(f"Authorization: Bearer {token}")
    if body is not None:
        lines += ["Content-Type: application/json", f"Content-Length: {len(content)}"]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + content


async def answer_of(connection: Connection, asked: bytes, wanted: int) -> Any:
    """The answer's JSON. Raises LoadError for another status."""
    status, body = await connection.ask(asked)
    if status != wanted:
        raise LoadError(f"{status} instead of {wanted}: {body[:300].decode(errors='replace')}")
    return json.loads(body)


# -- Orders ------------------------------------------------------------------------------------------
def order(side: str, price: str, quantity: str = "0.001") -> dict[str, str]:
    """The body of a limit order."""
    return {"marketId": MARKET, "side": side, "type": "LIMIT", "price": price, "quantity": quantity}


def crossing_orders(tokens: Sequence[str]) -> Iterator[tuple[str, bytes]]:
    """Orders without end, each with the token of its sender: buys and sells in turn, by account after account.

    All are at one price: one of two meets an order that waits, and the other waits for one.
    """
    buys, sells = (
        [request("POST", "/orders", token, order(side, str(MID_PRICE))) for token in tokens] for side in ("BUY", "SELL")
    )
    half = len(tokens) // 2
    for place in cycle(range(len(tokens))):
        yield tokens[place], buys[place]
        other = (place + half) % len(tokens)
        yield tokens[other], sells[other]


def resting_order(rng: Random) -> dict[str, str]:
    """An order that nothing of the load reaches."""
    tenths = 10 * NEAREST_RESTING + rng.randrange(RESTING_PRICES)
    buys = rng.random() < 0.5
    price_tenths = 10 * MID_PRICE + (-tenths if buys else tenths)
    return order("BUY" if buys else "SELL", f"{price_tenths // 10}.{price_tenths % 10}")


# -- Phases ------------------------------------------------------------------------------------------
async def accounts(port: int, count: int) -> Outcome:
    """Make guests with money; their tokens."""
    connections = await connect(port, BATCH_CONNECTIONS)

    async def make(connection: Connection, number: int) -> list[str]:
        made = []
        for _ in range(number):
            token = (await answer_of(connection, request("POST", "/auth/guest"), 201))["token"]
            deposit = request("POST", "/deposits", token, {"asset": "USDC", "amount": FUNDS})
            await answer_of(connection, deposit, 201)
            made.append(token)
        return made

    shares = [count // BATCH_CONNECTIONS] * BATCH_CONNECTIONS
    found = await asyncio.gather(*(make(one, share) for one, share in zip(connections, shares, strict=True)))
    return {"tokens": [token for tokens in found for token in tokens]}


async def rest(port: int, tokens: list[str], count: int, seed: int) -> Outcome:
    """Place orders that stay, in batches; how many, once all of them are settled."""
    rng = Random(seed)
    connections = await connect(port, BATCH_CONNECTIONS)
    sizes = [BATCH_ORDERS] * (count // BATCH_ORDERS) + ([count % BATCH_ORDERS] if count % BATCH_ORDERS else [])
    work = iter(list(zip(sizes, cycle(tokens))))
    last: list[tuple[str, str]] = []

    async def place(connection: Connection) -> None:
        for size, token in work:
            body = {"orders": [resting_order(rng) for _ in range(size)]}
            answer = await answer_of(connection, request("POST", "/orders/batch", token, body), ACCEPTED)
            if any("orderId" not in result for result in answer["results"]):
                raise LoadError(f"a resting order was refused: {answer['results'][0]}")
            last.append((token, answer["results"][-1]["orderId"]))

    await asyncio.gather(*(place(connection) for connection in connections))
    await _all_settled(connections, last[-len(connections) :])
    return {"placed": count}


async def flood(port: int, tokens: list[str], count: int) -> Outcome:
    """`count` orders as fast as CONNECTIONS connections get their answers, and on until all of them are settled."""

    async def all_settled(connections: Sequence[Connection], last: Sequence[tuple[str, bytes]]) -> None:
        await _all_settled(connections, [(token, json.loads(body)["orderId"]) for token, body in last])

    return await pour(port, crossing_orders(tokens), count, ACCEPTED, all_settled)


async def pour(
    port: int, endless: Iterator[tuple[str, bytes]], count: int, wanted: int, all_settled: AllSettled
) -> Outcome:
    """The first `count` of these orders, each with its sender, as fast as CONNECTIONS connections get their answers.

    Each must be answered `wanted`. Then on until `all_settled` has seen the last order of each connection settled.
    """
    connections = await connect(port, CONNECTIONS)
    orders = islice(endless, count)
    done = asyncio.get_running_loop().create_future()
    waits_s: list[float] = []
    last: dict[Connection, tuple[str, bytes]] = {}

    def next_order(connection: Connection) -> None:
        following = next(orders, None)
        if following is None:
            return
        token, asked = following
        sent_s = perf_counter()

        def answered(status: int, body: bytes) -> None:
            if status != wanted:
                if not done.done():
                    done.set_exception(LoadError(f"an order was answered {status}: {body[:300]!r}"))
                return
            waits_s.append(perf_counter() - sent_s)
            last[connection] = token, body
            if len(waits_s) == count:
                done.set_result(None)
            next_order(connection)

        connection.send(asked, answered)

    started_s = perf_counter()
    for connection in connections:
        next_order(connection)
    await done
    stopped_s = perf_counter()
    await all_settled(connections, list(last.values()))
    settled_s = perf_counter()
    return {
        "accepted_per_s": count / (stopped_s - started_s),
        "settled_per_s": count / (settled_s - started_s),
        "lag_ms": (settled_s - stopped_s) * 1_000,
        **_percentiles("wait", waits_s),
    }


async def _all_settled(connections: Sequence[Connection], orders: Sequence[tuple[str, str]]) -> None:
    """Wait until each order is decided: settlement goes in the order of the log, so all before it are too.

    An order's state and its fills become readable at the same moment. Raises LoadError when that takes too long.
    """
    end_s = perf_counter() + SETTLED_WITHIN_S

    async def settled(connection: Connection, token: str, order_id: str) -> None:
        asked = request("GET", f"/orders/{order_id}", token)
        while (await answer_of(connection, asked, 200))["status"] == "PENDING":
            if perf_counter() > end_s:
                raise LoadError(f"order {order_id} is still PENDING")
            await asyncio.sleep(PROBE_PAUSE_S)

    await asyncio.gather(*(settled(one, *placed) for one, placed in zip(connections, orders, strict=False)))


async def paced(port: int, tokens: list[str], per_s: int, count: int) -> Outcome:
    """`count` orders, one every so often whatever the venue does; a wait begins when an order was due.

    One of PROBE_EVERY takes from a stock that is always there, and its fill is looked for until it is read.
    """
    seller, *others = tokens
    pool = await connect(port, CONNECTIONS + PROBE_CONNECTIONS)
    free, readers = deque(pool[:CONNECTIONS]), deque(pool[CONNECTIONS:])
    stock = request("POST", "/orders", seller, order("SELL", str(SAFE_PRICE), f"{count / 1000:.3f}"))
    await _all_settled(free, [(seller, (await answer_of(free[0], stock, ACCEPTED))["orderId"])])
    takers = [request("POST", "/orders", token, order("BUY", str(SAFE_PRICE))) for token in others]
    orders = crossing_orders(others)
    waits_s: list[float] = []
    fills_s: list[float] = []
    tasks: set[asyncio.Task[None]] = set()

    async def read_fill(token: str, order_id: str, due_s: float) -> None:
        reader = readers.popleft()
        asked = request("GET", f"/fills?limit=1&orderId={order_id}", token)
        while not await answer_of(reader, asked, 200):
            if perf_counter() > due_s + SETTLED_WITHIN_S:
                raise LoadError(f"order {order_id} has no fill")
            await asyncio.sleep(PROBE_PAUSE_S)
        fills_s.append(perf_counter() - due_s)
        readers.append(reader)

    async def place(place: int, due_s: float) -> None:
        probes = place % PROBE_EVERY == 0 and bool(readers)
        token, asked = next(orders)
        if probes:
            token, asked = others[place % len(others)], takers[place % len(others)]
        connection = free.popleft()
        answer = await answer_of(connection, asked, ACCEPTED)
        waits_s.append(perf_counter() - due_s)
        free.append(connection)
        if probes:
            await read_fill(token, answer["orderId"], due_s)

    started_s = perf_counter()
    for number in range(count):
        due_s = started_s + number / per_s
        while perf_counter() < due_s or not free:
            await asyncio.sleep(LOOK_S)
        task = asyncio.create_task(place(number, due_s))
        tasks.add(task)
        await asyncio.sleep(0)  # the order takes its connection before the next one looks for it
    elapsed_s = perf_counter() - started_s
    await asyncio.gather(*tasks)
    return {"per_s": count / elapsed_s, **_percentiles("wait", waits_s), **_percentiles("fill", fills_s)}


def _percentiles(name: str, waits_s: Sequence[float]) -> Outcome:
    """Median, 99th percentile and worst, in milliseconds."""
    hundredths = quantiles(waits_s, n=100, method="inclusive")
    figures = {"p50": hundredths[49], "p99": hundredths[98], "worst": max(waits_s)}
    return {f"{name}_{figure}_ms": value_s * 1_000 for figure, value_s in figures.items()} | {
        f"{name}_count": len(waits_s)
    }


PHASES: Final[dict[str, Callable[..., Awaitable[Outcome]]]] = {
    "accounts": accounts,
    "rest": rest,
    "flood": flood,
    "paced": paced,
}


def main(phases: Mapping[str, Callable[..., Awaitable[Outcome]]] = PHASES) -> None:
    """Run the plan on standard input; its outcome goes to standard output."""
    plan = json.load(sys.stdin)
    phase = phases[plan.pop("phase")]
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        print(json.dumps(runner.run(_run(phase, plan))))


async def _run(phase: Callable[..., Awaitable[Outcome]], plan: dict[str, Any]) -> Outcome:
    return await phase(**plan)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


if __name__ == "__main__":
    main()
