"""Lethean's table: every route with its summary, its request, its replies and its budget."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from crossbook.dialects.call import Call, Reply
from crossbook.dialects.endpoint import AnyEndpoint, Auth, Dialect, Endpoint
from crossbook.dialects.lethean import replies, requests
from crossbook.dialects.lethean.dex import DexHandlers
from crossbook.dialects.lethean.errors import Failure, LetheanErrors, invalid_login
from crossbook.dialects.lethean.live_guide import GUIDE
from crossbook.dialects.lethean.orders import OrderHandlers
from crossbook.dialects.lethean.replies import Answer
from crossbook.dialects.lethean.services import Services
from crossbook.dialects.lethean.transactions import TransactionHandlers
from crossbook.dialects.lethean.users import UserHandlers
from crossbook.dialects.rate_classes import CANCELS, ORDERS, READS, REGISTRATIONS

PREFIX: Final = "/api"
BODY_LIMIT_BYTES: Final = 1 << 20
"""Proposals are tens of kilobytes."""
ADMIN: Final = frozenset({"admin"})
_USERS, _ORDERS, _SWAPS, _PAIRS, _ADMIN = "Users", "Orders", "Transactions", "Pairs", "Operator"
_BAD: Final[Mapping[int, object]] = {400: Failure}

Handler = Callable[[Call[Any, Any]], Awaitable[Reply]]


def lethean_dialect(services: Services, version: str) -> Dialect:
    """Lethean, below /api. `version` is the venue's."""
    return Dialect(
        name="lethean",
        title="Lethean Trade DEX",
        version=version,
        description="A board of peer-to-peer swaps between wallets. Prices, amounts and totals are decimal strings;"
        " the token of a request stands in its body.",
        endpoints=endpoints(services),
        errors=LetheanErrors(services.unavailable),
        prefix=PREFIX,
        authenticate=services.auth,
        signs_body=True,
        body_limit_bytes=BODY_LIMIT_BYTES,
        socket=GUIDE,
    )


def endpoints(services: Services) -> list[AnyEndpoint]:
    """The whole table."""
    users, orders = UserHandlers(services), OrderHandlers(services)
    swaps, dex = TransactionHandlers(services), DexHandlers(services)
    return [
        *_users(users),
        *_orders(orders),
        *_public_orders(orders, dex),
        *_transactions(swaps),
        *_pairs(dex),
        _own(
            "/dex/renew-bot",
            "Say that the bot of an own order is alive.",
            orders.renew,
            requests.OneOrder,
            Answer[replies.Renewed | str],
            READS,
            _ORDERS,
            "Holds for 30 s; again within 5 s is refused with 200 and `success` false.",
        ),
        *_operator(dex),
    ]


def _own(
    path: str,
    summary: str,
    handler: Handler,
    request: type[Any],
    reply: object,
    rate_class: str,
    tag: str,
    description: str = "",
    method: str = "POST",
) -> AnyEndpoint:
    """A row that asks for a token."""
    return Endpoint(
        method,
        path,
        summary,
        handler,
        {200: reply, **_BAD},
        Auth.REQUIRED,
        request=request,
        rate_class=rate_class,
        tag=tag,
        description=description,
    )


def _open(path: str, summary: str, handler: Handler, request: type[Any], reply: object, tag: str) -> AnyEndpoint:
    """A row that anybody may ask."""
    return Endpoint("POST", path, summary, handler, {200: reply, **_BAD}, request=request, rate_class=READS, tag=tag)


def _users(users: UserHandlers) -> list[AnyEndpoint]:
    return [
        Endpoint(
            "POST",
            "/auth/request-auth",
            "A message to sign.",
            users.request_auth,
            {200: Answer[str], **_BAD},
            request=requests.RequestAuth,
            rate_class=REGISTRATIONS,
            tag=_USERS,
            description="Good for five minutes and one login with this address and alias.",
            on_invalid=invalid_login,
        ),
        Endpoint(
            "POST",
            "/auth",
            "Sign in: a token for a message that a wallet signed.",
            users.auth,
            {200: Answer[str], **_BAD},
            request=requests.Auth,
            rate_class=REGISTRATIONS,
            tag=_USERS,
            description="`data` is the token. A message is good for one login of an address.",
            on_invalid=invalid_login,
        ),
        _own("/auth/sign-out", "End the session.", users.sign_out, requests.TokenOnly, replies.Done, READS, _USERS),
        _own("/check-auth", "Whose token it is.", users.check, requests.TokenOnly, replies.Checked, READS, _USERS),
        _own("/user/get-user", "The caller.", users.me, requests.TokenOnly, Answer[replies.Self], READS, _USERS),
        _own(
            "/user/get-notifications-amount",
            "On how many own orders something happened that was not seen.",
            users.notifications,
            requests.TokenOnly,
            Answer[int],
            READS,
            _USERS,
        ),
    ]


