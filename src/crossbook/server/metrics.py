"""What the venue measures, in the form that Prometheus reads.

Labels come from short, known lists (markets, stages, routes), never from what a client sends, so the number
of series stays bounded.
"""

from typing import Final, Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from starlette.types import ASGIApp, Receive, Scope, Send

from crossbook.dialects.call import Reply, visit_of
from crossbook.dialects.endpoint import send_reply
from crossbook.server.middleware import AccessLine
from crossbook.server.request_series import RequestSeries

Stage = Literal["accepted", "relayed", "matched", "settled"]
"""A station of an order's way."""

SECOND_US: Final = 1_000_000
LATENCY_BUCKETS_S: Final = (0.0005, 0.001, 0.002, 0.004, 0.008, 0.015, 0.03, 0.06, 0.125, 0.25, 0.5, 1, 2, 5)
BATCH_BUCKETS: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048)
KNOWN_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PATCH", "PUT", "DELETE", "OPTIONS"})


class Metrics:
    """Every measurement of one process, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry(auto_describe=True)
        self._requests = RequestSeries(tuple(round(limit * SECOND_US) for limit in LATENCY_BUCKETS_S))
        self.registry.register(self._requests)
        self._count_orders()
        self._count_sockets()

    def _count_orders(self) -> None:
        market = ("market",)
        self.accepted = Counter(
            "crossbook_commands_accepted", "Commands accepted and durable.", market, registry=self.registry
        )
        self.refused = Counter(
            "crossbook_orders_refused", "Orders refused at the door.", ("reason",), registry=self.registry
        )
        self.matched = Counter(
            "crossbook_commands_matched", "Commands that the engine applied.", market, registry=self.registry
        )
        self.settled = Counter(
            "crossbook_commands_settled", "Commands whose events are settled.", market, registry=self.registry
        )
        self.fills = Counter("crossbook_trades_settled", "Trades that are settled.", market, registry=self.registry)
        self.lag = Gauge(
            "crossbook_lag_commands",
            "Commands accepted that a stage has not seen.",
            ("market", "stage"),
            registry=self.registry,
        )
        self.batch = Histogram(
            "crossbook_batch_size",
            "Commands in one transaction or one read.",
            ("stage",),
            buckets=BATCH_BUCKETS,
            registry=self.registry,
        )
        self.stage_seconds = Histogram(
            "crossbook_stage_seconds",
            "From acceptance until the stage is done, by stage.",
            ("stage",),
            buckets=LATENCY_BUCKETS_S,
            registry=self.registry,
        )

    def _count_sockets(self) -> None:
        self.sockets_open = Gauge(
            "crossbook_sockets_open", "WebSockets that are open.", ("dialect",), registry=self.registry
        )
        self.sockets_closed = Counter(
            "crossbook_sockets_closed",
            "WebSockets that ended, by reason.",
            ("dialect", "reason"),
            registry=self.registry,
        )
        self._socket_messages = Counter(
            "crossbook_socket_messages",
            "Messages over WebSockets.",
            ("dialect", "direction"),
            registry=self.registry,
        )
        self._message_series: dict[tuple[str, str], Counter] = {}

    def count_socket_message(self, dialect: str, direction: str) -> None:
        """Count a message `in` or `out`."""
        series = self._message_series.get((dialect, direction))
        if series is None:
            series = self._message_series[dialect, direction] = self._socket_messages.labels(dialect, direction)
        series.inc()

    def observe_request(self, line: AccessLine) -> None:
        """Count a finished request. Paths that no table knows share one series."""
        method = line.method if line.method in KNOWN_METHODS else "other"
        self._requests.observe((line.dialect, method, line.route or "unknown", line.status), line.duration_us)

    def note_batch(self, stage: Stage, size: int) -> None:
        """Count one batch of a stage."""
        self.batch.labels(stage).observe(size)

    def note_lag(self, market: str, stage: Stage, commands: int) -> None:
        """Set how many accepted commands of a market a stage has not seen."""
        self.lag.labels(market, stage).set(commands)

    def note_latency(self, stage: Stage, duration_us: int) -> None:
        """Count the time from a command's acceptance to the end of a stage, in microseconds."""
        self.stage_seconds.labels(stage).observe(duration_us / SECOND_US)

    def page(self) -> bytes:
        """All measurements in Prometheus's text form."""
        return generate_latest(self.registry)


def metrics_app(metrics: Metrics) -> ASGIApp:
    """The application of `/metrics`."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        del receive
        visit_of(scope).route = "/metrics"
        await send_reply(send, Reply(raw=metrics.page(), media_type=CONTENT_TYPE_LATEST))

    return app
