"""The audit on a real database: an honest venue is clean, and no check misses what it is there for."""

import asyncio
from collections.abc import Iterator
from typing import Final

import pytest

from crossbook.application.audit import is_clean
from crossbook.domain.instruments import InstrumentKind
from crossbook.storage import audit as audit_module
from crossbook.storage import audit_log, audit_risk, audit_swaps
from crossbook.storage import audit_rules as rules
from crossbook.storage.audit import NEGATIVE, OPEN_SUMS, ORDER_HOLDS, audit, audit_at
from crossbook.storage.audit_log import ENTERED, FILLS, LIVE, REPLAY, SNAPSHOTS
from crossbook.storage.database import Database
from tests.application.market_flows import AcceptedFlow
from tests.application.test_settlement_flows import MARKETS
from tests.application.venue import Venue
from tests.storage.audited import AuditedVenue, differences, open_venue, with_history
from tests.storage.conftest import Server
from tests.storage.settling import StoredVenue, open_market
from tests.storage.support import using

SPOT, PERP = 2, 1
SELLER, BUYER, THIRD = 1_000_000, 1_000_001, 1_000_002
DROP: Final = "ALTER TABLE {} DROP CONSTRAINT {};"


@pytest.fixture(scope="module")
def history(server: Server, template: str) -> Iterator[str]:
    """The address of a database in which a venue has traded honestly; tests undo what they do to it."""
    name = server.create(template)

    async def scenario(database: Database) -> None:
        await with_history(database)

    using(server.address(name), scenario)
    yield server.address(name)
    server.drop(name)


def test_an_honest_history_is_clean_and_every_check_has_looked_at_something(history: str) -> None:
    async def scenario(database: Database) -> None:
        checks = await audit(database)
        assert differences(checks) == {}
        assert is_clean(checks)
        assert [check.name for check in checks if check.counted == 0] == []
        async with database.snapshot() as transaction:
            assert await transaction.value("SELECT count(*) FROM orders WHERE status = 1") == 4
            realised = await transaction.value("SELECT count(*) FROM fills WHERE realised_pnl_units <> 0")
            assert realised > 0

    using(history, scenario)


