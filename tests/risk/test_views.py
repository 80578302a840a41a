"""What is shown of liquidations and of the queue of deleveraging."""

from crossbook.application.liquidations import LiquidationState
from crossbook.application.portfolio import Portfolio
from crossbook.application.views import Page
from crossbook.dialects.flux.margin import liquidation_view
from crossbook.dialects.flux.translate import position_view
from crossbook.domain.liquidating import deleveraging_rank
from crossbook.domain.liquidation import deleveraging_order
from crossbook.storage.flagging import perpetuals_of, read_risks
from crossbook.storage.liquidation_queries import LiquidationQueries, Ranks
from tests.risk.venue import RiskVenue, in_venue


def test_a_liquidation_is_shown_with_its_steps_and_without_its_owner(database_url: str) -> None:
    async def scenario(venue: RiskVenue) -> None:
        await venue.fund(100)
        alice, bob = await venue.user(0, 3_100), await venue.user(1, 1_000_000)
        await venue.mark(venue.btc, 60_000)
        await venue.trade(alice, bob, venue.btc, 1, 60_000)
        await venue.mark(venue.btc, 56_300)
        queries = LiquidationQueries(venue.database)
        (one,) = await queries.liquidations(Page(10))
        assert one.state is LiquidationState.FLAGGED
        holdings = await venue.queries.holdings(alice)
        portfolio = Portfolio(holdings, venue.markets, venue.marks)
        (row,) = holdings.positions
        assert position_view(row, venue.btc, portfolio, "7").in_liquidation
        await venue.liquidate()
        (one,) = await queries.liquidations(Page(10))
        assert await queries.liquidations(Page(10), alice) == [one]
        assert await queries.liquidations(Page(10), bob) == []
        assert await queries.liquidations(Page(10, one.liquidation_id)) == []
        public, own = (liquidation_view(one, venue.markets, is_own) for is_own in (False, True))
        assert (public.status, public.margin_mode, public.market_id) == ("CLOSED", "CROSS", None)
        assert [(step.type, step.quantity, step.bankruptcy_price) for step in public.steps] == [
            ("REDUCED", "1", "56930"),
            ("DELEVERAGED", "1", "56930"),
            ("ENDED", None, None),
        ]
        assert (own.equity, own.maintenance_margin) == ("-630", "281.5")
        assert not isinstance(public.equity, str)

    in_venue(database_url, scenario)


def test_ranks_are_those_of_the_exact_rule(database_url: str) -> None:
    async def scenario(venue: RiskVenue) -> None:
        maker = await venue.user(0, 10_000_000)
        shorts = [await venue.user(number, 5_000 + 997 * number) for number in range(1, 12)]
        await venue.mark(venue.btc, 60_000)
        await venue.mark(venue.eth, 3_000)
        for place, account in enumerate(shorts):
            await venue.trade(maker, account, venue.btc, 1, 60_000 + 37 * place)
            if place % 3 == 0:
                await venue.trade(account, maker, venue.eth, 1, 3_000)
        await venue.mark(venue.btc, 59_000)
        ranks = await Ranks(venue.database, venue.clock).of_market(venue.btc.number)
        async with venue.database.transaction() as transaction:
            perpetuals = await perpetuals_of(transaction, venue.btc.quote_asset_id)
            risks = await read_risks(transaction, shorts, venue.btc.quote_asset_id, perpetuals)
        number = venue.btc.number
        order = deleveraging_order(
            tuple(risk.scope_of(number).deleveraging(account, number) for account, risk in risks.items())
        )
        expected = {each.account_id: deleveraging_rank(place, len(order)) for place, each in enumerate(order)}
        assert {account: ranks[account] for account in shorts} == expected
        assert ranks[maker] == 5
        assert set(expected.values()) == {1, 2, 3, 4, 5}

    in_venue(database_url, scenario)
