"""The line of every request: the same in its fields, whichever way it is written."""

import asyncio
import io
import json

from crossbook import logs
from crossbook.logs import LogFormat
from crossbook.server.access_log import JsonAccessLog, log_access
from crossbook.server.middleware import AccessLine
from crossbook.system import ManualClock

LINE = AccessLine("id-1", "192.0.2.1", "POST", "/orders", "/orders", "flux", 202, 1_234, 99)


def written(*lines: AccessLine, clock: ManualClock | None = None) -> list[dict[str, object]]:
    """What the JSON log writes for these lines, without being asked to."""
    stream = io.StringIO()

    async def work() -> None:
        log = JsonAccessLog(stream, clock or ManualClock())
        for line in lines:
            log(line)
        assert stream.getvalue() == ""
        while stream.getvalue().count("\n") < len(lines):
            await asyncio.sleep(0.001)

    asyncio.run(work())
    return [json.loads(text) for text in stream.getvalue().splitlines()]


def test_lines_are_written_by_themselves_in_order() -> None:
    other = AccessLine("id-2", "192.0.2.1", "GET", "/health", "/health", "", 200, 5, 9)
    assert [line["request_id"] for line in written(LINE, other, LINE)] == ["id-1", "id-2", "id-1"]


def test_the_fast_line_is_like_the_ordinary_one() -> None:
    stream = io.StringIO()
    logs.configure(layout=LogFormat.JSON, stream=stream)
    try:
        log_access(LINE)
    finally:
        logs.unconfigure()
    ordinary = json.loads(stream.getvalue())
    (fast,) = written(LINE)
    assert list(fast) == list(ordinary)
    assert {**fast, "time": ""} == {**ordinary, "time": ""}


def test_the_time_is_the_clocks() -> None:
    clock = ManualClock(1_767_225_600_005)
    assert written(LINE, clock=clock)[0]["time"] == "2026-01-01T00:00:00.005Z"


def test_a_secret_in_a_path_is_hidden() -> None:
    secret = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJlLXRoYXQtaXMtbG9uZw"
    line = AccessLine("id", "192.0.2.1", "GET", f"/orders/{secret}", "/orders/{orderId}", "flux", 404, 1, 1)
    assert secret not in str(written(line))


def test_a_closed_pipe_stops_nothing() -> None:
    class Closed(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    async def work() -> None:
        log = JsonAccessLog(Closed(), ManualClock())
        log(LINE)
        log.flush()
        log(LINE)
        log.flush()

    asyncio.run(work())
