"""The one table of reasons: why something was refused, cut short, or ended.

Grouped by the layer that decides, in the order in which the layers look; inside a layer a smaller
number is found first. Every dialect maps every reason to its own words.
"""

from enum import IntEnum


class Reason(IntEnum):
    """Why a command was refused or an order ended. Numbers are stored and never change meaning."""

    NONE = 0

    # 300 to 399, the matching engine refuses a command: in the order of its checks.
    MALFORMED_COMMAND = 300
    ORDER_NOT_FOUND = 301
    USER_MISMATCH = 302
    DUPLICATE_ORDER_ID = 303
    INVALID_QUANTITY = 304
    INVALID_BUDGET = 305
    LIMIT_ORDER_MISSING_PRICE = 306
    INVALID_PRICE = 307
    INVALID_TIME_IN_FORCE = 308
    INVALID_EXPIRY = 309
    POST_ONLY_REQUIRES_LIMIT_ORDER = 310
    POST_ONLY_REQUIRES_GTC = 311
    INVALID_DISPLAY_QUANTITY = 312
    TOO_MANY_ICEBERG_PARTS = 313
    INVALID_TRIGGER = 314
    NO_TRIGGER_PRICE = 315
    INVALID_OCO = 316
    MARKET_PAUSED = 320
    MARKET_SETTLEMENT_ONLY = 321
    MARKET_CANCEL_ONLY = 322
    MARKET_IN_AUCTION = 323
    MARKET_POST_ONLY = 324
    PRICE_OUTSIDE_BAND = 330
    REDUCE_ONLY_WOULD_INCREASE = 331
    OPEN_ORDER_LIMIT = 332
    TRAILING_ORDER_LIMIT = 333
    POSITION_LIMIT = 334
    BOOK_FULL = 335
    POST_ONLY_WOULD_TAKE = 336
    NOTHING_TO_REDUCE = 340
    MARKET_NOT_SETTLING = 341

    # 400 to 499, the matching engine ends an order, or part of it, that it had accepted.
    USER_REQUEST = 400
    OPERATOR_REQUEST = 401
    AMENDED_BELOW_FILLED = 402
    OCO_SIBLING = 403
    REDUCE_ONLY = 404
    MARKET_SETTLEMENT = 405
    SELF_TRADE_PREVENTION = 410
    IOC_UNFILLED = 411
    FOK_UNFILLED = 412
    MARKET_LIQUIDITY_EXHAUSTED = 413
    PROTECTION_PRICE = 414
    BUDGET_SPENT = 415
    TIME_EXPIRED = 416


class CrossbookError(Exception):
    """Root of every error that Crossbook raises on purpose."""


class MalformedCommand(CrossbookError, ValueError):
    """A command that no record can hold: a field that is no whole number or does not fit 64 bits."""


class SequenceError(CrossbookError, ValueError):
    """A command that is not the next one of its market; nothing of the call was applied."""


class SnapshotError(CrossbookError, ValueError):
    """A snapshot that is torn, altered, of another version, or that no engine can have written."""
