"""The engine: one market's state machine, from command records to event records.

`process` is the interface of the log; `apply` takes and gives the dataclasses of the domain through
the codec. The rules live in the modules that the dispatcher names. docs/matching.md.
"""

from typing import Final, final

from crossbook.domain.commands import Command
from crossbook.domain.errors import MalformedCommand, SequenceError
from crossbook.domain.events import Event
from crossbook.domain.orders import (
    MAX_BASIS_POINTS,
    MAX_FUNDING_PPB,
    MAX_ID,
    MAX_POSITION_LOTS,
    MAX_PRICE_TICKS,
    MAX_TIME_MS,
    MarketState,
    Side,
)
from crossbook.matching import auction, changing, restoring, settling, snapshot
from crossbook.matching.book import (
    ACCOUNT_SHIFT,
    ASKS,
    COUNT,
    DONE,
    EXTRA,
    ID,
    LADDER,
    LEVEL,
    LEVEL_PRICE,
    OPEN,
    OWNER,
    TERMS,
    TOTAL,
    TRIGGER,
)
from crossbook.matching.book import (
    HEAD as FIRST_ORDER,
)
from crossbook.matching.book import (
    POSITION as ACCOUNT_POSITION,
)
from crossbook.matching.codec import SIDES, STATES, TYPES, decode, encode
from crossbook.matching.columns import i64, vec
from crossbook.matching.ending import MARKET_SETTLEMENT, TIME_EXPIRED, expire
from crossbook.matching.entry import MALFORMED_COMMAND, submit
from crossbook.matching.ladder import BLOCK
from crossbook.matching.layout import (
    ACCOUNT_ID,
    ADVANCE_TIME,
    AMEND,
    APPLY_FUNDING,
    BAND_BASIS_POINTS,
    BAND_REFERENCE,
    CANCEL,
    CANCEL_ALL,
    COMMAND_BYTES,
    COMMAND_WORDS,
    CONFIGURE,
    CONFIGURED,
    CONTINUES,
    EVENT_SMALL2_SHIFT,
    EVENT_SMALL_SHIFT,
    EXTENDED,
    FORCE_TRADE,
    HEAD_MASK,
    INDEX_PRICE,
    KIND_MASK,
    MARK_PRICE,
    MAX_ICEBERG_PARTS,
    MAX_OPEN_ORDERS,
    MAX_TRAILING_ORDERS,
    ORDER_ID,
    PERIOD_START_MS,
    POSITION,
    PRICES_UPDATED,
    RATE_PPB,
    REDUCE,
    REFERENCE_PRICE,
    SELLER_ACCOUNT_ID,
    SEQUENCE,
    SET_POSITION,
    SET_STATE,
    SETTLE_POSITIONS,
    SIDE_MASK,
    STATE,
    STATE_CHANGED,
    SUBMIT,
    TIME_MS,
    TYPE_MASK,
    TYPE_SHIFT,
    UNKNOWN,
    UPDATE_PRICES,
)
from crossbook.matching.market import (
    ACTIVE,
    AUCTION,
    POST_ONLY_STATE,
    SETTLEMENT_ONLY,
    Market,
)
from crossbook.matching.market import (
    INDEX_PRICE as INDEX_SOURCE,
)
from crossbook.matching.market import (
    MARK_PRICE as MARK_SOURCE,
)
from crossbook.matching.triggers import end_step, look, look_at_all, work_off
from crossbook.matching.views import OrderView
from crossbook.matching.writer import INTERPRETED, words_to_bytes

MOST_PARTS: Final = 1_000_000


