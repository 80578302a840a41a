"""Plays a transcript of TrueX. Requests with a name are signed by that organization's key.

Markets and assets are known by their names: <BTCPYUSD>, <assetPYUSD>.

Directives beside those of every player: organization NAME ASSET:AMOUNT... (its client, id and key are known as
<nameClient>, <nameOrganization> and <nameKey>), reader NAME (an organization whose key may only read), client NAME
ORGANIZATION (another client of it), revoke NAME, suspend NAME, resume NAME and close NAME (what an operator does to a
client, which is known within two seconds), rest NAME SYMBOL SIDE QTY PRICE (a limit order, entered at the desk),
band SYMBOL BASIS-POINTS REFERENCE (price bands around that price), pay TRANSFER (the custodian does, and the transfer
is completed), now NAME (<NAME> is the time in nanoseconds, a second ahead).
"""

from itertools import count

from crossbook.application.clients import Client
from crossbook.application.requests import NewOrder, SystemRequest
from crossbook.domain.commands import ConfigureMarket, SingleCommand
from crossbook.domain.orders import OrderType, Side
from crossbook.domain.transfers import CustodyNews
from crossbook.system import SystemClock
from tests.dialects.flux.venue import FluxVenue
from tests.dialects.transcripts import Request, TranscriptPlayer
from tests.dialects.truex.signing import Organization, Signer
from tests.dialects.truex.venue import ALL_SCOPES, organization, second_client
from tests.venue_process import eventually

_numbers = count(1)


class Player(TranscriptPlayer):
    """Plays one transcript."""

    def __init__(self, venue: FluxVenue) -> None:
        super().__init__(venue)
        self._signers: dict[str, Signer] = {}
        self._banded: set[str] = set()
        for market in venue.parts.markets:
            terms = market.instrument
            self._known[terms.symbol.replace("-", "")] = str(market.number)
            self._known[f"asset{terms.base.name}"] = str(market.base_asset_id)
            self._known[f"asset{terms.quote.name}"] = str(market.quote_asset_id)

    def _authorise(self, name: str, request: Request) -> None:
        made = self._signers[name].headers(request.method, request.target, request.body)
        request.headers.update({key: value for key, value in made.items() if key not in request.headers})

    def _clean(self) -> None:
        """Leave an empty book without bands to the next transcript."""
        for symbol in sorted(self._banded):
            self._configure(symbol, 0, "1")
        for signer in self._signers.values():
            self._venue.run(self._venue.parts.services.desk.cancel_all(signer.who.client_id))
        self._venue.settle()

    # -- Directives ----------------------------------------------------------------------------------
    def _do_organization(self, name: str, *amounts: str) -> None:
        self._add(name, dict(amount.split(":") for amount in amounts), ALL_SCOPES)

    def _do_reader(self, name: str, *amounts: str) -> None:
        self._add(name, dict(amount.split(":") for amount in amounts), ("read",))

    def _do_client(self, name: str, owner: str) -> None:
        self._know(name, second_client(self._venue, self._signers[owner].who, f"{name}-{next(_numbers)}"))

    def _do_revoke(self, name: str) -> None:
        self._venue.run(self._venue.parts.keys.revoke(self._signers[name].who.key_id))

    def _do_suspend(self, name: str) -> None:
        self._venue.run(self._venue.parts.truex.clients.suspend(self._client_of(name)))

    def _do_resume(self, name: str) -> None:
        self._venue.run(self._venue.parts.truex.clients.resume(self._client_of(name)))

    def _do_close(self, name: str) -> None:
        self._venue.run(self._venue.parts.truex.clients.close(self._client_of(name)))

    def _client_of(self, name: str) -> Client:
        return self._venue.run(self._venue.parts.truex.clients.called(str(self._signers[name].who.client_id)))

    def _do_rest(self, name: str, symbol: str, side: str, qty: str, price: str) -> None:
        market = self._venue.parts.markets.named(symbol)
        terms = market.instrument
        order = NewOrder(
            self._signers[name].who.client_id,
            market.number,
            Side[side],
            OrderType.LIMIT,
            terms.quantity_lots(qty),
            terms.price_ticks(price),
        )
        self._venue.run(self._venue.parts.services.desk.submit(order))

    def _do_band(self, symbol: str, basis_points: str, reference: str) -> None:
        self._banded.add(symbol)
        self._configure(symbol, int(basis_points), reference)

    def _configure(self, symbol: str, basis_points: int, reference: str) -> None:
        market = self._venue.parts.markets.named(symbol)
        ticks = market.instrument.price_ticks(reference)

        def limits(sequence: int, now_ms: int) -> SingleCommand:
            return ConfigureMarket(sequence, now_ms, ticks, basis_points)

        self._venue.run(self._venue.parts.services.desk.system(SystemRequest(market.number, (limits,))))
        self._venue.settle()

    def _do_pay(self, name: str) -> None:
        transfer_id, parts = int(self._known[name]), self._venue.parts
        self._venue.run(parts.services.custodian.tell(transfer_id, CustodyNews.PAID))

        def is_ended() -> bool:
            accounts = [signer.who.client_id for signer in self._signers.values()]
            return not self._venue.run(parts.truex.transfer_lists.open_of(accounts, transfer_id))

        eventually(is_ended)

    def _do_now(self, name: str) -> None:
        self._known[name] = str((SystemClock().now_ms() + 1_000) * 1_000_000)

    def _add(self, name: str, amounts: dict[str, str], scopes: tuple[str, ...]) -> None:
        self._know(name, organization(self._venue, f"{name}-{next(_numbers)}", amounts, scopes))

    def _know(self, name: str, who: Organization) -> None:
        self._signers[name] = Signer(who)
        self._known.update(
            {
                f"{name}Client": str(who.client_id),
                f"{name}Organization": str(who.organization_id),
                f"{name}Key": who.key_id,
                f"{name}Mnemonic": who.mnemonic,
            }
        )
