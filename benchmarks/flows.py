"""The flows of the benchmark: streams of commands, the same for the same seed on every machine.

A flow is a set-up, which is not timed, and the timed commands, both as record buffers. Orders are plain
limit, IOC and market orders of 1,000 accounts with self-trade prevention EXPIRE_TAKER. Every cancel and
amendment names an order that is live at that moment.

Prices: the mid starts at `MID_TICKS` and moves by one tick up or down every `MID_MOVE_COMMANDS` commands.
An add stands a geometric distance (mean `MEAN_DISTANCE_TICKS`) behind the mid; where the mid has moved
into standing orders an add meets them and trades.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from random import Random
from typing import Final

from benchmarks.live_orders import LiveOrder, LiveOrders
from benchmarks.records import BATCH_COMMANDS, RecordWriter
from crossbook.domain.orders import OrderType, Side, TimeInForce

SEED: Final = 20_240_229
ACCOUNTS: Final = 1_000
MID_TICKS: Final = 1_000_000
MID_MOVE_COMMANDS: Final = 2_000
MEAN_DISTANCE_TICKS: Final = 100
MAX_ADD_LOTS: Final = 100
MAX_TAKE_LOTS: Final = 20
"""A taker is a fraction of a maker, so that the few per cent of takers do not empty the book."""
MAX_IOC_DEPTH_TICKS: Final = 3
SWEEP_MAKERS: Final = (10, 40)


class Step(Enum):
    """What one command of a random flow does."""

    ADD = "limit add"
    CANCEL = "cancel of a random live order"
    AMEND = "amend of a random live order"
    TAKE = "small IOC or market order"
    SWEEP = "IOC or market order through 10 to 40 makers"


@dataclass(frozen=True)
class Mix:
    """How many of a hundred commands are of each step."""

    shares: tuple[tuple[Step, int], ...]

    def draw(self, rng: Random) -> Step:
        """One step, as likely as its share."""
        point = rng.random() * 100
        for step, share in self.shares:
            if point < share:
                return step
            point -= share
        return self.shares[-1][0]


NORMAL: Final = Mix(((Step.ADD, 45), (Step.CANCEL, 45), (Step.AMEND, 5), (Step.TAKE, 5)))
SWEEP_HEAVY: Final = Mix(((Step.ADD, 80), (Step.TAKE, 7), (Step.CANCEL, 5), (Step.AMEND, 5), (Step.SWEEP, 3)))
"""Every sweep takes 25 makers on average, so 3 sweeps in a hundred use up 75 of the 80 adds."""


@dataclass(frozen=True)
class Flow:
    """Commands ready to be timed. The figures are those of the flow's own model of the book."""

    name: str
    seed: int
    setup: list[bytes]
    timed: list[bytes]
    commands: int
    steps: Counter[Step]
    resting_before: int
    resting_after: int
    trades: int


def random_flow(
    name: str,
    mix: Mix,
    commands: int,
    resting: int,
    seed: int = SEED,
    batch_commands: int = BATCH_COMMANDS,
    steady: bool = False,
) -> Flow:
    """A flow of `commands` drawn from `mix` over `resting` orders.

    `steady` keeps the book at its size: a cancel drawn while fewer orders rest becomes an add, an add
    drawn while more rest a cancel.
    """
    maker = _FlowMaker(Random(seed), RecordWriter(batch_commands))
    for _ in range(resting):
        maker.rest_behind_mid()
    setup = maker.writer.take_buffers()
    steps: Counter[Step] = Counter()
    for number in range(commands):
        if number % MID_MOVE_COMMANDS == 0:
            maker.move_mid()
        steps[maker.step(mix, resting if steady else None)] += 1
    return Flow(
        name=name,
        seed=seed,
        setup=setup,
        timed=maker.writer.take_buffers(),
        commands=commands,
        steps=steps,
        resting_before=resting,
        resting_after=len(maker.live),
        trades=maker.live.trades,
    )


