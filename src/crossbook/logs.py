"""Structured logs: one event a line, with fields; JSON for machines, plain text on a terminal.

    log = Log("relay")
    with log_fields(request_id=request_id):
        log.info("commands relayed", market="BTC-PERP", commands=64)

Whatever goes through the standard library's logging, from any package, comes out the same way. What
`log_fields` binds is on every line written inside, also by tasks started there. Secrets are hidden by name.
"""

import json
import logging
import sys
from collections.abc import Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Final, TextIO

from crossbook.security.redaction import hide_in_text, plain

ROOT_NAME: Final = "crossbook"
REQUEST_ID: Final = "request_id"
CORRELATION_ID: Final = "correlation_id"
_FIELDS: Final = "crossbook_fields"
_OWN_KEYS: Final = ("time", "level", "logger", "message", "exception", "stack")

_encoded: Final = json.JSONEncoder(separators=(",", ":")).encode
"""Made once: `json.dumps` with separators makes an encoder for every line."""

_bound: ContextVar[Mapping[str, object]] = ContextVar("crossbook_log_fields", default=MappingProxyType({}))


class LogFormat(StrEnum):
    """How lines look."""

    AUTO = "auto"
    """Text on a terminal, JSON elsewhere."""
    JSON = "json"
    TEXT = "text"


class LogLevel(StrEnum):
    """From which weight on events are written."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


# -- Writing an event --------------------------------------------------------------------------------
class Log:
    """A named source of events. The message is a fixed text; what changes belongs into fields."""

    def __init__(self, name: str) -> None:
        self._logger = logging.getLogger(f"{ROOT_NAME}.{name}")

    def debug(self, message: str, /, **fields: object) -> None:
        """Something only a developer wants to follow."""
        self._write(logging.DEBUG, message, fields)

    def info(self, message: str, /, **fields: object) -> None:
        """Something an operator wants to know."""
        self._write(logging.INFO, message, fields)

    def warning(self, message: str, /, **fields: object) -> None:
        """Something that was survived, and that an operator may have to look at."""
        self._write(logging.WARNING, message, fields)

    def error(self, message: str, /, **fields: object) -> None:
        """Something that failed, and that somebody must look at."""
        self._write(logging.ERROR, message, fields)

    def exception(self, message: str, /, **fields: object) -> None:
        """As `error`, with the exception that is being handled."""
        self._write(logging.ERROR, message, fields, with_exception=True)

    def enabled(self, level: LogLevel) -> bool:
        """Whether events of this level are written: for fields that cost much to compute."""
        return self._logger.isEnabledFor(_number_of(level))

    def _write(self, level: int, message: str, fields: Mapping[str, object], with_exception: bool = False) -> None:
        if self._logger.isEnabledFor(level):
            # A percent sign in the message is only that: it is passed as an argument, not as a pattern.
            self._logger.log(level, "%s", message, exc_info=with_exception, extra={_FIELDS: fields})


class log_fields:  # noqa: N801 - used like a function
    """Put `fields` on every line written inside, beside those bound outside; the inner ones win."""

    __slots__ = ("_fields", "_token")

    def __init__(self, **fields: object) -> None:
        self._fields = fields

    def __enter__(self) -> None:
        self._token = _bound.set({**_bound.get(), **self._fields})

    def __exit__(self, *_: object) -> None:
        _bound.reset(self._token)


def bound_field(name: str) -> object:
    """What `log_fields` has bound to `name` here, such as REQUEST_ID; None when nothing is."""
    return _bound.get().get(name)


# -- Setting up --------------------------------------------------------------------------------------
def configure(
    level: LogLevel = LogLevel.INFO, layout: LogFormat = LogFormat.AUTO, stream: TextIO | None = None
) -> None:
    """Send every event of `level` and above, and Python's warnings, to `stream` (standard error unless given).

    Called again, it replaces what it did before.
    """
    unconfigure()
    stream = stream or sys.stderr
    handler = _CrossbookHandler(stream)
    handler.setFormatter(_formatter_for(layout, stream))
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(_number_of(level))
    logging.captureWarnings(True)


def unconfigure() -> None:
    """Undo `configure`."""
    root = logging.getLogger()
    ours = [handler for handler in root.handlers if isinstance(handler, _CrossbookHandler)]
    for handler in ours:
        root.removeHandler(handler)
        handler.close()
    if ours:
        root.setLevel(logging.WARNING)
        logging.captureWarnings(False)


class _CrossbookHandler(logging.StreamHandler[TextIO]):
    """A type of its own, so that `unconfigure` takes away nothing of others."""


def _formatter_for(layout: LogFormat, stream: TextIO) -> logging.Formatter:
    on_terminal = stream.isatty()
    if layout is LogFormat.JSON or (layout is LogFormat.AUTO and not on_terminal):
        return JsonFormatter()
    return TextFormatter(colour=on_terminal)


def _number_of(level: LogLevel) -> int:
    return logging.getLevelNamesMapping()[level.name]


# -- Lines -------------------------------------------------------------------------------------------
class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message, the fields, and the exception as one text."""

    def format(self, record: logging.LogRecord) -> str:
        """The line of `record`. A field with the name of one of the line's own keys gets a "_" behind its name."""
        line: dict[str, object] = {
            "time": _utc(record).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": _message_of(record),
        }
        for name, value in _fields_of(record).items():
            line[f"{name}_" if name in _OWN_KEYS else name] = value
        line.update(self._traces_of(record))
        return _encoded(line)

    def _traces_of(self, record: logging.LogRecord) -> dict[str, object]:
        found = {"exception": _exception_of(self, record), "stack": record.stack_info or ""}
        return {name: hide_in_text(text) for name, text in found.items() if text}


