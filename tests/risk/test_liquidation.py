"""Whole liquidations through database, engine and settlement: flags, steps, fund, deleveraging, bad debt."""

import pytest

from crossbook.application.errors import InLiquidation, InsufficientFunds, WithdrawalsStopped
from crossbook.domain.accounts import BAD_DEBT, INSURANCE
from crossbook.domain.margin import InsufficientMargin
from crossbook.domain.orders import MarketState
from crossbook.domain.risk import MarginMode
from tests.risk.venue import BUY, SELL, RiskVenue, in_venue


async def crash(venue: RiskVenue, fund: int = 1_000) -> tuple[int, int]:
    """Alice is long 1 BTC from 60,000 with 3,100 USDC, Bob is short with much."""
    await venue.fund(fund)
    alice, bob = await venue.user(0, 3_100), await venue.user(1, 1_000_000)
    await venue.mark(venue.btc, 60_000)
    await venue.trade(alice, bob, venue.btc, 1, 60_000)
    return alice, bob


def test_nobody_is_flagged_above_the_edge_and_everybody_at_it(database_url: str) -> None:
    async def scenario(venue: RiskVenue) -> None:
        alice, _ = await crash(venue)
        # After the fee of 30 she has 3,070: at 57,216 equity is 286, maintenance 286.08.
        await venue.mark(venue.btc, 57_217)
        assert await venue.flagged() == []
        await venue.mark(venue.btc, 57_216)
        assert await venue.flagged() == [(alice, 0)]
        (row,) = await venue.rows("SELECT equity_units, maintenance_units, flagged_at_sequence FROM liquidations")
        assert (row[0], row[1]) == (286_000_000, 286_080_000)
        (prices,) = await venue.rows("SELECT sequence FROM market_prices WHERE market_id = $1", venue.btc.number)
        assert row[2] == prices[0]

    in_venue(database_url, scenario)


def test_a_position_is_closed_on_the_book_and_the_fund_gets_its_fee(database_url: str) -> None:
    async def scenario(venue: RiskVenue) -> None:
        alice, bob = await crash(venue)
        await venue.order(bob, venue.btc, BUY, 1, 57_150)
        await venue.mark(venue.btc, 57_200)
        assert await venue.liquidate() == ["Reduce", "Clear"]
        assert await venue.position(alice, venue.btc) == 0
        # Bankruptcy at 56,930: the fill is 220 better, and the fee is at most 1.5 % of 57,150.
        assert await venue.total(INSURANCE) == 1_220
        assert await venue.total(alice) == 0
        assert await venue.flagged() == []
        steps = await venue.rows(
            "SELECT kind, quantity_lots, bankruptcy_price_ticks FROM liquidation_steps ORDER BY step"
        )
        assert [tuple(step) for step in steps] == [(2, 1, 56_930), (5, None, None)]
        (order,) = await venue.rows("SELECT purpose, bankruptcy_price_ticks, status FROM orders WHERE purpose = 2")
        assert tuple(order) == (2, 56_930, 4)
        (fee,) = await venue.rows("SELECT fee_units FROM fills JOIN orders USING (order_id) WHERE purpose = 2")
        assert fee[0] == 0

    in_venue(database_url, scenario)


def test_orders_are_cancelled_first_and_that_may_be_enough(database_url: str) -> None:
    async def scenario(venue: RiskVenue) -> None:
        alice, bob = await crash(venue)
        await venue.order(alice, venue.btc, SELL, 1, 70_000, reduce_only=True)
        await venue.order(alice, venue.eth, BUY, 1, 1, leverage=20)
        await venue.pump()
        await venue.mark(venue.btc, 57_200)
        (taken,) = await venue.step()
        assert type(taken.step).__name__ == "CancelOrders"
        live = await venue.rows("SELECT order_id FROM orders WHERE account_id = $1 AND is_live", alice)
        assert live == []
        await venue.mark(venue.btc, 60_000)  # it recovers meanwhile
        assert await venue.liquidate() == ["Clear"]
        assert await venue.position(alice, venue.btc) == 1
        await venue.order(alice, venue.btc, SELL, 1, 70_000, reduce_only=True)
        del bob

    in_venue(database_url, scenario)


def test_the_fund_pays_for_a_worse_price_and_is_never_below_zero(database_url: str) -> None:
    async def scenario(venue: RiskVenue) -> None:
        alice, bob = await crash(venue, fund=100)
        await venue.order(bob, venue.btc, BUY, 1, 56_200)
        await venue.mark(venue.btc, 56_300)  # bankruptcy at 56,930: the book is 730 below
        kinds = await venue.liquidate()
        # The order can go down 100: nobody is there. Bob is closed at 56,930 instead, though his bid was lower.
        assert kinds == ["Reduce", "Deleverage", "Clear"]
        assert await venue.total(INSURANCE) == 100
        assert await venue.total(alice) == 0
        assert await venue.position(bob, venue.btc) == 0
        rows = await venue.rows("SELECT order_id, fee_units FROM fills WHERE order_id = 0")
        assert [tuple(row) for row in rows] == [(0, 0), (0, 0)]

    in_venue(database_url, scenario)


