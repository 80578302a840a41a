"""What the commands share: options, how they end, and how they print, in colour on a terminal only."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Final, NoReturn

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from crossbook.domain.errors import CrossbookError

NOT_FINE: Final = 1
BAD_INPUT: Final = 2
_WIDTH_WITHOUT_TERMINAL: Final = 200

DataOption = Annotated[
    Path | None, typer.Option("--data", file_okay=False, metavar="DIR", help="The folder of the embedded venue.")
]


@contextmanager
def saying_what_failed() -> Iterator[None]:
    """An error that has an explanation ends the command with it, on standard error, and 1."""
    try:
        yield
    except CrossbookError as error:
        complain(str(error))
        raise typer.Exit(NOT_FINE) from error


def output() -> Console:
    """Standard output. Into a file or a pipe, lines are not broken at the width of a terminal."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = _WIDTH_WITHOUT_TERMINAL
    return console


def plain_table() -> Table:
    """An empty table of names and values."""
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    return table


def complain(message: str) -> None:
    """Say on standard error what went wrong."""
    Console(stderr=True, highlight=False).print(f"[red]Error:[/] {escape(message)}", soft_wrap=True)


def fail(message: str) -> NoReturn:
    """Say what is wrong with the input or the usage on standard error, and exit with 2."""
    complain(message)
    raise typer.Exit(BAD_INPUT)
