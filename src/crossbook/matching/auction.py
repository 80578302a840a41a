"""Call auctions: the price, and the uncrossing at it. docs/matching.md, section 5."""

from crossbook.matching.book import (
    ACCOUNT_SHIFT,
    DISPLAY,
    DONE,
    EXTRA,
    GROUP,
    HEAD,
    ID,
    LEVEL,
    LEVEL_PRICE,
    NEXT,
    OPEN,
    POSITION,
    REDUCERS,
    TERMS,
    TOTAL,
    VISIBLE,
    Book,
)
from crossbook.matching.columns import append, i64, vec
from crossbook.matching.ending import (
    REDUCE_ONLY_ENDED,
    SELF_TRADE_PREVENTION,
    cancel,
    cancel_sibling,
    expire,
)
from crossbook.matching.ladder import BLOCK, Ladder
from crossbook.matching.layout import (
    EVENT_FLAG_SHIFT,
    EVENT_SIDE_SHIFT,
    EVENT_SMALL_SHIFT,
    PREVENTED,
    REDUCE_ONLY,
    STP_MASK,
    STP_SHIFT,
    TRADE,
    UNCROSSED,
)
from crossbook.matching.market import Market
from crossbook.matching.reducing import reducible
from crossbook.matching.taking import DECREMENT, EXPIRE_BOTH, EXPIRE_MAKER, EXPIRE_TAKER, STP_NONE, replenish


class Indication:
    """What an auction would give now: price 0 when nothing crosses. Ticks and lots."""

    def __init__(self, price: i64, volume: i64, imbalance: i64) -> None:
        self.price: i64 = price
        self.volume: i64 = volume
        self.imbalance: i64 = imbalance


class _Side:
    """The crossing levels of one side, cheapest price first, with the open lots at each."""

    def __init__(self) -> None:
        self.prices: vec[i64] = vec[i64]()
        self.lots: vec[i64] = vec[i64]()


def crossed(market: Market) -> bool:
    """Whether the best bid is at or above the best ask."""
    book = market.book
    bid = book.bids.best
    ask = book.asks.best
    return bid != 0 and ask != 0 and book.levels[bid + LEVEL_PRICE] >= book.levels[ask + LEVEL_PRICE]


def reference(market: Market, given: i64) -> i64:
    """The price that decides between equally good auction prices."""
    for price in (given, market.reference_price, market.last_price, market.mark_price, market.index_price):
        if price != 0:
            return price
    return 0


def indicate(market: Market, nearest: i64) -> Indication:
    """The auction price and volume now; `nearest` is the reference price.

    Demand falls and supply rises with the price, and both change only at prices with orders. So the
    candidates are those prices and, between two of them, the price nearest to the reference.
    """
    if not crossed(market):
        return Indication(0, 0, 0)
    book = market.book
    low = book.levels[book.asks.best + LEVEL_PRICE]
    high = book.levels[book.bids.best + LEVEL_PRICE]
    buys = _crossing(book, book.bids, low, high)
    sells = _crossing(book, book.asks, low, high)
    demand: i64 = 0
    for lots in buys.lots:
        demand += lots
    supply: i64 = 0
    best = Indication(0, -1, 0)
    buy_at: i64 = 0
    sell_at: i64 = 0
    price = low
    while price <= high:  # at the top of the loop: demand above the last price, supply at or below it
        if sell_at < len(sells.prices) and sells.prices[sell_at] == price:
            supply += sells.lots[sell_at]
            sell_at += 1
        _consider(best, price, demand, supply, nearest)
        if buy_at < len(buys.prices) and buys.prices[buy_at] == price:
            demand -= buys.lots[buy_at]
            buy_at += 1
        following = high + 1
        if buy_at < len(buys.prices) and buys.prices[buy_at] < following:
            following = buys.prices[buy_at]
        if sell_at < len(sells.prices) and sells.prices[sell_at] < following:
            following = sells.prices[sell_at]
        if following > price + 1 and following <= high:
            between = nearest
            if between < price + 1:
                between = price + 1
            elif between > following - 1:
                between = following - 1
            _consider(best, between, demand, supply, nearest)
        price = following
    return best


