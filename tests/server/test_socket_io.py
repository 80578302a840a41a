"""Socket.IO with the client that bots use: waking up, every event, who hears what, and every bound."""

import asyncio
import gc
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

import aiohttp
import httpx2
import pytest
import socketio
from starlette.routing import Mount

from crossbook.application.swap_events import SwapEvent, SwapEventKind
from crossbook.dialects.lethean.live import NotSignedIn
from crossbook.domain.errors import CrossbookError
from crossbook.server.app import Listening, Setup, build_app, make_server
from crossbook.server.socket_io import SocketIo, SocketIoLimits
from crossbook.system import SystemClock, secret_token
from tests.dialects.toy import toy

# The client's library leaves a connection that was cut off to the garbage collector, which `play` calls.
pytestmark = pytest.mark.filterwarnings("ignore:Unclosed connection:ResourceWarning")

DEADLINE_S = 20
PAIR, OTHER_PAIR = 7, 8
ALICE, BOB = 1, 2
TOKENS = {"token-of-alice": ALICE, "token-of-bob": BOB}

POSTED = SwapEvent(SwapEventKind.OFFER_POSTED, PAIR, 100)
ENDED = SwapEvent(SwapEventKind.OFFER_ENDED, PAIR, 100)
CHANGED = SwapEvent(SwapEventKind.BOARD_CHANGED, PAIR)
TRADED = SwapEvent(SwapEventKind.STATISTICS_CHANGED, PAIR)
NOTED = SwapEvent(SwapEventKind.OFFER_NOTIFIED, PAIR, 100, ALICE)


class Pages:
    """What messages show, and how often it was read."""

    def __init__(self) -> None:
        self.reads: list[object] = []
        self.tokens = dict(TOKENS)
        self.away = False

    async def orders(self, offer_ids: Sequence[int]) -> Mapping[int, object]:
        self.reads.append(list(offer_ids))
        if self.away:
            raise CrossbookError("gone")
        return {offer_id: {"id": offer_id, "price": "1.5"} for offer_id in offer_ids if offer_id < 1_000}

    async def pair_stats(self, pair_id: int) -> object:
        self.reads.append(pair_id)
        return {"rate": 2}

    async def user_of(self, token: str) -> int:
        if token not in self.tokens:
            raise NotSignedIn
        return self.tokens[token]


class Scene:
    """A running server, its sockets, and clients that note what they hear."""

    def __init__(self, url: str, sockets: SocketIo, pages: Pages) -> None:
        self.url = url
        self.sockets = sockets
        self.pages = pages
        self.bots: list[Bot] = []

    async def client(self, **options: Any) -> "Bot":
        bot = Bot()
        self.bots.append(bot)
        await bot.client.connect(self.url, **options)
        return bot


class Bot:
    """A client of python-socketio."""

    def __init__(self) -> None:
        self.session = aiohttp.ClientSession()  # ours, so that it is closed whoever cut the connection off
        self.client = socketio.AsyncClient(reconnection=False, http_session=self.session)
        self.heard: asyncio.Queue[tuple[str, ...]] = asyncio.Queue()
        self.gone = asyncio.Event()
        self.client.on("*", self._note)
        self.client.on("disconnect", self._end)

    async def _note(self, event: str, *data: Any) -> None:
        self.heard.put_nowait((event, *data))

    async def _end(self, *reason: object) -> None:
        self.gone.set()

    async def ask(self, event: str, data: object = None) -> Any:
        return await asyncio.wait_for(self.client.call(event, data), DEADLINE_S)

    async def hears(self) -> tuple[Any, ...]:
        return await asyncio.wait_for(self.heard.get(), DEADLINE_S)

    async def watch(self, pair_id: object = PAIR) -> None:
        """Enter the room of a pair, and take the wake-up."""
        assert await self.ask("in-trading", {"id": pair_id}) == {"success": True}
        assert await self.hears() == ("update-orders",)

    async def nothing_more(self) -> None:
        """Nothing was sent to it that it has not heard: what is asked now is answered after all that."""
        await self.ask("out-trading", {"id": 999})
        assert self.heard.empty()


