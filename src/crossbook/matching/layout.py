"""The fixed-size records of the engine: which word of a command or an event is what.

A word is a signed little-endian 64-bit number. The first word of a record, its head, packs the small
fields; the shifts and masks below take it apart. docs/matching.md, section 9.
"""

from typing import Final

# -- Commands: 14 words ------------------------------------------------------------------------------
COMMAND_WORDS: Final = 14
COMMAND_BYTES: Final = 112

HEAD: Final = 0
SEQUENCE: Final = 1
TIME_MS: Final = 2
ORDER_ID: Final = 3
ACCOUNT_ID: Final = 4
QUANTITY: Final = 5
PRICE: Final = 6
TRIGGER_PRICE: Final = 7
DISPLAY: Final = 8
EXPIRE_MS: Final = 9
TRADE_GROUP: Final = 10
BUDGET: Final = 11
OCO_ORDER_ID: Final = 12
TRAIL: Final = 13

# Words of the other commands, where their names differ.
STATE: Final = 3  # SetMarketState
REFERENCE_PRICE: Final = 6  # SetMarketState, ConfigureMarket
MARK_PRICE: Final = 5  # UpdatePrices
INDEX_PRICE: Final = 6
POSITION: Final = 5  # SetPosition
BAND_BASIS_POINTS: Final = 5  # ConfigureMarket
BAND_REFERENCE: Final = 7
MAX_OPEN_ORDERS: Final = 8
MAX_ICEBERG_PARTS: Final = 9
MAX_TRAILING_ORDERS: Final = 10
PERIOD_START_MS: Final = 3  # ApplyFunding
RATE_PPB: Final = 5
SELLER_ACCOUNT_ID: Final = 3  # ForceTrade; the buyer stands in ACCOUNT_ID

# The head of a command. Kind in the lowest byte, then the terms of an order.
KIND_MASK: Final = 0xFF
TERMS_SHIFT: Final = 8
CONTINUES: Final = 1 << 25  # this record belongs to the same batch as the one before it
EXTENDED: Final = 1 << 26  # SubmitOrder: the words from TRIGGER_PRICE on count; without it they say nothing
HEAD_MASK: Final = (1 << 27) - 1  # every other bit is reserved

# Terms: a head shifted right by TERMS_SHIFT; stored with the order and in snapshots.
SIDE_MASK: Final = 3
TYPE_SHIFT: Final = 2
TYPE_MASK: Final = 15
TIF_SHIFT: Final = 6
TIF_MASK: Final = 7
POST_ONLY: Final = 1 << 9
REDUCE_ONLY: Final = 1 << 10
STP_SHIFT: Final = 11
STP_MASK: Final = 7
SOURCE_SHIFT: Final = 14
SOURCE_MASK: Final = 3
TRAIL_BASIS_POINTS: Final = 1 << 16
TERMS_MASK: Final = (1 << 17) - 1
HAS_EXTRA: Final = 1 << 17  # in snapshots only: eight more words follow

# Kinds of commands, as numbered in domain.commands.CommandKind.
UNKNOWN: Final = 0
SUBMIT: Final = 1
CANCEL: Final = 2
CANCEL_ALL: Final = 3
REDUCE: Final = 4
AMEND: Final = 5
SET_STATE: Final = 6
UPDATE_PRICES: Final = 7
ADVANCE_TIME: Final = 8
SET_POSITION: Final = 9
CONFIGURE: Final = 10
APPLY_FUNDING: Final = 11
FORCE_TRADE: Final = 12
SETTLE_POSITIONS: Final = 13

# -- Events: 12 words --------------------------------------------------------------------------------
EVENT_WORDS: Final = 12
EVENT_BYTES: Final = 96
# Word 0 is the head, 1 the sequence, 2 the index, 3 to 11 the event's own fields in the order of its
# dataclass, without those that the head packs.
EVENT_SIDE_SHIFT: Final = 8  # 2 bits
EVENT_FLAG_SHIFT: Final = 10  # 1 bit: auction, kept_place
EVENT_SMALL_SHIFT: Final = 12  # 8 bits: order type, command kind, mode, source, state, band reference
EVENT_SMALL2_SHIFT: Final = 20  # 8 bits: the state after a change
EVENT_REASON_SHIFT: Final = 28  # 16 bits

ACCEPTED: Final = 1
REJECTED: Final = 2
RESTED: Final = 3
TRADE: Final = 4
PREVENTED: Final = 5
REDUCED: Final = 6
REPLENISHED: Final = 7
AMENDED: Final = 8
CANCELLED: Final = 9
EXPIRED: Final = 10
TRIGGERED: Final = 11
ORDERS_CANCELLED: Final = 12
UNCROSSED: Final = 13
STATE_CHANGED: Final = 14
PRICES_UPDATED: Final = 15
POSITION_SET: Final = 16
CONFIGURED: Final = 17
FUNDING_APPLIED: Final = 18
FORCED_TRADE: Final = 19
POSITIONS_SETTLED: Final = 20
