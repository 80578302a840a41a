"""The board of swaps: its use cases, what its dialect needs, and what runs beside it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from crossbook.application.accounts import Accounts
from crossbook.application.chain import Chain, ChainUnavailable
from crossbook.application.swap_events import NoPublisher, SwapEvent, SwapPublisher
from crossbook.application.swap_registry import CurrencyTerms, Registry
from crossbook.application.swaps import Swaps
from crossbook.application.wallets import WalletLogins
from crossbook.chain.daemon import Daemon
from crossbook.chain.json_rpc import JsonRpc, RpcLimits
from crossbook.dialects.lethean.auth import AUDIENCE, TokenAuth
from crossbook.dialects.lethean.live_pages import LiveServices
from crossbook.dialects.lethean.services import Services
from crossbook.logs import Log
from crossbook.readiness import Helper
from crossbook.security.login_challenges import Challenges
from crossbook.security.tokens import Tokens
from crossbook.security.wallet_addresses import LETHEAN_TAGS, ZANO_TAGS
from crossbook.server.socket_io import SocketIo, SocketIoLimits
from crossbook.settings import Settings
from crossbook.storage.database import Database
from crossbook.storage.swap_changes import SwapStore
from crossbook.storage.swap_pages import SwapPages
from crossbook.storage.swap_registry import RegistryStore
from crossbook.storage.wallets import WalletStore
from crossbook.system import Clock
from crossbook.workers.swap_listener import SwapListener
from crossbook.workers.swap_timer import SwapTimer

_TAGS: Final = {"lethean": LETHEAN_TAGS, "zano": ZANO_TAGS}

_log: Final = Log("swap board")


@dataclass(frozen=True)
class Operators:
    """Who may change the registry: the venue's own users, by their tokens."""

    tokens: Tokens
    accounts: Accounts


@dataclass(frozen=True)
class SwapBoard:
    """The board: what its dialect needs, and what runs beside it."""

    services: Services
    helpers: list[Helper]


class Herald:
    """A publisher that passes on to whoever is attached later: sockets read the board that tells them."""

    def __init__(self) -> None:
        self._to: SwapPublisher = NoPublisher()

    def attach(self, publisher: SwapPublisher) -> None:
        """Tell this one from now on."""
        self._to = publisher

    def publish(self, events: Sequence[SwapEvent]) -> None:
        """Pass it on."""
        self._to.publish(events)


def sockets_of(settings: Settings, services: Services, clock: Clock) -> SocketIo:
    """The sockets of a board, bounded as the other ones of the venue."""
    limits = SocketIoLimits(
        in_all=settings.sockets_limit,
        per_address=settings.sockets_per_address,
        rooms=settings.socket_subscriptions,
        messages_per_s=settings.socket_messages_per_s,
        waiting_packets=settings.socket_queue_limit,
    )
    return SocketIo(LiveServices(services), clock, limits, settings.web_origins)


def chain_of(settings: Settings, clock: Clock) -> Chain | None:
    """The chain daemon of the settings, None without one."""
    if settings.lethean_daemon_url is None:
        return None
    limits = RpcLimits(timeout_ms=settings.lethean_daemon_timeout_ms)
    return Daemon(JsonRpc(settings.lethean_daemon_url, clock, limits))


async def build_board(
    settings: Settings,
    database: Database,
    clock: Clock,
    *,
    secret: str,
    holder: str,
    operators: Operators,
    publisher: SwapPublisher,
    unavailable: Sequence[type[Exception]] = (),
) -> SwapBoard:
    """The board on a database. `secret` signs tokens, `holder` names this process. Raises StorageError."""
    chain = chain_of(settings, clock)
    registry = Registry(RegistryStore(database), clock, chain)
    await _ensure_native(registry, settings)
    timeout_ms = settings.lethean_swap_timeout_ms
    swaps = Swaps(
        SwapStore(database, holder, timeout_ms),
        clock,
        publisher,
        limit=settings.lethean_open_orders_limit,
        timeout_ms=timeout_ms,
        max_batch=settings.commit_batch_limit,
        max_waiting=settings.commit_queue_limit,
    )
    tokens = Tokens(clock, secret, settings.jwt_expiry_s, audience=AUDIENCE, endless=True)
    logins = WalletLogins(
        WalletStore(database),
        tokens,
        Challenges(secret),
        clock,
        tags=frozenset().union(*(_TAGS[name] for name in settings.lethean_chains)),
        chain=chain,
        challenge_required=settings.lethean_login_challenge,
    )
    services = Services(
        swaps=swaps,
        pages=SwapPages(database),
        registry=registry,
        logins=logins,
        auth=TokenAuth(tokens, logins, operators.tokens, operators.accounts, clock),
        clock=clock,
        tips_limit=settings.lethean_tips_limit,
        unavailable=tuple(unavailable),
    )
    helpers = [
        Helper("swaps", SwapTimer(swaps.expire, clock), "timer"),
        Helper("swaps", SwapListener(database, holder, publisher.publish, clock), "listener"),
    ]
    return SwapBoard(services, helpers)


async def _ensure_native(registry: Registry, settings: Settings) -> None:
    terms = CurrencyTerms(
        settings.lethean_native_asset_id,
        settings.lethean_native_name,
        settings.lethean_native_code,
        settings.lethean_native_decimals,
        full_name=settings.lethean_native_name,
    )
    try:
        await registry.ensure_native(terms)
    except ChainUnavailable as error:
        _log.warning("the chain does not describe its own currency now: the next start asks again", error=str(error))
