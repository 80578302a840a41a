"""The page of settings says what the class says."""

import subprocess
import sys
from pathlib import Path

from crossbook.settings_page import settings_page

ROOT = Path(__file__).parent.parent


def test_the_page_of_settings_is_current() -> None:
    """After a change: `python -m crossbook.settings_page > docs/settings.md`."""
    assert (ROOT / "docs" / "settings.md").read_text() == settings_page()


def test_the_page_is_written_by_a_command() -> None:
    done = subprocess.run([sys.executable, "-m", "crossbook.settings_page"], capture_output=True, text=True, check=True)
    assert done.stdout == settings_page()
