"""The application behind its door, through a real server."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace

import httpx2
import pytest
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from crossbook.server.app import Listening, build_app, make_server
from crossbook.server.health import Check, Finding, readiness
from crossbook.server.metrics import Metrics
from crossbook.server.middleware import with_cors
from tests.dialects.toy import toy
from tests.server.running import Recorded, serving, serving_dialects, setup_for

ORIGIN = "https://app.example.com"


async def well() -> Finding:
    return Finding(ok=True, detail="12 ms")


async def broken() -> Finding:
    raise ConnectionError("db.internal.example refused")


async def silent() -> Finding:
    await asyncio.Event().wait()
    raise AssertionError("unreachable")


async def torn(scope: Scope, receive: Receive, send: Send) -> None:
    """A route that fails in the middle of its reply."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"9")]})
    raise RuntimeError("torn")


async def fallen(scope: Scope, receive: Receive, send: Send) -> None:
    """A route outside of every table that fails before its reply."""
    raise RuntimeError("fallen")


class Apps:
    """One application with everything switched on, and what it recorded."""

    def __init__(self) -> None:
        self.recorded = Recorded()
        self.metrics = Metrics()
        self.bound: list[str] = []
        self.life: list[str] = []
        setup = setup_for(self.recorded)
        self.setup = replace(
            setup,
            bind=self.bind,
            routes=(Route("/torn", torn_app()), Route("/fallen", fallen_app())),
            checks={"database": well, "streams": broken},
            metrics=self.metrics,
            origins=(ORIGIN,),
            lifespan=self.lifespan,
        )

    @contextmanager
    def bind(self, request_id: str) -> Iterator[None]:
        self.bound.append(request_id)
        yield

    @asynccontextmanager
    async def lifespan(self, app: object) -> AsyncIterator[None]:
        self.life.append("up")
        yield
        self.life.append("down")


class Plain:
    """An ASGI application that the router takes for one."""

    def __init__(self, app: object) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)  # type: ignore[operator]


def torn_app() -> Plain:
    return Plain(torn)


def fallen_app() -> Plain:
    return Plain(fallen)


@pytest.fixture(scope="module")
def apps() -> Iterator[Apps]:
    made = Apps()
    yield made
    assert made.life == ["up", "down"]


@pytest.fixture(scope="module")
def client(apps: Apps) -> Iterator[httpx2.Client]:
    with serving_dialects([toy()], apps.setup) as address, httpx2.Client(base_url=address) as made:
        yield made


def test_the_clients_request_id_is_kept_when_it_is_sane(client: httpx2.Client, apps: Apps) -> None:
    reply = client.get("/toy/crates", headers={"x-request-id": "abc-1.2_3"})
    assert reply.headers["x-request-id"] == "abc-1.2_3"
    assert apps.bound[-1] == "abc-1.2_3"
    assert apps.recorded.lines[-1].request_id == "abc-1.2_3"


@pytest.mark.parametrize("given", ["", "x" * 65, "a b", "a;b", '"'])
def test_another_request_id_is_replaced(client: httpx2.Client, given: str) -> None:
    reply = client.get("/toy/crates", headers={"x-request-id": given})
    assert re.fullmatch(r"id-\d+", reply.headers["x-request-id"])


def test_every_reply_carries_the_security_headers_and_no_servers_name(client: httpx2.Client) -> None:
    for path in ("/toy/crates", "/nothing", "/docs/toy", "/ready"):
        headers = client.get(path).headers
        assert "server" not in headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert "default-src 'none'" in headers["content-security-policy"]
        assert len(headers.get_list("content-security-policy")) == 1
        assert len(headers.get_list("x-request-id")) == 1
        assert headers["cache-control"] in {"no-store", "no-cache"}


def test_the_access_line_names_the_route_and_not_the_query(client: httpx2.Client, apps: Apps) -> None:
    client.get("/toy/crates/secret-7?token=hidden")
    line = apps.recorded.lines[-1]
    assert (line.method, line.path, line.route, line.dialect) == (
        "GET", "/toy/crates/secret-7", "/toy/crates/{crate}", "toy",
    )  # fmt: skip
    assert (line.status, line.address) == (404, "127.0.0.1")
    assert line.sent_bytes > 0
    assert line.duration_us >= 0
    assert "hidden" not in repr(line)


def test_a_named_origin_may_call_and_another_may_not(client: httpx2.Client) -> None:
    asked = {"access-control-request-method": "POST", "access-control-request-headers": "authorization"}
    allowed = client.options("/toy/crates", headers={"origin": ORIGIN, **asked})
    assert (allowed.status_code, allowed.headers["access-control-allow-origin"]) == (200, ORIGIN)
    assert "POST" in allowed.headers["access-control-allow-methods"]
    refused = client.options("/toy/crates", headers={"origin": "https://evil.example.com", **asked})
    assert "access-control-allow-origin" not in refused.headers
    reply = client.get("/toy/crates", headers={"origin": ORIGIN})
    assert reply.headers["access-control-allow-origin"] == ORIGIN
    assert "X-Request-Id" in reply.headers["access-control-expose-headers"]
    assert "access-control-allow-credentials" not in reply.headers


