"""What an audit proves of liquidations: who must be flagged is, and the fund moved what the fills say."""

from collections.abc import Sequence
from typing import Final

from crossbook.application.audit import Check, Tally
from crossbook.application.markets import Market
from crossbook.domain.instruments import InstrumentKind
from crossbook.storage.audit_rules import Rule
from crossbook.storage.database import Transaction
from crossbook.storage.flagging import NOT_LIQUIDATING, read_risks

PAGE: Final = 2_000

FLAGGED: Final = "whoever is below maintenance margin is flagged"

FUND_FLOWS: Final = Rule(
    "the insurance fund moved what liquidation fills say",
    "fills",
    "SELECT count(*) FROM fills",
    (
        """
        SELECT format('market %s, event %s/%s: the fund moved %s for a liquidation fill that gained %s, at most %s',
            market_id, sequence, event_index, moved, gain, most)
        FROM (
            SELECT fills.market_id, fills.sequence, event_index,
                (fills.price_ticks - bankruptcy_price_ticks)::numeric * CASE orders.side WHEN 2 THEN 1 ELSE -1 END
                    * div(notional_units, fills.price_ticks) AS gain,
                div(notional_units::numeric * liquidation_fee_ppm, 1000000) AS most,
                coalesce((
                    SELECT sum(amount_units) FROM journals JOIN postings USING (journal_id)
                    WHERE journals.market_id = fills.market_id AND journals.sequence = fills.sequence
                        AND journals.event_index = fills.event_index AND account_id = 3 AND postings.kind IN (7, 8)
                ), 0) AS moved
            FROM fills JOIN orders USING (order_id) JOIN markets ON markets.market_id = fills.market_id
            WHERE purpose = 2
        ) AS flows
        WHERE CASE WHEN gain >= 0 THEN moved <> least(gain, most) ELSE moved > 0 OR moved < gain END
        ORDER BY market_id, sequence, event_index LIMIT 1
        """,
        """
        SELECT format('journal %s moves the insurance fund, and its event is no fill of a liquidation', journal_id)
        FROM postings JOIN journals USING (journal_id)
        WHERE account_id = 3 AND postings.kind IN (7, 8) AND journals.market_id IS NOT NULL AND NOT EXISTS (
            SELECT FROM fills JOIN orders USING (order_id) WHERE fills.market_id = journals.market_id
                AND fills.sequence = journals.sequence AND fills.event_index = journals.event_index AND purpose = 2
        ) ORDER BY journal_id LIMIT 1
        """,
    ),
)

LIQUIDATIONS: Final = Rule(
    "positions, liquidations and their steps agree",
    "positions",
    "SELECT count(*) FROM positions",
    (
        """
        SELECT format('account %s, market %s: its position is in liquidation %s, which is not open for it',
            account_id, market_id, liquidation_id)
        FROM positions WHERE liquidation_id IS NOT NULL AND NOT EXISTS (
            SELECT FROM liquidations WHERE liquidations.liquidation_id = positions.liquidation_id
                AND liquidations.account_id = positions.account_id AND closed_at_ms IS NULL
                AND liquidations.market_id = CASE margin_mode WHEN 2 THEN positions.market_id ELSE 0 END
        ) ORDER BY account_id, market_id LIMIT 1
        """,
        """
        SELECT format('liquidation %s took %s steps, %s are stored', liquidation_id, steps, stored) FROM (
            SELECT liquidation_id, steps, (
                SELECT count(*) FROM liquidation_steps AS taken WHERE taken.liquidation_id = one.liquidation_id
            ) AS stored FROM liquidations AS one
        ) AS counted WHERE steps <> stored ORDER BY liquidation_id LIMIT 1
        """,
        """
        SELECT format('liquidations covered losses of %s, journals say %s', covered, posted) FROM (
            SELECT (SELECT coalesce(sum(amount_units), 0) FROM liquidation_steps WHERE kind = 4) AS covered,
                (SELECT coalesce(sum(amount_units), 0) FROM journals JOIN postings USING (journal_id)
                    WHERE journals.kind = 6 AND account_id >= 1000000) AS posted
        ) AS sums WHERE covered <> posted
        """,
    ),
)

RISK_RULES: Final = (FUND_FLOWS, LIQUIDATIONS)


async def flagged(transaction: Transaction, markets: Sequence[Market]) -> Check:
    """Ask the rule itself about everybody with a position, where marks are trusted."""
    tally = Tally(FLAGGED, "positions")
    tally.count(await transaction.value("SELECT count(*) FROM positions"))
    perpetuals = [market for market in markets if market.instrument.kind is InstrumentKind.PERPETUAL]
    for asset_id in sorted({market.quote_asset_id for market in perpetuals}):
        of_asset = [market for market in perpetuals if market.quote_asset_id == asset_id]
        await _look(transaction, tally, asset_id, of_asset)
    return tally.check()


async def _look(transaction: Transaction, tally: Tally, asset_id: int, perpetuals: Sequence[Market]) -> None:
    rows = await transaction.rows(
        "SELECT account_id, market_id FROM liquidations WHERE closed_at_ms IS NULL AND asset_id = $1", asset_id
    )
    known = {(row[0], row[1]) for row in rows}
    untrusted = {market.number for market in perpetuals if int(market.instrument.status) in NOT_LIQUIDATING}
    last = 0
    while True:
        page = await transaction.rows(
            """
            SELECT DISTINCT account_id FROM positions JOIN market_prices USING (market_id)
            WHERE is_open AND market_id = ANY ($1::integer[]) AND account_id > $2 ORDER BY account_id LIMIT $3
            """,
            [market.number for market in perpetuals],
            last,
            PAGE,
        )
        if not page:
            return
        accounts = [row[0] for row in page]
        last = accounts[-1]
        for account_id, risk in (await read_risks(transaction, accounts, asset_id, perpetuals)).items():
            for scope in risk.scopes:
                trusted = not any(each.market_id in untrusted for each in scope.positions)
                if trusted and scope.market_id in risk.in_liquidation and (account_id, scope.market_id) not in known:
                    tally.differs(
                        f"account {account_id}, scope {scope.market_id}: equity {scope.equity_units}, maintenance "
                        f"{scope.maintenance_units}, and it is not flagged"
                    )
