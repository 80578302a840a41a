"""`crossbook wallet-sim` over HTTP: paths, ports, errors of JSON-RPC, and the venue's own client against it."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import pytest
import typer

from crossbook.application.chain import ChainUnavailable
from crossbook.chain.daemon import Daemon
from crossbook.chain.json_rpc import JsonRpc
from crossbook.security.wallet_keys import WalletKeys
from crossbook.system import SystemClock
from crossbook.wallet_sim.command import Plan, Started, WalletPlan, WalletSimError, run
from crossbook.wallet_sim.faults import Fault
from crossbook.wallet_sim.server import BODY_LIMIT_BYTES, keyed_app
from crossbook.wallet_sim_command import Options, plan_of
from tests.wallet_sim.worlds import LTHN, USDL, base64_of, made

PLAN = Plan("127.0.0.1", 0, (WalletPlan("alice", 0), WalletPlan("bob")))


@asynccontextmanager
async def running(plan: Plan = PLAN) -> AsyncIterator[Started]:
    stop = asyncio.Event()
    ready: asyncio.Future[Started] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(run(plan, ready.set_result, stop))
    await asyncio.wait((task, ready), return_when=asyncio.FIRST_COMPLETED)
    if task.done():
        task.result()
    try:
        yield ready.result()
    finally:
        stop.set()
        await task


async def post(url: str, method: str, **params: Any) -> Any:
    async with httpx2.AsyncClient() as client:
        request = {"jsonrpc": "2.0", "id": 7, "method": method, "params": params}
        reply = await client.post(f"{url}/json_rpc", json=request)
    assert reply.status_code == 200, reply.text
    document = reply.json()
    assert (document["id"], document["jsonrpc"]) == (7, "2.0")
    return document.get("result") or document["error"]


def test_a_swap_between_a_wallet_with_a_port_and_one_with_a_path() -> None:
    async def scene() -> None:
        async with running() as sim:
            alice, bob = sim.wallet_urls["alice"], sim.wallet_urls["bob"]
            assert "/wallets/" not in alice
            to = (await post(bob, "getaddress"))["address"]
            terms = {
                "to_finalizer": [{"asset_id": LTHN, "amount": 10**12}],
                "to_initiator": [{"asset_id": USDL, "amount": 2 * 10**6}],
            }
            made_one = await post(alice, "ionic_swap_generate_proposal", destination_address=to, proposal=terms)
            text = made_one["hex_raw_proposal"]
            assert "result_tx_id" in await post(bob, "ionic_swap_accept_proposal", hex_raw_proposal=text)
            again = await post(bob, "ionic_swap_accept_proposal", hex_raw_proposal=text)
            assert again["code"] == -6
            assert (await post(bob, "getbalance"))["balance"] == 100_001 * 10**12
            assert (await post(f"{sim.url}/admin", "get_balances"))["imbalance"] == {}

    asyncio.run(scene())


def test_the_venues_own_client_asks_this_daemon() -> None:
    async def scene() -> None:
        async with running() as sim:
            daemon = Daemon(JsonRpc(sim.url, SystemClock()))
            asset = await daemon.asset(LTHN)
            assert asset is not None
            assert (asset.ticker, asset.decimal_point) == ("LTHN", 12)
            assert await daemon.asset("f" * 64) is None
            alice = sim.world.wallets["alice"]
            assert await daemon.address_of_alias("alice") == alice.address
            assert await daemon.address_of_alias("nobody") is None
            signed = (await post(sim.wallet_urls["alice"], "sign_message", buff=base64_of(b"m")))["sig"]
            assert await daemon.signed_by_alias(b"m", signed, "alice") is True
            assert await daemon.signed_by_alias(b"m", signed, "bob") is False
            await post(f"{sim.url}/admin", "set_fault", fault="daemon_down", times=1)
            with pytest.raises(ChainUnavailable):
                await daemon.asset(LTHN)
            assert await daemon.asset(LTHN) is not None
            daemon.close()

    asyncio.run(scene())


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", -32700),
        (b"\xff", -32700),
        (b"[" * 2000, -32700),
        (b"[]", -32600),
        (b"7", -32600),
        (b"{}", -32600),
        (b'{"method": 7}', -32600),
        (b'{"id": {}, "method": "getaddress"}', -32600),
        (b'{"method": "x"}', -32601),
        (b'{"method": "get_alias_details"}', -32602),
        (b'{"method": "get_alias_details", "params": 7}', -32602),
        (b'{"method": "get_alias_details", "params": {"alias": 7}}', -32602),
    ],
)
def test_errors_have_the_numbers_of_json_rpc(body: bytes, code: int) -> None:
    async def scene() -> None:
        async with running() as sim, httpx2.AsyncClient() as client:
            reply = await client.post(f"{sim.url}/json_rpc", content=body)
            assert (reply.status_code, reply.json()["error"]["code"]) == (200, code)

    asyncio.run(scene())


def test_other_paths_and_methods() -> None:
    async def scene() -> None:
        async with running() as sim, httpx2.AsyncClient() as client:
            body = json.dumps({"method": "getaddress"}).encode()
            for path in ("/", "/wallets/x/json_rpc", "/wallets/json_rpc", "/wallets/alice", "/x/json_rpc"):
                assert (await client.post(sim.url + path, content=body)).status_code == 404
            assert (await client.get(f"{sim.url}/json_rpc")).status_code == 405
            long = b" " * (BODY_LIMIT_BYTES + 1)
            assert (await client.post(f"{sim.url}/json_rpc", content=long)).status_code == 413
            assert (await client.post(f"{sim.url}/wallets/alice/json_rpc", content=body)).status_code == 200

    asyncio.run(scene())


def test_inside_another_server_only_a_key_opens() -> None:
    world = made()
    app = keyed_app(world, {"secret-of-alice": world.wallets["alice"], "daemon": world.daemon})

    async def scene() -> None:
        transport = httpx2.ASGITransport(app=app, root_path="/wallet-sim")
        async with httpx2.AsyncClient(transport=transport, base_url="http://x") as client:
            body = json.dumps({"method": "getaddress"}).encode()
            for path, status in (("secret-of-alice", 200), ("daemon", 200), ("alice", 404), ("wallets/alice", 404)):
                assert (await client.post(f"/wallet-sim/{path}/json_rpc", content=body)).status_code == status

    asyncio.run(scene())


def test_a_kept_world_starts_again_and_is_not_endowed_twice(tmp_path: Path) -> None:
    async def scene() -> None:
        plan = replace(PLAN, folder=tmp_path / "sim", faults=(Fault.DAEMON_DOWN,))
        found = []
        for _ in range(2):
            async with running(plan) as sim:
                found.append(await post(f"{sim.url}/admin", "get_balances"))
                assert [each.fault for each in sim.world.faults.all()] == [Fault.DAEMON_DOWN]
        assert found[0] == found[1]

    asyncio.run(scene())


def test_a_port_that_is_taken_is_said() -> None:
    async def scene() -> None:
        async with running() as sim:
            port = int(sim.url.rpartition(":")[2])
            with pytest.raises(WalletSimError, match="can not listen"):
                await run(replace(PLAN, port=port), lambda started: None, asyncio.Event())

    asyncio.run(scene())


# -- The command line --------------------------------------------------------------------------------
def test_options(tmp_path: Path) -> None:
    assert [each.name for each in plan_of(Options("h", 1)).wallets] == ["alice", "bob"]
    keys = WalletKeys.of_seed(b"alice")
    demo = tmp_path / "demo.json"
    wallet = {"address": keys.address().text, "alias": "al", "spend_secret": keys.spend_secret.hex()}
    demo.write_text(json.dumps({"users": [{"name": "alice", "wallet": wallet}]}))
    plan = plan_of(Options("h", 1, ("alice:70", "x"), demo, format="v2"))
    assert plan.wallets == (WalletPlan("alice", 70, keys, "al"), WalletPlan("x"))


@pytest.mark.parametrize("wallet", ["", "a:", "a:b", "a:70000", "a b", "a:1:2"])
def test_bad_names_of_wallets(wallet: str) -> None:
    with pytest.raises(typer.Exit):
        plan_of(Options("h", 1, (wallet,)))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"users": [{"name": "alice"}]}'])
def test_a_demo_file_without_wallets(text: str, tmp_path: Path) -> None:
    demo = tmp_path / "demo.json"
    demo.write_text(text)
    with pytest.raises(typer.Exit):
        plan_of(Options("h", 1, (), demo))
    with pytest.raises(typer.Exit):
        plan_of(Options("h", 1, format="v3"))
