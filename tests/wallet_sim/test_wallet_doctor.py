"""What `crossbook doctor` says of wallets and of the chain daemon."""

import asyncio
from dataclasses import replace

import pytest

from crossbook import wallet_doctor
from crossbook.application.chain import ChainAsset
from crossbook.doctor import Finding
from crossbook.settings import Settings
from crossbook.system import SystemClock
from crossbook.wallet_doctor import check_daemon, check_signatures, describe_native, examine_wallets
from crossbook.wallet_sim.faults import Fault
from tests.wallet_sim.test_server import running

NATIVE = ChainAsset("d" * 64, "LTHN", "Lethean", 12, 0)


def test_signatures_can_be_checked_here() -> None:
    assert check_signatures().ok


@pytest.mark.parametrize("message", [b"another", None])
def test_a_library_that_does_not_work_is_found(message: bytes | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wallet_doctor, "_MESSAGE", message)
    finding = check_signatures()
    assert not finding.ok
    assert "PyNaCl" in finding.advice


def test_without_a_daemon_none_is_asked() -> None:
    (finding,) = asyncio.run(examine_wallets(Settings(), SystemClock()))
    assert finding.topic == "wallet signatures"


def test_a_daemon_is_asked() -> None:
    async def look() -> list[Finding]:
        async with running() as sim:
            settings = Settings(lethean_daemon_url=sim.url)
            _, first = await examine_wallets(settings, SystemClock())
            sim.world.faults.switch_on(Fault.DAEMON_DOWN)
            return [first, await check_daemon(sim.url, settings, SystemClock())]

    well, down = asyncio.run(look())
    assert (well.ok, well.found) == (True, "answers: LTHN, 12 decimals")
    assert not down.ok
    assert "lethean_daemon_url" in down.advice


def test_what_a_daemon_may_say_of_the_currency() -> None:
    assert describe_native(NATIVE, 12).advice == ""
    assert "12" in describe_native(replace(NATIVE, decimal_point=12), 8).advice
    assert not describe_native(None, 12).ok
