"""What a dialect asks of the order desk: plain values, already in ticks, lots and units."""

import hashlib
from collections.abc import Callable
from typing import Final

from msgspec import NODEFAULT, Struct
from msgspec.structs import asdict, fields

from crossbook.domain.commands import SingleCommand
from crossbook.domain.lifecycle import OrderStatus
from crossbook.domain.orders import OrderType, PriceSource, SelfTradePrevention, Side, TimeInForce


class NewOrder(Struct, frozen=True):
    """One order to enter. Fields as in `domain.commands.SubmitOrder`; `market_id` is the market's number.

    `price_ticks` of a market kind is its protection price: what margin or funds are held for, and the
    worst price at which it may trade. `leverage` counts for perpetuals only;
    0 takes what the account chose for the market. The fee rates, in parts per
    million, are those of the market unless they are given; they hold for the order's whole life.

    `client_order_id` names one order of the account for ever; `external_id` names one live order, and an
    amendment may change it. `asked_time_in_force` is only shown: what the owner said, where it is not what entered.
    With `keeps_activity`, every step of its life is written down.
    """

    account_id: int
    market_id: int
    side: Side
    type: OrderType
    quantity_lots: int
    price_ticks: int = 0
    time_in_force: TimeInForce = TimeInForce.GTC
    post_only: bool = False
    reduce_only: bool = False
    self_trade_prevention: SelfTradePrevention = SelfTradePrevention.EXPIRE_TAKER
    leverage: int = 1
    budget: int = 0
    display_quantity_lots: int = 0
    trigger_price_ticks: int = 0
    trigger_source: PriceSource = PriceSource.LAST
    trail: int = 0
    trail_in_basis_points: bool = False
    oco_order_id: int = 0
    trade_group: int = 0
    expire_time_ms: int = 0
    client_order_id: str | None = None
    maker_fee_ppm: int | None = None
    taker_fee_ppm: int | None = None
    external_id: str | None = None
    asked_time_in_force: TimeInForce | None = None
    keeps_activity: bool = False

    def fingerprint(self) -> bytes:
        """32 bytes that differ when anything that was asked differs: tells a repeat from another order.

        What may change between repeats is left out: fee rates, and the protection price where it follows from a
        market that moves. So is what was not asked, so that a field that comes later changes no fingerprint.
        """
        left_out = _MAY_CHANGE | {"price_ticks"} if self.type in _PROTECTED_BY_THE_MARKET else _MAY_CHANGE
        asked = [
            (name, int(value) if isinstance(value, int) else value)
            for name, value in asdict(self).items()
            if name not in left_out and value != _DEFAULTS.get(name, NODEFAULT)
        ]
        return hashlib.sha256(repr(asked).encode()).digest()


_PROTECTED_BY_THE_MARKET: Final = (OrderType.MARKET, OrderType.TRAILING_STOP)
_MAY_CHANGE: Final = frozenset({"maker_fee_ppm", "taker_fee_ppm"})
_DEFAULTS: Final = {field.name: field.default for field in fields(NewOrder)}


class PlacedOrder(Struct, frozen=True):
    """What became of a new order. `repeated` says that it was entered before, under the same client id."""

    order_id: int
    market_id: int
    status: OrderStatus
    created_at_ms: int
    repeated: bool = False


class CancelRequest(Struct, frozen=True):
    """Cancel one order of an account."""

    account_id: int
    order_id: int


class CancelAllRequest(Struct, frozen=True):
    """Cancel every live order of an account, in one market or in all (`market_id` 0)."""

    account_id: int
    market_id: int = 0
    side: Side | None = None


class AmendRequest(Struct, frozen=True):
    """Change an order of an account. `quantity_lots` is the new total, executed part included; 0 leaves as is.

    `external_id` renames it, at once, whatever the engine says to the rest; None leaves its name.
    """

    account_id: int
    order_id: int
    quantity_lots: int = 0
    price_ticks: int = 0
    trigger_price_ticks: int = 0
    external_id: str | None = None

    @property
    def changes_terms(self) -> bool:
        """Whether there is anything that the engine must decide."""
        return bool(self.quantity_lots or self.price_ticks or self.trigger_price_ticks)


class SystemRequest(Struct, frozen=True):
    """Commands of the venue itself for one market. Each is made from its sequence and time."""

    market_id: int
    makers: tuple[Callable[[int, int], SingleCommand], ...]


Request = NewOrder | AmendRequest | CancelRequest | CancelAllRequest | SystemRequest
