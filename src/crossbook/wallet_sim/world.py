"""A whole simulated world: one chain, its daemon, any number of wallets, and an administrator over them."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import msgspec

from crossbook.logs import Log
from crossbook.security.wallet_addresses import AddressRefused, parse_address
from crossbook.security.wallet_keys import SecretKeyRefused, WalletKeys
from crossbook.security.wallet_signatures import SignatureFormat
from crossbook.system import Clock, secret_token
from crossbook.wallet_sim.chain import MOST_UNITS, Asset, ChainRefused, Funds, Note, PretendChain
from crossbook.wallet_sim.daemon import DaemonMethods
from crossbook.wallet_sim.errors import InvalidParams
from crossbook.wallet_sim.faults import EVERYBODY, Fault, Faults
from crossbook.wallet_sim.journal import Journal, JournalError
from crossbook.wallet_sim.rpc import Answer, Method, Methods, NoParams
from crossbook.wallet_sim.wallet import SimulatedWallet

MOST_WALLETS: Final = 1_000
LONGEST_NAME: Final = 64
SHORT_JOURNAL: Final = 1_000
"""A journal with fewer notes is short enough."""
TIMES_TOO_LONG: Final = 4
"""A journal with so many times the notes that would do is replaced."""
CLOCK_SLACK_MS: Final = 3_600_000
"""By how much the clock may be set back before an accepted proposal that was forgotten could be accepted again."""

_log: Final = Log("wallet-sim")


@dataclass(frozen=True)
class WorldOptions:
    """How the wallets of a world behave."""

    format: SignatureFormat = SignatureFormat.LEGACY
    least_proposal_bytes: int = 0


class World:
    """A chain and what stands on it. With a journal it goes on where it stopped.

    A journal that becomes much longer than what it says is replaced by the fewest notes that say the same.
    Raises JournalError for a journal that can not be read.
    """

    def __init__(
        self, native: Asset, clock: Clock, journal: Journal | None = None, options: WorldOptions | None = None
    ) -> None:
        self.faults = Faults()
        self.wallets: dict[str, SimulatedWallet] = {}
        self._journal = journal
        self._clock = clock
        self._options = options or WorldOptions()
        self._longest_journal = SHORT_JOURNAL
        self.chain = PretendChain(native, self._record)
        self.daemon = DaemonMethods(self.chain)
        self.admin = AdminMethods(self)
        if journal is not None:
            self._go_on(journal)

    def add_wallet(self, name: str, keys: WalletKeys | None = None, alias: str = "") -> SimulatedWallet:
        """The wallet of this name: the known one, else a new one with these keys, or with random ones.

        Raises ChainRefused for other keys, too many wallets, or an alias of somebody else.
        """
        wallet = self.wallets.get(name)
        if wallet is not None and keys is not None and keys != wallet.keys:
            raise ChainRefused(f"the wallet {name} has other keys")
        if wallet is None:
            if len(self.wallets) >= MOST_WALLETS or not 0 < len(name) <= LONGEST_NAME:
                raise ChainRefused(f"there are {MOST_WALLETS} wallets at most, with names of 1 to {LONGEST_NAME}")
            keys = keys or WalletKeys.of_seed(secret_token(64).encode())
            self._record(_wallet_note(name, keys))
            wallet = self._open(name, keys)
        if alias:
            self.chain.bind(alias, wallet.address)
        return wallet

    def endow(self, wallet: SimulatedWallet, funds: Iterable[Funds]) -> None:
        """Bring a wallet up to these amounts. Raises ChainRefused."""
        for each in funds:
            missing = each.amount_units - self.chain.balance(wallet.address, each.asset_id)
            if missing > 0:
                self.chain.mint(wallet.address, Funds(each.asset_id, missing))

    # -- The journal ---------------------------------------------------------------------------------
    def _go_on(self, journal: Journal) -> None:
        """Let everything happen again."""
        unknown = 0
        for note in journal.notes():
            if note["op"] == "wallet":
                self._open(note["name"], WalletKeys.of_secret(bytes.fromhex(note["spend_secret"])))
            elif not self.chain.apply(note):
                unknown += 1
        if unknown:
            # Of a newer program, which will want them again: such a journal only grows.
            _log.warning("the journal has notes that are not understood, and stays as it is", notes=unknown)
            self._longest_journal = MOST_UNITS
        self._shorten(journal)

    def _record(self, note: Note) -> None:
        """Write a note that is about to take effect. Raises JournalError. Everything before it has taken effect."""
        if self._journal is not None:
            self._shorten(self._journal)
            self._journal.write(note)

    def _shorten(self, journal: Journal) -> None:
        """Replace a journal that has become too long. Where that fails, it stays until it is twice as long."""
        if journal.length < self._longest_journal:
            return
        self.chain.forget_expired(self._clock.now_ms() - CLOCK_SLACK_MS)
        notes = [*(_wallet_note(name, wallet.keys) for name, wallet in self.wallets.items()), *self.chain.notes()]
        self._longest_journal = max(SHORT_JOURNAL, TIMES_TOO_LONG * len(notes))
        if journal.length < self._longest_journal:
            return
        before = journal.length
        try:
            journal.replace(notes)
        except JournalError as error:
            _log.warning("the journal could not be shortened", notes=before, error=str(error))
            self._longest_journal = 2 * before
        else:
            _log.info("journal shortened", notes=before, now=len(notes))

    def close(self) -> None:
        """Let go of the journal."""
        if self._journal is not None:
            self._journal.close()

    def _open(self, name: str, keys: WalletKeys) -> SimulatedWallet:
        options = self._options
        wallet = SimulatedWallet(
            name, keys, self.chain, self.faults, self._clock, options.format, options.least_proposal_bytes
        )
        self.wallets[name] = wallet
        return wallet


def _wallet_note(name: str, keys: WalletKeys) -> Note:
    return {"op": "wallet", "name": name, "spend_secret": keys.spend_secret.hex()}


# -- The administrator -------------------------------------------------------------------------------
class FaultParams(msgspec.Struct):
    """Which fault, for which wallet ("" for all), for how many calls (None for good), on or off."""

    fault: Fault
    wallet: str = EVERYBODY
    times: int | None = None
    on: bool = True


class WalletParams(msgspec.Struct):
    """A new wallet; without a secret it gets a random one."""

    name: str
    spend_secret: str = ""
    alias: str = ""


class FundParams(msgspec.Struct):
    """Money from nowhere for a wallet, in the asset's smallest unit. `asset_id` "" is the native one."""

    wallet: str
    amount: int
    asset_id: str = ""


