"""What the board of swaps shows. Every list is read by an index, and bounded by whoever asks."""

from collections.abc import Sequence
from typing import Final

from crossbook.application.swap_views import (
    FinaliserView,
    HistoryFilter,
    OfferView,
    OwnSide,
    PairStatistics,
    SwapView,
    TradeView,
    UserPage,
    WalletView,
    user_page,
)
from crossbook.application.swaps import PairTerms
from crossbook.domain.candles import DAY_MS, MINUTE_MS, Candle, Period
from crossbook.domain.orders import Side
from crossbook.domain.swaps import Swap, SwapStatus
from crossbook.storage.database import Database, Row, Transaction
from crossbook.storage.swap_rows import VERSIONS, KeptOffers

_CHOSEN: Final = """
    WHERE user_id = $1 AND ($2::integer IS NULL OR pair_id = $2) AND ($3::smallint IS NULL OR side = $3)
    AND ($4::boolean IS NULL OR (status = 1) = $4) AND swap_offers.created_at_ms BETWEEN $5 AND $6
"""


def _chosen(user_id: int, chosen: HistoryFilter) -> tuple[object, ...]:
    """The values of `_CHOSEN`."""
    return user_id, chosen.pair_id, chosen.side, chosen.active, chosen.since_ms, chosen.until_ms


class Reader:
    """Reads of one moment: the port of `crossbook.application.swap_views.user_page`."""

    def __init__(self, transaction: Transaction, kept: KeptOffers) -> None:
        self._transaction = transaction
        self._kept = kept

    async def own_side(self, user_id: int, pair_id: int) -> OwnSide:
        """The user's active offers and the pending swaps that they are in. Raises StorageError."""
        rows = await self._transaction.rows(
            f"""
            SELECT {VERSIONS} FROM swap_offers JOIN wallets USING (user_id)
            WHERE status = 1 AND user_id = $1 AND pair_id = $2 ORDER BY offer_id
            """,  # noqa: S608
            user_id,
            pair_id,
        )
        offers = await self._kept.read(self._transaction, rows)
        own = {offer.offer_id: offer for offer in offers if offer.pending_units}
        if not own:
            return OwnSide(offers, frozenset(), ())
        swaps = await self._transaction.rows(
            """
            WITH pending AS (
                SELECT swap_id, buy_offer_id AS own_id, sell_offer_id AS other_id, creator = 2 AS mine, amount_units,
                    proposal FROM swaps WHERE status = 1 AND buy_offer_id = ANY ($1::bigint[])
                UNION ALL
                SELECT swap_id, sell_offer_id, buy_offer_id, creator = 1, amount_units, proposal
                FROM swaps WHERE status = 1 AND sell_offer_id = ANY ($1::bigint[])
            )
            SELECT swap_id, own_id, other_id, mine, amount_units::text, CASE WHEN mine THEN proposal END
            FROM pending ORDER BY swap_id
            """,
            list(own),
        )
        others = await self._kept.by_id(self._transaction, [row[2] for row in swaps])
        to_confirm = [
            FinaliserView(row[0], own[row[1]], others[row[2]], int(row[4]), row[5]) for row in swaps if row[3]
        ]
        return OwnSide(offers, frozenset((row[1], row[2]) for row in swaps), to_confirm)

    async def crossing(self, user_id: int, pair_id: int, side: Side, reach_units: int, limit: int) -> list[OfferView]:
        """Others' active offers with something free, up to a price; see the port. Raises StorageError."""
        compared, order = (">=", "DESC") if side is Side.BUY else ("<=", "ASC")
        rows = await self._transaction.rows(
            f"""
            SELECT * FROM (
                SELECT {VERSIONS} FROM swap_offers JOIN wallets USING (user_id)
                WHERE status = 1 AND pair_id = $1 AND side = $2 AND price_units {compared} $3::text::numeric
                AND user_id <> $4 AND left_units > pending_units ORDER BY price_units {order}, offer_id LIMIT $5
            ) AS best ORDER BY offer_id
            """,  # noqa: S608
            pair_id,
            side,
            str(reach_units),
            user_id,
            limit,
        )
        return await self._kept.read(self._transaction, rows)


