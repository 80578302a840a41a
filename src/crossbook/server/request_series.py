"""Requests counted and timed for Prometheus.

Every request is counted, so counting must cost next to nothing: plain numbers here, which become families of series
only when somebody reads them. All is done in the event loop's thread.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator
from typing import Final

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric

SECOND_US: Final = 1_000_000

Kind = tuple[str, str, str, int]
"""Dialect, method, route and status."""


class _Times:
    """Durations of one kind of request: how many ended in each bucket, the last one open, and their sum."""

    __slots__ = ("counts", "sum_us")

    def __init__(self, buckets: int) -> None:
        self.counts = [0] * (buckets + 1)
        self.sum_us = 0


class RequestSeries:
    """The counts of finished requests and the histogram of their durations: a collector of Prometheus's client.

    `limits_us` are the upper limits of the buckets, rising, in microseconds.
    """

    def __init__(self, limits_us: tuple[int, ...]) -> None:
        self._limits_us = limits_us
        self._kinds: dict[Kind, _Times] = {}

    def observe(self, kind: Kind, duration_us: int) -> None:
        """Count a finished request."""
        times = self._kinds.get(kind)
        if times is None:
            times = self._kinds[kind] = _Times(len(self._limits_us))
        times.counts[bisect_left(self._limits_us, duration_us)] += 1
        times.sum_us += duration_us

    def collect(self) -> Iterator[Metric]:
        """Both families as they are now."""
        labels = ("dialect", "method", "route")
        requests = CounterMetricFamily("crossbook_http_requests", "Requests answered.", labels=(*labels, "status"))
        seconds = HistogramMetricFamily(
            "crossbook_http_request_seconds", "Time to the end of the reply.", labels=labels
        )
        sums: Counter[tuple[str, str, str]] = Counter()
        counts: dict[tuple[str, str, str], list[int]] = {}
        for (dialect, method, route, status), times in self._kinds.items():
            requests.add_metric((dialect, method, route, str(status)), sum(times.counts))
            key = (dialect, method, route)
            known = counts.setdefault(key, [0] * len(times.counts))
            counts[key] = [before + more for before, more in zip(known, times.counts, strict=True)]
            sums[key] += times.sum_us
        for key, of_kind in counts.items():
            seconds.add_metric(key, self._buckets(of_kind), sums[key] / SECOND_US)
        yield requests
        yield seconds

    def _buckets(self, counts: list[int]) -> list[tuple[str, float]]:
        """As Prometheus wants them: each with all that are below it."""
        names = [str(limit / SECOND_US) for limit in self._limits_us] + ["+Inf"]
        return [(name, float(sum(counts[: place + 1]))) for place, name in enumerate(names)]
