"""The rules of a signature, and every published vector of it."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from crossbook.dialects.truex.signature import (
    SignatureRefused,
    digest_in,
    digest_of,
    matches,
    request_payload,
    socket_payloads,
    timestamp_s,
)

FILE = Path(__file__).resolve().parents[4] / "shared" / "vectors" / "truex_hmac.json"
VECTORS: dict[str, Any] = json.loads(FILE.read_text()) if FILE.exists() else {"rest": [], "websocket": []}
NOW_S = 1_771_000_000
GOOD = base64.b64encode(b"\xff" * 32)
needs_vectors = pytest.mark.skipif(not FILE.exists(), reason=f"{FILE.name} is not beside the repository")


@needs_vectors
def test_every_request_vector() -> None:
    assert len(VECTORS["rest"]) >= 4
    for vector in VECTORS["rest"]:
        timestamp = VECTORS["timestamp"].encode()
        payload = request_payload(timestamp, vector["method"], vector["path"].encode(), vector["body"].encode())
        assert payload.decode() == vector["payload"], vector["name"]
        made = base64.b64encode(digest_of(VECTORS["secret"].encode(), payload)).decode()
        assert made == vector["signature"], vector["name"]
        assert matches(VECTORS["secret"].encode(), digest_in(vector["signature"].encode()), payload)


@needs_vectors
def test_every_socket_vector() -> None:
    assert len(VECTORS["websocket"]) >= 2
    for vector in VECTORS["websocket"]:
        payloads = socket_payloads(VECTORS["timestamp"].encode(), VECTORS["key"].encode(), b"/api/v1")
        assert vector["payload"].encode() in payloads, vector["name"]
        assert matches(VECTORS["secret"].encode(), digest_in(vector["signature"].encode()), *payloads)


@pytest.mark.parametrize("age_s", [-1, 0, 1, 15])
def test_a_timestamp_in_the_window(age_s: int) -> None:
    assert timestamp_s(str(NOW_S - age_s).encode(), NOW_S) == NOW_S - age_s


@pytest.mark.parametrize(("age_s", "skew"), [(16, "16 s old"), (-2, "2 s ahead"), (NOW_S, f"{NOW_S} s old")])
def test_a_timestamp_out_of_the_window_is_told_the_servers_time(age_s: int, skew: str) -> None:
    with pytest.raises(SignatureRefused) as refused:
        timestamp_s(str(NOW_S - age_s).encode(), NOW_S)
    assert f"the server time is {NOW_S}" in str(refused.value)
    assert skew in str(refused.value)


@pytest.mark.parametrize(
    "text", [b"", b"1771000000000", b"1771000000.5", b"-1", b"+1", b" 1", b"0x1", "\u0661".encode()]
)
def test_what_is_no_unix_seconds(text: bytes) -> None:
    with pytest.raises(SignatureRefused, match="must be Unix seconds"):
        timestamp_s(text, NOW_S)


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"ff" * 32,
        GOOD.rstrip(b"="),
        GOOD + b"=",
        base64.urlsafe_b64encode(b"\xff" * 32),
        base64.b64encode(b"\xff" * 31),
        b" " + GOOD,
        GOOD[:-2] + b"x=",
        b"\xe9" * 44,
    ],
)
def test_what_is_no_signature(value: bytes) -> None:
    with pytest.raises(SignatureRefused, match="standard Base64"):
        digest_in(value)


def test_a_signature_fits_one_payload_only() -> None:
    digest = digest_of(b"secret", b"payload")
    assert digest_in(base64.b64encode(digest)) == digest
    assert matches(b"secret", digest, b"other", b"payload")
    assert not matches(b"secret", digest, b"payloa")
    assert not matches(b"secre", digest, b"payload")
