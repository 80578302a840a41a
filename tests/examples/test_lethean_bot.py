"""Two example bots swap with each other through the whole venue and simulated wallets, whatever goes wrong."""

import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from examples.lethean_bot import Bot, Unreachable, Venue, Wallet
from tests.examples.swapping_venue import Place, swapping_venue

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A venue that the tests of this file share, one after the other."""
    with swapping_venue(tmp_path_factory.mktemp("swaps") / "venue", "--no-bots") as place:
        yield place


@pytest.fixture
def place(standing: Place) -> Iterator[Place]:
    """The same, with no faults and an empty board."""
    yield standing
    for fault in ("proposal_expired", "not_enough_money", "daemon_down"):
        for name in standing.wallets:
            standing.fault(fault, name, on=False)


def stopped(*bots: Bot) -> None:
    for bot in bots:
        bot.stop()


def test_one_order_is_swapped_with_three_smaller_ones(place: Place) -> None:
    before = {name: place.money(name) for name in ("alice", "bob")}
    seller = place.bot("alice", "sell", "0.25", "100")
    buyers = []
    for amount in ("33.333333333333", "50", "16.666666666667"):
        buyers.append(place.bot("bob", "buy", "0.26", amount))
        place.play(seller, buyers[-1])
        assert place.orders(buyers[-1]) == []
    assert place.orders(seller) == []
    assert sum(place.traded(buyer)[0] for buyer in buyers) == 100
    assert place.traded(seller)[0] == -100
    assert seller.swaps + sum(buyer.swaps for buyer in buyers) == 6
    place.check({"alice": [seller], "bob": buyers}, before)
    stopped(seller, *buyers)


def test_what_is_left_is_cancelled_at_the_end(place: Place) -> None:
    seller = place.bot("alice", "sell", "0.25", "10")
    buyer = place.bot("bob", "buy", "0.25", "4")
    place.play(seller, buyer)
    assert [order["left"] for order in place.orders(seller)] == ["6"]
    seller.stop()
    assert place.orders(seller) == []


@pytest.mark.parametrize("fault", ["proposal_expired", "not_enough_money", "daemon_down"])
def test_after_a_fault_of_the_finaliser_both_orders_are_free_again(place: Place, fault: str) -> None:
    before = {name: place.money(name) for name in ("alice", "bob")}
    seller, buyer = place.bot("alice", "sell", "0.25", "10"), place.bot("bob", "buy", "0.25", "10")
    place.fault(fault, "bob", None)
    place.step(seller)  # applies
    assert seller.applied
    place.step(buyer)  # can not finalise, and calls it off
    assert {name: place.money(name)[1] for name in before if fault != "daemon_down" or name != "bob"} == {
        name: before[name][1] for name in before if fault != "daemon_down" or name != "bob"
    }
    for bot in (seller, buyer):
        page = bot.venue.call("/orders/get-user-page", pairId=place.pair_id)
        assert [order["left"] for order in page["orders"]] == ["10"]
        assert [(tip["transaction"], tip["left"]) for tip in page["applyTips"]] == [(False, "10")]
    place.fault(fault, "bob", on=False)
    place.play(seller, buyer)
    assert place.orders(seller) == place.orders(buyer) == []
    place.check({"alice": [seller], "bob": [buyer]}, before)


def test_without_money_nobody_proposes(place: Place) -> None:
    seller, buyer = place.bot("alice", "sell", "0.25", "10"), place.bot("bob", "buy", "0.25", "10")
    for name in ("alice", "bob"):
        place.fault("not_enough_money", name, None)
    place.play(seller, buyer, steps=3)
    assert not seller.applied
    assert not buyer.applied
    stopped(seller, buyer)


def test_a_proposal_that_gives_less_is_not_accepted(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    before = place.money("bob")
    cheat, buyer = place.bot("alice", "sell", "0.25", "10"), place.bot("bob", "buy", "0.25", "10")
    call = Wallet.call

    def less(self: Wallet, method: str, **params: Any) -> dict[str, Any]:
        if method == "ionic_swap_generate_proposal":
            params["proposal"]["to_finalizer"][0]["amount"] -= 1
        return call(self, method, **params)

    with monkeypatch.context() as patch:
        patch.setattr(Wallet, "call", less)
        place.step(cheat)
    assert cheat.applied
    place.step(buyer)
    assert place.money("bob") == before
    assert not buyer.sent
    assert [order["left"] for order in place.orders(buyer)] == ["10"]
    stopped(cheat, buyer)


def answer_lost(monkeypatch: pytest.MonkeyPatch, owner: type[Venue] | type[Wallet], name: str) -> list[str]:
    """Let the answer of the next call of this name be lost on the way back; the list says that it was."""
    call, lost = owner.call, list[str]()

    def lose(self: Any, what: str, **params: Any) -> Any:
        answer = call(self, what, **params)
        if what == name and not lost:
            lost.append(what)
            raise Unreachable("the answer was lost")
        return answer

    monkeypatch.setattr(owner, "call", lose)
    return lost


def test_a_confirm_whose_answer_is_lost_is_not_made_twice(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {name: place.money(name) for name in ("alice", "bob")}
    seller, buyer = place.bot("alice", "sell", "0.25", "10"), place.bot("bob", "buy", "0.25", "6")
    place.step(seller)
    with monkeypatch.context() as patch:
        lost = answer_lost(patch, Venue, "/transactions/confirm")
        place.step(buyer)
    assert lost
    assert buyer.sent
    place.play(seller, buyer)
    assert [order["left"] for order in place.orders(seller)] == ["4"]
    assert buyer.swaps == 1
    place.check({"alice": [seller], "bob": [buyer]}, before)
    stopped(seller, buyer)


def test_a_wallet_that_may_have_sent_a_swap_is_not_overruled(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    seller, buyer = place.bot("alice", "sell", "0.25", "10"), place.bot("bob", "buy", "0.25", "6")
    place.step(seller)
    with monkeypatch.context() as patch:
        lost = answer_lost(patch, Wallet, "ionic_swap_accept_proposal")
        place.step(buyer)
    assert lost
    place.now_s += 60
    place.step(buyer)  # the wallet refuses: it has sent it already
    (pending,) = buyer.venue.call("/transactions/get-my-pending")
    assert pending["status"] == "pending"
    buyer.venue.call("/transactions/confirm", transactionId=pending["id"])  # the operator has looked at the wallet
    stopped(seller, buyer)


def test_a_swap_that_the_venue_gave_up_meanwhile_is_taken_off_the_order(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    seller, buyer = place.bot("alice", "sell", "0.25", "10"), place.bot("bob", "buy", "0.25", "16")
    place.step(seller)
    (transaction_id,) = seller.applied
    call = Venue.call

    def overtaken(self: Venue, path: str, **body: Any) -> Any:
        if path == "/transactions/confirm":
            call(seller.venue, "/transactions/cancel", transactionId=transaction_id)
        return call(self, path, **body)

    with monkeypatch.context() as patch:
        patch.setattr(Venue, "call", overtaken)
        place.step(buyer)
    assert [order["left"] for order in place.orders(buyer)] == ["6"]
    stopped(seller, buyer)


def test_the_bot_as_a_program(place: Place) -> None:
    before = {name: place.money(name)[0] for name in ("alice", "bob")}
    swap(place, "7", seconds=20)
    assert place.money("bob")[0] - before["bob"] in {Decimal(7), Decimal("6.99")}
    assert before["alice"] - place.money("alice")[0] in {Decimal(7), Decimal("7.01")}


def swap(place: Place, amount: str, seconds: int) -> None:
    """Two programs, one selling and one buying, until both are done."""

    def program(name: str, side: str) -> subprocess.Popen[bytes]:
        wallet = place.wallets[name]
        options = ["--venue", place.process.url, "--wallet", wallet["url"], "--alias", wallet["alias"], "--side", side]
        options += ["--pair", str(place.pair_id), "--price", "0.25", "--amount", amount, "--seconds", str(seconds)]
        return subprocess.Popen(
            [sys.executable, str(ROOT / "examples" / "lethean_bot.py"), *options], cwd=ROOT, env=dict(os.environ)
        )

    programs = [program("alice", "sell"), program("bob", "buy")]
    assert [each.wait(seconds + 60) for each in programs] == [0, 0]


@pytest.mark.soak
def test_two_bots_trade_for_a_minute_and_everybody_agrees(tmp_path: Path) -> None:
    choose = random.Random(1)
    with swapping_venue(tmp_path / "venue", "--no-bots") as place:
        before = {name: place.money(name) for name in ("alice", "bob")}
        bots: dict[str, list[Bot]] = {"alice": [], "bob": []}
        end_s = time.monotonic() + 60
        while time.monotonic() < end_s:
            for name, side, prices in (("alice", "sell", ["0.245", "0.25"]), ("bob", "buy", ["0.25", "0.255"])):
                if not bots[name] or not place.step(bots[name][-1]):
                    amount = str(choose.randint(1, 50))
                    bots[name].append(place.bot(name, side, choose.choice(prices), amount))
            place.now_s += 1
            if choose.random() < 0.05:
                fault = choose.choice(["proposal_expired", "not_enough_money", "daemon_down"])
                place.fault(fault, choose.choice(["alice", "bob", ""]), 1)
            time.sleep(0.1)
        for mine in bots.values():
            stopped(*mine)
        assert sum(bot.swaps for mine in bots.values() for bot in mine) > 10
        place.check(bots, before)
        assert place.process.command("audit").returncode == 0
