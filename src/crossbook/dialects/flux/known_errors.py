"""The application's errors in Flux's words: by their type, never by their text."""

from collections.abc import Callable, Mapping
from typing import Final

from crossbook.application.errors import (
    DuplicateClientOrderId,
    EmailTaken,
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
    WrongCredentials,
)
from crossbook.dialects.flux.errors import Code, FluxError, refusal_for
from crossbook.domain.instruments import BelowMinimum, InvalidLeverage
from crossbook.domain.margin import InsufficientMargin
from crossbook.domain.money import InvalidDecimal, InvalidValue
from crossbook.security.passwords import PasswordsBusy

RETRY_AFTER_S: Final = 1
STOPPED_RETRY_AFTER_S: Final = 60

_INVALID: Final = (InvalidOrder, InvalidDecimal, InvalidValue, BelowMinimum, InvalidLeverage)
_BUSY: Final = Overloaded | PasswordsBusy
_CODES: Final[Mapping[type[Exception], Code]] = {
    InsufficientMargin: Code.INSUFFICIENT_MARGIN,
    InsufficientFunds: Code.INSUFFICIENT_MARGIN,
    InLiquidation: Code.INSUFFICIENT_MARGIN,
    DuplicateClientOrderId: Code.DUPLICATE_CLIENT_ORDER_ID,
    MarketNotFound: Code.MARKET_NOT_FOUND,
    OrderNotFound: Code.ORDER_NOT_FOUND,
    OrderNotOpen: Code.ORDER_NOT_OPEN,
    WrongCredentials: Code.UNAUTHENTICATED,
    EmailTaken: Code.EMAIL_TAKEN,
}
_OUR_FIELDS: Final[Mapping[str, str]] = {"expireTime": "expiresAt"}
"""Fields that the application calls by another name than Flux."""


def invalid(field: str, rule: str, nearest: str | None = None) -> FluxError:
    """The refusal that names the field, the rule and, where there is one, the nearest valid value."""
    hint = "" if nearest is None else f"; the nearest valid value is {nearest}"
    return FluxError(Code.INVALID_ORDER, f"{_OUR_FIELDS.get(field, field)} {rule}{hint}")


def refusal_of(error: Exception, unavailable: tuple[type[Exception], ...] = ()) -> FluxError | None:
    """The refusal that an error amounts to; None for an unexpected one. `unavailable` are more that pass."""
    if isinstance(error, _INVALID):
        return invalid(error.field, error.rule, error.nearest)
    if isinstance(error, MarketNotOpen):
        return refusal_for(error.reason, str(error))
    code = _CODES.get(type(error))
    if code is not None:
        return FluxError(code, str(error))
    if isinstance(error, WithdrawalsStopped | _BUSY):
        stopped = isinstance(error, WithdrawalsStopped)
        message = str(error) if stopped else "the venue is busy; try again"
        after_s = STOPPED_RETRY_AFTER_S if stopped else RETRY_AFTER_S
        return FluxError(Code.UNAVAILABLE, message, retry_after_s=after_s)
    if isinstance(error, (OutcomeUnknown, *unavailable)):
        message = "the venue cannot answer now; the outcome is unknown, send the same request again"
        return FluxError(Code.UNAVAILABLE, message, retry_after_s=RETRY_AFTER_S)
    return None


def translator(unavailable: tuple[type[Exception], ...]) -> Callable[[Exception], FluxError | None]:
    """`refusal_of` with the errors that pass, for `FluxErrors`."""
    return lambda error: refusal_of(error, unavailable)
