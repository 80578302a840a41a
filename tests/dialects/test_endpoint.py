"""The framework over the toy dialect, through a real server."""

import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest

from crossbook.dialects.endpoint import Auth, Dialect, Endpoint, NotFound, Reply, Surroundings, paths_of
from crossbook.dialects.ports import Verdict
from tests.dialects.toy import Stored, ToyErrors, stall, toy
from tests.server.running import Recorded, serving_dialects, setup_for

READER = {"authorization": "Bearer reader"}
WRITER = {"authorization": "Bearer writer"}
CRATE = {"colour": "RED", "size": "3"}


class OneOfEach:
    """A limiter that lets every key and class pass once."""

    def __init__(self) -> None:
        self.seen: set[tuple[str, str]] = set()

    def take_address(self, rate_class: str, address: str) -> Verdict | None:
        return None

    def take_key(self, rate_class: str, key: str) -> Verdict | None:
        allowed = (rate_class, key) not in self.seen
        self.seen.add((rate_class, key))
        return Verdict(allowed, 1, 0, 9, 0 if allowed else 7)


@pytest.fixture(scope="module")
def recorded() -> Recorded:
    return Recorded()


@pytest.fixture(scope="module")
def client(recorded: Recorded) -> Iterator[httpx2.Client]:
    surroundings = Surroundings(body_timeout_s=0.3, handler_timeout_s=0.3)
    setup = setup_for(recorded, surroundings)
    with (
        serving_dialects([toy(troubled=True)], setup) as address,
        httpx2.Client(base_url=address) as made,
    ):
        yield made


def problem(reply: httpx2.Response, status: int, name: str) -> dict[str, Any]:
    """The error's body, once it is sure to be an error of the dialect."""
    assert reply.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = reply.json()
    assert (reply.status_code, body["problem"], body["request"]) == (status, name, reply.headers["x-request-id"])
    return body


def test_a_request_is_decoded_handled_and_encoded(client: httpx2.Client) -> None:
    stored = client.post("/toy/crates", json=CRATE, headers=WRITER)
    assert (stored.status_code, stored.headers["content-type"]) == (201, "application/json")
    found = client.get(f"/toy/crates/{stored.json()['id']}")
    assert found.json() == {"id": stored.json()["id"], "colour": "RED", "size": "3"}
    assert found.json() in client.get("/toy/crates", params={"colour": "RED", "limit": 50}).json()
    removed = client.delete(f"/toy/crates/{stored.json()['id']}", headers=READER)
    assert (removed.status_code, removed.content) == (204, b"")
    assert "content-type" not in removed.headers


@pytest.mark.parametrize(
    ("body", "field", "rule", "got"),
    [
        ({**CRATE, "size": 3}, "size", "must be a whole number in a string", "the number 3"),
        ({**CRATE, "size": 3.5}, "size", "must be a whole number in a string", "the number 3.5"),
        ({**CRATE, "size": None}, "size", "must be a whole number in a string", "null"),
        ({**CRATE, "size": "x" * 99}, "size", "must be a whole number in a string", '"' + "x" * 47 + "..."),
        ({**CRATE, "colour": "GREEN"}, "colour", "must be one of BLUE, RED", '"GREEN"'),
        ({"colour": "RED"}, "size", "is required and must be a whole number in a string", "nothing"),
        (
            {**CRATE, "sise": "1"},
            "sise",
            "is not a known field; the fields are colour, size, note, parts",
            "an unknown field",
        ),
        (
            {**CRATE, "parts": [{"size": "1"}, {"size": True}]},
            "parts[1].size",
            "must be a whole number in a string",
            "true",
        ),
        ({**CRATE, "parts": {}}, "parts", "must be array", "an object"),
        ([CRATE], "", "must be object", "an array of 1"),
    ],
)
def test_a_bad_field_is_named_with_its_rule_and_what_came(
    client: httpx2.Client, body: object, field: str, rule: str, got: str
) -> None:
    found = problem(client.post("/toy/crates", json=body, headers=WRITER), 422, "INVALID")
    assert (found["field"], found["rule"], found["got"]) == (field, rule, got)


