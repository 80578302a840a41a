"""Conditions on the columns of orders: what a list of orders may be narrowed by, and nothing else."""

from dataclasses import dataclass
from decimal import Decimal
from enum import Enum, IntEnum, unique
from typing import Final


class OrderStage(IntEnum):
    """Where an order stands, with what is asked of it and not done yet. 4 and above are ends."""

    NEW_PENDING = 1
    ACTIVE = 2
    CANCEL_PENDING = 3
    MODIFY_PENDING = 4
    FILLED = 5
    CANCELED = 6
    REJECTED = 7


@unique
class Column(Enum):
    """What can be compared."""

    ID = "id"
    CLIENT_ID = "client_id"
    INSTRUMENT_ID = "instrument_id"
    STAGE = "stage"
    SIDE = "side"
    TYPE = "type"
    TIME_IN_FORCE = "time_in_force"
    EXTERNAL_ID = "external_id"
    REF_EXTERNAL_ID = "ref_external_id"
    PRICE = "price"
    QUANTITY = "quantity"
    LEAVES_QUANTITY = "leaves_quantity"
    EXECUTED_QUANTITY = "executed_quantity"
    CREATED_AT_NS = "created_at_ns"


@unique
class Operator(Enum):
    """How it is compared."""

    EQ = "$eq"
    NE = "$ne"
    IN = "$in"
    NIN = "$nin"
    GT = "$gt"
    GTE = "$gte"
    LT = "$lt"
    LTE = "$lte"


OF_LISTS: Final = frozenset({Operator.IN, Operator.NIN})
"""Operators that compare with several values."""
OF_ORDER: Final = frozenset({Operator.GT, Operator.GTE, Operator.LT, Operator.LTE})
"""Operators that need an order among values."""

WHOLE: Final = frozenset({Column.ID, Column.CLIENT_ID, Column.INSTRUMENT_ID, Column.CREATED_AT_NS})
CODES: Final = frozenset({Column.STAGE, Column.SIDE, Column.TYPE, Column.TIME_IN_FORCE})
TEXTS: Final = frozenset({Column.EXTERNAL_ID, Column.REF_EXTERNAL_ID})
DECIMALS: Final = frozenset({Column.PRICE, Column.QUANTITY, Column.LEAVES_QUANTITY, Column.EXECUTED_QUANTITY})

Value = int | str | Decimal


@dataclass(frozen=True)
class Condition:
    """One comparison. `values` are several for the operators of lists, else one, and of the column's kind."""

    column: Column
    operator: Operator
    values: tuple[Value, ...]