def resting_orders(orders: int, seed: int = SEED) -> Iterator[bytes]:
    """The entry of `orders` orders at geometric distances on both sides of a still mid; none trades.

    Buffer by buffer, so that they need not be held in memory together.
    """
    rng = Random(seed)
    writer = RecordWriter()
    for first in range(0, orders, BATCH_COMMANDS):
        for _ in range(min(BATCH_COMMANDS, orders - first)):
            _write_resting_order(rng, writer)
        yield from writer.take_buffers()


def distinct_prices_flow(prices: int, seed: int = SEED) -> Flow:
    """One order at each of `prices` prices of one side, in random order; then cancels in another random order."""
    rng = Random(seed)
    writer = RecordWriter()
    order: list[int] = list(range(1, prices + 1))
    rng.shuffle(order)
    entered = [
        (writer.submit(Side.BUY, OrderType.LIMIT, TimeInForce.GTC, account_id, 1, price), account_id)
        for price in order
        for account_id in (_any_account(rng),)
    ]
    rng.shuffle(entered)
    for order_id, account_id in entered:
        writer.cancel(order_id, account_id)
    return _bare_flow("distinct prices", seed, [], writer.take_buffers(), 2 * prices, prices, 0)


def sparse_cancels_flow(levels: int, gap_ticks: int, seed: int = SEED) -> Flow:
    """Cancels of the best order of a book with one order every `gap_ticks`: each uncovers the next best price."""
    rng = Random(seed)
    writer = RecordWriter()
    entered = [
        (writer.submit(Side.BUY, OrderType.LIMIT, TimeInForce.GTC, account_id, 1, level * gap_ticks), account_id)
        for level in range(levels, 0, -1)
        for account_id in (_any_account(rng),)
    ]
    setup = writer.take_buffers()
    for order_id, account_id in entered:
        writer.cancel(order_id, account_id)
    return _bare_flow(f"cancels {gap_ticks:,} ticks apart", seed, setup, writer.take_buffers(), levels, 0, levels)


def _bare_flow(
    name: str, seed: int, setup: list[bytes], timed: list[bytes], commands: int, adds: int, resting: int
) -> Flow:
    steps = Counter({Step.ADD: adds, Step.CANCEL: commands - adds})
    return Flow(name, seed, setup, timed, commands, steps, resting_before=resting, resting_after=0, trades=0)


