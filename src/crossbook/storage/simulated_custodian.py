"""The custodian that comes with the venue: it stands for a bank or a chain, and moves nothing.

It ends every transfer after a delay, in the way that it was told to: by the settings, or by an operator for one
transfer. What it knows is in a table of its own, so that it survives a restart as a system outside would.
"""

from crossbook.application.clock import WallClock
from crossbook.application.errors import InvalidOrder
from crossbook.application.transfers import CustodianUnavailable, News, Transfer
from crossbook.domain.transfers import CustodyNews
from crossbook.storage.database import Database
from crossbook.storage.errors import StorageError

_REASONS = {
    CustodyNews.FAILED: "the simulated custodian was told to fail",
    CustodyNews.REFUSED: "the simulated custodian was told to refuse",
}


class SimulatedCustodian:
    """Ends transfers after `delay_ms`, with `outcome`: PAID, FAILED or REFUSED (which it says at once)."""

    def __init__(self, database: Database, clock: WallClock, delay_ms: int, outcome: CustodyNews) -> None:
        self._database = database
        self._clock = clock
        self._delay_ms = delay_ms
        self._outcome = outcome

    async def submit(self, transfer: Transfer) -> News:
        """Take a transfer, once; what is known of it by now."""
        due_at_ms = self._clock.now_ms() + self._delay_ms
        await self._remember(transfer.transfer_id, self._outcome, due_at_ms)
        return await self.look(transfer.transfer_id)

    async def look(self, transfer_id: int) -> News:
        """What became of a transfer. Raises CustodianUnavailable for one that was never given."""
        try:
            async with self._database.each_alone() as transaction:
                row = await transaction.row(
                    "SELECT news, due_at_ms FROM simulated_custody WHERE transfer_id = $1", transfer_id
                )
        except StorageError as error:
            raise CustodianUnavailable(str(error)) from error
        if row is None:
            raise CustodianUnavailable(f"the simulated custodian knows no transfer {transfer_id}")
        news = CustodyNews(row["news"])
        if news is CustodyNews.REFUSED or row["due_at_ms"] <= self._clock.now_ms():
            return News(news, _REASONS.get(news, ""))
        return News(CustodyNews.TAKEN)

    async def tell(self, transfer_id: int, outcome: CustodyNews) -> None:
        """End a transfer now, in this way. Raises InvalidOrder for an end that is none, or one that is over."""
        if outcome is CustodyNews.TAKEN:
            raise InvalidOrder("outcome", "must be PAID, FAILED or REFUSED")
        now_ms = self._clock.now_ms()
        async with self._database.each_alone() as transaction:
            told = await transaction.execute(
                """
                INSERT INTO simulated_custody (transfer_id, news, due_at_ms)
                SELECT transfer_id, $2, $3 FROM transfers WHERE transfer_id = $1 AND status <= 2
                ON CONFLICT (transfer_id) DO UPDATE SET news = $2, due_at_ms = $3
                WHERE simulated_custody.due_at_ms > $3 AND simulated_custody.news <> 4
                """,
                transfer_id,
                outcome,
                now_ms,
            )
        if not told:
            raise InvalidOrder("id", "must be the id of a transfer that the custodian has not ended")

    async def _remember(self, transfer_id: int, outcome: CustodyNews, due_at_ms: int) -> None:
        try:
            async with self._database.each_alone() as transaction:
                await transaction.execute(
                    """
                    INSERT INTO simulated_custody (transfer_id, news, due_at_ms) VALUES ($1, $2, $3)
                    ON CONFLICT DO NOTHING
                    """,
                    transfer_id,
                    outcome,
                    due_at_ms,
                )
        except StorageError as error:
            raise CustodianUnavailable(str(error)) from error
