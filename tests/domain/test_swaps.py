"""The swap state machine: each rule by itself, and random stories against a model that keeps no sums."""

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from crossbook.domain.orders import Side
from crossbook.domain.swaps import (
    OFFER_AGE_MS,
    SWAP_TIMEOUT_MS,
    Board,
    NotParticipant,
    Offer,
    OfferStatus,
    OfferUnusable,
    RenewedTooSoon,
    SwapError,
    SwapNotFound,
    SwapNotPending,
    SwapStatus,
    breaches,
    has_aged,
    is_alive,
    prices_cross,
)
from tests.domain.swap_model import AGE_MS, TIMEOUT_MS, Handshake, Posted, Story

NOW = 1_000_000_000
ALICE, BOB, CAROL = 1, 2, 3
PAIR = 7
DECIMALS = {PAIR: 0, 8: 0}


def offer(offer_id: int, user: int, side: Side, price: int = 10, amount: int = 100, **change: Any) -> Offer:
    return Offer(offer_id, user, change.pop("pair", PAIR), side, price, amount, amount, created_at_ms=NOW, **change)


def board(*offers: Offer) -> Board:
    return Board(offers, (), DECIMALS)


def two() -> Board:
    """Alice buys 100 at 10 as offer 1, Bob sells 60 at 8 as offer 2."""
    return board(offer(1, ALICE, Side.BUY), offer(2, BOB, Side.SELL, 8, 60))


@pytest.mark.parametrize("ids", [(1, 2), (2, 1)])
def test_apply_takes_the_offers_in_either_order_and_the_finalisers_price(ids: tuple[int, int]) -> None:
    made = two()
    swap = made.apply(ALICE, *ids, "ab", 5, NOW)
    assert (swap.buy_id, swap.sell_id, swap.creator, swap.amount_units) == (1, 2, Side.BUY, 60)
    assert (swap.price_units, swap.total_units, swap.proposal) == (8, 480, "ab")
    assert [made.offers[each].pending_units for each in (1, 2)] == [60, 60]
    assert [made.offers[each].left_units for each in (1, 2)] == [100, 60]  # shown lefts fall at the confirm only
    assert [made.offers[each].has_notification for each in (1, 2)] == [False, True]
    assert sorted(made.changed_offers) == [1, 2]
    assert list(made.changed_swaps) == [5]


def test_a_seller_applies_at_the_buyers_price() -> None:
    assert two().apply(BOB, 1, 2, "ab", 5, NOW).price_units == 10


@pytest.mark.parametrize(
    "other",
    [
        offer(2, ALICE, Side.SELL),
        offer(2, BOB, Side.BUY),
        offer(2, BOB, Side.SELL, 11),
        offer(2, BOB, Side.SELL, pair=8),
        offer(2, BOB, Side.SELL, pending_units=100),
        offer(2, BOB, Side.SELL, status=OfferStatus.CANCELLED),
        offer(2, BOB, Side.SELL, 0),
    ],
    ids=["own", "same side", "too dear", "another pair", "promised", "ended", "worth nothing"],
)
def test_apply_refuses(other: Offer) -> None:
    made = board(offer(1, ALICE, Side.BUY), other)
    with pytest.raises(OfferUnusable):
        made.apply(ALICE, 1, 2, "ab", 5, NOW)
    assert not made.changed_offers
    assert not made.changed_swaps


def test_apply_refuses_strangers_unknown_offers_and_a_second_time() -> None:
    made = two()
    for user, ids in ((CAROL, (1, 2)), (ALICE, (1, 9)), (ALICE, (1, 1))):
        with pytest.raises(OfferUnusable):
            made.apply(user, *ids, "ab", 5, NOW)
    made.offers[2].amount_units = made.offers[2].left_units = 1_000
    made.apply(ALICE, 1, 2, "ab", 5, NOW)
    made.offers[1].left_units = made.offers[1].amount_units = 1_000
    with pytest.raises(OfferUnusable):
        made.apply(BOB, 1, 2, "ab", 6, NOW)


def test_a_confirm_shrinks_both_and_ends_the_one_that_is_used_up() -> None:
    made = two()
    made.apply(ALICE, 1, 2, "ab", 5, NOW)
    swap = made.confirm(BOB, 5, NOW + 1)
    assert (swap.status, swap.proposal) == (SwapStatus.CONFIRMED, "")
    assert (made.offers[1].left_units, made.offers[1].pending_units, made.offers[1].status) == (40, 0, 1)
    assert (made.offers[2].left_units, made.offers[2].status) == (0, OfferStatus.FILLED)
    assert made.offers[1].has_notification
    with pytest.raises(SwapNotPending):
        made.confirm(BOB, 5, NOW + 2)


