"""What `crossbook wallet-sim` does with its options."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rich.markup import escape

from crossbook.security.wallet_keys import SecretKeyRefused, WalletKeys
from crossbook.security.wallet_signatures import SignatureFormat
from crossbook.terminal import fail, output, plain_table
from crossbook.wallet_sim.command import Plan, Started, WalletPlan, run_until_signal
from crossbook.wallet_sim.faults import Fault

USUAL_NAMES: Final = ("alice", "bob")
_WALLET: Final = re.compile(r"(?P<name>[A-Za-z0-9._-]{1,64})(?::(?P<port>[0-9]{1,5}))?")
MOST_PORT: Final = 65_535


@dataclass(frozen=True)
class Options:
    """What the command line says."""

    host: str
    port: int
    wallets: tuple[str, ...] = ()
    demo: Path | None = None
    data: Path | None = None
    faults: tuple[Fault, ...] = ()
    least_proposal_bytes: int = 0
    format: str = SignatureFormat.LEGACY.value


def run(options: Options) -> None:
    """Run the simulator until a signal. Exits with 2 for bad options. Raises CrossbookError."""
    run_until_signal(plan_of(options), _say)


def plan_of(options: Options) -> Plan:
    """What to run. Exits with 2 for bad options."""
    wallets = {each.name: each for each in map(_wallet_of, options.wallets)}
    for each in _demo_wallets(options.demo) if options.demo is not None else ():
        named = wallets.get(each.name)
        wallets[each.name] = WalletPlan(each.name, named.port if named else None, each.keys, each.alias)
    if not wallets:
        wallets = {name: WalletPlan(name) for name in USUAL_NAMES}
    formats = {format.value: format for format in SignatureFormat}
    if options.format not in formats:
        fail(f"--signatures is one of {', '.join(formats)}, not {options.format}")
    return Plan(
        options.host,
        options.port,
        tuple(wallets.values()),
        options.data,
        options.faults,
        options.least_proposal_bytes,
        formats[options.format],
    )


def _wallet_of(text: str) -> WalletPlan:
    parts = _WALLET.fullmatch(text)
    if parts is None or int(parts["port"] or 0) > MOST_PORT:
        fail(f"--wallet is NAME or NAME:PORT, such as alice:11212, not {text}")
    return WalletPlan(parts["name"], int(parts["port"]) if parts["port"] else None)


def _demo_wallets(file: Path) -> Iterator[WalletPlan]:
    """The wallets of the demo users."""
    try:
        users = json.loads(file.read_text(encoding="utf-8"))["users"]
        for user in users:
            wallet = user["wallet"]
            keys = WalletKeys.of_secret(bytes.fromhex(wallet["spend_secret"]))
            yield WalletPlan(user["name"], keys=keys, alias=wallet["alias"])
    except (OSError, ValueError, KeyError, TypeError, SecretKeyRefused) as error:
        fail(f"{file} holds no wallets of demo users: {error!r}")


def _say(started: Started) -> None:
    table = plain_table()
    table.add_row("Daemon", f"{started.url}/json_rpc")
    table.add_row("Admin", f"{started.url}/admin/json_rpc")
    for asset in started.world.chain.assets():
        table.add_row(asset.ticker, f"{asset.asset_id}, {asset.decimal_point} decimals")
    for name, url in started.wallet_urls.items():
        table.add_row(escape(name), f"{escape(url)}/json_rpc  {started.world.wallets[name].address}")
    output().print(table, soft_wrap=True)
