"""Random commands as the application would let them in: the flows of the engine's tests, made acceptable."""

import random
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

from crossbook.domain.accounts import FIRST_USER
from crossbook.domain.commands import (
    AdvanceTime,
    ApplyFunding,
    Batch,
    Command,
    ForceTrade,
    SetPosition,
    SettlePositions,
    SingleCommand,
    SubmitOrder,
)
from crossbook.domain.orders import (
    LIMIT_TYPES,
    MAX_PRICE_TICKS,
    MAX_QUANTITY_LOTS,
    MAX_TIME_MS,
    OrderType,
    Side,
    TimeInForce,
)
from tests.application.venue import account_of
from tests.matching.flows import HOME_TICKS, PASSING, START_MS, Flow

WORST_TICKS: Final = {Side.BUY: 2 * HOME_TICKS, Side.SELL: 1}
"""What a market kind is protected by when its owner says nothing."""


OF_POSITIONS: Final = (SetPosition, ApplyFunding, ForceTrade, SettlePositions)


class AcceptedFlow:
    """The commands of one seed. What no application lets in, or no market has, becomes the passing of time."""

    def __init__(self, seed: int, perpetual: bool = True) -> None:
        self._perpetual = perpetual
        self._flow = Flow(random.Random(seed).randrange)
        self._used: set[int] = set()
        self._now_ms = START_MS
        self._periods = 0

    def take(self, count: int) -> Iterator[Command]:
        while count:
            command = self._flow.next()
            if isinstance(command, Batch):
                if not command.commands:
                    continue
                yield Batch(tuple(self._member(member) for member in command.commands))
            else:
                yield self._member(command)
            count -= 1

    def _member(self, command: SingleCommand) -> SingleCommand:
        unfit = isinstance(command, SetPosition if self._perpetual else OF_POSITIONS)
        if not 0 <= command.time_ms <= MAX_TIME_MS or unfit:
            return AdvanceTime(command.sequence, self._now_ms)
        self._now_ms = command.time_ms
        account_id = getattr(command, "account_id", 0)
        changes: dict[str, Any] = {"account_id": account_of(account_id)} if 0 < account_id < FIRST_USER else {}
        command = replace(command, **changes)
        if isinstance(command, ForceTrade):
            return self._force(command)
        if isinstance(command, ApplyFunding):
            self._periods += 1  # a period comes once
            return replace(command, period_start_ms=self._periods) if command.period_start_ms >= 0 else command
        if isinstance(command, SubmitOrder):
            return self._submit(command) or AdvanceTime(command.sequence, self._now_ms)
        return command

    def _force(self, command: ForceTrade) -> ForceTrade:
        buyer, seller = (
            account_of(each) if 0 < each < 100 else each
            for each in (command.buyer_account_id, command.seller_account_id)
        )
        return replace(command, buyer_account_id=buyer, seller_account_id=seller)

    def _submit(self, command: SubmitOrder) -> SubmitOrder | None:
        new = command.order_id not in self._used and 1 <= command.order_id < 1 << 40
        named = FIRST_USER < command.account_id < FIRST_USER + 10
        sized = 0 < command.quantity_lots <= MAX_QUANTITY_LOTS and command.budget == 0
        amount = command.quantity_lots == 0 and 0 < command.budget < 1 << 40 and command.type is OrderType.MARKET
        priced = 0 <= command.price_ticks <= MAX_PRICE_TICKS
        if not (new and named and priced and (sized or amount) and _has_sound_terms(command)):
            return None
        self._used.add(command.order_id)
        return command if amount else replace(command, price_ticks=command.price_ticks or WORST_TICKS[command.side])


def _has_sound_terms(command: SubmitOrder) -> bool:
    """Whether an order's row can hold the terms, as the schema says it."""
    limited = command.type in LIMIT_TYPES
    stays = limited and command.time_in_force not in PASSING
    trailing, points = command.type is OrderType.TRAILING_STOP, command.trail_in_basis_points
    waits = command.type not in (OrderType.LIMIT, OrderType.MARKET) and not trailing
    longest = 9_999 if points else MAX_PRICE_TICKS
    return (
        (stays or not command.post_only)
        and (command.price_ticks > 0 or not limited)
        and (command.type is not OrderType.MARKET or command.time_in_force in PASSING)
        and (1 <= command.trail <= longest if trailing else command.trail == 0 and not points)
        and (1 if waits else 0) <= command.trigger_price_ticks <= (MAX_PRICE_TICKS if waits else 0)
        and (
            command.display_quantity_lots == 0
            or (stays and 1 <= command.display_quantity_lots <= command.quantity_lots)
        )
        and (command.expire_time_ms > 0 if command.time_in_force is TimeInForce.GTD else command.expire_time_ms == 0)
        and min(command.trade_group, command.oco_order_id) >= 0
    )
