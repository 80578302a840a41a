"""Settlement of what is done to positions: funding, forced trades and the final settlement of a market (3.7, 3.8).

Each takes the rows as they are at that place of the log, changes them, and gives what is to be written. An event
that does not fit the rows raises an error of the domain: the market must rather stop than continue wrong.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Final

from crossbook.application.settlement_rows import ClosedRow, Closing, Funding, MarketTerms, PositionRow
from crossbook.domain import funding, ledger
from crossbook.domain.accounts import clearing_account
from crossbook.domain.errors import CrossbookError
from crossbook.domain.events import Event, ForcedTrade, FundingApplied, PositionsSettled
from crossbook.domain.instruments import InstrumentKind
from crossbook.domain.ledger import Journal, TradeSide
from crossbook.domain.orders import Side

BILLION: Final = 1_000_000_000
_OF_EVERYBODY: Final = frozenset((FundingApplied, PositionsSettled))


class PositionFault(CrossbookError):
    """An event about positions that the stored positions can not have given."""


@dataclass
class PositionsNeeded:
    """Whose positions a batch needs beside those of its orders: these accounts', or everybody's."""

    accounts: set[int] = field(default_factory=set)
    all: bool = False


def positions_needed(events: Iterable[Event]) -> PositionsNeeded:
    """Whose positions these events need beside those of the accounts whose orders they name."""
    needed = PositionsNeeded()
    for event in events:
        if type(event) is ForcedTrade:
            needed.accounts.update((event.buyer_account_id, event.seller_account_id))
        elif type(event) in _OF_EVERYBODY:
            needed.all = True
    return needed


def apply_funding(
    terms: MarketTerms, rows: dict[int, PositionRow], event: FundingApplied, time_ms: int
) -> tuple[Journal, Funding]:
    """Every position pays or receives, rounded down for each; the dust goes to the insurance fund (3.8, 3.11)."""
    instrument = terms.instrument
    held = [(account, rows[account].position.quantity_lots) for account in sorted(rows)]
    held = [(account, lots) for account, lots in held if lots]
    paid = funding.settle_funding(instrument, held, event.index_price_ticks, Fraction(event.rate_ppb, BILLION))
    payments = tuple((account, lots, units) for (account, lots), (_, units) in zip(held, paid.payments, strict=True))
    for account, units in paid.payments:
        rows[account].pay(units)
    journal = ledger.funding(instrument.quote.name, paid.payments)
    return journal, Funding(event, time_ms, payments, paid.dust_units)


def force_trade(
    terms: MarketTerms, rows: dict[int, PositionRow], event: ForcedTrade
) -> tuple[Journal, TradeSide, TradeSide]:
    """Close a short against a long at the event's price, free of fees: the journal, the buyer's side, the seller's.

    Raises PositionFault unless both are reduced by it.
    """
    instrument = terms.instrument
    sides = []
    for account, side in ((event.buyer_account_id, Side.BUY), (event.seller_account_id, Side.SELL)):
        row = rows.get(account)
        held = 0 if row is None else row.position.quantity_lots
        if row is None or event.quantity_lots > (-held if side is Side.BUY else held):
            raise PositionFault(
                f"account {account} has {held} lots: {event.quantity_lots} forced would not reduce them"
            )
        realised = row.fill(instrument, side, event.quantity_lots, event.price_ticks)
        sides.append(TradeSide(account, instrument.quote.name, 0, realised))
    journal = ledger.forced_trade(clearing_account(terms.market_id), instrument.quote.name, tuple(sides))
    return journal, sides[0], sides[1]


def settle_positions(
    terms: MarketTerms, rows: dict[int, PositionRow], event: PositionsSettled, time_ms: int
) -> tuple[Journal, Closing]:
    """Close every position at the event's price, against the clearing account, free of fees.

    Raises PositionFault when the engine closed another number of positions than there are.
    """
    instrument = terms.instrument
    closed: list[ClosedRow] = []
    sides = []
    for account, row in sorted(rows.items()):
        before = row.position
        if before.quantity_lots == 0:
            continue
        side = Side.SELL if before.quantity_lots > 0 else Side.BUY
        realised = row.fill(instrument, side, abs(before.quantity_lots), event.price_ticks)
        closed.append((account, before.quantity_lots, before.cost_units, realised))
        sides.append(TradeSide(account, instrument.quote.name, 0, realised))
    if len(closed) != event.positions:
        raise PositionFault(f"{event.positions} positions were settled, and there are {len(closed)}")
    journal = ledger.perpetual_trade(clearing_account(terms.market_id), instrument.quote.name, tuple(sides))
    return journal, Closing(event, time_ms, tuple(closed))


def require_perpetual(terms: MarketTerms) -> None:
    """Refuse an event about positions in a market that has none. Raises PositionFault."""
    if terms.instrument.kind is not InstrumentKind.PERPETUAL:
        raise PositionFault(f"{terms.instrument.symbol} has no positions")