@final
class Engine:
    """A deterministic price-time matching engine for one market."""

    def __init__(self) -> None:
        self.market = Market()
        self.rows_read: i64 = 0  # so that the compiler keeps the reads of `_look_ahead`

    # Commands ---------------------------------------------------------------------------------------

    def process(self, records: bytes) -> bytes:
        """Apply command records (14 words each) and give the event records (12 words each).

        Raises MalformedCommand for a buffer that is no whole number of records, and SequenceError when
        a sequence is not the next one; nothing of the call is applied then.
        """
        if len(records) % COMMAND_BYTES != 0:
            raise MalformedCommand(f"{len(records)} bytes are no whole number of records of {COMMAND_BYTES} bytes")
        self._run(vec[i64](memoryview(records).cast("q")))
        out = self.market.out
        return words_to_bytes(out.words, out.count)

    def apply(self, command: Command) -> list[Event]:
        """Apply one command, or one batch, and give its events.

        Raises MalformedCommand for a field that is not a whole number of 64 bits, and SequenceError
        when the sequence is not the next one; nothing is applied then.
        """
        self._run(encode(command))
        out = self.market.out
        return decode(out.words, out.count)

    def _run(self, words: vec[i64]) -> None:
        self._check(words)
        if not INTERPRETED:
            self._look_ahead(words)
        market = self.market
        out = market.out
        out.count = 0
        size: i64 = len(words)
        at: i64 = 0
        while at < size:
            head = words[at]
            if head & CONTINUES == 0:
                market.sequence += 1
                out.sequence = market.sequence
                out.index = 0
            self._dispatch(words, at, head)
            at += COMMAND_WORDS
        market.event_count = out.index

    def _check(self, words: vec[i64]) -> None:
        """Refuse records whose sequences are not the next ones, before anything is applied."""
        size: i64 = len(words)
        sequence = self.market.sequence
        if size > 0 and words[0] & CONTINUES:
            raise SequenceError("the first record of a call continues a batch that is not there")
        at: i64 = 0
        while at < size:
            if words[at] & CONTINUES == 0:
                sequence += 1
            if words[at + SEQUENCE] != sequence:
                raise SequenceError(f"sequence {words[at + SEQUENCE]} where {sequence} is next")
            at += COMMAND_WORDS

    def _look_ahead(self, words: vec[i64]) -> None:
        """Read the rows that cancels and amendments name.

        Nothing depends on what it reads. The processor fetches many rows from memory at once here,
        where the commands themselves would wait for one after the other.
        """
        orders = self.market.book.orders
        index = self.market.book.order_ids
        heads = index.heads
        size: i64 = len(words)
        read: i64 = 0
        at: i64 = 0
        while at < size:
            kind = words[at] & KIND_MASK
            if kind == CANCEL or kind == AMEND:
                read ^= orders[heads[index.bucket(words[at + ORDER_ID] & MAX_ID)]]
            at += COMMAND_WORDS
        self.rows_read = read

    def _dispatch(self, words: vec[i64], at: i64, head: i64) -> None:
        market = self.market
        kind = head & KIND_MASK
        if head & ~HEAD_MASK != 0 or kind == UNKNOWN or kind > SETTLE_POSITIONS:
            ident = kind if kind <= SETTLE_POSITIONS else UNKNOWN
            market.out.rejected(ident, 0, 0, MALFORMED_COMMAND)
        elif kind == SUBMIT:
            submit(market, words, at, head)
            if market.first_trade_price != 0 or market.touched_count != 0 or head & EXTENDED != 0:
                work_off(market)
        elif kind == CANCEL:
            changing.cancel_order(market, words, at)
        elif kind == CANCEL_ALL:
            changing.cancel_all(market, words, at, head)
        elif kind == REDUCE:
            changing.reduce_order(market, words, at)
        elif kind == AMEND:
            changing.amend(market, words, at)
            work_off(market)
        else:
            _operate(market, words, at, head, kind)

    # Questions --------------------------------------------------------------------------------------

    @property
    def state(self) -> MarketState:
        """The market's state."""
        return STATES[self.market.state]

    @property
    def last_sequence(self) -> int:
        """The sequence of the last command applied, 0 before the first."""
        return self.market.sequence

    @property
    def now_ms(self) -> int:
        """The market's time: the largest that a command has carried."""
        return self.market.now_ms

    @property
    def open_orders(self) -> int:
        """The number of live orders, those waiting for a trigger included."""
        return self.market.book.live

    def position(self, account_id: int) -> int:
        """The signed position of an account, in lots; 0 for one that the market has not seen."""
        if not 1 <= account_id <= MAX_ID:
            return 0
        book = self.market.book
        return book.accounts[book.account_ids.find(book.accounts, account_id) + ACCOUNT_POSITION]

    def order(self, order_id: int) -> OrderView | None:
        """A live order, or None."""
        if not 1 <= order_id <= MAX_ID:
            return None
        book = self.market.book
        row = book.order_ids.find(book.orders, order_id)
        if row == 0:
            return None
        terms = book.orders[row + TERMS]
        extra = book.orders[row + EXTRA]
        return OrderView(
            order_id=book.orders[row + ID],
            account_id=book.accounts[(terms >> ACCOUNT_SHIFT) + ID],
            side=SIDES[terms & SIDE_MASK],
            type=TYPES[terms >> TYPE_SHIFT & TYPE_MASK],
            price_ticks=book.price(row),
            open_lots=book.orders[row + OPEN],
            visible_lots=book.visible(row),
            executed_or_prevented_lots=book.orders[row + DONE],
            trigger_price_ticks=book.extras[extra + TRIGGER],
            waiting=book.levels[book.orders[row + LEVEL] + LADDER] > ASKS,
        )

    def depth(self, side: Side, levels: int) -> list[tuple[int, int, int]]:
        """Up to `levels` best levels of a side, best first: price in ticks, visible lots, orders."""
        book = self.market.book
        ladder = book.bids if side == Side.BUY else book.asks
        rows: list[tuple[int, int, int]] = []
        place = ladder.count - 1
        while place >= 0 and len(rows) < levels:
            block = ladder.blocks[place]
            slot = block * BLOCK + ladder.used[block] - 1
            while slot >= block * BLOCK and len(rows) < levels:
                level = ladder.rows[slot]
                rows.append((book.levels[level + LEVEL_PRICE], book.levels[level + TOTAL], book.levels[level + COUNT]))
                slot -= 1
            place -= 1
        return rows

    def indicative(self) -> tuple[int, int, int]:
        """Price in ticks, volume and imbalance in lots of an auction now; zeros when nothing crosses."""
        market = self.market
        indication = auction.indicate(market, auction.reference(market, 0))
        return (indication.price, indication.volume, indication.imbalance)

    # Snapshots --------------------------------------------------------------------------------------

    def snapshot(self) -> bytes:
        """The whole state as bytes."""
        return snapshot.write(self.market)

    @classmethod
    def restore(cls, data: bytes) -> "Engine":
        """The engine of a snapshot. Raises SnapshotError when the bytes are not exactly one."""
        engine = Engine()
        engine.market = restoring.read(data)
        return engine

    def state_hash(self) -> str:
        """BLAKE2b-256 of the state's canonical content, as hex."""
        return snapshot.state_hash(self.market)


