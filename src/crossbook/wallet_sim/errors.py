"""What the simulated wallet and daemon refuse, with the numbers that real ones give.

RpcError
  ParseError, InvalidRequest, UnknownMethod, InvalidParams   JSON-RPC itself
  WrongAddress, WrongArgument, NotEnoughMoney, DaemonBusy    the wallet
"""

from crossbook.domain.errors import CrossbookError


class RpcError(CrossbookError):
    """An error that goes to the client as it is."""

    code = -1
    name = "WALLET_RPC_ERROR_CODE_UNKNOWN_ERROR"

    def __init__(self, message: str = "") -> None:
        super().__init__(f"{self.name}: {message}" if message else self.name)


class ParseError(RpcError):
    """The body is not JSON."""

    code = -32700
    name = "Parse error"


class InvalidRequest(RpcError):
    """The JSON is not a request."""

    code = -32600
    name = "Invalid Request"


class UnknownMethod(RpcError):
    """There is no such method here."""

    code = -32601
    name = "Method not found"


class InvalidParams(RpcError):
    """A parameter is missing, or of a wrong type or range."""

    code = -32602
    name = "Invalid params"


class WrongAddress(RpcError):
    """An address that can not be read."""

    code = -2
    name = "WALLET_RPC_ERROR_CODE_WRONG_ADDRESS"


class DaemonBusy(RpcError):
    """The wallet does not reach its daemon."""

    code = -3
    name = "WALLET_RPC_ERROR_CODE_DAEMON_IS_BUSY"


class WrongArgument(RpcError):
    """A proposal that is not for this wallet, damaged, expired or used up."""

    code = -6
    name = "WALLET_RPC_ERROR_CODE_WRONG_ARGUMENT"


class NotEnoughMoney(RpcError):
    """A wallet has less than it would give away."""

    code = -7
    name = "WALLET_RPC_ERROR_CODE_NOT_ENOUGH_MONEY"