def _orders(orders: OrderHandlers) -> list[AnyEndpoint]:
    return [
        _own(
            "/orders/create",
            "Post an order.",
            orders.create,
            requests.CreateOrder,
            Answer[replies.CreatedOrder],
            ORDERS,
            _ORDERS,
            "An order is an offer: nothing is held for it. `immediateMatch` is there when it meets another one.",
        ),
        _own(
            "/orders/get-user-page",
            "Own active orders on a pair, and what they may be swapped with.",
            orders.user_page,
            requests.UserPageRequest,
            Answer[replies.UserPageView],
            READS,
            _ORDERS,
        ),
        _own(
            "/orders/apply-order",
            "Apply for a matched order.",
            orders.apply,
            requests.ApplyOrder,
            Answer[replies.Applied],
            ORDERS,
            _ORDERS,
            "One of the two orders is the caller's, in whichever field.",
        ),
        _own(
            "/orders/cancel", "Cancel an own order.", orders.cancel, requests.OneOrder, replies.Done, CANCELS, _ORDERS
        ),
        _own(
            "/orders/cancel-all",
            "Cancel all own active orders that a filter takes.",
            orders.cancel_all,
            requests.CancelAll,
            Answer[replies.Cancelled],
            CANCELS,
            _ORDERS,
            method="PATCH",
        ),
        _own(
            "/orders/get",
            "Own orders, newest first.",
            orders.find,
            requests.MyOrders,
            replies.MyOrders,
            READS,
            _ORDERS,
            method="PATCH",
        ),
    ]


def _public_orders(orders: OrderHandlers, dex: DexHandlers) -> list[AnyEndpoint]:
    return [
        _open(
            "/orders/get-page",
            "The open book of a pair: sellers from the lowest price, then buyers from the highest.",
            orders.book,
            requests.BookRequest,
            Answer[list[replies.BookOrder]],
            _ORDERS,
        ),
        _open(
            "/orders/get-trades",
            "The last trades of a pair, newest first.",
            dex.trades,
            requests.TradesRequest,
            Answer[list[replies.Trade]],
            _ORDERS,
        ),
        _open(
            "/orders/get-candles",
            "The last candles of a pair in which something traded, oldest first.",
            dex.candles,
            requests.CandlesRequest,
            Answer[list[replies.CandleView]],
            _ORDERS,
        ),
        _open(
            "/orders/get-chart-orders",
            "The last trades of a pair as points of a chart, oldest first.",
            dex.chart,
            requests.TradesRequest,
            Answer[list[replies.ChartOrder]],
            _ORDERS,
        ),
        _open(
            "/orders/get-pair-stats",
            "Statistics of a pair over 24 hours.",
            dex.stats,
            requests.OfPair,
            Answer[replies.Stats],
            _ORDERS,
        ),
    ]


def _transactions(swaps: TransactionHandlers) -> list[AnyEndpoint]:
    return [
        _own(
            "/transactions/confirm",
            "The finaliser's word that the swap was made.",
            swaps.confirm,
            requests.OneTransaction,
            replies.Done,
            CANCELS,
            _SWAPS,
        ),
        _own(
            "/transactions/cancel",
            "Call a pending transaction off, by either side.",
            swaps.cancel,
            requests.OneTransaction,
            replies.Done,
            CANCELS,
            _SWAPS,
        ),
        _own(
            "/transactions/get-active-tx-by-orders-ids",
            "The pending transaction of two orders, named in either order.",
            swaps.active,
            requests.ActiveTransaction,
            Answer[replies.ActiveView],
            READS,
            _SWAPS,
        ),
        _own(
            "/transactions/get-my-transactions",
            "Own transactions of a stretch of time, newest first.",
            swaps.mine,
            requests.MyTransactions,
            Answer[list[replies.TransactionView]],
            READS,
            _SWAPS,
        ),
        _own(
            "/transactions/get-my-pending",
            "Own pending transactions, newest first.",
            swaps.my_pending,
            requests.TokenOnly,
            Answer[list[replies.TransactionView]],
            READS,
            _SWAPS,
        ),
    ]


def _pairs(dex: DexHandlers) -> list[AnyEndpoint]:
    return [
        Endpoint(
            "GET",
            "/config",
            "Every currency.",
            dex.config,
            {200: Answer[replies.Currencies]},
            rate_class=READS,
            tag=_PAIRS,
        ),
        _open("/dex/get-pair", "One pair.", dex.pair, requests.OnePair, Answer[replies.PairView], _PAIRS),
        _open(
            "/dex/get-pairs-page",
            "A page of pairs.",
            dex.page,
            requests.PairsPage,
            Answer[list[replies.PairView]],
            _PAIRS,
        ),
        _open(
            "/dex/get-pairs-pages-amount",
            "How many pages of pairs there are.",
            dex.pages,
            requests.PairsFilter,
            Answer[int],
            _PAIRS,
        ),
        Endpoint(
            "POST",
            "/dex/find-pair",
            "The pair of two assets.",
            dex.find,
            {200: Answer[int], **_BAD, 404: Failure},
            request=requests.FindPair,
            rate_class=READS,
            tag=_PAIRS,
        ),
    ]


def _operator(dex: DexHandlers) -> list[AnyEndpoint]:
    rows: list[tuple[str, str, Handler, type[Any], object]] = [
        (
            "/admin/put-asset",
            "Register a currency, or describe it anew.",
            dex.put_asset,
            requests.PutAsset,
            Answer[replies.CurrencyView],
        ),
        (
            "/admin/whitelist-asset",
            "Vouch for a currency, or no longer.",
            dex.whitelist,
            requests.Whitelist,
            Answer[replies.CurrencyView],
        ),
        ("/admin/put-pair", "Set up a pair.", dex.put_pair, requests.PutPair, Answer[replies.PairView]),
    ]
    return [
        Endpoint(
            "POST",
            path,
            summary,
            handler,
            {200: reply, **_BAD, 404: Failure},
            Auth.REQUIRED,
            scopes=ADMIN,
            request=request,
            rate_class=READS,
            tag=_ADMIN,
            description="The token is an operator's, from Flux's `POST /auth/login`.",
        )
        for path, summary, handler, request, reply in rows
    ]
