"""Small tapes, by hand, through every engine and in every way of feeding it."""

from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest

from crossbook.domain.orders import Side
from crossbook.matching import Engine
from crossbook.matching.reference import ReferenceEngine
from crossbook.replay.runner import Level, Replay, replay_commands, replay_records
from crossbook.replay.tables import TableFile, TapeError
from crossbook.replay.tape import read_tape
from crossbook.replay.trades import TapeTrade

HEADER = "seq,time,op,id,side,price,qty,tif\n"
WAYS: dict[str, Callable[[int, int], Replay]] = {
    "reference": lambda batch, every: replay_commands(ReferenceEngine(), batch, every),
    "commands": lambda batch, every: replay_commands(Engine(), batch, every),
    "records": lambda batch, every: replay_records(Engine(), batch, every),
}


@pytest.fixture(params=list(WAYS))
def way(request: pytest.FixtureRequest) -> Callable[[int, int], Replay]:
    found: Callable[[int, int], Replay] = WAYS[request.param]
    return found


class Played:
    """A finished run and its trades."""

    def __init__(self, replay: Replay, trades: list[TapeTrade]) -> None:
        self.replay = replay
        self.trades = trades

    @property
    def short(self) -> list[tuple[int, int, int, int]]:
        """Each trade as (seq, maker, price, quantity)."""
        return [(trade.seq, trade.maker_id, trade.price_ticks, trade.quantity_lots) for trade in self.trades]


def run(tmp_path: Path, way: Callable[[int, int], Replay], text: str, batch: int = 1000, every: int = 0) -> Played:
    path = tmp_path / "tape.csv"
    path.write_text(HEADER + dedent(text).strip() + "\n")
    replay = way(batch, every)
    with TableFile(path) as table:
        trades = [trade for group in replay.run(read_tape(table)) for trade in group]
    return Played(replay, trades)


def test_a_taker_takes_the_first_in_the_queue_first(tmp_path: Path, way: Callable[[int, int], Replay]) -> None:
    played = run(
        tmp_path,
        way,
        """
        1,1,N,7,S,100,5,GTC
        2,1,N,8,S,100,3,GTC
        3,1,N,9,B,101,6,IOC
        """,
    )
    assert played.trades == [TapeTrade(3, 9, 7, 7, 100, 5), TapeTrade(3, 9, 8, 8, 100, 1)]
    assert played.replay.best(Side.SELL) == Level(100, 2, 1)
    assert played.replay.best(Side.BUY) is None
    assert (played.replay.commands, played.replay.trades, played.replay.refused) == (3, 2, 0)


def test_a_seller_who_takes(tmp_path: Path, way: Callable[[int, int], Replay]) -> None:
    played = run(tmp_path, way, "1,1,N,7,B,100,5,GTC\n2,1,N,8,S,99,2,IOC")
    assert played.trades == [TapeTrade(2, 7, 8, 7, 100, 2)]


def test_trades_bear_the_numbers_of_the_tape(tmp_path: Path, way: Callable[[int, int], Replay]) -> None:
    played = run(tmp_path, way, "10,1,N,7,S,100,5,GTC\n20,1,N,8,B,100,2,IOC\n35,1,N,9,B,100,2,IOC")
    assert played.short == [(20, 7, 100, 2), (35, 7, 100, 2)]


def test_what_an_ioc_can_not_fill_is_gone_and_a_fok_fills_all_or_nothing(
    tmp_path: Path, way: Callable[[int, int], Replay]
) -> None:
    played = run(
        tmp_path,
        way,
        """
        1,1,N,7,S,100,5,GTC
        2,1,N,8,B,100,6,FOK
        3,1,N,9,B,99,6,IOC
        4,1,N,10,B,100,7,IOC
        5,1,N,11,S,100,1,DAY
        """,
    )
    assert played.short == [(4, 7, 100, 5)]
    assert played.replay.best(Side.BUY) is None
    assert played.replay.best(Side.SELL) == Level(100, 1, 1)


def test_a_reduced_order_keeps_its_place(tmp_path: Path, way: Callable[[int, int], Replay]) -> None:
    played = run(
        tmp_path,
        way,
        """
        1,1,N,7,S,100,5,GTC
        2,1,N,8,S,100,5,GTC
        3,1,R,7,,,3,
        4,1,N,9,B,100,3,IOC
        """,
    )
    assert played.short == [(4, 7, 100, 2), (4, 8, 100, 1)]


def test_a_cancelled_order_is_gone(tmp_path: Path, way: Callable[[int, int], Replay]) -> None:
    played = run(tmp_path, way, "1,1,N,7,S,100,5,GTC\n2,1,X,7,,,,\n3,1,N,9,B,100,3,IOC\n4,1,X,7,,,,")
    assert played.short == []
    assert played.replay.refused == 1


def test_a_smaller_replacement_at_the_same_price_keeps_its_place(
    tmp_path: Path, way: Callable[[int, int], Replay]
) -> None:
    played = run(
        tmp_path,
        way,
        """
        1,1,N,7,S,100,5,GTC
        2,1,N,8,S,100,5,GTC
        3,1,M,7,S,100,4,
        4,1,N,9,B,100,5,IOC
        """,
    )
    assert played.short == [(4, 7, 100, 4), (4, 8, 100, 1)]


