"""Snapshots that are torn, altered, of another version or impossible: refused whole, or a market that works.

A restored market that answered and then failed would be the worst of all; so whatever `restore` lets
through has to give back the same bytes and to take commands like the reference does.
"""

from collections.abc import Iterator
from random import Random
from typing import Any

import pytest

from crossbook.domain.commands import (
    Command,
    ConfigureMarket,
    SetMarketState,
    SetPosition,
    SubmitOrder,
    UpdatePrices,
)
from crossbook.domain.errors import SnapshotError
from crossbook.domain.orders import MarketState, OrderType, PriceSource, SelfTradePrevention, Side, TimeInForce
from crossbook.matching import Engine
from crossbook.matching.reference import ReferenceEngine

from .flows import START_MS, Flow
from .pairs import renumbered, snapshot_of, words_of

BUY, SELL = Side.BUY, Side.SELL
FURTHER_COMMANDS = 12
WORD_MIN, WORD_MAX = -(1 << 63), (1 << 63) - 1


class Desk:
    """Enters orders one after another."""

    def __init__(self) -> None:
        self.engine = Engine()

    def who(self) -> tuple[int, int]:
        return self.engine.last_sequence + 1, START_MS

    def order(
        self, order_id: int, account_id: int, side: Side, kind: OrderType, price_ticks: int, **options: int
    ) -> None:
        order = SubmitOrder(*self.who(), order_id, account_id, side, kind, 10, price_ticks, **options)  # type: ignore[arg-type]
        events = self.engine.apply(order)
        assert self.engine.order(order_id) is not None, events


def rich_market(state: MarketState = MarketState.ACTIVE) -> Engine:
    """A small market with something of everything that a snapshot can hold."""
    desk = Desk()
    engine = desk.engine
    engine.apply(ConfigureMarket(*desk.who(), 100, 5_000, max_open_orders=50))
    for account_id, position_lots in ((1, 7), (2, -4), (3, 12), (9, 0)):
        engine.apply(SetPosition(*desk.who(), account_id, position_lots))
    engine.apply(UpdatePrices(*desk.who(), 100, 101))
    limit = OrderType.LIMIT
    expiry = {"time_in_force": TimeInForce.GTD, "expire_time_ms": START_MS + 50}
    desk.order(1, 1, BUY, limit, 95, trade_group=3)
    desk.order(2, 2, BUY, limit, 95, display_quantity_lots=3)
    desk.order(3, 2, BUY, limit, 94, **expiry)
    desk.order(4, 3, SELL, limit, 105, reduce_only=True, time_in_force=TimeInForce.DAY)
    desk.order(5, 1, SELL, limit, 106, oco_order_id=0, post_only=True)
    desk.order(6, 1, SELL, OrderType.STOP_LIMIT, 90, trigger_price_ticks=92, oco_order_id=5)
    desk.order(7, 3, BUY, OrderType.STOP, 0, trigger_price_ticks=120, trigger_source=PriceSource.MARK)
    desk.order(8, 3, SELL, OrderType.TRAILING_STOP, 0, trail=4, trigger_source=PriceSource.MARK)
    in_points: dict[str, Any] = {"trail_in_basis_points": True, "trigger_source": PriceSource.INDEX}
    desk.order(9, 2, BUY, OrderType.TRAILING_STOP, 130, trail=250, **in_points, **expiry)
    desk.order(10, 2, SELL, OrderType.TAKE_PROFIT_LIMIT, 111, trigger_price_ticks=110, display_quantity_lots=2)
    desk.order(11, 2, SELL, OrderType.TAKE_PROFIT, 0, trigger_price_ticks=111, time_in_force=TimeInForce.FOK)
    mode = SelfTradePrevention.NONE
    taker = SubmitOrder(*desk.who(), 12, 1, SELL, limit, 12, 95, TimeInForce.IOC, self_trade_prevention=mode)
    engine.apply(taker)
    if state is not MarketState.ACTIVE:
        engine.apply(SetMarketState(*desk.who(), state))
    if state is MarketState.AUCTION:
        desk.order(13, 2, SELL, limit, 93)
    return engine


RICH = rich_market().snapshot()
AUCTION = rich_market(MarketState.AUCTION).snapshot()
both_markets = pytest.mark.parametrize("snapshot", [RICH, AUCTION], ids=["active", "auction"])


def further_commands(engine: Engine, seed: int) -> list[Command]:
    """Commands that go on from where `engine` stands."""
    commands = Flow(Random(seed).randrange).take(FURTHER_COMMANDS)
    return renumbered(commands, engine.last_sequence)


def check_restored(snapshot: bytes, seed: int = 0) -> bool:
    """Whether `snapshot` is accepted. If so, the market must work; the reference must never be the stricter."""
    try:
        engine = Engine.restore(snapshot)
    except SnapshotError:
        return False
    assert engine.snapshot() == snapshot
    naive = ReferenceEngine.restore(snapshot)
    for command in further_commands(engine, seed):
        assert engine.apply(command) == naive.apply(command)
    assert engine.snapshot() == naive.snapshot()
    assert Engine.restore(engine.snapshot()).state_hash() == naive.state_hash()
    return True


