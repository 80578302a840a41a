"""What `crossbook up` says when the venue is ready."""

from rich.markup import escape
from rich.panel import Panel

from crossbook.demo import DEMO_FILE, USERS
from crossbook.doctor import check_engine
from crossbook.settings import Settings
from crossbook.terminal import plain_table


def welcome(base_url: str, settings: Settings) -> Panel:
    """Addresses, demo users and where their secrets are, and how the engine runs."""
    table = plain_table()
    table.add_row("API", base_url)
    table.add_row("Page", f"{base_url}/")
    table.add_row("Documentation", f"{base_url}/docs/flux")
    table.add_row("TrueX", f"{base_url}/api/v1, documentation {base_url}/docs/truex")
    table.add_row("Swaps", f"{base_url}/api, documentation {base_url}/docs/lethean")
    if settings.demo:
        table.add_row(
            "Demo users", f"{', '.join(USERS)}, admin; secrets in {escape(str(settings.data_dir / DEMO_FILE))}"
        )
    table.add_row("Bots", f"trading, seed {settings.seed}" if settings.bots and settings.demo else "none")
    table.add_row("Engine", escape(check_engine().found))
    return Panel(table, title="Crossbook is ready", subtitle="Ctrl-C stops it", expand=False)
