"""TrueX's WebSocket: public data of instruments, and with a signature a client's own activity.

A request is done whole or not at all, and answered with all that the connection is subscribed to then.
"""

import asyncio
from collections.abc import Callable, Collection
from datetime import UTC, datetime
from functools import partial
from typing import Final

from crossbook.application.api_keys import KeyScope, SigningKey
from crossbook.application.errors import MarketNotFound, Overloaded
from crossbook.application.markets import Market
from crossbook.dialects.body import check_depth
from crossbook.dialects.decoding import BodyDecoder
from crossbook.dialects.refusals import Fault
from crossbook.dialects.socket import Peer, SocketFault, SocketSession
from crossbook.dialects.truex import market_rows
from crossbook.dialects.truex.auth import ID, KeyAuth
from crossbook.dialects.truex.services import Services
from crossbook.dialects.truex.signature import SignatureRefused, digest_in, matches, socket_payloads, timestamp_s
from crossbook.dialects.truex.socket_dropcopy import Dropcopy
from crossbook.dialects.truex.socket_lines import Line, Numbers, text_of
from crossbook.dialects.truex.socket_markets import BATCHED_S, LIVE_S, InstrumentChannel, MarketChannels
from crossbook.dialects.truex.socket_schemas import (
    CHANNELS,
    Channel,
    Confirmation,
    Held,
    Notice,
    SocketRequest,
    Status,
    Welcome,
)

GREETING: Final = "Welcome to Crossbook"
WEBSOCKET: Final = "WEBSOCKET"
DEPTH_LIMIT: Final = 4
CHECK_KEYS_S: Final = 2.0
NS_PER_MS: Final = 1_000_000
_SAYS: Final[dict[SocketFault, Status]] = {SocketFault.NOT_TEXT: "INVALID", SocketFault.TOO_MANY_MESSAGES: "INVALID"}
_decoder: Final = BodyDecoder(SocketRequest)


class Refused(Exception):
    """A request that is not done, and why."""

    def __init__(self, status: Status, message: str) -> None:
        super().__init__(message)
        self.status: Status = status
        self.message = message


class TruexSocket:
    """All that the connections of a process share. It makes their sessions."""

    def __init__(self, services: Services, most: int = 50) -> None:
        self.services = services
        self.most = most
        self.auth = KeyAuth(services.keys, services.clock)
        self.instruments = InstrumentChannel(services)
        self.dropcopy = Dropcopy(services)
        self.sessions = 0
        self._markets: dict[tuple[int, bool], MarketChannels] = {}

    def __call__(self, peer: Peer) -> SocketSession:
        return TruexSession(peer, self)

    def market(self, market: Market, live: bool) -> MarketChannels:
        """The channels of an instrument, at the pace of those who signed or of the others."""
        key = (market.number, live)
        if key not in self._markets:
            self._markets[key] = MarketChannels(market, self.services, LIVE_S if live else BATCHED_S)
        return self._markets[key]

    def spot(self, symbol: str) -> Market:
        """The instrument of this symbol. Raises Refused INVALID."""
        try:
            market = self.services.markets.named(symbol)
        except MarketNotFound:
            raise Refused("INVALID", f"item_names: there is no instrument {symbol}") from None
        if not market_rows.is_spot(market):
            raise Refused("INVALID", f"item_names: there is no instrument {symbol}")
        return market


