"""What `/ready` asks: database, streams, workers, lag. Answers are fit for a stranger's eyes."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from crossbook.server.health import Check, Finding
from crossbook.storage.database import Database
from crossbook.storage.lag import lags
from crossbook.streams.port import Stream
from crossbook.system import Clock
from crossbook.workers.health import Condition, Health

_WORKING = (Condition.RUNNING, Condition.STANDBY)


class Worker(Protocol):
    """Anything that says how it is."""

    @property
    def health(self) -> Health:
        """What it is doing."""
        ...


def checks_of(
    database: Database,
    stream: Stream,
    symbols: Sequence[str],
    workers: Mapping[str, Sequence[Worker]],
    clock: Clock,
    lag_limit_ms: int,
) -> dict[str, Check]:
    """The checks by name. `workers` are those of this process, by kind."""

    async def database_answers() -> Finding:
        async with database.transaction(read_only=True) as transaction:
            await transaction.value("SELECT 1")
        return Finding(ok=True)

    async def streams_answer() -> Finding:
        for symbol in symbols[:1]:
            await stream.last_sequence(symbol)
        return Finding(ok=True)

    async def settlement_keeps_up() -> Finding:
        async with database.transaction(read_only=True) as transaction:
            found = await lags(transaction)
        now_ms = clock.now_ms()
        oldest_ms = max((now_ms - lag.waiting_since_ms for lag in found if lag.waiting_since_ms is not None), default=0)
        return Finding(oldest_ms <= lag_limit_ms, f"{sum(lag.accepted - lag.settled for lag in found)} commands wait")

    checks: dict[str, Check] = {
        "database": database_answers,
        "streams": streams_answer,
        "settlement": settlement_keeps_up,
    }
    for kind, members in workers.items():
        if members:
            checks[kind] = _all_work(members)
    return checks


def _all_work(workers: Sequence[Worker]) -> Check:
    async def check() -> Finding:
        others = sorted({worker.health.condition for worker in workers if worker.health.condition not in _WORKING})
        return Finding(not others, ", ".join(others))

    return check
