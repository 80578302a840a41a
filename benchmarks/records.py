"""Writes the plain commands of a flow as engine records, and reads them back as command objects."""

from collections.abc import Iterable, Iterator
from struct import Struct
from typing import Final

from crossbook.domain.commands import AmendOrder, CancelOrder, CommandKind, SingleCommand, SubmitOrder
from crossbook.domain.orders import OrderType, PriceSource, SelfTradePrevention, Side, TimeInForce
from crossbook.matching import layout

BATCH_COMMANDS: Final = 1_000
START_TIME_MS: Final = 1_700_000_000_000
COMMANDS_PER_MS: Final = 10

_RECORD = Struct(f"<{layout.COMMAND_WORDS}q")


def order_head(side: Side, type: OrderType, time_in_force: TimeInForce) -> int:
    """The first word of the record of a plain order with self-trade prevention EXPIRE_TAKER."""
    terms = (
        side
        | type << layout.TYPE_SHIFT
        | time_in_force << layout.TIF_SHIFT
        | SelfTradePrevention.EXPIRE_TAKER << layout.STP_SHIFT
        | PriceSource.LAST << layout.SOURCE_SHIFT
    )
    return CommandKind.SUBMIT | terms << layout.TERMS_SHIFT


_PLAIN_KINDS = (
    (OrderType.LIMIT, TimeInForce.GTC),
    (OrderType.LIMIT, TimeInForce.IOC),
    (OrderType.MARKET, TimeInForce.IOC),
)
_HEADS = {(side, *kind): order_head(side, *kind) for side in Side for kind in _PLAIN_KINDS}
_TERMS_OF_HEAD = {head: terms for terms, head in _HEADS.items()}


class RecordWriter:
    """Numbers commands from 1, stamps them with a time, and collects their records in buffers."""

    def __init__(self, batch_commands: int = BATCH_COMMANDS) -> None:
        self._batch_commands = batch_commands
        self._records: list[bytes] = []
        self._buffers: list[bytes] = []
        self._sequence = 0
        self._order_id = 0

    def submit(
        self,
        side: Side,
        type: OrderType,
        time_in_force: TimeInForce,
        account_id: int,
        quantity_lots: int,
        price_ticks: int,
    ) -> int:
        """Write the entry of an order and give its id; ids count from 1."""
        self._order_id += 1
        head = _HEADS[side, type, time_in_force]
        self._write(head, self._order_id, account_id, quantity_lots, price_ticks)
        return self._order_id

    def cancel(self, order_id: int, account_id: int) -> None:
        """Write a cancel."""
        self._write(CommandKind.CANCEL, order_id, account_id, 0, 0)

    def amend(self, order_id: int, account_id: int, quantity_lots: int, price_ticks: int) -> None:
        """Write an amendment; 0 leaves a field as it is."""
        self._write(CommandKind.AMEND, order_id, account_id, quantity_lots, price_ticks)

    def take_buffers(self) -> list[bytes]:
        """What was written since the last time, in buffers of the batch size; the last may be shorter."""
        self._close_buffer()
        buffers, self._buffers = self._buffers, []
        return buffers

    def _write(self, head: int, order_id: int, account_id: int, quantity_lots: int, price_ticks: int) -> None:
        self._sequence += 1
        time_ms = START_TIME_MS + self._sequence // COMMANDS_PER_MS
        self._records.append(
            _RECORD.pack(
                head, self._sequence, time_ms, order_id, account_id, quantity_lots, price_ticks, 0, 0, 0, 0, 0, 0, 0
            )
        )
        if len(self._records) == self._batch_commands:
            self._close_buffer()

    def _close_buffer(self) -> None:
        if self._records:
            self._buffers.append(b"".join(self._records))
            self._records = []


def commands_of(buffers: Iterable[bytes]) -> Iterator[SingleCommand]:
    """The command objects of buffers that a `RecordWriter` filled."""
    for buffer in buffers:
        for words in _RECORD.iter_unpack(buffer):
            yield _command_of(words)


def _command_of(words: tuple[int, ...]) -> SingleCommand:
    head, sequence, time_ms, order_id, account_id, quantity_lots, price_ticks = words[:7]
    if head == CommandKind.CANCEL:
        return CancelOrder(sequence, time_ms, order_id, account_id)
    if head == CommandKind.AMEND:
        return AmendOrder(sequence, time_ms, order_id, account_id, quantity_lots, price_ticks)
    side, type, time_in_force = _TERMS_OF_HEAD[head]
    return SubmitOrder(sequence, time_ms, order_id, account_id, side, type, quantity_lots, price_ticks, time_in_force)


def rebatch(buffers: list[bytes], batch_commands: int) -> list[bytes]:
    """The same records in buffers of another size; the last may be shorter."""
    records = b"".join(buffers)
    size = batch_commands * layout.COMMAND_BYTES
    return [records[start : start + size] for start in range(0, len(records), size)]
