"""Offers: posting, the user's page, applying, cancelling, renewing, the open book."""

from msgspec import UNSET, UnsetType

from crossbook.application.errors import PairNotFound
from crossbook.application.swap_views import HistoryFilter
from crossbook.application.swaps import CancelFilter
from crossbook.dialects.call import Call, Reply
from crossbook.dialects.lethean import replies, requests, translate
from crossbook.dialects.lethean.auth import wallet_of
from crossbook.dialects.lethean.errors import INVALID_ORDER, LetheanError
from crossbook.dialects.lethean.services import Services
from crossbook.domain.orders import Side
from crossbook.domain.swaps import RenewedTooSoon


class OrderHandlers:
    """The handlers of `/api/orders` and of `/api/dex/renew-bot`."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def create(self, call: Call[requests.CreateOrder, None]) -> Reply:
        """Post an offer."""
        wallet, data, swaps = wallet_of(call), call.body.order_data, self._services.swaps
        try:
            pair_id = translate.pair_number(data.pair_id)
            terms = await swaps.terms(pair_id)
        except PairNotFound as error:
            raise LetheanError(400, INVALID_ORDER, str(error)) from error
        placed = await swaps.create(wallet.user_id, pair_id, translate.SIDES[data.type], data.price, data.amount)
        return Reply(200, replies.Answer(data=translate.created_view(placed, terms)))

    async def user_page(self, call: Call[requests.UserPageRequest, None]) -> Reply:
        """The caller's active offers on a pair, and what they may be swapped with."""
        wallet, services = wallet_of(call), self._services
        terms = await services.swaps.terms(translate.pair_number(call.body.pair_id))
        await services.swaps.expire()
        page = await services.pages.user_page(wallet.user_id, terms, services.tips_limit)
        if any(offer.has_notification for offer in page.offers):
            await services.pages.clear_notifications(wallet.user_id, terms.pair_id)
        return Reply(200, replies.Answer(data=translate.user_page_view(page, services.clock.now_ms())))

    async def apply(self, call: Call[requests.ApplyOrder, None]) -> Reply:
        """Apply for a matched offer. Clients disagree on which id is whose, so either order will do."""
        wallet, data = wallet_of(call), call.body.order_data
        one, other = translate.number(data.id), translate.number(data.connected_order_id)
        swap_id = await self._services.swaps.apply(wallet.user_id, one, other, data.hex_raw_proposal)
        return Reply(200, replies.Answer(data=replies.Applied(swap_id)))

    async def cancel(self, call: Call[requests.OneOrder, None]) -> Reply:
        """End an own offer."""
        await self._services.swaps.cancel(wallet_of(call).user_id, translate.number(call.body.order_id))
        return Reply(200, replies.Done())

    async def cancel_all(self, call: Call[requests.CancelAll, None]) -> Reply:
        """End all own active offers that the filter takes."""
        wanted = call.body.filter_info
        chosen = CancelFilter(_pair_in(wanted.pair_id), _side_in(wanted.type))
        count = await self._services.swaps.cancel_all(wallet_of(call).user_id, chosen)
        return Reply(200, replies.Answer(data=replies.Cancelled(count)))

    async def renew(self, call: Call[requests.OneOrder, None]) -> Reply:
        """The bot of an own offer is alive."""
        order_id = translate.number(call.body.order_id)
        try:
            until_ms = await self._services.swaps.renew(wallet_of(call).user_id, order_id)
        except RenewedTooSoon as error:
            return Reply(200, replies.Answer(success=False, data=str(error)))
        return Reply(200, replies.Answer(data=replies.Renewed(until_ms)))

    async def find(self, call: Call[requests.MyOrders, None]) -> Reply:
        """Own offers, newest first."""
        wallet, services, body = wallet_of(call), self._services, call.body
        await services.swaps.expire()
        chosen = _history_filter(body.filter_info)
        found = await services.pages.history(wallet.user_id, chosen, body.limit, body.offset)
        count = await services.pages.history_count(wallet.user_id, chosen)
        now_ms = services.clock.now_ms()
        rows = [translate.order_view(offer, terms, now_ms) for offer, terms in found]
        return Reply(200, replies.MyOrders(total_items_count=count, data=rows))

    async def book(self, call: Call[requests.BookRequest, None]) -> Reply:
        """The open book of a pair."""
        services, body = self._services, call.body
        terms = await services.swaps.terms(translate.pair_number(body.pair_id))
        await services.swaps.expire()
        rows = await services.pages.book(terms.pair_id, body.limit, body.offset)
        now_ms = services.clock.now_ms()
        return Reply(200, replies.Answer(data=[translate.book_form(offer, terms, now_ms) for offer in rows]))


def _pair_in(value: int | str | UnsetType | None) -> int | None:
    return None if value is UNSET or value is None else translate.pair_number(value)


def _side_in(value: str | UnsetType | None) -> Side | None:
    return None if value is UNSET or value is None else translate.SIDES[value]


def _history_filter(wanted: requests.FilterInfo) -> HistoryFilter:
    date = requests.DateRange() if wanted.date is UNSET or wanted.date is None else wanted.date
    active = wanted.status == "active" if wanted.status else None
    return HistoryFilter(_pair_in(wanted.pair_id), _side_in(wanted.type), active, date.since, date.until)