def test_a_secret_is_never_repeated(client: httpx2.Client) -> None:
    reply = client.post("/toy/login", json={"name": "anna", "password": "hunter2"})
    found = problem(reply, 422, "INVALID")
    assert found["field"] == "password"
    assert "hunter2" not in reply.text


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"\xff", b'{"colour":"RED"}}', b'{"colour":"\xff"}', b"nonsense", b"[" * 1000, b'{"colour":"\\ud800"}'],
)
def test_a_body_that_is_no_json_is_refused(client: httpx2.Client, body: bytes) -> None:
    reply = client.post("/toy/crates", content=body, headers={**WRITER, "content-type": "application/json"})
    problem(reply, 400, "MALFORMED")


@pytest.mark.parametrize("password", ["long\npassword", "long\u0000password", "\u001flongpassword", "long\\\npassword"])
def test_control_characters_are_refused_by_the_schema(client: httpx2.Client, password: str) -> None:
    reply = client.post("/toy/login", json={"name": "anna", "password": password})
    assert problem(reply, 422, "INVALID")["field"] == "password"


def test_a_newline_at_the_end_does_not_slip_through_a_pattern(client: httpx2.Client) -> None:
    reply = client.post("/toy/login", json={"name": "anna", "password": "long-password\n"})
    assert problem(reply, 422, "INVALID")["rule"] == "must not hold control characters"


def test_what_an_ignored_field_or_an_escaped_backslash_holds_does_not_matter(client: httpx2.Client) -> None:
    body = {"name": "anna", "password": "long\\npassword", "unknown": "a\nb"}
    assert client.post("/toy/login", json=body).status_code == 200


def test_depth_is_limited_but_not_the_number_of_brackets(client: httpx2.Client) -> None:
    wide = {**CRATE, "parts": [{"size": "1"}] * 20}
    assert client.post("/toy/crates", json=wide, headers=WRITER).status_code == 201
    deep = {**CRATE, "parts": [[[[[[1]]]]]]}
    found = problem(client.post("/toy/crates", json=deep, headers=WRITER), 400, "MALFORMED")
    assert found["rule"] == "at most 6 levels of arrays and objects"


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_a_body_of_another_media_type_is_refused(client: httpx2.Client, kind: str) -> None:
    reply = client.post("/toy/crates", content=b"{}", headers={**WRITER, "content-type": kind})
    problem(reply, 415, "UNSUPPORTED_MEDIA_TYPE")


def test_json_by_another_name_is_read(client: httpx2.Client) -> None:
    headers = {**WRITER, "content-type": "Application/JSON; charset=utf-8"}
    assert client.post("/toy/crates", content=b'{"colour":"RED","size":"1"}', headers=headers).status_code == 201


def test_a_large_body_is_refused_by_its_declared_size_and_while_it_streams(client: httpx2.Client) -> None:
    headers = {**WRITER, "content-type": "application/json"}
    problem(client.post("/toy/crates", content=b" " * 2001, headers=headers), 413, "BODY_TOO_LARGE")
    pieces = (b" " * 500 for _ in range(8))
    problem(client.post("/toy/crates", content=pieces, headers=headers), 413, "BODY_TOO_LARGE")
    fitting = iter([b'{"colour":"RED",', b'"size":"1"}'])
    assert client.post("/toy/crates", content=fitting, headers=headers).status_code == 201


def test_a_body_that_does_not_come_is_given_up(client: httpx2.Client) -> None:
    place = urlsplit(str(client.base_url))
    head = b"POST /toy/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{"
    with socket.create_connection((place.hostname, place.port), timeout=5) as connection:
        connection.sendall(head)
        assert connection.recv(4096).startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=51", "limit"),
        ("limit=0", "limit"),
        ("limit=x", "limit"),
        ("limit=1&limit=2", "limit"),
        ("colour=GREEN", "colour"),
        ("colour=null", "colour"),
        ("limit=NULL", "limit"),
        ("tags=ok&tags=NO", "tags[1]"),
        ("colour=%00", ""),
        ("colour=%ff", ""),
        ("&".join(f"a{n}=1" for n in range(40)), ""),
    ],
)
def test_a_bad_query_is_refused_with_the_name_of_its_field(client: httpx2.Client, query: str, field: str) -> None:
    assert problem(client.get(f"/toy/crates?{query}"), 422, "INVALID")["field"] == field


