"""A signing client, written from the contract and not from the venue's own code."""

import base64
import hashlib
import hmac
import time
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx2


@dataclass(frozen=True)
class Organization:
    """Who signs: a key and its secret, the organization, and its first client."""

    organization_id: int
    client_id: int
    mnemonic: str
    key_id: str
    secret: str


def signature(secret: str, timestamp: str, method: str, path: str, body: bytes = b"") -> str:
    """Base64(HMAC-SHA256(secret, timestamp + METHOD + path + body))."""
    payload = timestamp.encode() + method.encode() + path.encode() + body
    return base64.b64encode(hmac.new(secret.encode(), payload, hashlib.sha256).digest()).decode()


class Signer:
    """Makes the headers of one organization's requests. No signature is used twice: it steps back a second."""

    def __init__(self, who: Organization) -> None:
        self.who = who
        self._used: set[str] = set()

    def headers(self, method: str, target: str, body: bytes = b"") -> dict[str, str]:
        """The headers of a request; `target` is its path with the query, or a whole address."""
        path = urlsplit(target).path
        now_s = int(time.time())
        for age_s in range(13):
            timestamp = str(now_s - age_s)
            made = signature(self.who.secret, timestamp, method, path, body)
            if method in {"GET", "HEAD"} or made not in self._used:
                break
        self._used.add(made)
        return {
            "x-truex-auth-timestamp": timestamp,
            "x-truex-auth-token": self.who.key_id,
            "x-truex-auth-signature": made,
        }


class SigningClient:
    """Sends signed requests of one organization to one address."""

    def __init__(self, address: str, who: Organization) -> None:
        self.who = who
        self._signer = Signer(who)
        self._http = httpx2.Client(base_url=address, timeout=30)

    def send(
        self, method: str, target: str, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> httpx2.Response:
        """Send a request; `headers` go over those of the signature."""
        made = self._signer.headers(method, target, body)
        if body:
            made["content-type"] = "application/json"
        return self._http.request(method, target, headers={**made, **(headers or {})}, content=body or None)

    def close(self) -> None:
        """Close its connections."""
        self._http.close()
