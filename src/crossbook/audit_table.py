"""What `crossbook audit` shows: a line for each check, and the differences below."""

from collections.abc import Sequence
from typing import Final

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from crossbook.application.audit import Check, is_clean

CLEAN: Final = 0
DIFFERENT: Final = 1


def audit_table(checks: Sequence[Check]) -> Table:
    """The checks as a table: the name, what was counted, and ok or the first difference."""
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(overflow="fold")
    table.add_column(justify="right", no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for check in checks:
        said = "[green]ok[/]" if check.difference is None else f"[red]{escape(check.difference)}[/]"
        table.add_row(escape(check.name), f"{check.counted:,}", escape(check.things), said)
    return table


def show_audit(checks: Sequence[Check], console: Console) -> int:
    """Print the table and one line that sums it up; return the exit code: 0 clean, 1 not."""
    console.print(audit_table(checks))
    different = sum(not check.ok for check in checks)
    if is_clean(checks):
        console.print(f"Clean: {len(checks)} checks, no difference.")
        return CLEAN
    console.print(f"[red]{different} of {len(checks)} checks found a difference.[/]")
    return DIFFERENT
