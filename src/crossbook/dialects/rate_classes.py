"""The classes of requests that rate limits know. Every dialect's endpoints spend from the same kinds of budgets."""

from typing import Final

ORDERS: Final = "orders"
CANCELS: Final = "cancels"
READS: Final = "reads"
LOGINS: Final = "logins"
REGISTRATIONS: Final = "registrations"
