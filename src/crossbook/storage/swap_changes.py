"""The statements that change the board of swaps: each change one transaction, its rows locked in one order.

Locks are taken on wallets by user_id (posting), then on offers by offer_id; whoever holds both offers of a swap owns
the swap. The number of statements does not grow with a batch.
"""

from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from crossbook.application.errors import StoreRefused
from crossbook.application.swap_events import events_of
from crossbook.application.swaps import (
    CancelFilter,
    Counts,
    NewOffer,
    PairTerms,
    PlacedOffer,
    Wanted,
    posted_events,
)
from crossbook.domain.candles import Period
from crossbook.domain.orders import Side
from crossbook.domain.swaps import (
    BOT_ALIVE_MS,
    OFFER_AGE_MS,
    SWAP_TIMEOUT_MS,
    Board,
    Offer,
    OfferStatus,
    Swap,
    SwapStatus,
)
from crossbook.storage.database import Database, Row, Transaction, columns
from crossbook.storage.errors import ConstraintViolated, TransactionConflict
from crossbook.storage.swap_events import announce

ATTEMPTS: Final = 8
"""How often a change that met another one is tried again before it fails."""

T = TypeVar("T")

_OFFER = """
    offer_id, user_id, pair_id, side, price_units::text, amount_units::text, left_units::text, pending_units::text,
    status, swap_offers.created_at_ms, swap_offers.updated_at_ms, renewed_at_ms, has_notification
"""
_SWAP = """
    swap_id, pair_id, buy_offer_id, sell_offer_id, amount_units::text, price_units::text, total_units::text, creator,
    status, created_at_ms, updated_at_ms
"""


def offer_of(row: Row) -> Offer:
    """The offer of a row of the columns above."""
    return Offer(
        row[0],
        row[1],
        row[2],
        Side(row[3]),
        int(row[4]),
        int(row[5]),
        int(row[6]),
        int(row[7]),
        OfferStatus(row[8]),
        row[9],
        row[10],
        row[11],
        row[12],
    )


def swap_of(row: Row) -> Swap:
    """The swap of a row of the columns above; its proposal stays where it is: no change needs it."""
    return Swap(
        row[0],
        row[1],
        row[2],
        row[3],
        int(row[4]),
        int(row[5]),
        int(row[6]),
        Side(row[7]),
        "",
        SwapStatus(row[8]),
        row[9],
        row[10],
    )


