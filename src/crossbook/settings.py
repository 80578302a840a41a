"""Every setting of the venue, in one frozen class that refuses values which do not fit.

`crossbook.settings_loading` reads them. `docs/settings.md` is made from this class by
`python -m crossbook.settings_page`.
"""

# ruff: noqa: RUF009 - `setting` declares a field, as `dataclasses.field` does

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path

from crossbook import settings_rules as rules
from crossbook.domain.errors import CrossbookError
from crossbook.logs import LogFormat, LogLevel
from crossbook.security.signing_secret import SHORTEST_SECRET_BYTES
from crossbook.settings_fields import Secrecy, Setting, setting, settings_of


class RuntimeMode(StrEnum):
    """What a process brings with it."""

    EMBEDDED = "embedded"
    """Everything in one process: PostgreSQL, streams, workers, bots, demo users."""
    PRODUCTION = "production"
    """Nothing of its own: database, streams and secret are given from outside."""


class CustodianOutcome(StrEnum):
    """How the simulated custodian ends transfers."""

    PAID = "paid"
    FAILED = "failed"
    REFUSED = "refused"


class SettingsError(CrossbookError, ValueError):
    """Settings that no venue may start with. `problems` are all that were found, a sentence each, no secrets."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


@dataclass(frozen=True, kw_only=True, repr=False)
class Settings:
    """The settings in force. Raises SettingsError for values that do not fit, alone or together."""

    # -- The venue -----------------------------------------------------------------------------------
    runtime_mode: RuntimeMode = setting(
        RuntimeMode.EMBEDDED,
        "Venue",
        "`embedded` brings its own PostgreSQL and streams. `production` starts nothing of its own, and needs"
        " DATABASE_URL, REDIS_URL, JWT_SECRET and CROSSBOOK_SEALING_KEYS.",
        bare_name=True,
    )
    host: str = setting("127.0.0.1", "Venue", "The address to listen on. `0.0.0.0` is every address of the machine.")
    port: int = setting(8000, "Venue", "The port to listen on; 0 takes a free one.", least=0, most=65_535)
    market_data_port: int = setting(
        8001,
        "Venue",
        "The port of `crossbook worker market-data`, which serves public data and Flux's WebSocket to those who only"
        " read; 0 takes a free one.",
        least=0,
        most=65_535,
    )
    data_dir: Path = setting(
        Path("data"),
        "Venue",
        "The folder of the embedded database, its secret and `demo.json`, from the working folder. Not used in"
        " production.",
    )
    shutdown_timeout_ms: int = setting(
        4_000, "Venue", "How long a stop may take before what still runs is cut off.", least=100, most=600_000
    )
    seed: int = setting(1, "Venue", "Bots with the same seed take the same decisions.", least=0, most=2**63 - 1)
    demo: bool = setting(True, "Venue", "Create the demo markets and users. Never in production.", in_production=False)
    bots: bool = setting(True, "Venue", "Let bots trade the demo markets. Never in production.", in_production=False)
    bot_interval_ms: int = setting(
        250, "Venue", "How often each bot looks at its market and acts.", least=1, most=3_600_000
    )

    # -- Database ------------------------------------------------------------------------------------
    database_url: str | None = setting(
        None,
        "Database",
        "The PostgreSQL server, `postgresql://user:password@host:port/name`. Without one, the embedded mode starts"
        " its own.",
        secrecy=Secrecy.SECRET_IN_URL,
        bare_name=True,
    )
    database_pool_min: int = setting(2, "Database", "Connections that are kept open.", least=0, most=1_000)
    database_pool_max: int = setting(10, "Database", "Connections at most, for each process.", least=1, most=1_000)
    database_connect_timeout_ms: int = setting(
        5_000, "Database", "How long to wait for a connection before the answer is 503.", least=1, most=600_000
    )
    statement_timeout_ms: int = setting(
        10_000, "Database", "How long one statement may run before the server ends it.", least=1, most=600_000
    )

    # -- Streams -------------------------------------------------------------------------------------
    redis_url: str | None = setting(
        None,
        "Streams",
        "The Redis or Valkey server of the streams, `redis://:password@host:port/0`. Without one, the embedded mode"
        " carries them inside the process.",
        secrecy=Secrecy.SECRET_IN_URL,
        bare_name=True,
    )
    redis_pool_max: int = setting(16, "Streams", "Connections at most, for each process.", least=1, most=1_000)
    redis_timeout_ms: int = setting(
        2_000, "Streams", "How long to wait for an answer of Redis before trying again.", least=1, most=600_000
    )

    # -- Sign-in -------------------------------------------------------------------------------------
    jwt_secret: str | None = setting(
        None,
        "Sign-in",
        f"Signs the tokens (HS256): at least {SHORTEST_SECRET_BYTES} random bytes. Without one, the embedded mode"
        " makes its own and keeps it in the data folder. Production refuses demo secrets.",
        secrecy=Secrecy.SECRET,
        bare_name=True,
    )
    jwt_expiry_s: int = setting(86_400, "Sign-in", "How long a token is valid.", least=60, most=31_536_000)
    sealing_keys: tuple[str, ...] = setting(
        (),
        "Sign-in",
        "Keys that seal the secrets of API keys in the database, each 32 random bytes in Base64: the first one seals,"
        " the others still open what they sealed. Without one, the embedded mode makes its own and keeps it in the"
        " data folder.",
        secrecy=Secrecy.SECRET,
    )
    password_threads: int = setting(
        2, "Sign-in", "Passwords that are hashed at once; each takes 32 MiB of memory while it is.", least=1, most=64
    )
    logins_per_minute: int = setting(
        10, "Sign-in", "Login attempts for each e-mail, and for each address; 0 for no limit.", least=0, most=1_000_000
    )
    registrations_per_minute: int = setting(
        30, "Sign-in", "New users and guests for each address; 0 for no limit.", least=0, most=1_000_000
    )

    # -- Limits --------------------------------------------------------------------------------------
    orders_per_s: int = setting(
        100,
        "Limits",
        "New and changed orders for each key, over time; every order of a batch counts. 0 for no limit.",
        least=0,
        most=1_000_000,
    )
    orders_burst: int = setting(200, "Limits", "New and changed orders for each key at once.", least=1, most=1_000_000)
    cancels_per_s: int = setting(
        200,
        "Limits",
        "Cancels for each key, over time: a budget of their own, so that one can always get out. 0 for no limit.",
        least=0,
        most=1_000_000,
    )
    cancels_burst: int = setting(400, "Limits", "Cancels for each key at once.", least=1, most=1_000_000)
    reads_per_s: int = setting(
        100, "Limits", "Every other request for each key, over time; 0 for no limit.", least=0, most=1_000_000
    )
    reads_burst: int = setting(400, "Limits", "Every other request for each key at once.", least=1, most=1_000_000)
    address_per_s: int = setting(
        1_000,
        "Limits",
        "Requests of any kind for each address, over time; 0 for no limit.",
        least=0,
        most=1_000_000,
    )
    address_burst: int = setting(
        2_000, "Limits", "Requests of any kind for each address at once.", least=1, most=1_000_000
    )
    trusted_proxies: tuple[str, ...] = setting(
        (),
        "Limits",
        "Addresses or networks of proxies whose `X-Forwarded-For` is believed. Without them, all behind a proxy"
        " share one address's limits.",
    )
    body_limit_bytes: int = setting(
        65_536, "Limits", "The longest body of a request; a longer one is 413.", least=1_024, most=16_777_216
    )
    json_depth_limit: int = setting(16, "Limits", "How deep the JSON of a request may be nested.", least=2, most=100)
    web_origins: tuple[str, ...] = setting(
        (),
        "Limits",
        "Web origins such as `https://app.example.com` whose pages may call the API and open WebSockets, beside the"
        " venue's own.",
    )
    sockets_limit: int = setting(
        2_000, "Limits", "WebSockets that may be open at once, in one process.", least=1, most=1_000_000
    )
    sockets_per_address: int = setting(
        100, "Limits", "WebSockets that may be open at once for each address.", least=1, most=1_000_000
    )
    socket_subscriptions: int = setting(
        50, "Limits", "What one WebSocket may subscribe to at once.", least=1, most=10_000
    )
    socket_messages_per_s: int = setting(
        20, "Limits", "Messages that one WebSocket may send, over time.", least=1, most=1_000
    )
    socket_queue_limit: int = setting(
        1_000,
        "Limits",
        "Messages that may wait for one WebSocket; a peer that reads so slowly that there are more is dropped.",
        least=10,
        most=1_000_000,
    )

    # -- TrueX ---------------------------------------------------------------------------------------
    truex_deprecated_versions: tuple[str, ...] = setting(
        (),
        "TrueX",
        "Versions of the API that are deprecated, each as `version:since:until`, such as"
        " `v2024_01_01:2026-06-01:2027-06-01`; `until` may be left out. Replies then carry the headers Deprecation and"
        " Sunset.",
    )

    # -- Lethean -------------------------------------------------------------------------------------
    lethean_daemon_url: str | None = setting(
        None,
        "Lethean",
        "The JSON-RPC address of a chain daemon, `http://host:port`: aliases are then checked, and assets read, on the"
        " chain. Without one nothing is asked.",
    )
    lethean_daemon_timeout_ms: int = setting(
        3_000, "Lethean", "How long to wait for an answer of the chain daemon.", least=50, most=60_000
    )
    lethean_chains: tuple[str, ...] = setting(
        ("lethean", "zano"), "Lethean", "Whose wallets may sign in, by their addresses: lethean, zano."
    )
    lethean_login_challenge: bool = setting(
        False,
        "Lethean",
        "Take only logins with a message that the venue gave out (`/api/auth/request-auth`); old bots do not ask.",
    )
    lethean_native_asset_id: str = setting(
        "d6329b5b1f7c0805b5c345f4957554002a2f557845f64d7645dae0e051a6498a",
        "Lethean",
        "The chain's own currency, 64 hexadecimal digits.",
    )
    lethean_native_code: str = setting("LTHN", "Lethean", "The ticker of the chain's own currency.")
    lethean_native_name: str = setting("Lethean", "Lethean", "The name of the chain's own currency.")
    lethean_native_decimals: int = setting(
        12,
        "Lethean",
        "Places after the point of the chain's own currency, where no daemon says it.",
        least=0,
        most=18,
    )
    lethean_open_orders_limit: int = setting(
        10, "Lethean", "Active orders for each user, pair and side.", least=1, most=100_000
    )
    lethean_tips_limit: int = setting(
        10_000,
        "Lethean",
        "Counter-orders that one page of a user may show for each side; those of the best prices.",
        least=1,
        most=100_000,
    )
    lethean_swap_timeout_ms: int = setting(
        600_000,
        "Lethean",
        "How long a swap may wait for its confirm; then it is rejected and both orders are free again.",
        least=1_000,
        most=86_400_000,
    )

    # -- Transfers -----------------------------------------------------------------------------------
    custodian_delay_ms: int = setting(
        2_000, "Transfers", "How long the simulated custodian takes to end a transfer.", least=0, most=86_400_000
    )
    custodian_outcome: CustodianOutcome = setting(
        CustodianOutcome.PAID,
        "Transfers",
        "How the simulated custodian ends transfers: `paid`, `failed`, or `refused`.",
    )
    transfers_open_limit: int = setting(
        20, "Transfers", "Transfers of a client that may wait for the custodian at once.", least=1, most=10_000
    )

    # -- Prices --------------------------------------------------------------------------------------
    prices_interval_ms: int = setting(
        1_000, "Prices", "How often mark and index of a perpetual are stated.", least=50, most=60_000
    )
    index_max_age_ms: int = setting(
        10_000, "Prices", "How old the price of an index source may be.", least=100, most=3_600_000
    )
    index_outlier_bp: int = setting(
        500,
        "Prices",
        "How far a source may be from the median of all, in basis points; further off, it does not count.",
        least=1,
        most=10_000,
    )
    index_min_sources: int = setting(
        1, "Prices", "Sources that must count; with fewer, a market takes cancels only.", least=1, most=50
    )
    index_venues_file: Path | None = setting(
        None,
        "Prices",
        "A JSON file that names public venues whose prices are sources of the index; see `docs/risk.md`. Without one,"
        " no public venue is asked.",
    )
    mark_band_bp: int = setting(
        500, "Prices", "How far the mark may be from the index, in basis points.", least=1, most=10_000
    )

    # -- Workers -------------------------------------------------------------------------------------
    commit_batch_limit: int = setting(
        256, "Workers", "Requests that are accepted in one transaction at most.", least=1, most=10_000
    )
    commit_queue_limit: int = setting(
        10_000,
        "Workers",
        "Requests that may wait to be accepted; above it the answer is 503 with Retry-After.",
        least=1,
        most=1_000_000,
    )
    settle_batch_limit: int = setting(
        1_000, "Workers", "Commands that are settled in one transaction at most.", least=1, most=100_000
    )
    snapshot_every_commands: int = setting(
        20_000,
        "Workers",
        "A market's book is saved after so many commands, and at shutdown; a start replays the rest.",
        least=1,
        most=100_000_000,
    )
    lease_ms: int = setting(
        5_000,
        "Workers",
        "How long a matcher holds a market without renewing: a standby takes over after it.",
        least=500,
        most=600_000,
    )
    ready_lag_limit_ms: int = setting(
        5_000, "Workers", "How old the oldest unsettled command may be before `/ready` says no.", least=1, most=600_000
    )
    ready_wait_limit_ms: int = setting(
        10_000,
        "Workers",
        "How long a worker beside the way of an order may wait, or start, before `/ready` says no.",
        least=1,
        most=600_000,
    )

    # -- Logs ----------------------------------------------------------------------------------------
    log_level: LogLevel = setting(LogLevel.INFO, "Logs", "From which weight on events are written.")
    log_format: LogFormat = setting(
        LogFormat.AUTO,
        "Logs",
        "`auto` writes text on a terminal and JSON elsewhere.",
        in_production=LogFormat.JSON,
    )

    def __post_init__(self) -> None:
        problems = list(_problems_of_values(self)) or list(_problems_together(self))
        if problems:
            raise SettingsError(problems)

    def __repr__(self) -> str:
        return f"Settings({', '.join(f'{name}={value!r}' for name, value in self.masked().items())})"

    @property
    def production(self) -> bool:
        """Whether nothing embedded may be started."""
        return self.runtime_mode is RuntimeMode.PRODUCTION

    def masked(self) -> dict[str, str]:
        """Every setting by name, as text without secrets; "" for one that is not set."""
        return {item.name: item.shown(getattr(self, item.name)) for item in all_settings()}


@cache
def all_settings() -> tuple[Setting, ...]:
    """Every setting there is, in the order of its declaration."""
    return settings_of(Settings)


# -- Rules -------------------------------------------------------------------------------------------
def _problems_of_values(settings: Settings) -> Iterator[str]:
    for item in all_settings():
        if fault := item.fault_of(getattr(settings, item.name)):
            yield f"{item.name} {fault}."


def _problems_together(settings: Settings) -> Iterator[str]:
    if not settings.host.strip():
        yield "host must name an address to listen on."
    if settings.database_pool_min > settings.database_pool_max:
        yield "database_pool_min must not be above database_pool_max."
    yield from rules.problems_of_database(settings.database_url)
    yield from rules.problems_of_redis(settings.redis_url)
    yield from rules.problems_of_proxies(settings.trusted_proxies)
    yield from rules.problems_of_daemon(settings.lethean_daemon_url)
    yield from rules.problems_of_chains(settings.lethean_chains)
    yield from rules.problems_of_currency(
        settings.lethean_native_asset_id, settings.lethean_native_code, settings.lethean_native_name
    )
    yield from rules.problems_of_origins(settings.web_origins)
    yield from rules.problems_of_secret(settings.jwt_secret, settings.production)
    yield from rules.problems_of_sealing_keys(settings.sealing_keys)
    yield from rules.problems_of_deprecations(settings.truex_deprecated_versions)
    if settings.production:
        yield from _problems_in_production(settings)


def _problems_in_production(settings: Settings) -> Iterator[str]:
    needed = {
        "DATABASE_URL": settings.database_url,
        "REDIS_URL": settings.redis_url,
        "JWT_SECRET": settings.jwt_secret,
        "CROSSBOOK_SEALING_KEYS": settings.sealing_keys,
    }
    yield from (f"{name} is not set, and production needs it." for name, value in needed.items() if not value)
    for name, wanted in (("bots", settings.bots), ("demo", settings.demo)):
        if wanted:
            yield f"{name} must be false in production."