def test_a_list_in_a_query_may_repeat_its_name(client: httpx2.Client) -> None:
    assert client.get("/toy/crates?tags=a&tags=b").status_code == 200


def test_credentials_and_scopes_are_asked_for(client: httpx2.Client) -> None:
    problem(client.post("/toy/crates", json=CRATE), 401, "UNAUTHENTICATED")
    problem(client.post("/toy/crates", json=CRATE, headers=READER), 403, "FORBIDDEN")


def test_unknown_paths_and_methods_have_the_dialects_form(client: httpx2.Client) -> None:
    problem(client.get("/toy/nothing"), 404, "NOT_FOUND")
    problem(client.get("/elsewhere"), 404, "NOT_FOUND")
    problem(client.get("/toy/crates/"), 404, "NOT_FOUND")
    problem(client.get("/toy/crates/a%00b"), 404, "NOT_FOUND")
    reply = client.put("/toy/crates")
    problem(reply, 405, "METHOD_NOT_ALLOWED")
    assert reply.headers["allow"] == "GET, HEAD, POST"


def test_head_is_get_without_a_body(client: httpx2.Client) -> None:
    reply = client.head("/toy/crates")
    assert (reply.status_code, reply.content) == (200, b"")


def test_an_unexpected_error_stays_inside_and_is_reported(client: httpx2.Client, recorded: Recorded) -> None:
    reply = client.get("/toy/crash", headers={"x-request-id": "mine-1"})
    problem(reply, 500, "INTERNAL")
    assert "secret" not in reply.text
    assert ("RuntimeError('secret of the inside')", "mine-1", "/toy/crash") in recorded.crashes


def test_an_error_of_the_application_is_translated(client: httpx2.Client) -> None:
    reply = client.get("/toy/known")
    problem(reply, 503, "UNAVAILABLE")
    assert reply.headers["retry-after"] == "2"


def test_a_handler_that_does_not_end_is_given_up(client: httpx2.Client) -> None:
    reply = client.get("/toy/stall")
    assert "outcome is unknown" in problem(reply, 503, "UNAVAILABLE")["text"]
    assert reply.headers["retry-after"] == "1"


def test_each_class_has_a_budget_and_the_reply_says_so() -> None:
    setup = setup_for(Recorded(), Surroundings(limiter=OneOfEach()))
    with serving_dialects([toy()], setup) as address, httpx2.Client(base_url=address, headers=WRITER) as client:
        first = client.post("/toy/crates", json=CRATE)
        second = client.post("/toy/crates", json=CRATE)
        dropped = client.delete(f"/toy/crates/{first.json()['id']}")
    names = ("x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset")
    assert [first.headers[name] for name in names] == ["1", "0", "9"]
    problem(second, 429, "RATE_LIMITED")
    assert [second.headers[name] for name in (*names, "retry-after")] == ["1", "0", "9", "7"]
    assert dropped.status_code == 204


def test_a_table_that_contradicts_itself_is_refused() -> None:
    row: Endpoint[None, None] = Endpoint("GET", "/a", "A.", stall, {200: Stored})
    with pytest.raises(ValueError, match="two rows for GET /a"):
        Dialect("d", "D", "1", "", [row, row], ToyErrors())
    with pytest.raises(ValueError, match="scopes of nobody"):
        Endpoint("GET", "/a", "A.", stall, {}, Auth.PUBLIC, frozenset({"x"}))
    with pytest.raises(ValueError, match="served by two dialects"):
        paths_of([toy(), toy()], Surroundings())
    with pytest.raises(ValueError, match="needs a dialect"):
        NotFound([])


def test_the_nearest_prefix_answers_an_unknown_path() -> None:
    finder = NotFound([toy(prefix=""), toy(prefix="/api"), toy(prefix="/api/v1")])
    found = [finder.dialect_of(path).prefix for path in ("/x", "/api/x", "/api/v1/x", "/api/v12", "/apix", "/api/v1")]
    assert found == ["", "/api", "/api/v1", "/api", "", "/api/v1"]


def test_a_reply_may_be_raw() -> None:
    assert Reply(raw=b"x", media_type="text/plain").body is None
