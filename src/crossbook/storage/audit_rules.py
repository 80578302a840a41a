"""The rules of an audit that the database can look at by itself, as data.

Each rule counts what there is and has queries that give the first difference as a text, or no row.
Everything a query compares is changed by one and the same transaction of the venue, so it holds at every
moment, with commands in flight too. Where a command in flight makes rows look different, the rule says so.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Rule:
    """One check: its name, a query that counts its `things`, and queries for its first difference."""

    name: str
    things: str
    count: str
    differences: tuple[str, ...]


JOURNALS: Final = Rule(
    "every journal sums to zero",
    "journals",
    "SELECT count(*) FROM journals",
    (
        """
        SELECT format('journal %s sums to %s in asset %s', journal_id, sum(amount_units), asset_id)
        FROM postings GROUP BY journal_id, asset_id HAVING sum(amount_units) <> 0
        ORDER BY journal_id, asset_id LIMIT 1
        """,
        """
        SELECT format('journal %s has postings and is not there', journal_id) FROM postings
        WHERE NOT EXISTS (SELECT FROM journals WHERE journals.journal_id = postings.journal_id)
        ORDER BY journal_id LIMIT 1
        """,
        """
        SELECT format('journal %s has no postings', journal_id) FROM journals
        WHERE NOT EXISTS (SELECT FROM postings WHERE postings.journal_id = journals.journal_id)
        ORDER BY journal_id LIMIT 1
        """,
    ),
)

ASSETS: Final = Rule(
    "all accounts together hold nothing",
    "assets",
    "SELECT count(*) FROM assets",
    (
        """
        SELECT format('balances of asset %s sum to %s', asset_id, sum(total_units))
        FROM balances GROUP BY asset_id HAVING sum(total_units) <> 0 ORDER BY asset_id LIMIT 1
        """,
        """
        SELECT format('postings of asset %s sum to %s', asset_id, sum(amount_units))
        FROM postings GROUP BY asset_id HAVING sum(amount_units) <> 0 ORDER BY asset_id LIMIT 1
        """,
    ),
)

BALANCES: Final = Rule(
    "balances are the sums of their postings",
    "balances",
    "SELECT count(*) FROM balances",
    (
        """
        SELECT format('account %s, asset %s: the balance is %s, its postings sum to %s',
            account_id, asset_id, coalesce(total_units, 0), coalesce(posted_units, 0))
        FROM balances FULL JOIN (
            SELECT account_id, asset_id, sum(amount_units) AS posted_units FROM postings GROUP BY account_id, asset_id
        ) AS posted USING (account_id, asset_id)
        WHERE coalesce(total_units, 0) <> coalesce(posted_units, 0) ORDER BY account_id, asset_id LIMIT 1
        """,
    ),
)

INSURANCE: Final = Rule(
    "the insurance fund is not below zero",
    "assets",
    "SELECT count(*) FROM balances WHERE account_id = 3",
    (
        """
        SELECT format('the insurance fund has %s units of asset %s', total_units, asset_id)
        FROM balances WHERE account_id = 3 AND total_units < 0 ORDER BY asset_id LIMIT 1
        """,
    ),
)

FEES: Final = Rule(
    "the fee account is the sum of the fills' fees",
    "fills",
    "SELECT count(*) FROM fills",
    (
        """
        SELECT format('asset %s: the fee account has %s, fills paid %s',
            asset_id, coalesce(total_units, 0), coalesce(paid_units, 0))
        FROM (SELECT asset_id, total_units FROM balances WHERE account_id = 2) AS fees FULL JOIN (
            SELECT fee_asset_id AS asset_id, sum(fee_units) AS paid_units FROM fills GROUP BY fee_asset_id
        ) AS paid USING (asset_id)
        WHERE coalesce(total_units, 0) <> coalesce(paid_units, 0) ORDER BY asset_id LIMIT 1
        """,
    ),
)

# A pending order holds already, on its row and on the balance: both are written when it is accepted. So does an
# amendment under way, beside its order.
HELD: Final = Rule(
    "balances hold what spot orders hold",
    "balances",
    "SELECT count(*) FROM balances WHERE held_units > 0",
    (
        """
        SELECT format('account %s, asset %s: the balance holds %s, its live orders hold %s',
            account_id, asset_id, coalesce(held_units, 0), coalesce(order_units, 0))
        FROM (SELECT account_id, asset_id, held_units FROM balances WHERE held_units <> 0) AS held FULL JOIN (
            SELECT account_id, CASE side WHEN 1 THEN quote_asset_id ELSE base_asset_id END AS asset_id,
                sum(held_units) AS order_units
            FROM (
                SELECT account_id, market_id, side, held_units FROM orders WHERE is_live AND held_units <> 0
                UNION ALL
                SELECT account_id, market_id, side, held_units FROM amendments WHERE held_units <> 0
            ) AS holding JOIN markets USING (market_id) GROUP BY 1, 2
        ) AS live USING (account_id, asset_id)
        WHERE coalesce(held_units, 0) <> coalesce(order_units, 0) ORDER BY account_id, asset_id LIMIT 1
        """,
        """
        SELECT format('order %s has ended and holds %s', order_id, held_units)
        FROM orders WHERE NOT is_live AND held_units <> 0 ORDER BY order_id LIMIT 1
        """,
    ),
)

TRANSFER_HOLDS: Final = Rule(
    "balances hold what open withdrawals hold",
    "open transfers",
    "SELECT count(*) FROM transfers WHERE status <= 2",
    (
        """
        SELECT format('account %s, asset %s: the balance holds %s for transfers, its open withdrawals are %s',
            account_id, asset_id, coalesce(transfer_hold_units, 0), coalesce(amount_units, 0))
        FROM (SELECT account_id, asset_id, transfer_hold_units FROM balances WHERE transfer_hold_units <> 0) AS held
        FULL JOIN (
            SELECT account_id, asset_id, sum(amount_units) AS amount_units
            FROM transfers WHERE status <= 2 AND type = 2 GROUP BY 1, 2
        ) AS open USING (account_id, asset_id)
        WHERE coalesce(transfer_hold_units, 0) <> coalesce(amount_units, 0) ORDER BY account_id, asset_id LIMIT 1
        """,
    ),
)

# An internal transfer that its account receives is a deposit: its posting is positive, as that of any deposit.
TRANSFERS: Final = Rule(
    "completed transfers moved their amount once",
    "transfers",
    "SELECT count(*) FROM transfers",
    (
        """
        SELECT format('transfer %s of %s moved %s', transfer_id, signed_units, coalesce(posted_units, 0))
        FROM (
            SELECT transfer_id, journal_id, account_id, asset_id,
                CASE type WHEN 1 THEN amount_units ELSE -amount_units END AS signed_units
            FROM transfers WHERE status = 3
        ) AS done LEFT JOIN (
            SELECT journal_id, account_id, asset_id, sum(amount_units) AS posted_units
            FROM postings GROUP BY journal_id, account_id, asset_id
        ) AS posted USING (journal_id, account_id, asset_id)
        WHERE signed_units <> coalesce(posted_units, 0) ORDER BY transfer_id LIMIT 1
        """,
    ),
)

POSITIONS_ZERO: Final = Rule(
    "positions of a market sum to zero",
    "positions",
    "SELECT count(*) FROM positions",
    (
        """
        SELECT format('positions of market %s sum to %s lots', market_id, sum(position_lots))
        FROM positions GROUP BY market_id HAVING sum(position_lots) <> 0 ORDER BY market_id LIMIT 1
        """,
    ),
)

CLEARING: Final = Rule(
    "clearing accounts stand against the cost of positions",
    "markets",
    "SELECT count(*) FROM markets WHERE kind = 2",
    (
        """
        SELECT format('market %s: its clearing account has %s, the cost of its positions is %s',
            market_id, coalesce(total_units, 0), coalesce(cost_units, 0))
        FROM markets
        LEFT JOIN balances ON account_id = 1000 + market_id AND asset_id = quote_asset_id
        LEFT JOIN (SELECT market_id, sum(cost_units) AS cost_units FROM positions GROUP BY market_id) AS cost
            USING (market_id)
        WHERE coalesce(total_units, 0) + coalesce(cost_units, 0) <> 0 ORDER BY market_id LIMIT 1
        """,
        """
        SELECT format('market %s: its clearing account has %s of asset %s, which it does not settle in',
            market_id, total_units, asset_id)
        FROM markets JOIN balances ON account_id = 1000 + market_id
        WHERE total_units <> 0 AND (kind <> 2 OR asset_id <> quote_asset_id) ORDER BY market_id, asset_id LIMIT 1
        """,
    ),
)

REALISED: Final = Rule(
    "clearing accounts paid what fills realised",
    "markets",
    "SELECT count(*) FROM markets WHERE kind = 2",
    (
        """
        SELECT format('market %s: its clearing account has %s, its fills realised %s',
            market_id, coalesce(total_units, 0), coalesce(realised_units, 0))
        FROM markets
        LEFT JOIN balances ON account_id = 1000 + market_id AND asset_id = quote_asset_id
        LEFT JOIN (
            SELECT market_id, sum(realised_pnl_units) AS realised_units FROM (
                SELECT market_id, realised_pnl_units FROM fills
                UNION ALL SELECT market_id, realised_pnl_units FROM position_closings
            ) AS each GROUP BY market_id
        ) AS realised USING (market_id)
        WHERE coalesce(total_units, 0) + coalesce(realised_units, 0) <> 0 ORDER BY market_id LIMIT 1
        """,
    ),
)

POSITIONS: Final = Rule(
    "positions follow from their fills",
    "positions",
    "SELECT count(*) FROM positions",
    (
        """
        SELECT format('account %s, market %s: lots, cost, realised are %s, %s, %s; its fills make %s, %s, %s',
            account_id, market_id, coalesce(position_lots, 0), coalesce(positions.cost_units, 0),
            coalesce(realised_pnl_units, 0), coalesce(lots, 0), coalesce(traded.cost_units, 0),
            coalesce(realised_units, 0))
        FROM positions FULL JOIN (
            SELECT account_id, market_id, sum(lots) AS lots, sum(value + realised) AS cost_units,
                sum(realised) AS realised_units
            FROM (
                SELECT account_id, market_id, CASE side WHEN 1 THEN quantity_lots ELSE -quantity_lots END AS lots,
                    CASE side WHEN 1 THEN notional_units ELSE -notional_units END AS value,
                    realised_pnl_units AS realised
                FROM fills JOIN markets USING (market_id) WHERE markets.kind = 2
                UNION ALL
                SELECT account_id, market_id, -position_lots, -cost_units - realised_pnl_units, realised_pnl_units
                FROM position_closings
            ) AS each GROUP BY account_id, market_id
        ) AS traded USING (account_id, market_id)
        WHERE coalesce(position_lots, 0) <> coalesce(lots, 0)
            OR coalesce(positions.cost_units, 0) <> coalesce(traded.cost_units, 0)
            OR coalesce(realised_pnl_units, 0) <> coalesce(realised_units, 0)
        ORDER BY account_id, market_id LIMIT 1
        """,
    ),
)

# What self-trade prevention took off is neither open nor filled: the replay knows it, the row does not.
QUANTITIES: Final = Rule(
    "orders are open, filled and rest",
    "orders",
    "SELECT count(*) FROM orders",
    (
        """
        SELECT format('order %s of %s lots: %s open and %s filled', order_id, quantity_lots, open_lots, filled_lots)
        FROM orders WHERE open_lots < 0 OR filled_lots < 0
            OR (budget = 0 AND open_lots + filled_lots > quantity_lots)
            OR (budget > 0 AND open_lots <> 0)
            OR (status = 1 AND budget = 0 AND open_lots <> quantity_lots)
        ORDER BY order_id LIMIT 1
        """,
    ),
)

# A command in flight is accepted and not settled: its order is pending, and must be; any other must not.
STATUSES: Final = Rule(
    "the status of an order fits what is open and filled",
    "orders",
    "SELECT count(*) FROM orders",
    (
        """
        SELECT format('order %s has status %s, reason %s: %s open and %s filled',
            order_id, status, reason, open_lots, filled_lots)
        FROM orders WHERE NOT CASE status
            WHEN 1 THEN (budget > 0 OR open_lots > 0) AND filled_lots = 0
            WHEN 2 THEN open_lots > 0 AND filled_lots = 0
            WHEN 3 THEN open_lots > 0 AND filled_lots > 0
            WHEN 4 THEN open_lots = 0 AND filled_lots > 0
            WHEN 5 THEN open_lots = 0 AND reason > 0
            WHEN 6 THEN open_lots = 0 AND filled_lots = 0 AND reason > 0
            WHEN 7 THEN open_lots = 0 AND reason > 0
            ELSE false END
        ORDER BY order_id LIMIT 1
        """,
        """
        SELECT CASE WHEN sequence > last_accepted_sequence
            THEN format('order %s is of command %s, market %s accepted %s',
                order_id, sequence, market_id, last_accepted_sequence)
            WHEN status = 1
            THEN format('order %s is pending, and its command %s of market %s is settled',
                order_id, sequence, market_id)
            ELSE format('order %s has status %s, and its command %s of market %s is not settled',
                order_id, status, sequence, market_id) END
        FROM orders JOIN market_sequences USING (market_id) JOIN market_settlements USING (market_id)
        WHERE sequence > last_accepted_sequence OR (status = 1) <> (sequence > last_settled_sequence)
        ORDER BY order_id LIMIT 1
        """,
    ),
)

FILLED: Final = Rule(
    "orders traded what their fills say",
    "orders",
    "SELECT count(*) FROM orders",
    (
        """
        SELECT format('order %s: %s lots filled for %s units, its fills say %s for %s', order_id,
            coalesce(filled_lots, 0), coalesce(filled_notional_units, 0), coalesce(lots, 0), coalesce(notional, 0))
        FROM orders FULL JOIN (
            SELECT order_id, sum(quantity_lots) AS lots, sum(notional_units) AS notional
            FROM fills WHERE order_id > 0 GROUP BY order_id
        ) AS traded USING (order_id)
        WHERE coalesce(filled_lots, 0) <> coalesce(lots, 0)
            OR coalesce(filled_notional_units, 0) <> coalesce(notional, 0)
        ORDER BY order_id LIMIT 1
        """,
    ),
)

CLIENT_IDS: Final = Rule(
    "a client id names one order",
    "client ids",
    "SELECT count(*) FROM orders WHERE client_order_id IS NOT NULL",
    (
        """
        SELECT format('account %s: client id %s names %s orders', account_id, client_order_id, count(*))
        FROM orders WHERE client_order_id IS NOT NULL
        GROUP BY account_id, client_order_id HAVING count(*) > 1 ORDER BY account_id, client_order_id LIMIT 1
        """,
    ),
)

# In flight by its nature: accepted, and removed by the transaction that settles it.
AMENDMENTS: Final = Rule(
    "amendments under way wait for their settlement",
    "amendments",
    "SELECT count(*) FROM amendments",
    (
        """
        SELECT format('market %s, command %s: an amendment is under way, settled is %s and accepted %s',
            market_id, sequence, last_settled_sequence, last_accepted_sequence)
        FROM amendments JOIN market_sequences USING (market_id) JOIN market_settlements USING (market_id)
        WHERE sequence <= last_settled_sequence OR sequence > last_accepted_sequence
        ORDER BY market_id, sequence LIMIT 1
        """,
        """
        SELECT format('market %s, command %s amends order %s, which is not its account''s',
            amendments.market_id, amendments.sequence, order_id)
        FROM amendments LEFT JOIN orders USING (order_id)
        WHERE (orders.account_id, orders.market_id, orders.side)
            IS DISTINCT FROM (amendments.account_id, amendments.market_id, amendments.side)
        ORDER BY amendments.market_id, amendments.sequence LIMIT 1
        """,
    ),
)

TRADE_SIDES: Final = Rule(
    "a trade has two sides that agree",
    "fills",
    "SELECT count(*) FROM fills",
    (
        """
        SELECT format('market %s, trade %s: %s sides that do not agree', market_id, trade_id, count(*))
        FROM fills GROUP BY market_id, trade_id
        HAVING count(*) <> 2 OR sum(side) <> 3 OR min(price_ticks) <> max(price_ticks)
            OR min(quantity_lots) <> max(quantity_lots) OR min(notional_units) <> max(notional_units)
            OR min(sequence) <> max(sequence) OR min(event_index) <> max(event_index)
        ORDER BY market_id, trade_id LIMIT 1
        """,
        """
        SELECT format('market %s, trade %s: %s ticks by %s lots are not %s units',
            market_id, trade_id, price_ticks, quantity_lots, notional_units)
        FROM fills JOIN markets USING (market_id) JOIN assets ON asset_id = quote_asset_id
        WHERE notional_units * 10::numeric ^ (tick_decimals + lot_decimals)
            <> price_ticks::numeric * quantity_lots * tick_size * lot_size * 10::numeric ^ decimals
        ORDER BY market_id, trade_id LIMIT 1
        """,
    ),
)

TRADE_NUMBERS: Final = Rule(
    "trades of a market are numbered without a gap",
    "trades",
    "SELECT count(*) FROM (SELECT DISTINCT market_id, trade_id FROM fills) AS trades",
    (
        """
        SELECT format('market %s: trade %s follows trade %s', market_id, trade_id, before) FROM (
            SELECT market_id, trade_id, coalesce(lag(trade_id) OVER trades, 0) AS before
            FROM fills WINDOW trades AS (PARTITION BY market_id ORDER BY trade_id, side)
        ) AS numbered WHERE trade_id - before > 1 ORDER BY market_id, trade_id LIMIT 1
        """,
    ),
)

LOG: Final = Rule(
    "the log has no gap",
    "commands",
    "SELECT count(*) FROM commands",
    (
        """
        SELECT format('market %s: command %s follows command %s', market_id, sequence, before) FROM (
            SELECT market_id, sequence,
                coalesce(lag(sequence) OVER (PARTITION BY market_id ORDER BY sequence), 0) AS before
            FROM commands
        ) AS numbered WHERE sequence - before <> 1 ORDER BY market_id, sequence LIMIT 1
        """,
        """
        SELECT format('market %s: %s commands are counted, the last in the log is %s',
            market_id, coalesce(last_accepted_sequence, 0), coalesce(last, 0))
        FROM market_sequences FULL JOIN (
            SELECT market_id, max(sequence) AS last FROM commands GROUP BY market_id
        ) AS logged USING (market_id)
        WHERE coalesce(last_accepted_sequence, 0) <> coalesce(last, 0) ORDER BY market_id LIMIT 1
        """,
    ),
)

SETTLED: Final = Rule(
    "nothing is settled that was not accepted",
    "markets",
    "SELECT count(*) FROM markets",
    (
        """
        SELECT format('market %s is settled up to %s and accepted %s',
            market_id, coalesce(last_settled_sequence::text, 'nothing'),
            coalesce(last_accepted_sequence::text, 'nothing'))
        FROM markets LEFT JOIN market_sequences USING (market_id) LEFT JOIN market_settlements USING (market_id)
        WHERE (last_settled_sequence <= last_accepted_sequence) IS NOT TRUE ORDER BY market_id LIMIT 1
        """,
    ),
)

FUNDING: Final = Rule(
    "a period of funding is paid by some to others, and its dust is the insurance fund's",
    "periods",
    "SELECT count(*) FROM fundings",
    (
        """
        SELECT format('market %s, funding of %s: %s positions, dust %s; its payments are %s, less by %s',
            market_id, period_start_ms, positions, dust_units, coalesce(payments, 0), coalesce(-units, 0))
        FROM fundings FULL JOIN (
            SELECT market_id, period_start_ms, count(*) AS payments, sum(amount_units) AS units,
                sum(position_lots) AS lots
            FROM funding_payments GROUP BY market_id, period_start_ms
        ) AS made USING (market_id, period_start_ms)
        WHERE positions IS DISTINCT FROM coalesce(payments, 0) OR dust_units IS DISTINCT FROM coalesce(-units, 0)
            OR coalesce(lots, 0) <> 0
        ORDER BY market_id, period_start_ms LIMIT 1
        """,
        """
        SELECT format('market %s, funding of %s: account %s with %s lots received %s', market_id, period_start_ms,
            account_id, position_lots, amount_units)
        FROM funding_payments JOIN fundings USING (market_id, period_start_ms) JOIN markets USING (market_id)
        JOIN assets ON asset_id = quote_asset_id
        WHERE amount_units <> floor(
            -position_lots::numeric * index_price_ticks * tick_size * lot_size * rate_ppb
            * 10::numeric ^ decimals / 10::numeric ^ (tick_decimals + lot_decimals + 9)
        )
        ORDER BY market_id, period_start_ms, account_id LIMIT 1
        """,
    ),
)

FUNDING_POSTED: Final = Rule(
    "accounts were posted the funding that they are shown",
    "payments",
    "SELECT count(*) FROM funding_payments",
    (
        """
        SELECT format('account %s, asset %s: funding of %s was posted, %s is shown', account_id, asset_id,
            coalesce(posted_units, 0), coalesce(shown_units, 0))
        FROM (
            SELECT account_id, asset_id, sum(amount_units) AS posted_units
            FROM postings WHERE kind = 5 GROUP BY account_id, asset_id
        ) AS posted FULL JOIN (
            SELECT account_id, asset_id, sum(units) AS shown_units FROM (
                SELECT account_id, quote_asset_id AS asset_id, amount_units AS units
                FROM funding_payments JOIN markets USING (market_id)
                UNION ALL SELECT 3, quote_asset_id, dust_units FROM fundings JOIN markets USING (market_id)
            ) AS each GROUP BY account_id, asset_id
        ) AS shown USING (account_id, asset_id)
        WHERE coalesce(posted_units, 0) <> coalesce(shown_units, 0) ORDER BY account_id, asset_id LIMIT 1
        """,
    ),
)

LEDGER_RULES: Final = (JOURNALS, ASSETS, BALANCES, INSURANCE, FEES, HELD, TRANSFER_HOLDS, TRANSFERS)
POSITION_RULES: Final = (POSITIONS_ZERO, CLEARING, REALISED, POSITIONS, FUNDING, FUNDING_POSTED)
ORDER_RULES: Final = (QUANTITIES, STATUSES, FILLED, CLIENT_IDS, AMENDMENTS, TRADE_SIDES, TRADE_NUMBERS)
LOG_RULES: Final = (LOG, SETTLED)
