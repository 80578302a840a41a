"""Every error of the application has a code of Flux; errors that nobody expects have none."""

import inspect

import pytest

from crossbook.application import errors
from crossbook.application.errors import (
    ApplicationError,
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
    StoreRefused,
    WithdrawalsStopped,
    WrongCredentials,
)
from crossbook.dialects.flux.errors import Code
from crossbook.dialects.flux.known_errors import refusal_of, translator
from crossbook.domain.errors import Reason
from crossbook.domain.instruments import BelowMinimum, InvalidLeverage
from crossbook.domain.margin import InsufficientMargin
from crossbook.domain.money import InvalidDecimal
from crossbook.security.passwords import PasswordsBusy

CODES = {
    MarketNotFound("X"): Code.MARKET_NOT_FOUND,
    MarketNotOpen("X", Reason.MARKET_PAUSED): Code.INVALID_ORDER,
    OrderNotFound("1"): Code.ORDER_NOT_FOUND,
    OrderNotOpen("1"): Code.ORDER_NOT_OPEN,
    InvalidOrder("price", "must be less"): Code.INVALID_ORDER,
    InsufficientFunds("USDC", 2, 1): Code.INSUFFICIENT_MARGIN,
    InLiquidation("X"): Code.INSUFFICIENT_MARGIN,
    WithdrawalsStopped("USDC"): Code.UNAVAILABLE,
    DuplicateClientOrderId("a"): Code.DUPLICATE_CLIENT_ORDER_ID,
    EmailTaken("taken"): Code.EMAIL_TAKEN,
    WrongCredentials("wrong"): Code.UNAUTHENTICATED,
    Overloaded("full"): Code.UNAVAILABLE,
    OutcomeUnknown("ended"): Code.UNAVAILABLE,
    InvalidDecimal("price", "must be less"): Code.INVALID_ORDER,
    BelowMinimum("quantity", "must be more"): Code.INVALID_ORDER,
    InvalidLeverage("leverage", "must be less"): Code.INVALID_ORDER,
    InsufficientMargin(2, 1): Code.INSUFFICIENT_MARGIN,
    PasswordsBusy("busy"): Code.UNAVAILABLE,
}

OF_THE_BOARD = {errors.InvalidLogin, errors.PairNotFound, errors.TooManyOffers}
"""What only the board of swaps answers, which Flux does not reach."""


@pytest.mark.parametrize(("error", "code"), CODES.items(), ids=lambda value: type(value).__name__)
def test_an_error_has_its_code(error: Exception, code: Code) -> None:
    refusal = refusal_of(error)
    assert refusal is not None
    assert refusal.code is code
    assert (refusal.retry_after_s > 0) == (code is Code.UNAVAILABLE)


def test_no_error_of_the_application_is_forgotten() -> None:
    kinds = {kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, ApplicationError)}
    # What the store refuses though admission let it pass is a fault of ours.
    assert kinds - {type(error) for error in CODES} - OF_THE_BOARD == {ApplicationError, StoreRefused}
    assert refusal_of(StoreRefused("orders_side_known")) is None


def test_the_message_names_field_rule_and_nearest() -> None:
    refusal = refusal_of(InvalidOrder("expireTime", "must lie in the future", "5"))
    assert refusal is not None
    assert refusal.message == "expiresAt must lie in the future; the nearest valid value is 5"


def test_what_passes_is_said_by_whoever_builds_the_venue() -> None:
    assert refusal_of(KeyError("detail")) is None
    refusal = translator((KeyError,))(KeyError("detail"))
    assert refusal is not None
    assert (refusal.code, refusal.retry_after_s) == (Code.UNAVAILABLE, 1)
    assert "detail" not in refusal.message