# Commands of the venue itself ------------------------------------------------------------------------


def _operate(market: Market, words: vec[i64], at: i64, head: i64, kind: i64) -> None:
    """The venue's own commands. docs/matching.md, section 5."""
    time_ms = words[at + TIME_MS]
    if time_ms < 0 or time_ms > MAX_TIME_MS or not _fits(words, at, kind):
        market.out.rejected(kind, 0, _account_named(words, at, kind), MALFORMED_COMMAND)
        return
    market.advance(time_ms)
    if kind == SET_STATE:
        _set_state(market, words[at + STATE], words[at + REFERENCE_PRICE])
    elif kind == UPDATE_PRICES:
        _update_prices(market, words[at + MARK_PRICE], words[at + INDEX_PRICE])
    elif kind == ADVANCE_TIME:
        _expire_due(market)
    elif kind == SET_POSITION:
        settling.set_position(market, words, at)
    elif kind == CONFIGURE:
        _configure(market, words, at)
    elif kind == APPLY_FUNDING:
        settling.apply_funding(market, words, at)
    elif kind == FORCE_TRADE:
        settling.force_trade(market, words, at)
    else:
        settling.settle_positions(market, words, at)


def _account_named(words: vec[i64], at: i64, kind: i64) -> i64:
    return words[at + ACCOUNT_ID] if kind == SET_POSITION else 0