def _consider(best: Indication, price: i64, demand: i64, supply: i64, nearest: i64) -> None:
    """Keep the better of the best so far and a candidate that lies above it."""
    volume = demand if demand < supply else supply
    imbalance = demand - supply
    if volume < best.volume:
        return
    if volume == best.volume:
        size = imbalance if imbalance >= 0 else -imbalance
        best_size = best.imbalance if best.imbalance >= 0 else -best.imbalance
        if size > best_size:
            return
        if size == best_size and _distance(price, nearest) >= _distance(best.price, nearest):
            return
    best.price = price
    best.volume = volume
    best.imbalance = imbalance


def _distance(price: i64, nearest: i64) -> i64:
    return price - nearest if price > nearest else nearest - price


def _crossing(book: Book, ladder: Ladder, low: i64, high: i64) -> _Side:
    """Levels of a side with prices from `low` to `high`, lowest price first."""
    prices = vec[i64]()
    lots = vec[i64]()
    place = ladder.count - 1
    inside = True
    while place >= 0 and inside:
        block = ladder.blocks[place]
        slot = block * BLOCK + ladder.used[block] - 1
        while slot >= block * BLOCK and inside:
            level = ladder.rows[slot]
            price = book.levels[level + LEVEL_PRICE]
            inside = low <= price <= high
            if inside:
                prices = append(prices, price)
                lots = append(lots, _level_lots(book, level))
            slot -= 1
        place -= 1
    side = _Side()
    if ladder.sign < 0:
        side.prices = prices
        side.lots = lots
        return side
    at = i64(len(prices)) - 1  # bids come highest first
    while at >= 0:
        side.prices = append(side.prices, prices[at])
        side.lots = append(side.lots, lots[at])
        at -= 1
    return side


def _level_lots(book: Book, level: i64) -> i64:
    """The open lots of a level, hidden parts included."""
    lots: i64 = 0
    row = book.levels[level + HEAD]
    while row != 0:
        lots += book.orders[row + OPEN]
        row = book.orders[row + NEXT]
    return lots


def uncross(market: Market, given: i64) -> None:
    """Match the crossed part of the book at one price; again while prevented trades leave it crossed."""
    while crossed(market):
        indication = indicate(market, reference(market, given))
        volume = _pair_off(market, indication.price)
        _say_uncrossed(market, indication.price, volume, indication.imbalance)


def say_nothing_crossed(market: Market) -> None:
    """AuctionUncrossed of zeros."""
    _say_uncrossed(market, 0, 0, 0)


def _say_uncrossed(market: Market, price: i64, volume: i64, imbalance: i64) -> None:
    market.out.event(UNCROSSED, price, volume, imbalance, 0, 0, 0, 0, 0, 0)


def _pair_off(market: Market, price: i64) -> i64:
    """Pair buys at or above `price` with sells at or below it in price-time order; gives the lots traded."""
    book = market.book
    accounts = book.accounts
    volume: i64 = 0
    while True:
        bid = book.bids.best
        ask = book.asks.best
        if bid == 0 or ask == 0:
            return volume
        if book.levels[bid + LEVEL_PRICE] < price or book.levels[ask + LEVEL_PRICE] > price:
            return volume
        buyer = book.levels[bid + HEAD]
        seller = book.levels[ask + HEAD]
        orders = book.orders
        buy_terms = orders[buyer + TERMS]
        sell_terms = orders[seller + TERMS]
        quantity = orders[buyer + OPEN]
        if orders[seller + OPEN] < quantity:
            quantity = orders[seller + OPEN]
        tradable = quantity
        if buy_terms & REDUCE_ONLY:
            allowed = reducible(accounts[(buy_terms >> ACCOUNT_SHIFT) + POSITION], buy_terms)
            if allowed == 0:
                cancel(market, buyer, REDUCE_ONLY_ENDED)
                continue
            if allowed < tradable:
                tradable = allowed
        if sell_terms & REDUCE_ONLY:
            allowed = reducible(accounts[(sell_terms >> ACCOUNT_SHIFT) + POSITION], sell_terms)
            if allowed == 0:
                cancel(market, seller, REDUCE_ONLY_ENDED)
                continue
            if allowed < tradable:
                tradable = allowed
        mode = buy_terms >> STP_SHIFT & STP_MASK
        if mode != STP_NONE and _own(book, buyer, seller):
            _keep_apart(market, buyer, seller, price, quantity, mode)
        else:
            _trade(market, buyer, seller, price, tradable)
            volume += tradable


