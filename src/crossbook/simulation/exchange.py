"""One perpetual market in memory: the real engine, and beside it wallets, positions and the venue's accounts.

Accounts are numbered from 0; in the engine, account i is FIRST_USER + i. Everything a rule decides is asked of
the domain. What moves here moves in the ledger of a real venue too: each account's wallet, the clearing
account, fees, the insurance fund and bad debt, and nothing else.
"""

import hashlib
import struct
from collections.abc import Sequence
from typing import Final

from crossbook.domain import positions
from crossbook.domain.accounts import FIRST_USER
from crossbook.domain.commands import (
    ApplyFunding,
    CancelAll,
    Command,
    ForceTrade,
    SubmitOrder,
    UpdatePrices,
)
from crossbook.domain.errors import CrossbookError
from crossbook.domain.events import (
    CommandRejected,
    ForcedTrade,
    OrderCancelled,
    OrderExpired,
    OrderReduced,
    Trade,
)
from crossbook.domain.fees import fee_reserve_units, fee_units
from crossbook.domain.funding import FundingPayments, settle_funding
from crossbook.domain.instruments import Instrument
from crossbook.domain.liquidating import fund_payment_units
from crossbook.domain.margin import MarginRow, check_new_order, open_loss_units
from crossbook.domain.orders import OrderType, SelfTradePrevention, Side, TimeInForce
from crossbook.domain.positions import Position
from crossbook.domain.risk import Exposure, ScopeRisk, account_risk
from crossbook.matching import Engine

MARKET: Final = 1
BILLION: Final = 1_000_000_000
_NOTED: Final = struct.Struct("<7q")


class BooksDoNotBalance(CrossbookError):
    """Money or contracts came from nowhere, or went there: the simulation must stop."""


class _Open:
    """A live order: whose, which way, and what it counts for in its account's margin row."""

    __slots__ = ("account", "lots", "order_id", "post_only", "price_ticks", "reduce_only", "side")

    def __init__(
        self, order_id: int, account: int, side: Side, lots: int, price_ticks: int, post_only: bool, reduce_only: bool
    ) -> None:
        self.order_id = order_id
        self.account = account
        self.side = side
        self.lots = lots
        self.price_ticks = price_ticks
        self.post_only = post_only
        self.reduce_only = reduce_only


