"""What a demo venue has besides: users whose secrets are in a file, a pretend chain with wallets, and bots."""

import asyncio
from collections.abc import Sequence

from starlette.routing import BaseRoute

from crossbook.bots.walk import WalkSource
from crossbook.demo import DEMO_FILE, DemoUsers, both
from crossbook.demo_bots import BotAgency
from crossbook.demo_funds import StartingFunds
from crossbook.demo_swaps import BoardUseCases, SwapDemo
from crossbook.demo_truex import TruexKit
from crossbook.dialects.lethean.services import Services as LetheanServices
from crossbook.storage.swap_pages import SwapPages
from crossbook.storage.wallets import WalletStore
from crossbook.wallet_sim.chain import Asset
from crossbook.wiring.core import Core
from crossbook.wiring.use_cases import UseCases


class Demo:
    """The demo of one venue: first its `routes`, then `set_up`. Raises JournalError for a chain that is damaged."""

    def __init__(self, core: Core, use: UseCases, board: LetheanServices) -> None:
        self._core = core
        self._use = use
        self._swaps = self._swap_demo(board)

    @property
    def routes(self) -> Sequence[BaseRoute]:
        """Where the simulated wallets answer."""
        return self._swaps.routes

    async def set_up(self, base_url: str) -> None:
        """Have the users and their file, and the bots. Raises StorageError, ApplicationError and DataFolderError."""
        settings, use = self._core.settings, self._use
        await self._swaps.set_up(base_url)
        kit = both(both(StartingFunds(use.funds, use.queries), TruexKit(use.clients, use.keys)), self._swaps.equip)
        members = use.members
        users = DemoUsers(settings.data_dir / DEMO_FILE, members.accounts, members.users, members.passwords, kit)
        await users.ensure(base_url, {"lethean": self._swaps.entry()})
        await self._hire_bots()

    def _swap_demo(self, board: LetheanServices) -> SwapDemo:
        """The demo of the board of swaps, and a watch that puts its file away at the end."""
        settings, database = self._core.settings, self._core.database
        use_cases = BoardUseCases(board.swaps, SwapPages(database), board.registry, WalletStore(database))
        native = Asset(
            settings.lethean_native_asset_id,
            settings.lethean_native_code,
            settings.lethean_native_name,
            settings.lethean_native_decimals,
        )
        demo = SwapDemo(settings.data_dir, use_cases, self._core.clock, native)

        async def keep(stop: asyncio.Event) -> None:
            await stop.wait()
            demo.close()

        self._core.parts.watches["wallet-sim"] = keep
        return demo

    async def _hire_bots(self) -> None:
        core, use, settings, swaps = self._core, self._use, self._core.settings, self._swaps
        members = use.members
        agency = BotAgency(members.accounts, members.users, use.desk, core.marks, use.queries, use.funds, core.clock)
        if not settings.bots:

            async def clear_out() -> None:
                await agency.clear_out()
                await swaps.clear_out()

            core.parts.when_ready = clear_out
            return
        interval_ms = settings.bot_interval_ms
        markets = await agency.hire(core.markets, core.database, settings.seed, interval_ms)
        core.parts.pits = [*markets, await swaps.hire(settings.seed, interval_ms)]
        for worker in core.parts.pricing:
            if (walk := agency.walks.get(worker.market_id)) is not None:
                worker.sources.append(WalkSource(walk))
