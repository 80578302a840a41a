"""Flux's table: every route with its summary, its request, its replies and its budget.

The WebSocket `/ws` is beside it, in `socket.py`. docs/dialects/flux.md says what is missing.
"""

from collections.abc import Mapping
from typing import Final

from crossbook.dialects.endpoint import AnyEndpoint, Auth, Dialect, Endpoint
from crossbook.dialects.flux import custody, keys, limits, pricing, schemas
from crossbook.dialects.flux.account import AccountHandlers
from crossbook.dialects.flux.auth import SECURITY, BearerAuth
from crossbook.dialects.flux.errors import ErrorBody, FluxErrors
from crossbook.dialects.flux.known_errors import translator
from crossbook.dialects.flux.margin import MarginHandlers
from crossbook.dialects.flux.margin_endpoints import margin_endpoints
from crossbook.dialects.flux.orders import OrderHandlers
from crossbook.dialects.flux.public import PublicHandlers
from crossbook.dialects.flux.services import Services
from crossbook.dialects.flux.socket_guide import GUIDE
from crossbook.dialects.flux.users import UserHandlers
from crossbook.dialects.rate_classes import CANCELS, LOGINS, ORDERS, READS, REGISTRATIONS
from crossbook.settings import RuntimeMode

ADMIN: Final = frozenset({"admin"})
FUNDS: Final = frozenset({"funds"})

_USERS, _MARKETS, _FUNDS, _ORDERS, _ACCOUNT, _VENUE = "Users", "Markets", "Funds", "Orders", "Account", "Venue"
_BAD: Final[Mapping[int, object]] = {400: ErrorBody}
_MISSING: Final[Mapping[int, object]] = {404: ErrorBody}
_EXAMPLE_ORDER: Final = schemas.SubmitOrder(
    market_id="BTC-PERP",
    side="BUY",
    type="LIMIT",
    quantity="1.25",
    price="65000",
    time_in_force="GTC",
    post_only=True,
    client_order_id="client-123",
    leverage=10,
)


def flux_dialect(services: Services, version: str) -> Dialect:
    """Flux, at the root of the address. `version` is the venue's."""
    return Dialect(
        name="flux",
        title="Flux",
        version=version,
        description="Perpetual futures. Amounts are decimal strings, times milliseconds since the epoch.",
        endpoints=endpoints(services),
        errors=FluxErrors(translator(services.unavailable)),
        authenticate=BearerAuth(services.tokens, services.accounts, services.clock),
        security=SECURITY,
        socket=GUIDE,
    )


def endpoints(services: Services) -> list[AnyEndpoint]:
    """The whole table."""
    orders = OrderHandlers(services)
    return [
        *_users(UserHandlers(services)),
        *_markets(PublicHandlers(services)),
        *_funds(AccountHandlers(services), in_production=services.runtime_mode is RuntimeMode.PRODUCTION),
        *_orders(orders),
        *margin_endpoints(MarginHandlers(services, orders), READS),
        *_account(AccountHandlers(services)),
        *pricing.endpoints(services),
        *_venue(PublicHandlers(services), AccountHandlers(services)),
        *keys.table(services),
        *limits.table(services),
        *custody.table(services),
    ]


def _users(users: UserHandlers) -> list[AnyEndpoint]:
    return [
        Endpoint(
            "POST",
            "/auth/register",
            "Register a user.",
            users.register,
            {201: schemas.Registered, 409: ErrorBody},
            request=schemas.Credentials,
            rate_class=REGISTRATIONS,
            tag=_USERS,
        ),
        Endpoint(
            "POST",
            "/auth/login",
            "Sign in: a token for an email and a password.",
            users.login,
            {200: schemas.LoggedIn, 401: ErrorBody},
            request=schemas.LoginCredentials,
            rate_class=LOGINS,
            tag=_USERS,
        ),
        Endpoint(
            "POST",
            "/auth/guest",
            "A new user without a login, signed in at once.",
            users.guest,
            {201: schemas.LoggedIn},
            rate_class=REGISTRATIONS,
            tag=_USERS,
        ),
        Endpoint(
            "GET", "/me", "Whose token it is.", users.me, {200: schemas.Me}, Auth.REQUIRED, rate_class=READS, tag=_USERS
        ),
    ]


def _markets(public: PublicHandlers) -> list[AnyEndpoint]:
    return [
        Endpoint(
            "GET",
            "/markets",
            "Every market.",
            public.markets,
            {200: list[schemas.Market]},
            rate_class=READS,
            tag=_MARKETS,
        ),
        Endpoint(
            "GET",
            "/markets/{marketId}",
            "One market.",
            public.market,
            {200: schemas.Market, **_MISSING},
            rate_class=READS,
            tag=_MARKETS,
        ),
        Endpoint(
            "GET",
            "/markets/{marketId}/orderbook",
            "The best levels of a market's book.",
            public.orderbook,
            {200: schemas.OrderBook, **_MISSING},
            query=schemas.OrderBookQuery,
            rate_class=READS,
            tag=_MARKETS,
        ),
        Endpoint(
            "GET",
            "/prices",
            "Mark, index and last price of every market.",
            public.prices,
            {200: list[schemas.Price]},
            rate_class=READS,
            tag=_MARKETS,
        ),
        Endpoint(
            "GET",
            "/prices/{marketId}",
            "Mark, index and last price of one market.",
            public.price,
            {200: schemas.Price, **_MISSING},
            rate_class=READS,
            tag=_MARKETS,
        ),
        Endpoint(
            "GET",
            "/trades/{market}",
            "A market's last trades, newest first.",
            public.trades,
            {200: list[schemas.Trade], **_MISSING},
            query=schemas.TradesQuery,
            rate_class=READS,
            tag=_MARKETS,
            description="The last 500 trades of a market are kept. The Link header leads to the next page.",
        ),
    ]


