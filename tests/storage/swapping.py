"""A board of swaps for tests: two currencies, a pair, wallets, and what must hold in the stored rows."""

from collections.abc import Sequence

from crossbook.application.swap_events import SwapEvent
from crossbook.application.swap_registry import CurrencyTerms, Registry
from crossbook.application.swaps import Swaps
from crossbook.domain.orders import Side
from crossbook.domain.swaps import Offer, OfferStatus, Swap, SwapStatus, breaches
from crossbook.storage.database import Database
from crossbook.storage.swap_changes import SwapStore
from crossbook.storage.swap_registry import RegistryStore
from crossbook.storage.wallets import WalletStore
from crossbook.system import ManualClock
from tests.storage.support import NOW_MS

FIRST, SECOND = "a" * 64, "b" * 64


class Heard:
    """A publisher that remembers."""

    def __init__(self) -> None:
        self.events: list[SwapEvent] = []

    def publish(self, events: Sequence[SwapEvent]) -> None:
        self.events += events


class World:
    """A board with the pair FIRST/SECOND, of 2 and 3 decimals, and a clock in the test's hands."""

    def __init__(self, database: Database, limit: int = 10) -> None:
        self.database = database
        self.clock = ManualClock(NOW_MS)
        self.heard = Heard()
        self.store = SwapStore(database)
        self.swaps = Swaps(self.store, self.clock, self.heard, limit=limit)
        self.registry = Registry(RegistryStore(database), self.clock)
        self.pair_id = 0

    async def start(self, users: int = 3) -> list[int]:
        """Set everything up; the users' ids."""
        for asset_id, name, decimals in ((FIRST, "Alpha", 2), (SECOND, "Beta", 3)):
            await self.registry.put_currency(CurrencyTerms(asset_id, name, name.upper(), decimals))
        self.pair_id = (await self.registry.put_pair(FIRST, SECOND, False)).pair_id
        return [await self.wallet(f"user{number}") for number in range(users)]

    async def wallet(self, name: str) -> int:
        """A wallet that signed in."""
        store = WalletStore(self.database)
        return (await store.sign_in(f"iTHN{name}", name, take_alias=False, now_ms=self.clock.now_ms())).user_id

    async def offer(self, user_id: int, side: Side, price: str = "2", amount: str = "10") -> int:
        """Post an offer; its number."""
        return (await self.swaps.create(user_id, self.pair_id, side, price, amount)).offer_id

    async def breaches(self) -> list[str]:
        """What is wrong in the stored rows, and between swaps and candles."""
        offers, swaps = await self.rows()
        return breaches(offers.values(), swaps.values())

    async def rows(self) -> tuple[dict[int, Offer], dict[int, Swap]]:
        """Every offer and swap, read here by other statements than the venue's."""
        async with self.database.snapshot() as transaction:
            offers = await transaction.rows("SELECT * FROM swap_offers ORDER BY offer_id")
            swaps = await transaction.rows("SELECT * FROM swaps ORDER BY swap_id")
        return (
            {
                row["offer_id"]: Offer(
                    row["offer_id"],
                    row["user_id"],
                    row["pair_id"],
                    Side(row["side"]),
                    int(row["price_units"]),
                    int(row["amount_units"]),
                    int(row["left_units"]),
                    int(row["pending_units"]),
                    OfferStatus(row["status"]),
                )
                for row in offers
            },
            {
                row["swap_id"]: Swap(
                    row["swap_id"],
                    row["pair_id"],
                    row["buy_offer_id"],
                    row["sell_offer_id"],
                    int(row["amount_units"]),
                    int(row["price_units"]),
                    int(row["total_units"]),
                    Side(row["creator"]),
                    row["proposal"],
                    SwapStatus(row["status"]),
                )
                for row in swaps
            },
        )
