"""Takes measurements where the venue's parts meet, so that the parts themselves stay free of them."""

from collections import Counter
from collections.abc import Callable
from typing import Any, Final

from prometheus_client import Counter as Series
from prometheus_client import Gauge

from crossbook.application.books import Books, Needs
from crossbook.application.desk import AdmissionStore
from crossbook.application.markets import Markets
from crossbook.server.metrics import Metrics
from crossbook.storage.database import Database
from crossbook.storage.lag import lags

_KNOWN: Final = {"commands_matched": "matched", "commands_settled": "settled", "trades_settled": "fills"}
"""Counts of the workers that have a series of their own, by their names in `server.metrics.Metrics`."""


class MeasuredStore:
    """An admission store that counts the commands it made durable, and notes the size of its batches."""

    def __init__(self, store: AdmissionStore, markets: Markets, metrics: Metrics) -> None:
        self._store = store
        self._markets = markets
        self._metrics = metrics

    async def commit(
        self, needs: Needs, decide: Callable[[Books], list[Any]], now_ms: int, followed: Callable[[], bool]
    ) -> list[Any]:
        """As the store's own."""
        logged: Counter[int] = Counter()

        def counted(books: Books) -> list[Any]:
            nonlocal logged
            answers = decide(books)
            logged = Counter([market_id for market_id, _ in books.commands])
            return answers

        answers = await self._store.commit(needs, counted, now_ms, followed)
        for market_id, commands in logged.items():
            self._metrics.accepted.labels(self._markets.numbered(market_id).symbol).inc(commands)
        return answers

    async def close(self) -> None:
        """As the store's own."""
        await self._store.close()


class WorkerMetrics:
    """What workers report, as series: the port of `crossbook.workers.metrics`."""

    def __init__(self, metrics: Metrics) -> None:
        self._series = {name: getattr(metrics, attribute) for name, attribute in _KNOWN.items()}
        self._events = Series(
            "crossbook_worker_events", "What happened in the workers.", ("event", "market"), registry=metrics.registry
        )
        self._states = Gauge(
            "crossbook_worker_state", "What stands in the workers.", ("figure", "market"), registry=metrics.registry
        )

    def count(self, name: str, market: str, amount: int = 1) -> None:
        """Something happened `amount` times more."""
        known = self._series.get(name)
        if known is None:
            self._events.labels(name, market).inc(amount)
        else:
            known.labels(market).inc(amount)

    def gauge(self, name: str, market: str, value: int) -> None:
        """Something stands at `value` now."""
        self._states.labels(name, market).set(value)


async def note_lags(database: Database, markets: Markets, metrics: Metrics) -> None:
    """Set how many accepted commands of each market are not settled. Raises StorageError."""
    async with database.transaction(read_only=True) as transaction:
        found = await lags(transaction)
    symbols = {market.number: market.symbol for market in markets}
    for lag in found:
        if lag.market_id in symbols:
            metrics.note_lag(symbols[lag.market_id], "settled", lag.accepted - lag.settled)
