"""Settlement as a trader reads it: one line per command, one line per fill, order, position and balance.

A script is lines like these; times pass by a millisecond per line, orders are numbered by it:

    bob sells 3 @ 100 post-only
    alice buys 2 @ 101
    alice buys 500 worth              a market order by amount, ticks times lots
    alice cancels 2
    alice amends 2 to 5 @ 99          new total, and perhaps a new price
    alice reduces 2 by 1
    venue goes auction

Words after the price are the order's: post-only, reduce-only, ioc, fok, market, stop@90, stp-decrement ...
"""

from typing import Any, Final

from crossbook.application.settlement_rows import Settlement
from crossbook.domain.commands import AmendOrder, CancelOrder, Command, ReduceOrder, SetMarketState, SubmitOrder
from crossbook.domain.errors import Reason
from crossbook.domain.instruments import Instrument
from crossbook.domain.ledger import LedgerType
from crossbook.domain.money import Scale
from crossbook.domain.orders import MarketState, OrderType, SelfTradePrevention, Side, TimeInForce
from tests.application.venue import BASE, CLEARING, QUOTE, Venue, account_of

NAMES: Final = ("alice", "bob", "carol")
ACCOUNTS: Final = {name: account_of(number) for number, name in enumerate(NAMES, start=1)}
OWNERS: Final = {account: name for name, account in ACCOUNTS.items()} | {2: "fees", CLEARING: "clearing"}
START_MS: Final = 1_700_000_000_000
SIDES: Final = {"buys": Side.BUY, "sells": Side.SELL}
ROLES: Final = {1: "maker", 2: "taker"}


class Blotter:
    """A venue that is spoken to in lines."""

    def __init__(self, instrument: Instrument) -> None:
        self.venue = Venue(instrument)
        self._sequence = 0

    def play(self, script: str) -> Settlement:
        """Enter the lines of a script, and settle them as one batch."""
        for line in script.strip().splitlines():
            self.venue.enter(self._command(line.split()))
        settlement = self.venue.settle()
        self.venue.audit()
        return settlement

    def _command(self, words: list[str]) -> Command:
        self._sequence += 1
        who = (self._sequence, START_MS + self._sequence)
        name, verb, *rest = words
        if verb == "goes":
            return SetMarketState(*who, MarketState[rest[0].upper().replace("-", "_")])
        account_id = ACCOUNTS[name]
        if verb == "cancels":
            return CancelOrder(*who, int(rest[0]), account_id)
        if verb == "reduces":
            return ReduceOrder(*who, int(rest[0]), account_id, int(rest[2]))
        if verb == "amends":
            price_ticks = int(rest[4]) if "@" in rest else 0
            return AmendOrder(*who, int(rest[0]), account_id, int(rest[2]), price_ticks)
        return self._order(who, account_id, SIDES[verb], rest)

    def _order(self, who: tuple[int, int], account_id: int, side: Side, words: list[str]) -> SubmitOrder:
        terms: dict[str, Any] = {"type": OrderType.LIMIT, "quantity_lots": int(words[0])}
        if words[1] == "worth":
            terms = {"type": OrderType.MARKET, "quantity_lots": 0, "budget": int(words[0])}
            terms["time_in_force"] = TimeInForce.IOC
        else:
            terms["price_ticks"] = int(words[2])
        for word in words[3:]:
            terms |= _option(word)
        return SubmitOrder(*who, self._sequence, account_id, side, **terms)

    # What there is to read.
    def fills(self, settlement: Settlement) -> list[str]:
        quote, lines = self.venue.instrument.quote.scale, []
        for fill in settlement.fills:
            fee_scale = quote if fill[10] == QUOTE else self.venue.instrument.base.scale
            verb = "bought" if fill[1] == Side.BUY else "sold"
            text = (
                f"{OWNERS[fill[3]]} {verb} {fill[6]} @ {fill[5]} as {ROLES[fill[4]]}, fee {fee_scale.format(fill[8])}"
            )
            lines.append(text + (f", realised {quote.format(fill[11])}" if fill[11] else ""))
        return lines

    def postings(self, settlement: Settlement) -> list[str]:
        return [
            f"{OWNERS[account]} {self._scale(asset).format(units)} {self._asset(asset)} {LedgerType(kind).name}"
            for _, _, account, asset, kind, units in settlement.postings
        ]

    def order(self, order_id: int) -> str:
        order = self.venue.orders[order_id]
        text = f"{order.status.name} {order.filled_lots} of {order.quantity_lots}, {order.open_lots} open"
        if self.venue.is_spot:
            asset = QUOTE if order.command.side is Side.BUY else BASE
            text += f", holds {self._scale(asset).format(order.held_units)}"
        return text + (f", {Reason(order.reason).name}" if order.reason else "")

    def position(self, name: str) -> str:
        position, quote = self.venue.positions[ACCOUNTS[name]], self.venue.instrument.quote.scale
        cost, realised = quote.format(position.cost_units), quote.format(position.realised_units)
        return f"{position.quantity_lots} for {cost}, realised {realised}"

    def sums(self, name: str) -> str:
        sums, quote = self.venue.sums[ACCOUNTS[name]], self.venue.instrument.quote.scale
        return (
            f"buys {sums.buy_lots} for {quote.format(sums.buy_units)}, "
            f"sells {sums.sell_lots} for {quote.format(sums.sell_units)}, fees {quote.format(sums.reserve_units)}"
        )

    def balance(self, name: str) -> str:
        """What the account gained or lost in both assets, and what it has on hold."""
        account = ACCOUNTS[name]
        parts = []
        for asset in (BASE, QUOTE):
            scale = self._scale(asset)
            total, held = self.venue.totals[account, asset], self.venue.held[account, asset]
            parts.append(f"{scale.format(total)} {self._asset(asset)} ({scale.format(held)} held)")
        return ", ".join(parts)

    def _asset(self, asset: int) -> str:
        return (self.venue.instrument.base if asset == BASE else self.venue.instrument.quote).name

    def _scale(self, asset: int) -> Scale:
        return (self.venue.instrument.base if asset == BASE else self.venue.instrument.quote).scale


def _option(word: str) -> dict[str, Any]:
    if word in {"post-only", "reduce-only"}:
        return {word.replace("-", "_"): True}
    if word in {"ioc", "fok"}:
        return {"time_in_force": TimeInForce[word.upper()]}
    if word == "market":
        return {"type": OrderType.MARKET, "time_in_force": TimeInForce.IOC}
    if word.startswith("stop@"):
        return {"type": OrderType.STOP_LIMIT, "trigger_price_ticks": int(word.removeprefix("stop@"))}
    mode = word.removeprefix("stp-").upper().replace("-", "_")
    return {"self_trade_prevention": SelfTradePrevention[mode]}
