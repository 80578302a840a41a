"""The board of swaps of a new embedded venue: a simulated chain, wallets for the demo users, a pair, and two bots.

The simulated wallets answer JSON-RPC on the venue's own port, under /wallet-sim. A wallet signs for whoever asks, so
each has an address that nobody can guess; `demo.json` holds those of the demo users.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from starlette.routing import BaseRoute, Mount

from crossbook import private_files
from crossbook.application.accounts import User
from crossbook.application.errors import InvalidLogin
from crossbook.application.swap_registry import CurrencyTerms, Pair, Registry
from crossbook.application.swaps import CancelFilter, Swaps
from crossbook.application.wallets import Wallet
from crossbook.bots.swap_pit import Amount, SwapMarket, SwapPages, Swapper, SwapPit, SwapRefused
from crossbook.bots.walk import Walk
from crossbook.domain.swap_amounts import parse_units
from crossbook.security.keccak import keccak_256
from crossbook.security.wallet_keys import SecretKeyRefused, WalletKeys
from crossbook.storage.wallets import WalletStore
from crossbook.system import Clock, random_for
from crossbook.wallet_sim import rpc
from crossbook.wallet_sim.assets import DOLLAR, NATIVE
from crossbook.wallet_sim.chain import Asset, Funds
from crossbook.wallet_sim.command import JOURNAL_FILE
from crossbook.wallet_sim.errors import RpcError
from crossbook.wallet_sim.journal import Journal
from crossbook.wallet_sim.rpc import Handler
from crossbook.wallet_sim.server import keyed_app
from crossbook.wallet_sim.wallet import SimulatedWallet
from crossbook.wallet_sim.world import World

MOUNT: Final = "/wallet-sim"
MAKER: Final = "swap-maker"
TAKER: Final = "swap-taker"
HOME_PRICE: Final = "0.25"
"""Where the bots begin: so many USDL for one LTHN."""
UNIT: Final = 10
"""The least offer of a bot, in whole LTHN."""
ENDOWMENT: Final = 100_000
"""What a wallet begins with of each asset, and a bot is brought up to again."""
STEPS_APART: Final = 4
"""The bots of swaps act once where those of markets act so often: a swap is a matter of seconds."""
KEY_BYTES: Final = 16


@dataclass(frozen=True)
class BoardUseCases:
    """What of the board is needed."""

    swaps: Swaps
    pages: SwapPages
    registry: Registry
    wallets: WalletStore


class SwapDemo:
    """Everything above. Raises JournalError when the chain that was kept can not be read."""

    def __init__(self, folder: Path, board: BoardUseCases, clock: Clock, native: Asset = NATIVE) -> None:
        private_files.make_folder(folder)
        self._board = board
        self._clock = clock
        self._native = native
        self._endowment = (_whole(native, ENDOWMENT), _whole(DOLLAR, ENDOWMENT))
        self.world = World(native, clock, Journal(folder / JOURNAL_FILE, durable=False))
        self.world.chain.register(DOLLAR)
        self._handlers: dict[str, Handler] = {"daemon": self.world.daemon}
        self._base_url = ""
        self._wallets: dict[str, Wallet] = {}
        self._pair: Pair | None = None

    @property
    def routes(self) -> list[BaseRoute]:
        """Where the wallets answer."""
        return [Mount(MOUNT, keyed_app(self.world, self._handlers))]

    # -- Wallets and the pair ------------------------------------------------------------------------
    async def set_up(self, base_url: str) -> None:
        """Have the pair of the chain's own currency, which is registered, and the dollar.

        Raises StorageError and ApplicationError.
        """
        self._base_url = base_url
        registry = self._board.registry
        dollar = CurrencyTerms(
            DOLLAR.asset_id,
            DOLLAR.full_name,
            DOLLAR.ticker,
            DOLLAR.decimal_point,
            whitelisted=True,
            full_name=DOLLAR.full_name,
        )
        await registry.put_currency(dollar)
        await registry.whitelist(self._native.asset_id, True)
        self._pair = await registry.put_pair(self._native.asset_id, DOLLAR.asset_id, featured=True)

    async def equip(self, user: User, before: Mapping[str, Any]) -> Mapping[str, Any]:
        """What `demo.json` says of a demo user's wallet: the one from before, if it is there."""
        name = str(user.name)
        wallet, known_as = await self._ensure(name, _secret_in(before))
        key = _path_key(wallet.keys, b"wallet")
        self._handlers[key] = wallet
        return {
            "wallet": {
                "address": wallet.address,
                "alias": known_as.alias,
                "spend_secret": wallet.keys.spend_secret.hex(),
                "url": f"{self._base_url}{MOUNT}/{key}",
            }
        }

    def entry(self) -> Mapping[str, Any]:
        """What `demo.json` says of the pair and of the simulator itself."""
        assert self._pair is not None
        self.world.add_wallet(MAKER)
        key = _path_key(self.world.wallets[MAKER].keys, b"admin")
        self._handlers[key] = self.world.admin
        base = f"{self._base_url}{MOUNT}"
        return {"pair_id": self._pair.pair_id, "daemon_url": f"{base}/daemon", "admin_url": f"{base}/{key}"}

    async def _ensure(self, name: str, keys: WalletKeys | None) -> tuple[SimulatedWallet, Wallet]:
        """The wallet of this name, with money, and its user on the board."""
        kept = self.world.wallets.get(name)
        if kept is not None and keys is not None and kept.keys != keys:
            del self.world.wallets[name]  # the file has the last word
        wallet = self.world.add_wallet(name, keys)
        self.world.endow(wallet, self._endowment if kept is None else ())
        store, now_ms = self._board.wallets, self._clock.now_ms()
        try:
            user = await store.sign_in(wallet.address, name, take_alias=False, now_ms=now_ms)
        except InvalidLogin:  # somebody was here first
            user = await store.sign_in(wallet.address, f"{name}-{wallet.address[-6:]}", take_alias=False, now_ms=now_ms)
        if self.world.chain.address_of(user.alias) is None:
            self.world.chain.bind(user.alias, wallet.address)
        return wallet, user

    # -- Bots ----------------------------------------------------------------------------------------
    async def hire(self, seed: int, interval_ms: int) -> SwapPit:
        """The bots of the pair, with money. Raises StorageError."""
        assert self._pair is not None
        terms = await self._board.swaps.terms(self._pair.pair_id)
        home = parse_units(HOME_PRICE, terms.second_decimals, "price")
        return SwapPit(
            SwapMarket(terms, self._native.asset_id, DOLLAR.asset_id, UNIT * 10**terms.first_decimals),
            await self._swapper(MAKER),
            await self._swapper(TAKER),
            self._board.swaps,
            self._board.pages,
            Walk(random_for(seed, "swaps/walk"), home, home),
            random_for(seed, "swaps/taker"),
            self._clock,
            interval_ms * STEPS_APART,
        )

    async def _swapper(self, name: str) -> Swapper:
        wallet, user = await self._ensure(name, None)
        purse = PretendPurse(self.world, wallet, self._endowment)
        purse.refill()
        return Swapper(user.user_id, purse)

    async def clear_out(self) -> None:
        """Take out the offers of bots that do not trade any more. Raises StorageError."""
        for name in (MAKER, TAKER):
            if name in self.world.wallets:
                _, user = await self._ensure(name, None)
                await self._board.swaps.cancel_all(user.user_id, CancelFilter())

    def close(self) -> None:
        """Let go of the chain's file."""
        self.world.close()


