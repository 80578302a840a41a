"""Faults that can be switched on, for all wallets or for one, for good or for a number of calls."""

from dataclasses import dataclass
from enum import StrEnum


class Fault(StrEnum):
    """What can be made to go wrong."""

    PROPOSAL_EXPIRED = "proposal_expired"
    """Proposals count as expired when they are accepted."""
    NOT_ENOUGH_MONEY = "not_enough_money"
    """Making and accepting proposals fails for lack of money."""
    DAEMON_DOWN = "daemon_down"
    """The daemon answers nobody: HTTP 503 for itself, "busy" from wallets that need it."""


EVERYBODY = ""


@dataclass(frozen=True)
class Switch:
    """A fault that is on. `wallet` is the one it is for, EVERYBODY for all; `times` left, None for no end."""

    fault: Fault
    wallet: str
    times: int | None


class Faults:
    """The switches that are on."""

    def __init__(self) -> None:
        self._times: dict[tuple[Fault, str], int | None] = {}

    def switch_on(self, fault: Fault, wallet: str = EVERYBODY, times: int | None = None) -> None:
        """Let a fault happen at the next `times` calls that it can spoil, or at all of them."""
        self._times[fault, wallet] = times

    def switch_off(self, fault: Fault, wallet: str = EVERYBODY) -> None:
        """Let it happen no more."""
        self._times.pop((fault, wallet), None)

    def happens(self, fault: Fault, wallet: str = EVERYBODY) -> bool:
        """Whether the fault spoils this call; counts it."""
        for name in dict.fromkeys((wallet, EVERYBODY)):
            if (fault, name) in self._times:
                self._count(fault, name)
                return True
        return False

    def all(self) -> list[Switch]:
        """Every switch that is on."""
        return [Switch(fault, wallet, times) for (fault, wallet), times in self._times.items()]

    def _count(self, fault: Fault, name: str) -> None:
        times = self._times[fault, name]
        if times is None:
            return
        if times > 1:
            self._times[fault, name] = times - 1
        else:
            del self._times[fault, name]