def test_a_larger_replacement_goes_to_the_end(tmp_path: Path, way: Callable[[int, int], Replay]) -> None:
    played = run(
        tmp_path,
        way,
        """
        1,1,N,7,S,100,5,GTC
        2,1,N,8,S,100,5,GTC
        3,1,M,7,S,100,6,
        4,1,N,9,B,100,11,IOC
        """,
    )
    assert played.short == [(4, 8, 100, 5), (4, 7, 100, 6)]


def test_a_replacement_says_what_is_to_be_open_whatever_was_executed(
    tmp_path: Path, way: Callable[[int, int], Replay]
) -> None:
    played = run(
        tmp_path,
        way,
        """
        1,1,N,7,S,100,5,GTC
        2,1,N,8,B,100,2,IOC
        3,1,M,7,S,100,3,
        4,1,N,9,S,100,1,GTC
        5,1,M,7,S,100,2,
        6,1,N,10,B,100,9,IOC
        """,
    )
    assert played.short == [(2, 7, 100, 2), (6, 7, 100, 2), (6, 9, 100, 1)]


def test_a_replacement_at_a_crossing_price_trades(tmp_path: Path, way: Callable[[int, int], Replay]) -> None:
    played = run(tmp_path, way, "1,1,N,7,S,101,5,GTC\n2,1,N,8,B,100,4,GTC\n3,1,M,8,B,101,6,")
    assert played.trades == [TapeTrade(3, 8, 7, 7, 101, 5)]
    assert played.replay.best(Side.BUY) == Level(101, 1, 1)


def test_a_replacement_of_an_unknown_order_is_refused(tmp_path: Path, way: Callable[[int, int], Replay]) -> None:
    played = run(tmp_path, way, "1,1,M,7,S,101,5,")
    assert (played.replay.commands, played.replay.refused) == (1, 1)


@pytest.mark.parametrize(("reference", "price"), [("100", 100), ("97", 98), ("105", 102)])
def test_an_auction_matches_at_one_price_near_the_reference(
    tmp_path: Path, way: Callable[[int, int], Replay], reference: str, price: int
) -> None:
    played = run(
        tmp_path,
        way,
        f"""
        5,1,N,1,B,102,3,AUCTION
        6,1,N,2,B,102,3,AUCTION
        7,1,N,3,S,98,4,AUCTION
        8,1,N,4,S,98,2,AUCTION
        9,2,U,,,{reference},,
        """,
    )
    assert played.trades == [
        TapeTrade(9, 1, 3, 3, price, 3, auction=True),
        TapeTrade(9, 2, 3, 3, price, 1, auction=True),
        TapeTrade(9, 2, 4, 4, price, 2, auction=True),
    ]
    assert played.replay.commands == 6  # the five rows, and the change into the auction


def test_after_the_auction_the_market_trades_and_may_be_called_again(
    tmp_path: Path, way: Callable[[int, int], Replay]
) -> None:
    played = run(
        tmp_path,
        way,
        """
        1,1,N,1,B,100,3,AUCTION
        2,1,N,2,B,101,9,IOC
        3,1,N,3,S,101,5,GTC
        4,2,U,,,,,
        5,3,N,4,B,101,2,IOC
        6,4,N,5,B,101,1,AUCTION
        7,5,U,,,,,
        """,
    )
    assert played.trades == [TapeTrade(5, 4, 3, 3, 101, 2), TapeTrade(7, 5, 3, 3, 101, 1, auction=True)]
    assert played.replay.refused == 1  # the IOC order in the auction


LONG = """
    1,1,N,1,B,100,30,AUCTION
    2,1,N,2,S,99,10,AUCTION
    3,2,U,,,,,
    4,3,N,3,S,101,5,GTC
    5,3,N,4,S,101,5,GTC
    6,4,M,3,S,101,4,
    7,4,M,4,S,101,6,
    8,4,N,5,B,101,5,IOC
    9,5,R,1,,,5,
    10,5,N,6,S,100,20,GTC
    11,5,X,6,,,,
    12,5,N,7,B,102,6,GTC
"""


def test_every_way_batch_and_snapshot_gives_the_same_trades_and_hash(tmp_path: Path) -> None:
    plays = {
        (name, batch, every): run(tmp_path, way, LONG, batch, every)
        for name, way in WAYS.items()
        for batch in (1, 2, 5, 1000)
        for every in (0, 1, 3, 13)
    }
    assert {tuple(played.trades) for played in plays.values()} == {tuple(plays["reference", 1, 0].trades)}
    assert len({played.replay.engine.state_hash() for played in plays.values()}) == 1
    assert {(every, played.replay.snapshots) for (_, _, every), played in plays.items()} == {
        (0, 0),
        (1, 13),
        (3, 4),
        (13, 1),
    }


def test_the_tape_makes_the_trades_it_should(tmp_path: Path, way: Callable[[int, int], Replay]) -> None:
    assert run(tmp_path, way, LONG).short == [
        (3, 2, 99, 10),
        (8, 3, 101, 4),
        (8, 4, 101, 1),
        (10, 1, 100, 15),
        (12, 4, 101, 5),
    ]


def test_a_bad_row_ends_the_run(tmp_path: Path, way: Callable[[int, int], Replay]) -> None:
    with pytest.raises(TapeError, match="line 3"):
        run(tmp_path, way, "1,1,N,7,S,100,5,GTC\n2,1,N,8,S,100,five,GTC")
