"""A trading bot for the Lethean Trade DEX: one order, swapped bit by bit with whoever meets it.

    python examples/lethean_bot.py --venue http://127.0.0.1:8000 --wallet http://127.0.0.1:11211/wallets/alice \
        --alias alice --pair 1 --side sell --price 0.25 --amount 100

It needs the address of a venue and of a wallet that answers JSON-RPC (`crossbook wallet-sim` is one), and no package
beside Python. Its flow is the one that the DEX documents:

    1. sign in with the wallet          5. look for matches
    2. read the pair                    6. apply to a match, or finalise one that was applied to
    3. post an order                    7. cancel what is left at the end
    4. say every 10 s that it is alive

Two of them, one buying and one selling, trade with each other. The wallets hold the money; the venue only brings
them together. So before the bot finalises, it reads the proposal and compares it, to the smallest unit, with what
it expects; and whatever goes wrong before its wallet has sent the transaction, it calls the swap off, so that both
orders are free again.
"""

import argparse
import base64
import json
import logging
import signal
import time
import urllib.error
import urllib.request
import uuid
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

PING_EVERY_S = 10
LOOK_EVERY_S = 1.0
PAUSE_AFTER_FAILURE_S = 15
"""How long a match is left alone after it failed."""
TIMEOUT_S = 20
FEE_UNITS = 10_000_000_000
"""What the chain takes for a transaction, in its own currency: the side that proposes pays it."""

log = logging.getLogger("lethean_bot")


class Refused(Exception):
    """The venue or the wallet said no."""


class Unreachable(Exception):
    """The venue or the wallet did not answer: whether it did what was asked is not known."""


# -- Talking -----------------------------------------------------------------------------------------
def post(url: str, body: dict[str, Any]) -> dict[str, Any]:
    """The JSON that answers a POST of JSON, whatever its status. Raises Unreachable."""
    request = urllib.request.Request(  # noqa: S310 - the operator says where
        url, json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    try:
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_S) as reply:  # noqa: S310
                answer = json.loads(reply.read())
        except urllib.error.HTTPError as error:
            with error:
                answer = json.loads(error.read())
    except (OSError, ValueError) as error:
        raise Unreachable(f"{url}: {error}") from error
    if not isinstance(answer, dict):
        raise Unreachable(f"{url}: not an answer")
    return answer


class Wallet:
    """A wallet, by JSON-RPC."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/").removesuffix("/json_rpc") + "/json_rpc"

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """The result of a method. Raises Refused and Unreachable."""
        answer = post(self._url, {"jsonrpc": "2.0", "id": 0, "method": method, "params": params})
        if "error" in answer:
            raise Refused(f"{method}: {answer['error'].get('message')}")
        result: dict[str, Any] = answer["result"]
        return result

    def sign(self, message: str) -> str:
        """The signature of a message."""
        signature: str = self.call("sign_message", buff=base64.b64encode(message.encode()).decode())["sig"]
        return signature


class Venue:
    """The Trade DEX. The token is sent in the body of every call, once there is one."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/") + "/api"
        self.token = ""

    def call(self, path: str, **body: Any) -> Any:
        """The `data` of an answer. Raises Refused and Unreachable."""
        if self.token:
            body["token"] = self.token
        answer = post(self._url + path, body)
        if not answer.get("success"):
            raise Refused(f"{path}: {answer.get('data')}")
        return answer.get("data")


# -- Amounts -----------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Pair:
    """What is swapped: amounts are in the first currency, prices in the second."""

    pair_id: int
    first_asset: str
    second_asset: str
    first_decimals: int
    second_decimals: int

    def units_of(self, amount: str, price: str) -> tuple[int, int]:
        """An amount, and what it costs rounded down, in smallest units."""
        first = int(Decimal(amount).scaleb(self.first_decimals))
        price_units = int(Decimal(price).scaleb(self.second_decimals))
        return first, first * price_units // 10**self.first_decimals


def funds(asset_id: str, units: int) -> list[dict[str, Any]]:
    """One side of a proposal."""
    return [{"asset_id": asset_id, "amount": units}]


