"""The simulated wallet and daemon: every method, and swaps that move both sides exactly once."""

import itertools
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossbook.security.wallet_addresses import parse_address
from crossbook.security.wallet_keys import WalletKeys
from crossbook.security.wallet_signatures import SignatureFormat, verify_message
from crossbook.system import ManualClock
from crossbook.wallet_sim.chain import FEES, Asset, ChainRefused, Funds, Swap
from crossbook.wallet_sim.errors import (
    DaemonBusy,
    InvalidParams,
    NotEnoughMoney,
    RpcError,
    UnknownMethod,
    WrongAddress,
    WrongArgument,
)
from crossbook.wallet_sim.faults import Fault
from crossbook.wallet_sim.proposals import Proposal, seal
from crossbook.wallet_sim.wallet import MOST_LIFETIME_MS, PROPOSAL_LIFETIME_MS
from crossbook.wallet_sim.world import World, WorldOptions
from tests.wallet_sim.worlds import FEE, LTHN, USDL, ask, base64_of, holdings, made, proposal

ENOUGH = (100_000 * 10**12, 100_000 * 10**6)


def accept(world: World, text: str, who: str = "bob") -> Any:
    return ask(world.wallets[who], "ionic_swap_accept_proposal", hex_raw_proposal=text)


# -- The wallet itself -------------------------------------------------------------------------------
def test_the_address_is_a_real_one_of_its_own() -> None:
    world = made()
    addresses = {ask(wallet, "getaddress")["address"] for wallet in world.wallets.values()}
    assert len(addresses) == 3
    assert all(parse_address(address).text == address for address in addresses)


@pytest.mark.parametrize("format", SignatureFormat)
def test_signatures_are_real(format: SignatureFormat) -> None:
    world = made(options=WorldOptions(format))
    alice = world.wallets["alice"]
    said = ask(alice, "sign_message", buff=base64_of(b"hello\xff"))
    assert set(said) == {"sig", "pkey"}
    key = parse_address(alice.address).spend_key
    assert said["pkey"] == key.hex()
    assert verify_message(b"hello\xff", key, said["sig"]) is format


def test_balances_and_whitelist() -> None:
    world = made()
    said = ask(world.wallets["alice"], "getbalance")
    assert said["balance"] == said["unlocked_balance"] == ENOUGH[0]
    by_ticker = {each["asset_info"]["ticker"]: each for each in said["balances"]}
    assert {ticker: each["total"] for ticker, each in by_ticker.items()} == {"LTHN": ENOUGH[0], "USDL": ENOUGH[1]}
    assert by_ticker["USDL"]["asset_info"]["decimal_point"] == 6
    listed = ask(world.wallets["alice"], "assets_whitelist_get")
    assert set(listed) == {"global_whitelist", "local_whitelist", "own_assets"}
    assert [(each["asset_id"], each["decimal_point"]) for each in listed["global_whitelist"]] == [(LTHN, 12), (USDL, 6)]


# -- The daemon --------------------------------------------------------------------------------------
def test_aliases() -> None:
    world = made()
    alice = world.wallets["alice"].address
    details = ask(world.daemon, "get_alias_details", alias="alice-alias")
    assert (details["status"], details["alias_details"]["address"]) == ("OK", alice)
    nobody = ask(world.daemon, "get_alias_details", alias="nobody")
    assert (nobody["status"] == "OK", nobody["alias_details"]["address"]) == (False, "")
    found = ask(world.daemon, "get_alias_by_address", address=alice)
    assert [each["alias"] for each in found["alias_info_list"]] == ["alice-alias"]
    by_text = world.daemon.methods["get_alias_by_address"].call(alice)
    assert by_text == found
    assert ask(world.daemon, "get_alias_by_address", address="x")["status"] == "NOT_FOUND"


