"""The bots of a pair of the board of swaps: a maker with offers on both sides, and a taker who meets them.

Each step, both finalise what was applied for, apply to what they may swap with, and keep their offers as they want
them. Real proposals go through their wallets. An error ends a step or a swap, never the bots.
"""

import asyncio
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Final, NamedTuple, Protocol

from crossbook.application.swap_views import FinaliserView, OfferView, PageTip, UserPage
from crossbook.application.swaps import CancelFilter, PairTerms, PlacedOffer
from crossbook.bots.walk import Walk
from crossbook.domain.errors import CrossbookError
from crossbook.domain.money import MILLION
from crossbook.domain.orders import Side
from crossbook.domain.swap_amounts import format_units, total_units
from crossbook.domain.swaps import SwapError, opposite
from crossbook.logs import Log
from crossbook.system import Clock
from crossbook.workers.pauses import pause

LEVELS: Final = 3
LEVEL_PPM: Final = 2_000
"""How far the maker's prices are apart."""
STALE_PPM: Final = 1_000
"""How far the price moves before the maker's offers follow."""
TAKER_PPM: Final = 10_000
"""How far beyond the reference price the taker goes at most."""
LONGEST_PAUSE: Final = 10
"""Steps between two offers of the taker at most."""
TAKER_AGE_MS: Final = 60_000
"""After so long the taker gives an offer up."""
RENEW_AGE_MS: Final = 10_000
TIPS_LIMIT: Final = 100

_log: Final = Log("swap bots")


class SwapRefused(CrossbookError):
    """A wallet does not make or take a proposal; the message says why."""


class Amount(NamedTuple):
    """So much of an asset, in its smallest unit."""

    asset_id: str
    units: int


class SwapWallet(Protocol):
    """The wallet of a bot."""

    def propose(self, destination: str, give: Amount, get: Amount) -> str:
        """A proposal to the owner of an address. Raises SwapRefused."""
        ...

    def accept(self, proposal: str, give: Amount, get: Amount) -> None:
        """Send the swap to the chain, if it is this one. Raises SwapRefused, and then nothing was sent."""
        ...

    def refill(self) -> None:
        """Have enough money again."""
        ...


class SwapDesk(Protocol):
    """The use cases of the board. `crossbook.application.swaps.Swaps` is one."""

    async def create(self, user_id: int, pair_id: int, side: Side, price: str, amount: str) -> PlacedOffer:
        """Post an offer."""
        ...

    async def apply(self, user_id: int, one_id: int, other_id: int, proposal: str) -> int:
        """Start a swap."""
        ...

    async def confirm(self, user_id: int, swap_id: int) -> None:
        """Say that a swap was made."""
        ...

    async def reject(self, user_id: int, swap_id: int) -> None:
        """Call a swap off."""
        ...

    async def cancel(self, user_id: int, offer_id: int) -> None:
        """End an offer."""
        ...

    async def cancel_all(self, user_id: int, chosen: CancelFilter) -> int:
        """End all offers."""
        ...

    async def renew(self, user_id: int, offer_id: int) -> int:
        """Say that a bot stands behind an offer."""
        ...


class SwapPages(Protocol):
    """What the board shows. `crossbook.storage.swap_pages.SwapPages` is one."""

    async def user_page(self, user_id: int, terms: PairTerms, limit: int) -> UserPage:
        """A user's page of a pair."""
        ...


@dataclass(frozen=True)
class SwapMarket:
    """The pair that the bots trade: its assets, and the least amount of an offer in units of the first."""

    terms: PairTerms
    first_asset: str
    second_asset: str
    unit: int


@dataclass
class Swapper:
    """One bot: its user and its wallet. `lost` counts swaps whose confirm the venue did not take."""

    user_id: int
    wallet: SwapWallet
    lost: int = 0
    to_confirm: list[int] = field(default_factory=list)
    """Swaps that the wallet has sent, and the venue does not know of."""


