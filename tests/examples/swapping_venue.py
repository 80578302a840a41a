"""A whole venue whose bots are off, and example bots with the wallets of its demo users."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from examples.lethean_bot import Bot, Terms, Unreachable, Venue, Wallet
from tests.venue_process import VenueProcess

FEE = Decimal("0.01")
PAUSE_S = 60.0
"""Longer than an example bot leaves a match alone that failed."""


@dataclass
class Place:
    """The venue, its pair and its simulated wallets."""

    process: VenueProcess
    pair_id: int
    admin: Wallet
    wallets: dict[str, dict[str, str]]
    now_s: float = 0.0

    def bot(self, name: str, side: str, price: str, amount: str) -> Bot:
        """A bot of a demo user, whose order is posted."""
        terms = Terms(self.wallets[name]["alias"], self.pair_id, side, price, amount)
        bot = Bot(Venue(self.process.url), Wallet(self.wallets[name]["url"]), terms)
        bot.start()
        return bot

    def money(self, name: str) -> tuple[Decimal, Decimal]:
        """What a user's wallet has, LTHN and USDL."""
        found = Wallet(self.wallets[name]["url"]).call("getbalance")["balances"]
        have = {each["asset_info"]["ticker"]: each["total"] for each in found}
        return Decimal(have["LTHN"]).scaleb(-12), Decimal(have["USDL"]).scaleb(-6)

    def traded(self, bot: Bot) -> tuple[Decimal, Decimal]:
        """What the confirmed swaps of a bot's order brought its wallet, as the venue says, fees left out."""
        first = second = Decimal(0)
        for swap in bot.venue.call("/transactions/get-my-transactions"):
            if bot.order_id in (swap["buy_order_id"], swap["sell_order_id"]) and swap["status"] == "confirmed":
                sign = 1 if swap["ownSide"] == "buy" else -1
                first += sign * Decimal(swap["amount"])
                second -= sign * Decimal(swap["total"])
        return first, second

    def proposed(self, bot: Bot) -> int:
        """How many confirmed swaps of a bot's order it proposed itself, and so paid the chain for."""
        swaps = bot.venue.call("/transactions/get-my-transactions")
        mine = [swap for swap in swaps if bot.order_id in (swap["buy_order_id"], swap["sell_order_id"])]
        return sum(swap["status"] == "confirmed" and swap["creator"] == swap["ownSide"] for swap in mine)

    def fault(self, fault: str, name: str, times: int | None = 1, *, on: bool = True) -> None:
        """Switch a fault of a user's wallet on or off."""
        self.admin.call("set_fault", fault=fault, wallet=name, times=times, on=on)

    def play(self, *bots: Bot, steps: int = 20) -> None:
        """Let the bots act in turn until all but one are done, or the steps are used up."""
        running = list(bots)
        for _ in range(steps):
            self.now_s += PAUSE_S
            running = [bot for bot in running if self.step(bot)]
            if len(running) < 2:
                return

    def step(self, bot: Bot) -> bool:
        """One step of a bot; an answer that fails is asked for again at the next."""
        try:
            return bot.step(self.now_s)
        except Unreachable:
            return True

    def check(self, bots: dict[str, list[Bot]], before: dict[str, tuple[Decimal, Decimal]]) -> None:
        """Wallets and venue agree on what each user swapped, to the last unit."""
        for name, mine in bots.items():
            after = self.money(name)
            brought = [self.traded(bot) for bot in mine]
            fees = FEE * sum(self.proposed(bot) for bot in mine)
            assert after[0] == before[name][0] + sum(each[0] for each in brought) - fees
            assert after[1] == before[name][1] + sum(each[1] for each in brought)
        assert self.admin.call("get_balances")["imbalance"] == {}

    def orders(self, bot: Bot) -> list[dict[str, Any]]:
        """The user's active orders."""
        found: list[dict[str, Any]] = bot.venue.call("/orders/get-user-page", pairId=self.pair_id)["orders"]
        return found


@contextmanager
def swapping_venue(folder: Path, *options: str) -> Iterator[Place]:
    """A venue while the block runs."""
    with VenueProcess(folder, *options) as process:
        demo = process.demo
        yield Place(
            process,
            demo["lethean"]["pair_id"],
            Wallet(demo["lethean"]["admin_url"]),
            {user["name"]: user["wallet"] for user in demo["users"]},
        )
