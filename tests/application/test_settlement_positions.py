"""Funding, forced trades and final settlement: what they move, to the unit; and what must stop a market."""

from typing import Any, Final

import pytest

from crossbook.application.settlement import settle
from crossbook.application.settlement_rows import CommandEvents, MarketTerms, PositionRow, Settlement, SettlementFault
from crossbook.domain.accounts import INSURANCE
from crossbook.domain.commands import (
    ApplyFunding,
    Command,
    ForceTrade,
    SetMarketState,
    SettlePositions,
    SubmitOrder,
    UpdatePrices,
)
from crossbook.domain.events import Event, ForcedTrade, FundingApplied, PositionsSettled
from crossbook.domain.instruments import btc_perp
from crossbook.domain.ledger import LedgerType
from crossbook.domain.orders import MarketState, OrderType, Side
from crossbook.domain.positions import Position
from tests.application.blotter import START_MS
from tests.application.test_settlement_flows import MARKETS, run
from tests.application.venue import BASE, CLEARING, MARKET, QUOTE, Venue, account_of
from tests.domain.cases import perp, spot

ALICE, BOB, CAROL, DAVE = (account_of(number) for number in range(1, 5))
PERIOD: Final = START_MS - START_MS % 28_800_000


class Floor:
    """A venue in memory whose commands count up by themselves."""

    def __init__(self, **terms: Any) -> None:
        self.venue = Venue(btc_perp() if not terms else perp(**terms))
        self._sequence = 0

    def do(self, kind: Any, *values: Any, **named: Any) -> None:
        self._sequence += 1
        command: Command = kind(self._sequence, START_MS + self._sequence, *values, **named)
        self.venue.enter(command)

    def trade(self, buyer: int, seller: int, lots: int, price_ticks: int) -> None:
        for account, side in ((seller, Side.SELL), (buyer, Side.BUY)):
            self.do(SubmitOrder, self._sequence + 1, account, side, OrderType.LIMIT, lots, price_ticks)

    def settle(self) -> Settlement:
        settlement = self.venue.settle()
        self.venue.audit()
        return settlement


def posted(settlement: Settlement, kind: LedgerType) -> dict[int, int]:
    """By account: what the last settlement posted under a kind."""
    return {account: units for _, _, account, _, type_, units in settlement.postings if type_ == kind}


def three_longs_and_a_short() -> Floor:
    """The dust vector of 3.11: 0.333 each against 0.999."""
    floor = Floor()
    for buyer in (ALICE, BOB, CAROL):
        floor.trade(buyer, DAVE, 333, 650_000)
    floor.settle()
    return floor


def test_the_vector_of_the_rule_book_to_the_unit() -> None:
    floor = three_longs_and_a_short()
    floor.do(ApplyFunding, PERIOD, 123_450, 650_001)
    settlement = floor.settle()
    assert posted(settlement, LedgerType.FUNDING_PAYMENT) == {
        ALICE: -2_672_080,
        BOB: -2_672_080,
        CAROL: -2_672_080,
        DAVE: 8_016_238,
        INSURANCE: 2,
    }
    assert [journal[0] for journal in settlement.journals] == [LedgerType.FUNDING_PAYMENT]
    (funding,) = settlement.fundings
    assert (funding.dust_units, funding.time_ms) == (2, START_MS + 7)
    assert funding.payments == (
        (ALICE, 333, -2_672_080),
        (BOB, 333, -2_672_080),
        (CAROL, 333, -2_672_080),
        (DAVE, -999, 8_016_238),
    )


def test_a_negative_rate_pays_longs_and_a_rate_of_nothing_pays_nobody() -> None:
    floor = three_longs_and_a_short()
    floor.do(ApplyFunding, PERIOD, -123_450, 650_001)
    floor.do(ApplyFunding, PERIOD + 1, 0, 650_001)
    settlement = floor.settle()
    assert posted(settlement, LedgerType.FUNDING_PAYMENT) == {
        ALICE: 2_672_079,
        BOB: 2_672_079,
        CAROL: 2_672_079,
        DAVE: -8_016_239,
        INSURANCE: 2,
    }
    assert [len(each.payments) for each in settlement.fundings] == [4, 4]
    assert len(settlement.journals) == 1


def test_only_who_holds_at_its_place_in_the_log_is_funded() -> None:
    """Before it alice holds, after it bob: all of it in one batch of settlement."""
    floor = Floor()
    floor.trade(ALICE, DAVE, 10, 650_000)
    floor.do(ApplyFunding, PERIOD, 1_000_000, 650_000)
    floor.trade(BOB, ALICE, 10, 650_000)
    floor.do(ApplyFunding, PERIOD + 1, 1_000_000, 650_000)
    settlement = floor.settle()
    assert [[account for account, _, _ in each.payments] for each in settlement.fundings] == [
        [ALICE, DAVE],
        [BOB, DAVE],
    ]


