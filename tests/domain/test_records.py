"""Commands and events are values: frozen, equal by content, copied and pickled whole."""

import copy
import dataclasses
import pickle

import pytest

from crossbook.domain.commands import Batch, CancelOrder, SubmitOrder
from crossbook.domain.errors import Reason
from crossbook.domain.events import EVENT_TYPES, OrderExpired, OrdersCancelled, PositionSet, Trade
from crossbook.domain.orders import OrderType, Side

SUBMIT = SubmitOrder(
    1, 2, order_id=3, account_id=4, side=Side.SELL, type=OrderType.LIMIT, quantity_lots=5, price_ticks=6
)
TRADE = Trade(1, 0, 1, 100, 5, Side.BUY, 7, 1, 0, 8, 2, 3, False)
EXPIRED = OrderExpired(1, 0, 7, 1, Side.BUY, 100, 5, Reason.IOC_UNFILLED, 0)
VALUES = (SUBMIT, Batch((SUBMIT, CancelOrder(1, 2, 3, 4))), TRADE, EXPIRED, OrdersCancelled(1, 2, 3, 4))


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_a_copy_and_a_pickle_are_equal_to_the_value(value: object) -> None:
    for twin in (copy.copy(value), copy.deepcopy(value), pickle.loads(pickle.dumps(value))):
        assert twin == value
        assert type(twin) is type(value)
        assert hash(twin) == hash(value)


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_no_field_can_be_changed(value: object) -> None:
    name = dataclasses.fields(value)[0].name  # type: ignore[arg-type]
    before = copy.copy(value)
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(value, name, 9)
    assert value == before


def test_events_of_different_kinds_with_the_same_fields_differ() -> None:
    alike: tuple[object, object] = (OrdersCancelled(1, 0, 3, 4), PositionSet(1, 0, 3, 4))
    assert alike[0] != alike[1]


def test_every_event_starts_with_its_sequence_and_index() -> None:
    for kind in EVENT_TYPES:
        assert [field.name for field in dataclasses.fields(kind)][:2] == ["sequence", "index"]


def test_an_event_can_be_made_by_name() -> None:
    assert OrdersCancelled(sequence=1, index=2, account_id=3, count=4) == OrdersCancelled(1, 2, 3, 4)
