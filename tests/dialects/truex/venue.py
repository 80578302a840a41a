"""The venue of Flux's tests, which serves TrueX too, and what tests of TrueX need of it."""

from collections.abc import Sequence

from crossbook.application.accounts import UserKind
from crossbook.application.clients import NewClient
from crossbook.system import SystemClock
from tests.dialects.flux.venue import FluxVenue
from tests.dialects.truex.signing import Organization

ALL_SCOPES = ("read", "trade", "transfer")


def organization(
    venue: FluxVenue,
    mnemonic: str,
    amounts: dict[str, str] | None = None,
    scopes: Sequence[str] = ALL_SCOPES,
    networks: Sequence[str] = (),
) -> Organization:
    """A new organization with a client that has these amounts, by asset, and a key."""
    parts = venue.parts

    async def make() -> Organization:
        user = await parts.users.create(
            UserKind.GUEST, SystemClock().now_ms(), email=None, password_hash=None, name=mnemonic, scopes=frozenset()
        )
        client = await parts.truex.clients.ensure_first(user.user_id, mnemonic)
        for asset, amount in (amounts or {}).items():
            decimals = await parts.services.funds.decimals_of(asset)
            units = int(amount) * 10**decimals
            await parts.services.funds.deposit(user.account_id, asset, units)
        issued = await parts.keys.issue(user.user_id, scopes, networks=networks)
        return Organization(user.user_id, client.account_id, mnemonic, issued.key.key_id, issued.secret)

    return venue.run(make())


def second_client(venue: FluxVenue, who: Organization, mnemonic: str) -> Organization:
    """The organization with another client of its own in the first's place."""
    made = venue.run(venue.parts.truex.clients.create(NewClient(who.organization_id, mnemonic)))
    return Organization(who.organization_id, made.account_id, mnemonic, who.key_id, who.secret)
