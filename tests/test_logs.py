"""Logs: one event a line, its fields, the request it belongs to, and no secrets."""

import asyncio
import io
import json
import logging
import warnings
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest

from crossbook.logs import (
    REQUEST_ID,
    Log,
    LogFormat,
    LogLevel,
    TextFormatter,
    bound_field,
    configure,
    log_fields,
    unconfigure,
)

SECRET = "hunter2"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    stream = io.StringIO()
    configure(LogLevel.INFO, LogFormat.JSON, stream)
    yield stream
    unconfigure()


@pytest.fixture
def text() -> Iterator[io.StringIO]:
    stream = io.StringIO()
    configure(LogLevel.INFO, LogFormat.TEXT, stream)
    yield stream
    unconfigure()


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


# -- JSON --------------------------------------------------------------------------------------------
def test_an_event_is_one_line_of_json(stream: io.StringIO) -> None:
    Log("relay").info("commands\nrelayed 100%", market="BTC-PERP", commands=64, note="a\nb")
    (line,) = lines(stream)
    moment = datetime.fromisoformat(line.pop("time"))
    assert moment.utcoffset() is not None
    assert line == {
        "level": "info",
        "logger": "crossbook.relay",
        "message": "commands\nrelayed 100%",
        "market": "BTC-PERP",
        "commands": 64,
        "note": "a\nb",
    }


def test_levels_below_the_one_asked_for_are_left_out(stream: io.StringIO) -> None:
    log = Log("x")
    log.debug("no")
    log.warning("yes")
    log.error("yes")
    assert [line["level"] for line in lines(stream)] == ["warning", "error"]
    assert not log.enabled(LogLevel.DEBUG)
    assert log.enabled(LogLevel.INFO)


def test_other_packages_and_warnings_come_out_the_same_way(stream: io.StringIO) -> None:
    logging.getLogger("other.package").warning("%d of %s", 3, "token=" + SECRET)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(False)
        logging.captureWarnings(True)  # inside: pytest has put its own in place around every test
        warnings.warn("look out", UserWarning, stacklevel=1)
        logging.captureWarnings(False)
    first, second = lines(stream)
    assert (first["logger"], first["message"]) == ("other.package", "3 of token=***")
    assert second["logger"] == "py.warnings"
    assert "look out" in second["message"]


def test_an_exception_is_in_the_same_line_and_without_secrets(stream: io.StringIO) -> None:
    try:
        try:
            raise KeyError("inner")
        except KeyError as error:
            raise ValueError(f"can not reach postgresql://venue:{SECRET}@db/venue") from error
    except ValueError:
        Log("x").exception("it failed", market="BTC-PERP")
    (line,) = lines(stream)
    assert (line["level"], line["message"], line["market"]) == ("error", "it failed", "BTC-PERP")
    assert "KeyError: 'inner'" in line["exception"]
    assert "postgresql://venue:***@db/venue" in line["exception"]
    assert SECRET not in stream.getvalue()


def test_fields_can_not_take_the_place_of_the_line_s_own(stream: io.StringIO) -> None:
    Log("x").info("m", message="n", level="o", time="p", self="q")
    (line,) = lines(stream)
    assert (line["message"], line["message_"], line["level"], line["level_"]) == ("m", "n", "info", "o")
    assert (line["time_"], line["self"]) == ("p", "q")


def test_whatever_is_in_a_field_the_line_can_be_read(stream: io.StringIO) -> None:
    class Broken:
        def __str__(self) -> str:
            raise RuntimeError

    loop: list[object] = []
    loop.append(loop)
    Log("x").info("m", a=Broken(), b=loop, c=float("nan"), d=b"raw", e="\ud800\u2028", f=2**61, g={1: (2, None)})
    (line,) = lines(stream)
    assert (line["a"], line["c"], line["d"]) == ("<Broken that can not be shown>", "nan", "<3 bytes>")
    assert (line["f"], line["g"]) == (str(2**61), {"1": [2, None]})
    assert "..." in json.dumps(line["b"])


# -- What belongs together ---------------------------------------------------------------------------
def test_bound_fields_are_on_every_line_inside(stream: io.StringIO) -> None:
    log = Log("x")
    with log_fields(request_id="r1", user_id=1):
        log.info("outer")
        with log_fields(user_id=2, correlation_id="c1"):
            logging.getLogger("other").info("inner")
            assert bound_field(REQUEST_ID) == "r1"
        log.info("own wins", user_id=3)
    log.info("after")
    assert bound_field(REQUEST_ID) is None
    found = [(line.get("request_id"), line.get("correlation_id"), line.get("user_id")) for line in lines(stream)]
    assert found == [("r1", None, 1), ("r1", "c1", 2), ("r1", None, 3), (None, None, None)]