def test_assets() -> None:
    world = made()
    found = ask(world.daemon, "get_asset_info", asset_id=USDL)
    assert found["status"] == "OK"
    descriptor = found["asset_descriptor"]
    wanted = ("USDL", 6, "Simulated dollar", 3 * ENOUGH[1])
    assert tuple(descriptor[name] for name in ("ticker", "decimal_point", "full_name", "current_supply")) == wanted
    assert ask(world.daemon, "get_asset_info", asset_id="f" * 64) == {"status": "NOT_FOUND"}


def test_signatures_by_alias_and_by_key() -> None:
    world = made()
    signed = ask(world.wallets["alice"], "sign_message", buff=base64_of(b"m"))

    def status(message: bytes = b"m", **whose: str) -> str:
        said: str = ask(world.daemon, "validate_signature", buff=base64_of(message), sig=signed["sig"], **whose)[
            "status"
        ]
        return said

    assert status(pkey=signed["pkey"]) == status(alias="alice-alias") == "OK"
    assert status(alias="bob-alias") == status(b"n", pkey=signed["pkey"]) == "FAIL"
    assert status(alias="nobody") == "NOT_FOUND"
    with pytest.raises(InvalidParams):
        status()


# -- Swaps -------------------------------------------------------------------------------------------
def test_an_accepted_proposal_moves_both_sides_and_the_initiator_pays_the_fee() -> None:
    world = made()
    text = proposal(world, give=5, get=7)
    assert holdings(world) == {"alice": ENOUGH, "bob": ENOUGH, "carol": ENOUGH}
    info = ask(world.wallets["bob"], "ionic_swap_get_proposal_info", hex_raw_proposal=text)["proposal"]
    assert info == {
        "fee_paid_by_a": FEE,
        "mixins": 10,
        "to_finalizer": [{"amount": 5, "asset_id": LTHN}],
        "to_initiator": [{"amount": 7, "asset_id": USDL}],
    }
    said = accept(world, text)
    assert set(said) == {"result_tx_id"}
    assert len(bytes.fromhex(said["result_tx_id"])) == 32
    assert holdings(world) == {
        "alice": (ENOUGH[0] - 5 - FEE, ENOUGH[1] + 7),
        "bob": (ENOUGH[0] + 5, ENOUGH[1] - 7),
        "carol": ENOUGH,
    }
    assert world.chain.balance(FEES, LTHN) == FEE
    assert world.chain.imbalance() == {}


def test_a_proposal_is_accepted_once() -> None:
    world = made()
    text = proposal(world)
    accept(world, text)
    after = holdings(world)
    for again in (text, text.upper()):
        with pytest.raises(WrongArgument, match="accepted before"):
            accept(world, again)
    assert holdings(world) == after


def test_two_equal_proposals_are_two() -> None:
    world = made()
    first, second = proposal(world), proposal(world)
    assert first != second
    assert accept(world, first) != accept(world, second)


def test_only_the_addressee_reads_and_accepts() -> None:
    world = made()
    text = proposal(world)
    for name, method in itertools.product(("alice", "carol"), ("get_proposal_info", "accept_proposal")):
        with pytest.raises(WrongArgument, match="can not be opened"):
            ask(world.wallets[name], f"ionic_swap_{method}", hex_raw_proposal=text)
    for asset_id in (LTHN, USDL):
        assert asset_id.encode().hex() not in text
    accept(world, text)


