"""JSON-RPC over HTTP: one POST a call, on a few threads beside the event loop, with a limit on everything.

A call ends after `timeout_ms` whatever the other side does; a reply is read up to `reply_limit_bytes`; at most
`waiting_limit` calls are under way; who does not answer several times in a row is left alone for a while.
"""

import asyncio
import http.client
import json
import ssl
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from crossbook.application.chain import ChainError, ChainUnavailable
from crossbook.chain.breaker import CircuitBreaker
from crossbook.settings_rules import fault_of_http
from crossbook.system import Clock

OK: Final = 200
PART_BYTES: Final = 65_536
PATH: Final = "/json_rpc"


class RpcRefused(ChainError):
    """The other side answered with an error; `code` is its number."""

    def __init__(self, method: str, code: int, message: str) -> None:
        super().__init__(f"{method}: {message} ({code})")
        self.code = code
        self.message = message


@dataclass(frozen=True)
class RpcLimits:
    """What a call may cost."""

    timeout_ms: int = 3_000
    reply_limit_bytes: int = 1 << 20
    threads: int = 4
    waiting_limit: int = 64


class JsonRpc:
    """Calls the methods of one server. `url` is http or https, with or without the path /json_rpc."""

    def __init__(
        self, url: str, clock: Clock, limits: RpcLimits | None = None, breaker: CircuitBreaker | None = None
    ) -> None:
        self._post = _poster(url)
        self._clock = clock
        self._limits = limits or RpcLimits()
        self._breaker = breaker or CircuitBreaker(clock)
        self._threads = ThreadPoolExecutor(self._limits.threads, thread_name_prefix="json-rpc")
        self._waiting = 0

    async def call(self, method: str, params: object) -> Mapping[str, Any]:
        """The result of a method. Raises RpcRefused for an error of the method, ChainUnavailable for no answer."""
        if self._waiting >= self._limits.waiting_limit:
            raise ChainUnavailable("too many calls wait for the daemon")
        if not self._breaker.allows():
            raise ChainUnavailable("the daemon did not answer and is left alone for a while")
        self._waiting += 1
        try:
            reply = await self._exchange(method, params)
            result = _result_of(method, reply)
        except ChainUnavailable:
            self._breaker.failed()
            raise
        except RpcRefused:
            self._breaker.succeeded()
            raise
        finally:
            self._waiting -= 1
        self._breaker.succeeded()
        return result

    def close(self) -> None:
        """Let the threads go. A call under way ends by its timeout."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _exchange(self, method: str, params: object) -> bytes:
        question = json.dumps({"jsonrpc": "2.0", "id": 0, "method": method, "params": params}).encode()
        timeout_s = self._limits.timeout_ms / 1000
        end_s = self._clock.monotonic_s() + timeout_s
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(timeout_s):
                return await loop.run_in_executor(self._threads, self._ask, question, end_s)
        except TimeoutError as error:
            raise ChainUnavailable(f"the daemon did not answer in {self._limits.timeout_ms} ms") from error

    def _ask(self, question: bytes, end_s: float) -> bytes:
        """The body of the reply; on a thread, which it leaves within another timeout of `end_s`."""
        try:
            return self._post(question, self._left_s(end_s), lambda response: self._read(response, end_s))
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise ChainUnavailable(f"the daemon was not reached: {type(error).__name__}") from error

    def _read(self, response: http.client.HTTPResponse, end_s: float) -> bytes:
        if response.status != OK:
            raise ChainUnavailable(f"the daemon answered with HTTP {response.status}")
        parts: list[bytes] = []
        size = 0
        while part := response.read1(PART_BYTES):
            size += len(part)
            if size > self._limits.reply_limit_bytes:
                raise ChainUnavailable("the answer of the daemon is too long")
            self._left_s(end_s)
            parts.append(part)
        return b"".join(parts)

    def _left_s(self, end_s: float) -> float:
        left_s = end_s - self._clock.monotonic_s()
        if left_s <= 0:
            raise TimeoutError
        return left_s


Read = Callable[[http.client.HTTPResponse], bytes]
Post = Callable[[bytes, float, Read], bytes]


def _poster(url: str) -> Post:
    """What sends a body to `url` with a timeout in seconds. Raises ValueError for a URL that can not be called."""
    if fault := fault_of_http(url):
        raise ValueError(f"the URL of the daemon {fault}")
    parts = urlsplit(url)
    host, port = str(parts.hostname), parts.port
    path = parts.path.rstrip("/")
    path = path if path.endswith(PATH) else path + PATH
    context = ssl.create_default_context() if parts.scheme == "https" else None

    def post(body: bytes, timeout_s: float, read: Read) -> bytes:
        if context is not None:
            connection: http.client.HTTPConnection = http.client.HTTPSConnection(
                host, port, timeout=timeout_s, context=context
            )
        else:
            connection = http.client.HTTPConnection(host, port, timeout=timeout_s)
        try:
            connection.request("POST", path, body, {"Content-Type": "application/json", "Connection": "close"})
            with connection.getresponse() as response:
                return read(response)
        finally:
            connection.close()

    return post


def _result_of(method: str, reply: bytes) -> Mapping[str, Any]:
    try:
        document = json.loads(reply)
    except (ValueError, RecursionError) as error:
        raise ChainUnavailable("the daemon did not answer in JSON") from error
    if not isinstance(document, dict):
        raise ChainUnavailable("the daemon did not answer in JSON-RPC")
    fault = document.get("error")
    if isinstance(fault, dict):
        code, message = fault.get("code"), fault.get("message")
        raise RpcRefused(method, code if isinstance(code, int) else 0, str(message)[:200])
    result = document.get("result")
    if not isinstance(result, dict):
        raise ChainUnavailable("the daemon did not answer in JSON-RPC")
    return result
