"""The application's errors in TrueX's words: by their type, never by their text."""

from collections.abc import Callable, Mapping
from typing import Final

from crossbook.application.clients import ClientNotFound
from crossbook.application.errors import (
    DuplicateClientOrderId,
    InLiquidation,
    InsufficientFunds,
    InvalidOrder,
    MarketNotFound,
    MarketNotOpen,
    OrderNotFound,
    OrderNotOpen,
    OutcomeUnknown,
    Overloaded,
    WithdrawalsStopped,
)
from crossbook.application.transfers import DuplicateTransferId, TransferLimit
from crossbook.dialects.truex.errors import Kind, Problem, invalid
from crossbook.domain.instruments import BelowMinimum
from crossbook.domain.margin import InsufficientMargin
from crossbook.domain.money import InvalidDecimal

RETRY_AFTER_S: Final = 1
STOPPED_RETRY_AFTER_S: Final = 60

_INVALID: Final = (InvalidOrder, InvalidDecimal, BelowMinimum)
_KINDS: Final[Mapping[type[Exception], Kind]] = {
    ClientNotFound: Kind.NOT_FOUND,
    DuplicateClientOrderId: Kind.INVALID_EXTERNAL_ID,
    DuplicateTransferId: Kind.BAD_REQUEST,
    TransferLimit: Kind.BAD_REQUEST,
    InsufficientFunds: Kind.INSUFFICIENT_FUNDS,
    InLiquidation: Kind.INSUFFICIENT_FUNDS,
    InsufficientMargin: Kind.INSUFFICIENT_FUNDS,
    MarketNotFound: Kind.NOT_FOUND,
    MarketNotOpen: Kind.MARKET_NOT_OPEN,
    OrderNotFound: Kind.NOT_FOUND,
    OrderNotOpen: Kind.ORDER_NOT_OPEN,
}
_OUR_FIELDS: Final[Mapping[str, str]] = {"quantity": "qty"}
"""Fields that the application calls by another name than TrueX."""


def refusal_of(error: Exception, unavailable: tuple[type[Exception], ...] = ()) -> Problem | None:
    """The refusal that an error amounts to; None for an unexpected one. `unavailable` are more that pass."""
    if isinstance(error, _INVALID):
        return invalid(_OUR_FIELDS.get(error.field, error.field), error.rule, error.nearest)
    kind = _KINDS.get(type(error))
    if kind is not None:
        return Problem(kind, str(error))
    if isinstance(error, WithdrawalsStopped):
        return Problem(Kind.UNAVAILABLE, str(error), retry_after_s=STOPPED_RETRY_AFTER_S)
    if isinstance(error, Overloaded):
        return Problem(Kind.UNAVAILABLE, "the venue is busy; try again", retry_after_s=RETRY_AFTER_S)
    if isinstance(error, (OutcomeUnknown, *unavailable)):
        text = "the venue cannot answer now; the outcome is unknown, send the same request again, newly signed"
        return Problem(Kind.UNAVAILABLE, text, retry_after_s=RETRY_AFTER_S)
    return None


def translator(unavailable: tuple[type[Exception], ...]) -> Callable[[Exception], Problem | None]:
    """`refusal_of` with the errors that pass, for `TruexErrors`."""
    return lambda error: refusal_of(error, unavailable)
