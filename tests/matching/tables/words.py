"""The smallest words of the book tables: numbers, names, times, and the line they stand on."""

import re
from dataclasses import dataclass
from typing import Final, NoReturn

from crossbook.domain.orders import (
    DAY_MS,
    BandReference,
    MarketState,
    PriceSource,
    SelfTradePrevention,
    Side,
    TimeInForce,
)

FIRST_MIDNIGHT_MS: Final = 19_675 * DAY_MS
START_MS: Final = FIRST_MIDNIGHT_MS + 9 * 3_600_000

ACCOUNTS: Final = {"operator": 0, "alice": 1, "bob": 2, "carol": 3, "dave": 4, "erin": 5, "frank": 6}
SIDES: Final = {"buy": Side.BUY, "sell": Side.SELL}
SOURCES: Final = {"last": PriceSource.LAST, "mark": PriceSource.MARK, "index": PriceSource.INDEX}
STATES: Final = {state.name.lower().replace("_", "-"): state for state in MarketState}
MODES: Final = {
    "none": SelfTradePrevention.NONE,
    "taker": SelfTradePrevention.EXPIRE_TAKER,
    "maker": SelfTradePrevention.EXPIRE_MAKER,
    "both": SelfTradePrevention.EXPIRE_BOTH,
    "decrement": SelfTradePrevention.DECREMENT,
}
TIMES_IN_FORCE: Final = {tif.name.lower(): tif for tif in TimeInForce}
BAND_REFERENCES: Final = {reference.name.lower(): reference for reference in BandReference}


class TableError(ValueError):
    """A `.book` file that can not be read; the message starts with file and line."""


@dataclass(frozen=True)
class Line:
    """A line of a `.book` text, without the blanks around it."""

    file: str
    number: int
    text: str

    def fail(self, message: str) -> NoReturn:
        """Raise `TableError`, naming this line."""
        raise TableError(f"{self.file}:{self.number}: {message}: {self.text!r}")


_NUMBER: Final = re.compile(r"(-?)(?:(\d+)\^(\d+)|([\d_]+))([+-]\d+)?")


def number(line: Line, text: str) -> int:
    """The number that `text` stands for: `12`, `-3`, `1_000`, `2^40-1`."""
    match = _NUMBER.fullmatch(text)
    if not match:
        line.fail(f"not a number: {text!r}")
    sign, base, power, plain, more = match.groups()
    value = int(base) ** int(power) if base else int(plain)
    return (-value if sign else value) + (int(more) if more else 0)


def account(line: Line, text: str) -> int:
    """The id of the account that `text` names, or the number itself."""
    if text in ACCOUNTS:
        return ACCOUNTS[text]
    if not text[:1].isdigit() and text[:1] != "-":
        line.fail(f"unknown account {text!r}")
    return number(line, text)


def name_of(account_id: int) -> str:
    """The name under which the tables know an account, or its number."""
    for name, known in ACCOUNTS.items():
        if known == account_id:
            return name
    return str(account_id)


_TIME: Final = re.compile(r"(\d+):(\d\d)(?::(\d\d)(?:\.(\d{3}))?)?")


def time_of(line: Line, text: str) -> int:
    """Milliseconds since the epoch of `17:30`, `17:30:05.250`, or of a plain number; 24:00 is the next midnight."""
    match = _TIME.fullmatch(text)
    if not match:
        return number(line, text)
    hours, minutes, seconds, millis = (int(part or 0) for part in match.groups())
    return FIRST_MIDNIGHT_MS + ((hours * 60 + minutes) * 60 + seconds) * 1000 + millis
