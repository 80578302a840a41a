"""Plays a transcript of Lethean. Requests with a name have that wallet's (or operator's) token in their bodies.

Directives beside those of every player: wallet NAME (signs in; <NAMEAddress>, <NAMEAlias>, <NAMEId>, <NAMEToken>),
keys NAME (a wallet that does not sign in), sign NAME WORD TEXT (the signature of a text, known as <WORD>), pair FIRST
SECOND (a new pair of currencies with so many decimals: <pair>, <first>, <second>), operator NAME SCOPE..., end NAME
(its session), again NAME (signs in once more), pass MS (let the clock run on), events KIND... (what was
published since the last time).
"""

import hashlib
import json
from itertools import count
from typing import cast

from crossbook.security.wallet_keys import WalletKeys
from tests.dialects.flux.venue import FluxVenue
from tests.dialects.lethean.venue import LetheanVenue
from tests.dialects.transcripts import Request, TranscriptPlayer

_numbers = count(1)


class Player(TranscriptPlayer):
    """Plays one transcript."""

    def __init__(self, venue: LetheanVenue) -> None:
        super().__init__(cast("FluxVenue", venue))
        self._lethean = venue
        self._tokens: dict[str, str] = {}
        self._keys: dict[str, WalletKeys] = {}
        venue.events()

    def _authorise(self, name: str, request: Request) -> None:
        body = {"token": self._tokens[name], **(json.loads(request.body) if request.body else {})}
        request.body = json.dumps(body).encode()
        request.headers.setdefault("content-type", "application/json")

    def _clean(self) -> None:
        """Leave the time as it was; each transcript has a pair of its own."""
        self._lethean.clock.ahead_ms = 0

    # -- Directives ----------------------------------------------------------------------------------
    def _do_wallet(self, name: str) -> None:
        signed = self._lethean.wallet(name)
        self._keys[name], self._tokens[name] = signed.keys, signed.token
        self._known.update({f"{name}Address": signed.address, f"{name}Id": str(signed.user_id)})
        self._known[f"{name}Token"] = signed.token
        me = self._lethean.post("/user/get-user", {"token": signed.token}).json()["data"]
        self._known[f"{name}Alias"] = me["alias"]

    def _do_keys(self, name: str) -> None:
        self._keys[name] = WalletKeys.of_seed(hashlib.sha256(f"{name} {next(_numbers)} keys".encode()).digest())
        self._known[f"{name}Address"] = self._keys[name].address().text

    def _do_sign(self, name: str, word: str, *text: str) -> None:
        self._known[word] = self._keys[name].sign(self._filled(" ".join(text)).encode())

    def _do_pair(self, first: str, second: str) -> None:
        self._known.update(self._lethean.pair(int(first), int(second)))

    def _do_operator(self, name: str, *scopes: str) -> None:
        self._tokens[name] = self._lethean.operator(frozenset(scopes))

    def _do_end(self, name: str) -> None:
        assert self._lethean.post("/auth/sign-out", {"token": self._tokens[name]}).status_code == 200

    def _do_again(self, name: str) -> None:
        self._tokens[name] = self._lethean.sign_in(self._keys[name], self._known[f"{name}Alias"]).token

    def _do_pass(self, duration_ms: str) -> None:
        self._lethean.clock.ahead_ms += int(duration_ms)

    def _do_events(self, *kinds: str) -> None:
        assert [event.kind.value for event in self._lethean.events()] == list(kinds)