def test_a_worse_fill_within_the_fund_is_paid_by_it(database_url: str) -> None:
    async def scenario(venue: RiskVenue) -> None:
        alice, bob = await crash(venue, fund=1_000)
        await venue.order(bob, venue.btc, BUY, 1, 56_800)
        await venue.mark(venue.btc, 56_950)
        assert await venue.liquidate() == ["Reduce", "Clear"]
        assert await venue.total(INSURANCE) == 1_000 - 130
        assert await venue.total(alice) == 0

    in_venue(database_url, scenario)


def test_a_loss_that_nobody_carries_is_bad_debt_and_stops_withdrawals_until_it_is_repaid(database_url: str) -> None:
    async def scenario(venue: RiskVenue) -> None:
        await venue.fund(100)
        alice, bob, carol = await venue.user(0, 3_100), await venue.user(1, 1_000_000), await venue.user(2, 600)
        await venue.mark(venue.btc, 60_000)
        await venue.trade(alice, bob, venue.btc, 1, 60_000)
        await venue.mark(venue.eth, 3_000)
        # The short side ends with Carol alone, at 10,000: her 600 can not carry 46,930.
        await venue.mark(venue.btc, 10_000)
        await venue.trade(bob, carol, venue.btc, 1, 10_000, leverage=20)
        assert await venue.flagged() == [(alice, 0)]
        kinds = await venue.liquidate()
        assert kinds == ["Reduce", "Deleverage", "CoverLoss", "Clear"]
        assert await venue.position(carol, venue.btc) == 0
        assert await venue.total(alice) == 0
        assert await venue.total(INSURANCE) == 0
        debt = await venue.total(BAD_DEBT)
        assert debt == -(50_000 - 3_070 - 100)
        with pytest.raises(WithdrawalsStopped):
            await venue.funds.withdraw(bob, "USDC", 1)
        await venue.fund(100_000)
        await venue.liquidator._repay()
        assert await venue.total(BAD_DEBT) == 0
        await venue.funds.withdraw(bob, "USDC", 1)

    in_venue(database_url, scenario)


def test_an_isolated_position_ends_alone(database_url: str) -> None:
    async def scenario(venue: RiskVenue) -> None:
        await venue.fund(1_000)
        alice, bob = await venue.user(0, 100_000), await venue.user(1, 1_000_000)
        await venue.margin.set_mode(alice, venue.btc, MarginMode.ISOLATED)
        await venue.mark(venue.btc, 60_000)
        await venue.mark(venue.eth, 3_000)
        await venue.trade(alice, bob, venue.btc, 1, 60_000, leverage=20)
        await venue.trade(alice, bob, venue.eth, 1, 3_000, leverage=20)
        (row,) = await venue.rows(
            "SELECT isolated_margin_units FROM positions WHERE account_id = $1 AND margin_mode = 2", alice
        )
        assert row[0] == 3_000_000_000
        before = await venue.total(alice)
        await venue.mark(venue.btc, 57_200)
        assert await venue.flagged() == [(alice, venue.btc.number)]
        # The rest of the account trades on.
        await venue.order(alice, venue.eth, BUY, 1, 2_900)
        with pytest.raises(InLiquidation):
            await venue.order(alice, venue.btc, BUY, 1, 57_000)
        assert await venue.liquidate() == ["Reduce", "Deleverage", "Clear"]
        assert await venue.position(alice, venue.btc) == 0
        assert await venue.position(alice, venue.eth) == 1
        assert await venue.total(alice) == before - 3_000
        live = await venue.rows("SELECT order_id FROM orders WHERE account_id = $1 AND is_live", alice)
        assert len(live) == 1

    in_venue(database_url, scenario)


def test_a_flagged_account_may_only_reduce_and_takes_nothing_out(database_url: str) -> None:
    async def scenario(venue: RiskVenue) -> None:
        alice, bob = await crash(venue)
        await venue.mark(venue.btc, 57_200)
        with pytest.raises(InLiquidation):
            await venue.order(alice, venue.btc, BUY, 1, 57_000)
        with pytest.raises(InLiquidation):
            await venue.order(alice, venue.eth, BUY, 1, 10)
        with pytest.raises(InsufficientFunds):
            await venue.funds.withdraw(alice, "USDC", 1)
        with pytest.raises(InLiquidation):
            await venue.margin.set_leverage(alice, venue.btc, 5)
        await venue.order(alice, venue.btc, SELL, 1, 57_100)
        await venue.order(bob, venue.btc, BUY, 1, 57_100)
        await venue.pump()
        assert await venue.position(alice, venue.btc) == 0
        assert await venue.liquidate() == ["Clear"]

    in_venue(database_url, scenario)