class TruexSession:
    """One connection: its subscriptions by channel and name, each with the way to end it."""

    def __init__(self, peer: Peer, socket: TruexSocket) -> None:
        self._peer = peer
        self._socket = socket
        self._services = socket.services
        self._numbers = Numbers()
        self._held: dict[tuple[Channel, str], tuple[Status, Callable[[], None]]] = {}
        self._key_id = b""
        self._checking: asyncio.Task[None] | None = None
        self._is_closed = False
        socket.sessions += 1

    @property
    def is_used(self) -> bool:
        """Whether it is subscribed to anything."""
        return bool(self._held)

    async def opened(self) -> None:
        """Greet."""
        now = datetime.fromtimestamp(self._services.clock.now_ms() / 1000, UTC)
        welcome = Welcome(
            connections=str(self._socket.sessions),
            message=GREETING,
            datetime=now.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        )
        self._peer.send(text_of(welcome))

    def heartbeat(self) -> str | None:
        """TrueX has none; the protocol's pings keep the connection."""
        return None

    def notice(self, fault: SocketFault, text: str) -> str | None:
        """What the server says, in TrueX's form."""
        return text_of(Notice(timestamp=self._now(), status=_SAYS.get(fault, "ERROR"), message=f"{fault}: {text}"))

    def closed(self) -> None:
        """Leave every channel."""
        self._is_closed = True
        self._socket.sessions -= 1
        self._drop(list(self._held))

    async def received(self, message: str) -> None:
        """Do a request whole, or not at all, and confirm it."""
        try:
            body = message.encode()
            check_depth(body, DEPTH_LIMIT)
            request = _decoder.decode(body)
            if request.type.startswith("UNSUBSCRIBE"):
                await self._unsubscribe(request)
            else:
                await self._subscribe(request)
        except Fault as fault:
            self._confirm("INVALID", fault.message)
        except Refused as refused:
            self._confirm(refused.status, refused.message)
        except Exception as error:
            if not isinstance(error, (Overloaded, *self._services.unavailable)):
                raise
            self._confirm("ERROR", "the venue cannot answer now: try again")

    # -- Requests ------------------------------------------------------------------------------------
    async def _subscribe(self, request: SocketRequest) -> None:
        signed = request.type == "SUBSCRIBE"
        wanted = _items_of(request)
        if len({*self._held, *wanted}) > self._socket.most:
            raise Refused("INVALID", f"at most {self._socket.most} subscriptions on one connection")
        clients = {name for channel, name in wanted if channel == "DROPCOPY"}
        if signed:
            key = await self._key_of(request, clients)
        elif clients:
            raise Refused("UNAUTHORIZED", "DROPCOPY needs a signature: SUBSCRIBE")
        joins = [(each, *await self._way(*each, signed)) for each in wanted]
        if self._is_closed:
            return
        status: Status = "AUTHENTICATED" if signed else "UNAUTHENTICATED"
        self._drop([each for each in wanted if each in self._held])
        lines = []
        for (channel, name), join, leave in joins:
            line = Line(self._peer, self._numbers, channel, status)
            self._held[channel, name] = (status, partial(leave, line))
            lines.append((join, line))
        if signed:
            self._key_id = key.key.key_id.encode()
            self._start_checking()
        self._confirm(status)
        for join, line in lines:
            join(line)

    async def _way(
        self, channel: Channel, name: str, live: bool
    ) -> tuple[Callable[[Line], None], Callable[[Line], None]]:
        """How to join and to leave an item, everything that may fail being done. Raises Refused and what reads do."""
        if channel == "DROPCOPY":
            account_id = int(name)
            await self._socket.dropcopy.prepare(account_id)
            return partial(self._socket.dropcopy.join, account_id), partial(self._socket.dropcopy.leave, account_id)
        market = self._socket.spot(name)
        self._services.market_data.day_stats(market.symbol)
        if channel == "INSTRUMENT":
            instruments = self._socket.instruments
            return partial(instruments.join, market), partial(instruments.leave, market)
        channels = self._socket.market(market, live)
        return channels.join, channels.leave

    async def _unsubscribe(self, request: SocketRequest) -> None:
        """Leave the items, or with none named the whole channels. Credentials are looked at where they are given."""
        if request.type == "UNSUBSCRIBE" and (request.signature or not self._key_id):
            await self._key_of(request, ())
        names = set(request.item_names)
        gone = [(channel, name) for channel, name in self._held if channel in request.channels]
        self._drop([each for each in gone if not names or each[1] in names])
        self._confirm("AUTHENTICATED" if request.type == "UNSUBSCRIBE" else "UNAUTHENTICATED")

    async def _key_of(self, request: SocketRequest, clients: Collection[str]) -> SigningKey:
        """The key that signed, when it may be used for this. Raises Refused."""
        if not (request.key and request.signature and request.timestamp):
            raise Refused("UNAUTHENTICATED", "key, signature and timestamp are required; or use the NO_AUTH types")
        timestamp, key_text = request.timestamp.encode(), request.key.encode()
        try:
            timestamp_s(timestamp, self._services.clock.now_ms() // 1000)
            digest = digest_in(request.signature.encode())
            key = await self._socket.auth.key_of(key_text)
            payloads = socket_payloads(timestamp, key_text, self._peer.path.encode())
            if not matches(key.secret, digest, *payloads):
                raise Refused("UNAUTHORIZED", "signature must be the HMAC of timestamp + TRUEXWS + key, or + the path")
            self._socket.auth.check_use(key, self._peer.address)
            if clients:
                key = await self._socket.auth.key_with(key, clients)
        except (SignatureRefused, Fault) as refused:
            raise Refused("UNAUTHORIZED", _plain(refused)) from None
        self._check_owner(key, request, clients)
        return key

    def _check_owner(self, key: SigningKey, request: SocketRequest, clients: Collection[str]) -> None:
        if request.organization_id and request.organization_id != str(key.key.organization_id):
            raise Refused("UNAUTHORIZED", "organization_id must be the key's organization, or absent")
        if clients and KeyScope.READ not in key.key.scopes:
            raise Refused("UNAUTHORIZED", "the key lacks the scope read")
        own = {str(client.account_id) for client in key.clients}
        if not own.issuperset(clients):
            raise Refused("UNAUTHORIZED", "item_names: DROPCOPY takes clients of the key's organization")

    # -- Answers -------------------------------------------------------------------------------------
    def _confirm(self, status: Status, message: str = "") -> None:
        held = [
            Held(channel=channel, item_names=names)
            for channel in CHANNELS
            if (names := [name for each, name in self._held if each == channel])
        ]
        self._peer.send(
            text_of(
                Confirmation(
                    channel=WEBSOCKET,
                    update="SNAPSHOT",
                    timestamp=self._now(),
                    status=status,
                    subscriptions=held,
                    message=message,
                )
            )
        )

    def _now(self) -> str:
        return str(self._services.clock.now_ms() * NS_PER_MS)

    def _drop(self, items: Collection[tuple[Channel, str]]) -> None:
        for item in items:
            _, leave = self._held.pop(item)
            leave()
        if self._checking is not None and not any(status == "AUTHENTICATED" for status, _ in self._held.values()):
            self._checking.cancel()
            self._checking = None

    # -- Keys ----------------------------------------------------------------------------------------
    def _start_checking(self) -> None:
        if self._checking is None:
            self._checking = asyncio.create_task(self._check_key())

    async def _check_key(self) -> None:
        """End what was signed for, once the key has expired or was revoked."""
        while True:
            await asyncio.sleep(CHECK_KEYS_S)
            try:
                key = await self._socket.auth.key_of(self._key_id)
                self._socket.auth.check_use(key, self._peer.address)
            except Fault as fault:
                signed = [item for item, (status, _) in self._held.items() if status == "AUTHENTICATED"]
                self._key_id = b""
                self._checking = None
                self._drop(signed)
                self._confirm("UNAUTHORIZED", fault.message)
                return
            except self._services.unavailable:
                continue


def _items_of(request: SocketRequest) -> list[tuple[Channel, str]]:
    """What a request wants to hear, in the order of snapshots: clients of DROPCOPY, instruments of the others.

    Raises Refused when a channel is left without a name.
    """
    clients = [name for name in request.item_names if ID.fullmatch(name)]
    symbols = [name for name in request.item_names if not ID.fullmatch(name)]
    found: dict[tuple[Channel, str], None] = {}
    for channel in CHANNELS:
        if channel in request.channels:
            names, what = (clients, "clients by id") if channel == "DROPCOPY" else (symbols, "instruments by symbol")
            if not names:
                raise Refused("INVALID", f"item_names must name {what} for the channel {channel}")
            found.update(dict.fromkeys((channel, name) for name in names))
    return list(found)


def _plain(refused: Exception) -> str:
    """What a rule of the headers says, in the words of a message's fields."""
    text = refused.message if isinstance(refused, Fault) else str(refused)
    return text.replace("x-truex-auth-token", "key").replace("x-truex-auth-", "")