@asynccontextmanager
async def scene(limits: SocketIoLimits | None = None, origins: Sequence[str] = ()) -> AsyncIterator[Scene]:
    pages = Pages()
    clock = SystemClock()
    sockets = SocketIo(pages, clock, limits, origins)
    setup = Setup(
        new_id=lambda: secret_token(16), monotonic_s=clock.monotonic_s, routes=[Mount("/socket.io", sockets.app)]
    )
    server = make_server(build_app([toy()], setup), Listening(port=0, drain_s=1))
    stop = asyncio.Event()
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        tasks = [asyncio.create_task(server.serve(sockets=[listener])), asyncio.create_task(sockets.run(stop))]
        while not server.started:
            await asyncio.sleep(0.005)
        made = Scene(f"http://127.0.0.1:{listener.getsockname()[1]}", sockets, pages)
        try:
            yield made
        finally:
            for bot in made.bots:
                await bot.client.disconnect()
                await bot.session.close()
            stop.set()
            await tasks[1]
            server.should_exit = True
            await tasks[0]


def play(act: Callable[[Scene], Awaitable[None]], **options: Any) -> None:
    async def run() -> None:
        async with asyncio.timeout(60), scene(**options) as made:
            await act(made)

    asyncio.run(run())
    gc.collect()


# -- Events ------------------------------------------------------------------------------------------
@pytest.mark.parametrize("transports", [None, ["polling"], ["websocket"]])
def test_whoever_enters_a_room_is_woken_up_at_once_and_hears_what_happens(transports: list[str] | None) -> None:
    async def act(made: Scene) -> None:
        bot = await made.client(transports=transports)
        await bot.watch()
        made.sockets.publish([POSTED])
        assert await bot.hears() == ("new-order", {"orderData": {"id": 100, "price": "1.5"}})
        made.sockets.publish([ENDED, CHANGED, TRADED])
        assert await bot.hears() == ("delete-order", {"orderId": 100})
        assert await bot.hears() == ("update-orders",)
        assert await bot.hears() == ("update-pair-stats", {"pairStats": {"rate": 2}})
        await bot.nothing_more()

    play(act)


def test_only_the_room_of_the_pair_hears_it() -> None:
    async def act(made: Scene) -> None:
        here, there = await made.client(), await made.client()
        await here.watch()
        await there.watch(str(OTHER_PAIR))
        made.sockets.publish([CHANGED])
        assert await here.hears() == ("update-orders",)
        await there.nothing_more()
        await here.ask("out-trading", {"id": PAIR})
        made.sockets.publish([CHANGED, CHANGED._replace(pair_id=OTHER_PAIR)])
        assert await there.hears() == ("update-orders",)
        await here.nothing_more()

    play(act)


def test_what_nobody_watches_is_not_read() -> None:
    async def act(made: Scene) -> None:
        made.sockets.publish([POSTED, TRADED, NOTED])
        bot = await made.client()
        await bot.watch(OTHER_PAIR)
        made.sockets.publish([POSTED, TRADED, NOTED, CHANGED._replace(pair_id=OTHER_PAIR)])
        assert await bot.hears() == ("update-orders",)
        assert made.pages.reads == []

    play(act)


def test_many_offers_are_read_at_once_and_changes_of_a_board_are_told_once() -> None:
    async def act(made: Scene) -> None:
        bot = await made.client()
        await bot.watch()
        offers = [POSTED._replace(offer_id=100 + number) for number in range(50)]
        made.sockets.publish([*offers, *[CHANGED] * 50, POSTED._replace(offer_id=5_000)])
        heard = [await bot.hears() for _ in range(51)]
        assert [each[1]["orderData"]["id"] for each in heard[:50]] == list(range(100, 150))
        assert heard[50] == ("update-orders",)
        await bot.nothing_more()
        assert len(made.pages.reads) == 1

    play(act)


def test_pair_zero_wakes_everybody() -> None:
    async def act(made: Scene) -> None:
        first, second = await made.client(), await made.client()
        await first.watch()
        await second.watch(OTHER_PAIR)
        made.sockets.publish([CHANGED._replace(pair_id=0)])
        assert await first.hears() == await second.hears() == ("update-orders",)

    play(act)


def test_when_nothing_can_be_read_everybody_is_told_to_look() -> None:
    async def act(made: Scene) -> None:
        bot = await made.client()
        await bot.watch()
        made.pages.away = True
        made.sockets.publish([POSTED])
        assert await bot.hears() == ("update-orders",)

    play(act)


def test_more_events_than_can_wait_become_one() -> None:
    async def act(made: Scene) -> None:
        bot = await made.client()
        await bot.watch()
        made.sockets.publish([POSTED] * 11)
        assert await bot.hears() == ("update-orders",)
        await bot.nothing_more()

    play(act, limits=SocketIoLimits(waiting_events=10))