def test_a_forced_trade_closes_both_without_a_fee() -> None:
    floor = Floor(maker_fee_ppm=0, taker_fee_ppm=0)
    floor.trade(ALICE, BOB, 5, 100)
    floor.settle()
    floor.do(ForceTrade, BOB, ALICE, 110, 9)
    settlement = floor.settle()
    unit = floor.venue.instrument.units_per_tick_lot
    assert posted(settlement, LedgerType.ADL_SETTLEMENT) == {BOB: -50 * unit, CLEARING: -50 * unit, ALICE: 50 * unit}
    assert [(fill[1], fill[2], fill[3], fill[6], fill[8]) for fill in settlement.fills] == [
        (1, 0, BOB, 5, 0),
        (2, 0, ALICE, 5, 0),
    ]
    assert floor.venue.positions[ALICE] == Position(0, 0, 50 * unit)


def test_final_settlement_closes_everybody_at_one_price() -> None:
    floor = three_longs_and_a_short()
    floor.do(SubmitOrder, 99, ALICE, Side.BUY, OrderType.LIMIT, 5, 600_000)
    floor.do(SetMarketState, MarketState.SETTLEMENT_ONLY)
    floor.do(SettlePositions, 640_000)
    settlement = floor.settle()
    unit = floor.venue.instrument.units_per_tick_lot
    assert [position.quantity_lots for position in floor.venue.positions.values()] == [0] * 4
    (closing,) = settlement.closings
    assert [(account, lots, realised) for account, lots, _, realised in closing.closed] == [
        (ALICE, 333, -10_000 * 333 * unit),
        (BOB, 333, -10_000 * 333 * unit),
        (CAROL, 333, -10_000 * 333 * unit),
        (DAVE, -999, 10_000 * 999 * unit),
    ]
    assert floor.venue.totals[CLEARING, QUOTE] == 0
    assert floor.venue.orders[99].status.name == "CANCELLED"


def test_the_last_prices_of_a_batch_are_kept() -> None:
    floor = Floor()
    floor.do(UpdatePrices, 650_000, 650_010)
    floor.do(UpdatePrices, 650_001)
    settlement = floor.settle()
    assert settlement.prices is not None
    assert (settlement.prices.mark_price_ticks, settlement.prices.index_price_ticks) == (650_001, 650_010)
    assert settlement.prices_at_ms == START_MS + 2


FAULTS: Final[dict[str, tuple[Event, dict[int, Position], str]]] = {
    "funding of positions that do not sum to zero": (
        FundingApplied(1, 0, PERIOD, 100, 650_000),
        {ALICE: Position(3, 300)},
        "must sum to zero",
    ),
    "a forced trade that flips": (ForcedTrade(1, 0, 1, BOB, ALICE, 100, 4), {}, "4 forced would not reduce them"),
    "a forced trade of a stranger": (ForcedTrade(1, 0, 1, DAVE, ALICE, 100, 1), {}, "has 0 lots"),
    "a settlement of fewer": (PositionsSettled(1, 0, 100, 1), {}, "1 positions were settled, and there are 2"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_events_that_do_not_fit_the_rows_stop_the_market(name: str) -> None:
    event, instead, words = FAULTS[name]
    held = {ALICE: Position(3, 300), BOB: Position(-3, -300)}
    rows = {account: PositionRow(account, position) for account, position in (instead or held).items()}
    with pytest.raises(SettlementFault, match=words):
        settle(MarketTerms(MARKET, perp(), BASE, QUOTE), [CommandEvents(1, 0, [event])], {}, rows)


def test_a_spot_market_has_no_positions_to_fund() -> None:
    events = [CommandEvents(1, 0, [FundingApplied(1, 0, PERIOD, 100, 650_000)])]
    with pytest.raises(SettlementFault, match="has no positions"):
        settle(MarketTerms(MARKET, spot(), BASE, QUOTE), events, {}, {})


def test_random_markets_fund_force_and_settle() -> None:
    """The random flows of the other tests meet all three, with money in them."""
    funded = forced = closed = 0
    for seed in range(60):
        for settlement in run(MARKETS["perpetual"], seed, longest=20, audited=False).settlements:
            funded += sum(units != 0 for each in settlement.fundings for _, _, units in each.payments)
            closed += sum(len(each.closed) for each in settlement.closings)
            forced += sum(fill[2] == 0 for fill in settlement.fills)
    assert min(funded, forced, closed) > 0, (funded, forced, closed)