@given(bit=st.integers(0, 5_000))
def test_one_changed_bit_makes_a_proposal_unreadable(bit: int) -> None:
    world = WORLD
    data = bytearray.fromhex(TEXT)
    data[bit // 8 % len(data)] ^= 1 << bit % 8
    with pytest.raises(WrongArgument):
        accept(world, data.hex())


WORLD = made()
TEXT = proposal(WORLD)


@pytest.mark.parametrize("text", ["", "00", "zz", "ab" * 32, "ab" * 500, TEXT[:-2], TEXT + "00", TEXT[:100]])
def test_what_is_no_proposal(text: str) -> None:
    with pytest.raises(WrongArgument):
        accept(WORLD, text)


def test_proposals_are_as_long_as_wanted() -> None:
    long = proposal(made(options=WorldOptions(least_proposal_bytes=10_000)))
    assert 20_000 < len(long) < 21_000
    assert len(proposal(made())) < 3_000


def test_amounts_may_come_as_text() -> None:
    world = made()
    text = proposal(world, to_finalizer=[{"asset_id": LTHN, "amount": "12"}])
    accept(world, text)
    assert holdings(world)["bob"][0] == ENOUGH[0] + 12


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"to_finalizer": [{"asset_id": LTHN, "amount": 0}]}, InvalidParams),
        ({"to_finalizer": [{"asset_id": LTHN, "amount": -1}]}, InvalidParams),
        ({"to_finalizer": [{"asset_id": LTHN, "amount": 2**64}]}, InvalidParams),
        ({"to_finalizer": [{"asset_id": LTHN, "amount": 1.5}]}, InvalidParams),
        ({"to_finalizer": [{"asset_id": LTHN}]}, InvalidParams),
        ({"to_finalizer": [{"asset_id": "f" * 64, "amount": 1}]}, WrongArgument),
        ({"to_finalizer": []}, InvalidParams),
        ({"to_initiator": []}, InvalidParams),
        ({"to_initiator": [{"asset_id": LTHN, "amount": 1}] * 9}, InvalidParams),
        ({"to_finalizer": [{"asset_id": LTHN, "amount": ENOUGH[0]}]}, NotEnoughMoney),
        ({"to_finalizer": [{"asset_id": LTHN, "amount": ENOUGH[0] // 2}] * 2}, NotEnoughMoney),
        ({"to_finalizer": [{"asset_id": USDL, "amount": ENOUGH[1] + 1}]}, NotEnoughMoney),
        ({"fee_paid_by_a": ENOUGH[0]}, NotEnoughMoney),
        ({"fee_paid_by_a": -1}, InvalidParams),
    ],
)
def test_proposals_that_no_wallet_makes(changed: dict[str, Any], error: type[RpcError]) -> None:
    with pytest.raises(error):
        proposal(made(), **changed)


def test_a_proposal_goes_to_an_address() -> None:
    world = made()
    terms = {"to_finalizer": [{"asset_id": LTHN, "amount": 1}], "to_initiator": [{"asset_id": USDL, "amount": 1}]}
    for bad in ("", "iTHN", world.wallets["bob"].address[:-1]):
        with pytest.raises(WrongAddress):
            ask(world.wallets["alice"], "ionic_swap_generate_proposal", destination_address=bad, proposal=terms)


def test_money_is_looked_at_again_when_a_proposal_is_accepted() -> None:
    world = made()
    dear = proposal(world, get=ENOUGH[1] + 1)
    with pytest.raises(NotEnoughMoney):
        accept(world, dear)
    whole = [proposal(world, give=ENOUGH[0] - FEE) for _ in range(2)]
    accept(world, whole[0])
    with pytest.raises(WrongArgument, match="has spent"):
        accept(world, whole[1])
    assert world.chain.imbalance() == {}


def test_proposals_expire() -> None:
    clock = ManualClock()
    world = made(clock)
    usual = [proposal(world) for _ in range(2)]
    short = proposal(world, expiration_time=clock.now_ms() // 1000 + 60)
    clock.advance(60_000)
    with pytest.raises(WrongArgument, match="expired"):
        accept(world, short)
    clock.advance(PROPOSAL_LIFETIME_MS - 60_001)
    accept(world, usual[0])
    clock.advance(1)
    with pytest.raises(WrongArgument, match="expired"):
        accept(world, usual[1])


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"fee_units": -(10**12)}, "can not be opened"),
        ({"to_initiator": (Funds(USDL, -5),)}, "can not be opened"),
        ({"to_finalizer": ()}, "can not be opened"),
        ({"to_finalizer": (Funds(LTHN, 1),) * 9}, "can not be opened"),
        ({"proposal_id": "x" * 65}, "can not be opened"),
    ],
)
def test_a_proposal_that_somebody_made_without_a_wallet_is_looked_at(changed: dict[str, Any], error: str) -> None:
    clock = ManualClock()
    world = made(clock)
    alice, bob = world.wallets["alice"], world.wallets["bob"]
    good = Swap("id", alice.address, bob.address, (Funds(LTHN, 5),), (Funds(USDL, 7),), FEE)
    before = holdings(world)
    for swap, expires_at_ms, why in (
        (replace(good, **changed), clock.now_ms() + 1_000, error),
        (good, clock.now_ms() + MOST_LIFETIME_MS + 1, "expires too late"),
        (good, -1, "can not be opened"),
    ):
        text = seal(Proposal(swap, expires_at_ms), alice.keys, parse_address(bob.address))
        with pytest.raises(WrongArgument, match=why):
            accept(world, text)
    assert holdings(world) == before
    accept(world, seal(Proposal(good, clock.now_ms() + 1_000), alice.keys, parse_address(bob.address)))
    assert holdings(world) != before


