"""Amendments under way: what an order may come to need more, from accepting an amendment until it is settled.

Between the two, the order may trade, and each amendment before it may be taken or refused. So an order with
amendments under way has one of several terms; what a further amendment may add is the most that lies between
any of these and its own. Set aside in advance, it covers whatever happens: settlement only ever frees.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Terms:
    """Total quantity, executed part included, and price. In what is asked for, 0 leaves one as it is."""

    total_lots: int
    price_ticks: int

    def amended_by(self, asked: "Terms") -> "Terms":
        """These terms after an amendment."""
        return Terms(asked.total_lots or self.total_lots, asked.price_ticks or self.price_ticks)


@dataclass(frozen=True)
class Growth:
    """What an order may come to have open more, at least 0: lots, and their worth in ticks times lots."""

    lots: int = 0
    tick_lots: int = 0

    @property
    def is_nothing(self) -> bool:
        """Whether nothing more is needed."""
        return self.lots == 0 and self.tick_lots == 0


def possible_terms(settled: Terms, under_way: Iterable[Terms]) -> Iterator[Terms]:
    """Every pair of a total and a price that the order may have, given the amendments under way. `settled` is first."""
    asked = list(under_way)
    totals = dict.fromkeys((settled.total_lots, *(terms.total_lots for terms in asked if terms.total_lots)))
    prices = dict.fromkeys((settled.price_ticks, *(terms.price_ticks for terms in asked if terms.price_ticks)))
    return (Terms(total, price) for total in totals for price in prices)


def growth_between(before: Terms, after: Terms, done_lots: int) -> Growth:
    """The most that `after` has open beyond `before`, however many lots trade until then.

    `done_lots` are executed or prevented by now. What is open is worth less with every lot that trades at the
    price before, and less at the price after: the difference is largest with no lot traded, or with all.
    """
    before_lots, after_lots = max(0, before.total_lots - done_lots), max(0, after.total_lots - done_lots)
    more_lots = after_lots - before_lots
    untraded = after_lots * after.price_ticks - before_lots * before.price_ticks
    return Growth(max(0, more_lots), max(0, untraded, more_lots * after.price_ticks))


def growth(settled: Terms, under_way: Iterable[Terms], asked: Terms, done_lots: int) -> Growth:
    """The most that an amendment may add to an order, from any of the terms that the order may have by then."""
    steps = [growth_between(terms, terms.amended_by(asked), done_lots) for terms in possible_terms(settled, under_way)]
    return Growth(max(step.lots for step in steps), max(step.tick_lots for step in steps))
