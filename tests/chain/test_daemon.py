"""The daemon's adapter: what it asks, what it believes, and that nothing the daemon does holds the venue up."""

import asyncio
import base64
from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest

from crossbook.application.chain import ChainAsset, ChainUnavailable
from crossbook.chain.breaker import CircuitBreaker
from crossbook.chain.daemon import Daemon
from crossbook.chain.json_rpc import JsonRpc, RpcLimits, RpcRefused
from crossbook.system import SystemClock
from tests.chain.server import Behave, Peer, cutting, dripping, flooding, nothing, replying, result, serving

T = TypeVar("T")
ASSET = "d" * 64
CLOCK = SystemClock()
QUICK = RpcLimits(timeout_ms=150, reply_limit_bytes=10_000)


def ask(behave: Behave, question: Callable[[Daemon], Awaitable[T]], limits: RpcLimits = QUICK) -> tuple[T, Peer]:
    """What the adapter makes of a server that behaves like this."""

    async def run() -> tuple[T, Peer]:
        async with serving(behave) as peer:
            daemon = Daemon(JsonRpc(peer.url, CLOCK, limits))
            try:
                return await question(daemon), peer
            finally:
                daemon.close()

    return asyncio.run(run())


# -- Questions ---------------------------------------------------------------------------------------
def test_an_asset_is_read_from_its_descriptor() -> None:
    descriptor = {
        "ticker": "USDL",
        "full_name": "A dollar",
        "decimal_point": 4,
        "current_supply": 18446744073709551615,
        "total_max_supply": "5",
        "meta_info": "{}",
        "owner": "x",
    }
    asset, peer = ask(result(status="OK", asset_descriptor=descriptor), lambda daemon: daemon.asset(ASSET))
    assert asset == ChainAsset(ASSET, "USDL", "A dollar", 4, 2**64 - 1, 5, "{}")
    assert peer.paths == ["/json_rpc"]
    assert peer.asked == [{"jsonrpc": "2.0", "id": 0, "method": "get_asset_info", "params": {"asset_id": ASSET}}]


@pytest.mark.parametrize("asset_id", ["", "d" * 63, "D" * 64, "g" * 64, "d" * 64 + "\n"])
def test_what_is_no_id_is_not_asked_for(asset_id: str) -> None:
    asset, peer = ask(result(status="OK"), lambda daemon: daemon.asset(asset_id))
    assert asset is None
    assert peer.asked == []


def test_the_owner_of_an_alias() -> None:
    address, peer = ask(
        result(status="OK", alias_details={"address": "iTHNx", "comment": ""}),
        lambda daemon: daemon.address_of_alias("maker"),
    )
    assert address == "iTHNx"
    assert peer.asked[0]["params"] == {"alias": "maker"}


@pytest.mark.parametrize(
    "behave",
    [
        result(status="Alias not found."),
        result(status="OK", alias_details={"address": ""}),
        result(status="OK", alias_details={"address": 7}),
        result(status="OK"),
        result(),
    ],
)
def test_an_alias_of_nobody(behave: Behave) -> None:
    assert ask(behave, lambda daemon: daemon.address_of_alias("maker"))[0] is None


@pytest.mark.parametrize(("status", "valid"), [("OK", True), ("FAIL", False), ("NOT_FOUND", False), (7, False)])
def test_a_signature_by_an_alias(status: object, valid: bool) -> None:
    said, peer = ask(result(status=status), lambda daemon: daemon.signed_by_alias(b"hello\xff", "ab" * 64, "maker"))
    assert said is valid
    buff = base64.b64encode(b"hello\xff").decode()
    assert peer.asked[0]["params"] == {"buff": buff, "sig": "ab" * 64, "alias": "maker"}


