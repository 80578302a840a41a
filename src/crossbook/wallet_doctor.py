"""Looks at what the board of swaps stands on: whether wallets' signatures can be checked, and the chain daemon."""

from typing import Final

from crossbook.application.chain import ChainAsset, ChainUnavailable
from crossbook.chain.daemon import Daemon
from crossbook.chain.json_rpc import JsonRpc, RpcLimits
from crossbook.doctor import Finding
from crossbook.security.wallet_addresses import parse_address
from crossbook.security.wallet_signatures import SignatureFormat, verify_message
from crossbook.settings import Settings
from crossbook.system import Clock

_ADDRESS: Final = "iTHNScUpj5aVEerpFPQhbPLi7Z6KPTQuH8jYzuaNaK767YVt5eS8jVBTyy2PreqYtW6Assw3Jh2eCGnnWj8FP9XA6owV4CcFs4"
_MESSAGE: Final = b"d81c4b3c-0f3a-4a4e-8b1c-6f0f2b7a9f10"
_SIGNATURE: Final = (
    "cba217ec727999e855ddd1c34a3f9196f443db55c061cfd345f273a3f3808b0c"
    "9a31787e3f272f386ae252d006c4fd37762fce4bfc88af1c287512820bcbb40f"
)


async def examine_wallets(settings: Settings, clock: Clock) -> list[Finding]:
    """What `crossbook doctor` says about the board of swaps."""
    findings = [check_signatures()]
    if settings.lethean_daemon_url is not None:
        findings.append(await check_daemon(settings.lethean_daemon_url, settings, clock))
    return findings


def check_signatures() -> Finding:
    """Whether the installed libraries check a known signature."""
    try:
        format = verify_message(_MESSAGE, parse_address(_ADDRESS).spend_key, _SIGNATURE)
    except Exception as error:  # a library that lacks what is needed fails in its own way
        return Finding("wallet signatures", f"can not be checked: {error!r}", False, "Install PyNaCl and pycryptodome.")
    if format is not SignatureFormat.LEGACY:
        return Finding("wallet signatures", "a known one is not valid here", False, "Install PyNaCl and pycryptodome.")
    return Finding("wallet signatures", "are checked here")


async def check_daemon(url: str, settings: Settings, clock: Clock) -> Finding:
    """Whether the chain daemon answers, and knows the chain's own currency as the settings do."""
    daemon = Daemon(JsonRpc(url, clock, RpcLimits(timeout_ms=settings.lethean_daemon_timeout_ms)))
    try:
        asset = await daemon.asset(settings.lethean_native_asset_id)
    except ChainUnavailable as error:
        advice = "Start the daemon, and check lethean_daemon_url: logins with an alias wait for it."
        return Finding("chain daemon", f"not reached: {error}", False, advice)
    finally:
        daemon.close()
    return describe_native(asset, settings.lethean_native_decimals)


def describe_native(asset: ChainAsset | None, decimals: int) -> Finding:
    """What it means that the daemon describes the chain's own currency so."""
    if asset is None:
        advice = "Correct lethean_native_asset_id, or ask the daemon of that chain."
        return Finding("chain daemon", "answers, and does not know the chain's own currency", False, advice)
    if asset.decimal_point != decimals:
        found = f"answers: {asset.ticker} has {asset.decimal_point} decimals, the settings say {decimals}"
        return Finding("chain daemon", found, advice=f"Set lethean_native_decimals to {asset.decimal_point}.")
    return Finding("chain daemon", f"answers: {asset.ticker}, {asset.decimal_point} decimals")
