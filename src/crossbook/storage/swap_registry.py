"""Currencies and pairs of swaps in PostgreSQL."""

from typing import Final

from crossbook.application.swap_registry import Currency, CurrencyTerms, Pair, PairFilter, PairOrder
from crossbook.domain.candles import DAY_MS, Period
from crossbook.storage.database import Database, Row

_COLUMNS: Final = (
    "asset_id",
    "name",
    "code",
    "decimals",
    "kind",
    "whitelisted",
    "auto_parsed",
    "native",
    "full_name",
    "logo",
    "meta_info",
    "price_url",
    "current_supply_units",
    "total_max_supply_units",
    "currency_id",
    "created_at_ms",
    "updated_at_ms",
)


def _of(table: str) -> str:
    return ", ".join(f"{table}.{name}" for name in _COLUMNS)


_CURRENCY: Final = _of("swap_currencies")
_PAIR: Final = f"""
    SELECT pair_id, featured, swap_pairs.created_at_ms, swap_pairs.updated_at_ms, {_of("first")}, {_of("second")}
    FROM swap_pairs JOIN swap_currencies AS first ON first.currency_id = first_currency_id
    JOIN swap_currencies AS second ON second.currency_id = second_currency_id
"""  # noqa: S608
_CHOSEN: Final = """
    WHERE (NOT $1 OR (first.whitelisted AND second.whitelisted))
    AND ($2 = '' OR position($2 in lower(first.name)) > 0 OR position($2 in lower(first.code)) > 0
        OR position($2 in lower(second.name)) > 0 OR position($2 in lower(second.code)) > 0
        OR first.asset_id = $2 OR second.asset_id = $2)
"""
_VOLUME: Final = """
    (SELECT coalesce(sum(second_volume_units), 0) FROM swap_candles
        WHERE swap_candles.pair_id = swap_pairs.pair_id AND period_ms = $3 AND start_ms > $4)
    / power(10::numeric, second.decimals)
"""


def _currency(row: Row, first: int = 0) -> Currency:
    values = dict(zip(_COLUMNS, row[first : first + len(_COLUMNS)], strict=True))
    currency_id, created, updated = (values.pop(name) for name in _COLUMNS[-3:])
    for name in _COLUMNS[-5:-3]:
        values[name] = int(values[name])
    return Currency(currency_id, CurrencyTerms(**values), created, updated)


def _pair(row: Row) -> Pair:
    return Pair(row[0], _currency(row, 4), _currency(row, 4 + len(_COLUMNS)), row[1], row[2], row[3])


class RegistryStore:
    """The port of `crossbook.application.swap_registry`. Every method raises StorageError."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def currencies(self) -> list[Currency]:
        """All of them, in the order of their numbers."""
        rows = await self._rows(f"SELECT {_CURRENCY} FROM swap_currencies ORDER BY currency_id")  # noqa: S608
        return [_currency(row) for row in rows]

    async def put_currency(self, terms: CurrencyTerms, now_ms: int) -> Currency:
        """Register a currency, or describe one anew; its decimals and its place as the native one stay."""
        async with self._database.transaction() as transaction:
            row = await transaction.row(
                f"""
                INSERT INTO swap_currencies (asset_id, name, code, decimals, kind, whitelisted, auto_parsed, native,
                    full_name, logo, meta_info, price_url, current_supply_units, total_max_supply_units,
                    created_at_ms, updated_at_ms)
                VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13::text::numeric, $14::text::numeric,
                    $15, $15)
                ON CONFLICT (asset_id) DO UPDATE SET name = excluded.name, code = excluded.code,
                    whitelisted = excluded.whitelisted, auto_parsed = excluded.auto_parsed,
                    full_name = excluded.full_name, logo = excluded.logo, meta_info = excluded.meta_info,
                    price_url = excluded.price_url, current_supply_units = excluded.current_supply_units,
                    total_max_supply_units = excluded.total_max_supply_units,
                    updated_at_ms = greatest(swap_currencies.updated_at_ms, $15)
                RETURNING {_CURRENCY}
                """,  # noqa: S608
                terms.asset_id,
                terms.name,
                terms.code,
                terms.decimals,
                terms.kind,
                terms.whitelisted,
                terms.auto_parsed,
                terms.native,
                terms.full_name,
                terms.logo,
                terms.meta_info,
                terms.price_url,
                str(terms.current_supply_units),
                str(terms.total_max_supply_units),
                now_ms,
            )
        assert row is not None
        return _currency(row)

    async def whitelist(self, asset_id: str, whitelisted: bool, now_ms: int) -> Currency | None:
        """Set whether the venue vouches for it; None for an unknown one."""
        async with self._database.transaction() as transaction:
            row = await transaction.row(
                f"""
                UPDATE swap_currencies SET whitelisted = $2, updated_at_ms = greatest(updated_at_ms, $3)
                WHERE asset_id = $1
                RETURNING {_CURRENCY}
                """,  # noqa: S608
                asset_id,
                whitelisted,
                now_ms,
            )
        return None if row is None else _currency(row)

    async def put_pair(self, first_id: int, second_id: int, featured: bool, now_ms: int) -> int:
        """Set a pair up, or feature it or not; its number."""
        async with self._database.transaction() as transaction:
            pair_id: int = await transaction.value(
                """
                INSERT INTO swap_pairs (first_currency_id, second_currency_id, featured, created_at_ms, updated_at_ms)
                VALUES ($1, $2, $3, $4, $4)
                ON CONFLICT (first_currency_id, second_currency_id)
                DO UPDATE SET featured = excluded.featured,
                    updated_at_ms = greatest(swap_pairs.updated_at_ms, $4) RETURNING pair_id
                """,
                first_id,
                second_id,
                featured,
                now_ms,
            )
        return pair_id

    async def pair(self, pair_id: int) -> Pair | None:
        """A pair, or None."""
        rows = await self._rows(f"{_PAIR} WHERE pair_id = $1", pair_id)
        return _pair(rows[0]) if rows else None

    async def find(self, first_asset_id: str, second_asset_id: str) -> int | None:
        """The number of the pair of two assets."""
        rows = await self._rows(
            f"{_PAIR} WHERE first.asset_id = $1 AND second.asset_id = $2", first_asset_id, second_asset_id
        )
        return rows[0][0] if rows else None

    async def pairs(self, chosen: PairFilter, now_ms: int, limit: int, offset: int) -> list[Pair]:
        """A page of pairs: featured ones first, or by the volume of the last 24 hours."""
        if chosen.order is None:
            order, values = "featured DESC, pair_id", []
        else:
            direction = "DESC" if chosen.order is PairOrder.VOLUME_HIGH_TO_LOW else "ASC"
            order, values = f"{_VOLUME} {direction}, pair_id", [Period.MINUTE.value, now_ms - DAY_MS]
        place = len(values) + 3
        rows = await self._rows(
            f"{_PAIR} {_CHOSEN} ORDER BY {order} LIMIT ${place} OFFSET ${place + 1}",
            chosen.whitelisted_only,
            chosen.text.lower(),
            *values,
            limit,
            offset,
        )
        return [_pair(row) for row in rows]

    async def count(self, chosen: PairFilter) -> int:
        """How many pairs the filter takes."""
        rows = await self._rows(
            f"SELECT count(*) FROM ({_PAIR} {_CHOSEN}) AS found",  # noqa: S608
            chosen.whitelisted_only,
            chosen.text.lower(),
        )
        return int(rows[0][0])

    async def _rows(self, statement: str, *values: object) -> list[Row]:
        async with self._database.each_alone() as transaction:
            return await transaction.rows(statement, *values)
