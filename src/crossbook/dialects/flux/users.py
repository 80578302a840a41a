"""Registering, signing in, and who am I."""

from crossbook.application.errors import WrongCredentials
from crossbook.dialects.call import Call, Reply
from crossbook.dialects.flux import schemas
from crossbook.dialects.flux.auth import user_of
from crossbook.dialects.flux.errors import Code, FluxError
from crossbook.dialects.flux.services import Services
from crossbook.dialects.flux.translate import me_view


class UserHandlers:
    """The handlers of `/auth` and `/me`."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def register(self, call: Call[schemas.Credentials, None]) -> Reply:
        """Make a user; 201."""
        user = await self._services.accounts.register(call.body.email, call.body.password)
        return Reply(201, schemas.Registered(user_id=str(user.user_id)))

    async def login(self, call: Call[schemas.LoginCredentials, None]) -> Reply:
        """Give a token for an email and a password; 401 alike for an unknown email and a wrong password."""
        brake, address = self._services.login_brake, call.visit.address
        account = call.body.email.strip().lower()
        wait_s = brake.wait_s(account, address)
        if wait_s:
            raise FluxError(Code.RATE_LIMITED, f"too many failed logins; try again in {wait_s} s", retry_after_s=wait_s)
        try:
            signed_in = await self._services.accounts.login(call.body.email, call.body.password)
        except WrongCredentials:
            brake.failed(account, address)
            raise
        brake.succeeded(account, address)
        return Reply(200, schemas.LoggedIn(token=signed_in.token, user_id=str(signed_in.user.user_id)))

    async def guest(self, call: Call[None, None]) -> Reply:
        """Make a user without a login, signed in at once; 201."""
        del call
        signed_in = await self._services.accounts.guest()
        return Reply(201, schemas.LoggedIn(token=signed_in.token, user_id=str(signed_in.user.user_id)))

    async def me(self, call: Call[None, None]) -> Reply:
        """Whose token it is."""
        return Reply(200, me_view(user_of(call)))