def test_in_a_margin_call_only_what_reduces_comes_in(database_url: str) -> None:
    async def scenario(venue: RiskVenue) -> None:
        alice, bob = await crash(venue)
        await venue.order(bob, venue.btc, BUY, 3, 50_000)
        await venue.mark(venue.btc, 58_000)  # equity 1,070: below the initial margin of 2,900, above 290
        assert await venue.flagged() == []
        with pytest.raises(InsufficientMargin):
            await venue.order(alice, venue.btc, BUY, 1, 57_000)
        with pytest.raises(InsufficientMargin):
            # The position's margin would not rise, but the order turns the position round.
            await venue.order(alice, venue.btc, SELL, 2, 58_000)
        with pytest.raises(InsufficientFunds):
            await venue.funds.withdraw(alice, "USDC", 1)
        await venue.order(alice, venue.btc, SELL, 1, 58_000)
        with pytest.raises(InsufficientMargin):
            await venue.order(alice, venue.btc, SELL, 1, 58_100)  # together they would turn it round

    in_venue(database_url, scenario)


def test_a_large_position_is_sold_in_parts(database_url: str) -> None:
    async def scenario(venue: RiskVenue) -> None:
        await venue.fund(10_000)
        alice, bob = await venue.user(0, 31_000), await venue.user(1, 10_000_000)
        await venue.mark(venue.btc, 60_000)
        await venue.trade(alice, bob, venue.btc, 10, 60_000)
        await venue.order(bob, venue.btc, BUY, 20, 57_180)
        await venue.mark(venue.btc, 57_200)
        (taken,) = await venue.step()
        assert (taken.step.quantity_lots, taken.step.is_partial) == (2, True)  # type: ignore[union-attr]
        assert await venue.position(alice, venue.btc) == 8
        (taken,) = await venue.step()
        assert (taken.step.quantity_lots, taken.step.is_partial) == (8, False)  # type: ignore[union-attr]
        assert await venue.liquidate() == ["Clear"]

    in_venue(database_url, scenario)


def test_a_market_with_a_stale_index_flags_nobody_and_liquidates_nobody(database_url: str) -> None:
    async def scenario(venue: RiskVenue) -> None:
        alice, _ = await crash(venue)
        await venue.state(venue.btc, MarketState.CANCEL_ONLY)
        await venue.mark(venue.btc, 50_000)
        assert await venue.flagged() == []
        await venue.mark(venue.btc, 57_200)
        assert await venue.flagged() == []
        await venue.state(venue.btc, MarketState.ACTIVE)
        assert await venue.flagged() == [(alice, 0)]
        await venue.state(venue.btc, MarketState.CANCEL_ONLY)
        assert await venue.liquidate() == []
        await venue.state(venue.btc, MarketState.ACTIVE)
        assert (await venue.liquidate())[-1] == "Clear"

    in_venue(database_url, scenario)


def test_funding_can_bring_an_account_down(database_url: str) -> None:
    async def scenario(venue: RiskVenue) -> None:
        alice, bob = await crash(venue)
        await venue.mark(venue.btc, 57_300)
        assert await venue.flagged() == []
        await venue.funding(venue.btc, 0, 2_000_000, 57_300)  # longs pay 114.60
        assert await venue.flagged() == [(alice, 0)]
        (row,) = await venue.rows("SELECT funding_units FROM positions WHERE account_id = $1", bob)
        assert row[0] == 114_600_000

    in_venue(database_url, scenario)


@pytest.mark.parametrize("where", range(6))
def test_a_step_that_breaks_off_is_taken_again_whole(
    database_url: str, where: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker ends at the `where`-th statement of every transaction of its own, again and again."""
    from crossbook.storage.database import Transaction
    from crossbook.storage.errors import DatabaseUnavailable

    async def scenario(venue: RiskVenue) -> None:
        alice, _ = await crash(venue, fund=100)
        await venue.mark(venue.btc, 56_300)
        execute, left = Transaction.execute, [where]

        async def breaking(self: Transaction, *values: object) -> object:
            if left[0] == 0:
                left[0] = -1
                raise DatabaseUnavailable("gone")
            left[0] -= 1
            return await execute(self, *values)  # type: ignore[arg-type]

        kinds: list[str] = []
        for _ in range(20):
            left[0] = where
            monkeypatch.setattr(Transaction, "execute", breaking)
            try:
                taken = list(await venue.liquidator.turn())
            except DatabaseUnavailable:
                monkeypatch.setattr(Transaction, "execute", execute)
                taken = list(await venue.liquidator.turn())
            monkeypatch.setattr(Transaction, "execute", execute)
            await venue.pump()
            if not taken:
                break
            kinds += [type(one.step).__name__ for one in taken]
        assert kinds == ["Reduce", "Deleverage", "Clear"]
        assert await venue.position(alice, venue.btc) == 0
        rows = await venue.rows("SELECT step, kind FROM liquidation_steps ORDER BY step")
        assert [tuple(row) for row in rows] == [(1, 2), (2, 3), (3, 5)]

    in_venue(database_url, scenario)
