"""Which values of settings do not fit, beyond their types and bounds: a sentence for each problem, without secrets."""

import ipaddress
import re
from collections.abc import Iterator
from datetime import date
from typing import Final
from urllib.parse import urlsplit

from crossbook.security.sealing import sealing_key
from crossbook.security.signing_secret import SHORTEST_SECRET_BYTES, weakness_of

_DATABASE_SCHEMES: Final = ("postgresql", "postgres")
_REDIS_SCHEMES: Final = ("redis", "rediss", "unix")
_CHAINS: Final = frozenset({"lethean", "zano"})
_ASSET_ID: Final = re.compile(r"[0-9a-f]{64}")
_CURRENCY_NAME: Final = re.compile(r"[A-Za-z0-9 .-]{1,32}")


# -- Addresses ---------------------------------------------------------------------------------------
def problems_of_database(url: str | None) -> Iterator[str]:
    """DATABASE_URL: an address of PostgreSQL."""
    yield from _problems_of_url("DATABASE_URL", url, _DATABASE_SCHEMES)


def problems_of_redis(url: str | None) -> Iterator[str]:
    """REDIS_URL: an address of Redis."""
    yield from _problems_of_url("REDIS_URL", url, _REDIS_SCHEMES)


def _problems_of_url(name: str, url: str | None, schemes: tuple[str, ...]) -> Iterator[str]:
    """A URL may hold a password: no problem repeats it."""
    if url is None:
        return
    try:
        scheme = urlsplit(url).scheme
    except ValueError:
        yield f"{name} can not be read as a URL."
        return
    if scheme not in schemes:
        yield f"{name} must begin with {schemes[0]}://."


def problems_of_daemon(url: str | None) -> Iterator[str]:
    """lethean_daemon_url: where HTTP can be spoken."""
    if url is not None and (fault := fault_of_http(url)):
        yield f"lethean_daemon_url {fault}."


def fault_of_http(url: str) -> str:
    """Why `url` can not be called by HTTP, as words after its name; "" when it can. Never repeats it."""
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - reading it checks it
    except ValueError:
        return "can not be read as a URL"
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        return "must begin with http:// or https:// and name a host"
    return "must not hold a user, a query or a fragment" if parts.username or parts.query or parts.fragment else ""


def problems_of_proxies(proxies: tuple[str, ...]) -> Iterator[str]:
    """trusted_proxies: addresses or networks."""
    for proxy in proxies:
        try:
            ipaddress.ip_network(proxy)
        except ValueError:
            yield f"trusted_proxies must be addresses or networks such as 10.0.0.0/8, not {proxy!r}."


def problems_of_origins(origins: tuple[str, ...]) -> Iterator[str]:
    """web_origins: scheme and host, nothing behind."""
    for origin in origins:
        parts = urlsplit(origin)
        if parts.scheme not in {"http", "https"} or not parts.netloc or origin != f"{parts.scheme}://{parts.netloc}":
            yield f"web_origins must be origins such as https://app.example.com, each by name, not {origin!r}."


# -- Secrets -----------------------------------------------------------------------------------------
def problems_of_secret(secret: str | None, production: bool) -> Iterator[str]:
    """JWT_SECRET. The embedded venue takes a demo secret, but no short one: HS256 does not."""
    if secret is None:
        return
    short = len(secret.encode(errors="replace")) < SHORTEST_SECRET_BYTES
    weakness = weakness_of(secret)
    if weakness and (short or production):
        yield f"JWT_SECRET {weakness}. Make one with: openssl rand -base64 48"


def problems_of_sealing_keys(keys: tuple[str, ...]) -> Iterator[str]:
    """sealing_keys. No problem repeats a key."""
    for place, key in enumerate(keys, start=1):
        try:
            sealing_key(key)
        except ValueError as error:
            yield f"sealing_keys, key {place}: {error}. Make one with: openssl rand -base64 32"


# -- Dialects ----------------------------------------------------------------------------------------
def problems_of_chains(chains: tuple[str, ...]) -> Iterator[str]:
    """lethean_chains: at least one that is known."""
    if not chains or set(chains) - _CHAINS:
        yield f"lethean_chains must be some of {', '.join(sorted(_CHAINS))}."


def problems_of_currency(asset_id: str, code: str, name: str) -> Iterator[str]:
    """The chain's own currency."""
    if not _ASSET_ID.fullmatch(asset_id):
        yield "lethean_native_asset_id must be 64 hexadecimal digits in lower case."
    for field, text in (("code", code), ("name", name)):
        if not _CURRENCY_NAME.fullmatch(text):
            yield f"lethean_native_{field} must be 1 to 32 letters, digits, spaces, points or dashes."


def problems_of_deprecations(texts: tuple[str, ...]) -> Iterator[str]:
    """truex_deprecated_versions."""
    for text in texts:
        try:
            deprecation_in(text)
        except ValueError:
            yield f"truex_deprecated_versions must be version:since:until with dates as 2026-06-01, not {text!r}."


def deprecation_in(text: str) -> tuple[str, date, date | None]:
    """The version, and since and until when, in `version:since:until`. Raises ValueError."""
    name, since, *until = text.split(":")
    if len(until) > 1 or not name:
        raise ValueError("there are three parts at most")
    sunset = date.fromisoformat(until[0]) if until else None
    deprecated = date.fromisoformat(since)
    if sunset is not None and sunset < deprecated:
        raise ValueError("the end is before the beginning")
    return name, deprecated, sunset
