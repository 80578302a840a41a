"""Flux's WebSocket: subscriptions to the topics of markets and, with a token, to those of the token's user."""

import asyncio
from functools import partial
from typing import Final

from msgspec import UNSET, UnsetType

from crossbook.application.accounts import User
from crossbook.dialects.body import check_depth
from crossbook.dialects.decoding import BodyDecoder
from crossbook.dialects.flux import translate
from crossbook.dialects.flux.account_room import AccountRoom
from crossbook.dialects.flux.account_topics import CHANNELS, Place
from crossbook.dialects.flux.auth import BearerAuth
from crossbook.dialects.flux.errors import CODE_OF_FAULT, Code, FluxError
from crossbook.dialects.flux.fill_topics import FillTopics
from crossbook.dialects.flux.known_errors import invalid, refusal_of
from crossbook.dialects.flux.market_topics import MarketTopics
from crossbook.dialects.flux.polled_topics import PolledTopics
from crossbook.dialects.flux.schemas import DEFAULT_DEPTH
from crossbook.dialects.flux.services import StreamServices
from crossbook.dialects.flux.socket_schemas import (
    Heartbeat,
    Pong,
    PrivateChannel,
    ServerShutdown,
    SocketError,
    SocketErrorDetail,
    SocketRequest,
)
from crossbook.dialects.flux.socket_topics import Subscription, text_of
from crossbook.dialects.refusals import Fault
from crossbook.dialects.socket import Peer, SocketFault, SocketSession, keep_going

CHECK_TOKENS_S: Final = 2.0
"""How often the tokens of private subscriptions are looked at."""
DEPTH_LIMIT: Final = 4
_WORDS: Final = {
    SocketFault.TOO_MANY_MESSAGES: Code.RATE_LIMITED,
    SocketFault.NOT_TEXT: Code.INVALID_ORDER,
    SocketFault.INTERNAL: Code.INTERNAL_ERROR,
    SocketFault.SLOW_CONSUMER: "SLOW_CONSUMER",
    SocketFault.IDLE: "IDLE",
}
_decoder: Final = BodyDecoder(SocketRequest)


def error_text(code: str, message: str, request_id: str | UnsetType = UNSET, topic: str | UnsetType = UNSET) -> str:
    """An error as it is sent."""
    return text_of(SocketError(error=SocketErrorDetail(code=code, message=message), topic=topic, id=request_id))


class FluxSocket:
    """All that the connections of a process share. It makes their sessions."""

    def __init__(self, services: StreamServices) -> None:
        self.services = services
        self.auth = BearerAuth(services.tokens, services.accounts, services.clock)
        self.polled = PolledTopics(services)
        self.accounts = AccountRoom(services)
        self._fills: dict[int, FillTopics] = {}
        self._markets: dict[int, MarketTopics] = {}

    def __call__(self, peer: Peer) -> SocketSession:
        return FluxSession(peer, self)

    def market(self, symbol: str) -> MarketTopics:
        """The topics of a market. Raises MarketNotFound."""
        market = translate.market_named(self.services.markets, symbol)
        return self._markets.setdefault(market.number, MarketTopics(market, self.services))

    def fills_of(self, user: User) -> FillTopics:
        """The topics of a user's fills, to be joined at once."""
        found = self._fills.get(user.account_id)
        if found is None:
            gone = partial(self._forget_fills, user.account_id)
            found = self._fills[user.account_id] = FillTopics(user, self.services, gone)
        return found

    def _forget_fills(self, account_id: int) -> None:
        """Nobody listens to a user's fills any more."""
        self._fills.pop(account_id, None)