def test_pages_and_parts_of_any_size_see_the_same(history: str, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = using(history, audit)
    monkeypatch.setattr(audit_module, "PAGE", 2)
    monkeypatch.setattr(audit_log, "ORDERS_AT_ONCE", 2)
    monkeypatch.setattr(audit_log, "COMMANDS_AT_ONCE", 3)
    assert using(history, audit) == whole
    name, corruption, words = CORRUPTIONS["order ended in the table only"]
    assert words in using(history, lambda database: differences_after(database, corruption))[name]


def test_an_empty_venue_is_clean(database_url: str) -> None:
    async def scenario(database: Database) -> None:
        assert differences(await audit(database)) == {}

    using(database_url, scenario)


def test_a_venue_that_goes_on_is_clean_at_every_moment(database_url: str) -> None:
    async def scenario(database: Database) -> None:
        venue, running, stop = await open_venue(database)
        trading = asyncio.ensure_future(keep_trading(venue))
        audits = 0
        while not trading.done() or audits < 3:
            assert differences(await audit(database)) == {}
            audits += 1
        await trading
        stop.set()
        await running
        assert differences(await audit(database)) == {}

    async def keep_trading(venue: AuditedVenue) -> None:
        await venue.trade()
        for _ in range(5):
            await asyncio.gather(*(venue.trade_a_little(trader) for trader in range(3)))
            await venue.settle()

    using(database_url, scenario)


@pytest.mark.parametrize("name", sorted(MARKETS))
@pytest.mark.parametrize("seed", [3, 11])
def test_random_markets_are_clean_however_far_they_are_settled(database_url: str, name: str, seed: int) -> None:
    async def scenario(database: Database) -> None:
        stored = StoredVenue(Venue(MARKETS[name]), database)
        await open_market(database, stored.venue.instrument)
        async with database.transaction() as transaction:
            await transaction.execute(RICHES_ARE_DEPOSITS)
        perpetual = stored.venue.instrument.kind is InstrumentKind.PERPETUAL
        for count, command in enumerate(AcceptedFlow(seed, perpetual).take(200), start=1):
            stored.venue.enter(command)
            if count % 40 == 0:
                await stored.accept()
                assert differences(await audit(database)) == {}
                await stored.settle(stored.entries()[: count - seed])
                assert differences(await audit(database)) == {}

    using(database_url, scenario)


RICHES_ARE_DEPOSITS: Final = """
WITH journal AS (INSERT INTO journals (kind, created_at_ms) VALUES (1, 0) RETURNING journal_id),
given AS (
    SELECT account_id, asset_id, total_units FROM balances
    UNION ALL SELECT 1, asset_id, -sum(total_units) FROM balances GROUP BY asset_id
)
INSERT INTO postings (journal_id, line, account_id, asset_id, kind, amount_units)
SELECT journal_id, row_number() OVER (), account_id, asset_id, 1, total_units FROM journal, given;
INSERT INTO balances (account_id, asset_id, is_margin_asset, total_units)
SELECT 1, asset_id, is_margin_asset, -sum(total_units) FROM balances GROUP BY asset_id, is_margin_asset
"""


def order_of(market_id: int, sequence: int) -> str:
    """The order that a command entered, as a condition."""
    return f"market_id = {market_id} AND sequence = {sequence}"


FIRST_OPEN: Final = f"{order_of(SPOT, 10)}"
"""A resting spot buy of the third trader, from the first part of the history."""

CORRUPTIONS: Final = {
    "journal out of balance": (
        rules.JOURNALS.name,
        "UPDATE postings SET amount_units = amount_units + 1 WHERE journal_id = 3 AND line = 0",
        "journal 3 sums to 1 in asset",
    ),
    "posting without journal": (
        rules.JOURNALS.name,
        "DELETE FROM journals WHERE journal_id = 2",
        "journal 2 has postings and is not there",
    ),
    "journal without postings": (
        rules.JOURNALS.name,
        "DELETE FROM postings WHERE journal_id = 2",
        "journal 2 has no postings",
    ),
    "assets out of nothing, balances": (
        rules.ASSETS.name,
        f"UPDATE balances SET total_units = total_units + 5 WHERE account_id = {BUYER} AND asset_id = 2",
        "balances of asset 2 sum to 5",
    ),
    "assets out of nothing, postings": (
        rules.ASSETS.name,
        "UPDATE postings SET amount_units = amount_units - 5 WHERE journal_id = 1 AND line = 0",
        "postings of asset 2 sum to -5",
    ),
    "balance is not its postings": (
        rules.BALANCES.name,
        f"""UPDATE balances SET total_units = total_units + CASE account_id WHEN {BUYER} THEN 7 ELSE -7 END
            WHERE account_id IN ({BUYER}, {SELLER}) AND asset_id = 2""",
        f"account {SELLER}, asset 2: the balance is",
    ),
    "balance is not there": (
        rules.BALANCES.name,
        f"DELETE FROM balances WHERE account_id = {THIRD} AND asset_id = 2",
        f"account {THIRD}, asset 2: the balance is 0, its postings sum to",
    ),
    "transfer holds more": (
        rules.TRANSFER_HOLDS.name,
        f"UPDATE balances SET transfer_hold_units = 78 WHERE account_id = {THIRD} AND asset_id = 1",
        f"account {THIRD}, asset 1: the balance holds 78 for transfers, its open withdrawals are 77",
    ),
    "transfer moved something else": (
        rules.TRANSFERS.name,
        "UPDATE transfers SET amount_units = 999 WHERE client_transfer_id = 'paid out'",
        "of -999 moved -1000",
    ),
    "user below zero": (
        NEGATIVE,
        DROP.format("balances", "balances_total_covers_held")
        + f"UPDATE balances SET total_units = -3 WHERE account_id = {THIRD} AND asset_id = 1",
        f"account {THIRD} has -3 units of BTC",
    ),
    "fee account below zero": (
        NEGATIVE,
        DROP.format("balances", "balances_fees_and_insurance_not_negative")
        + "UPDATE balances SET total_units = -3 WHERE account_id = 2",
        "account 2 has -3 units of USDC",
    ),
    "account of nobody below zero": (
        NEGATIVE,
        "INSERT INTO balances (account_id, asset_id, is_margin_asset, total_units) VALUES (77, 2, true, -3)",
        "account 77: account_id is neither",
    ),
    "insurance fund below zero": (
        rules.INSURANCE.name,
        DROP.format("balances", "balances_fees_and_insurance_not_negative")
        + "UPDATE balances SET total_units = -9 WHERE account_id = 3 AND asset_id = 2",
        "the insurance fund has -9 units of asset 2",
    ),
    "payment that is not its rate's": (
        rules.FUNDING.name,
        f"UPDATE funding_payments SET amount_units = amount_units - 1 WHERE account_id = {SELLER};"
        "UPDATE fundings SET dust_units = dust_units + 1, paid_units = paid_units + 1",
        f"account {SELLER} with",
    ),
    "funding that does not add up": (
        rules.FUNDING.name,
        f"DELETE FROM funding_payments WHERE account_id = {BUYER}",
        "funding of 0: 3 positions, dust",
    ),
    "funding that was not posted": (
        rules.FUNDING_POSTED.name,
        f"UPDATE postings SET kind = 4 WHERE kind = 5 AND account_id = {SELLER}",
        f"account {SELLER}, asset 2: funding of 0 was posted",
    ),
    "liquidation fill that moved nothing": (
        audit_risk.FUND_FLOWS.name,
        """
        UPDATE orders SET purpose = 2, bankruptcy_price_ticks = 1, reduce_only = true, time_in_force = 2,
            maker_fee_ppm = 0, taker_fee_ppm = 0
        WHERE order_id = (SELECT order_id FROM fills WHERE market_id = 1 AND role = 2 AND side = 2 ORDER BY 1 LIMIT 1)
        """,
        "the fund moved 0 for a liquidation fill",
    ),
    "fund moved without a liquidation": (
        audit_risk.FUND_FLOWS.name,
        "UPDATE postings SET kind = 8 WHERE account_id = 3 AND kind = 5",
        "moves the insurance fund, and its event is no fill of a liquidation",
    ),
    "position in a liquidation that is not there": (
        audit_risk.LIQUIDATIONS.name,
        f"UPDATE positions SET liquidation_id = 77 WHERE account_id = {BUYER}",
        f"account {BUYER}, market 1: its position is in liquidation 77",
    ),
    "step of a liquidation missing": (
        audit_risk.LIQUIDATIONS.name,
        f"""
        INSERT INTO liquidations (account_id, asset_id, market_id, flagged_in_market_id, flagged_at_sequence,
            equity_units, maintenance_units, opened_at_ms, steps) VALUES ({BUYER}, 2, 0, 1, 1, 5, 6, 5, 1)
        """,
        "took 1 steps, 0 are stored",
    ),
    "covered loss without a journal": (
        audit_risk.LIQUIDATIONS.name,
        f"""
        INSERT INTO liquidations (liquidation_id, account_id, asset_id, market_id, flagged_in_market_id,
            flagged_at_sequence, equity_units, maintenance_units, opened_at_ms, steps)
        VALUES (77, {BUYER}, 2, 0, 1, 1, 5, 6, 5, 1);
        INSERT INTO liquidation_steps (liquidation_id, step, kind, equity_units, maintenance_units, amount_units,
            created_at_ms) VALUES (77, 1, 4, -5, 0, 5, 5)
        """,
        "covered losses of 5, journals say 0",
    ),
    "below maintenance and not flagged": (
        audit_risk.FLAGGED,
        f"""
        INSERT INTO market_prices VALUES (1, 1, 1, 1, 0);
        UPDATE balances SET total_units = 0, held_units = 0, transfer_hold_units = 0 WHERE account_id = {BUYER}
        """,
        f"account {BUYER}, scope 0: equity -",
    ),
    "swap that an offer does not know": (
        audit_swaps.OFFERS.name,
        "UPDATE swap_offers SET pending_units = 0 WHERE pending_units > 0 AND side = 2",
        ": 0 pending, its swaps say 500; 1000 gone, its swaps took 1000",
    ),
    "swap at nobody's price": (
        audit_swaps.OFFERS.name,
        "UPDATE swaps SET price_units = price_units + 1 WHERE status = 2",
        "is not of two offers of its pair that cross at its price",
    ),
    "trade that no candle has": (
        audit_swaps.CANDLES.name,
        "UPDATE swap_candles SET first_volume_units = 999 WHERE period_ms = 60000",
        "candles of 60000 ms: 999 and 20000 traded, swaps say 1000 and 20000",
    ),
    "fee not on the fee account": (
        rules.FEES.name,
        "UPDATE fills SET fee_units = fee_units + 1 WHERE market_id = 2 AND trade_id = 1 AND side = 1",
        "asset 2: the fee account has",
    ),
    "hold leaked on the balance": (
        rules.HELD.name,
        f"UPDATE balances SET held_units = held_units + 1 WHERE account_id = {BUYER} AND asset_id = 2",
        f"account {BUYER}, asset 2: the balance holds",
    ),
    "hold of an order that no balance holds": (
        rules.HELD.name,
        f"UPDATE balances SET held_units = 0 WHERE account_id = {THIRD} AND asset_id = 2",
        f"account {THIRD}, asset 2: the balance holds 0",
    ),
    "hold of an ended order": (
        rules.HELD.name,
        DROP.format("orders", "orders_ended_hold_nothing")
        + f"UPDATE orders SET held_units = 4 WHERE {order_of(SPOT, 1)}",
        "has ended and holds 4",
    ),
    "spot order holds too little": (
        ORDER_HOLDS,
        f"UPDATE orders SET held_units = held_units - 1 WHERE {FIRST_OPEN}",
        "holds 1300569959 and needs 1300569960",
    ),
    "order of a perpetual holds": (
        ORDER_HOLDS,
        f"UPDATE orders SET held_units = 1 WHERE {order_of(PERP, 2)}",
        "a perpetual's order holds nothing",
    ),
    "order in no market": (
        ORDER_HOLDS,
        f"UPDATE orders SET market_id = 9 WHERE {FIRST_OPEN}",
        "is in market 9, which there is not",
    ),
    "open lots leaked": (
        OPEN_SUMS,
        f"""UPDATE positions SET open_buy_lots = open_buy_lots + 1,
            open_buy_notional_units = open_buy_notional_units + 1 WHERE account_id = {BUYER}""",
        f"account {BUYER}, market {PERP}: buy_lots is",
    ),
    "open notional wrong": (
        OPEN_SUMS,
        f"UPDATE positions SET open_sell_notional_units = open_sell_notional_units + 1 WHERE account_id = {SELLER}",
        f"account {SELLER}, market {PERP}: sell_notional_units is",
    ),
    "fee reserve wrong": (
        OPEN_SUMS,
        f"UPDATE positions SET fee_reserve_units = fee_reserve_units - 1 WHERE account_id = {THIRD}",
        f"account {THIRD}, market {PERP}: fee_reserve_units is",
    ),
    "open orders without a row": (
        OPEN_SUMS,
        f"DELETE FROM positions WHERE account_id = {THIRD}",
        f"account {THIRD}, market {PERP}: open orders, and no row",
    ),
    "positions out of nothing": (
        rules.POSITIONS_ZERO.name,
        f"UPDATE positions SET position_lots = position_lots + 1 WHERE account_id = {BUYER}",
        f"positions of market {PERP} sum to 1 lots",
    ),
    "cost out of nothing": (
        rules.CLEARING.name,
        f"UPDATE positions SET cost_units = cost_units + 1 WHERE account_id = {BUYER}",
        f"market {PERP}: its clearing account has",
    ),
    "clearing account of a spot market": (
        rules.CLEARING.name,
        f"UPDATE balances SET account_id = 1000 + {SPOT} WHERE account_id = 1000 + {PERP}",
        "its clearing account has",
    ),
    "clearing account in another asset": (
        rules.CLEARING.name,
        f"""INSERT INTO balances (account_id, asset_id, is_margin_asset, total_units)
            VALUES (1000 + {PERP}, 1, false, 2)""",
        f"market {PERP}: its clearing account has 2 of asset 1",
    ),
    "realised and not paid": (
        rules.REALISED.name,
        "UPDATE fills SET realised_pnl_units = realised_pnl_units + 1 WHERE realised_pnl_units <> 0",
        f"market {PERP}: its clearing account has",
    ),
    "position does not follow from its fills": (
        rules.POSITIONS.name,
        f"""UPDATE positions SET realised_pnl_units = realised_pnl_units
            + CASE account_id WHEN {BUYER} THEN 5 ELSE -5 END WHERE account_id IN ({BUYER}, {SELLER})""",
        f"account {SELLER}, market {PERP}: lots, cost, realised are",
    ),
    "more filled than asked for": (
        rules.QUANTITIES.name,
        DROP.format("orders", "orders_open_range")
        + f"UPDATE orders SET open_lots = quantity_lots + 1 WHERE {FIRST_OPEN}",
        "of 200 lots: 201 open and 0 filled",
    ),
    "pending order not whole": (
        rules.QUANTITIES.name,
        "UPDATE orders SET open_lots = open_lots - 1 WHERE status = 1 AND budget = 0",
        "lots: 99 open and 0 filled",
    ),
    "filled status of an order that is open": (
        rules.STATUSES.name,
        DROP.format("orders", "orders_open_by_status")
        + DROP.format("orders", "orders_ended_hold_nothing")
        + DROP.format("orders", "orders_filled_by_status")
        + f"UPDATE orders SET status = 4 WHERE {FIRST_OPEN}",
        "has status 4, reason 0: 200 open and 0 filled",
    ),
    "settled and still pending": (
        rules.STATUSES.name,
        f"UPDATE orders SET status = 1 WHERE {FIRST_OPEN}",
        f"is pending, and its command 10 of market {SPOT} is settled",
    ),
    "open before its command is settled": (
        rules.STATUSES.name,
        "UPDATE orders SET status = 2 WHERE status = 1 AND budget = 0",
        "has status 2, and its command",
    ),
    "order of a command that was never accepted": (
        rules.STATUSES.name,
        "UPDATE orders SET sequence = 99 WHERE status = 1 AND budget = 0",
        "is of command 99",
    ),
    "filled without a fill": (
        rules.FILLED.name,
        f"UPDATE orders SET filled_notional_units = filled_notional_units + 1 WHERE {order_of(SPOT, 1)}",
        "lots filled for",
    ),
    "fill of no order": (
        rules.FILLED.name,
        "UPDATE fills SET order_id = 5 WHERE market_id = 2 AND trade_id = 1 AND side = 1",
        "order 5: 0 lots filled for 0 units, its fills say 500",
    ),
    "amendment that is settled already": (
        rules.AMENDMENTS.name,
        f"UPDATE amendments SET sequence = 5 WHERE market_id = {SPOT} AND quantity_lots > 0",
        f"market {SPOT}, command 5: an amendment is under way",
    ),
    "amendment of nobody's order": (
        rules.AMENDMENTS.name,
        f"UPDATE amendments SET order_id = 5 WHERE market_id = {PERP} AND quantity_lots > 0",
        "amends order 5, which is not its account's",
    ),
    "amendment that the balance does not hold": (
        rules.HELD.name,
        f"UPDATE amendments SET held_units = held_units + 1 WHERE market_id = {SPOT} AND quantity_lots > 0",
        "the balance holds",
    ),
    "amendment that the row does not count": (
        OPEN_SUMS,
        f"DELETE FROM amendments WHERE market_id = {PERP}",
        f"account {THIRD}, market {PERP}: buy_lots is",
    ),
    "client id twice": (
        rules.CLIENT_IDS.name,
        f"DROP INDEX orders_one_by_client_id;UPDATE orders SET client_order_id = 'mine-1' WHERE {order_of(SPOT, 2)}",
        f"account {SELLER}: client id mine-1 names 2 orders",
    ),
    "sides of a trade differ": (
        rules.TRADE_SIDES.name,
        "UPDATE fills SET quantity_lots = quantity_lots + 1 WHERE market_id = 2 AND trade_id = 1 AND side = 1",
        "market 2, trade 1: 2 sides that do not agree",
    ),
    "one side of a trade is missing": (
        rules.TRADE_SIDES.name,
        "DELETE FROM fills WHERE market_id = 1 AND trade_id = 1 AND side = 2",
        "market 1, trade 1: 1 sides that do not agree",
    ),
    "notional is not price times quantity": (
        rules.TRADE_SIDES.name,
        "UPDATE fills SET notional_units = notional_units + 1 WHERE market_id = 1 AND trade_id = 2",
        "market 1, trade 2: 650007 ticks by",
    ),
    "trade missing": (
        rules.TRADE_NUMBERS.name,
        "DELETE FROM fills WHERE market_id = 1 AND trade_id = 1",
        "market 1: trade 2 follows trade 0",
    ),
    "command missing": (
        rules.LOG.name,
        "DELETE FROM commands WHERE market_id = 1 AND sequence = 4",
        "market 1: command 5 follows command 3",
    ),
    "last command missing": (
        rules.LOG.name,
        "DELETE FROM commands WHERE market_id = 1 AND sequence = 19",
        "market 1: 19 commands are counted, the last in the log is 18",
    ),
    "settled more than accepted": (
        rules.SETTLED.name,
        "UPDATE market_settlements SET last_settled_sequence = 40 WHERE market_id = 1",
        "market 1 is settled up to 40 and accepted 19",
    ),
    "market without counters": (
        rules.SETTLED.name,
        "DELETE FROM market_settlements WHERE market_id = 1",
        "market 1 is settled up to nothing and accepted 19",
    ),
    "log can not be played": (
        REPLAY,
        "DELETE FROM commands WHERE market_id = 1 AND sequence = 4",
        "market 1, command 4: the log goes on with 5",
    ),
    "command of another version": (
        REPLAY,
        "UPDATE commands SET version = 9 WHERE market_id = 2 AND sequence = 6",
        "market 2, command 6: it is of version 9",
    ),
    "command says another sequence": (
        REPLAY,
        "UPDATE commands SET record = set_byte(record, 8, 77) WHERE market_id = 2 AND sequence = 6",
        "market 2, command 6: its records say that they are command 77",
    ),
    "price of a fill": (
        FILLS,
        "UPDATE fills SET price_ticks = price_ticks + 1 WHERE market_id = 2 AND trade_id = 2 AND side = 2",
        "market 2, sequence 3, trade 2, seller: price_ticks is stored as 130008, the log gives 130007",
    ),
    "fill is not stored": (
        FILLS,
        "DELETE FROM fills WHERE market_id = 2 AND trade_id = 2 AND side = 1",
        "market 2, sequence 3, trade 2, buyer: not stored",
    ),
    "fill that the log does not give": (
        FILLS,
        "UPDATE fills SET trade_id = 50 WHERE market_id = 2 AND trade_id = 3",
        "trade 3, buyer: not stored",
    ),
    "trade that the log does not give": (
        FILLS,
        """INSERT INTO fills (market_id, trade_id, side, order_id, account_id, role, price_ticks, quantity_lots,
            notional_units, fee_units, fee_ppm, fee_asset_id, sequence, event_index, created_at_ms)
            SELECT market_id, 60, side, order_id, account_id, role, price_ticks, quantity_lots,
            notional_units, fee_units, fee_ppm, fee_asset_id, sequence, event_index, created_at_ms
            FROM fills WHERE market_id = 2 AND trade_id = 1""",
        "market 2, sequence 3, trade 60, buyer: stored, and the log does not give it",
    ),
    "order is not stored": (
        ENTERED,
        f"DELETE FROM orders WHERE {order_of(SPOT, 7)}",
        "market 2, sequence 7: order",
    ),
    "order of another account": (
        ENTERED,
        f"UPDATE orders SET account_id = {BUYER} WHERE {order_of(PERP, 5)}",
        f"account_id is stored as {BUYER}, the log gives {THIRD}",
    ),
    "order that the log did not enter": (
        ENTERED,
        f"""INSERT INTO orders (order_id, account_id, market_id, sequence, side, type, time_in_force, quantity_lots,
            price_ticks, status, reason, open_lots, maker_fee_ppm, taker_fee_ppm, created_at_ms, updated_at_ms)
            VALUES (5, {BUYER}, {SPOT}, 6, 1, 1, 1, 10, 10, 5, 400, 0, 0, 0, 0, 0)""",
        f"market {SPOT}: 14 orders are stored, the log entered 13",
    ),
    "open quantity differs from the engine": (
        LIVE,
        f"UPDATE orders SET open_lots = open_lots - 1 WHERE {FIRST_OPEN}",
        "open_lots is stored as 199, the engine holds 200",
    ),
    "total differs from the engine": (
        LIVE,
        f"UPDATE orders SET quantity_lots = quantity_lots + 1 WHERE {order_of(SPOT, 4)}",
        "quantity_lots is stored as 301, the engine holds 300",
    ),
    "price differs from the engine": (
        LIVE,
        f"UPDATE orders SET price_ticks = price_ticks - 1 WHERE {FIRST_OPEN}",
        "price_ticks is stored as 129991, the engine holds 129992",
    ),
    "order ended in the table only": (
        LIVE,
        f"UPDATE orders SET status = 5, reason = 400, open_lots = 0, held_units = 0 WHERE {FIRST_OPEN}",
        "is live in the engine, and stored as CANCELLED",
    ),
    "order lives in the table only": (
        LIVE,
        f"UPDATE orders SET status = 2, reason = 0, open_lots = 1 WHERE {order_of(SPOT, 5)}",
        "is stored as OPEN, the engine holds none",
    ),
    "live order deleted": (
        LIVE,
        f"DELETE FROM orders WHERE {FIRST_OPEN}",
        f"market {SPOT}: the engine holds",
    ),
    "snapshot of another state": (
        SNAPSHOTS,
        f"UPDATE snapshots SET data = (SELECT data FROM snapshots WHERE market_id = {PERP}) WHERE market_id = {SPOT}",
        f"market {SPOT}, snapshot 12: state ",
    ),
    "snapshot with a damaged frame": (
        SNAPSHOTS,
        f"UPDATE snapshots SET data = set_byte(data, 0, 0) WHERE market_id = {SPOT}",
        f"market {SPOT}, snapshot 12: its frame is damaged",
    ),
    "snapshot beyond the log": (
        SNAPSHOTS,
        f"UPDATE snapshots SET sequence = 77 WHERE market_id = {SPOT}",
        f"market {SPOT}: snapshot 77 is beyond the log, 16",
    ),
}


class _UndoneError(Exception):
    """Ends a transaction that must leave no trace."""


async def differences_after(database: Database, corruption: str) -> dict[str, str]:
    """What an audit finds when the rows are so; they are as before afterwards."""
    found = {}
    try:
        async with database.transaction() as transaction:
            await transaction.execute("SET LOCAL session_replication_role = replica")
            await transaction.execute(corruption)
            found = differences(await audit_at(transaction))
            raise _UndoneError
    except _UndoneError:
        return found


@pytest.mark.parametrize(("name", "corruption", "words"), CORRUPTIONS.values(), ids=CORRUPTIONS.keys())
def test_every_check_finds_and_names_what_is_wrong(history: str, name: str, corruption: str, words: str) -> None:
    found = using(history, lambda database: differences_after(database, corruption))
    assert words in found[name]


def test_every_check_has_a_corruption_that_it_finds(history: str) -> None:
    async def scenario(database: Database) -> set[str]:
        return {check.name for check in await audit(database)}

    assert using(history, scenario) == {name for name, _, _ in CORRUPTIONS.values()}
