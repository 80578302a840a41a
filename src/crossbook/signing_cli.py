"""The commands about programs that sign their requests: `crossbook keys` and `crossbook truex`."""

from enum import StrEnum
from typing import Annotated, Final

import typer

from crossbook.terminal import NOT_FINE, DataOption, saying_what_failed

MAX_TIER: Final = 32_767


class ClientKind(StrEnum):
    """What a client is."""

    INSTITUTION = "institution"
    INDIVIDUAL = "individual"
    APPLICATION = "application"


# -- Keys --------------------------------------------------------------------------------------------
keys_app = typer.Typer(help="Keys of programs that sign their requests (TrueX).", no_args_is_help=True)


@keys_app.command("create")
def create_key(
    user: Annotated[str, typer.Argument(help="The user: e-mail or number.")],
    scope: Annotated[
        list[str] | None, typer.Option(metavar="SCOPE", help="read, trade or transfer; may be repeated. All without.")
    ] = None,
    name: Annotated[str, typer.Option(metavar="TEXT", help="What to call the key.")] = "",
    network: Annotated[
        list[str] | None, typer.Option(metavar="CIDR", help="Where it may be used from; may be repeated.")
    ] = None,
    days: Annotated[int | None, typer.Option(min=1, max=36_500, metavar="N", help="How long it is good.")] = None,
    mnemonic: Annotated[str, typer.Option(metavar="NAME", help="What to call the user's first client.")] = "",
    data: DataOption = None,
) -> None:
    """Make a key, and the user's first client if there is none. The secret is shown this once."""
    from crossbook import keys_command

    scopes = scope or ["read", "trade", "transfer"]
    with saying_what_failed():
        keys_command.create({"data_dir": data}, user, scopes, name, network or [], days, mnemonic)


@keys_app.command("list")
def list_keys(
    user: Annotated[str | None, typer.Option(metavar="USER", help="Of this user only: e-mail or number.")] = None,
    data: DataOption = None,
) -> None:
    """List keys without their secrets."""
    from crossbook import keys_command

    with saying_what_failed():
        keys_command.show({"data_dir": data}, user)


@keys_app.command("revoke")
def revoke_key(
    key: Annotated[str, typer.Argument(metavar="KEY", help="The key's id.")], data: DataOption = None
) -> None:
    """Revoke a key: within seconds it opens nothing."""
    from crossbook import keys_command

    with saying_what_failed():
        keys_command.revoke({"data_dir": data}, key)


@keys_app.command("reseal")
def reseal_keys(
    batch: Annotated[int, typer.Option(min=1, max=10_000, metavar="N", help="How many in one transaction.")] = 500,
    data: DataOption = None,
) -> None:
    """Seal the secrets of all keys under the newest sealing key, so that the older ones may go.

    Say first in the settings of every process that there is a new one, and start them again. It can be broken off,
    and run again. Exits with 1 when a secret does not open.
    """
    from crossbook import keys_command

    with saying_what_failed():
        if not keys_command.reseal({"data_dir": data}, batch):
            raise typer.Exit(NOT_FINE)


# -- Clients and fees --------------------------------------------------------------------------------
truex_app = typer.Typer(help="Clients of TrueX, and what they pay.", no_args_is_help=True)
client_app = typer.Typer(
    help="Clients: the accounts that an organization, which is a user, trades with through keys.", no_args_is_help=True
)
fees_app = typer.Typer(
    help="Fee tiers: rates that clients may have instead of each market's own.", no_args_is_help=True
)
truex_app.add_typer(client_app, name="client")
truex_app.add_typer(fees_app, name="fees")

ClientArgument = Annotated[str, typer.Argument(metavar="CLIENT", help="The client: id or mnemonic.")]


@client_app.command("list")
def list_clients(
    user: Annotated[str | None, typer.Option(metavar="USER", help="Of this user only: e-mail or number.")] = None,
    data: DataOption = None,
) -> None:
    """List clients: id, mnemonic, user, status, type, fee tiers and self-trade prevention."""
    from crossbook import truex_command

    with saying_what_failed():
        truex_command.show_clients({"data_dir": data}, user)