def test_cross_origin_calls_are_off_by_default() -> None:
    with serving_dialects([toy()], setup_for(Recorded())) as address:
        reply = httpx2.options(
            f"{address}/toy/crates", headers={"origin": ORIGIN, "access-control-request-method": "GET"}
        )
    assert reply.status_code == 405
    assert not [name for name in reply.headers if name.startswith("access-control")]


def test_every_origin_at_once_is_refused() -> None:
    with pytest.raises(ValueError, match="name the origins"):
        with_cors(fallen_app(), ["*"])


def test_liveness_does_not_depend_on_readiness(client: httpx2.Client) -> None:
    assert client.get("/health").json() == {"status": "ok"}
    ready = client.get("/ready")
    assert (ready.status_code, ready.headers["retry-after"]) == (503, "1")
    assert ready.json() == {
        "status": "degraded",
        "checks": {"database": {"ok": True, "detail": "12 ms"}, "streams": {"ok": False, "detail": "ConnectionError"}},
    }


@pytest.mark.parametrize(
    ("checks", "status", "details"),
    [
        ({}, "ready", []),
        ({"a": well}, "ready", ["12 ms"]),
        ({"a": well, "b": silent}, "degraded", ["12 ms", "no answer in time"]),
    ],
)
def test_readiness_asks_every_check(checks: dict[str, Check], status: str, details: list[str]) -> None:
    found = asyncio.run(readiness(checks, timeout_s=0.05))
    assert (found.status, [item.detail for item in found.checks.values()]) == (status, details)


def test_the_documentation_is_served(client: httpx2.Client) -> None:
    page = client.get("/docs/toy")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert client.get("/docs/toy/openapi.json").json()["openapi"] == "3.1.0"
    assert '<a href="/docs/toy">' in client.get("/docs").text
    wrong = client.post("/docs/toy")
    assert (wrong.status_code, wrong.headers["allow"]) == (405, "GET, HEAD")


def test_requests_are_measured_by_route(client: httpx2.Client) -> None:
    client.get("/toy/crates/one")
    client.get("/toy/crates/two")
    client.get("/some/path/nobody/knows")
    text = client.get("/metrics").text
    labels = 'dialect="toy",method="GET",route="/toy/crates/{crate}",status="404"'
    assert re.search(rf"crossbook_http_requests_total\{{{re.escape(labels)}\}} [2-9]", text)
    assert 'route="unknown"' in text
    assert "nobody" not in text


def test_the_stations_of_an_order_are_measured() -> None:
    metrics = Metrics()
    metrics.accepted.labels("BTC-PERP").inc(3)
    metrics.note_lag("BTC-PERP", "settled", 2)
    metrics.note_batch("accepted", 64)
    metrics.note_latency("settled", 20_000)
    text = metrics.page().decode()
    assert 'crossbook_commands_accepted_total{market="BTC-PERP"} 3.0' in text
    assert 'crossbook_lag_commands{market="BTC-PERP",stage="settled"} 2.0' in text
    assert 'crossbook_batch_size_sum{stage="accepted"} 64.0' in text
    assert 'crossbook_stage_seconds_bucket{le="0.015",stage="settled"} 0.0' in text
    assert 'crossbook_stage_seconds_bucket{le="0.03",stage="settled"} 1.0' in text


def test_an_error_outside_of_the_tables_has_a_dialects_form(client: httpx2.Client, apps: Apps) -> None:
    reply = client.get("/fallen")
    assert (reply.status_code, reply.json()["problem"]) == (500, "INTERNAL")
    assert "fallen" not in reply.text
    assert apps.recorded.crashes[-1][:2] == ("RuntimeError('fallen')", reply.headers["x-request-id"])


def test_an_error_in_the_middle_of_a_reply_cuts_the_connection(client: httpx2.Client, apps: Apps) -> None:
    with pytest.raises(httpx2.RemoteProtocolError):
        client.get("/torn")
    assert apps.recorded.crashes[-1][0] == "RuntimeError('torn')"
    assert client.get("/health").status_code == 200


def test_a_dialects_own_path_goes_before_the_servers() -> None:
    table = toy(prefix="")
    own = replace(table, endpoints=[replace(row, path="/health") for row in table.endpoints if row.path == "/login"])
    with serving_dialects([own], setup_for(Recorded())) as address:
        assert httpx2.get(f"{address}/health").status_code == 405


def test_a_proxys_word_counts_only_when_it_is_trusted() -> None:
    recorded = Recorded()
    app = build_app([toy()], setup_for(recorded))
    with serving(app) as address:
        httpx2.get(f"{address}/health", headers={"x-forwarded-for": "198.51.100.9"})
    assert recorded.lines[-1].address == "127.0.0.1"
    server = make_server(app, Listening(trusted_proxies=("192.0.2.1",)))
    assert (server.config.proxy_headers, server.config.forwarded_allow_ips) == (True, ["192.0.2.1"])