def _funds(account: AccountHandlers, in_production: bool) -> list[AnyEndpoint]:
    return [
        Endpoint(
            "POST",
            "/deposits",
            "Add money to the account.",
            account.deposit,
            {201: schemas.Balance, **_BAD, 403: ErrorBody},
            Auth.REQUIRED,
            scopes=FUNDS if in_production else frozenset(),
            request=schemas.Deposit,
            rate_class=READS,
            tag=_FUNDS,
            description="A faucet in the embedded venue. In production it needs the scope funds. With that scope,"
            " userId names who receives the deposit; the reply is the receiver's balance.",
            example=schemas.Deposit(asset="USDC", amount="10000"),
        ),
        Endpoint(
            "POST",
            "/withdrawals",
            "Take money out of the account.",
            account.withdraw,
            {201: schemas.Balance, **_BAD},
            Auth.REQUIRED,
            request=schemas.Transfer,
            rate_class=READS,
            tag=_FUNDS,
            description="Margin of positions and open orders stays, and so does profit that is not realised.",
            example=schemas.Transfer(asset="USDC", amount="100"),
        ),
    ]


def _orders(orders: OrderHandlers) -> list[AnyEndpoint]:
    return [
        Endpoint(
            "POST",
            "/orders",
            "Enter an order.",
            orders.submit,
            {200: schemas.Accepted, 202: schemas.Accepted, **_MISSING, 409: ErrorBody},
            Auth.REQUIRED,
            request=schemas.SubmitOrder,
            rate_class=ORDERS,
            tag=_ORDERS,
            description="202: the order is durable, and will be decided. 200: it was entered before, under the same"
            " clientOrderId and with the same body.",
            example=_EXAMPLE_ORDER,
        ),
        Endpoint(
            "POST",
            "/orders/batch",
            "Enter several orders, each for itself.",
            orders.submit_batch,
            {202: schemas.BatchAccepted},
            Auth.REQUIRED,
            request=schemas.SubmitBatch,
            rate_class=ORDERS,
            tag=_ORDERS,
            description="Every order counts against the budget. One bad order never fails its neighbours.",
            example=schemas.SubmitBatch(orders=[_EXAMPLE_ORDER]),
        ),
        Endpoint(
            "GET",
            "/orders",
            "Own orders, newest first.",
            orders.find,
            {200: list[schemas.Order], **_MISSING},
            Auth.REQUIRED,
            query=schemas.OrdersQuery,
            rate_class=READS,
            tag=_ORDERS,
            description="The Link header leads to the next page.",
        ),
        Endpoint(
            "GET",
            "/orders/{orderId}",
            "One own order.",
            orders.one,
            {200: schemas.Order, **_MISSING},
            Auth.REQUIRED,
            rate_class=READS,
            tag=_ORDERS,
        ),
        Endpoint(
            "PATCH",
            "/orders/{orderId}",
            "Amend an open order.",
            orders.amend,
            {202: schemas.Order, **_MISSING, 409: ErrorBody},
            Auth.REQUIRED,
            request=schemas.AmendOrder,
            rate_class=ORDERS,
            tag=_ORDERS,
            description="202: the amendment is durable, and will be decided; the reply is the order as it is now."
            " quantity is the new total, filled part included. A lower quantity at the same price keeps the order's"
            " place in the queue; anything else loses it.",
            example=schemas.AmendOrder(quantity="2.5", price="64000"),
        ),
        Endpoint(
            "DELETE",
            "/orders/{orderId}",
            "Cancel an order.",
            orders.cancel,
            {202: schemas.CancelAccepted, **_MISSING, 409: ErrorBody},
            Auth.REQUIRED,
            rate_class=CANCELS,
            tag=_ORDERS,
        ),
        Endpoint(
            "DELETE",
            "/orders",
            "Cancel every open order, of one market or of all.",
            orders.cancel_all,
            {202: schemas.CancelAllAccepted, **_MISSING},
            Auth.REQUIRED,
            query=schemas.CancelAllQuery,
            rate_class=CANCELS,
            tag=_ORDERS,
        ),
    ]


def _account(account: AccountHandlers) -> list[AnyEndpoint]:
    return [
        Endpoint(
            "GET",
            "/balances",
            "Own balances.",
            account.balances,
            {200: list[schemas.Balance]},
            Auth.REQUIRED,
            rate_class=READS,
            tag=_ACCOUNT,
        ),
        Endpoint(
            "GET",
            "/positions",
            "Own positions, valued at the mark.",
            account.positions,
            {200: list[schemas.Position]},
            Auth.REQUIRED,
            rate_class=READS,
            tag=_ACCOUNT,
        ),
        Endpoint(
            "GET",
            "/fills",
            "Own fills, newest first.",
            account.fills,
            {200: list[schemas.Fill], **_MISSING},
            Auth.REQUIRED,
            query=schemas.FillsQuery,
            rate_class=READS,
            tag=_ACCOUNT,
            description="The Link header leads to the next page.",
        ),
    ]


def _venue(public: PublicHandlers, account: AccountHandlers) -> list[AnyEndpoint]:
    return [
        Endpoint("GET", "/health", "Whether the process answers.", public.health, {200: schemas.Health}, tag=_VENUE),
        Endpoint("GET", "/time", "The venue's clock.", public.time, {200: schemas.ServerTime}, tag=_VENUE),
        Endpoint(
            "POST",
            "/admin/drain",
            "Wait until everything accepted is settled.",
            account.drain,
            {200: schemas.Drained},
            Auth.REQUIRED,
            scopes=ADMIN,
            tag=_VENUE,
            description="For tests of the embedded venue. In production it answers at once and does nothing.",
        ),
    ]
