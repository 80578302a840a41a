"""Plays a transcript against a venue, in whatever dialect.

A transcript is a text file, one clause of the contract each:

    # a comment
    ! mode limited                           a directive; each dialect's player has its own beside these
    > POST /orders alice                     a request, with the credentials of alice
    > X-Header: value                        its headers
    > {"marketId": "BTC-PERP"}               its body
    < 202                                    the status it must get
    < Retry-After: 1                         headers it must have
    < {"orderId": "<order>", ...}            the body it must get

The body `@long N` is a text of N characters. `@stalled TEXT` sends TEXT and promises more, which never comes. The
expected header `Name: <none>` must not be there.

In expected values "<name>" stands for a text that is remembered under that name (and must be the same when it
comes again), "<#name>" for a whole number that is, "<*>" for any value. Names in angle brackets are replaced in
requests. An object must have exactly the fields that are expected, in that order; with a last "..." it may have more.
Directives of all: mode NAME, mark MARKET PRICE, settle, wait MS, loss ASSET AMOUNT (one that nobody could pay), and
repay ASSET AMOUNT.
"""

import json
import re
import time
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2

from tests.dialects.flux.venue import FluxVenue

HEADER = re.compile(r"^([A-Za-z][A-Za-z-]*): (.*)$")
NAME = re.compile(r"<([A-Za-z][A-Za-z0-9]*)>")
NUMBER = re.compile(r"<#([A-Za-z][A-Za-z0-9]*)>")
MORE = '"...": true'


@dataclass
class Exchange:
    """One request and what must come back."""

    line: int
    request: list[str] = field(default_factory=list)
    reply: list[str] = field(default_factory=list)


