"""The swap handshake as a story: every answer is worked out again from all that ever happened.

It keeps no sums. What an offer has left, and what it has promised, is counted from the list of swaps each time;
times are looked at each time. Slow, and short enough to be read.
"""

from dataclasses import dataclass, field
from fractions import Fraction

TIMEOUT_MS = 600_000
AGE_MS = 30 * 86_400_000


@dataclass
class Posted:
    """An offer as it was posted, and when it was cancelled, if it was."""

    user: int
    pair: int
    buys: bool
    price: int
    amount: int
    at_ms: int
    cancelled_at_ms: int | None = None
    renewed_at_ms: int | None = None


@dataclass
class Handshake:
    """A swap as it was applied for, and how it ended, if anybody ended it."""

    own: int
    other: int
    amount: int
    at_ms: int
    end: str = ""


@dataclass
class Story:
    """All offers and swaps by their numbers."""

    decimals: int
    offers: dict[int, Posted] = field(default_factory=dict)
    swaps: dict[int, Handshake] = field(default_factory=dict)

    def state(self, swap: Handshake, now_ms: int) -> str:
        if swap.end:
            return swap.end
        return "timed out" if now_ms >= swap.at_ms + TIMEOUT_MS else "pending"

    def of(self, offer_id: int, state: str, now_ms: int) -> list[Handshake]:
        return [s for s in self.swaps.values() if offer_id in (s.own, s.other) and self.state(s, now_ms) == state]

    def left(self, offer_id: int, now_ms: int) -> int:
        return self.offers[offer_id].amount - sum(s.amount for s in self.of(offer_id, "confirmed", now_ms))

    def free(self, offer_id: int, now_ms: int) -> int:
        return self.left(offer_id, now_ms) - sum(s.amount for s in self.of(offer_id, "pending", now_ms))

    def active(self, offer_id: int, now_ms: int) -> bool:
        offer = self.offers[offer_id]
        if offer.cancelled_at_ms is not None or self.left(offer_id, now_ms) == 0:
            return False
        alive = offer.renewed_at_ms is not None and now_ms < offer.renewed_at_ms + 30_000
        old = now_ms >= offer.at_ms + AGE_MS and not alive
        return not old or bool(self.of(offer_id, "pending", now_ms))

    def amount_for(self, user: int, own: int, other: int, now_ms: int) -> int:
        """How much `user` may swap of these two, named in the right order; 0 for not at all."""
        mine, theirs = self.offers[own], self.offers[other]
        if mine.user != user or theirs.user == user or mine.pair != theirs.pair or mine.buys == theirs.buys:
            return 0
        if not (self.active(own, now_ms) and self.active(other, now_ms)):
            return 0
        buyer, seller = (mine, theirs) if mine.buys else (theirs, mine)
        if Fraction(buyer.price) < Fraction(seller.price):
            return 0
        if any({own, other} == {s.own, s.other} for s in self.of(own, "pending", now_ms)):
            return 0
        amount = min(self.free(own, now_ms), self.free(other, now_ms))
        worth = Fraction(amount * theirs.price, 10**self.decimals)
        return amount if worth >= 1 else 0