class SwapStore:
    """Offers and swaps in PostgreSQL: the port of `crossbook.application.swaps`.

    `origin` names this process in what it sends to others; "" for a process that is alone.
    """

    def __init__(self, database: Database, origin: str = "", timeout_ms: int = SWAP_TIMEOUT_MS) -> None:
        self._database = database
        self._origin = origin
        self._timeout_ms = timeout_ms

    async def pair_terms(self, pair_id: int) -> PairTerms | None:
        """The terms of a pair, or None. Raises StorageError."""
        async with self._database.each_alone() as transaction:
            row = await transaction.row(
                """
                SELECT pair_id, first.decimals, second.decimals FROM swap_pairs
                JOIN swap_currencies AS first ON first.currency_id = first_currency_id
                JOIN swap_currencies AS second ON second.currency_id = second_currency_id
                WHERE pair_id = $1
                """,
                pair_id,
            )
        return None if row is None else PairTerms(row[0], row[1], row[2])

    # -- Posting -------------------------------------------------------------------------------------
    async def place(
        self, offers: Sequence[NewOffer], decide: Callable[[Counts], list[bool]], now_ms: int
    ) -> list[PlacedOffer | None]:
        """Store the offers that `decide` takes; see the port. Raises StoreRefused and StorageError."""
        try:
            async with self._database.transaction() as transaction:
                taken = decide(await _counts(transaction, offers))
                chosen = [offer for offer, take in zip(offers, taken, strict=True) if take]
                placed = await _insert(transaction, chosen, now_ms) if chosen else []
                await announce(transaction, self._origin, posted_events(placed))
        except ConstraintViolated as error:
            raise StoreRefused(error.constraint) from error
        following = iter(placed)
        return [next(following) if take else None for take in taken]

    # -- Changing ------------------------------------------------------------------------------------
    async def change(self, wanted: Wanted, decide: Callable[[Board, int], T], now_ms: int) -> T:
        """Lock, decide, write; see the port. Raises StorageError."""
        for attempt in range(1, ATTEMPTS + 1):
            try:
                async with self._database.transaction() as transaction:
                    board, number = await self._load(transaction, wanted)
                    outcome = decide(board, number)
                    await _write(transaction, board)
                    await announce(transaction, self._origin, events_of(board))
                return outcome
            except TransactionConflict:
                if attempt == ATTEMPTS:
                    raise
        raise AssertionError("the last attempt returns or raises")

    async def _load(self, transaction: Transaction, wanted: Wanted) -> tuple[Board, int]:
        """The board of a change, every offer of it locked. Raises TransactionConflict when one more turns up."""
        named = list(wanted.offer_ids)
        if wanted.swap_id:
            named += await _offers_of_swap(transaction, wanted.swap_id)
        reach = await transaction.rows(
            """
            SELECT offer_id FROM unnest($1::bigint[]) AS offer_id
            UNION SELECT sell_offer_id FROM swaps WHERE status = 1 AND buy_offer_id = ANY ($1::bigint[])
            UNION SELECT buy_offer_id FROM swaps WHERE status = 1 AND sell_offer_id = ANY ($1::bigint[])
            """,
            named,
        )
        offers = await transaction.rows(
            f"""
            SELECT {_OFFER}, decimals FROM swap_offers
            JOIN swap_pairs USING (pair_id) JOIN swap_currencies ON currency_id = first_currency_id
            WHERE offer_id = ANY ($1::bigint[]) ORDER BY offer_id FOR NO KEY UPDATE OF swap_offers
            """,  # noqa: S608
            [row[0] for row in reach],
        )
        swaps = [
            swap_of(row)
            for row in await transaction.rows(
                f"""
                SELECT {_SWAP} FROM swaps WHERE status = 1 AND buy_offer_id = ANY ($1::bigint[])
                UNION ALL SELECT {_SWAP} FROM swaps WHERE status = 1 AND sell_offer_id = ANY ($1::bigint[])
                UNION ALL SELECT {_SWAP} FROM swaps WHERE swap_id = $2
                """,  # noqa: S608
                named,
                wanted.swap_id,
            )
        ]
        locked = {row[0] for row in offers}
        if any(offer_id not in locked for swap in swaps for offer_id in swap.offer_ids):
            raise TransactionConflict("another swap began meanwhile")
        number = await transaction.value("SELECT nextval('swaps_swap_id_seq')") if wanted.new_swap else 0
        decimals = {row[2]: row[13] for row in offers}
        return Board([offer_of(row) for row in offers], swaps, decimals, self._timeout_ms), number

    # -- Looking for work ----------------------------------------------------------------------------
    async def due(self, now_ms: int, timeout_ms: int, limit: int) -> list[int]:
        """Offers whose time is over, or whose pending swap's time is. Raises StorageError."""
        async with self._database.each_alone() as transaction:
            rows = await transaction.rows(
                """
                (SELECT buy_offer_id FROM swaps WHERE status = 1 AND created_at_ms <= $1
                    ORDER BY created_at_ms LIMIT $4)
                UNION ALL
                (SELECT offer_id FROM swap_offers WHERE status = 1 AND created_at_ms <= $2 AND renewed_at_ms <= $3
                    AND pending_units = 0 ORDER BY created_at_ms LIMIT $4)
                """,
                now_ms - timeout_ms,
                now_ms - OFFER_AGE_MS,
                now_ms - BOT_ALIVE_MS,
                limit,
            )
        return [row[0] for row in rows]

    async def active_of(self, user_id: int, chosen: CancelFilter, limit: int) -> list[int]:
        """The user's active offers that the filter takes. Raises StorageError."""
        async with self._database.each_alone() as transaction:
            rows = await transaction.rows(
                """
                SELECT offer_id FROM swap_offers WHERE status = 1 AND user_id = $1
                AND ($2::integer IS NULL OR pair_id = $2) AND ($3::smallint IS NULL OR side = $3)
                ORDER BY offer_id LIMIT $4
                """,
                user_id,
                chosen.pair_id,
                chosen.side,
                limit,
            )
        return [row[0] for row in rows]