class SwapPit:
    """Both bots of a pair. `walk` is the price that they believe in, in units of the second currency."""

    def __init__(
        self,
        market: SwapMarket,
        maker: Swapper,
        taker: Swapper,
        desk: SwapDesk,
        pages: SwapPages,
        walk: Walk,
        random: Random,
        clock: Clock,
        interval_ms: int,
    ) -> None:
        self._market = market
        self._maker = maker
        self._taker = taker
        self._desk = desk
        self._pages = pages
        self._walk = walk
        self._random = random
        self._clock = clock
        self._interval_ms = interval_ms
        self._quoted_at = 0
        self._taker_waits = 0

    async def run(self, stop: asyncio.Event) -> None:
        """Trade until `stop`. What was left of an earlier run goes first."""
        cleared = False
        while not stop.is_set():
            try:
                if not cleared:
                    await self.clear_out()
                    cleared = True
                await self.step()
            except CrossbookError as error:
                _log.warning("swap bots pause", error=str(error))
            await pause(self._clock, stop, self._interval_ms)

    async def clear_out(self) -> None:
        """Take out all offers of the bots. Raises CrossbookError."""
        for bot in (self._maker, self._taker):
            await self._desk.cancel_all(bot.user_id, CancelFilter(self._market.terms.pair_id))

    async def step(self) -> None:
        """Let both bots act once. Raises CrossbookError when the venue can not answer."""
        self._walk.step()
        for bot in (self._taker, self._maker):
            page = await self._pages.user_page(bot.user_id, self._market.terms, TIPS_LIMIT)
            await self._swap(bot, page)
            await self._renew(bot, page.offers)
            await (self._quote(page.offers) if bot is self._maker else self._take(page.offers))

    # -- Swaps ---------------------------------------------------------------------------------------
    async def _swap(self, bot: Swapper, page: UserPage) -> None:
        for waiting in page.to_confirm:
            if waiting.swap_id not in bot.to_confirm:
                await self._finalise(bot, waiting)
        await self._confirm(bot)
        first_of = {tip.own_offer_id: tip for tip in reversed(page.tips)}
        for tip in first_of.values():  # another tip for the same offer is out of date once this one is applied to
            await self._apply(bot, tip)

    async def _finalise(self, bot: Swapper, waiting: FinaliserView) -> None:
        own = waiting.own
        give, get = self._sides(own.side, waiting.amount_units, own.price_units)
        try:
            bot.wallet.accept(waiting.proposal, give, get)
        except SwapRefused as error:
            _log.info("a swap is called off", swap_id=waiting.swap_id, error=str(error))
            await self._without_regret(self._desk.reject(bot.user_id, waiting.swap_id))
            return
        bot.to_confirm.append(waiting.swap_id)

    async def _confirm(self, bot: Swapper) -> None:
        """Tell the venue of what was sent; after an error of the venue, again at the next step."""
        while bot.to_confirm:
            try:
                await self._desk.confirm(bot.user_id, bot.to_confirm[0])
            except SwapError as error:
                bot.lost += 1
                _log.warning("a swap was made, and the venue gave it up", error=str(error))
            del bot.to_confirm[0]

    async def _apply(self, bot: Swapper, tip: PageTip) -> None:
        side = opposite(tip.side)
        give, get = self._sides(side, tip.left_units, tip.entry.price_units)
        try:
            proposal = bot.wallet.propose(tip.entry.wallet.address, give, get)
        except SwapRefused as error:
            _log.info("no proposal can be made", error=str(error))
            bot.wallet.refill()
            return
        await self._without_regret(self._desk.apply(bot.user_id, tip.own_offer_id, tip.entry.offer_id, proposal))

    def _sides(self, side: Side, amount_units: int, price_units: int) -> tuple[Amount, Amount]:
        """What somebody on `side` gives and gets."""
        market = self._market
        total = total_units(amount_units, price_units, market.terms.first_decimals)
        bought, paid = Amount(market.first_asset, amount_units), Amount(market.second_asset, total)
        return (paid, bought) if side is Side.BUY else (bought, paid)

    @staticmethod
    async def _without_regret(work: Awaitable[object]) -> None:
        """Do what somebody else may have done already, or made impossible."""
        try:
            await work
        except SwapError as error:
            _log.debug("the board has moved on", error=str(error))

    # -- Offers --------------------------------------------------------------------------------------
    async def _renew(self, bot: Swapper, offers: Sequence[OfferView]) -> None:
        now_ms = self._clock.now_ms()
        for offer in offers:
            if now_ms - offer.renewed_at_ms >= RENEW_AGE_MS:
                await self._without_regret(self._desk.renew(bot.user_id, offer.offer_id))

    async def _quote(self, offers: Sequence[OfferView]) -> None:
        """Offers on both sides, some levels deep; they follow the price, unless a swap is under way on them."""
        price = self._walk.price_ticks
        if abs(price - self._quoted_at) * MILLION > self._quoted_at * STALE_PPM:
            for offer in offers:
                if not offer.pending_units:
                    await self._without_regret(self._desk.cancel(self._maker.user_id, offer.offer_id))
            offers = [offer for offer in offers if offer.pending_units]
            self._quoted_at = price
        for side in Side:
            standing = sum(offer.side is side for offer in offers)
            for level in range(standing, LEVELS):
                away = price * LEVEL_PPM * (level + 1) // MILLION
                await self._post(
                    self._maker,
                    side,
                    price - away if side is Side.BUY else price + away,
                    self._market.unit * self._random.randint(5, 20),
                )

    async def _take(self, offers: Sequence[OfferView]) -> None:
        """Now and then an offer that meets the maker's; one that nobody met is given up."""
        now_ms = self._clock.now_ms()
        for offer in offers:
            if not offer.pending_units and now_ms - offer.created_at_ms >= TAKER_AGE_MS:
                await self._without_regret(self._desk.cancel(self._taker.user_id, offer.offer_id))
        if self._taker_waits > 0:
            self._taker_waits -= 1
            return
        self._taker_waits = self._random.randint(1, LONGEST_PAUSE)
        if offers:
            return
        side = self._random.choice((Side.BUY, Side.SELL))
        away = self._walk.price_ticks * TAKER_PPM // MILLION
        price = self._walk.price_ticks + away if side is Side.BUY else self._walk.price_ticks - away
        await self._post(self._taker, side, price, self._market.unit * self._random.randint(1, 10))

    async def _post(self, bot: Swapper, side: Side, price_units: int, amount_units: int) -> None:
        terms = self._market.terms
        price = format_units(price_units, terms.second_decimals)
        await self._desk.create(
            bot.user_id, terms.pair_id, side, price, format_units(amount_units, terms.first_decimals)
        )