@client_app.command("add")
def add_client(
    user: Annotated[str, typer.Argument(metavar="USER", help="The user: e-mail or number.")],
    mnemonic: Annotated[str, typer.Argument(metavar="MNEMONIC", help="What to call it; unique in the venue.")],
    kind: Annotated[
        ClientKind, typer.Option("--type", help="What it is.", case_sensitive=False)
    ] = ClientKind.INDIVIDUAL,
    maker: Annotated[int, typer.Option(min=0, max=MAX_TIER, metavar="TIER", help="Tier of orders that rest.")] = 0,
    taker: Annotated[int, typer.Option(min=0, max=MAX_TIER, metavar="TIER", help="Tier of orders that take.")] = 0,
    data: DataOption = None,
) -> None:
    """Set another client of a user up, with an account of its own. The user's keys speak for it within two seconds.

    Its money comes by transfers, of type INTERNAL from the user's other clients.
    """
    from crossbook import truex_command

    with saying_what_failed():
        truex_command.add_client({"data_dir": data}, user, mnemonic, kind.name, maker, taker)


@client_app.command("suspend")
def suspend_client(
    client: ClientArgument,
    cancel: Annotated[
        bool, typer.Option("--cancel", help="Cancel its account's open orders too, those entered by Flux among them.")
    ] = False,
    data: DataOption = None,
) -> None:
    """Refuse a client's new orders, changes and transfers. Without --cancel what rests goes on trading."""
    from crossbook import truex_command

    with saying_what_failed():
        truex_command.suspend_client({"data_dir": data}, client, cancel)


@client_app.command("resume")
def resume_client(client: ClientArgument, data: DataOption = None) -> None:
    """Let a suspended client trade again."""
    from crossbook import truex_command

    with saying_what_failed():
        truex_command.resume_client({"data_dir": data}, client)


@client_app.command("close")
def close_client(client: ClientArgument, data: DataOption = None) -> None:
    """Close a suspended client for ever. It must have no money, positions, open orders or open transfers."""
    from crossbook import truex_command

    with saying_what_failed():
        truex_command.close_client({"data_dir": data}, client)


@client_app.command("tiers")
def set_client_tiers(
    client: ClientArgument,
    maker: Annotated[
        int | None, typer.Option(min=0, max=MAX_TIER, metavar="TIER", help="Tier of orders that rest; 0: no tier.")
    ] = None,
    taker: Annotated[
        int | None, typer.Option(min=0, max=MAX_TIER, metavar="TIER", help="Tier of orders that take; 0: no tier.")
    ] = None,
    data: DataOption = None,
) -> None:
    """Change what a client's orders pay from now on. Open orders keep the rates that they have."""
    from crossbook import truex_command

    with saying_what_failed():
        truex_command.set_client_tiers({"data_dir": data}, client, maker, taker)


@fees_app.command("list")
def list_fees(data: DataOption = None) -> None:
    """List the fee tiers. Tier 0 is each market's own rates."""
    from crossbook import truex_command

    with saying_what_failed():
        truex_command.show_fees({"data_dir": data})


@fees_app.command("set")
def set_fee(
    tier: Annotated[int, typer.Argument(min=1, max=MAX_TIER, metavar="TIER", help="The tier's number.")],
    maker: Annotated[
        str, typer.Option(metavar="RATE", help="What resting orders pay, such as 0.0002; a rebate is negative.")
    ],
    taker: Annotated[str, typer.Option(metavar="RATE", help="What taking orders pay, such as 0.0005.")],
    data: DataOption = None,
) -> None:
    """Add a fee tier, or change its rates for orders to come. Rates are parts of the notional, with 6 decimals."""
    from crossbook import truex_command

    with saying_what_failed():
        truex_command.set_fee({"data_dir": data}, tier, maker, taker)
