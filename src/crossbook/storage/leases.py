"""Leases: one worker at a time does a job for a market, and a worker that fell asleep can do no harm.

Every time a lease is given, its fencing token rises. A worker checks its lease inside the transaction
in which it writes; that keeps the lease where it is until the transaction ends. Times come from the
caller, in milliseconds since the epoch.
"""

from dataclasses import dataclass

from crossbook.storage.database import Transaction
from crossbook.storage.errors import LeaseLost


@dataclass(frozen=True)
class Lease:
    """The right of `holder` to do the job `role` (such as "matcher") for a market until `expires_at_ms`."""

    market_id: int
    role: str
    holder: str
    fencing_token: int
    expires_at_ms: int


async def acquire(
    transaction: Transaction, market_id: int, role: str, holder: str, now_ms: int, duration_ms: int
) -> Lease | None:
    """Take the lease if nobody holds it at `now_ms`; None if somebody does, be it under the same name.

    Raises ConstraintViolated for a market that does not exist.
    """
    token = await transaction.value(
        """
        INSERT INTO leases AS held (market_id, role, holder, fencing_token, expires_at_ms)
        VALUES ($1, $2, $3, 1, $5)
        ON CONFLICT (market_id, role) DO UPDATE
        SET holder = excluded.holder, fencing_token = held.fencing_token + 1, expires_at_ms = excluded.expires_at_ms
        WHERE held.expires_at_ms <= $4
        RETURNING fencing_token
        """,
        market_id,
        role,
        holder,
        now_ms,
        now_ms + duration_ms,
    )
    return None if token is None else Lease(market_id, role, holder, token, now_ms + duration_ms)


async def renew(transaction: Transaction, lease: Lease, now_ms: int, duration_ms: int) -> Lease:
    """The same lease for longer. It may have expired, as long as nobody took it. Raises LeaseLost if somebody did."""
    expires_at_ms = now_ms + duration_ms
    renewed = await transaction.execute(
        """
        UPDATE leases SET expires_at_ms = $4
        WHERE market_id = $1 AND role = $2 AND fencing_token = $3 AND expires_at_ms > 0
        """,
        lease.market_id,
        lease.role,
        lease.fencing_token,
        expires_at_ms,
    )
    if not renewed:
        raise LeaseLost(f"the lease of the {lease.role} of market {lease.market_id} is gone")
    return Lease(lease.market_id, lease.role, lease.holder, lease.fencing_token, expires_at_ms)


async def release(transaction: Transaction, lease: Lease) -> None:
    """Give the lease back, so that the next worker need not wait for its end. Nothing happens if it is lost already."""
    await transaction.execute(
        "UPDATE leases SET expires_at_ms = 0 WHERE market_id = $1 AND role = $2 AND fencing_token = $3",
        lease.market_id,
        lease.role,
        lease.fencing_token,
    )


async def require(transaction: Transaction, lease: Lease) -> None:
    """Make sure that nobody took the lease, and that nobody does before this transaction ends. Raises LeaseLost."""
    held = await transaction.value(
        """
        SELECT true FROM leases
        WHERE market_id = $1 AND role = $2 AND fencing_token = $3 AND expires_at_ms > 0 FOR SHARE
        """,
        lease.market_id,
        lease.role,
        lease.fencing_token,
    )
    if held is None:
        raise LeaseLost(f"the lease of the {lease.role} of market {lease.market_id} is gone")


async def release_all(transaction: Transaction) -> int:
    """Give back every lease; return how many were held.

    Only for whoever knows that no other worker can be alive: the one process of an embedded venue at its start.
    """
    return await transaction.execute("UPDATE leases SET expires_at_ms = 0 WHERE expires_at_ms > 0")