class Exchange:
    """The market and its accounts. `wallets` are in units of the quote asset, one for each account.

    `touched` collects the accounts whose wallet or position changed; whoever watches them empties it.
    """

    def __init__(self, instrument: Instrument, wallets: Sequence[int], fund_units: int, mark_ticks: int) -> None:
        count = len(wallets)
        self.instrument = instrument
        self.wallet = list(wallets)
        self.lots = [0] * count
        self.cost = [0] * count
        self.leverage = [1] * count
        self.row = [MarginRow(1)] * count
        self.clearing = self.fees = self.bad_debt = 0
        self.fund = fund_units
        self.put_in = sum(wallets) + fund_units
        self.mark_ticks = mark_ticks
        self.now_ms = 0
        self.touched: list[int] = []
        self.trades = self.commands = self.forced_trades = self.refused = 0
        self.traded_units = self.fund_received = self.fund_paid = 0
        self.unit = instrument.units_per_tick_lot
        self.engine = Engine()
        self._orders: dict[int, _Open] = {}
        self._live: list[dict[int, _Open]] = [{} for _ in range(count)]
        self._last_order_id = 0
        self._liquidating = -1
        self._bankruptcy_ticks = 0
        self._filled_lots = 0
        self._digest = hashlib.sha256()

    # -- Questions -----------------------------------------------------------------------------------
    def scope(self, account: int) -> ScopeRisk:
        """The account's positions at the mark: one cross scope."""
        row = self.margin_row(account)
        one = Exposure(MARKET, self.instrument, row, self.cost[account], self.mark_ticks)
        return account_risk(self.wallet[account], (one,)).cross

    def margin_row(self, account: int) -> MarginRow:
        """The account's position and open orders."""
        return self.row[account]

    def equity(self, account: int) -> int:
        """Wallet and unrealised PnL at the mark."""
        return self.wallet[account] + self.lots[account] * self.mark_ticks * self.unit - self.cost[account]

    def has_orders(self, account: int) -> bool:
        """Whether the account has live orders."""
        return bool(self._live[account])

    def open_interest(self) -> int:
        """What all longs hold together, in lots."""
        return sum(lots for lots in self.lots if lots > 0)

    # -- Commands ------------------------------------------------------------------------------------
    def set_mark(self, mark_ticks: int, now_ms: int) -> None:
        """The next mark, and the time."""
        self.now_ms = max(self.now_ms, now_ms)
        self.mark_ticks = mark_ticks
        self._apply(UpdatePrices(self._next(), self.now_ms, mark_ticks, mark_ticks))

    def submit(
        self,
        account: int,
        side: Side,
        lots: int,
        price_ticks: int,
        leverage: int,
        *,
        time_in_force: TimeInForce = TimeInForce.IOC,
        post_only: bool = False,
        reduce_only: bool = False,
    ) -> bool:
        """Enter an order if the account's equity carries it; whether it came in."""
        row = self.row[account]
        if not row.position_lots and not row.buy_lots and not row.sell_lots:
            row = MarginRow(leverage)
        if not reduce_only:
            instrument, mark = self.instrument, self.mark_ticks
            notional = lots * price_ticks * self.unit
            reserve = fee_reserve_units(notional, instrument.maker_fee_ppm, instrument.taker_fee_ppm, post_only)
            after = row.with_order(side, lots, notional, reserve)
            loss = open_loss_units(instrument, side, price_ticks, lots, mark)
            if not check_new_order(instrument, row, after, mark, self.equity(account), 0, loss).accepted:
                self.refused += 1
                return False
            row = after
        self.row[account] = row
        self._enter(account, side, lots, price_ticks, time_in_force, post_only, reduce_only)
        return True

    def cancel_all(self, account: int) -> None:
        """Cancel every order of the account."""
        if self._live[account]:
            self._apply(CancelAll(self._next(), self.now_ms, FIRST_USER + account))

    def liquidate(self, account: int, side: Side, lots: int, limit_ticks: int, bankruptcy_ticks: int) -> int:
        """Send a liquidation order; gives the lots that traded. Each fill moves money to or from the fund (3.6)."""
        self._liquidating, self._bankruptcy_ticks, self._filled_lots = account, bankruptcy_ticks, 0
        self._enter(account, side, lots, limit_ticks, TimeInForce.IOC, post_only=False, reduce_only=True)
        self._liquidating = -1
        return self._filled_lots

    def force_trade(self, buyer: int, seller: int, price_ticks: int, lots: int) -> None:
        """Close a short against a long outside the book (3.7)."""
        ids = FIRST_USER + buyer, FIRST_USER + seller
        self._apply(ForceTrade(self._next(), self.now_ms, *ids, price_ticks, lots))

    def cover(self, account: int, loss_units: int) -> int:
        """Bring an account up by its loss: from the fund as far as it goes, the rest as bad debt, which is given."""
        paid = min(loss_units, self.fund)
        self.fund -= paid
        self.fund_paid += paid
        self.bad_debt -= loss_units - paid
        self.wallet[account] += loss_units
        self._note(3, account, loss_units, paid, 0, 0)
        return loss_units - paid

    def pay_funding(self, period_start_ms: int, rate_ppb: int) -> FundingPayments:
        """Settle one funding period at the mark as index: everybody pays or receives, the dust goes to the fund."""
        from fractions import Fraction

        rate = Fraction(rate_ppb, BILLION)
        self._apply(ApplyFunding(self._next(), self.now_ms, period_start_ms, rate_ppb, self.mark_ticks))
        held = [(account, lots) for account, lots in enumerate(self.lots) if lots]
        settled = settle_funding(self.instrument, held, self.mark_ticks, rate)
        for account, units in settled.payments:
            self.wallet[account] += units
            self.touched.append(account)
        self.fund += settled.dust_units
        self._note(4, period_start_ms, rate_ppb, settled.dust_units, 0, 0)
        return settled

    # -- Proof ---------------------------------------------------------------------------------------
    def check_books(self) -> None:
        """Raise BooksDoNotBalance unless everything sums to what was put in, to the last unit, and contracts to 0."""
        total = sum(self.wallet) + self.clearing + self.fees + self.fund + self.bad_debt
        if total != self.put_in:
            raise BooksDoNotBalance(f"accounts hold {total}, {self.put_in} was put in")
        if sum(self.lots) != 0:
            raise BooksDoNotBalance(f"positions sum to {sum(self.lots)} lots")
        if self.clearing + sum(self.cost) != 0:
            raise BooksDoNotBalance(f"clearing holds {self.clearing} against a cost of {sum(self.cost)}")
        if self.fund < 0:
            raise BooksDoNotBalance(f"the insurance fund holds {self.fund}")

    def check_engine(self) -> None:
        """Raise BooksDoNotBalance unless the engine knows the same positions and orders."""
        for account, lots in enumerate(self.lots):
            if self.engine.position(FIRST_USER + account) != lots:
                raise BooksDoNotBalance(f"account {account} holds {lots} lots, and others in the engine")
        if self.engine.open_orders != len(self._orders):
            raise BooksDoNotBalance(f"{len(self._orders)} orders are open, {self.engine.open_orders} in the engine")

    def state_hash(self) -> str:
        """A hash of every trade and payment so far, of all accounts, and of the engine's state."""
        digest = self._digest.copy()
        digest.update(repr((self.wallet, self.lots, self.cost, self.clearing, self.fees, self.fund)).encode())
        digest.update(self.engine.state_hash().encode())
        return digest.hexdigest()

    # -- Events --------------------------------------------------------------------------------------
    def _next(self) -> int:
        self.commands += 1
        return self.commands

    def _enter(
        self,
        account: int,
        side: Side,
        lots: int,
        price_ticks: int,
        time_in_force: TimeInForce,
        post_only: bool,
        reduce_only: bool,
    ) -> None:
        self._last_order_id += 1
        order = _Open(self._last_order_id, account, side, lots, price_ticks, post_only, reduce_only)
        self._orders[order.order_id] = order
        self._live[account][order.order_id] = order
        self._apply(
            SubmitOrder(
                self._next(),
                self.now_ms,
                order.order_id,
                FIRST_USER + account,
                side,
                OrderType.LIMIT,
                lots,
                price_ticks,
                time_in_force,
                post_only,
                reduce_only,
                SelfTradePrevention.EXPIRE_TAKER,
            )
        )

    def _apply(self, command: Command) -> None:
        for event in self.engine.apply(command):
            if isinstance(event, Trade):
                self._trade(event)
            elif isinstance(event, OrderCancelled | OrderExpired):
                self._left(self._orders[event.order_id], 0)
            elif isinstance(event, OrderReduced):
                self._left(self._orders[event.order_id], event.open_lots)
            elif isinstance(event, ForcedTrade):
                self._forced(event)
            elif isinstance(event, CommandRejected):
                self.refused += 1
                order = self._orders.get(event.order_id)
                if order is not None:
                    self._left(order, 0)

    def _trade(self, event: Trade) -> None:
        price, lots = event.price_ticks, event.quantity_lots
        notional = price * lots * self.unit
        self.trades += 1
        self.traded_units += notional
        maker, taker = self._orders[event.maker_order_id], self._orders[event.taker_order_id]
        instrument = self.instrument
        self._fill(maker.account, maker.side, lots, price, fee_units(notional, instrument.maker_fee_ppm))
        if taker.account == self._liquidating:
            self._fill(taker.account, taker.side, lots, price, 0)
            closed = lots if taker.side is Side.SELL else -lots
            flow = fund_payment_units(instrument, closed, price, self._bankruptcy_ticks, self.fund)
            self.wallet[taker.account] -= flow
            self.fund += flow
            self.fund_received += max(flow, 0)
            self.fund_paid += max(-flow, 0)
            self._filled_lots += lots
        else:
            self._fill(taker.account, taker.side, lots, price, fee_units(notional, instrument.taker_fee_ppm))
        self._left(maker, event.maker_open_lots)
        self._left(taker, event.taker_open_lots)
        self._note(1, event.trade_id, maker.account, taker.account, price, lots)

    def _forced(self, event: ForcedTrade) -> None:
        self.forced_trades += 1
        buyer, seller = event.buyer_account_id - FIRST_USER, event.seller_account_id - FIRST_USER
        self._fill(buyer, Side.BUY, event.quantity_lots, event.price_ticks, 0)
        self._fill(seller, Side.SELL, event.quantity_lots, event.price_ticks, 0)
        self._note(2, event.trade_id, buyer, seller, event.price_ticks, event.quantity_lots)

    def _fill(self, account: int, side: Side, lots: int, price_ticks: int, fee: int) -> None:
        before = Position(self.lots[account], self.cost[account])
        after, realised = positions.apply_fill(before, side, lots, price_ticks, self.unit)
        self.lots[account], self.cost[account] = after.quantity_lots, after.cost_units
        self.wallet[account] += realised - fee
        self.clearing -= realised
        self.fees += fee
        row = self.row[account]
        self.row[account] = MarginRow(
            row.leverage,
            after.quantity_lots,
            row.buy_lots,
            row.buy_notional_units,
            row.sell_lots,
            row.sell_notional_units,
            row.fee_reserve_units,
        )
        self.touched.append(account)

    def _left(self, order: _Open, open_lots: int) -> None:
        """So much of an order is still open; at nothing it is gone."""
        gone, order.lots = order.lots - open_lots, open_lots
        if not order.reduce_only and gone:
            instrument, price = self.instrument, order.price_ticks * self.unit
            rate = (instrument.maker_fee_ppm, instrument.taker_fee_ppm, order.post_only)
            freed = fee_reserve_units((open_lots + gone) * price, *rate) - fee_reserve_units(open_lots * price, *rate)
            row = self.row[order.account]
            self.row[order.account] = row.with_order(order.side, -gone, -gone * price, -freed)
        if open_lots == 0:
            del self._orders[order.order_id]
            del self._live[order.account][order.order_id]

    def _note(self, kind: int, *values: int) -> None:
        """Add what happened to the hash."""
        self._digest.update(_NOTED.pack(kind, *values, self.fund))