class _FlowMaker:
    """Writes random commands and follows what they do to the book."""

    def __init__(self, rng: Random, writer: RecordWriter) -> None:
        self.writer = writer
        self.live = LiveOrders()
        self._rng = rng
        self._mid_ticks = MID_TICKS
        self._makers: dict[Step, Callable[[], None]] = {
            Step.ADD: self._add,
            Step.CANCEL: self._cancel,
            Step.AMEND: self._amend,
            Step.TAKE: self._take,
            Step.SWEEP: self._sweep,
        }

    def move_mid(self) -> None:
        self._mid_ticks += 1 if self._rng.random() < 0.5 else -1

    def rest_behind_mid(self) -> None:
        self.live.rest(_write_resting_order(self._rng, self.writer))

    def step(self, mix: Mix, keep_resting: int | None) -> Step:
        """Write one command of `mix` and say what it was; an empty book can only be added to."""
        step = mix.draw(self._rng)
        if keep_resting is not None and step in {Step.ADD, Step.CANCEL} and len(self.live) != keep_resting:
            step = Step.ADD if len(self.live) < keep_resting else Step.CANCEL
        if len(self.live) == 0:
            step = Step.ADD
        self._makers[step]()
        return step

    def _add(self) -> None:
        side = _any_side(self._rng)
        price_ticks = _price_behind(self._rng, side, self._mid_ticks)
        order = _write_order(self._rng, self.writer, side, price_ticks)
        self._take_and_rest(order)

    def _cancel(self) -> None:
        order = self.live.pick(self._rng)
        self.writer.cancel(order.order_id, order.account_id)
        self.live.remove(order)

    def _amend(self) -> None:
        """Half of the amendments make an order smaller, a quarter larger, a quarter give it another price."""
        choice = self._rng.random()
        order = self.live.pick(self._rng)
        if choice < 0.5:
            self._resize(order, 1 + int(self._rng.random() * order.open_lots))
        elif choice < 0.75:
            self._resize(order, order.open_lots + _up_to(self._rng, MAX_ADD_LOTS))
        else:
            self._reprice(order, _price_behind(self._rng, order.side, self._mid_ticks))

    def _resize(self, order: LiveOrder, open_lots: int) -> None:
        self.writer.amend(order.order_id, order.account_id, order.executed_lots + open_lots, 0)
        if open_lots <= order.open_lots:
            order.open_lots = open_lots
        else:
            self._replace(order, order.price_ticks, open_lots)

    def _reprice(self, order: LiveOrder, price_ticks: int) -> None:
        self.writer.amend(order.order_id, order.account_id, 0, price_ticks)
        if price_ticks != order.price_ticks:
            self._replace(order, price_ticks, order.open_lots)

    def _replace(self, order: LiveOrder, price_ticks: int, open_lots: int) -> None:
        successor = LiveOrder(order.order_id, order.account_id, order.side, price_ticks, open_lots)
        successor.executed_lots = order.executed_lots
        self.live.remove(order)
        self._take_and_rest(successor)

    def _take_and_rest(self, order: LiveOrder) -> None:
        self.live.take(order, order.price_ticks)
        if order.open_lots:
            self.live.rest(order)

    def _take(self) -> None:
        side = _any_side(self._rng)
        taker = LiveOrder(0, _any_account(self._rng), side, 0, _up_to(self._rng, MAX_TAKE_LOTS))
        limit_ticks = self._ioc_limit(side) if self._rng.random() < 0.5 else 0
        self._write_taker(side, taker.account_id, taker.open_lots, limit_ticks)
        self.live.take(taker, limit_ticks)

    def _sweep(self) -> None:
        side = _any_side(self._rng)
        account_id = _any_account(self._rng)
        fewest, most = SWEEP_MAKERS
        makers = fewest + int(self._rng.random() * (most - fewest + 1))
        lots, last_price_ticks = self.live.sweep(account_id, side, makers)
        limited = self._rng.random() < 0.5
        self._write_taker(side, account_id, max(lots, 1), last_price_ticks if limited else 0)

    def _ioc_limit(self, side: Side) -> int:
        """A limit that reaches the other side's best price or a few ticks more; the mid where none stands."""
        best_ticks = self.live.best_price(Side.SELL if side is Side.BUY else Side.BUY) or self._mid_ticks
        depth_ticks = int(self._rng.random() * (MAX_IOC_DEPTH_TICKS + 1))
        return best_ticks + depth_ticks if side is Side.BUY else best_ticks - depth_ticks

    def _write_taker(self, side: Side, account_id: int, quantity_lots: int, limit_ticks: int) -> None:
        type = OrderType.LIMIT if limit_ticks else OrderType.MARKET
        self.writer.submit(side, type, TimeInForce.IOC, account_id, quantity_lots, limit_ticks)


def _write_resting_order(rng: Random, writer: RecordWriter) -> LiveOrder:
    side = _any_side(rng)
    return _write_order(rng, writer, side, _price_behind(rng, side, MID_TICKS))


def _write_order(rng: Random, writer: RecordWriter, side: Side, price_ticks: int) -> LiveOrder:
    account_id = _any_account(rng)
    lots = _up_to(rng, MAX_ADD_LOTS)
    order_id = writer.submit(side, OrderType.LIMIT, TimeInForce.GTC, account_id, lots, price_ticks)
    return LiveOrder(order_id, account_id, side, price_ticks, lots)


def _price_behind(rng: Random, side: Side, mid_ticks: int) -> int:
    distance_ticks = 1 + int(rng.expovariate(1 / MEAN_DISTANCE_TICKS))  # its whole part is geometric
    return mid_ticks - distance_ticks if side is Side.BUY else mid_ticks + distance_ticks


def _any_side(rng: Random) -> Side:
    return Side.BUY if rng.random() < 0.5 else Side.SELL


def _any_account(rng: Random) -> int:
    return _up_to(rng, ACCOUNTS)


def _up_to(rng: Random, most: int) -> int:
    return 1 + int(rng.random() * most)
