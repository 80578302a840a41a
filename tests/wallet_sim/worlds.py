"""Simulated worlds for tests, and the questions that they are asked."""

import base64
from pathlib import Path
from typing import Any

from crossbook.system import ManualClock
from crossbook.wallet_sim import rpc
from crossbook.wallet_sim.assets import DOLLAR, ENDOWMENT, NATIVE
from crossbook.wallet_sim.journal import Journal
from crossbook.wallet_sim.rpc import Handler
from crossbook.wallet_sim.wallet import FEE_UNITS
from crossbook.wallet_sim.world import World, WorldOptions

LTHN, USDL = NATIVE.asset_id, DOLLAR.asset_id
FEE = FEE_UNITS
NAMES = ("alice", "bob", "carol")


def made(
    clock: ManualClock | None = None,
    file: Path | None = None,
    options: WorldOptions | None = None,
    endowed: bool = True,
) -> World:
    """A world with alice, bob and carol, each with 100,000 of both assets."""
    journal = Journal(file) if file is not None else None
    world = World(NATIVE, clock or ManualClock(), journal, options)
    world.chain.register(DOLLAR)
    for name in NAMES:
        is_new = name not in world.wallets
        wallet = world.add_wallet(name, alias=f"{name}-alias")
        if is_new:
            world.endow(wallet, ENDOWMENT)
    return world


def reopened(file: Path, clock: ManualClock | None = None) -> World:
    """The world of a file as it is, with nothing added."""
    return World(NATIVE, clock or ManualClock(), Journal(file))


def state(world: World) -> list[dict[str, Any]]:
    """Everything that a world must not forget."""
    wallets = [{"name": name, "secret": wallet.keys.spend_secret.hex()} for name, wallet in world.wallets.items()]
    return [*wallets, *map(dict, world.chain.notes())]


def ask(handler: Handler, method: str, **params: Any) -> Any:
    """The result of a method. Raises RpcError."""
    return rpc.call(handler, method, params)


def base64_of(message: bytes) -> str:
    return base64.b64encode(message).decode()


def proposal(world: World, give: int = 5, get: int = 7, **changed: Any) -> str:
    """Alice proposes bob to give him `give` LTHN units for `get` USDL units."""
    terms = {
        "to_finalizer": [{"asset_id": LTHN, "amount": give}],
        "to_initiator": [{"asset_id": USDL, "amount": get}],
        "mixins": 10,
        "fee_paid_by_a": FEE,
        **changed,
    }
    destination = world.wallets["bob"].address
    alice = world.wallets["alice"]
    text: str = ask(alice, "ionic_swap_generate_proposal", destination_address=destination, proposal=terms)[
        "hex_raw_proposal"
    ]
    return text


def holdings(world: World) -> dict[str, tuple[int, int]]:
    """What every wallet has, LTHN and USDL."""
    return {
        name: (world.chain.balance(wallet.address, LTHN), world.chain.balance(wallet.address, USDL))
        for name, wallet in world.wallets.items()
    }