def _own(book: Book, buyer: i64, seller: i64) -> bool:
    """Whether two orders belong to one account or one trade group."""
    orders = book.orders
    if orders[buyer + TERMS] >> ACCOUNT_SHIFT == orders[seller + TERMS] >> ACCOUNT_SHIFT:
        return True
    group = book.extras[orders[buyer + EXTRA] + GROUP]  # row 0, nobody, has none
    return group != 0 and book.extras[orders[seller + EXTRA] + GROUP] == group


def _trade(market: Market, buyer: i64, seller: i64, price: i64, quantity: i64) -> None:
    book = market.book
    orders = book.orders
    accounts = book.accounts
    sell_account = orders[seller + TERMS] >> ACCOUNT_SHIFT
    buy_account = orders[buyer + TERMS] >> ACCOUNT_SHIFT
    seller_next = _lessen(market, seller, quantity)
    buyer_next = _lessen(market, buyer, quantity)
    accounts[sell_account + POSITION] = accounts[sell_account + POSITION] - quantity
    accounts[buy_account + POSITION] = accounts[buy_account + POSITION] + quantity
    if accounts[sell_account + REDUCERS] != 0:
        market.touch(sell_account)
    if accounts[buy_account + REDUCERS] != 0:
        market.touch(buy_account)
    market.last_price = price
    market.trades += 1
    market.out.event(
        TRADE | 1 << EVENT_SIDE_SHIFT | 1 << EVENT_FLAG_SHIFT,
        market.trades,
        price,
        quantity,
        orders[seller + ID],
        accounts[sell_account + ID],
        orders[seller + OPEN],
        orders[buyer + ID],
        accounts[buy_account + ID],
        orders[buyer + OPEN],
    )
    cancel_sibling(market, seller)
    cancel_sibling(market, buyer)
    if orders[seller + OPEN] == 0:
        book.forget(seller)
    elif seller_next:
        replenish(market, seller)
    if orders[buyer + OPEN] == 0:
        book.forget(buyer)
    elif buyer_next:
        replenish(market, buyer)


def _lessen(market: Market, row: i64, quantity: i64) -> bool:
    """Take traded or prevented lots off an order; gives whether its shown part is used up."""
    book = market.book
    orders = book.orders
    shown = book.visible(row)
    lost = quantity if quantity < shown else shown
    level = orders[row + LEVEL]
    extra = orders[row + EXTRA]
    book.levels[level + TOTAL] = book.levels[level + TOTAL] - lost
    if extra != 0 and book.extras[extra + DISPLAY] != 0:
        book.extras[extra + VISIBLE] = shown - lost
    orders[row + OPEN] = orders[row + OPEN] - quantity
    orders[row + DONE] = orders[row + DONE] + quantity
    book.count_open(orders[row + TERMS], -quantity)
    return lost == shown


def _keep_apart(market: Market, buyer: i64, seller: i64, price: i64, quantity: i64, mode: i64) -> None:
    """Self-trade prevention in an auction: the buyer stands for the taker."""
    book = market.book
    orders = book.orders
    accounts = book.accounts
    taken = quantity if mode == DECREMENT else 0
    seller_next = False
    buyer_next = False
    if taken != 0:
        seller_next = _lessen(market, seller, taken)
        buyer_next = _lessen(market, buyer, taken)
    market.out.event(
        PREVENTED | 1 << EVENT_SIDE_SHIFT | 1 << EVENT_FLAG_SHIFT | mode << EVENT_SMALL_SHIFT,
        price,
        taken,
        orders[seller + ID],
        accounts[(orders[seller + TERMS] >> ACCOUNT_SHIFT) + ID],
        orders[seller + OPEN],
        orders[buyer + ID],
        accounts[(orders[buyer + TERMS] >> ACCOUNT_SHIFT) + ID],
        orders[buyer + OPEN],
        0,
    )
    seller_ends = mode == EXPIRE_MAKER or mode == EXPIRE_BOTH or orders[seller + OPEN] == 0
    buyer_ends = mode == EXPIRE_TAKER or mode == EXPIRE_BOTH or orders[buyer + OPEN] == 0
    if seller_ends:
        expire(market, seller, SELF_TRADE_PREVENTION)
    elif seller_next:
        replenish(market, seller)
    if buyer_ends:
        expire(market, buyer, SELF_TRADE_PREVENTION)
    elif buyer_next:
        replenish(market, buyer)
