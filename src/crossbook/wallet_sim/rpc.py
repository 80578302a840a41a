"""JSON-RPC 2.0: a table of methods with the types of their parameters, and what is answered to a body."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

import msgspec

from crossbook.wallet_sim.errors import InvalidParams, InvalidRequest, ParseError, RpcError, UnknownMethod

Answer = Mapping[str, Any]


class NoParams(msgspec.Struct):
    """A method without parameters; those that come are passed over."""


@dataclass(frozen=True)
class Method:
    """What a method takes (a type that msgspec knows) and does. Numbers may come as text, as some clients send them."""

    params: Any
    handle: Callable[[Any], Answer]

    def call(self, params: object) -> Answer:
        """The result. Raises RpcError."""
        try:
            decoded = msgspec.convert(params, self.params, strict=False)
        except msgspec.ValidationError as error:
            raise InvalidParams(str(error)) from error
        return self.handle(decoded)


Methods = Mapping[str, Method]


class Handler(Protocol):
    """Whoever answers methods: a wallet, the daemon, the administrator."""

    @property
    def methods(self) -> Methods:
        """By name."""
        ...


EMPTY: Final[Mapping[str, Any]] = {}


def call(handler: Handler, method: str, params: object = EMPTY) -> Answer:
    """The result of a method. Raises RpcError."""
    found = handler.methods.get(method)
    if found is None:
        raise UnknownMethod(method)
    return found.call({} if params is None or params == [] else params)


def answer(handler: Handler, body: bytes) -> bytes:
    """The reply to the body of a request, an error included."""
    identity: object = None
    try:
        request = _request_of(body)
        identity = request.get("id")
        result = call(handler, request["method"], request.get("params"))
    except RpcError as error:
        fault = {"code": error.code, "message": str(error)}
        return _encoded({"error": fault, "id": identity, "jsonrpc": "2.0"})
    return _encoded({"id": identity, "jsonrpc": "2.0", "result": result})


def _request_of(body: bytes) -> dict[str, Any]:
    try:
        request = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise ParseError from error
    if not isinstance(request, dict) or not isinstance(request.get("method"), str):
        raise InvalidRequest
    if not isinstance(request.get("id"), str | int | None):
        raise InvalidRequest
    return request


def _encoded(document: object) -> bytes:
    return json.dumps(document).encode()
