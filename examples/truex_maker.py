"""A market maker for TrueX: quotes both sides of an instrument, and ends with what it began with.

    python examples/truex_maker.py --url http://127.0.0.1:8000 --demo data/demo.json --seconds 300
    python examples/truex_maker.py --url http://127.0.0.1:8000 --key KEY_ID --secret SECRET --symbol BTC-PYUSD

It needs no package beside Python. It follows the middle of the book: each side is one order that only adds
liquidity; when the middle has moved the order is changed, now and then it is cancelled and entered anew, and when it
has filled the next one takes its place. At the end it cancels what is open, and sells or buys back, by MARKET orders,
what it has bought or sold more than the other way.

`TruexClient` is all that a program needs to speak TrueX: about forty lines, of which the signature is three.
"""

import argparse
import base64
import hashlib
import hmac
import http.client
import json
import logging
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

API = "/api/v1"
ENDED = frozenset({"FILLED", "CANCELED", "REJECTED"})
NONE = Decimal(0)

log = logging.getLogger("truex_maker")


# -- The client --------------------------------------------------------------------------------------
class Refused(Exception):
    """The venue said no: its status, and the problem that it named."""

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        super().__init__(f"{status} {problem.get('title', '')}: {problem.get('detail', '')}")
        self.status = status
        self.problem = problem


class TruexClient:
    """Sends signed requests of one key over one connection, and gives the JSON that comes back."""

    def __init__(self, url: str, key: str, secret: str, timeout_s: float = 20) -> None:
        self._address = urlsplit(url)
        self._key = key
        self._secret = secret.encode()
        self._timeout_s = timeout_s
        self._connection: http.client.HTTPConnection | None = None

    def get(self, path: str, **query: str) -> Any:
        """Read something. Raises Refused, and OSError when the venue can not be reached."""
        return self._request("GET", path, query)

    def send(self, method: str, path: str, body: Mapping[str, Any] | None = None, **query: str) -> Any:
        """Change something. Raises Refused, and OSError: then it may have been done or not."""
        return self._request(method, path, query, json.dumps(body).encode() if body is not None else b"")

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _request(self, method: str, path: str, query: Mapping[str, str], body: bytes = b"") -> Any:
        target = API + path
        headers = {"Content-Type": "application/json", **self._signed(method, target, body)}
        if query:
            target += "?" + urlencode(query)
        status, text = self._exchange(method, target, body, headers)
        answer = json.loads(text) if text else {}
        if status >= 400:
            raise Refused(status, answer)
        return answer

    def _signed(self, method: str, path: str, body: bytes) -> dict[str, str]:
        """The headers of a signature: over timestamp, method, path without the query, and the body's bytes."""
        timestamp = str(int(time.time()))
        payload = timestamp.encode() + method.encode() + path.encode() + body
        signature = base64.b64encode(hmac.new(self._secret, payload, hashlib.sha256).digest()).decode()
        return {
            "x-truex-auth-timestamp": timestamp,
            "x-truex-auth-token": self._key,
            "x-truex-auth-signature": signature,
        }

    def _exchange(self, method: str, target: str, body: bytes, headers: Mapping[str, str]) -> tuple[int, bytes]:
        if self._connection is None:
            kind = http.client.HTTPSConnection if self._address.scheme == "https" else http.client.HTTPConnection
            self._connection = kind(self._address.netloc, timeout=self._timeout_s)
        try:
            self._connection.request(method, target, body or None, dict(headers))
            reply = self._connection.getresponse()
            return reply.status, reply.read()
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise OSError(f"{method} {target}: {error}") from error


# -- The maker ---------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Plan:
    """How it quotes. `spread` is the distance of each side from the middle, as a part of it."""

    symbol: str = "BTC-PYUSD"
    seconds: float = 300
    quantity: Decimal = Decimal("0.01")
    spread: Decimal = Decimal("0.00003")
    every_s: float = 0.5
    renew_every: int = 20
    """A side is cancelled and entered anew at every so many rounds; otherwise it is changed."""
    price: Decimal | None = None
    """The middle to begin with, where nobody else quotes and nothing has traded."""


