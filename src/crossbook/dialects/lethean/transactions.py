"""Transactions: the handshake between two offers, from the side of whoever asks."""

from crossbook.dialects.call import Call, Reply
from crossbook.dialects.lethean import replies, requests, translate
from crossbook.dialects.lethean.auth import wallet_of
from crossbook.dialects.lethean.services import Services
from crossbook.domain.swaps import NoneOwned, OfferUnusable

PENDING_LIMIT = requests.MOST_ROWS


class TransactionHandlers:
    """The handlers of `/api/transactions`."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def confirm(self, call: Call[requests.OneTransaction, None]) -> Reply:
        """The finaliser's word that the swap was made."""
        swap_id = translate.number(call.body.transaction_id)
        await self._services.swaps.confirm(wallet_of(call).user_id, swap_id)
        return Reply(200, replies.Done())

    async def cancel(self, call: Call[requests.OneTransaction, None]) -> Reply:
        """Call a pending swap off, by either side."""
        swap_id = translate.number(call.body.transaction_id)
        await self._services.swaps.reject(wallet_of(call).user_id, swap_id)
        return Reply(200, replies.Done())

    async def active(self, call: Call[requests.ActiveTransaction, None]) -> Reply:
        """The pending swap of two offers, one of them the caller's."""
        wallet, services = wallet_of(call), self._services
        ids = [translate.number(call.body.first_order_id), translate.number(call.body.second_order_id)]
        owners = await services.pages.owners(ids)
        if wallet.user_id not in [user_id for user_id, _ in owners.values()]:
            raise NoneOwned("neither of the offers is the caller's")
        await services.swaps.expire()
        swap = await services.pages.pending_between(ids[0], ids[1])
        if swap is None:
            raise OfferUnusable("nothing is pending between the offers")
        terms = await services.swaps.terms(swap.pair_id)
        return Reply(200, replies.Answer(data=translate.active_view(swap, terms)))

    async def mine(self, call: Call[requests.MyTransactions, None]) -> Reply:
        """Own swaps of a stretch of time, newest first."""
        wallet, services, body = wallet_of(call), self._services, call.body
        await services.swaps.expire()
        found = await services.pages.swaps_of(wallet.user_id, body.since, body.until, body.limit)
        return Reply(200, replies.Answer(data=[translate.transaction_view(each) for each in found]))

    async def my_pending(self, call: Call[requests.TokenOnly, None]) -> Reply:
        """Own pending swaps, newest first."""
        wallet, services = wallet_of(call), self._services
        await services.swaps.expire()
        until_ms = services.clock.now_ms()
        found = await services.pages.swaps_of(wallet.user_id, 0, until_ms, PENDING_LIMIT, pending=True)
        return Reply(200, replies.Answer(data=[translate.transaction_view(each) for each in found]))
