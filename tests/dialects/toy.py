"""A small dialect of its own words, which proves the framework without any rule of the exchange."""

import asyncio
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from crossbook.dialects.endpoint import (
    AnyCall,
    AnyEndpoint,
    Auth,
    Call,
    Dialect,
    Endpoint,
    Fault,
    FaultKind,
    Principal,
    Refusal,
    Reply,
)

SIZE = Annotated[
    str,
    Meta(pattern=r"^[0-9]{1,9}$", description="a whole number in a string", examples=["3"]),
]


class Crate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a client stores."""

    colour: Literal["RED", "BLUE"]
    size: SIZE
    note: Annotated[str, Meta(pattern=r"^[A-Za-z ]{0,20}$", description="letters and spaces")] | None = None
    parts: list["Part"] = []


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A part of a crate."""

    size: SIZE


class Stored(msgspec.Struct, frozen=True):
    """Where a crate is."""

    id: str
    colour: Literal["RED", "BLUE"]
    size: str


class Login(msgspec.Struct, frozen=True):
    """A body with a secret in it."""

    name: Annotated[str, Meta(pattern=r"^[a-z]{1,10}$")]
    password: Annotated[str, Meta(pattern=r"^[^\x00-\x1f]{8,64}$")]


class Page(msgspec.Struct, frozen=True):
    """A query."""

    limit: Annotated[int, Meta(ge=1, le=50, description="a whole number from 1 to 50")] = 10
    colour: Literal["RED", "BLUE"] | None = None
    tags: list[Annotated[str, Meta(pattern="^[a-z]{1,8}$")]] = []


class Problem(msgspec.Struct, frozen=True):
    """An error of this dialect."""

    problem: str
    text: str
    field: str
    rule: str
    got: str
    request: str


STATUS = {
    FaultKind.NOT_FOUND: 404,
    FaultKind.METHOD_NOT_ALLOWED: 405,
    FaultKind.RATE_LIMITED: 429,
    FaultKind.UNSUPPORTED_MEDIA_TYPE: 415,
    FaultKind.BODY_TOO_LARGE: 413,
    FaultKind.REQUEST_TIMEOUT: 408,
    FaultKind.UNAUTHENTICATED: 401,
    FaultKind.FORBIDDEN: 403,
    FaultKind.MALFORMED: 400,
    FaultKind.INVALID: 422,
    FaultKind.UNAVAILABLE: 503,
    FaultKind.INTERNAL: 500,
}


class KnownTrouble(Exception):
    """An error of the application that the dialect has words for."""


class ToyErrors:
    """The dialect's way of saying errors."""

    schema: object = Problem
    media_type = "application/problem+json"

    def status(self, kind: FaultKind) -> int:
        return STATUS[kind]

    def reply(self, refusal: Refusal, request_id: str) -> Reply:
        assert isinstance(refusal, Fault)
        body = Problem(refusal.kind.name, refusal.message, refusal.field, refusal.rule, refusal.got, request_id)
        return Reply(STATUS[refusal.kind], body, refusal.reply_headers(), self.media_type)

    def translate(self, error: Exception) -> Refusal | None:
        if isinstance(error, KnownTrouble):
            return Fault(FaultKind.UNAVAILABLE, "known trouble", retry_after_s=2)
        return None


TOKENS = {
    b"Bearer reader": Principal("reader"),
    b"Bearer writer": Principal("writer", frozenset({"store"})),
}


async def authenticate(call: AnyCall) -> Principal:
    """Two tokens, one of them with a scope."""
    principal = TOKENS.get(call.header(b"authorization") or b"")
    if principal is None:
        raise Fault(FaultKind.UNAUTHENTICATED, "no such token")
    return principal


class Store:
    """The handlers, over a dictionary."""

    def __init__(self) -> None:
        self.crates: dict[str, Stored] = {}

    async def put(self, call: Call[Crate, None]) -> Reply:
        stored = Stored(f"{call.principal.subject}-{len(self.crates)}", call.body.colour, call.body.size)
        self.crates[stored.id] = stored
        return Reply(201, stored)

    async def find(self, call: Call[None, Page]) -> Reply:
        rows = [item for item in self.crates.values() if call.query.colour in {None, item.colour}]
        return Reply(body=rows[: call.query.limit])

    async def get(self, call: Call[None, None]) -> Reply:
        stored = self.crates.get(call.path["crate"])
        if stored is None:
            raise Fault(FaultKind.NOT_FOUND, "no such crate")
        return Reply(body=stored)

    async def remove(self, call: Call[None, None]) -> Reply:
        if self.crates.pop(call.path["crate"], None) is None:
            raise Fault(FaultKind.NOT_FOUND, "no such crate")
        return Reply(204)

    async def login(self, call: Call[Login, None]) -> Reply:
        return Reply(body=Stored(call.body.name, "RED", "1"))


def rows(store: Store) -> list[AnyEndpoint]:
    """The table without the rows that misbehave."""
    return [
        Endpoint("GET", "/crates", "Find crates.", store.find, {200: list[Stored]}, query=Page, rate_class="read"),
        Endpoint(
            "POST",
            "/crates",
            "Store a crate.",
            store.put,
            {201: Stored},
            auth=Auth.REQUIRED,
            scopes=frozenset({"store"}),
            request=Crate,
            rate_class="store",
            example=Crate(colour="RED", size="3"),
        ),
        Endpoint("POST", "/login", "Log in.", store.login, {200: Stored}, request=Login),
        Endpoint("GET", "/crates/{crate}", "One crate.", store.get, {200: Stored}, rate_class="read"),
        Endpoint(
            "DELETE", "/crates/{crate}", "Remove a crate.", store.remove, {204: None}, Auth.REQUIRED, rate_class="drop"
        ),
    ]


async def crash(call: Call[None, None]) -> Reply:
    """A fault of the programmer's."""
    raise RuntimeError("secret of the inside")


async def known(call: Call[None, None]) -> Reply:
    """An error that the dialect knows."""
    raise KnownTrouble


async def stall(call: Call[None, None]) -> Reply:
    """A handler that never ends."""
    await asyncio.Event().wait()
    raise AssertionError("unreachable")


def misbehaving() -> list[AnyEndpoint]:
    """Rows for what must not happen, and does."""
    handlers = {"crash": crash, "known": known, "stall": stall}
    return [Endpoint("GET", f"/{name}", name, handler, {200: Stored}) for name, handler in handlers.items()]


def toy(*, troubled: bool = False, prefix: str = "/toy") -> Dialect:
    """The dialect; with the misbehaving rows when `troubled`."""
    return Dialect(
        name="toy",
        title="The toy dialect",
        version="1",
        description="Crates & <boxes>.",
        endpoints=[*rows(Store()), *(misbehaving() if troubled else [])],
        errors=ToyErrors(),
        prefix=prefix,
        authenticate=authenticate,
        security={"bearer": {"type": "http", "scheme": "bearer"}},
        body_limit_bytes=2000,
        depth_limit=6,
    )
