"""The bots of swaps on a real board, with simulated wallets: they trade, cope with faults, and lose nothing."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import pytest

from crossbook.application.accounts import User, UserKind
from crossbook.application.swap_registry import CurrencyTerms
from crossbook.application.swaps import Swaps
from crossbook.bots.swap_pit import LEVELS, SwapPit
from crossbook.demo_swaps import MAKER, TAKER, BoardUseCases, SwapDemo
from crossbook.domain.errors import CrossbookError
from crossbook.domain.orders import Side
from crossbook.domain.swap_amounts import total_units
from crossbook.domain.swaps import OfferStatus, SwapStatus
from crossbook.security.wallet_keys import WalletKeys
from crossbook.storage.database import Database
from crossbook.storage.swap_pages import SwapPages
from crossbook.storage.wallets import WalletStore
from crossbook.wallet_sim.assets import DOLLAR, NATIVE
from crossbook.wallet_sim.chain import FEES, Asset
from crossbook.wallet_sim.command import JOURNAL_FILE
from crossbook.wallet_sim.faults import Fault
from crossbook.wallet_sim.wallet import FEE_UNITS
from tests.storage.swapping import World as Board

STEP_MS = 1_000
ALICE = User(1, 1, UserKind.TRADER, "alice", None, None, frozenset(), 0, False)
"""A demo user; only the name matters here."""


class Scene:
    """A board with its demo, and its bots."""

    def __init__(self, board: Board, demo: SwapDemo, pit: SwapPit, journal: Path) -> None:
        self.journal = journal
        self.board = board
        self.demo = demo
        self.pit = pit

    async def steps(self, count: int) -> None:
        for _ in range(count):
            await self.pit.step()
            self.board.clock.advance(STEP_MS)

    async def swaps(self, status: SwapStatus) -> int:
        _, swaps = await self.board.rows()
        return sum(swap.status is status for swap in swaps.values())

    async def check(self) -> None:
        """Wallets and venue agree on every unit that moved between the bots."""
        assert await self.board.breaches() == []
        assert self.demo.world.chain.imbalance() == {}
        offers, swaps = await self.board.rows()
        chain, wallets = self.demo.world.chain, self.demo.world.wallets
        moved = {MAKER: [0, 0], TAKER: [0, 0]}
        users = {await self.user_of(name): name for name in moved}
        for swap in swaps.values():
            if swap.status is not SwapStatus.CONFIRMED:
                continue
            for offer_id, sign in zip(swap.offer_ids, (1, -1), strict=True):
                name = users[offers[offer_id].user_id]
                moved[name][0] += sign * swap.amount_units
                moved[name][1] -= sign * total_units(swap.amount_units, swap.price_units, NATIVE.decimal_point)
        fees = chain.balance(FEES, NATIVE.asset_id)
        assert fees == FEE_UNITS * await self.swaps(SwapStatus.CONFIRMED)
        missing = 0
        for name, (first, second) in moved.items():
            address = wallets[name].address
            missing += self.given(address, NATIVE) + first - chain.balance(address, NATIVE.asset_id)
            assert chain.balance(address, DOLLAR.asset_id) == self.given(address, DOLLAR) + second
        assert missing == fees

    async def check_none_waits(self) -> None:
        """No swap is older than the step that the other side has to answer it."""
        async with self.board.database.snapshot() as transaction:
            oldest_ms = await transaction.value("SELECT min(created_at_ms) FROM swaps WHERE status = 1")
        assert oldest_ms is None or self.board.clock.now_ms() - oldest_ms <= 2 * STEP_MS

    def given(self, address: str, asset: Asset) -> int:
        """What an address was given from nowhere."""
        notes = [json.loads(line) for line in self.journal.read_text().splitlines()]
        return sum(
            note["units"]
            for note in notes
            if note["op"] == "mint" and (note["address"], note["asset_id"]) == (address, asset.asset_id)
        )

    async def user_of(self, name: str) -> int:
        async with self.board.database.snapshot() as transaction:
            address = self.demo.world.wallets[name].address
            found: int = await transaction.value("SELECT user_id FROM wallets WHERE address = $1", address)
        return found


async def demo_of(board: Board, folder: Path) -> SwapDemo:
    use_cases = BoardUseCases(
        Swaps(board.store, board.clock, board.heard),
        SwapPages(board.database),
        board.registry,
        WalletStore(board.database),
    )
    await board.registry.put_currency(native_terms())
    demo = SwapDemo(folder, use_cases, board.clock)
    await demo.set_up("http://venue.example")
    return demo


def native_terms() -> CurrencyTerms:
    return CurrencyTerms(NATIVE.asset_id, NATIVE.full_name, NATIVE.ticker, NATIVE.decimal_point, native=True)


def play(url: str, folder: Path, act: Callable[[Scene], Awaitable[None]]) -> None:
    async def run() -> None:
        database = await Database.connect(url)
        try:
            board = Board(database)
            demo = await demo_of(board, folder)
            scene = Scene(board, demo, await demo.hire(seed=1, interval_ms=STEP_MS), folder / JOURNAL_FILE)
            await act(scene)
            demo.close()
        finally:
            await database.close()

    asyncio.run(run())


def test_they_trade_and_wallets_and_venue_agree(database_url: str, tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        await scene.steps(60)
        assert await scene.swaps(SwapStatus.CONFIRMED) > 5
        await scene.check_none_waits()
        offers, _ = await scene.board.rows()
        maker = await scene.user_of(MAKER)
        standing = [offer for offer in offers.values() if offer.user_id == maker and offer.is_active]
        assert all(0 < sum(offer.side is side for offer in standing) <= LEVELS for side in Side)
        prices = {offer.price_units for offer in offers.values()}
        assert all(0.2 * 10**6 < price < 0.3 * 10**6 for price in prices)
        await scene.check()

    play(database_url, tmp_path / "data", act)


@pytest.mark.parametrize("fault", Fault)
@pytest.mark.parametrize("wallet", ["", MAKER, TAKER])
def test_a_fault_of_a_wallet_leaves_no_order_stuck(
    database_url: str, tmp_path: Path, fault: Fault, wallet: str
) -> None:
    async def act(scene: Scene) -> None:
        await scene.steps(5)
        before = await scene.swaps(SwapStatus.CONFIRMED)
        scene.demo.world.faults.switch_on(fault, wallet)
        await scene.steps(20)
        await scene.check_none_waits()
        await scene.check()
        scene.demo.world.faults.switch_off(fault, wallet)
        await scene.steps(30)
        assert await scene.swaps(SwapStatus.CONFIRMED) > before
        await scene.check()

    play(database_url, tmp_path / "data", act)


def test_a_venue_that_fails_at_the_confirm_is_told_again(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def act(scene: Scene) -> None:
        failures = []

        async def fail(self: Swaps, user_id: int, swap_id: int) -> None:
            failures.append(swap_id)
            raise CrossbookError("gone")

        with monkeypatch.context() as patch:
            patch.setattr(Swaps, "confirm", fail)
            for _ in range(40):
                if failures:
                    break
                with suppress(CrossbookError):
                    await scene.pit.step()
                scene.board.clock.advance(STEP_MS)
        assert failures
        assert await scene.swaps(SwapStatus.PENDING) == 1
        await scene.steps(1)
        assert await scene.swaps(SwapStatus.PENDING) == 0
        await scene.check()

    play(database_url, tmp_path / "data", act)


def test_a_start_clears_what_an_earlier_run_left(database_url: str, tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        await scene.steps(10)
        await scene.pit.clear_out()
        offers, _ = await scene.board.rows()
        assert not any(offer.is_active for offer in offers.values())
        await scene.steps(1)
        await scene.demo.clear_out()
        offers, _ = await scene.board.rows()
        assert not any(offer.status is OfferStatus.ACTIVE for offer in offers.values())

    play(database_url, tmp_path / "data", act)


def test_demo_users_keep_their_wallets(database_url: str, tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        first = await scene.demo.equip(ALICE, {})
        wallet = first["wallet"]
        assert set(wallet) == {"address", "alias", "spend_secret", "url"}
        assert (wallet["alias"], wallet["url"].startswith("http://venue.example/wallet-sim/")) == ("alice", True)
        assert await scene.demo.equip(ALICE, {}) == await scene.demo.equip(ALICE, first) == first
        held = scene.demo.world.chain.balances(wallet["address"])
        assert held == {asset.asset_id: 100_000 * 10**asset.decimal_point for asset in (NATIVE, DOLLAR)}
        entry = scene.demo.entry()
        assert set(entry) == {"pair_id", "daemon_url", "admin_url"}
        other = WalletKeys.of_seed(b"another").spend_secret.hex()
        changed = await scene.demo.equip(ALICE, {"wallet": {"spend_secret": other}})
        assert changed["wallet"]["spend_secret"] == other
        assert changed["wallet"]["alias"] != "alice"
        entries: list[dict[str, object]] = [{"wallet": 7}, {"wallet": {}}, {"wallet": {"spend_secret": "zz"}}]
        for damaged in entries:
            assert await scene.demo.equip(ALICE, damaged) == changed

    play(database_url, tmp_path / "data", act)
