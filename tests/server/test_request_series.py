"""Requests as Prometheus reads them."""

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest

from crossbook.server.request_series import RequestSeries


def lines(series: RequestSeries) -> list[str]:
    registry = CollectorRegistry()
    registry.register(series)
    return [line for line in generate_latest(registry).decode().splitlines() if not line.startswith("#")]


def up_to(limit: str) -> str:
    return f'dialect="flux",le="{limit}",method="GET",route="/time"'


def test_requests_are_counted_by_status_and_timed_by_route() -> None:
    series = RequestSeries((1_000, 2_000))
    for status, duration_us in ((200, 1_000), (200, 1_001), (404, 5_000), (200, 2_000)):
        series.observe(("flux", "GET", "/time", status), duration_us)
    labels = 'dialect="flux",method="GET",route="/time"'
    assert lines(series) == [
        f'crossbook_http_requests_total{{{labels},status="200"}} 3.0',
        f'crossbook_http_requests_total{{{labels},status="404"}} 1.0',
        f"crossbook_http_request_seconds_bucket{{{up_to('0.001')}}} 1.0",
        f"crossbook_http_request_seconds_bucket{{{up_to('0.002')}}} 3.0",
        f"crossbook_http_request_seconds_bucket{{{up_to('+Inf')}}} 4.0",
        f"crossbook_http_request_seconds_count{{{labels}}} 4.0",
        f"crossbook_http_request_seconds_sum{{{labels}}} 0.009001",
    ]


def test_nothing_is_told_before_anything_was_asked() -> None:
    assert lines(RequestSeries((1_000,))) == []