class AliasParams(msgspec.Struct):
    """An alias for an address, which need not be a wallet of this world."""

    alias: str
    address: str


class AdminMethods:
    """What an administrator of a world can do."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.methods: Methods = {
            "set_fault": Method(FaultParams, self._set_fault),
            "get_faults": Method(NoParams, self._get_faults),
            "create_wallet": Method(WalletParams, self._create_wallet),
            "fund": Method(FundParams, self._fund),
            "register_asset": Method(Asset, self._register_asset),
            "register_alias": Method(AliasParams, self._register_alias),
            "get_balances": Method(NoParams, self._get_balances),
        }

    def _set_fault(self, params: FaultParams) -> Answer:
        if params.times is not None and params.times < 1:
            raise InvalidParams("times must be at least 1, or null for good")
        if params.on:
            self._world.faults.switch_on(params.fault, params.wallet, params.times)
        else:
            self._world.faults.switch_off(params.fault, params.wallet)
        return self._get_faults(NoParams())

    def _get_faults(self, params: NoParams) -> Answer:
        del params
        switches = self._world.faults.all()
        return {"faults": [{"fault": each.fault, "wallet": each.wallet, "times": each.times} for each in switches]}

    def _create_wallet(self, params: WalletParams) -> Answer:
        try:
            keys = WalletKeys.of_secret(bytes.fromhex(params.spend_secret)) if params.spend_secret else None
            wallet = self._world.add_wallet(params.name, keys, params.alias)
        except (ChainRefused, SecretKeyRefused, ValueError) as error:
            raise InvalidParams(str(error)) from error
        return {"name": wallet.name, "address": wallet.address}

    def _fund(self, params: FundParams) -> Answer:
        wallet = self._world.wallets.get(params.wallet)
        if wallet is None:
            raise InvalidParams(f"there is no wallet {params.wallet}")
        asset_id = params.asset_id or self._world.chain.native.asset_id
        try:
            self._world.chain.mint(wallet.address, Funds(asset_id, params.amount))
        except ChainRefused as error:
            raise InvalidParams(str(error)) from error
        return {"balance": self._world.chain.balance(wallet.address, asset_id)}

    def _register_asset(self, params: Asset) -> Answer:
        try:
            self._world.chain.register(params)
        except ChainRefused as error:
            raise InvalidParams(str(error)) from error
        return {"asset_id": params.asset_id}

    def _register_alias(self, params: AliasParams) -> Answer:
        try:
            self._world.chain.bind(params.alias, parse_address(params.address).plain.text)
        except (ChainRefused, AddressRefused) as error:
            raise InvalidParams(str(error)) from error
        return {"alias": params.alias}

    def _get_balances(self, params: NoParams) -> Answer:
        del params
        chain = self._world.chain
        return {
            "wallets": {
                wallet.name: {"address": wallet.address, "balances": chain.balances(wallet.address)}
                for wallet in self._world.wallets.values()
            },
            "imbalance": chain.imbalance(),
        }
