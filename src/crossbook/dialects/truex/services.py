"""What TrueX's handlers need of the venue. Whoever builds the application fills it in, nobody else chooses."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from crossbook.application.clients import Clients
from crossbook.application.desk import Desk
from crossbook.application.markets import Markets
from crossbook.application.marks import Marks
from crossbook.dialects.market_ports import Clock, MarketData
from crossbook.dialects.ports import Limiter, Unlimited
from crossbook.dialects.truex.auth import Keys
from crossbook.dialects.truex.versions import SINGULAR, versions_of
from crossbook.dialects.versions import Retirement, Versions


@dataclass(frozen=True)
class Services:
    """The venue as TrueX sees it.

    `healthy` says whether database and matching work. `unavailable` are the errors, besides the application's own,
    that mean "not now, try again". `singular` is when the old paths were deprecated, and until when they are served.
    """

    keys: Keys
    clients: Clients
    desk: Desk
    markets: Markets
    marks: Marks
    market_data: MarketData
    clock: Clock
    healthy: Callable[[], Awaitable[bool]]
    unavailable: tuple[type[Exception], ...] = ()
    limiter: Limiter = field(default_factory=Unlimited)
    versions: Versions = field(default_factory=versions_of)
    singular: Retirement = SINGULAR
