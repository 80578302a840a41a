"""Why the application refuses a request, before anything of it is in the log.

ApplicationError
MarketNotFound, OrderNotFound        no such thing, or not the caller's
MarketNotOpen, OrderNotOpen          there, but in a state that does not allow it
InvalidOrder                         a field against a rule, with the nearest valid value
InsufficientFunds                    less available than needed (margin has its own, domain.margin)
InLiquidation                        only what reduces comes in
WithdrawalsStopped                   losses that nobody paid are open
DuplicateClientOrderId               the client id of another order
EmailTaken, WrongCredentials         registering and signing in
InvalidLogin                         signing in with a wallet
PairNotFound, TooManyOffers          peer-to-peer offers (their state machine has its own, domain.swaps)
Overloaded                           too much is waiting: try again
OutcomeUnknown                       it may have been done or not: ask again
"""

from crossbook.domain.errors import CrossbookError, Reason


class ApplicationError(CrossbookError):
    """A request that the application refuses."""


class MarketNotFound(ApplicationError):
    """No market has this name or number."""

    def __init__(self, market: str) -> None:
        super().__init__(f"no market is called {market}")
        self.market = market


class MarketNotOpen(ApplicationError):
    """The market takes no such order in its state; `reason` is the one that the engine would give."""

    def __init__(self, market: str, reason: Reason) -> None:
        super().__init__(f"{market} takes no such order now: {reason.name}")
        self.market = market
        self.reason = reason


class OrderNotFound(ApplicationError):
    """The caller has no order of this id."""

    def __init__(self, order: str) -> None:
        super().__init__(f"no order {order}")
        self.order = order


class OrderNotOpen(ApplicationError):
    """The order has ended."""

    def __init__(self, order: str) -> None:
        super().__init__(f"order {order} is no longer open")
        self.order = order


class InvalidOrder(ApplicationError):
    """A field that breaks a rule; `nearest` is the nearest valid value as text, where there is one."""

    def __init__(self, field: str, rule: str, nearest: str | None = None) -> None:
        super().__init__(f"{field} {rule}" + (f"; nearest: {nearest}" if nearest is not None else ""))
        self.field = field
        self.rule = rule
        self.nearest = nearest


class InsufficientFunds(ApplicationError):
    """Less of `asset` is available than the request needs, in the asset's smallest units."""

    def __init__(self, asset: str, required_units: int, available_units: int) -> None:
        super().__init__(f"available {asset} is below what is required")
        self.asset = asset
        self.required_units = required_units
        self.available_units = available_units


class InLiquidation(ApplicationError):
    """The account's positions are being liquidated: only orders that reduce them come in, and no money goes out."""

    def __init__(self, market: str) -> None:
        super().__init__(f"positions are being liquidated ({market}): only orders that reduce them are taken")
        self.market = market


class WithdrawalsStopped(ApplicationError):
    """Losses in `asset` that neither their owner nor the insurance fund could pay are open: nothing is paid out."""

    def __init__(self, asset: str) -> None:
        super().__init__(f"withdrawals of {asset} are stopped until open losses are covered; try again later")
        self.asset = asset


class DuplicateClientOrderId(ApplicationError):
    """The client id belongs to another order of the account, with another body."""

    def __init__(self, client_order_id: str) -> None:
        super().__init__(f"client order id {client_order_id} belongs to another order")
        self.client_order_id = client_order_id


class PairNotFound(ApplicationError):
    """No swap pair has this number, or these currencies."""


class TooManyOffers(ApplicationError):
    """The user has as many active offers on this side of the pair as the venue allows."""


class InvalidLogin(ApplicationError):
    """A wallet's login that proves nothing: the address, alias, message or signature is wrong, or was used before."""


class EmailTaken(ApplicationError):
    """Somebody is registered under this email."""


class WrongCredentials(ApplicationError):
    """No user has this email and password."""


class Overloaded(ApplicationError):
    """More requests wait than the venue can hold; nothing of this one was done."""


class OutcomeUnknown(ApplicationError):
    """Whoever did the request ended in the middle of it: whether it was done, only asking again tells."""


class StoreRefused(ApplicationError):
    """What was admitted would break the rule `rule` of the store; nothing of it was stored."""

    def __init__(self, rule: str) -> None:
        super().__init__(f"the store refused: {rule}")
        self.rule = rule