class SwapPages:
    """Reads the board."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._kept = KeptOffers()

    async def user_page(self, user_id: int, terms: PairTerms, limit: int) -> UserPage:
        """A user's page of a pair, of one moment, with at most `limit` tips for each side. Raises StorageError."""
        async with self._database.snapshot() as transaction:
            return await user_page(Reader(transaction, self._kept), terms, user_id, limit)

    async def book(self, pair_id: int, limit: int, offset: int) -> list[OfferView]:
        """Active offers of a pair: sellers from the lowest price, then buyers from the highest."""
        async with self._database.snapshot() as transaction:
            rows = await transaction.rows(
                f"""
                SELECT {VERSIONS} FROM (
                    (SELECT *, xmin FROM swap_offers WHERE status = 1 AND pair_id = $1 AND side = 2
                        ORDER BY price_units, offer_id LIMIT $2)
                    UNION ALL
                    (SELECT *, xmin FROM swap_offers WHERE status = 1 AND pair_id = $1 AND side = 1
                        ORDER BY price_units DESC, offer_id LIMIT $2)
                ) AS swap_offers JOIN wallets USING (user_id)
                ORDER BY side DESC, CASE WHEN side = 2 THEN price_units ELSE -price_units END, offer_id
                LIMIT $3 OFFSET $4
                """,  # noqa: S608
                pair_id,
                limit + offset,
                limit,
                offset,
            )
            return await self._kept.read(transaction, rows)

    async def offers(self, offer_ids: Sequence[int]) -> list[OfferView]:
        """These offers, whatever their state, in the order of their numbers: what events name."""
        async with self._database.each_alone() as transaction:
            found = await self._kept.by_id(transaction, offer_ids)
        return [found[number] for number in sorted(found)]

    async def history(
        self, user_id: int, chosen: HistoryFilter, limit: int, offset: int
    ) -> list[tuple[OfferView, PairTerms]]:
        """A user's offers, newest first."""
        async with self._database.snapshot() as transaction:
            rows = await transaction.rows(
                f"""
                SELECT {VERSIONS}, pair_id, first.decimals, second.decimals FROM swap_offers
                JOIN wallets USING (user_id) JOIN swap_pairs USING (pair_id)
                JOIN swap_currencies AS first ON first.currency_id = first_currency_id
                JOIN swap_currencies AS second ON second.currency_id = second_currency_id
                {_CHOSEN} ORDER BY offer_id DESC LIMIT $7 OFFSET $8
                """,  # noqa: S608
                *_chosen(user_id, chosen),
                limit,
                offset,
            )
            offers = await self._kept.read(transaction, rows)
        return [(offer, PairTerms(row[3], row[4], row[5])) for offer, row in zip(offers, rows, strict=True)]

    async def history_count(self, user_id: int, chosen: HistoryFilter) -> int:
        """How many of a user's offers the filter takes."""
        rows = await self._rows(f"SELECT count(*) FROM swap_offers {_CHOSEN}", *_chosen(user_id, chosen))  # noqa: S608
        return int(rows[0][0])

    async def clear_notifications(self, user_id: int, pair_id: int) -> None:
        """The user has seen what happened on the pair."""
        async with self._database.transaction() as transaction:
            await transaction.execute(
                """
                UPDATE swap_offers SET has_notification = false WHERE offer_id IN (
                    SELECT offer_id FROM swap_offers WHERE has_notification AND user_id = $1 AND pair_id = $2
                    ORDER BY offer_id FOR NO KEY UPDATE)
                """,
                user_id,
                pair_id,
            )

    async def notifications(self, user_id: int) -> int:
        """On how many of the user's offers something happened that the user has not seen."""
        rows = await self._rows(
            "SELECT count(*) FROM swap_offers WHERE user_id = $1 AND has_notification",
            user_id,
        )
        return int(rows[0][0])

    # -- Swaps ---------------------------------------------------------------------------------------
    async def pending_between(self, one_id: int, other_id: int) -> Swap | None:
        """The pending swap of two offers, named in either order, with its proposal."""
        found = await self._rows(
            f"""
            SELECT {_SWAP}, proposal FROM swaps WHERE status = 1
            AND ((buy_offer_id = $1 AND sell_offer_id = $2) OR (buy_offer_id = $2 AND sell_offer_id = $1))
            """,  # noqa: S608
            one_id,
            other_id,
        )
        return _swap(found[0], found[0]["proposal"]) if found else None

    async def owners(self, offer_ids: Sequence[int]) -> dict[int, tuple[int, int]]:
        """User and pair of each of these offers."""
        rows = await self._rows(
            "SELECT offer_id, user_id, pair_id FROM swap_offers WHERE offer_id = ANY ($1::bigint[])", list(offer_ids)
        )
        return {row[0]: (row[1], row[2]) for row in rows}

    async def swaps_of(
        self, user_id: int, since_ms: int, until_ms: int, limit: int, *, pending: bool = False
    ) -> list[SwapView]:
        """A user's swaps that were applied for from `since_ms` to `until_ms`, newest first."""
        rows = await self._rows(
            f"""
            SELECT {_SWAP}, side, first.decimals AS first_decimals, second.decimals AS second_decimals FROM (
                (SELECT *, 1 AS side FROM swaps WHERE buyer_id = $1 AND created_at_ms BETWEEN $2 AND $3
                    AND (status = 1 OR NOT $5) ORDER BY swap_id DESC LIMIT $4)
                UNION ALL
                (SELECT *, 2 AS side FROM swaps WHERE seller_id = $1 AND created_at_ms BETWEEN $2 AND $3
                    AND (status = 1 OR NOT $5) ORDER BY swap_id DESC LIMIT $4)
            ) AS swaps JOIN swap_pairs USING (pair_id)
            JOIN swap_currencies AS first ON first.currency_id = first_currency_id
            JOIN swap_currencies AS second ON second.currency_id = second_currency_id
            ORDER BY swap_id DESC LIMIT $4
            """,  # noqa: S608
            user_id,
            since_ms,
            until_ms,
            limit,
            pending,
        )
        return [
            SwapView(_swap(row), Side(row["side"]), PairTerms(row[1], row["first_decimals"], row["second_decimals"]))
            for row in rows
        ]

    async def trades(self, pair_id: int, limit: int) -> list[TradeView]:
        """The last confirmed swaps of a pair, newest first."""
        rows = await self._rows(
            """
            SELECT swap_id, price_units::text, amount_units::text, total_units::text, creator, swaps.updated_at_ms,
                buyer.alias, buyer.address, buyer.created_at_ms, buyer.updated_at_ms,
                seller.alias, seller.address, seller.created_at_ms, seller.updated_at_ms
            FROM swaps JOIN wallets AS buyer ON buyer.user_id = buyer_id
            JOIN wallets AS seller ON seller.user_id = seller_id
            WHERE pair_id = $1 AND status = 2 ORDER BY swaps.updated_at_ms DESC, swap_id DESC LIMIT $2
            """,
            pair_id,
            limit,
        )
        return [
            TradeView(
                row[0], int(row[1]), int(row[2]), int(row[3]), Side(row[4]), row[5], _wallet(row, 6), _wallet(row, 10)
            )
            for row in rows
        ]

    async def candles(self, pair_id: int, period: Period, limit: int) -> list[Candle]:
        """The last candles of a pair in which something traded, oldest first."""
        rows = await self._rows(
            """
            SELECT start_ms, open_units::text, high_units::text, low_units::text, close_units::text,
                first_volume_units::text, second_volume_units::text
            FROM swap_candles WHERE pair_id = $1 AND period_ms = $2 ORDER BY start_ms DESC LIMIT $3
            """,
            pair_id,
            period.value,
            limit,
        )
        return [Candle(row[0], *(int(each) for each in row[1:])) for row in reversed(rows)]

    async def statistics(self, pair_ids: Sequence[int], now_ms: int) -> dict[int, PairStatistics]:
        """Statistics of the last 24 hours, exact: whole minutes by candles, the one begun before by trades."""
        since_ms = now_ms - DAY_MS
        whole_ms = -(-since_ms // MINUTE_MS) * MINUTE_MS
        rows = await self._rows(
            """
            SELECT pair_id, last.price::text, coalesce(before.price, first.price)::text, high::text, low::text,
                volume::text
            FROM unnest($1::integer[]) AS pair_id
            CROSS JOIN LATERAL (SELECT price_units AS price FROM swaps WHERE swaps.pair_id = pair_id.pair_id
                AND status = 2 ORDER BY updated_at_ms DESC, swap_id DESC LIMIT 1) AS last
            LEFT JOIN LATERAL (SELECT price_units AS price FROM swaps WHERE swaps.pair_id = pair_id.pair_id
                AND status = 2 AND updated_at_ms < $2 ORDER BY updated_at_ms DESC, swap_id DESC LIMIT 1)
                AS before ON true
            LEFT JOIN LATERAL (SELECT price_units AS price FROM swaps WHERE swaps.pair_id = pair_id.pair_id
                AND status = 2 AND updated_at_ms >= $2 ORDER BY updated_at_ms, swap_id LIMIT 1) AS first ON true
            CROSS JOIN LATERAL (
                SELECT coalesce(max(high), 0) AS high, coalesce(min(low), 0) AS low, coalesce(sum(volume), 0) AS volume
                FROM (
                    SELECT high_units AS high, low_units AS low, second_volume_units AS volume FROM swap_candles
                    WHERE swap_candles.pair_id = pair_id.pair_id AND period_ms = $4 AND start_ms >= $3
                    UNION ALL
                    SELECT price_units, price_units, total_units FROM swaps WHERE swaps.pair_id = pair_id.pair_id
                    AND status = 2 AND updated_at_ms >= $2 AND updated_at_ms < $3
                ) AS parts
            ) AS day
            """,
            list(pair_ids),
            since_ms,
            whole_ms,
            MINUTE_MS,
        )
        return {row[0]: PairStatistics(*(int(each) for each in row[1:])) for row in rows}

    async def _rows(self, statement: str, *values: object) -> list[Row]:
        async with self._database.each_alone() as transaction:
            return await transaction.rows(statement, *values)


_SWAP: Final = """
    swap_id, pair_id, buy_offer_id, sell_offer_id, amount_units::text, price_units::text, total_units::text, creator,
    swaps.status, swaps.created_at_ms, swaps.updated_at_ms
"""


def _swap(row: Row, proposal: str = "") -> Swap:
    return Swap(
        row[0],
        row[1],
        row[2],
        row[3],
        int(row[4]),
        int(row[5]),
        int(row[6]),
        Side(row[7]),
        proposal,
        SwapStatus(row[8]),
        row[9],
        row[10],
    )


def _wallet(row: Row, first: int) -> WalletView:
    return WalletView(row[first] or "", row[first + 1], row[first + 2], row[first + 3])
