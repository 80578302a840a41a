"""Admission: what a batch of requests does to accounts, decided one by one against rows that are locked.

Pure: it is given what the database holds, keeps the running state of the batch, and says what to write.
A refused request leaves no trace, so one bad order never fails its neighbours. docs: steps 4 and 5 of
the way of an order.
"""

from typing import Final

from msgspec.structs import replace

from crossbook.application import validation
from crossbook.application.activity import ActivityKind, Step
from crossbook.application.books import (
    AdmittedAmendment,
    AdmittedOrder,
    AmendableOrder,
    Books,
    CommandMaker,
    FeeRates,
    KnownOrder,
)
from crossbook.application.errors import DuplicateClientOrderId, InvalidOrder, OrderNotFound, OrderNotOpen, Overloaded
from crossbook.application.markets import Markets
from crossbook.application.marks import Marks
from crossbook.application.requests import (
    AmendRequest,
    CancelAllRequest,
    CancelRequest,
    NewOrder,
    PlacedOrder,
    SystemRequest,
)
from crossbook.application.reserves import Reserves
from crossbook.domain.amendments import Terms
from crossbook.domain.commands import AmendOrder, CancelAll, CancelOrder, SingleCommand, SubmitOrder
from crossbook.domain.instruments import FeeAsset, Instrument
from crossbook.domain.lifecycle import OrderStatus
from crossbook.domain.money import MILLION

REPEAT_WITHIN_MS: Final = 600_000
"""How long the same body under the external id of an order that has ended is taken for a repeat."""
MAX_UNDER_WAY: Final = 8
"""How many amendments of one order may wait for their settlement: each must be weighed against all before it."""


class Admission:
    """Decides the requests of one batch, in order."""

    def __init__(self, books: Books, markets: Markets, marks: Marks, now_ms: int) -> None:
        self._books = books
        self._markets = markets
        self._reserves = Reserves(books, markets, marks)
        self._now_ms = now_ms

    def submit(self, order: NewOrder, order_id: int) -> PlacedOrder:
        """Admit a new order, or give the one that its client id or its external id names already.

        Raises DuplicateClientOrderId, InsufficientMargin, InsufficientFunds, InvalidOrder.
        """
        fingerprint = None
        if order.client_order_id is not None or order.external_id is not None:
            fingerprint = order.fingerprint()
            repeated = self._repeat(order, fingerprint)
            if repeated is not None:
                return repeated
        market = self._markets.numbered(order.market_id)
        if not order.leverage:
            order = replace(order, leverage=self._reserves.leverage_of(order, market))
        rates = _rates(order, market.instrument)
        held_units = self._reserves.for_order(order, rates, market)
        index = self._log(market.number, _submission(order, order_id))
        self._books.orders.append((index, AdmittedOrder(order_id, order, held_units, rates, fingerprint)))
        known = KnownOrder(
            order_id,
            order.account_id,
            market.number,
            OrderStatus.PENDING,
            self._now_ms,
            fingerprint,
            order.external_id,
            order.keeps_activity,
        )
        self._note(known, ActivityKind.REQUEST_NEW, index, order.quantity_lots, order.price_ticks)
        self._books.by_id[order_id] = known
        if order.client_order_id is not None:
            self._books.by_client_id[order.account_id, order.client_order_id] = known
        if order.external_id is not None:
            self._books.by_external_id[order.account_id, order.external_id] = known
        return PlacedOrder(order_id, market.number, OrderStatus.PENDING, self._now_ms)

    def cancel(self, request: CancelRequest) -> None:
        """Log the cancel of an order. Raises OrderNotFound (also for another's order) and OrderNotOpen."""
        known = self._books.by_id.get(request.order_id)
        if known is None or known.account_id != request.account_id:
            raise OrderNotFound(str(request.order_id))
        if not known.status.is_live:
            raise OrderNotOpen(str(request.order_id))
        index = self._log(
            known.market_id, lambda sequence, now: CancelOrder(sequence, now, request.order_id, request.account_id)
        )
        self._note(known, ActivityKind.REQUEST_CANCEL, index)

    def amend(self, request: AmendRequest) -> None:
        """Log the amendment of an order, and set aside what it may need more until it is settled; rename it at once.

        Raises OrderNotFound (also for another's order), OrderNotOpen, InvalidOrder, InsufficientMargin,
        InsufficientFunds, DuplicateClientOrderId for the name of another live order, and Overloaded when too many
        amendments of the order are under way.
        """
        order = self._books.amendable.get(request.order_id)
        if order is None or order.known.account_id != request.account_id:
            raise OrderNotFound(str(request.order_id))
        if not order.known.status.is_live:
            raise OrderNotOpen(str(request.order_id))
        market = self._markets.numbered(order.known.market_id)
        validation.check_amendment(request, order, market.instrument)
        name = request.external_id if request.external_id != order.known.external_id else None
        if name is not None:
            self._require_free_name(request)
        if request.changes_terms:
            if len(order.under_way) >= MAX_UNDER_WAY:
                raise Overloaded(f"{MAX_UNDER_WAY} amendments of order {request.order_id} are under way")
            asked = Terms(request.quantity_lots, request.price_ticks)
            reserve = self._reserves.for_amendment(order, asked, market)
            order.under_way.append(asked)
            index = self._log(market.number, _amendment(request))
            self._books.amendments.append((index, AdmittedAmendment(order, asked, reserve)))
            latest = order.latest_terms
            self._note(order.known, ActivityKind.REQUEST_MODIFY, index, latest.total_lots, latest.price_ticks)
        if name is not None:
            self._rename(order, name)

    def cancel_all(self, request: CancelAllRequest) -> list[int]:
        """Log a cancel-all in every market where the account has live orders; gives the ids of those orders."""
        live = [
            known for known in self._books.live.get(request.account_id, []) if request.market_id in (0, known.market_id)
        ]
        for market_id in sorted({known.market_id for known in live}):
            index = self._log(
                market_id, lambda sequence, now: CancelAll(sequence, now, request.account_id, request.side)
            )
            for known in live:
                if known.market_id == market_id:
                    self._note(known, ActivityKind.REQUEST_CANCEL, index)
        return [known.order_id for known in live]

    def system(self, request: SystemRequest) -> None:
        """Log commands of the venue itself."""
        for maker in request.makers:
            self._log(request.market_id, maker)

    def _note(
        self, known: KnownOrder, kind: ActivityKind, index: int, quantity_lots: int = 0, price_ticks: int = 0
    ) -> None:
        """Note a request, of an order that keeps its activity, which is the command at `index`."""
        if known.keeps_activity:
            self._books.steps.append((index, Step(known.order_id, kind, 0, price_ticks, quantity_lots)))

    def _repeat(self, order: NewOrder, fingerprint: bytes) -> PlacedOrder | None:
        """The order that was entered under one of these ids already; None for a new one.

        A client id names one order for ever. An external id is free again once its order has ended; only who sends
        just the same soon after is taken for somebody who has not seen the answer. Raises DuplicateClientOrderId.
        """
        by_client_id, by_external_id = self._books.by_client_id, self._books.by_external_id
        if order.client_order_id is not None:
            known = by_client_id.get((order.account_id, order.client_order_id))
            if known is not None:
                return _same(known, order.client_order_id, fingerprint)
        if order.external_id is not None:
            known = by_external_id.get((order.account_id, order.external_id))
            if known is not None and (known.status.is_live or self._seems_unanswered(known, fingerprint)):
                return _same(known, order.external_id, fingerprint)
        return None

    def _seems_unanswered(self, known: KnownOrder, fingerprint: bytes) -> bool:
        """Whether this body entered the order, which has ended, so lately that its sender may not know."""
        return known.fingerprint == fingerprint and self._now_ms - known.created_at_ms < REPEAT_WITHIN_MS

    def _require_free_name(self, request: AmendRequest) -> None:
        """Raise DuplicateClientOrderId when another live order has the external id that is asked for."""
        name = request.external_id or ""
        known = self._books.by_external_id.get((request.account_id, name))
        if known is not None and known.status.is_live and known.order_id != request.order_id:
            raise DuplicateClientOrderId(name)

    def _rename(self, order: AmendableOrder, external_id: str) -> None:
        """Give an order another external id; its own one is free from now on."""
        account_id = order.known.account_id
        if order.known.external_id is not None:
            self._books.by_external_id.pop((account_id, order.known.external_id), None)
        order.known = replace(order.known, external_id=external_id)
        self._books.by_external_id[account_id, external_id] = order.known
        self._books.renamed[order.known.order_id] = external_id

    def _log(self, market_id: int, maker: CommandMaker) -> int:
        self._books.commands.append((market_id, maker))
        return len(self._books.commands) - 1