class FluxSession:
    """One connection's subscriptions, by topic."""

    def __init__(self, peer: Peer, socket: FluxSocket) -> None:
        self._peer = peer
        self._socket = socket
        self._services = socket.services
        self._held: dict[str, Subscription] = {}
        self._tokens: dict[str, str] = {}
        self._checking: asyncio.Task[None] | None = None
        self._is_closed = False

    @property
    def is_used(self) -> bool:
        """Whether it follows anything."""
        return bool(self._held)

    async def opened(self) -> None:
        """Nothing is said before something is asked."""

    def heartbeat(self) -> str | None:
        """Something to hear on every connection."""
        return text_of(Heartbeat(time=self._services.clock.now_ms()))

    def notice(self, fault: SocketFault, text: str) -> str | None:
        """What the server says, in Flux's words."""
        if fault is SocketFault.SHUTDOWN:
            return text_of(ServerShutdown(message=text, time=self._services.clock.now_ms()))
        return error_text(_WORDS[fault], text)

    def closed(self) -> None:
        """Leave every topic."""
        self._is_closed = True
        for name in list(self._held):
            self._drop(name)

    async def received(self, message: str) -> None:
        """Do what the client asks, or say why not."""
        request_id: str | UnsetType = UNSET
        try:
            body = message.encode()
            check_depth(body, DEPTH_LIMIT)
            request = _decoder.decode(body)
            request_id = UNSET if request.id is None else request.id
            await self._do(request, request_id)
        except Fault as fault:
            self._peer.send(error_text(CODE_OF_FAULT[fault.kind], fault.message, request_id))
        except Exception as error:
            refusal = error if isinstance(error, FluxError) else refusal_of(error, self._services.unavailable)
            if refusal is None:
                raise
            self._peer.send(error_text(refusal.code, refusal.message, request_id))

    async def _do(self, request: SocketRequest, request_id: str | UnsetType) -> None:
        if request.op == "ping":
            self._peer.send(text_of(Pong(time=self._services.clock.now_ms(), id=request_id)))
            return
        if request.channel is None:
            raise invalid("channel", f"is required to {request.op}")
        if request.op == "unsubscribe":
            self._unsubscribe(request, request_id)
        elif request.channel in CHANNELS:
            await self._subscribe_privately(request, request.channel, request_id)
        elif request.channel == "fills":
            await self._subscribe_to_fills(request, request_id)
        else:
            self._subscribe(request, request_id)

    # -- Subscriptions -------------------------------------------------------------------------------
    def _subscribe(self, request: SocketRequest, request_id: str | UnsetType) -> None:
        """A public topic. One that is held already begins again, with a new snapshot."""
        if request.from_sequence is not None:
            raise invalid("fromSequence", f"goes with {', '.join(CHANNELS)} and fills only")
        if request.market is None:
            raise invalid("market", f"is required for the channel {request.channel}")
        market = translate.market_named(self._services.markets, request.market)
        if request.depth is not None and request.channel != "orderbook":
            raise invalid("depth", "goes with the channel orderbook only")
        self._make_room(f"{request.channel}:{market.symbol}")
        if request.channel == "orderbook":
            depth = DEFAULT_DEPTH if request.depth is None else request.depth
            self._hold(self._socket.market(market.symbol).join_book(self._peer, depth, request_id))
        elif request.channel == "trades":
            self._hold(self._socket.market(market.symbol).join_trades(self._peer, request_id))
        else:
            self._hold(self._socket.polled.join(request.channel, market, self._peer, request_id))

    async def _subscribe_privately(
        self, request: SocketRequest, channel: PrivateChannel, request_id: str | UnsetType
    ) -> None:
        place = _place_of(request)
        user, token = await self._user_of(request)
        if self._is_closed:
            return
        name = f"{channel}:{user.user_id}"
        self._make_room(name)
        self._hold(self._socket.accounts.topics_of(user).join(channel, self._peer, request_id, place))
        self._watch_token(name, token)

    async def _subscribe_to_fills(self, request: SocketRequest, request_id: str | UnsetType) -> None:
        if request.market is None:
            raise invalid("market", "is required for the channel fills")
        market = translate.market_named(self._services.markets, request.market)
        user, token = await self._user_of(request)
        name = f"fills:{user.user_id}:{market.symbol}"
        self._make_room(name)
        topics = self._socket.fills_of(user)
        subscription = await topics.join(market, self._peer, request_id, request.from_sequence)
        if self._is_closed:
            subscription.leave()
            return
        self._hold(subscription)
        self._watch_token(name, token)

    def _watch_token(self, name: str, token: str) -> None:
        """Look at a token as long as a topic is held by it."""
        self._tokens[name] = token
        if self._checking is None:
            self._checking = asyncio.create_task(keep_going("tokens", self._check_tokens))

    async def _user_of(self, request: SocketRequest) -> tuple[User, str]:
        """Whose token it is, and the token. Raises FluxError without one, `Fault` for a bad one."""
        if request.token is None:
            raise FluxError(Code.UNAUTHENTICATED, f"token is required for the channel {request.channel}")
        user = (await self._socket.auth.of_token(request.token)).session
        assert isinstance(user, User)
        return user, request.token

    def _make_room(self, name: str) -> None:
        """Leave a topic that is to be joined anew. Raises FluxError when there are too many."""
        if name in self._held:
            self._drop(name)
        elif len(self._held) >= self._services.socket_subscriptions:
            most = self._services.socket_subscriptions
            raise FluxError(Code.RATE_LIMITED, f"at most {most} subscriptions on one connection")

    def _hold(self, subscription: Subscription) -> None:
        self._held[subscription.topic.name] = subscription

    def _unsubscribe(self, request: SocketRequest, request_id: str | UnsetType) -> None:
        names = self._names_of(request)
        if not names:
            raise invalid("channel", "is not subscribed to on this connection")
        for name in names:
            answer = self._held[name].topic.unsubscribed(request_id)
            self._drop(name)
            self._peer.send(answer)

    def _names_of(self, request: SocketRequest) -> list[str]:
        """The topics held that an unsubscription means: of one market, or of the channel's users."""
        if request.channel in CHANNELS:
            return [name for name in self._held if name.startswith(f"{request.channel}:")]
        if request.channel == "fills":
            end = "" if request.market is None else f":{request.market}"
            return [name for name in self._held if name.startswith("fills:") and name.endswith(end)]
        if request.market is None:
            raise invalid("market", f"is required for the channel {request.channel}")
        name = f"{request.channel}:{request.market}"
        return [name] if name in self._held else []

    def _drop(self, name: str) -> None:
        self._held.pop(name).leave()
        self._tokens.pop(name, None)
        if not self._tokens and self._checking is not None:
            self._checking.cancel()
            self._checking = None

    # -- Tokens --------------------------------------------------------------------------------------
    async def _check_tokens(self) -> None:
        """End private subscriptions whose token has expired or was revoked."""
        while True:
            await asyncio.sleep(CHECK_TOKENS_S)
            for token in set(self._tokens.values()):
                try:
                    await self._socket.auth.of_token(token)
                except Fault as fault:
                    self._end_token(token, fault.message)
                except self._services.unavailable:
                    continue  # nobody can tell now: asked again soon

    def _end_token(self, token: str, why: str) -> None:
        for name in [name for name, held in self._tokens.items() if held == token]:
            topic = self._held[name].topic
            answers = error_text(Code.UNAUTHENTICATED, why, topic=name), topic.unsubscribed(reason=why)
            # The last one ends the task that runs now, at its next pause: what is to be said comes first.
            for answer in answers:
                self._peer.send(answer)
            self._drop(name)


def _place_of(request: SocketRequest) -> Place | None:
    """From where a private topic is to be replayed; None for a snapshot. Raises FluxError for half of it."""
    if request.from_sequence is None:
        return None
    if request.stream is None:
        raise invalid("stream", "is required with fromSequence: that of the answer to your last subscription")
    return Place(request.stream, request.from_sequence)