@dataclass
class Quote:
    """One side's order as the maker last saw it."""

    order_id: str
    price: Decimal


@dataclass
class Account:
    """What the maker did. `net` is what it has bought more than sold, in the base asset."""

    net: Decimal = NONE
    created: int = 0
    modified: int = 0
    cancelled: int = 0
    traded: Decimal = NONE
    refusals: list[str] = field(default_factory=list)


class Maker:
    """Quotes an instrument for one client."""

    def __init__(self, client: TruexClient, plan: Plan, client_id: str | None = None) -> None:
        self.account = Account()
        self._client = client
        self._plan = plan
        self._client_id = client_id or client.get("/clients")[0]["id"]
        instrument = next(
            row for row in client.get("/instruments", symbol=plan.symbol) if row["info"]["symbol"] == plan.symbol
        )
        steps = next(row for row in client.get("/markets/increment") if row["symbol"] == plan.symbol)
        self._instrument_id = instrument["id"]
        self._tick = Decimal(steps["price_increment"])
        self._reference = Decimal(instrument["info"]["reference_price"])
        self._quotes: dict[str, Quote] = {}
        self._run = f"{random.getrandbits(40):010x}"

    def run(self) -> Account:
        """Quote for as long as planned, then end flat; what was done."""
        end_s = time.monotonic() + self._plan.seconds
        rounds = 0
        try:
            while time.monotonic() < end_s:
                self._round(rounds)
                rounds += 1
                time.sleep(self._plan.every_s)
        finally:
            self.end()
        return self.account

    def end(self) -> None:
        """Cancel what is open, and trade back what was bought or sold more than the other way."""
        for side in list(self._quotes):
            self._cancel(side)
        for _ in range(20):
            if self.account.net == 0:
                return
            self._flatten()
        log.error("could not get flat: %s is left", self.account.net)

    def _round(self, number: int) -> None:
        """Bring both sides to where the middle is."""
        middle = self._middle()
        if middle is None:
            log.info("there is no price to quote around")
            return
        for place, side in enumerate(("BUY", "SELL")):
            price = self._price(side, middle)
            quoted = self._quotes.get(side)
            if quoted is not None and number % self._plan.renew_every == self._plan.renew_every // 2 + place:
                self._cancel(side)
                quoted = None
            if quoted is None:
                self._enter(side, price)
            else:
                self._follow(side, quoted, price)

    def _middle(self) -> Decimal | None:
        """The middle of the book, or the last price, or the one to begin with."""
        info = self._client.get("/markets/quote", instrument_id=self._instrument_id)
        info = (info[0] if isinstance(info, list) else info)["info"]
        bid, ask = Decimal(info["best_bid"]["price"]), Decimal(info["best_ask"]["price"])
        if bid and ask:
            return (bid + ask) / 2
        return Decimal(info["last_trade"]["price"]) or self._plan.price or self._reference or bid or ask or None

    def _price(self, side: str, middle: Decimal) -> Decimal:
        """The price of a side, on the grid, away from the middle."""
        exact = middle * (1 - self._plan.spread if side == "BUY" else 1 + self._plan.spread)
        rounding = ROUND_FLOOR if side == "BUY" else ROUND_CEILING
        return (exact / self._tick).to_integral_value(rounding) * self._tick

    # -- One side ------------------------------------------------------------------------------------
    def _enter(self, side: str, price: Decimal) -> None:
        info = {"qty": str(self._plan.quantity), "price": str(price), "side": side, "type": "LIMIT", "tif": "GTC"}
        order = self._create({**info, "exec_inst_flags": ["ALO"]})
        if order is not None:
            self._quotes[side] = Quote(order["id"], price)

    def _follow(self, side: str, quoted: Quote, price: Decimal) -> None:
        """Move an order to another price; see first whether it is still there, and has traded."""
        order = self._client.get(f"/orders/status/{quoted.order_id}")
        if order["status"] in ENDED:
            self._count(side, order)
            return
        if price == quoted.price or order["status"] != "ACTIVE":
            return
        info = {"client_id": self._client_id, "new_qty": order["order_info"]["qty"], "new_price": str(price)}
        try:
            self._client.send("PATCH", "/orders", {"id": quoted.order_id, "info": info})
        except Refused as refused:  # it may have filled just now
            self.account.refusals.append(str(refused))
            return
        quoted.price = price
        self.account.modified += 1

    def _cancel(self, side: str) -> None:
        quoted = self._quotes[side]
        try:
            self._client.send("DELETE", f"/orders/{quoted.order_id}")
            self.account.cancelled += 1
        except Refused as refused:
            self.account.refusals.append(str(refused))
        self._count(side, self._ended(quoted.order_id))

    # -- Orders --------------------------------------------------------------------------------------
    def _create(self, info: dict[str, Any]) -> dict[str, Any] | None:
        """Enter an order under an id of our own: whoever gets no answer may ask again with it."""
        self.account.created += 1
        body = {
            "external_id": f"{self._run}-{self.account.created}",
            "info": {"client_id": self._client_id, "instrument_id": self._instrument_id, **info},
        }
        try:
            order: dict[str, Any] = self._client.send("POST", "/orders", body)
        except Refused as refused:
            self.account.refusals.append(str(refused))
            return None
        return order

    def _flatten(self) -> None:
        """One MARKET order against what is left."""
        side = "SELL" if self.account.net > 0 else "BUY"
        order = self._create({"qty": str(abs(self.account.net)), "side": side, "type": "MARKET"})
        if order is None:
            time.sleep(self._plan.every_s)
            return
        self._count(side, self._ended(order["id"]))

    def _ended(self, order_id: str) -> dict[str, Any]:
        """An order once nothing can happen to it any more."""
        while True:
            order: dict[str, Any] = self._client.get(f"/orders/status/{quote(order_id)}")
            if order["status"] in ENDED:
                return order
            time.sleep(0.02)

    def _count(self, side: str, order: dict[str, Any]) -> None:
        """Count what an order that has ended traded; its side is free."""
        executed = Decimal(order["executed_qty"])
        self.account.traded += executed
        self.account.net += executed if side == "BUY" else -executed
        quoted = self._quotes.get(side)
        if quoted is not None and quoted.order_id == order["id"]:
            del self._quotes[side]


