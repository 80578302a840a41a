"""The rows that the decisions of a batch are made on: read under lock, changed in memory, written back."""

from collections.abc import Callable
from dataclasses import dataclass, field

from msgspec import Struct

from crossbook.application.activity import Step
from crossbook.application.requests import NewOrder
from crossbook.domain.amendments import Terms
from crossbook.domain.commands import SingleCommand
from crossbook.domain.lifecycle import OrderStatus
from crossbook.domain.margin import MarginRow
from crossbook.domain.orders import OrderType, Side
from crossbook.domain.risk import MarginMode


class Balance(Struct):
    """One account's amount of one asset, in units: all of it, and the parts that open orders and withdrawals hold."""

    total_units: int = 0
    held_units: int = 0
    transfer_hold_units: int = 0

    @property
    def free_units(self) -> int:
        """What nothing holds."""
        return self.total_units - self.held_units - self.transfer_hold_units


class PositionRow(Struct, frozen=True):
    """One account in one perpetual market, as stored.

    `isolated_units` is the margin set apart for an isolated position. `chosen_leverage` is what the account chose
    for orders that name none, 0 for no choice. `in_liquidation` says that its scope is being liquidated.
    """

    margin: MarginRow
    cost_units: int = 0
    mode: MarginMode = MarginMode.CROSS
    isolated_units: int = 0
    chosen_leverage: int = 0
    in_liquidation: bool = False


class KnownOrder(Struct, frozen=True):
    """What admission must know of an order that is stored already."""

    order_id: int
    account_id: int
    market_id: int
    status: OrderStatus
    created_at_ms: int
    fingerprint: bytes | None = None
    external_id: str | None = None
    keeps_activity: bool = False


class FeeRates(Struct, frozen=True):
    """What an order pays, in parts per million: fixed when it is accepted. A negative maker's rate is a rebate."""

    maker_ppm: int
    taker_ppm: int


class AdmittedOrder(Struct, frozen=True):
    """A new order to store: its id, what was asked, the units that it holds (spot only), and what it will pay."""

    order_id: int
    order: NewOrder
    held_units: int
    rates: FeeRates
    fingerprint: bytes | None


class AmendableOrder(Struct):
    """What an amendment must know of an order: its row as it is settled, and the amendments under way, in order."""

    known: KnownOrder
    side: Side
    type: OrderType
    post_only: bool
    reduce_only: bool
    terms: Terms
    open_lots: int
    rates: FeeRates
    under_way: list[Terms]

    @property
    def latest_terms(self) -> Terms:
        """The terms that the order will have once all amendments under way are settled, if each is granted."""
        latest = self.terms
        for asked in self.under_way:
            latest = latest.amended_by(asked)
        return latest

    @property
    def done_lots(self) -> int:
        """What has traded or was prevented, as far as it is settled."""
        return self.terms.total_lots - self.open_lots


class Reserve(Struct, frozen=True):
    """What is set aside for an amendment: counted in the row of a perpetual, or held of a spot balance."""

    lots: int = 0
    notional_units: int = 0
    fee_reserve_units: int = 0
    held_units: int = 0


class AdmittedAmendment(Struct, frozen=True):
    """An amendment to store until it is settled."""

    order: AmendableOrder
    asked: Terms
    reserve: Reserve


CommandMaker = Callable[[int, int], SingleCommand]
"""Makes a command from the sequence and the time that the log gives it."""


class Needs(Struct, frozen=True):
    """What the decisions of a batch must know: accounts whose rows are locked, and orders that are looked up."""

    accounts: list[int]
    client_ids: list[tuple[int, str]]
    order_ids: list[int]
    clearing_accounts: list[int]
    amended_order_ids: list[int]
    external_ids: list[tuple[int, str]]


@dataclass
class Books:
    """The rows of the accounts of a batch, read under lock, and what the batch makes of them."""

    balances: dict[tuple[int, int], Balance] = field(default_factory=dict)  # by account and asset id
    positions: dict[tuple[int, int], PositionRow] = field(default_factory=dict)  # by account and market number
    by_client_id: dict[tuple[int, str], KnownOrder] = field(default_factory=dict)
    by_external_id: dict[tuple[int, str], KnownOrder] = field(default_factory=dict)  # the live one, else the newest
    by_id: dict[int, KnownOrder] = field(default_factory=dict)
    live: dict[int, list[KnownOrder]] = field(default_factory=dict)  # by account, for cancel-all
    amendable: dict[int, AmendableOrder] = field(default_factory=dict)  # by order id
    bad_debts: dict[int, int] = field(default_factory=dict)  # what nobody could pay, by asset id: below zero

    # What to write.
    orders: list[tuple[int, AdmittedOrder]] = field(default_factory=list)  # with the index of their command
    amendments: list[tuple[int, AdmittedAmendment]] = field(default_factory=list)  # the same
    renamed: dict[int, str] = field(default_factory=dict)  # the new external id, by order id
    commands: list[tuple[int, CommandMaker]] = field(default_factory=list)  # market number, in order
    steps: list[tuple[int, Step]] = field(default_factory=list)  # with the index of their command
    touched_balances: set[tuple[int, int]] = field(default_factory=set)
    touched_positions: set[tuple[int, int]] = field(default_factory=set)
