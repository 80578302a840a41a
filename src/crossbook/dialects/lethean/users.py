"""Signing in with a wallet, signing out, and who am I."""

from crossbook.dialects.call import Call, Reply
from crossbook.dialects.lethean import replies, requests, translate
from crossbook.dialects.lethean.auth import wallet_of
from crossbook.dialects.lethean.services import Services


class UserHandlers:
    """The handlers of `/api/auth` and of `/api/user`."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def request_auth(self, call: Call[requests.RequestAuth, None]) -> Reply:
        """A message to sign, good for five minutes and one login."""
        message = self._services.logins.challenge(call.body.address, call.body.alias)
        return Reply(200, replies.Answer(data=message))

    async def auth(self, call: Call[requests.Auth, None]) -> Reply:
        """A token for who signed the message with the key of the address."""
        data = call.body.data
        token = await self._services.logins.sign_in(
            data.address, data.alias, data.message, data.signature, never_expires=call.body.never_expires
        )
        return Reply(200, replies.Answer(data=token))

    async def sign_out(self, call: Call[requests.TokenOnly, None]) -> Reply:
        """End the session of the token."""
        wallet_of(call)
        await self._services.logins.sign_out(self._services.auth.token_id(call))
        return Reply(200, replies.Done())

    async def check(self, call: Call[requests.TokenOnly, None]) -> Reply:
        """Whose token it is."""
        return Reply(200, replies.Checked(user_data=translate.self_view(wallet_of(call))))

    async def me(self, call: Call[requests.TokenOnly, None]) -> Reply:
        """The caller."""
        return Reply(200, replies.Answer(data=translate.self_view(wallet_of(call))))

    async def notifications(self, call: Call[requests.TokenOnly, None]) -> Reply:
        """On how many own offers something happened that the caller has not seen."""
        await self._services.swaps.expire()
        count = await self._services.pages.notifications(wallet_of(call).user_id)
        return Reply(200, replies.Answer(data=count))