# -- The command line --------------------------------------------------------------------------------
def credentials(options: argparse.Namespace) -> tuple[str, str, str | None]:
    """Key, secret and client: from the options, or of a user of the venue's demo.json."""
    if options.demo is None:
        return options.key, options.secret, options.client
    users = json.loads(Path(options.demo).read_text(encoding="utf-8"))["users"]
    found = next(user["truex"] for user in users if "truex" in user)
    return found["key_id"], found["secret"], found["client_id"]


def main() -> None:
    """Read the options, quote, and say what was done."""
    parser = argparse.ArgumentParser(description="Quotes both sides of a TrueX instrument, and ends flat.")
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    parser.add_argument("--demo", help="the demo.json of a venue; its first user with a key is taken")
    parser.add_argument("--key")
    parser.add_argument("--secret")
    parser.add_argument("--client", help="the client that trades; the key's first one unless given")
    parser.add_argument("--symbol", default=Plan.symbol)
    parser.add_argument("--seconds", type=float, default=Plan.seconds)
    parser.add_argument("--quantity", type=Decimal, default=Plan.quantity)
    parser.add_argument("--spread", type=Decimal, default=Plan.spread)
    parser.add_argument("--price", type=Decimal, help="the middle to begin with, in an empty market")
    options = parser.parse_args()
    if options.demo is None and not (options.key and options.secret):
        parser.error("give --demo, or --key and --secret")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    key, secret, client_id = credentials(options)
    plan = Plan(options.symbol, options.seconds, options.quantity, options.spread, price=options.price)
    client = TruexClient(options.url, key, secret)
    try:
        account = Maker(client, plan, client_id).run()
    finally:
        client.close()
    log.info(
        "entered %s, changed %s, cancelled %s, traded %s, left with %s",
        account.created,
        account.modified,
        account.cancelled,
        account.traded,
        account.net,
    )


if __name__ == "__main__":
    main()
