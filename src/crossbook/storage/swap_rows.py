"""Offers as they were last read, kept by the version of their rows.

A page of a long book is mostly what it was a moment ago. So pages first ask for the numbers and versions of their
offers (`xmin`: the transaction that wrote the row), and read in full only those that are not known in that version.
Nothing kept can be out of date: it is used for the very version that the page's own snapshot sees.
"""

from collections.abc import Sequence
from typing import Final

from crossbook.application.swap_views import OfferView, WalletView
from crossbook.domain.orders import Side
from crossbook.domain.swaps import OfferStatus
from crossbook.storage.database import Row, Transaction

VERSIONS: Final = "offer_id, swap_offers.xmin, wallets.xmin"
"""What a page asks for first, of swap_offers JOIN wallets USING (user_id)."""
CAPACITY: Final = 50_000
"""Offers that are kept: some 50 MB, in a venue with that many."""
_SIDES: Final = {side.value: side for side in Side}
_STATUSES: Final = {status.value: status for status in OfferStatus}
_OFFERS: Final = """
    SELECT offer_id, swap_offers.xmin, wallets.xmin, user_id, pair_id, side, price_units::text, amount_units::text,
        total_units::text, left_units::text, pending_units::text, status, has_notification, renewed_at_ms,
        swap_offers.created_at_ms, swap_offers.updated_at_ms, coalesce(alias, ''), address, wallets.created_at_ms,
        wallets.updated_at_ms
    FROM swap_offers JOIN wallets USING (user_id) WHERE offer_id = ANY ($1::bigint[])
"""

Version = tuple[int, int]


class KeptOffers:
    """Reads offers, and keeps them. When it holds too many, it forgets them all."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._kept: dict[int, tuple[int, int, OfferView]] = {}

    async def read(self, transaction: Transaction, rows: Sequence[Row]) -> list[OfferView]:
        """The offers of rows that begin with VERSIONS, in their order. Raises StorageError."""
        found: list[OfferView | None] = []
        kept, missing = self._kept, []
        for row in rows:
            known = kept.get(row[0])
            if known is not None and known[0] == row[1] and known[1] == row[2]:
                found.append(known[2])
            else:
                found.append(None)
                missing.append(row[0])
        loaded = await self._load(transaction, missing) if missing else {}
        return [offer or loaded[row[0]] for offer, row in zip(found, rows, strict=True)]

    async def by_id(self, transaction: Transaction, offer_ids: Sequence[int]) -> dict[int, OfferView]:
        """These offers as the transaction sees them. Raises StorageError."""
        return await self._load(transaction, offer_ids)

    async def _load(self, transaction: Transaction, offer_ids: Sequence[int]) -> dict[int, OfferView]:
        rows = await transaction.rows(_OFFERS, list(offer_ids))
        if len(self._kept) + len(rows) > self._capacity:
            self._kept.clear()
        loaded = {}
        for row in rows:
            offer = loaded[row[0]] = _offer(row)
            self._kept[row[0]] = (row[1], row[2], offer)
        return loaded


def _offer(row: Row) -> OfferView:
    number, _, _, user_id, pair_id, side, price, amount, total, left, pending, status, *rest = row
    notified, renewed_at_ms, created_at_ms, updated_at_ms, *wallet = rest
    return OfferView(
        number,
        user_id,
        pair_id,
        _SIDES[side],
        int(price),
        int(amount),
        int(total),
        int(left),
        int(pending),
        int(left) - int(pending),
        _STATUSES[status],
        notified,
        renewed_at_ms,
        created_at_ms,
        updated_at_ms,
        WalletView(*wallet),
    )
