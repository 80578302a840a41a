"""Events of the board of swaps between processes: PostgreSQL's NOTIFY, sent by the transaction that made them.

An event reaches the others when its transaction commits, and not at all when it does not.
"""

import json
from collections.abc import Callable, Sequence
from typing import Final

from crossbook.application.swap_events import SwapEvent, SwapEventKind
from crossbook.storage.database import Transaction

CHANNEL: Final = "crossbook_swaps"
MOST_AT_ONCE: Final = 100
"""Events in one message: it has at most 8,000 bytes."""


async def announce(transaction: Transaction, origin: str, events: Sequence[SwapEvent]) -> None:
    """Send events when the transaction commits. `origin` names this process; "" for a process that is alone."""
    if not events or not origin:
        return
    messages = [
        json.dumps([origin, *([event.kind, *event[1:]] for event in events[first : first + MOST_AT_ONCE])])
        for first in range(0, len(events), MOST_AT_ONCE)
    ]
    await transaction.rows("SELECT pg_notify($1, message) FROM unnest($2::text[]) AS message", CHANNEL, messages)


def reader(origin: str, publish: Callable[[Sequence[SwapEvent]], None]) -> Callable[[str | None], None]:
    """What `Database.listen` calls with each message: it publishes what other processes sent.

    None stands for messages that were lost: anything may have happened, on any pair.
    """

    def read(message: str | None) -> None:
        if message is None:
            publish([SwapEvent(SwapEventKind.BOARD_CHANGED, 0)])
            return
        sender, *events = json.loads(message)
        if sender != origin:
            publish([SwapEvent(SwapEventKind(kind), *numbers) for kind, *numbers in events])

    return read
