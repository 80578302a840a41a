"""The pretend chain: assets, aliases, balances, and swaps that move both sides at once and only once.

Every movement has two ends: money comes from the account MINT and fees go to the account FEES, so the balances
of an asset always sum to zero. Amounts are in the asset's smallest unit.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from crossbook.domain.errors import CrossbookError
from crossbook.security.keccak import keccak_256

MINT: Final = "mint"
FEES: Final = "fees"
MOST_UNITS: Final = 2**64 - 1
MOST_DECIMALS: Final = 18
NATIVE_DECIMALS: Final = 12

Note = Mapping[str, Any]
"""One thing that happened, as JSON has it: what `PretendChain.apply` takes."""


class ChainRefused(CrossbookError):
    """The chain takes no such thing."""


class TooLittle(ChainRefused):
    """`address` has less of `asset_id` than it would give."""

    def __init__(self, address: str, asset_id: str, needed_units: int) -> None:
        super().__init__(f"{needed_units} units of {asset_id} are needed")
        self.address = address
        self.asset_id = asset_id


class SpentAlready(ChainRefused):
    """The proposal was accepted before."""


@dataclass(frozen=True)
class Asset:
    """An asset as the daemon describes it."""

    asset_id: str
    ticker: str
    full_name: str
    decimal_point: int = NATIVE_DECIMALS
    total_max_supply_units: int = MOST_UNITS


@dataclass(frozen=True)
class Funds:
    """An amount of an asset."""

    asset_id: str
    amount_units: int


@dataclass(frozen=True)
class Swap:
    """Who gives what to whom. The initiator pays the fee, in the native asset."""

    proposal_id: str
    initiator: str
    finalizer: str
    to_finalizer: tuple[Funds, ...]
    to_initiator: tuple[Funds, ...]
    fee_units: int


@dataclass(frozen=True)
class _Accepted:
    """The transaction that a proposal ended in, and until when the proposal could be accepted, if that is known."""

    transaction_id: str
    expires_at_ms: int | None


@dataclass
class _State:
    assets: dict[str, Asset] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)
    balances: dict[tuple[str, str], int] = field(default_factory=dict)
    accepted: dict[str, _Accepted] = field(default_factory=dict)
    """By proposal."""


class PretendChain:
    """A chain of one process. `record` gets each note before it takes effect, and may raise."""

    def __init__(self, native: Asset, record: Callable[[Note], None] = lambda note: None) -> None:
        self.native = native
        self._record = record
        self._state = _State(assets={native.asset_id: native})

    # -- Questions -----------------------------------------------------------------------------------
    def asset(self, asset_id: str) -> Asset | None:
        """The asset of this id."""
        return self._state.assets.get(asset_id)

    def assets(self) -> list[Asset]:
        """All assets, the native one first."""
        return list(self._state.assets.values())

    def balance(self, address: str, asset_id: str) -> int:
        """What an address has of an asset."""
        return self._state.balances.get((address, asset_id), 0)

    def balances(self, address: str) -> dict[str, int]:
        """Everything that an address has, by asset."""
        return {asset_id: units for (owner, asset_id), units in self._state.balances.items() if owner == address}

    def supply(self, asset_id: str) -> int:
        """How much of an asset was ever given out."""
        return -self.balance(MINT, asset_id)

    def imbalance(self) -> dict[str, int]:
        """By asset, what the balances sum to where that is not zero: always empty."""
        sums: dict[str, int] = {}
        for (_, asset_id), units in self._state.balances.items():
            sums[asset_id] = sums.get(asset_id, 0) + units
        return {asset_id: units for asset_id, units in sums.items() if units}

    def address_of(self, alias: str) -> str | None:
        """To whom an alias is bound."""
        return self._state.aliases.get(alias)

    def aliases_of(self, address: str) -> list[str]:
        """The aliases that are bound to an address."""
        return [alias for alias, owner in self._state.aliases.items() if owner == address]

    def transaction_of(self, proposal_id: str) -> str | None:
        """The transaction in which a proposal ended, None before it is accepted."""
        found = self._state.accepted.get(proposal_id)
        return None if found is None else found.transaction_id

    # -- Changes -------------------------------------------------------------------------------------
    def register(self, asset: Asset) -> None:
        """Add an asset; again with the same terms changes nothing. Raises ChainRefused for other terms."""
        known = self._state.assets.get(asset.asset_id)
        if known == asset:
            return
        if known is not None or not 0 <= asset.decimal_point <= MOST_DECIMALS:
            raise ChainRefused(f"the asset {asset.asset_id} has other terms")
        self._do({"op": "asset", **asset.__dict__})

    def bind(self, alias: str, address: str) -> None:
        """Bind an alias to an address, for good. Raises ChainRefused when it is another's."""
        owner = self.address_of(alias)
        if owner is None:
            self._do({"op": "alias", "alias": alias, "address": address})
        elif owner != address:
            raise ChainRefused(f"the alias {alias} is bound to another address")

    def mint(self, address: str, funds: Funds) -> None:
        """Give an address money from nowhere. Raises ChainRefused for an unknown asset, or beyond its supply."""
        asset = self._state.assets.get(funds.asset_id)
        if asset is None:
            raise ChainRefused(f"there is no asset {funds.asset_id}")
        if not 0 < funds.amount_units <= asset.total_max_supply_units - self.supply(funds.asset_id):
            raise ChainRefused(f"there are {asset.total_max_supply_units} units of {asset.ticker} at most")
        self._do({"op": "mint", "address": address, "asset_id": funds.asset_id, "units": funds.amount_units})

    def accept(self, swap: Swap, expires_at_ms: int) -> str:
        """Move both sides of a swap and give the transaction's id. Raises SpentAlready and TooLittle.

        Nobody may accept the proposal from `expires_at_ms` on: the caller sees to that, and the chain may forget then
        that somebody has.
        """
        if self.transaction_of(swap.proposal_id) is not None:
            raise SpentAlready("the proposal was accepted before")
        self.check_money(swap.initiator, (*swap.to_finalizer, Funds(self.native.asset_id, swap.fee_units)))
        self.check_money(swap.finalizer, swap.to_initiator)
        transaction_id = keccak_256(b"transaction " + swap.proposal_id.encode()).hex()
        moves = [
            *((swap.initiator, swap.finalizer, funds) for funds in swap.to_finalizer),
            *((swap.finalizer, swap.initiator, funds) for funds in swap.to_initiator),
            (swap.initiator, FEES, Funds(self.native.asset_id, swap.fee_units)),
        ]
        self._do(
            {
                "op": "swap",
                "proposal_id": swap.proposal_id,
                "transaction_id": transaction_id,
                "expires_at_ms": expires_at_ms,
                "moves": [[giver, taker, funds.asset_id, funds.amount_units] for giver, taker, funds in moves],
            }
        )
        return transaction_id

    def check_money(self, address: str, wanted: Iterable[Funds]) -> None:
        """Raises TooLittle unless the address has all of this at once."""
        needed: dict[str, int] = {}
        for funds in wanted:
            needed[funds.asset_id] = needed.get(funds.asset_id, 0) + funds.amount_units
        for asset_id, units in needed.items():
            if self.balance(address, asset_id) < units:
                raise TooLittle(address, asset_id, units)

    # -- What happened -------------------------------------------------------------------------------
    def notes(self) -> list[Note]:
        """The fewest notes that lead a new chain to this one."""
        state = self._state
        return [
            *({"op": "asset", **asset.__dict__} for asset in state.assets.values() if asset != self.native),
            *({"op": "alias", "alias": alias, "address": address} for alias, address in state.aliases.items()),
            *(
                {"op": "balance", "address": address, "asset_id": asset_id, "units": units}
                for (address, asset_id), units in state.balances.items()
            ),
            *({"op": "accepted", "proposal_id": of, **accepted.__dict__} for of, accepted in state.accepted.items()),
        ]

    def forget_expired(self, before_ms: int) -> None:
        """Forget the accepted proposals that expired before this time. Old journals do not say when that was."""
        accepted = self._state.accepted
        for proposal_id, found in list(accepted.items()):
            if found.expires_at_ms is not None and found.expires_at_ms < before_ms:
                del accepted[proposal_id]

    def apply(self, note: Note) -> bool:
        """Let a note take effect: a new one, or one from a journal. False for an unknown one, which is passed over."""
        state = self._state
        match note["op"]:
            case "asset":
                asset = Asset(**{name: value for name, value in note.items() if name != "op"})
                state.assets[asset.asset_id] = asset
            case "alias":
                state.aliases[note["alias"]] = note["address"]
            case "mint":
                self._move(MINT, note["address"], note["asset_id"], note["units"])
            case "swap":
                self._note_accepted(note)
                for giver, taker, asset_id, units in note["moves"]:
                    self._move(giver, taker, asset_id, units)
            case "balance":
                state.balances[note["address"], note["asset_id"]] = note["units"]
            case "accepted":
                self._note_accepted(note)
            case _:
                return False
        return True

    def _do(self, note: Note) -> None:
        self._record(note)
        self.apply(note)

    def _note_accepted(self, note: Note) -> None:
        self._state.accepted[note["proposal_id"]] = _Accepted(note["transaction_id"], note.get("expires_at_ms"))

    def _move(self, giver: str, taker: str, asset_id: str, units: int) -> None:
        balances = self._state.balances
        balances[giver, asset_id] = balances.get((giver, asset_id), 0) - units
        balances[taker, asset_id] = balances.get((taker, asset_id), 0) + units