@given(st.lists(st.tuples(st.integers(1, 10**17), st.integers(1, 10**11), st.booleans()), max_size=6))
def test_money_is_conserved_whatever_is_swapped(swaps: list[tuple[int, int, bool]]) -> None:
    world = made()
    expected = holdings(world)
    for give, get, twice in swaps:
        try:
            text = proposal(world, give, get)
            accept(world, text)
        except NotEnoughMoney:
            continue
        alice, bob = expected["alice"], expected["bob"]
        expected["alice"] = (alice[0] - give - FEE, alice[1] + get)
        expected["bob"] = (bob[0] + give, bob[1] - get)
        if twice:
            with pytest.raises(WrongArgument):
                accept(world, text)
    assert holdings(world) == expected
    assert all(units >= 0 for pair in expected.values() for units in pair)
    assert world.chain.imbalance() == {}


# -- Faults ------------------------------------------------------------------------------------------
def test_a_proposal_that_expired_by_fault_can_be_accepted_when_the_fault_is_over() -> None:
    world = made()
    text = proposal(world)
    world.faults.switch_on(Fault.PROPOSAL_EXPIRED, times=2)
    before = holdings(world)
    for _ in range(2):
        with pytest.raises(WrongArgument, match="expired"):
            accept(world, text)
    assert holdings(world) == before
    accept(world, text)


def test_lack_of_money_by_fault_hits_one_wallet_only() -> None:
    world = made()
    world.faults.switch_on(Fault.NOT_ENOUGH_MONEY, "bob")
    text = proposal(world)
    for _ in range(3):
        with pytest.raises(NotEnoughMoney) as caught:
            accept(world, text)
    assert caught.value.code == -7
    world.faults.switch_off(Fault.NOT_ENOUGH_MONEY, "bob")
    accept(world, text)


def test_a_wallet_without_its_daemon_signs_and_does_nothing_else() -> None:
    world = made()
    world.faults.switch_on(Fault.DAEMON_DOWN, "alice")
    ask(world.wallets["alice"], "getaddress")
    ask(world.wallets["alice"], "sign_message", buff="")
    for method in ("getbalance", "assets_whitelist_get"):
        with pytest.raises(DaemonBusy):
            ask(world.wallets["alice"], method)
    with pytest.raises(DaemonBusy):
        proposal(world)
    ask(world.wallets["bob"], "getbalance")


