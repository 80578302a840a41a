"""What the framework asks of its surroundings: rate limits and a place to report crashes."""

from collections.abc import Callable
from typing import Protocol

import msgspec

Crash = Callable[[BaseException, str, str], None]
"""Called with an unexpected error, while it is handled, the request id and the route; it writes the log line."""


class Verdict(msgspec.Struct, frozen=True, gc=False):
    """What a rate limit says of one request. `limit` is the size of the budget, in requests."""

    allowed: bool
    limit: int
    remaining: int
    reset_s: int
    retry_after_s: int


class Limiter(Protocol):
    """Budgets of requests. None means that the class has no such limit."""

    def take_address(self, rate_class: str, address: str) -> Verdict | None:
        """Spend one request of the address's budget for the class."""

    def take_key(self, rate_class: str, key: str) -> Verdict | None:
        """Spend one request of the key's (user's) budget for the class."""


class Unlimited:
    """A limiter without limits."""

    def take_address(self, rate_class: str, address: str) -> Verdict | None:
        """Always None."""
        del rate_class, address
        return None

    def take_key(self, rate_class: str, key: str) -> Verdict | None:
        """Always None."""
        del rate_class, key
        return None


def tighter(first: Verdict | None, second: Verdict | None) -> Verdict | None:
    """The verdict that leaves fewer requests; None when neither limits."""
    if first is None or second is None:
        return first or second
    return first if first.remaining <= second.remaining else second