@both_markets
def test_an_untouched_snapshot_is_accepted(snapshot: bytes) -> None:
    assert snapshot_of(words_of(snapshot)) == snapshot
    assert all(check_restored(snapshot, seed) for seed in range(20))


@both_markets
@pytest.mark.parametrize("engine", [Engine, ReferenceEngine])
def test_a_snapshot_torn_anywhere_is_refused(engine: type[Engine | ReferenceEngine], snapshot: bytes) -> None:
    for length in range(len(snapshot)):
        with pytest.raises(SnapshotError):
            engine.restore(snapshot[:length])
        with pytest.raises(SnapshotError):
            engine.restore(snapshot[length + 1 :])


@pytest.mark.parametrize("tail", [b"\0", bytes(8), bytes(24), RICH])
@pytest.mark.parametrize("engine", [Engine, ReferenceEngine])
def test_a_snapshot_with_something_behind_it_is_refused(engine: type[Engine | ReferenceEngine], tail: bytes) -> None:
    with pytest.raises(SnapshotError):
        engine.restore(RICH + tail)


@pytest.mark.parametrize("engine", [Engine, ReferenceEngine])
def test_a_snapshot_with_any_bit_flipped_is_refused(engine: type[Engine | ReferenceEngine]) -> None:
    altered = bytearray(RICH)
    for place in range(len(RICH)):
        for bit in range(8):
            altered[place] ^= 1 << bit
            with pytest.raises(SnapshotError):
                engine.restore(bytes(altered))
            altered[place] ^= 1 << bit
    assert bytes(altered) == RICH


@pytest.mark.parametrize("magic", [b"CROSSBK0", b"CROSSBK2", b"crossbk1", bytes(8)])
def test_a_snapshot_of_another_version_is_refused(magic: bytes) -> None:
    with pytest.raises(SnapshotError, match="version"):
        Engine.restore(magic + RICH[8:])


@pytest.mark.parametrize("data", [b"", bytes(8), bytes(24), b"CROSSBK1", b"CROSSBK1" + bytes(16)])
def test_what_is_no_snapshot_is_refused(data: bytes) -> None:
    with pytest.raises(SnapshotError):
        Engine.restore(data)


def other_values(words: list[int], place: int) -> Iterator[int]:
    """What a word might say instead."""
    value = words[place]
    yield from (0, 1, 2, -1, value + 1, value - 1, value ^ 4, -value, value * 2, 99, 1 << 20)
    yield from (1 << 40, (1 << 40) - 1, 1 << 61, 1 << 62, WORD_MIN, WORD_MAX)
    yield from (value ^ 1 << bit for bit in range(17, 24))
    yield words[place - 1]
    yield words[(place + 6) % len(words)]


@both_markets
def test_a_snapshot_with_any_word_changed_is_refused_or_works(snapshot: bytes) -> None:
    words = words_of(snapshot)
    refused = accepted = 0
    for place in range(len(words)):
        for value in other_values(words, place):
            if value == words[place] or not WORD_MIN <= value <= WORD_MAX:
                continue
            changed = [*words[:place], value, *words[place + 1 :]]
            if check_restored(snapshot_of(changed), place):
                accepted += 1
            else:
                refused += 1
    assert refused > 2 * accepted > 0


@both_markets
def test_a_snapshot_with_words_lost_doubled_or_exchanged_is_refused_or_works(snapshot: bytes) -> None:
    words = words_of(snapshot)
    random = Random(3)
    refused = 0
    for seed in range(1_500):
        changed = list(words)
        for _ in range(random.randint(1, 3)):
            here, there = random.randrange(len(changed)), random.randrange(len(changed))
            match random.randrange(5):
                case 0:
                    del changed[here]
                case 1:
                    changed.insert(here, changed[there])
                case 2:
                    changed[here], changed[there] = changed[there], changed[here]
                case 3:
                    changed[here] = random.choice(words)
                case _:
                    changed[here] += random.randint(-3, 3)
        refused += not check_restored(snapshot_of(changed), seed)
    assert refused > 1_000


def test_any_length_of_content_is_refused_or_works() -> None:
    words = words_of(RICH)
    assert not any(check_restored(snapshot_of(words[:length])) for length in range(len(words)))
    assert not any(check_restored(snapshot_of([*words, value])) for value in (0, 1, -1))


@pytest.mark.parametrize("seed", range(3))
def test_random_words_are_refused_or_work(seed: int) -> None:
    random = Random(seed)
    for _ in range(2_000):
        small = [random.randint(-1, 4) for _ in range(random.randint(0, 60))]
        check_restored(snapshot_of(small), seed)