def _same(known: KnownOrder, name: str, fingerprint: bytes) -> PlacedOrder:
    if known.fingerprint != fingerprint:
        raise DuplicateClientOrderId(name)
    return PlacedOrder(known.order_id, known.market_id, known.status, known.created_at_ms, repeated=True)


def _rates(order: NewOrder, instrument: Instrument) -> FeeRates:
    """What the order will pay: what it says, or else the market's. Raises InvalidOrder for rates no order may have."""
    maker = instrument.maker_fee_ppm if order.maker_fee_ppm is None else order.maker_fee_ppm
    taker = instrument.taker_fee_ppm if order.taker_fee_ppm is None else order.taker_fee_ppm
    if not -MILLION <= maker <= taker <= MILLION or taker < 0:
        raise InvalidOrder("feeRate", "of a maker must not exceed that of a taker, which is from 0 to 1")
    if maker < 0 and instrument.fee_asset is FeeAsset.RECEIVED:
        raise InvalidOrder("feeRate", "must not be a rebate where fees come out of what is received", "0")
    return FeeRates(maker, taker)


def _amendment(request: AmendRequest) -> CommandMaker:
    def make(sequence: int, now_ms: int) -> SingleCommand:
        return AmendOrder(
            sequence,
            now_ms,
            request.order_id,
            request.account_id,
            request.quantity_lots,
            request.price_ticks,
            request.trigger_price_ticks,
        )

    return make


def _submission(order: NewOrder, order_id: int) -> CommandMaker:
    def make(sequence: int, now_ms: int) -> SingleCommand:
        return SubmitOrder(
            sequence,
            now_ms,
            order_id,
            order.account_id,
            order.side,
            order.type,
            order.quantity_lots,
            order.price_ticks,
            order.time_in_force,
            order.post_only,
            order.reduce_only,
            order.self_trade_prevention,
            order.trade_group,
            order.expire_time_ms,
            order.budget,
            order.display_quantity_lots,
            order.trigger_price_ticks,
            order.trigger_source,
            order.trail,
            order.trail_in_basis_points,
            order.oco_order_id,
        )

    return make