# -- The administrator -------------------------------------------------------------------------------
def test_the_administrator_switches_faults() -> None:
    world = made()
    ask(world.admin, "set_fault", fault="proposal_expired", wallet="bob", times=3)
    said = ask(world.admin, "set_fault", fault="daemon_down")
    assert said == {
        "faults": [
            {"fault": "proposal_expired", "wallet": "bob", "times": 3},
            {"fault": "daemon_down", "wallet": "", "times": None},
        ]
    }
    ask(world.admin, "set_fault", fault="daemon_down", on=False)
    ask(world.admin, "set_fault", fault="proposal_expired", wallet="bob", on=False)
    assert ask(world.admin, "get_faults") == {"faults": []}
    for bad in ({"fault": "fire"}, {"fault": "daemon_down", "times": 0}):
        with pytest.raises(InvalidParams):
            ask(world.admin, "set_fault", **bad)


def test_the_administrator_makes_wallets_assets_and_money() -> None:
    world = made()
    secret = WalletKeys.of_seed(b"dave").spend_secret.hex()
    created = ask(world.admin, "create_wallet", name="dave", spend_secret=secret, alias="dave")
    assert created["address"] == WalletKeys.of_seed(b"dave").address().text
    assert ask(world.admin, "create_wallet", name="dave", spend_secret=secret) == created
    ask(world.admin, "register_asset", asset_id="a" * 64, ticker="GOLD", full_name="Gold", decimal_point=2)
    assert ask(world.admin, "fund", wallet="dave", asset_id="a" * 64, amount=50) == {"balance": 50}
    assert ask(world.admin, "fund", wallet="dave", amount=7) == {"balance": 7}
    ask(world.admin, "register_alias", alias="other", address=WalletKeys.of_seed(b"else").address().text)
    said = ask(world.admin, "get_balances")
    assert said["wallets"]["dave"]["balances"] == {"a" * 64: 50, LTHN: 7}
    assert said["imbalance"] == {}


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("create_wallet", {"name": "alice", "spend_secret": "01" + "00" * 31}),
        ("create_wallet", {"name": "x", "spend_secret": "zz"}),
        ("create_wallet", {"name": "x", "spend_secret": "ff" * 32}),
        ("create_wallet", {"name": ""}),
        ("create_wallet", {"name": "x", "alias": "bob-alias"}),
        ("fund", {"wallet": "nobody", "amount": 1}),
        ("fund", {"wallet": "alice", "amount": 0}),
        ("fund", {"wallet": "alice", "amount": 2**64}),
        ("fund", {"wallet": "alice", "amount": 1, "asset_id": "f" * 64}),
        ("register_asset", {"asset_id": USDL, "ticker": "USDL", "full_name": "x"}),
        ("register_alias", {"alias": "bob-alias", "address": WalletKeys.of_seed(b"else").address().text}),
        ("register_alias", {"alias": "new", "address": "iTHN"}),
    ],
)
def test_what_the_administrator_can_not_do(method: str, params: dict[str, Any]) -> None:
    with pytest.raises(InvalidParams):
        ask(made().admin, method, **params)


def test_wallets_and_daemon_do_not_know_each_others_methods() -> None:
    world = made()
    for handler, method in ((world.daemon, "sign_message"), (world.wallets["alice"], "set_fault"), (world.admin, "x")):
        with pytest.raises(UnknownMethod):
            ask(handler, method)


def test_an_asset_has_its_terms_for_good() -> None:
    world = made()
    world.chain.register(Asset(USDL, "USDL", "Simulated dollar", decimal_point=6))
    with pytest.raises(ChainRefused):
        world.chain.register(Asset(USDL, "USDL", "Simulated dollar", decimal_point=7))
    with pytest.raises(ChainRefused):
        world.chain.register(Asset("e" * 64, "X", "X", decimal_point=19))
    world.chain.register(Asset("e" * 64, "X", "X", 0, total_max_supply_units=5))
    world.chain.mint("anybody", Funds("e" * 64, 5))
    with pytest.raises(ChainRefused):
        world.chain.mint("anybody", Funds("e" * 64, 1))
