"""Reads recorded candles: what drives the marks."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Final

from crossbook.domain.instruments import Instrument
from crossbook.domain.orders import MAX_PRICE_TICKS
from crossbook.replay.tables import TableFile, TapeError, shown

COLUMNS: Final = ("timestamp", "open", "high", "low", "close", "volume")


@dataclass(frozen=True)
class Candle:
    """One interval: when it began, and its prices in ticks."""

    time_ms: int
    open_ticks: int
    high_ticks: int
    low_ticks: int
    close_ticks: int

    def path(self) -> tuple[int, int, int]:
        """The marks of the interval in the order they are taken to have come: against its direction first."""
        if self.close_ticks >= self.open_ticks:
            return self.low_ticks, self.high_ticks, self.close_ticks
        return self.high_ticks, self.low_ticks, self.close_ticks


def read_candles(path: Path, instrument: Instrument, limit: int = 0) -> list[Candle]:
    """The candles of a CSV file, plain or gzip, with a header of `COLUMNS`; the first `limit` ones, 0 for all.

    Prices are rounded to the instrument's tick, down. Raises TapeError and OSError.
    """
    candles: list[Candle] = []
    with TableFile(path) as table:
        lines = table.lines()
        number, header = next(lines, (1, ""))
        if tuple(header.split(",")) != COLUMNS:
            raise TapeError(path, number, "", 0, f"the header {','.join(COLUMNS)}", shown(header))
        for number, text in lines:
            candle = _candle(path, number, text, instrument)
            if candles and candle.time_ms <= candles[-1].time_ms:
                raise TapeError(path, number, COLUMNS[0], 1, "a later time than in the line before", shown(text))
            candles.append(candle)
            if len(candles) == limit:
                break
    if not candles:
        raise TapeError(path, 2, "", 0, "a candle", "nothing")
    return candles


def _candle(path: Path, number: int, text: str, instrument: Instrument) -> Candle:
    fields = text.split(",")
    if len(fields) != len(COLUMNS):
        raise TapeError(path, number, "", 0, f"{len(COLUMNS)} columns", str(len(fields)))
    try:
        moment = datetime.fromisoformat(fields[0])
    except ValueError as error:
        raise TapeError(
            path, number, COLUMNS[0], 1, "a time like 2025-05-29 19:00:00+00:00", shown(fields[0])
        ) from error
    if moment.tzinfo is None:
        raise TapeError(path, number, COLUMNS[0], 1, "a time with its offset from UTC", shown(fields[0]))
    prices = [_ticks(path, number, column, fields[column], instrument) for column in range(1, 5)]
    candle = Candle(int(moment.timestamp()) * 1000, *prices)
    if not candle.low_ticks <= min(candle.open_ticks, candle.close_ticks):
        raise TapeError(path, number, COLUMNS[3], 4, "the lowest price", shown(fields[3]))
    if not candle.high_ticks >= max(candle.open_ticks, candle.close_ticks):
        raise TapeError(path, number, COLUMNS[2], 3, "the highest price", shown(fields[2]))
    return candle


def _ticks(path: Path, number: int, column: int, text: str, instrument: Instrument) -> int:
    try:
        price = Decimal(text)
        ticks = int(price.scaleb(instrument.tick.decimals) // instrument.tick.size_units) if price.is_finite() else 0
    except InvalidOperation:
        ticks = 0
    if not 1 <= ticks <= MAX_PRICE_TICKS:
        raise TapeError(path, number, COLUMNS[column], column + 1, "a price", shown(text))
    return ticks
