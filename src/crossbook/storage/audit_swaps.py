"""What an audit proves of peer-to-peer swaps: nothing is promised twice, and every amount is accounted for.

The rules are those of `crossbook.domain.swaps.breaches`, asked of the database; what its constraints say by themselves
is not asked again.
"""

from typing import Final

from crossbook.storage.audit_rules import Rule

OFFERS: Final = Rule(
    "offers promised and gave what their swaps say",
    "offers",
    "SELECT count(*) FROM swap_offers",
    (
        """
        SELECT format('offer %s: %s pending, its swaps say %s; %s gone, its swaps took %s', offer_id, pending_units,
            coalesce(promised, 0), amount_units - left_units, coalesce(taken, 0))
        FROM swap_offers LEFT JOIN (
            SELECT offer_id, sum(amount_units) FILTER (WHERE status = 1) AS promised,
                sum(amount_units) FILTER (WHERE status = 2) AS taken
            FROM (
                SELECT buy_offer_id AS offer_id, amount_units, status FROM swaps
                UNION ALL SELECT sell_offer_id, amount_units, status FROM swaps
            ) AS sides GROUP BY offer_id
        ) AS sums USING (offer_id)
        WHERE pending_units <> coalesce(promised, 0) OR amount_units - left_units <> coalesce(taken, 0)
        ORDER BY offer_id LIMIT 1
        """,
        """
        SELECT format('swap %s is not of two offers of its pair that cross at its price', swap_id)
        FROM swaps JOIN swap_offers AS buy ON buy.offer_id = buy_offer_id
        JOIN swap_offers AS sell ON sell.offer_id = sell_offer_id
        WHERE (buy.side, sell.side, buy.pair_id, sell.pair_id) <> (1, 2, swaps.pair_id, swaps.pair_id)
            OR (buy.user_id, sell.user_id) <> (buyer_id, seller_id) OR buy.price_units < sell.price_units
            OR swaps.price_units <> CASE creator WHEN 1 THEN sell.price_units ELSE buy.price_units END
        ORDER BY swap_id LIMIT 1
        """,
    ),
)

CANDLES: Final = Rule(
    "candles are what confirmed swaps traded",
    "candles",
    "SELECT count(*) FROM swap_candles",
    (
        """
        SELECT format('pair %s, candles of %s ms: %s and %s traded, swaps say %s and %s',
            pair_id, period_ms, candles.first, candles.second, coalesce(traded.first, 0), coalesce(traded.second, 0))
        FROM (
            SELECT pair_id, period_ms, sum(first_volume_units) AS first, sum(second_volume_units) AS second
            FROM swap_candles GROUP BY pair_id, period_ms
        ) AS candles LEFT JOIN (
            SELECT pair_id, sum(amount_units) AS first, sum(total_units) AS second
            FROM swaps WHERE status = 2 GROUP BY pair_id
        ) AS traded USING (pair_id)
        WHERE (candles.first, candles.second) IS DISTINCT FROM (traded.first, traded.second)
        ORDER BY pair_id, period_ms LIMIT 1
        """,
    ),
)

SWAP_RULES: Final = (OFFERS, CANDLES)