def _fits(words: vec[i64], at: i64, kind: i64) -> bool:
    """Whether the fields of a venue command lie in their ranges."""
    if kind == SET_STATE:
        state = words[at + STATE]
        return state >= ACTIVE and state <= SETTLEMENT_ONLY and _is_price(words, at, REFERENCE_PRICE)
    if kind == UPDATE_PRICES:
        return _is_price(words, at, MARK_PRICE) and _is_price(words, at, INDEX_PRICE)
    if kind == SET_POSITION:
        position = words[at + POSITION]
        if not _is_account(words, at, ACCOUNT_ID):
            return False
        return position <= MAX_POSITION_LOTS and position >= -MAX_POSITION_LOTS
    if kind == CONFIGURE:
        points = words[at + BAND_BASIS_POINTS]
        kind_of_band = words[at + BAND_REFERENCE]
        parts = words[at + MAX_ICEBERG_PARTS]
        trailing = words[at + MAX_TRAILING_ORDERS]
        if points < 0 or points > MAX_BASIS_POINTS or kind_of_band < 1 or kind_of_band > 4:
            return False
        if parts < 0 or parts > MOST_PARTS or trailing < 0 or trailing > MOST_PARTS:
            return False
        return _is_price(words, at, REFERENCE_PRICE) and _is_price(words, at, MAX_OPEN_ORDERS)
    if kind == APPLY_FUNDING:
        period = words[at + PERIOD_START_MS]
        rate = words[at + RATE_PPB]
        if period < 0 or period > MAX_TIME_MS or rate > MAX_FUNDING_PPB or rate < -MAX_FUNDING_PPB:
            return False
        return words[at + INDEX_PRICE] != 0 and _is_price(words, at, INDEX_PRICE)
    if kind == FORCE_TRADE:
        return _is_account(words, at, ACCOUNT_ID) and _is_account(words, at, SELLER_ACCOUNT_ID)
    return True


def _is_account(words: vec[i64], at: i64, word: i64) -> bool:
    value = words[at + word]
    return value >= 1 and value <= MAX_ID


def _is_price(words: vec[i64], at: i64, word: i64) -> bool:
    value = words[at + word]
    return value >= 0 and value <= MAX_PRICE_TICKS


def _set_state(market: Market, state: i64, reference: i64) -> None:
    previous = market.state
    if state == ACTIVE or state == POST_ONLY_STATE:
        if auction.crossed(market):
            auction.uncross(market, reference)
        elif previous == AUCTION:
            auction.say_nothing_crossed(market)
        end_step(market)
    market.state = state
    market.out.event(
        STATE_CHANGED | previous << EVENT_SMALL_SHIFT | state << EVENT_SMALL2_SHIFT, 0, 0, 0, 0, 0, 0, 0, 0, 0
    )
    if state == SETTLEMENT_ONLY:
        changing.cancel_everything(market, 0, MARKET_SETTLEMENT)
    work_off(market)
    if state == ACTIVE:
        look_at_all(market)
        work_off(market)


def _update_prices(market: Market, mark: i64, index: i64) -> None:
    if mark != 0:
        market.mark_price = mark
    if index != 0:
        market.index_price = index
    market.out.event(PRICES_UPDATED, market.mark_price, market.index_price, 0, 0, 0, 0, 0, 0, 0)
    if market.state == ACTIVE:
        if mark != 0:
            look(market, MARK_SOURCE, mark)
        if index != 0:
            look(market, INDEX_SOURCE, index)
    work_off(market)


def _expire_due(market: Market) -> None:
    book = market.book
    level = book.expiries.best
    while level != 0 and book.levels[level + LEVEL_PRICE] <= market.now_ms:
        expire(market, book.extras[book.levels[level + FIRST_ORDER] + OWNER], TIME_EXPIRED)
        level = book.expiries.best


def _configure(market: Market, words: vec[i64], at: i64) -> None:
    market.reference_price = words[at + REFERENCE_PRICE]
    market.band_basis_points = words[at + BAND_BASIS_POINTS]
    market.band_reference = words[at + BAND_REFERENCE]
    market.max_open_orders = words[at + MAX_OPEN_ORDERS]
    market.max_iceberg_parts = words[at + MAX_ICEBERG_PARTS]
    market.max_trailing_orders = words[at + MAX_TRAILING_ORDERS]
    market.out.event(
        CONFIGURED | market.band_reference << EVENT_SMALL_SHIFT,
        market.reference_price,
        market.band_basis_points,
        market.max_open_orders,
        market.max_iceberg_parts,
        market.max_trailing_orders,
        0, 0, 0, 0,
    )  # fmt: skip