def test_fields_are_unbound_when_it_fails(stream: io.StringIO) -> None:
    with pytest.raises(ValueError, match="x"), log_fields(request_id="r1"):
        raise ValueError("x")
    Log("x").info("after")
    assert "request_id" not in lines(stream)[0]


def test_requests_at_the_same_time_keep_their_own_ids(stream: io.StringIO) -> None:
    async def deeper() -> None:
        await asyncio.sleep(0)
        Log("x").info("done")

    async def request(name: str) -> None:
        with log_fields(request_id=name):
            await asyncio.create_task(deeper())

    async def main() -> None:
        await asyncio.gather(*(request(f"r{number}") for number in range(5)))

    asyncio.run(main())
    assert sorted(line["request_id"] for line in lines(stream)) == ["r0", "r1", "r2", "r3", "r4"]


def test_secrets_are_hidden_in_fields_bound_fields_and_messages(stream: io.StringIO) -> None:
    with log_fields(session_token=SECRET):
        Log("x").info(
            f"got Authorization: Bearer {SECRET}",
            password=SECRET,
            headers={"Authorization": SECRET, "Cookie": [SECRET], "Host": "h"},
            body=[{"deeper": {"newPassword": SECRET}}],
        )
    assert SECRET not in stream.getvalue()
    (line,) = lines(stream)
    assert (line["session_token"], line["password"]) == ("***", "***")
    assert line["headers"] == {"Authorization": "***", "Cookie": "***", "Host": "h"}


# -- Text --------------------------------------------------------------------------------------------
def test_text_is_for_people(text: io.StringIO) -> None:
    Log("relay").warning("commands relayed", market="BTC-PERP", commands=64, note="a b", empty="", none=None)
    line = text.getvalue()
    assert line[12:] == (
        ' WARNING relay  commands relayed  market=BTC-PERP commands=64 note="a b" empty="" none=null\n'
    )
    assert "\x1b" not in line


def test_no_input_can_forge_a_line_of_text(text: io.StringIO) -> None:
    Log("x").info("a\nb\x1b[31m", name="c\r\nd\x1b", **{"k\n": "\ud800"})
    assert text.getvalue().count("\n") == 1
    assert "\x1b" not in text.getvalue()
    assert "\r" not in text.getvalue()
    text.getvalue().encode()


def test_an_exception_follows_its_line_of_text(text: io.StringIO) -> None:
    try:
        raise ValueError("password=" + SECRET)
    except ValueError:
        Log("x").exception("it failed")
    first, *rest = text.getvalue().splitlines()
    assert first.endswith("x  it failed")
    assert rest[0] == "Traceback (most recent call last):"
    assert rest[-1] == "ValueError: password=***"


def test_colour_is_for_terminals() -> None:
    record = logging.LogRecord("crossbook.x", logging.ERROR, "", 0, "m", None, None)
    assert "\x1b[31mERROR  \x1b[0m" in TextFormatter(colour=True).format(record)
    assert "\x1b" not in TextFormatter(colour=False).format(record)


# -- Setting up --------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("layout", "stream", "starts_as_json", "coloured"),
    [
        (LogFormat.AUTO, io.StringIO(), True, False),
        (LogFormat.AUTO, Terminal(), False, True),
        (LogFormat.JSON, Terminal(), True, False),
        (LogFormat.TEXT, io.StringIO(), False, False),
    ],
)
def test_the_layout_follows_the_stream(
    layout: LogFormat, stream: io.StringIO, starts_as_json: bool, coloured: bool
) -> None:
    configure(layout=layout, stream=stream)
    try:
        Log("x").info("m")
    finally:
        unconfigure()
    assert stream.getvalue().startswith("{") is starts_as_json
    assert ("\x1b" in stream.getvalue()) is coloured


def test_configuring_again_replaces_and_undoing_leaves_nothing() -> None:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    first, second = io.StringIO(), io.StringIO()
    configure(LogLevel.DEBUG, LogFormat.JSON, first)
    configure(LogLevel.ERROR, LogFormat.JSON, second)
    Log("x").error("once")
    Log("x").info("not asked for")
    unconfigure()
    unconfigure()
    Log("x").error("to nobody of ours")
    assert (first.getvalue(), len(lines(second))) == ("", 1)
    assert (root.handlers, root.level) == (handlers, level)


def test_standard_error_is_the_stream_unless_given(capsys: pytest.CaptureFixture[str]) -> None:
    configure(layout=LogFormat.JSON)
    try:
        Log("x").info("m")
    finally:
        unconfigure()
    captured = capsys.readouterr()
    assert captured.out == ""
    assert json.loads(captured.err)["message"] == "m"