# -- The bot -----------------------------------------------------------------------------------------
@dataclass
class Terms:
    """What the bot is to do."""

    alias: str
    pair_id: int
    side: str
    price: str
    amount: str


@dataclass
class Bot:
    """One order, from sign-in to clean-up. `step` does what is to do now, and says whether there is more."""

    venue: Venue
    wallet: Wallet
    terms: Terms
    address: str = ""
    pair: Pair | None = None
    order_id: int = 0
    swaps: int = 0
    """Swaps that were confirmed, of both kinds."""
    applied: dict[int, int] = field(default_factory=dict)
    """The other order of each swap that we applied for, by transaction."""
    sent: dict[int, str] = field(default_factory=dict)
    """Amounts by transaction that our wallet has sent to the chain, and the venue does not know of yet."""
    unsure: set[int] = field(default_factory=set)
    """Transactions that our wallet may have sent: it did not answer."""
    _pinged_s: float = float("-inf")
    _left_alone: dict[int, float] = field(default_factory=dict)

    def start(self) -> None:
        """Steps 1 to 3. Raises Refused and Unreachable."""
        self.sign_in()
        self.read_pair()
        self.post_order(self.terms.amount)

    def sign_in(self) -> None:
        """Step 1: sign a message of the venue with the wallet."""
        self.address = self.wallet.call("getaddress")["address"]
        try:
            message = self.venue.call("/auth/request-auth", address=self.address, alias=self.terms.alias)
        except Refused:
            message = str(uuid.uuid4())  # an older venue lets us choose it
        signed = {
            "address": self.address,
            "alias": self.terms.alias,
            "message": message,
            "signature": self.wallet.sign(message),
        }
        self.venue.token = self.venue.call("/auth", data=signed, neverExpires=False)
        log.info("signed in as %s", self.terms.alias)

    def read_pair(self) -> None:
        """Step 2: which assets, and how many decimals they have."""
        found = self.venue.call("/dex/get-pair", id=self.terms.pair_id)
        first, second = found["first_currency"], found["second_currency"]
        self.pair = Pair(
            found["id"],
            first["asset_id"],
            second["asset_id"],
            first["asset_info"]["decimal_point"],
            second["asset_info"]["decimal_point"],
        )

    def post_order(self, amount: str) -> None:
        """Step 3: the order, for what is still to be swapped."""
        terms = self.terms
        order = {"type": terms.side, "side": "limit", "price": terms.price, "amount": amount, "pairId": terms.pair_id}
        self.order_id = self.venue.call("/orders/create", orderData=order)["id"]
        log.info("order %s: %s %s at %s", self.order_id, terms.side, amount, terms.price)

    def step(self, now_s: float) -> bool:
        """Steps 4 to 6, once. False when the order is swapped completely. Raises Refused and Unreachable."""
        self.confirm_sent()
        self.ping(now_s)
        page = self.venue.call("/orders/get-user-page", pairId=self.terms.pair_id)
        own = next((order for order in page["orders"] if order["id"] == self.order_id), None)
        self.watch_applied()
        if own is None or Decimal(own["left"]) <= 0:
            log.info("order %s is done", self.order_id)
            return False
        tips = [tip for tip in page["applyTips"] if tip["connected_order_id"] == self.order_id]
        # Those that wait for us first. A swap changes what the other matches are worth: they are looked at again then.
        for tip in sorted(tips, key=lambda tip: not tip["transaction"]):
            if self.take(tip, now_s):
                break
        return True

    def ping(self, now_s: float) -> None:
        """Step 4: others see that somebody answers at once."""
        if now_s - self._pinged_s < PING_EVERY_S:
            return
        try:
            self.venue.call("/dex/renew-bot", orderId=self.order_id)
        except Refused as error:
            log.debug("not renewed: %s", error)
        self._pinged_s = now_s

    def take(self, tip: dict[str, Any], now_s: float) -> bool:
        """Step 6: apply, or finalise; whether that went well. A match that fails is left alone for a while."""
        key = tip["id"] if not tip["transaction"] else -tip["id"]
        if now_s < self._left_alone.get(key, now_s):
            return False
        try:
            if tip["transaction"]:
                self.finalise(tip)
            else:
                self.apply(tip)
        except Refused as error:
            log.warning("match %s: %s", tip["id"], error)
            self._left_alone[key] = now_s + PAUSE_AFTER_FAILURE_S
            return False
        return True

    # -- Applying: we propose, the other side finalises ----------------------------------------------
    def apply(self, tip: dict[str, Any]) -> None:
        """Make a proposal for all that the two orders can swap, and hand it to the venue."""
        given, gotten = self.both_sides(tip)
        made = self.wallet.call(
            "ionic_swap_generate_proposal",
            destination_address=tip["user"]["address"],
            proposal={
                "to_finalizer": given,
                "to_initiator": gotten,
                "mixins": 10,
                "fee_paid_by_a": FEE_UNITS,
            },
        )
        order = {
            "id": tip["id"],
            "connected_order_id": tip["connected_order_id"],
            "hex_raw_proposal": made["hex_raw_proposal"],
        }
        answer = self.venue.call("/orders/apply-order", orderData=order)
        transaction_id = answer["transactionId"] if isinstance(answer, dict) else 0
        self.applied[transaction_id] = tip["id"]
        log.info("applied to order %s for %s at %s", tip["id"], tip["left"], tip["price"])

    def watch_applied(self) -> None:
        """Look after the swaps that we applied for: the other side finalises them, or calls them off."""
        for transaction_id, other_id in list(self.applied.items()):
            try:
                self.venue.call(
                    "/transactions/get-active-tx-by-orders-ids", firstOrderId=self.order_id, secondOrderId=other_id
                )
            except Refused:  # it is over
                del self.applied[transaction_id]
                status = self.status_of(transaction_id)
                log.info("the swap with order %s is %s", other_id, status)
                self.swaps += status == "confirmed"

    def status_of(self, transaction_id: int) -> str:
        """What became of a transaction: pending, confirmed, rejected, or "" for an unknown one."""
        found = self.venue.call("/transactions/get-my-transactions")
        return next((each["status"] for each in found if each["id"] == transaction_id), "")

    # -- Finalising: the other side proposed, we send the transaction --------------------------------
    def finalise(self, tip: dict[str, Any]) -> None:
        """Compare the proposal with what we expect, let the wallet send it, then tell the venue.

        Raises Refused after the swap was called off. A wallet that does not answer may have sent it or not: then
        the swap is neither confirmed nor called off until the wallet says which.
        """
        transaction_id, proposal = tip["id"], tip["hex_raw_proposal"]
        if transaction_id in self.sent:
            return
        try:
            self.check(tip)
            done = self.wallet.call("ionic_swap_accept_proposal", hex_raw_proposal=proposal)
        except Unreachable:
            self.unsure.add(transaction_id)
            raise
        except Refused:
            if transaction_id in self.unsure:
                raise
            self.call_off(transaction_id)
            raise
        log.info("swapped %s at %s: chain transaction %s", tip["left"], tip["price"], done["result_tx_id"])
        self.unsure.discard(transaction_id)
        self.sent[transaction_id] = tip["left"]
        self.confirm_sent()

    def check(self, tip: dict[str, Any]) -> None:
        """Raises Refused unless the proposal gives and takes exactly what the two orders agreed on."""
        given, gotten = self.both_sides(tip)
        terms = self.wallet.call("ionic_swap_get_proposal_info", hex_raw_proposal=tip["hex_raw_proposal"])["proposal"]
        if sums(terms["to_finalizer"]) != sums(gotten) or sums(terms["to_initiator"]) != sums(given):
            raise Refused("the proposal is not what was agreed")

    def call_off(self, transaction_id: int) -> None:
        """Reject a swap that our wallet did not send, so that both orders are free again."""
        try:
            self.venue.call("/transactions/cancel", transactionId=transaction_id)
        except Refused as error:
            log.info("transaction %s is over already: %s", transaction_id, error)

    def confirm_sent(self) -> None:
        """Tell the venue of what our wallet has sent, again at each step until it answers.

        When it has given the swap up meanwhile, the order there shows more than is left: it is posted anew.
        """
        for transaction_id, amount in list(self.sent.items()):
            try:
                self.venue.call("/transactions/confirm", transactionId=transaction_id)
                confirmed = True
            except Refused as error:
                confirmed = self.status_of(transaction_id) == "confirmed"  # an answer that was lost
                if not confirmed:
                    log.error("transaction %s was sent, and the venue gave it up: %s", transaction_id, error)
            del self.sent[transaction_id]
            self.swaps += confirmed
            if not confirmed:
                self.post_the_rest(amount)

    def post_the_rest(self, swapped: str) -> None:
        """Replace the order by one without what was swapped behind the venue's back."""
        page = self.venue.call("/orders/get-user-page", pairId=self.terms.pair_id)
        own = next((order for order in page["orders"] if order["id"] == self.order_id), None)
        if own is None:
            return
        self.venue.call("/orders/cancel", orderId=self.order_id)
        rest = Decimal(own["left"]) - Decimal(swapped)
        if rest > 0:
            self.post_order(f"{rest:f}")

    def both_sides(self, tip: dict[str, Any]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """What we give and what we get in the swap of a tip."""
        assert self.pair is not None
        first, second = self.pair.units_of(tip["left"], tip["price"])
        bought, paid = funds(self.pair.first_asset, first), funds(self.pair.second_asset, second)
        return (paid, bought) if self.terms.side == "buy" else (bought, paid)

    def stop(self) -> None:
        """Step 7: cancel what is left."""
        self.confirm_sent()
        try:
            self.venue.call("/orders/cancel", orderId=self.order_id)
            log.info("order %s is cancelled", self.order_id)
        except Refused:
            log.debug("order %s is not open any more", self.order_id)


def sums(side: list[dict[str, Any]]) -> dict[str, int]:
    """What one side of a proposal amounts to, by asset."""
    found: dict[str, int] = {}
    for each in side:
        found[each["asset_id"]] = found.get(each["asset_id"], 0) + int(each["amount"])
    return found


# -- Running -----------------------------------------------------------------------------------------
def run(bot: Bot, seconds: float) -> None:
    """Trade for so long, or until the order is swapped; then clean up. An answer that fails is asked for again."""
    end_s = time.monotonic() + seconds
    bot.start()
    try:
        while time.monotonic() < end_s:
            try:
                if not bot.step(time.monotonic()):
                    return
            except Refused as error:
                log.warning("%s", error)
                if "Unauthorized" in str(error):
                    bot.sign_in()
            except Unreachable as error:
                log.warning("%s", error)
            time.sleep(LOOK_EVERY_S)
    finally:
        bot.stop()


def arguments() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(description="Swaps one order on a Lethean Trade DEX.")
    parser.add_argument("--venue", default="http://127.0.0.1:8000", help="address of the venue (%(default)s)")
    parser.add_argument("--wallet", required=True, help="address of a wallet's JSON-RPC")
    parser.add_argument("--alias", required=True, help="the name to sign in with")
    parser.add_argument("--pair", type=int, default=1, help="number of the pair (%(default)s)")
    parser.add_argument("--side", choices=["buy", "sell"], required=True)
    parser.add_argument("--price", required=True, help="in the second currency, for one of the first")
    parser.add_argument("--amount", required=True, help="of the first currency")
    parser.add_argument("--seconds", type=float, default=3600, help="how long to try (%(default)s)")
    return parser.parse_args()


def interrupt(*_: object) -> None:
    """End in order when a service manager asks for it, as at an interrupt from the keyboard."""
    raise KeyboardInterrupt


def main() -> None:
    """Run one bot."""
    asked = arguments()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    signal.signal(signal.SIGTERM, interrupt)
    terms = Terms(asked.alias, asked.pair, asked.side, asked.price, asked.amount)
    bot = Bot(Venue(asked.venue), Wallet(asked.wallet), terms)
    try:
        run(bot, asked.seconds)
    except KeyboardInterrupt:
        log.info("stopped")
    except (Refused, Unreachable) as error:
        raise SystemExit(str(error)) from error
    log.info("swaps made: %s", bot.swaps)


if __name__ == "__main__":
    main()