@dataclass
class Request:
    """A request on its way: `target` is the path with its query."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Directive:
    """Something to do that is no request."""

    line: int
    words: list[str]


def parse(path: Path) -> list[Exchange | Directive]:
    """The steps of a transcript. Raises ValueError for a line that is none."""
    steps: list[Exchange | Directive] = []
    for number, text in enumerate(path.read_text().splitlines(), start=1):
        mark, rest = text[:1], text[2:]
        last = steps[-1] if steps else None
        if mark in {"", "#"}:
            continue
        if mark == "!":
            steps.append(Directive(number, rest.split()))
        elif mark == ">":
            if not isinstance(last, Exchange) or last.reply:
                last = Exchange(number)
                steps.append(last)
            last.request.append(rest)
        elif mark == "<" and isinstance(last, Exchange):
            last.reply.append(rest)
        else:
            raise ValueError(f"{path.name}:{number}: {text}")
    return steps


class TranscriptPlayer:
    """Plays one transcript. A dialect's player says how its requests carry credentials, and cleans up after it."""

    def __init__(self, venue: FluxVenue) -> None:
        self._venue = venue
        self._client = httpx2.Client(timeout=30)
        self._address = venue.addresses["embedded"]
        self._known: dict[str, str] = {}

    def play(self, path: Path) -> None:
        """Play every step. Raises AssertionError that names the line."""
        try:
            for step in parse(path):
                where = f"{path.name}:{step.line}"
                if isinstance(step, Directive):
                    getattr(self, f"_do_{step.words[0]}")(*step.words[1:])
                else:
                    self._exchange(step, where)
        finally:
            self._clean()
            self._client.close()

    def _clean(self) -> None:
        """Leave an empty book to the next transcript."""
        raise NotImplementedError

    def _authorise(self, name: str, request: "Request") -> None:
        """Add the credentials of `name` to the headers of a request."""
        raise NotImplementedError

    # -- Directives ----------------------------------------------------------------------------------
    def _do_mode(self, name: str) -> None:
        self._address = self._venue.addresses[name]

    def _do_mark(self, market: str, price: str) -> None:
        self._venue.set_mark(market, price)

    def _do_settle(self) -> None:
        self._venue.settle()

    def _do_wait(self, duration_ms: str) -> None:
        time.sleep(int(duration_ms) / 1000)

    def _do_loss(self, asset: str, amount: str) -> None:
        self._venue.run(self._venue.lose(asset, int(amount)))

    def _do_repay(self, asset: str, amount: str) -> None:
        self._venue.run(self._venue.repay(asset, int(amount)))

    # -- Exchanges -----------------------------------------------------------------------------------
    def _exchange(self, step: Exchange, where: str) -> None:
        reply = self._send([self._filled(line) for line in step.request])
        got = f"{where}: {reply.status_code} {reply.text} {self._venue.recorded.crashes}"
        assert reply.status_code == int(step.reply[0]), got
        headers = [match for line in step.reply[1:] if (match := HEADER.match(line))]
        for match in headers:
            if match[2] == "<none>":
                assert match[1].lower() not in reply.headers, got
                continue
            assert match[1].lower() in reply.headers, got
            self._compare(match[2], reply.headers[match[1]], f"{got} {match[1]}")
        body = "\n".join(line for line in step.reply[1:] if not HEADER.match(line))
        if body:
            expected = json.loads(re.sub(r"\.\.\.(?=\s*})", MORE, body))
            self._compare(expected, reply.json(), got)

    def _send(self, lines: list[str]) -> httpx2.Response:
        method, target, *name = lines[0].split()
        headers = {match[1].lower(): match[2] for line in lines[1:] if (match := HEADER.match(line))}
        body = "\n".join(line for line in lines[1:] if not HEADER.match(line))
        stalls = body.startswith("@stalled ")
        body = body.removeprefix("@stalled ")
        if body.startswith("@long "):
            body = json.dumps("x" * int(body.removeprefix("@long ")))
        if body:
            headers.setdefault("content-type", "application/json")
        request = Request(method, target, headers, body.encode())
        if name:
            self._authorise(name[0], request)
        url = target if target.startswith("http") else self._address + target
        if stalls:
            return self._stall(request)
        return self._client.request(method, url, headers=request.headers, content=request.body or None)

    def _stall(self, request: Request) -> httpx2.Response:
        """The reply to a request whose last byte does not come."""
        connection = HTTPConnection(urlsplit(self._address).netloc, timeout=30)
        connection.putrequest(request.method, request.target)
        for name, value in {**request.headers, "content-length": str(len(request.body) + 1)}.items():
            connection.putheader(name, value)
        connection.endheaders(request.body)
        reply = connection.getresponse()
        made = httpx2.Response(reply.status, headers=reply.getheaders(), content=reply.read())
        connection.close()
        return made

    def _filled(self, text: str) -> str:
        return NAME.sub(lambda match: self._known.get(match[1], match[0]), text)

    def _compare(self, expected: Any, got: Any, where: str) -> None:
        if isinstance(expected, dict):
            self._compare_objects(expected, got, where)
        elif isinstance(expected, list):
            assert isinstance(got, list), where
            assert len(got) == len(expected), where
            for one, other in zip(expected, got, strict=True):
                self._compare(one, other, where)
        elif isinstance(expected, str) and NAME.fullmatch(expected):
            assert isinstance(got, str), f"{where}: {expected} is no text"
            assert self._known.setdefault(expected[1:-1], got) == got, f"{where}: {expected}"
        elif isinstance(expected, str) and (number := NUMBER.fullmatch(expected)):
            assert type(got) is int, f"{where}: {expected} is no whole number"
            assert self._known.setdefault(number[1], str(got)) == str(got), f"{where}: {expected}"
        elif expected != "<*>":
            assert got == expected, f"{where}: expected {expected!r}, got {got!r}"
            assert type(got) is type(expected), where

    def _compare_objects(self, expected: dict[str, Any], got: Any, where: str) -> None:
        assert isinstance(got, dict), where
        wanted = [name for name in expected if name != "..."]
        present = [name for name in got if name in expected or "..." not in expected]
        assert present == wanted, f"{where}: fields {list(got)}"
        for name in wanted:
            self._compare(expected[name], got[name], f"{where}: {name}")