def test_only_the_finaliser_confirms_and_only_the_two_call_off() -> None:
    made = two()
    made.apply(ALICE, 1, 2, "ab", 5, NOW)
    for user in (ALICE, CAROL):
        with pytest.raises(NotParticipant):
            made.confirm(user, 5, NOW)
    with pytest.raises(NotParticipant):
        made.reject(CAROL, 5, NOW)
    with pytest.raises(SwapNotFound):
        made.confirm(BOB, 6, NOW)
    assert made.reject(ALICE, 5, NOW).status is SwapStatus.REJECTED
    assert [made.offers[each].free_units for each in (1, 2)] == [100, 60]
    with pytest.raises(SwapNotPending):
        made.reject(BOB, 5, NOW)


def test_a_cancel_gives_the_counterparty_its_amount_back() -> None:
    made = two()
    made.apply(ALICE, 1, 2, "ab", 5, NOW)
    for user, offer_id in ((BOB, 1), (ALICE, 9)):
        with pytest.raises(OfferUnusable):
            made.cancel(user, offer_id, NOW)
    assert made.cancel(ALICE, 1, NOW).status is OfferStatus.CANCELLED
    assert made.swaps[5].status is SwapStatus.REJECTED
    assert made.offers[2].free_units == 60
    with pytest.raises(OfferUnusable):
        made.cancel(ALICE, 1, NOW)


def test_a_pending_swap_times_out_and_frees_both() -> None:
    made = two()
    made.apply(ALICE, 1, 2, "ab", 5, NOW)
    made.expire(NOW + SWAP_TIMEOUT_MS - 1)
    assert made.swaps[5].status.name == "PENDING"
    made.expire(NOW + SWAP_TIMEOUT_MS)
    assert made.swaps[5].status.name == "TIMED_OUT"
    assert [made.offers[each].free_units for each in (1, 2)] == [100, 60]
    assert made.apply(BOB, 1, 2, "cd", 6, NOW + SWAP_TIMEOUT_MS).amount_units == 60


def test_an_offer_ages_unless_its_bot_lives_or_a_swap_is_pending() -> None:
    end = NOW + OFFER_AGE_MS
    made = board(
        offer(1, ALICE, Side.BUY), offer(2, BOB, Side.SELL, renewed_at_ms=end - 29_999), offer(3, CAROL, Side.SELL)
    )
    made.expire(end - 1)
    assert {each.status for each in made.offers.values()} == {OfferStatus.ACTIVE}
    made.apply(ALICE, 1, 3, "ab", 5, end - 1)
    made.expire(end)
    assert [made.offers[each].status for each in (1, 2, 3)] == [1, 1, 1]
    made.expire(end + SWAP_TIMEOUT_MS)
    assert {each.status for each in made.offers.values()} == {OfferStatus.EXPIRED}


def test_a_bot_is_alive_for_thirty_seconds_and_renews_at_most_every_five() -> None:
    made = board(offer(1, ALICE, Side.BUY))
    assert made.renew(ALICE, 1, NOW) == NOW + 30_000
    with pytest.raises(RenewedTooSoon) as caught:
        made.renew(ALICE, 1, NOW + 4_999)
    assert caught.value.alive_until_ms == NOW + 30_000
    assert made.renew(ALICE, 1, NOW + 5_000) == NOW + 35_000
    with pytest.raises(OfferUnusable):
        made.renew(BOB, 1, NOW + 60_000)
    assert [is_alive(NOW, NOW + passed) for passed in (0, 29_999, 30_000)] == [True, True, False]
    assert not is_alive(0, 5)
    assert not has_aged(NOW, NOW + OFFER_AGE_MS, NOW + OFFER_AGE_MS)


def test_prices_cross_when_the_buyer_pays_what_is_asked() -> None:
    assert [prices_cross(Side.BUY, 10, price) for price in (9, 10, 11)] == [True, True, False]
    assert [prices_cross(Side.SELL, 10, price) for price in (9, 10, 11)] == [False, True, True]


# -- Against the model -------------------------------------------------------------------------------
USERS = st.integers(1, 4)
WAITS = st.sampled_from([0, 1, 5_000, 29_999, 30_000, TIMEOUT_MS - 1, TIMEOUT_MS, AGE_MS])


