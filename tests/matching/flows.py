"""Random commands for one market: every kind, every option, and now and then something no market takes.

A flow makes all of its choices by asking for a number below another. `Flow(random.Random(7).randrange)`
is the same flow everywhere; Hypothesis answers from its draws, and as it shrinks towards 0, the plain
choice always comes first. A flow never looks at an engine: one row of choices is one log of commands.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final, TypeVar

from crossbook.domain.commands import (
    OPERATOR,
    AdvanceTime,
    AmendOrder,
    ApplyFunding,
    Batch,
    CancelAll,
    CancelOrder,
    Command,
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
from crossbook.domain.orders import (
    DAY_MS,
    LIMIT_TYPES,
    MAX_BUDGET,
    MAX_FUNDING_PPB,
    MAX_ID,
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

ChoiceT = TypeVar("ChoiceT")

START_MS: Final = 20_000 * DAY_MS
ACCOUNTS: Final = (1, 2, 3, 4)
REMEMBERED_ORDERS: Final = 20
HOME_TICKS: Final = 100
CENTRES_TICKS: Final = (HOME_TICKS, HOME_TICKS, HOME_TICKS, 3, MAX_PRICE_TICKS - 4)

# The more often a choice stands here, the more often it is taken.
TYPES: Final = (OrderType.LIMIT,) * 14 + (OrderType.MARKET,) * 2 + tuple(OrderType)[2:]
LIMIT_TIMES: Final = (TimeInForce.GTC,) * 16 + tuple(TimeInForce) * 2
MARKET_TIMES: Final = (TimeInForce.IOC,) * 6 + (TimeInForce.FOK,) * 3 + (TimeInForce.GTC,)
PASSING: Final = (TimeInForce.IOC, TimeInForce.FOK)
GROUPS: Final = (0, 0, 0, 1, 2)
STATES: Final = (
    (MarketState.ACTIVE,) * 8 + (MarketState.AUCTION,) * 8 + (MarketState.POST_ONLY,) * 3 + tuple(MarketState)[2:]
)

# Values that no market takes, or only an odd one: by command, pairs of a field and a value.
WRONG_TIMES: Final = (("time_ms", -1), ("time_ms", MAX_TIME_MS + 1))
WRONG_NAMES: Final = (("order_id", 0), ("order_id", MAX_ID + 1), ("account_id", -1), ("account_id", MAX_ID + 1))
WRONG_QUANTITIES: Final = (("quantity_lots", 0), ("quantity_lots", -1), ("quantity_lots", 1 << 40))
WRONG_PRICES: Final = (("price_ticks", -1), ("price_ticks", 1 << 40), ("price_ticks", 0))
WRONG_TRIGGERS: Final = (("trigger_price_ticks", -1), ("trigger_price_ticks", 1 << 40), ("trigger_price_ticks", 5))
SPOILED: Final[dict[type, tuple[tuple[str, Any], ...]]] = {
    SubmitOrder: (
        *WRONG_TIMES,
        *WRONG_NAMES,
        *WRONG_QUANTITIES,
        *WRONG_PRICES,
        *WRONG_TRIGGERS,
        ("account_id", OPERATOR),
        ("time_in_force", TimeInForce.GTD),
        ("post_only", True),
        ("trade_group", -1),
        ("trade_group", MAX_ID),
        ("expire_time_ms", 1),
        ("expire_time_ms", -1),
        ("budget", -1),
        ("budget", 50),
        ("budget", MAX_BUDGET),
        ("budget", MAX_BUDGET + 1),
        ("display_quantity_lots", -1),
        ("display_quantity_lots", 1),
        ("display_quantity_lots", 1 << 40),
        ("trail", -1),
        ("trail", 10_000),
        ("trail", 1 << 40),
        ("oco_order_id", -1),
        ("oco_order_id", MAX_ID),
    ),
    CancelOrder: (*WRONG_TIMES, *WRONG_NAMES, ("order_id", MAX_ID)),
    CancelAll: (*WRONG_TIMES, ("account_id", -1), ("account_id", 77)),
    ReduceOrder: (*WRONG_TIMES, *WRONG_NAMES, *WRONG_QUANTITIES),
    AmendOrder: (*WRONG_TIMES, *WRONG_NAMES, *WRONG_QUANTITIES, *WRONG_PRICES, *WRONG_TRIGGERS, ("account_id", 0)),
    SetMarketState: (*WRONG_TIMES, ("reference_price_ticks", -1), ("reference_price_ticks", 1 << 40)),
    UpdatePrices: (*WRONG_TIMES, ("mark_price_ticks", -1), ("index_price_ticks", 1 << 40)),
    AdvanceTime: WRONG_TIMES,
    SetPosition: (*WRONG_TIMES, ("account_id", 0), ("position_lots", 1 << 60), ("position_lots", -(1 << 60))),
    ConfigureMarket: (
        *WRONG_TIMES,
        ("band_basis_points", 10_001),
        ("max_open_orders", -1),
        ("max_iceberg_parts", 1_000_001),
        ("max_trailing_orders", -1),
        ("reference_price_ticks", 1 << 40),
    ),
    ApplyFunding: (
        *WRONG_TIMES,
        ("period_start_ms", -1),
        ("period_start_ms", MAX_TIME_MS + 1),
        ("rate_ppb", MAX_FUNDING_PPB + 1),
        ("rate_ppb", -MAX_FUNDING_PPB - 1),
        ("index_price_ticks", 0),
        ("index_price_ticks", 1 << 40),
    ),
    ForceTrade: (
        *WRONG_TIMES,
        *WRONG_QUANTITIES,
        *WRONG_PRICES,
        ("buyer_account_id", 0),
        ("buyer_account_id", 77),
        ("seller_account_id", MAX_ID + 1),
        ("seller_account_id", 77),
    ),
    SettlePositions: (*WRONG_TIMES, *WRONG_PRICES),
}


class Flow:
    """An endless row of commands with the right sequences. `below(n)` chooses one of 0 to n - 1."""

    def __init__(self, below: Callable[[int], int]) -> None:
        self._below = below
        self._sequence = 1
        self._now_ms = START_MS
        self._newest_id = 0
        self._recent: deque[SubmitOrder] = deque(maxlen=REMEMBERED_ORDERS)  # those that may have stayed
        self._centre_ticks = HOME_TICKS
        self._state = MarketState.ACTIVE
        self._may_settle = False  # whether the market has just come to where all positions may be closed
        self._makers = (
            (self._submit,) * 60
            + (self._cancel,) * 10
            + (self._amend,) * 12
            + (self._reduce,) * 4
            + (self._update_prices,) * 5
            + (self._set_position,) * 3
            + (self._set_state,) * 2
            + (self._advance_time,) * 2
            + (self._force_trade,) * 3
            + (self._cancel_all, self._configure, self._apply_funding, self._settle_positions)
        )

    def next(self) -> Command:
        """The next command."""
        self._move()
        command: Command = self._single()
        if self._one_in(15):
            members = tuple(self._single() for _ in range(self._below(5)))
            command = Batch(members)
        if not isinstance(command, Batch) or command.commands:
            self._sequence += 1
        return command

    def take(self, count: int) -> list[Command]:
        """The next `count` commands."""
        return [self.next() for _ in range(count)]

    # Choices.

    def _pick(self, choices: Sequence[ChoiceT]) -> ChoiceT:
        return choices[self._below(len(choices))]

    def _one_in(self, count: int) -> bool:
        return self._below(count) == count - 1

    def _price_ticks(self, side: Side | None = None) -> int:
        """A price near the centre; for a side, mostly one at which an order of that side waits for others."""
        steps = self._below(13)
        distance_ticks = (steps + 1) // 2 * (1 if steps % 2 else -1)
        if side is not None and not self._one_in(3):
            distance_ticks += -4 if side is Side.BUY else 4
        return min(max(1, self._centre_ticks + distance_ticks), MAX_PRICE_TICKS)

    def _earlier(self) -> tuple[int, int]:
        """Id and account of an order that may be live, the latest first; sometimes another account's."""
        if not self._recent:
            return 1, 1
        order = self._recent[-1 - self._below(len(self._recent))]
        return order.order_id, self._pick(ACCOUNTS) if self._one_in(12) else order.account_id

    def _who(self) -> tuple[int, int]:
        """Sequence and time: how every command begins."""
        return self._sequence, self._now_ms

    def _move(self) -> None:
        """Time passes, mostly a little; sometimes a day, sometimes back. Now and then prices go elsewhere."""
        self._now_ms += self._below(4)
        if self._one_in(150):
            self._now_ms += DAY_MS // 2
        if self._one_in(50):
            self._now_ms -= 5
        if self._one_in(400):
            self._centre_ticks = self._pick(CENTRES_TICKS)

    # Commands.

    def _single(self) -> SingleCommand:
        if self._state is not MarketState.ACTIVE and self._one_in(12):
            return self._back_to_active()
        if self._may_settle and not self._one_in(4):
            return self._settle_positions()
        if self._one_in(400):
            return CancelAll(*self._who(), OPERATOR)  # so that a book, and what a naive engine does, stays small
        command = self._pick(self._makers)()
        if self._one_in(20):
            name, value = self._pick(SPOILED[type(command)])
            changes: dict[str, Any] = {name: value}
            return replace(command, **changes)
        return command

    def _back_to_active(self) -> SingleCommand:
        self._state = MarketState.ACTIVE
        return SetMarketState(*self._who(), MarketState.ACTIVE)

    def _submit(self) -> SingleCommand:
        kind, side = self._pick(TYPES), self._pick((Side.BUY, Side.SELL))
        priced = kind in LIMIT_TYPES or self._one_in(3)
        order = SubmitOrder(
            *self._who(),
            order_id=self._new_id(),
            account_id=self._pick(ACCOUNTS),
            side=side,
            type=kind,
            quantity_lots=1 + self._below(20),
            price_ticks=self._price_ticks(side) if priced else 0,
            time_in_force=self._pick(MARKET_TIMES if kind is OrderType.MARKET else LIMIT_TIMES),
            self_trade_prevention=self._pick(tuple(SelfTradePrevention)),
            trade_group=self._pick(GROUPS),
            reduce_only=self._one_in(6),
            post_only=self._one_in(9 if kind is OrderType.LIMIT else 60),
        )
        order = self._with_options(order)
        if order.type is not OrderType.MARKET and order.time_in_force not in PASSING:
            self._recent.append(order)
        return order

    def _new_id(self) -> int:
        """Nearly always an id never used before; ids may come again once their order has ended."""
        if self._one_in(40):
            return self._earlier()[0]
        self._newest_id += 1
        return self._newest_id

    def _as_second_of_pair(self, order: SubmitOrder) -> SubmitOrder:
        """The order as the sibling of an earlier one, mostly of one that it fits to."""
        first = self._pick(self._recent)
        changes: dict[str, Any] = {"oco_order_id": first.order_id}
        if not self._one_in(6):
            changes |= {"account_id": first.account_id, "side": first.side, "time_in_force": TimeInForce.GTC}
        return replace(order, **changes)

    def _with_options(self, order: SubmitOrder) -> SubmitOrder:
        """The order with what its type and time in force ask for, and sometimes more."""
        changes: dict[str, Any] = {}
        if order.time_in_force is TimeInForce.GTD:
            changes["expire_time_ms"] = self._now_ms + self._below(60)
        if order.type is OrderType.MARKET and self._one_in(3):
            amount = 1 + self._below(3_000)
            changes |= {"quantity_lots": 0, "budget": amount * self._centre_ticks // HOME_TICKS + 1}
        stays = order.time_in_force not in PASSING
        if order.type in LIMIT_TYPES and self._one_in(4 if stays else 40):
            changes["display_quantity_lots"] = 1 + self._below(order.quantity_lots)
        if order.type is OrderType.TRAILING_STOP:
            in_points = self._one_in(2)
            changes |= {"trail_in_basis_points": in_points, "trail": 1 + self._below(600 if in_points else 6)}
        elif order.type not in (OrderType.LIMIT, OrderType.MARKET):
            changes["trigger_price_ticks"] = self._price_ticks()
        changes["trigger_source"] = self._pick(tuple(PriceSource))
        order = replace(order, **changes)
        may_pair = self._recent and self._one_in(40 if order.type is OrderType.MARKET else 8)
        return self._as_second_of_pair(order) if may_pair else order

    def _cancel(self) -> SingleCommand:
        order_id, account_id = self._earlier()
        return CancelOrder(*self._who(), order_id, OPERATOR if self._one_in(5) else account_id)

    def _amend(self) -> SingleCommand:
        quantity_lots = self._pick((0, 1)) * (1 + self._below(25))
        price_ticks = self._price_ticks() if self._one_in(2) else 0
        trigger_ticks = self._price_ticks() if self._one_in(4) else 0
        return AmendOrder(*self._who(), *self._earlier(), quantity_lots, price_ticks, trigger_ticks)

    def _reduce(self) -> SingleCommand:
        order_id, account_id = self._earlier()
        return ReduceOrder(*self._who(), order_id, OPERATOR if self._one_in(5) else account_id, 1 + self._below(8))

    def _cancel_all(self) -> SingleCommand:
        return CancelAll(*self._who(), self._pick(ACCOUNTS), self._pick((None, Side.BUY, Side.SELL)))

    def _update_prices(self) -> SingleCommand:
        prices_ticks = [self._price_ticks() if self._one_in(2) else 0 for _ in range(2)]
        return UpdatePrices(*self._who(), *prices_ticks)

    def _set_position(self) -> SingleCommand:
        return SetPosition(*self._who(), self._pick(ACCOUNTS), self._below(41) - 20)

    def _apply_funding(self) -> SingleCommand:
        rate_ppb = self._below(7_500_001) - 3_750_000
        return ApplyFunding(*self._who(), self._now_ms, rate_ppb, self._price_ticks())

    def _force_trade(self) -> SingleCommand:
        return ForceTrade(
            *self._who(), self._pick(ACCOUNTS), self._pick(ACCOUNTS), self._price_ticks(), 1 + self._below(12)
        )

    def _settle_positions(self) -> SingleCommand:
        self._may_settle = False
        return SettlePositions(*self._who(), self._price_ticks())

    def _advance_time(self) -> SingleCommand:
        return AdvanceTime(*self._who())

    def _set_state(self) -> SingleCommand:
        self._state = self._pick(STATES)
        self._may_settle = self._state is MarketState.SETTLEMENT_ONLY
        return SetMarketState(*self._who(), self._state, self._price_ticks() if self._one_in(3) else 0)

    def _configure(self) -> SingleCommand:
        return ConfigureMarket(
            *self._who(),
            reference_price_ticks=self._pick((0, self._centre_ticks)),
            band_basis_points=self._pick((0, 0, 400, 900)),
            band_reference=self._pick(tuple(BandReference)),
            max_open_orders=self._pick((0, 0, 6)),
            max_iceberg_parts=self._pick((100, 3)),
            max_trailing_orders=self._pick((1000, 2)),
        )
