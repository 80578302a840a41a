"""What sockets show of the board, in the form in which the API shows it."""

from collections.abc import Mapping, Sequence

import msgspec

from crossbook.application.errors import PairNotFound
from crossbook.application.swap_views import PairStatistics
from crossbook.application.wallets import Wallet
from crossbook.dialects.lethean import translate
from crossbook.dialects.lethean.live import NotSignedIn
from crossbook.dialects.lethean.services import Services
from crossbook.dialects.refusals import Fault


class LiveServices:
    """The `LivePages` of a board. What reading raises goes through."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def orders(self, offer_ids: Sequence[int]) -> Mapping[int, object]:
        """Offers as the open book shows them, whatever their state."""
        now_ms = self._services.clock.now_ms()
        shown: dict[int, object] = {}
        for offer in await self._services.pages.offers(offer_ids):
            terms = await self._services.swaps.terms(offer.pair_id)
            shown[offer.offer_id] = msgspec.to_builtins(translate.book_order(offer, terms, now_ms))
        return shown

    async def pair_stats(self, pair_id: int) -> object:
        """The statistics of a pair over 24 hours; None for an unknown pair."""
        try:
            pair = await self._services.registry.pair(pair_id)
        except PairNotFound:
            return None
        found = await self._services.pages.statistics([pair_id], self._services.clock.now_ms())
        stats = found.get(pair_id, PairStatistics())
        return msgspec.to_builtins(translate.stats_view(stats, pair.second.terms.decimals))

    async def user_of(self, token: str) -> int:
        """Whose session a token opens. Raises NotSignedIn, for an operator's token too."""
        try:
            principal = await self._services.auth.principal_of(token)
        except Fault as error:
            raise NotSignedIn("no valid token") from error
        if not isinstance(principal.session, Wallet):
            raise NotSignedIn("not the token of a wallet")
        return principal.session.user_id
