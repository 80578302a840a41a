"""Which values the fields of a command may have before any rule of the market is looked at."""

from dataclasses import fields, replace
from enum import IntEnum
from typing import Any, Final, TypeVar

from crossbook.domain.commands import (
    AdvanceTime,
    AmendOrder,
    ApplyFunding,
    CancelAll,
    CancelOrder,
    CommandKind,
    ConfigureMarket,
    ForceTrade,
    ReduceOrder,
    SetMarketState,
    SetPosition,
    SettlePositions,
    SingleCommand,
    SubmitOrder,
    UpdatePrices,
)
from crossbook.domain.errors import MalformedCommand
from crossbook.domain.orders import (
    MAX_BASIS_POINTS,
    MAX_FUNDING_PPB,
    MAX_ID,
    MAX_POSITION_LOTS,
    MAX_PRICE_TICKS,
    MAX_TIME_MS,
    BandReference,
    MarketState,
    OrderType,
    PriceSource,
    SelfTradePrevention,
    Side,
    TimeInForce,
)

KINDS: Final[dict[type, CommandKind]] = {
    SubmitOrder: CommandKind.SUBMIT,
    CancelOrder: CommandKind.CANCEL,
    CancelAll: CommandKind.CANCEL_ALL,
    ReduceOrder: CommandKind.REDUCE,
    AmendOrder: CommandKind.AMEND,
    SetMarketState: CommandKind.SET_STATE,
    UpdatePrices: CommandKind.UPDATE_PRICES,
    AdvanceTime: CommandKind.ADVANCE_TIME,
    SetPosition: CommandKind.SET_POSITION,
    ConfigureMarket: CommandKind.CONFIGURE,
    ApplyFunding: CommandKind.APPLY_FUNDING,
    ForceTrade: CommandKind.FORCE_TRADE,
    SettlePositions: CommandKind.SETTLE_POSITIONS,
}
FLAGS: Final = ("post_only", "reduce_only", "trail_in_basis_points")
ENUMS: Final[dict[str, type[IntEnum]]] = {
    "side": Side,
    "type": OrderType,
    "time_in_force": TimeInForce,
    "self_trade_prevention": SelfTradePrevention,
    "trigger_source": PriceSource,
    "state": MarketState,
    "band_reference": BandReference,
}
RANGES: Final = {
    "time_ms": (0, MAX_TIME_MS),
    "expire_time_ms": (0, MAX_TIME_MS),
    "order_id": (1, MAX_ID),
    "account_id": (1, MAX_ID),
    "buyer_account_id": (1, MAX_ID),
    "seller_account_id": (1, MAX_ID),
    "trade_group": (0, MAX_ID),
    "oco_order_id": (0, MAX_ID),
    "reference_price_ticks": (0, MAX_PRICE_TICKS),
    "mark_price_ticks": (0, MAX_PRICE_TICKS),
    "index_price_ticks": (0, MAX_PRICE_TICKS),
    "period_start_ms": (0, MAX_TIME_MS),
    "rate_ppb": (-MAX_FUNDING_PPB, MAX_FUNDING_PPB),
    "position_lots": (-MAX_POSITION_LOTS, MAX_POSITION_LOTS),
    "band_basis_points": (0, MAX_BASIS_POINTS),
    "max_open_orders": (0, (1 << 40) - 1),
    "max_iceberg_parts": (0, 1_000_000),
    "max_trailing_orders": (0, 1_000_000),
}
OPERATOR_COMMANDS: Final = (CancelOrder, CancelAll, ReduceOrder)
WORD_LIMIT: Final = 1 << 63

SingleT = TypeVar("SingleT", bound=SingleCommand)


def check_words(command: SingleCommand) -> None:
    """Raise `MalformedCommand` when a field of `command` is no whole number of 64 bits, or a flag no truth value."""
    if type(command) not in KINDS:
        raise MalformedCommand(f"not a command: {command!r}")
    for name in (field.name for field in fields(command)):
        value = getattr(command, name)
        if name in FLAGS:
            sound = isinstance(value, bool)
        elif value is None:
            sound = name == "side" and isinstance(command, CancelAll)
        else:
            whole = isinstance(value, int) and not isinstance(value, bool)
            sound = whole and -WORD_LIMIT <= value < WORD_LIMIT
        if not sound:
            raise MalformedCommand(f"{type(command).__name__}.{name}: {value!r}")


def in_range(command: SingleCommand) -> bool:
    """Whether every id, time, enumeration and market limit of `command` lies in its range."""
    return all(_field_in_range(command, field.name) for field in fields(command))


def _field_in_range(command: SingleCommand, name: str) -> bool:
    value = getattr(command, name)
    if name in ENUMS:
        both_sides = isinstance(command, CancelAll) and value in (None, 0)
        return both_sides or value in list(ENUMS[name])
    if name == "account_id" and value == 0:
        return isinstance(command, OPERATOR_COMMANDS)
    if name == "index_price_ticks" and value == 0:
        return not isinstance(command, ApplyFunding)
    lowest, highest = RANGES.get(name, (-WORD_LIMIT, WORD_LIMIT))
    return bool(lowest <= value <= highest)


def with_enums(command: SingleT) -> SingleT:
    """`command`, in range, with plain numbers turned into members of their enumerations."""
    names = [field.name for field in fields(command) if field.name in ENUMS]
    numbers = {name: getattr(command, name) for name in names}
    members: dict[str, Any] = {name: ENUMS[name](value) if value else None for name, value in numbers.items()}
    return replace(command, **members)
