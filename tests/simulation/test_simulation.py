"""The market in memory: books that balance, same seed same hash, funding once, everybody liquidated who must be."""

from pathlib import Path

import pytest

from crossbook.domain.instruments import btc_perp
from crossbook.domain.money import POWERS_OF_TEN
from crossbook.replay.tables import TapeError
from crossbook.simulation.candles import Candle, read_candles
from crossbook.simulation.exchange import BooksDoNotBalance
from crossbook.simulation.run import FUND, Outcome, cascade, simulate
from crossbook.system import random_for

CANDLES = Path(__file__).parent.parent.parent.parent / "shared/data/btc_usdt_minutes_2025-05-29/candles.csv.gz"
MINUTE_MS = 60_000
MARKET = btc_perp()
HEADER = "timestamp,open,high,low,close,volume\n"


def recorded(limit: int = 0) -> list[Candle]:
    if not CANDLES.exists():
        pytest.skip(f"there is no {CANDLES.name} beside the project")
    return read_candles(CANDLES, MARKET, limit)


def wild(count: int, seed: int) -> list[Candle]:
    """A path on which many go under: steps of up to 3 %, crossing a funding instant now and then."""
    random, price, candles = random_for(seed, "path"), 1_000_000, list[Candle]()
    for number in range(count):
        opened, price = price, max(200_000, price + price * random.randrange(-30, 31) // 1_000)
        low, high = min(opened, price) * 995 // 1_000, max(opened, price) * 1_005 // 1_000
        candles.append(Candle(number * 40 * MINUTE_MS, opened, high, low, price))
    return candles


def accounted(outcome: Outcome) -> None:
    """What a run must have left behind, whatever happened in it."""
    exchange, tally = outcome.exchange, outcome.tally
    exchange.check_books()
    exchange.check_engine()
    unit = POWERS_OF_TEN[MARKET.quote.decimals]
    moved = exchange.fund_received - exchange.fund_paid + outcome.funding_dust_units
    assert exchange.fund == FUND * unit + moved
    assert outcome.least_fund_units >= 0
    assert outcome.proofs == outcome.candles
    assert -exchange.bad_debt == tally.bad_debt_units
    negative = [account for account, units in enumerate(exchange.wallet) if units < 0 and not exchange.lots[account]]
    assert negative == []


def test_a_wild_path_balances_and_liquidates() -> None:
    outcome = simulate(MARKET, wild(300, 1), 300, 1)
    accounted(outcome)
    tally = outcome.tally
    assert tally.liquidations > 50
    assert tally.partial_orders > 0
    assert tally.cancels > 0
    assert tally.unfinished == 0
    periods = outcome.funding_periods
    assert periods == list(range(0, periods[-1] + 1, 8 * 60 * MINUTE_MS))
    assert len(periods) == 300 * 40 // 480 - (300 * 40 % 480 == 0)
    assert outcome.funding_moved_units > 0


def test_the_same_seed_gives_the_same_hash_and_another_another() -> None:
    candles = wild(60, 2)
    first = simulate(MARKET, candles, 100, 5).hash
    assert simulate(MARKET, candles, 100, 5).hash == first
    assert simulate(MARKET, candles, 100, 6).hash != first
    assert simulate(MARKET, candles, 101, 5).hash != first


def test_nobody_is_left_in_liquidation_after_a_candle() -> None:
    outcome = simulate(MARKET, wild(80, 3), 200, 3)
    exchange = outcome.exchange
    for account in range(200):
        scope = exchange.scope(account)
        assert not scope.positions or scope.equity_units > scope.maintenance_units


@pytest.mark.parametrize("step_ppm", [-300_000, 300_000])
def test_a_cascade_is_handled_whole(step_ppm: int) -> None:
    calls: list[int] = []
    result = cascade(MARKET, 1_058_000, 1_000, 7, step_ppm, lambda: calls.append(1))
    accounted(result.outcome)
    tally = result.outcome.tally
    assert len(calls) == 2
    assert result.positions_before > 700
    assert tally.liquidations > 100
    assert tally.deleveraged_accounts > 0
    assert result.in_liquidation_after == 0


def test_the_first_hours_of_the_recorded_month() -> None:
    outcome = simulate(MARKET, recorded(700), 500, 1)
    accounted(outcome)
    assert outcome.candles == 700
    assert len(outcome.funding_periods) == 1
    assert outcome.exchange.trades > 100


@pytest.mark.soak
def test_the_recorded_month_with_ten_thousand_accounts() -> None:
    outcome = simulate(MARKET, recorded(), 10_000, 1)
    accounted(outcome)
    assert outcome.candles == 43_200
    periods = outcome.funding_periods
    assert len(periods) == 90
    assert periods == list(range(periods[0], periods[-1] + 1, 8 * 60 * MINUTE_MS))
    assert outcome.tally.liquidations > 100


def test_a_unit_that_came_from_nowhere_is_found() -> None:
    exchange = simulate(MARKET, wild(5, 1), 20, 1).exchange
    exchange.wallet[3] += 1
    with pytest.raises(BooksDoNotBalance, match="put in"):
        exchange.check_books()
    exchange.wallet[3] -= 1
    exchange.lots[3] += 1
    with pytest.raises(BooksDoNotBalance, match="positions sum to 1"):
        exchange.check_books()
    with pytest.raises(BooksDoNotBalance, match="in the engine"):
        exchange.check_engine()


# -- Candles -----------------------------------------------------------------------------------------
def test_candles_are_read_in_ticks(tmp_path: Path) -> None:
    file = tmp_path / "candles.csv"
    file.write_text(HEADER + "2025-05-29 19:00:00+00:00,105796.0,105911.59,105796.0,105874.0,277.448\n")
    (candle,) = read_candles(file, MARKET)
    assert candle == Candle(1_748_545_200_000, 1_057_960, 1_059_115, 1_057_960, 1_058_740)
    assert candle.path() == (1_057_960, 1_059_115, 1_058_740)


FIRST = "2025-05-29 19:00:00+00:00,100,110,90,105,1\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "a header|the header"),
        ("a,b\n", "the header"),
        (HEADER, "a candle"),
        (HEADER + "1,2\n", "6 columns"),
        (HEADER + FIRST.replace("2025-05-29 19", "noon"), "a time like"),
        (HEADER + FIRST.replace("+00:00", ""), "offset"),
        (HEADER + FIRST.replace("100,", "nan,", 1), "a price"),
        (HEADER + FIRST.replace("100,", "0,", 1), "a price"),
        (HEADER + FIRST.replace("90", "101"), "the lowest price"),
        (HEADER + FIRST.replace("110", "104"), "the highest price"),
        (HEADER + FIRST + FIRST, "a later time"),
    ],
)
def test_bad_candles_are_named_by_their_line(tmp_path: Path, text: str, expected: str) -> None:
    file = tmp_path / "candles.csv"
    file.write_text(text)
    with pytest.raises(TapeError, match=expected):
        read_candles(file, MARKET)