# -- Statements of posting ---------------------------------------------------------------------------
async def _counts(transaction: Transaction, offers: Sequence[NewOffer]) -> Counts:
    """How many active offers there are where these are to go; their users are locked against each other's batches."""
    users = sorted({offer.user_id for offer in offers})
    await transaction.execute(
        "SELECT FROM wallets WHERE user_id = ANY ($1::bigint[]) ORDER BY user_id FOR NO KEY UPDATE", users
    )
    places = sorted({offer.place for offer in offers})
    rows = await transaction.rows(
        """
        SELECT place.user_id, place.pair_id, place.side, (
            SELECT count(*) FROM swap_offers
            WHERE status = 1 AND (user_id, pair_id, side) = (place.user_id, place.pair_id, place.side)
        ) FROM unnest($1::bigint[], $2::integer[], $3::smallint[]) AS place (user_id, pair_id, side)
        """,
        *columns(places, 3),
    )
    return {(row[0], row[1], Side(row[2])): row[3] for row in rows}


async def _insert(transaction: Transaction, offers: Sequence[NewOffer], now_ms: int) -> list[PlacedOffer]:
    """Store offers, and look which of them are met by somebody's offer: at the best price of others, and no further."""
    ids = await transaction.rows(
        "SELECT nextval('swap_offers_offer_id_seq') FROM generate_series(1, $1::integer)", len(offers)
    )
    numbers = [row[0] for row in ids]
    rows = [
        (
            number,
            offer.user_id,
            offer.pair_id,
            offer.side,
            str(offer.price_units),
            str(offer.amount_units),
            str(offer.total_units),
        )
        for number, offer in zip(numbers, offers, strict=True)
    ]
    met = await transaction.rows(
        """
        WITH posted AS (
            SELECT offer_id, user_id, pair_id, side, price::numeric AS price_units, amount::numeric AS amount_units,
                total::numeric AS total_units
            FROM unnest($1::bigint[], $2::bigint[], $3::integer[], $4::smallint[], $5::text[], $6::text[], $7::text[])
            AS given (offer_id, user_id, pair_id, side, price, amount, total)
        ), stored AS (
            INSERT INTO swap_offers (offer_id, user_id, pair_id, side, price_units, amount_units, total_units,
                left_units, created_at_ms, updated_at_ms)
            SELECT offer_id, user_id, pair_id, side, price_units, amount_units, total_units, amount_units, $8, $8
            FROM posted
        )
        SELECT posted.offer_id FROM posted, LATERAL (
            SELECT FROM swap_offers AS other WHERE other.status = 1 AND other.pair_id = posted.pair_id
            AND other.side = 2 AND other.price_units <= posted.price_units AND other.user_id <> posted.user_id
            AND other.left_units > other.pending_units ORDER BY other.price_units, other.offer_id LIMIT 1
        ) AS met WHERE posted.side = 1
        UNION ALL
        SELECT posted.offer_id FROM posted, LATERAL (
            SELECT FROM swap_offers AS other WHERE other.status = 1 AND other.pair_id = posted.pair_id
            AND other.side = 1 AND other.price_units >= posted.price_units AND other.user_id <> posted.user_id
            AND other.left_units > other.pending_units ORDER BY other.price_units DESC, other.offer_id DESC LIMIT 1
        ) AS met WHERE posted.side = 2
        """,
        *columns(rows, 7),
        now_ms,
    )
    crossing = {row[0] for row in met} | _met_in_batch(numbers, offers)
    return [
        PlacedOffer(number, offer, now_ms, number in crossing) for number, offer in zip(numbers, offers, strict=True)
    ]


def _met_in_batch(numbers: Sequence[int], offers: Sequence[NewOffer]) -> set[int]:
    """Those that meet one before them in the same batch, which the statement that stores both does not see."""
    met: set[int] = set()
    best: dict[tuple[int, Side], list[NewOffer]] = {}
    for number, offer in zip(numbers, offers, strict=True):
        buys = offer.side is Side.BUY
        waiting = best.get((offer.pair_id, Side.SELL if buys else Side.BUY), [])
        if any(
            other.user_id != offer.user_id
            and (offer.price_units >= other.price_units if buys else offer.price_units <= other.price_units)
            for other in waiting
        ):
            met.add(number)
        _keep_best(best.setdefault((offer.pair_id, offer.side), []), offer)
    return met


def _keep_best(kept: list[NewOffer], offer: NewOffer) -> None:
    """Keep the best offer of a side, and the best of another user: one of the two meets whoever can be met."""
    sign = -1 if offer.side is Side.BUY else 1
    best: dict[int, NewOffer] = {}
    for each in sorted([*kept, offer], key=lambda one: sign * one.price_units):
        best.setdefault(each.user_id, each)
    kept[:] = list(best.values())[:2]


# -- Statements of changing --------------------------------------------------------------------------
async def _offers_of_swap(transaction: Transaction, swap_id: int) -> list[int]:
    row = await transaction.row("SELECT buy_offer_id, sell_offer_id FROM swaps WHERE swap_id = $1", swap_id)
    return [] if row is None else [row[0], row[1]]