# -- Bad answers -------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "behave",
    [
        nothing,
        dripping,
        cutting,
        flooding,
        replying(b" " * 20_000),
        replying(b""),
        replying(b"{"),
        replying(b"[" * 9_000),
        replying(b"\xff\xfe"),
        replying([]),
        replying({"result": []}),
        replying({"id": 0}),
        replying({"result": {"status": "OK"}}, status=500),
        replying({"result": {"status": "OK"}}, status=302),
        replying({"error": {"code": -9, "message": "Core is busy"}}),
        result(status="BUSY"),
        result(status="OK", asset_descriptor=[]),
        result(status="OK", asset_descriptor={"decimal_point": 19}),
        result(status="OK", asset_descriptor={"decimal_point": -1}),
        result(status="OK", asset_descriptor={"decimal_point": 1.5}),
        result(status="OK", asset_descriptor={"decimal_point": True}),
        result(status="OK", asset_descriptor={"current_supply": 2**64}),
        result(status="OK", asset_descriptor={"current_supply": "1" * 40}),
    ],
)
def test_an_answer_that_can_not_be_used_says_so_in_time(behave: Behave) -> None:
    with pytest.raises(ChainUnavailable):
        ask(behave, lambda daemon: daemon.asset(ASSET))


def test_nobody_listens() -> None:
    async def run() -> None:
        async with serving(nothing) as peer:
            url = peer.url
        daemon = Daemon(JsonRpc(url, CLOCK, QUICK))
        with pytest.raises(ChainUnavailable, match="not reached"):
            await daemon.asset(ASSET)
        daemon.close()

    asyncio.run(run())


def test_an_error_of_the_method_is_told_with_its_number() -> None:
    async def run() -> None:
        async with serving(replying({"error": {"code": -7, "message": "x" * 1000}})) as peer:
            rpc = JsonRpc(peer.url, CLOCK, QUICK)
            with pytest.raises(RpcRefused) as caught:
                await rpc.call("transfer", {})
            rpc.close()
        assert (caught.value.code, len(caught.value.message)) == (-7, 200)

    asyncio.run(run())


# -- Holding up --------------------------------------------------------------------------------------
def test_who_does_not_answer_is_left_alone_for_a_while() -> None:
    async def run() -> None:
        async with serving(replying(b"", status=500)) as peer:
            daemon = Daemon(JsonRpc(peer.url, CLOCK, QUICK, CircuitBreaker(CLOCK, failures=2, open_ms=60_000)))
            for _ in range(6):
                with pytest.raises(ChainUnavailable):
                    await daemon.asset(ASSET)
            daemon.close()
            assert len(peer.asked) == 2

    asyncio.run(run())


def test_an_error_of_the_method_is_an_answer_to_the_breaker() -> None:
    async def run() -> None:
        async with serving(replying({"error": {"code": -1, "message": "no"}})) as peer:
            rpc = JsonRpc(peer.url, CLOCK, QUICK, CircuitBreaker(CLOCK, failures=1, open_ms=60_000))
            for _ in range(3):
                with pytest.raises(RpcRefused):
                    await rpc.call("x", {})
            rpc.close()
            assert len(peer.asked) == 3

    asyncio.run(run())


def test_no_more_calls_wait_than_are_allowed_to() -> None:
    async def run() -> None:
        limits = RpcLimits(timeout_ms=200, threads=1, waiting_limit=3)
        async with serving(nothing) as peer:
            daemon = Daemon(JsonRpc(peer.url, CLOCK, limits))
            answers = await asyncio.gather(*(daemon.asset(ASSET) for _ in range(10)), return_exceptions=True)
            daemon.close()
        assert all(isinstance(answer, ChainUnavailable) for answer in answers)
        assert sum("too many" in str(answer) for answer in answers) == 7

    asyncio.run(run())


@pytest.mark.parametrize("path", ["", "/", "/json_rpc", "/json_rpc/"])
def test_the_path_may_be_given_or_not(path: str) -> None:
    async def run() -> None:
        async with serving(result(status="OK")) as peer:
            rpc = JsonRpc(peer.url + path, CLOCK, QUICK)
            await rpc.call("x", {})
            rpc.close()
            assert peer.paths == ["/json_rpc"]

    asyncio.run(run())


@pytest.mark.parametrize("url", ["ftp://h", "http://", "http://u:p@h", "http://h:99999", "http://h?x=1", "h:80"])
def test_a_url_that_can_not_be_called_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="URL"):
        JsonRpc(url, CLOCK)