class TextFormatter(logging.Formatter):
    """For people: `12:00:00.125 INFO    relay  commands relayed  market=BTC-PERP commands=64`, times in UTC."""

    _COLOURS: Final = MappingProxyType({"DEBUG": "2", "INFO": "32", "WARNING": "33", "ERROR": "31", "CRITICAL": "31;1"})

    def __init__(self, colour: bool) -> None:
        super().__init__()
        self._colour = colour

    def format(self, record: logging.LogRecord) -> str:
        """The line of `record`; an exception follows on lines of its own."""
        level = f"{record.levelname:<7}"
        if self._colour:
            level = f"\x1b[{self._COLOURS.get(record.levelname, '0')}m{level}\x1b[0m"
        time = _utc(record).isoformat(timespec="milliseconds")[11:23]
        fields = " ".join(f"{_one_line(name)}={_shown(value)}" for name, value in _fields_of(record).items())
        parts = [f"{time} {level} {record.name.removeprefix(f'{ROOT_NAME}.')}", _one_line(_message_of(record)), fields]
        traces = [_exception_of(self, record), record.stack_info or ""]
        return "\n".join(["  ".join(filter(None, parts)), *(hide_in_text(trace) for trace in traces if trace)])


def _utc(record: logging.LogRecord) -> datetime:
    return datetime.fromtimestamp(record.created, UTC)


def _message_of(record: logging.LogRecord) -> str:
    return hide_in_text(record.getMessage())


def _fields_of(record: logging.LogRecord) -> dict[str, object]:
    """The bound fields and the event's own, without secrets."""
    own: Mapping[str, object] = getattr(record, _FIELDS, {})
    return {name: plain(value, name) for name, value in {**_bound.get(), **own}.items()}


def _exception_of(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    if record.exc_info and record.exc_info[0] is not None:
        return formatter.formatException(record.exc_info)
    return record.exc_text or ""


def _shown(value: object) -> str:
    """A field's value on a line of text: quoted when it could be read as something else."""
    if not isinstance(value, str):
        return json.dumps(value)
    plain_word = value and value.isprintable() and not set(value) & set(' "=')
    return value if plain_word else json.dumps(value)


def _one_line(text: str) -> str:
    """`text` with line breaks and control characters spelled out, so that no input can forge a line."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
