"""Plays a transcript of Flux. Credentials are bearer tokens.

Directives beside those of every player: trader NAME USDC (a guest with that much), operator NAME SCOPE..., revoke
NAME, fund MARKET PERIOD RATE INDEX, force MARKET BUYER SELLER PRICE LOTS, prices MARKET MARK INDEX (in ticks).
"""

from pathlib import Path

from crossbook.domain.commands import ApplyFunding, ForceTrade, UpdatePrices
from tests.dialects.flux.venue import FluxVenue
from tests.dialects.transcripts import Request, TranscriptPlayer


class Player(TranscriptPlayer):
    """Plays one transcript."""

    def __init__(self, venue: FluxVenue) -> None:
        super().__init__(venue)
        self._tokens: dict[str, str] = {}

    def play(self, path: Path) -> None:
        self._venue.set_mark("BTC-PERP", "65000")
        super().play(path)

    def _authorise(self, name: str, request: Request) -> None:
        request.headers["authorization"] = f"Bearer {self._tokens[name]}"

    def _clean(self) -> None:
        """Leave an empty book to the next transcript."""
        for token in self._tokens.values():
            headers = {"authorization": f"Bearer {token}"}
            self._client.delete(f"{self._venue.addresses['embedded']}/orders", headers=headers)
        self._venue.settle()

    # -- Directives ----------------------------------------------------------------------------------
    def _do_trader(self, name: str, amount: str) -> None:
        address = self._venue.addresses["embedded"]
        guest = self._client.post(f"{address}/auth/guest").json()
        self._tokens[name], self._known[f"{name}Id"] = guest["token"], guest["userId"]
        if amount != "0":
            headers = {"authorization": f"Bearer {guest['token']}"}
            body = {"asset": "USDC", "amount": amount}
            assert self._client.post(f"{address}/deposits", headers=headers, json=body).status_code == 201

    def _do_operator(self, name: str, *scopes: str) -> None:
        self._tokens[name] = self._venue.operator(frozenset(scopes))

    def _do_fund(self, market: str, period_start_ms: str, rate_ppb: str, index_ticks: str) -> None:
        values = int(period_start_ms), int(rate_ppb), int(index_ticks)
        self._venue.log(market, lambda sequence, now_ms: ApplyFunding(sequence, now_ms, *values))

    def _do_force(self, market: str, buyer: str, seller: str, price_ticks: str, lots: str) -> None:
        accounts = [self._venue.account_of(self._known[f"{name}Id"]) for name in (buyer, seller)]
        values = (*accounts, int(price_ticks), int(lots))
        self._venue.log(market, lambda sequence, now_ms: ForceTrade(sequence, now_ms, *values))

    def _do_prices(self, market: str, mark_ticks: str, index_ticks: str) -> None:
        values = int(mark_ticks), int(index_ticks)
        self._venue.log(market, lambda sequence, now_ms: UpdatePrices(sequence, now_ms, *values))

    def _do_revoke(self, name: str) -> None:
        self._venue.revoke(self._tokens[name])