async def _write(transaction: Transaction, board: Board) -> None:
    """Write what changed: the swaps, the offers, and the candles of what traded."""
    swaps = list(board.changed_swaps.values())
    if swaps:
        await _write_swaps(transaction, board, swaps)
    if board.changed_offers:
        rows = [
            (
                o.offer_id,
                str(o.left_units),
                str(o.pending_units),
                o.status,
                o.updated_at_ms,
                o.renewed_at_ms,
                o.has_notification,
            )
            for o in board.changed_offers.values()
        ]
        await transaction.execute(
            """
            UPDATE swap_offers SET left_units = changed.left_units::numeric,
                pending_units = changed.pending_units::numeric, status = changed.status,
                updated_at_ms = changed.updated_at_ms, renewed_at_ms = changed.renewed_at_ms,
                has_notification = changed.has_notification
            FROM unnest($1::bigint[], $2::text[], $3::text[], $4::smallint[], $5::bigint[], $6::bigint[], $7::boolean[])
            AS changed (offer_id, left_units, pending_units, status, updated_at_ms, renewed_at_ms, has_notification)
            WHERE swap_offers.offer_id = changed.offer_id
            """,
            *columns(rows, 7),
        )
    traded = [swap for swap in swaps if swap.status is SwapStatus.CONFIRMED]
    if traded:
        await _write_candles(transaction, traded)


async def _write_swaps(transaction: Transaction, board: Board, swaps: Sequence[Swap]) -> None:
    """Store new swaps, and how others ended."""
    rows = [
        (
            swap.swap_id,
            swap.pair_id,
            swap.buy_id,
            swap.sell_id,
            board.offers[swap.buy_id].user_id,
            board.offers[swap.sell_id].user_id,
            swap.creator,
            str(swap.price_units),
            str(swap.amount_units),
            str(swap.total_units),
            swap.status,
            swap.proposal,
            swap.created_at_ms,
            swap.updated_at_ms,
        )
        for swap in swaps
    ]
    await transaction.execute(
        """
        INSERT INTO swaps (swap_id, pair_id, buy_offer_id, sell_offer_id, buyer_id, seller_id, creator, price_units,
            amount_units, total_units, status, proposal, created_at_ms, updated_at_ms)
        SELECT swap_id, pair_id, buy, sell, buyer, seller, creator, price::numeric, amount::numeric, total::numeric,
            status, proposal, created, updated
        FROM unnest($1::bigint[], $2::integer[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[],
            $7::smallint[], $8::text[], $9::text[], $10::text[], $11::smallint[], $12::text[], $13::bigint[],
            $14::bigint[])
        AS given (swap_id, pair_id, buy, sell, buyer, seller, creator, price, amount, total, status, proposal,
            created, updated)
        ON CONFLICT (swap_id) DO UPDATE SET status = excluded.status, proposal = excluded.proposal,
            updated_at_ms = excluded.updated_at_ms
        """,
        *columns(rows, 14),
    )


async def _write_candles(transaction: Transaction, swaps: Sequence[Swap]) -> None:
    """Add trades to the candles of every length; locked in the order of their key."""
    for swap in swaps:
        price, time_ms = str(swap.price_units), swap.updated_at_ms
        rows = [(period.value, period.start_ms(time_ms)) for period in Period]
        await transaction.execute(
            """
            INSERT INTO swap_candles AS candle (pair_id, period_ms, start_ms, open_units, high_units, low_units,
                close_units, first_volume_units, second_volume_units)
            SELECT $1, period_ms, start_ms, $4::text::numeric, $4::text::numeric, $4::text::numeric,
                $4::text::numeric, $5::text::numeric, $6::text::numeric
            FROM unnest($2::integer[], $3::bigint[]) AS place (period_ms, start_ms) ORDER BY period_ms, start_ms
            ON CONFLICT (pair_id, period_ms, start_ms) DO UPDATE SET
                high_units = greatest(candle.high_units, excluded.high_units),
                low_units = least(candle.low_units, excluded.low_units), close_units = excluded.close_units,
                first_volume_units = candle.first_volume_units + excluded.first_volume_units,
                second_volume_units = candle.second_volume_units + excluded.second_volume_units
            """,
            swap.pair_id,
            *columns(rows, 2),
            price,
            str(swap.amount_units),
            str(swap.total_units),
        )
