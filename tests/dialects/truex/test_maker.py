"""The market maker of the examples against a real venue, and one book traded through two dialects at once."""

import importlib.util
import random
import sys
import threading
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import httpx2

from tests.dialects.flux.venue import FluxVenue
from tests.dialects.truex.signing import Organization, SigningClient
from tests.dialects.truex.venue import organization
from tests.storage.audited import audited

EXAMPLE: Final = Path(__file__).parents[3] / "examples" / "truex_maker.py"
SYMBOL: Final = "BTC-PYUSD"
MIDDLE: Final = 50_000
ASSETS: Final = {"PYUSD": "1000000", "BTC": "20"}
SECONDS: Final = 3.0


def example() -> ModuleType:
    """The example as a module."""
    spec = importlib.util.spec_from_file_location("truex_maker", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["truex_maker"] = module
    spec.loader.exec_module(module)
    return module


class Trader:
    """Enters LIMIT orders for BTC-PYUSD, in whatever dialect."""

    def __init__(self, send: Callable[[str, str, str, bool], int], close: Callable[[], None]) -> None:
        self._send = send
        self.close = close
        self.statuses: set[int] = set()

    def order(self, side: str, price: str, quantity: str, passing: bool = True) -> None:
        self.statuses.add(self._send(side, price, quantity, passing))


def truex_trader(venue: FluxVenue, who: Organization) -> Trader:
    client, number = SigningClient(venue.addresses["embedded"], who), instrument_id(venue)

    def send(side: str, price: str, quantity: str, passing: bool) -> int:
        order = {"client_id": str(who.client_id), "instrument_id": number, "qty": quantity, "price": price}
        terms = {"side": side, "type": "LIMIT", "tif": "IOC" if passing else "GTC"}
        body = httpx2.Request("POST", "http://x", json={"external_id": name(), "info": {**order, **terms}}).content
        return client.send("POST", "/api/v1/orders", body).status_code

    return Trader(send, client.close)


def flux_trader(venue: FluxVenue) -> Trader:
    """A user of Flux: an account like any other, and the same book."""
    client = httpx2.Client(base_url=venue.addresses["embedded"], timeout=30)
    guest = client.post("/auth/guest").json()
    client.headers["authorization"] = f"Bearer {guest['token']}"
    for asset, amount in ASSETS.items():
        assert client.post("/deposits", json={"asset": asset, "amount": amount}).status_code in {200, 201}

    def send(side: str, price: str, quantity: str, passing: bool) -> int:
        terms = {"side": side, "type": "LIMIT", "timeInForce": "IOC" if passing else "GTC", "leverage": 1}
        body = {"marketId": SYMBOL, "price": price, "quantity": quantity, "clientOrderId": name(), **terms}
        return client.post("/orders", json=body).status_code

    return Trader(send, client.close)


def instrument_id(venue: FluxVenue) -> str:
    return str(venue.parts.markets.named(SYMBOL).number)


def name() -> str:
    return f"t{random.getrandbits(48):x}"


def trade_at_random(trader: Trader, seed: int, seconds: float) -> None:
    """Take small amounts from both sides of the book, and rest some."""
    choose = random.Random(seed)
    end_s = time.monotonic() + seconds
    while time.monotonic() < end_s:
        side = choose.choice(["BUY", "SELL"])
        away = choose.randint(0, 60) * (1 if side == "BUY" else -1)
        trader.order(side, str(MIDDLE + away), f"0.00{choose.randint(10, 60)}", passing=choose.random() < 0.8)
        time.sleep(0.01)


def clear(venue: FluxVenue) -> None:
    """Cancel everything, so that the next test finds an empty book."""

    async def cancel() -> None:
        async with venue.parts.database.transaction() as transaction:
            rows = await transaction.rows("SELECT DISTINCT account_id FROM orders WHERE is_live")
        for row in rows:
            await venue.parts.services.desk.cancel_all(row["account_id"])

    venue.run(cancel())
    venue.settle()


def balances(venue: FluxVenue, account_id: int) -> dict[str, tuple[int, int]]:
    """Total and held units of an account, by asset."""
    held = venue.run(venue.parts.services.queries.holdings(account_id)).balances
    return {each.asset: (each.total_units, each.held_units) for each in held}


def test_the_example_quotes_both_sides_and_ends_flat(venue: FluxVenue) -> None:
    module = example()
    maker = organization(venue, "example-maker", ASSETS)
    anchor = truex_trader(venue, organization(venue, "example-anchor", ASSETS))
    for side, price in (("BUY", MIDDLE - 400), ("SELL", MIDDLE + 400)):
        anchor.order(side, str(price), "5", passing=False)
    before = balances(venue, maker.client_id)["BTC"]
    taker = truex_trader(venue, organization(venue, "example-taker", ASSETS))
    taking = threading.Thread(target=trade_at_random, args=(taker, 1, SECONDS))
    client = module.TruexClient(venue.addresses["embedded"], maker.key_id, maker.secret)
    plan = module.Plan(seconds=SECONDS, quantity=Decimal("0.02"), every_s=0.05, price=Decimal(MIDDLE), renew_every=10)
    taking.start()
    account = module.Maker(client, plan).run()
    taking.join()
    client.close()
    anchor.close()
    taker.close()
    venue.settle()
    assert account.net == 0
    assert account.created > 2
    assert account.modified > 0
    assert account.cancelled > 0
    assert account.traded > 0
    # What it holds of the base is what it held: not a unit more or less, and nothing is set aside.
    assert balances(venue, maker.client_id)["BTC"] == before
    assert {held for _, held in balances(venue, maker.client_id).values()} == {0}
    clear(venue)
    assert venue.run(audited(venue.parts.database)) == {}


def test_one_book_traded_through_truex_and_flux_at_once(venue: FluxVenue) -> None:
    address = venue.addresses["embedded"]
    signer = organization(venue, "both-signer", ASSETS)
    traders = [truex_trader(venue, signer), flux_trader(venue), flux_trader(venue)]
    threads = [
        threading.Thread(target=trade_at_random, args=(trader, seed, SECONDS)) for seed, trader in enumerate(traders)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    venue.settle()
    assert [trader.statuses - {200, 202} for trader in traders] == [set(), set(), set()]
    # They met: a trade has one side from each dialect.
    reader = SigningClient(address, signer)
    now = str((int(time.time()) + 5) * 10**9)
    trades: list[dict[str, Any]] = reader.send("GET", f"/api/v1/orders/trade?timestamp={now}&size=100").json()
    market = venue.parts.markets.named(SYMBOL).number

    async def mixed() -> int:
        async with venue.parts.database.transaction(read_only=True) as transaction:
            count: int = await transaction.value(
                """
                SELECT count(*) FROM fills AS own JOIN fills AS other USING (market_id, trade_id)
                WHERE own.market_id = $1 AND own.account_id = $2 AND other.account_id <> $2
                """,
                market,
                signer.client_id,
            )
        return count

    reader.close()
    for trader in traders:
        trader.close()
    assert trades
    assert venue.run(mixed()) > 0
    # Both dialects show the same book.
    flux = httpx2.get(f"{address}/markets/{SYMBOL}/orderbook?depth=50").json()
    best = httpx2.get(f"{address}/api/v1/markets/quote?instrument_id={market}").json()[0]["info"]
    for side, shown in (("bids", best["best_bid"]), ("asks", best["best_ask"])):
        level = flux[side][0] if flux[side] else ["0", "0"]
        assert [shown["price"], shown["qty"]] == level
    assert venue.run(audited(venue.parts.database)) == {}
    clear(venue)
    assert venue.run(audited(venue.parts.database)) == {}