class PretendPurse:
    """The wallet of a bot in a simulated world, asked as a bot outside asks its own."""

    def __init__(self, world: World, wallet: SimulatedWallet, endowment: Sequence[Funds]) -> None:
        self._world = world
        self._wallet = wallet
        self._endowment = endowment

    def propose(self, destination: str, give: Amount, get: Amount) -> str:
        """A proposal to the owner of an address. Raises SwapRefused."""
        proposal = {"to_finalizer": _funds(give), "to_initiator": _funds(get)}
        made = self._ask("ionic_swap_generate_proposal", destination_address=destination, proposal=proposal)
        return str(made["hex_raw_proposal"])

    def accept(self, proposal: str, give: Amount, get: Amount) -> None:
        """Compare a proposal with what is expected, and send it. Raises SwapRefused."""
        terms = self._ask("ionic_swap_get_proposal_info", hex_raw_proposal=proposal)["proposal"]
        if terms["to_finalizer"] != _funds(get) or terms["to_initiator"] != _funds(give):
            raise SwapRefused("the proposal is not what was agreed")
        self._ask("ionic_swap_accept_proposal", hex_raw_proposal=proposal)

    def refill(self) -> None:
        """Bring the wallet up to what a new one has."""
        self._world.endow(self._wallet, self._endowment)

    def _ask(self, method: str, **params: object) -> Mapping[str, Any]:
        try:
            return rpc.call(self._wallet, method, params)
        except RpcError as error:
            raise SwapRefused(str(error)) from error


def _funds(amount: Amount) -> list[dict[str, Any]]:
    return [{"amount": amount.units, "asset_id": amount.asset_id}]


def _secret_in(entry: Mapping[str, Any]) -> WalletKeys | None:
    """The keys of the wallet that a user's entry names; None for none that can be read."""
    wallet = entry.get("wallet")
    try:
        return WalletKeys.of_secret(bytes.fromhex(wallet["spend_secret"])) if isinstance(wallet, dict) else None
    except (KeyError, TypeError, ValueError, SecretKeyRefused):
        return None


def _whole(asset: Asset, amount: int) -> Funds:
    return Funds(asset.asset_id, amount * 10**asset.decimal_point)


def _path_key(keys: WalletKeys, purpose: bytes) -> str:
    """A part of an address that only who knows the secret knows; always the same."""
    return keccak_256(b"crossbook wallet-sim " + purpose + keys.spend_secret).hex()[: 2 * KEY_BYTES]
