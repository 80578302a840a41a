"""Rate limits: token buckets per key and per address, and a brake on guessing passwords.

A bucket holds at most `burst` requests and gains `per_second` of them each second. It is kept in
thousandths of a request, in whole numbers. The buckets of all clients live in a table of bounded size; the
one that was longest unused makes room, and so starts full again when its owner returns.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv6Address
from typing import Final

from crossbook.dialects.ports import Verdict

MILLI: Final = 1000
MAX_BUCKETS: Final = 50_000
IPV6_SITE_BITS: Final = 64


@dataclass(frozen=True)
class Budget:
    """The size of a bucket, in requests, and how fast it fills again.

    `refill_ms` is the time in which one request is gained: 10 means 100 a second.
    """

    burst: int
    refill_ms: int

    def __post_init__(self) -> None:
        """Refuse a bucket that never holds or never gains a request."""
        if self.burst < 1 or self.refill_ms < 1:
            raise ValueError("a budget holds at least one request and gains one in at least a millisecond")

    @classmethod
    def per_second(cls, rate: int, burst: int) -> "Budget":
        """The budget that gains `rate` requests a second, at most 1000."""
        if not 1 <= rate <= MILLI:
            raise ValueError("a rate is 1 to 1000 requests a second")
        return cls(burst, -(-MILLI // rate))


class Bucket:
    """What is left of a budget at a time. `level` in units of one millisecond's gain: a request is `refill_ms`."""

    __slots__ = ("level", "seen_ms")

    def __init__(self, level: int, seen_ms: int) -> None:
        self.level = level
        self.seen_ms = seen_ms


class Buckets:
    """The buckets of one budget, by key. `now_ms` is a clock that never runs back."""

    def __init__(self, budget: Budget, now_ms: Callable[[], int], capacity: int = MAX_BUCKETS) -> None:
        self._budget = budget
        self._full = budget.burst * budget.refill_ms
        self._now_ms = now_ms
        self._capacity = capacity
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def take(self, key: str) -> Verdict:
        """Spend one request; a refused one costs nothing."""
        bucket = self._bucket(key)
        allowed = bucket.level >= self._budget.refill_ms
        if allowed:
            bucket.level -= self._budget.refill_ms
        return self._verdict(bucket, allowed)

    def look(self, key: str) -> Verdict:
        """What `take` would say, without spending."""
        bucket = self._bucket(key)
        return self._verdict(bucket, bucket.level >= self._budget.refill_ms)

    def forget(self, key: str) -> None:
        """Fill a key's bucket again."""
        self._buckets.pop(key, None)

    def _bucket(self, key: str) -> Bucket:
        now_ms = self._now_ms()
        bucket = self._buckets.get(key)
        if bucket is None:
            return self._made(key, now_ms)
        self._buckets.move_to_end(key)
        bucket.level = min(self._full, bucket.level + max(0, now_ms - bucket.seen_ms))
        bucket.seen_ms = now_ms
        return bucket

    def _made(self, key: str, now_ms: int) -> Bucket:
        while len(self._buckets) >= self._capacity:
            self._buckets.popitem(last=False)
        bucket = self._buckets[key] = Bucket(self._full, now_ms)
        return bucket

    def _verdict(self, bucket: Bucket, allowed: bool) -> Verdict:
        missing_ms = 0 if allowed else self._budget.refill_ms - bucket.level
        return Verdict(
            allowed,
            self._budget.burst,
            bucket.level // self._budget.refill_ms,
            seconds_up(self._full - bucket.level),
            seconds_up(missing_ms),
        )


def seconds_up(duration_ms: int) -> int:
    """A duration in whole seconds, rounded up."""
    return -(-duration_ms // MILLI)


def network_of(address: str) -> str:
    """What an address is limited by: itself, or for IPv6 its /64, which one subscriber owns whole."""
    if ":" not in address:
        return address
    try:
        parsed = IPv6Address(address.partition("%")[0])
    except AddressValueError:
        return address
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return f"{int(parsed) >> IPV6_SITE_BITS:x}/{IPV6_SITE_BITS}"


@dataclass(frozen=True)
class RateLimits:
    """The budgets per class of endpoint; a class that is not named has no limit."""

    by_key: Mapping[str, Budget]
    by_address: Mapping[str, Budget]


class RateLimiter:
    """The limiter that the endpoints ask. Classes do not share budgets, so cancels outlive an order flood."""

    def __init__(self, limits: RateLimits, now_ms: Callable[[], int], capacity: int = MAX_BUCKETS) -> None:
        self._by_key = {name: Buckets(budget, now_ms, capacity) for name, budget in limits.by_key.items()}
        self._by_address = {name: Buckets(budget, now_ms, capacity) for name, budget in limits.by_address.items()}

    def take_address(self, rate_class: str, address: str) -> Verdict | None:
        """Spend one request of the address's budget."""
        buckets = self._by_address.get(rate_class)
        return None if buckets is None else buckets.take(network_of(address))

    def take_key(self, rate_class: str, key: str) -> Verdict | None:
        """Spend one request of the key's budget."""
        buckets = self._by_key.get(rate_class)
        return None if buckets is None else buckets.take(key)


DEFAULT_PAIR: Final = Budget(burst=5, refill_ms=60_000)
DEFAULT_ACCOUNT: Final = Budget(burst=50, refill_ms=20_000)
DEFAULT_ADDRESS: Final = Budget(burst=50, refill_ms=20_000)


class LoginThrottle:
    """Counts failed logins, and nothing else: who knows the password never waits.

    Three budgets of failures: per account and address together (small), per account (a guess spread over
    addresses) and per address (a guess spread over accounts). Ask `wait_s` before the password is checked.
    """

    def __init__(
        self,
        now_ms: Callable[[], int],
        *,
        pair: Budget = DEFAULT_PAIR,
        account: Budget = DEFAULT_ACCOUNT,
        address: Budget = DEFAULT_ADDRESS,
        capacity: int = MAX_BUCKETS,
    ) -> None:
        self._pairs = Buckets(pair, now_ms, capacity)
        self._accounts = Buckets(account, now_ms, capacity)
        self._addresses = Buckets(address, now_ms, capacity)

    def _places(self, account: str, address: str) -> tuple[tuple[Buckets, str], ...]:
        network = network_of(address)
        return (
            (self._pairs, f"{network} {account}"),
            (self._accounts, account),
            (self._addresses, network),
        )

    def wait_s(self, account: str, address: str) -> int:
        """Seconds until the next attempt is heard; 0 for now."""
        return max(buckets.look(key).retry_after_s for buckets, key in self._places(account, address))

    def failed(self, account: str, address: str) -> None:
        """Count a wrong password."""
        for buckets, key in self._places(account, address):
            buckets.take(key)

    def succeeded(self, account: str, address: str) -> None:
        """Forget the account's failures from this address."""
        self._pairs.forget(f"{network_of(address)} {account}")
