"""TrueX's table: the rows of its modules, plural and singular, for both versions."""

from typing import Final

from crossbook.dialects.endpoint import AnyEndpoint, Dialect
from crossbook.dialects.truex import balances, clients, history, market_data, orders, service, transfers
from crossbook.dialects.truex.auth import SECURITY, KeyAuth
from crossbook.dialects.truex.errors import TruexErrors
from crossbook.dialects.truex.known_errors import translator
from crossbook.dialects.truex.services import Services
from crossbook.dialects.truex.socket_guide import GUIDE
from crossbook.dialects.truex.table import PREFIX

MODULES: Final = (service, market_data, clients, balances, orders, history, transfers)


def truex_dialect(services: Services, version: str) -> Dialect:
    """TrueX, at `/api/v1`. `version` is the venue's."""
    return Dialect(
        name="truex",
        title="TrueX",
        version=version,
        description="Spot trading by signed requests. Ids, prices, quantities and times are strings.",
        endpoints=endpoints(services),
        errors=TruexErrors(translator(services.unavailable)),
        prefix=PREFIX,
        authenticate=KeyAuth(services.keys, services.clock),
        security=SECURITY,
        signs_body=True,
        versions=services.versions,
        socket=GUIDE,
    )


def endpoints(services: Services) -> list[AnyEndpoint]:
    """The whole table."""
    return [row for module in MODULES for row in module.table(services)]