# -- Notes to users ----------------------------------------------------------------------------------
def test_notes_go_to_the_user_only() -> None:
    async def act(made: Scene) -> None:
        alice, bob, nobody = await made.client(), await made.client(), await made.client()
        assert await alice.ask("in-dex-notifications", {"token": "token-of-alice"}) == {"success": True}
        assert await bob.ask("in-dex-notifications", {"token": "token-of-bob"}) == {"success": True}
        refused = {"success": False, "data": "Unauthorized (JWT)"}
        bad_ones: list[object] = [{"token": "x"}, {"token": ""}, {"token": 7}, {}, [], None, "token-of-alice"]
        for bad in bad_ones:
            assert await nobody.ask("in-dex-notifications", bad) == refused
        made.sockets.publish([NOTED, CHANGED])
        assert await alice.hears() == ("order-notification", {"orderData": {"id": 100, "price": "1.5"}})
        for bot in (alice, bob, nobody):
            await bot.nothing_more()

    play(act)


def test_whose_session_has_ended_hears_nothing_more() -> None:
    async def act(made: Scene) -> None:
        alice = await made.client()
        await alice.watch()
        await alice.ask("in-dex-notifications", {"token": "token-of-alice"})
        made.sockets.publish([NOTED])
        assert (await alice.hears())[0] == "order-notification"
        del made.pages.tokens["token-of-alice"]
        made.sockets.publish([NOTED, CHANGED])
        assert await alice.hears() == ("update-orders",)
        made.sockets.publish([NOTED, CHANGED])
        assert await alice.hears() == ("update-orders",)
        await alice.nothing_more()

    play(act)


def test_a_socket_is_one_users_at_a_time() -> None:
    async def act(made: Scene) -> None:
        bot = await made.client()
        for token in ("token-of-alice", "token-of-bob"):
            await bot.ask("in-dex-notifications", {"token": token})
        made.sockets.publish([NOTED, NOTED._replace(user_id=BOB)])
        assert (await bot.hears())[0] == "order-notification"
        await bot.nothing_more()

    play(act)


# -- Bounds ------------------------------------------------------------------------------------------
def test_sockets_of_one_address() -> None:
    async def act(made: Scene) -> None:
        first = await made.client()
        await made.client()
        for transports in (["polling"], ["websocket"]):
            with pytest.raises(socketio.exceptions.ConnectionError):
                await made.client(transports=transports)
        await first.client.disconnect()
        third = await made.client()
        await third.watch()

    play(act, limits=SocketIoLimits(per_address=2))


def test_sockets_in_all() -> None:
    async def act(made: Scene) -> None:
        await made.client()
        with pytest.raises(socketio.exceptions.ConnectionError):
            await made.client()
        async with httpx2.AsyncClient() as http:
            reply = await http.get(f"{made.url}/socket.io/?EIO=4&transport=polling")
        assert (reply.status_code, reply.json()) == (429, {"success": False, "data": "too many sockets"})

    play(act, limits=SocketIoLimits(in_all=1))


def test_rooms_of_one_socket() -> None:
    async def act(made: Scene) -> None:
        bot = await made.client()
        await bot.watch(1)
        await bot.watch(2)
        await bot.watch(1)
        refused = await bot.ask("in-trading", {"id": 3})
        assert refused == {"success": False, "data": "a socket watches at most 2 pairs"}
        await bot.ask("out-trading", {"id": 1})
        await bot.watch(3)

    play(act, limits=SocketIoLimits(rooms=2))


@pytest.mark.parametrize("bad", [None, {}, [], 7, {"id": 0}, {"id": -1}, {"id": "x"}, {"id": 1.5}, {"id": True}])
def test_ids_that_are_none(bad: object) -> None:
    async def act(made: Scene) -> None:
        bot = await made.client()
        for event in ("in-trading", "out-trading"):
            assert (await bot.ask(event, bad))["success"] is False
        for huge in (2**53, "9" * 17, "9" * 5_000):
            assert (await bot.ask("in-trading", {"id": huge}))["success"] is False
        await bot.nothing_more()

    play(act)


@pytest.mark.parametrize("transports", [["polling"], ["websocket"]])
def test_whoever_says_too_much_is_cut_off(transports: list[str]) -> None:
    async def act(made: Scene) -> None:
        bot, other = await made.client(transports=transports), await made.client()
        while not bot.gone.is_set():
            with suppress(socketio.exceptions.SocketIOError):
                await bot.client.emit("in-trading", {"id": PAIR})
            await asyncio.sleep(0.005)
        await other.watch()

    play(act, limits=SocketIoLimits(messages_per_s=1, messages_burst=10))


