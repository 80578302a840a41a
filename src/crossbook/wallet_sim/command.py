"""`crossbook wallet-sim`: runs a simulated world until somebody stops it."""

import asyncio
import signal
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from crossbook.domain.errors import CrossbookError
from crossbook.security.wallet_keys import WalletKeys
from crossbook.security.wallet_signatures import SignatureFormat
from crossbook.server.app import Listening, make_server
from crossbook.system import SystemClock
from crossbook.wallet_sim.assets import DOLLAR, ENDOWMENT, NATIVE
from crossbook.wallet_sim.faults import Fault
from crossbook.wallet_sim.journal import Journal
from crossbook.wallet_sim.server import world_app
from crossbook.wallet_sim.world import World, WorldOptions

JOURNAL_FILE: Final = "wallet-sim.jsonl"
MOST_PORTS: Final = 100
MOST_CONNECTIONS: Final = 500
SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


class WalletSimError(CrossbookError):
    """The simulator can not start; the message says why."""


@dataclass(frozen=True)
class WalletPlan:
    """A wallet to have: `port` None for none of its own, `keys` None for random ones."""

    name: str
    port: int | None = None
    keys: WalletKeys | None = None
    alias: str = ""


@dataclass(frozen=True)
class Plan:
    """What to run. `folder` None keeps everything in memory."""

    host: str
    port: int
    wallets: Sequence[WalletPlan]
    folder: Path | None = None
    faults: Sequence[Fault] = ()
    least_proposal_bytes: int = 0
    format: SignatureFormat = SignatureFormat.LEGACY


@dataclass(frozen=True)
class Started:
    """What runs: the daemon's and the administrator's address, and that of each wallet by name."""

    url: str
    wallet_urls: Mapping[str, str]
    world: World


def make_world(plan: Plan) -> World:
    """The world of a plan. Raises CrossbookError."""
    journal = None
    if plan.folder is not None:
        plan.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        journal = Journal(plan.folder / JOURNAL_FILE)
    world = World(NATIVE, SystemClock(), journal, WorldOptions(plan.format, plan.least_proposal_bytes))
    world.chain.register(DOLLAR)
    for each in plan.wallets:
        is_new = each.name not in world.wallets
        wallet = world.add_wallet(each.name, each.keys, each.alias or each.name)
        if is_new:
            world.endow(wallet, ENDOWMENT)
    for fault in plan.faults:
        world.faults.switch_on(fault)
    return world


async def run(plan: Plan, started: Callable[[Started], None], stop: asyncio.Event) -> None:
    """Serve until `stop`. Raises CrossbookError when it can not start."""
    ports = [each for each in plan.wallets if each.port is not None]
    if len(ports) > MOST_PORTS:
        raise WalletSimError(f"at most {MOST_PORTS} wallets have a port of their own")
    world = make_world(plan)
    sockets: list[socket.socket] = []
    try:
        sockets.append(_bound(plan.host, plan.port))
        sockets += [_bound(plan.host, each.port or 0) for each in ports]
        numbers: list[int] = [each.getsockname()[1] for each in sockets]
        wallet_of_port = dict(zip(numbers[1:], (each.name for each in ports), strict=True))
        base = f"http://{plan.host}"
        url = f"{base}:{numbers[0]}"
        urls = {name: f"{url}/wallets/{name}" for name in world.wallets}
        urls |= {name: f"{base}:{number}" for number, name in wallet_of_port.items()}
        listening = Listening(plan.host, plan.port, drain_s=1, max_connections=MOST_CONNECTIONS)
        server = make_server(world_app(world, wallet_of_port), listening)
        serving = asyncio.create_task(server.serve(sockets=sockets))
        ending = asyncio.create_task(stop.wait())
        try:
            while not server.started and not serving.done():
                await asyncio.sleep(0.01)
            if not serving.done():
                started(Started(url, urls, world))
                await asyncio.wait((serving, ending), return_when=asyncio.FIRST_COMPLETED)
        finally:
            server.should_exit = True
            ending.cancel()
            await asyncio.gather(serving, ending, return_exceptions=True)
    finally:
        for each in sockets:
            each.close()
        world.close()


def _bound(host: str, port: int) -> socket.socket:
    made = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((host, port))
    except OSError as error:
        made.close()
        raise WalletSimError(f"can not listen on {host} port {port}: {error.strerror}") from error
    return made


def run_until_signal(plan: Plan, started: Callable[[Started], None]) -> None:
    """`run` until an interrupt from the keyboard or a service manager. Raises CrossbookError."""

    async def main() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in SIGNALS:
            loop.add_signal_handler(number, stop.set)
        await run(plan, started, stop)

    asyncio.run(main())
