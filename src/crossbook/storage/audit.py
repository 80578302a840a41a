"""The audit of a venue: everything that is stored, proved from everything else, at one moment.

All reads are of one repeatable-read transaction, so they see one moment of the database, and the venue
goes on meanwhile. Work in flight is no fault, because of what a command has touched at that moment:

- Accepted and not yet settled: its command, its market's counter, its order (pending, all of it open),
  what the order holds and what the open sums count for it; or its amendment, and what that sets aside. All of
  that was one transaction, so it is there whole or not at all, and every rule between these rows holds.
  Nothing else was touched: no other order, no fill, no posting, no position.
- Settled: its fills, postings, balances, positions and orders, and the settled sequence; one transaction too.

So rules between rows hold at every moment; and what the engine made is compared after the settled
sequence exactly, where pending orders are not yet known to it.
"""

from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from crossbook.application.audit import (
    Check,
    OpenOrders,
    OpenSums,
    Tally,
    look_at_live_order,
    negative_difference,
)
from crossbook.application.markets import Market
from crossbook.storage import markets as stored_markets
from crossbook.storage.audit_log import LIVE_COLUMNS, audit_logs, live_order
from crossbook.storage.audit_risk import RISK_RULES, flagged
from crossbook.storage.audit_rules import LEDGER_RULES, LOG_RULES, ORDER_RULES, POSITION_RULES, Rule
from crossbook.storage.audit_swaps import SWAP_RULES
from crossbook.storage.database import Database, Row, Transaction

STATEMENT_TIMEOUT_MS: Final = 3_600_000
"""What to connect with for an audit: sums over all history take their time, and nobody waits for them."""
PAGE: Final = 5_000

NEGATIVE: Final = "only accounts that may be are below zero"
ORDER_HOLDS: Final = "live orders hold what they need"
OPEN_SUMS: Final = "position rows sum their open orders"


_SET_ASIDE: Final = """
    SELECT account_id, market_id, coalesce(sum(extra_lots) FILTER (WHERE side = 1), 0),
        coalesce(sum(extra_notional_units) FILTER (WHERE side = 1), 0),
        coalesce(sum(extra_lots) FILTER (WHERE side = 2), 0),
        coalesce(sum(extra_notional_units) FILTER (WHERE side = 2), 0), sum(extra_fee_reserve_units)
    FROM amendments GROUP BY account_id, market_id
"""


@dataclass(frozen=True)
class _Live:
    """What one pass over all live orders gives."""

    holds: Tally
    open_orders: OpenOrders


async def audit(database: Database) -> list[Check]:
    """Look at everything, at one moment, while the venue goes on.

    `database` should be connected with `STATEMENT_TIMEOUT_MS`. Raises StorageError as
    `Database.transaction` does, and InvalidInstrument for a market whose terms no market may have.
    """
    async with database.snapshot() as transaction:
        await transaction.execute("SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0")
        return await audit_at(transaction)


async def audit_at(transaction: Transaction) -> list[Check]:
    """As `audit`, of what a transaction sees; every check is made, whatever the ones before it found."""
    markets = {market.number: market for market in await stored_markets.load(transaction)}
    live = await _live_orders(transaction, markets)
    return [
        *await _follow(transaction, LEDGER_RULES),
        await _negative(transaction),
        live.holds.check(),
        await _open_sums(transaction, live.open_orders),
        *await _follow(transaction, POSITION_RULES),
        *await _follow(transaction, RISK_RULES),
        await flagged(transaction, list(markets.values())),
        *await _follow(transaction, ORDER_RULES),
        *await _follow(transaction, LOG_RULES),
        *await _follow(transaction, SWAP_RULES),
        *await audit_logs(transaction, list(markets.values())),
    ]


async def _follow(transaction: Transaction, rules: Iterable[Rule]) -> list[Check]:
    """Make the checks of rules that the database looks at by itself."""
    checks = []
    for rule in rules:
        tally = Tally(rule.name, rule.things)
        tally.count(await transaction.value(rule.count))
        for query in rule.differences:
            tally.differs(await transaction.value(query))
        checks.append(tally.check())
    return checks


async def _negative(transaction: Transaction) -> Check:
    tally = Tally(NEGATIVE, "balances")
    tally.count(await transaction.value("SELECT count(*) FROM balances"))
    rows = await transaction.rows(
        """
        SELECT account_id, name, total_units, assets.is_margin_asset FROM balances JOIN assets USING (asset_id)
        WHERE total_units < 0 ORDER BY account_id, asset_id
        """
    )
    for row in rows:
        tally.differs(negative_difference(*row))
    return tally.check()


# -- Live orders -------------------------------------------------------------------------------------
async def _live_orders(transaction: Transaction, markets: Mapping[int, Market]) -> _Live:
    live = _Live(Tally(ORDER_HOLDS, "live orders"), OpenOrders())
    async for page in _pages_of_live_orders(transaction):
        for row in page:
            look_at_live_order(live_order(row), markets, live.holds, live.open_orders)
    for row in await transaction.rows(_SET_ASIDE):
        live.open_orders.add_amendments(row[0], row[1], OpenSums(*(int(value) for value in row[2:])))
    return live


async def _pages_of_live_orders(transaction: Transaction) -> AsyncIterator[list[Row]]:
    """All live orders, by account and market, along their index."""
    last = (0, 0, 0)
    while True:
        page = await transaction.rows(
            f"""
            SELECT {LIVE_COLUMNS} FROM orders
            WHERE is_live AND (account_id, market_id, order_id) > ($1::bigint, $2::integer, $3::bigint)
            ORDER BY account_id, market_id, order_id LIMIT $4
            """,  # noqa: S608
            *last,
            PAGE,
        )
        if not page:
            return
        yield page
        last = (page[-1]["account_id"], page[-1]["market_id"], page[-1]["order_id"])


async def _open_sums(transaction: Transaction, open_orders: OpenOrders) -> Check:
    """Compare the open sums of every position row with those made from the orders."""
    tally = Tally(OPEN_SUMS, "position rows")
    last = (0, 0)
    while True:
        page = await transaction.rows(
            """
            SELECT account_id, market_id, open_buy_lots, open_buy_notional_units, open_sell_lots,
                open_sell_notional_units, fee_reserve_units
            FROM positions WHERE (account_id, market_id) > ($1::bigint, $2::integer)
            ORDER BY account_id, market_id LIMIT $3
            """,
            *last,
            PAGE,
        )
        if not page:
            break
        for row in page:
            stored = OpenSums(*(int(value) for value in row[2:]))
            tally.count()
            tally.differs(open_orders.compare(row["account_id"], row["market_id"], stored))
        last = (page[-1]["account_id"], page[-1]["market_id"])
    tally.differs(open_orders.left_over())
    return tally.check()