@pytest.mark.parametrize(
    "bad",
    [
        b"bytes",
        {"id": b"bytes"},
        {"token": "x" * 20_000},
    ],
)
@pytest.mark.parametrize("transports", [["polling"], ["websocket"]])
def test_bytes_and_long_messages_are_not_taken(bad: object, transports: list[str]) -> None:
    async def act(made: Scene) -> None:
        bot, other = await made.client(transports=transports), await made.client()
        await bot.client.emit("in-trading", bad)
        await asyncio.wait_for(bot.gone.wait(), DEADLINE_S)
        await other.watch()

    play(act)


@pytest.mark.parametrize(
    "packet", ["4", "49", "42", "42[", "4" + "2" + "[" * 8_000, '42{"a":1}', "42[7]", "45-", "40/x,"]
)
def test_packets_that_are_nonsense_hurt_nobody_else(packet: str) -> None:
    async def act(made: Scene) -> None:
        other = await made.client()
        async with httpx2.AsyncClient() as http:
            url = f"{made.url}/socket.io/?EIO=4&transport=polling"
            hello = (await http.get(url)).text
            mine = f"{url}&sid={json.loads(hello[1:])['sid']}"
            assert (await http.post(mine, content="40")).status_code == 200
            assert (await http.post(mine, content=packet)).status_code in {200, 400}
        await other.watch()
        made.sockets.publish([CHANGED])
        assert await other.hears() == ("update-orders",)

    play(act)


def test_a_body_without_end_or_of_a_false_length() -> None:
    async def act(made: Scene) -> None:
        async with httpx2.AsyncClient() as http:
            url = f"{made.url}/socket.io/?EIO=4&transport=polling&sid=x"

            async def endless() -> AsyncIterator[bytes]:
                while True:
                    yield b"x" * 10_000

            for long in (endless(), b"x" * 20_000):
                with suppress(httpx2.TransportError):  # it is cut off while it still writes
                    assert (await http.post(url, content=long)).status_code == 413
            assert (await http.post(url, content=b"x")).status_code == 400

    play(act)


def test_whoever_does_not_read_is_cut_off() -> None:
    async def act(made: Scene) -> None:
        other = await made.client()
        await other.watch()
        async with httpx2.AsyncClient() as http:
            url = f"{made.url}/socket.io/?EIO=4&transport=polling"
            mine = f"{url}&sid={json.loads((await http.get(url)).text[1:])['sid']}"
            await http.post(mine, content="40")
            await http.post(mine, content='42["in-trading",' + json.dumps({"id": PAIR}) + "]")
            for _ in range(30):
                made.sockets.publish([CHANGED])
                assert await other.hears() == ("update-orders",)
            assert (await http.get(mine)).status_code == 400
        made.sockets.publish([CHANGED])
        assert await other.hears() == ("update-orders",)

    play(act, limits=SocketIoLimits(waiting_packets=20))


@pytest.mark.parametrize("how", ["leave", "cut off"])
@pytest.mark.parametrize("transports", [["polling"], ["websocket"]])
def test_nothing_is_kept_of_who_has_gone(transports: list[str], how: str) -> None:
    async def act(made: Scene) -> None:
        bots = [await made.client(transports=transports) for _ in range(3)]
        for bot in bots:
            await bot.watch()
            await bot.ask("in-dex-notifications", {"token": "token-of-alice"})
        if how == "leave":
            for bot in bots:
                await bot.client.disconnect()
        else:
            await made.sockets.hang_up()
        sockets = made.sockets
        kept = [sockets._rooms, sockets._joined, sockets._tokens, sockets._addresses, sockets._of_address]
        kept += [sockets._sio.environ, sockets._sio.eio.sockets]
        async with asyncio.timeout(DEADLINE_S):
            while any(kept):
                await asyncio.sleep(0.02)

    play(act)


def test_origins() -> None:
    async def act(made: Scene) -> None:
        async with httpx2.AsyncClient() as http:
            url = f"{made.url}/socket.io/?EIO=4&transport=polling"
            for origin, status in (
                ("https://page.example", 200),
                (made.url, 200),
                ("https://other.example", 400),
                ("null", 400),
            ):
                reply = await http.get(url, headers={"origin": origin})
                assert reply.status_code == status, origin
                assert (reply.headers.get("access-control-allow-origin") == origin) is (status == 200)
                assert "access-control-allow-credentials" not in reply.headers

    play(act, origins=["https://page.example"])


def test_when_the_server_stops_everybody_is_let_go() -> None:
    async def act(made: Scene) -> None:
        bots = [await made.client(transports=transports) for transports in (["polling"], ["websocket"])]
        for bot in bots:
            await bot.watch()
        await made.sockets.hang_up()
        for bot in bots:
            await asyncio.wait_for(bot.gone.wait(), DEADLINE_S)

    play(act)