class Swapping(RuleBasedStateMachine):
    """Random users on two pairs. A crash is a board made anew from what was stored."""

    def __init__(self) -> None:
        super().__init__()
        self.now = NOW
        self.next_swap = 1
        self.offers: dict[int, Offer] = {}

    @initialize(decimals=st.sampled_from([0, 2]))
    def start(self, decimals: int) -> None:
        self.decimals = {PAIR: decimals, 8: decimals}
        self.story = Story(decimals)
        self.board = Board((), (), self.decimals)

    def tried(self, change: object) -> bool:
        """Whether the machine takes the change; what is due is over before."""
        self.board.expire(self.now)
        try:
            change()  # type: ignore[operator]
        except SwapError:
            return False
        return True

    @rule(
        user=USERS,
        pair=st.sampled_from([PAIR, PAIR, PAIR, 8]),
        buys=st.booleans(),
        price=st.integers(1, 6),
        amount=st.integers(1, 300),
    )
    def post(self, user: int, pair: int, buys: bool, price: int, amount: int) -> None:
        number = len(self.story.offers) + 1
        self.story.offers[number] = Posted(user, pair, buys, price, amount, self.now)
        side = Side.BUY if buys else Side.SELL
        self.board.offers[number] = Offer(number, user, pair, side, price, amount, amount, created_at_ms=self.now)

    @precondition(lambda self: len(self.story.offers) > 1)
    @rule(user=USERS, data=st.data())
    def apply(self, user: int, data: st.DataObject) -> None:
        ids = st.sampled_from(sorted(self.story.offers))
        one, other = data.draw(ids), data.draw(ids)
        amount = max(self.story.amount_for(user, *pair, self.now) for pair in ((one, other), (other, one)))
        taken = self.tried(lambda: self.board.apply(user, one, other, "ab", self.next_swap, self.now))
        assert taken == (amount > 0)
        if taken:
            own, theirs = (one, other) if self.story.offers[one].user == user else (other, one)
            self.story.swaps[self.next_swap] = Handshake(own, theirs, amount, self.now)
            assert self.board.swaps[self.next_swap].amount_units == amount
            self.next_swap += 1

    @precondition(lambda self: self.story.swaps)
    @rule(user=USERS, data=st.data(), confirm=st.booleans())
    def end_swap(self, user: int, data: st.DataObject, confirm: bool) -> None:
        number = data.draw(st.sampled_from(sorted(self.story.swaps)))
        swap = self.story.swaps[number]
        sides = [self.story.offers[each].user for each in (swap.own, swap.other)]
        allowed = user == sides[1] if confirm else user in sides
        pending = self.story.state(swap, self.now) == "pending"
        act = self.board.confirm if confirm else self.board.reject
        assert self.tried(lambda: act(user, number, self.now)) == (allowed and pending)
        if allowed and pending:
            swap.end = "confirmed" if confirm else "rejected"

    @precondition(lambda self: self.story.offers)
    @rule(user=USERS, data=st.data(), renew=st.booleans())
    def end_or_renew_offer(self, user: int, data: st.DataObject, renew: bool) -> None:
        number = data.draw(st.sampled_from(sorted(self.story.offers)))
        posted = self.story.offers[number]
        allowed = posted.user == user and self.story.active(number, self.now)
        if renew:
            last = posted.renewed_at_ms
            allowed = allowed and (last is None or self.now - last >= 5_000)
            assert self.tried(lambda: self.board.renew(user, number, self.now)) == allowed
            posted.renewed_at_ms = self.now if allowed else last
            return
        assert self.tried(lambda: self.board.cancel(user, number, self.now)) == allowed
        if allowed:
            for swap in self.story.of(number, "pending", self.now):
                swap.end = "rejected"
            posted.cancelled_at_ms = self.now

    @rule(passed=WAITS)
    def wait(self, passed: int) -> None:
        self.now += passed

    @rule()
    def crash(self) -> None:
        self.board = Board(self.board.offers.values(), self.board.swaps.values(), self.decimals)

    @invariant()
    def nothing_is_promised_twice(self) -> None:
        if not hasattr(self, "board"):
            return
        assert breaches(self.board.offers.values(), self.board.swaps.values()) == []
        self.board.expire(self.now)
        assert breaches(self.board.offers.values(), self.board.swaps.values()) == []
        for number, each in self.board.offers.items():
            assert each.left_units == self.story.left(number, self.now)
            assert each.free_units == self.story.free(number, self.now)
            assert each.is_active == self.story.active(number, self.now)
        # Conserved: what all buyers got is what all sellers gave.
        for pair in (PAIR, 8):
            gone = [0, 0]
            for each in self.board.offers.values():
                if each.pair_id == pair:
                    gone[each.side - 1] += each.amount_units - each.left_units
            assert gone[0] == gone[1]


TestSwapping = Swapping.TestCase
TestSwapping.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"pending_units": 5}, "its swaps say 0"),
        ({"left_units": 90}, "its swaps took 0"),
        ({"pending_units": 101}, "pending of"),
        ({"status": OfferStatus.CANCELLED, "pending_units": 1}, "has ended"),
        ({"status": OfferStatus.FILLED}, "is FILLED"),
    ],
)
def test_breaches_are_found(change: dict[str, int], words: str) -> None:
    wrong = offer(1, ALICE, Side.BUY)
    for name, value in change.items():
        setattr(wrong, name, value)
    assert any(words in line for line in breaches([wrong], []))


def test_two_pending_swaps_of_one_pair_are_a_breach() -> None:
    made = two()
    swap = made.apply(ALICE, 1, 2, "ab", 5, NOW)
    assert any("2 pending swaps" in line for line in breaches(made.offers.values(), [swap, swap]))
