"""Reading a request's body within limits: media type, size while it streams in, depth, control characters."""

import re
from typing import Final

import msgspec
from starlette.types import Receive

from crossbook.dialects.call import AnyCall
from crossbook.dialects.refusals import Fault, FaultKind

ESCAPED_CONTROL: Final = re.compile(rb"(?<!\\)(?:\\\\)*\\(?:[nrtbf]|u00[01][0-9a-fA-F])")
TEXT_OR_BRACKET: Final = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[\]{}]', re.DOTALL)


class ClientGone(Exception):
    """The client closed the connection before its body was complete: nobody waits for a reply."""


def check_media_type(call: AnyCall) -> None:
    """Refuse a body that does not call itself JSON."""
    value = call.header(b"content-type")
    if value == b"application/json":
        return
    name = (value or b"").partition(b";")[0].strip().lower()
    if name == b"application/json" or (name.startswith(b"application/") and name.endswith(b"+json")):
        return
    got = name.decode("latin-1") or "none"
    raise Fault(
        FaultKind.UNSUPPORTED_MEDIA_TYPE,
        f"Content-Type must be application/json; got {got[:64]}",
        field="Content-Type",
        rule="must be application/json",
        got=got[:64],
    )


def too_large(limit_bytes: int) -> Fault:
    """The refusal of a body of more than `limit_bytes`."""
    return Fault(
        FaultKind.BODY_TOO_LARGE,
        f"the body must not exceed {limit_bytes} bytes",
        rule=f"at most {limit_bytes} bytes",
        headers=((b"connection", b"close"),),
    )


def check_declared_size(call: AnyCall, limit_bytes: int) -> None:
    """Refuse by the Content-Length header, before a byte is read."""
    declared = call.header(b"content-length")
    if declared is not None and declared.isdigit() and int(declared[:20]) > limit_bytes:
        raise too_large(limit_bytes)


async def read_body(call: AnyCall, receive: Receive, limit_bytes: int) -> bytes:
    """The whole body. Raises `Fault` as soon as more than `limit_bytes` came, `ClientGone` on a hang-up."""
    check_declared_size(call, limit_bytes)
    message = await receive()
    if message["type"] == "http.disconnect":
        raise ClientGone
    body: bytes = message.get("body", b"")
    if not message.get("more_body", False) and len(body) <= limit_bytes:
        return body
    return await _read_rest(bytearray(body), receive, limit_bytes)


async def _read_rest(body: bytearray, receive: Receive, limit_bytes: int) -> bytes:
    more = True
    while more:
        if len(body) > limit_bytes:
            raise too_large(limit_bytes)
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        body += message.get("body", b"")
        more = message.get("more_body", False)
    if len(body) > limit_bytes:
        raise too_large(limit_bytes)
    return bytes(body)


def json_depth(body: bytes) -> int:
    """How deep arrays and objects are nested in `body`, which need not be valid JSON."""
    depth = deepest = 0
    for match in TEXT_OR_BRACKET.finditer(body):
        mark = match[0]
        if mark in {b"[", b"{"}:
            depth += 1
            deepest = max(deepest, depth)
        elif mark in {b"]", b"}"}:
            depth -= 1
    return deepest


def check_depth(body: bytes, limit: int) -> None:
    """Refuse a body nested deeper than `limit`. Counting brackets is enough for nearly every body."""
    if body.count(b"[") + body.count(b"{") > limit and json_depth(body) > limit:
        raise Fault(
            FaultKind.MALFORMED,
            f"the body must not nest deeper than {limit} levels",
            rule=f"at most {limit} levels of arrays and objects",
        )


def check_control_characters(body: bytes, decoded: object) -> None:
    """Refuse control characters in the fields that were kept: none needs them, and logs and tables suffer.

    In JSON they can only come escaped, so most bodies are passed by one search; what an unknown, ignored field
    holds does not matter, so a body with escapes is judged by what was `decoded` from it.
    """
    if b"\\" in body and ESCAPED_CONTROL.search(body) and ESCAPED_CONTROL.search(msgspec.json.encode(decoded)):
        raise Fault(
            FaultKind.INVALID,
            "the body must not hold control characters",
            rule="must not hold control characters",
        )
